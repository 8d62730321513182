// Package signin decides who may use the daemon's endpoints: bearer tokens of a file,
// people who signed in at an OpenID provider, or, where the config says so, anybody.
//
// A [Gate] stands before all endpoints. It checks the host that a request is for, who
// makes it, which role they have, and, for what changes something, that the request comes
// from a page of the daemon itself. Sessions are encrypted cookies: nothing of them is
// kept here, so that they outlive a restart and hold at a daemon that takes over.
package signin
