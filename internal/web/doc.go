// Package web has what clients of web APIs share: the origin that a credential is
// for, whether a host is this machine, and waits.
package web
