// Package simulator simulates Okta: one http.Handler that behaves like an Aerial
// org's token endpoint, the Aerial API, a parent org's Org Creator API and
// consent API, and the System Log, all on one origin, and under /org/{domain} each
// org's own Management API.
//
// It is a little stricter than Okta and never more lenient, so that Okta accepts
// what it accepts. Assertions are verified and may be used once, DPoP proofs are
// bound to method, URL, token and key, scopes are checked, cursors are opaque,
// products have no order, the eleventh concurrent call gets a 429, linking can't
// be undone, and the token of a new org is returned once. Behaviour that could
// not be confirmed is in small functions whose comments say so.
//
// A Seed is what exists at the start: plain data that can be read from YAML and
// dumped again. Faults make calls fail, also after they took effect. Methods such
// as SetOrgProducts change orgs without the API. Everything is deterministic
// except secrets, which come from crypto/rand.
//
// The client shares no code with it, so that they can't share a mistake.
package simulator
