// Package freeze says when nothing may be written to Okta, though it differs.
//
// There are two reasons. A window comes again and again: in a freeze window
// nothing is written, and where windows allow writing, nothing is written
// outside of them. A suspension is somebody's decision, with a name and a reason
// to it; it lasts until it is taken back or has expired. Both can be for all orgs
// and the account, or for some orgs.
//
// Suspensions are declared in the config or made while the program runs; the
// latter are kept in a file of the state folder (Store). Whoever can't read that
// file must take it that everything is suspended: see Rules.Unreadable.
//
// Reading, comparing and telling of drift go on while writes are held.
package freeze
