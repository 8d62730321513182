// Package program runs programs that are given a secret, or that return one: those that
// keep the tokens of new orgs, that read a key from a vault, or that sign with a key that
// never leaves its module.
//
// A program is started by its absolute path, without a shell, in a process group of its
// own. It gets secrets by its standard input and its environment, never by its arguments,
// which each user of the machine can read. At the end of its time, or when the caller's
// context ends, it is killed with all that it started.
//
// What it prints is not trusted: errors have the end of its standard error, on one line,
// without the secrets that are known and without what looks like one.
package program
