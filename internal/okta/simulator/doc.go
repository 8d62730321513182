// Package simulator stands in for Okta: one http.Handler that behaves like an
// Aerial org's token endpoint, the Aerial API, a parent org's Org Creator API
// and consent API, and the System Log, all on one origin.
//
// The idea is to be a little stricter than the real thing and never more
// lenient: what it lets pass, production will not refuse for a reason that
// could have been known. Assertions are verified and may be used once, DPoP
// proofs are bound to method, URL, token and key, scopes are looked at, cursors
// are opaque, products come in no order, the eleventh concurrent call gets a
// 429, linking cannot be undone, and a token of a new org is shown once.
// Where Okta's behaviour could not be confirmed, the guess stands in one small
// function that says so.
//
// A Seed says what exists at the start; it is plain data that can be read from
// YAML and dumped again. Faults make calls fail on purpose, after their effect
// too. Mutators such as SetOrgProducts change orgs behind the back of whoever
// is being tested. Everything observable is deterministic but secrets, which
// come from crypto/rand.
//
// The client shares no code with it and can't tell it from Okta: a mistake
// that both made would be found by neither.
package simulator
