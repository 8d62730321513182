// Package doctor looks at everything that the program depends on and says, one
// line each, what is well and what is not, with a hint on what to do.
//
// It is meant for the moment in which nothing works yet, or no longer does. So
// it goes on where a command would stop: each check looks at one thing, and is
// skipped, with the reason, only when it has nothing to stand on because
// another one failed. Checks that don't need each other run at the same time,
// each within a limit of time, and are reported in a fixed order.
//
// It changes nothing at Okta, nor at the git server: all it asks for there are
// tokens and what GET gives. It accepts no commit and announces nothing. On this
// machine it writes a probe into the folders that the program writes to, and
// removes it again. It makes no folder.
package doctor
