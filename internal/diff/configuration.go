package diff

import (
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// Configuration is what came of reading the configuration of one org. It holds the
// differences, and nothing of the objects that are in sync.
type Configuration struct {
	// Unknown is why the configuration is not known, the same each time for the same
	// reason; empty if it was read. ErrorID is what Okta Support asks for.
	Unknown, ErrorID string
	// Declared counts the declared objects.
	Declared int
	// Head is the comparison with what is declared; nil if it is not known.
	Head *objects.Comparison
	// Base is, in a three-way review, the comparison with what the base declares.
	Base *objects.Comparison
	// Risks are how each of Head's differences may lock people out, by its index.
	Risks map[int][]string
	// Lockouts are the reasons for which the differences must not be written at all.
	Lockouts []string
}

// Lockout is what decides whether a configuration locks people out.
type Lockout struct {
	// Allowed are the domains of orgs for which the interlocks don't hold.
	Allowed []string
	// Own are the addresses that must not be blocked.
	Own []string
}

// CompareConfiguration compares what base (nil: there is no review) and head declare of
// an org with what is live.
func CompareConfiguration(base, head *state.DesiredOrg, live *objects.Live, l Lockout) *Configuration {
	panic("not built")
}

// RecheckConfiguration compares the changes of a saved plan to the objects of one org
// with what is live: Head has what still differs, and Unknown why the changes can't be
// made any more.
func RecheckConfiguration(changes []Change, live *objects.Live, l Lockout) *Configuration {
	panic("not built")
}

// Difference returns the change of an object in the form in which it is written; false
// if the change isn't about an object.
func (c *Change) Difference() (objects.Difference, bool) { panic("not built") }
