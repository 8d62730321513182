// Package web has what every client of a web API needs: the origin that a
// credential is for, whether a host is this machine, and waits that end with a
// context.
package web
