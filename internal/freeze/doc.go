// Package freeze decides when nothing may be written to Okta.
//
// There are two reasons. A window recurs: in a freeze window nothing is written,
// and where windows allow writing, nothing is written outside of them. A suspension
// is somebody's decision, with an owner and a reason; it lasts until it is taken
// back or has expired. Both can be for all orgs and the account, or for some orgs.
//
// Suspensions are declared in the config, or made while the program runs and kept
// in the journal. If that can't be read, everything must be treated as suspended:
// see Rules.Unreadable.
//
// Reading, comparing and reporting drift go on while writes are held.
package freeze
