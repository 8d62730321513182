package diff

// Origin is where a difference comes from, in a review of a change between two
// revisions.
type Origin string

const (
	// ThisChange is a difference that the change declares and that wasn't there
	// before it.
	ThisChange Origin = "this-change"
	// ExistingDrift is a difference that is there without the change: live
	// differs from what the base declares already.
	ExistingDrift Origin = "existing-drift"
	// Conflict is both: the change declares something else for a field of
	// which live differs from the base already.
	Conflict Origin = "conflict"
)

// ReviewKind is what a review compares.
type ReviewKind string

const (
	// Declared is a review from the manifests alone: the plan's changes lead
	// from what the base declares to what the head declares. Live state is not
	// known, and it is never applied.
	Declared ReviewKind = "declared"
	// ThreeWay is a review with live state: the plan's changes lead from live
	// to what the head declares, each with its Origin.
	ThreeWay ReviewKind = "three-way"
)

// Review describes, beside the changes of the plan, a change between two
// revisions.
type Review struct {
	Kind ReviewKind `json:"kind"`
	// Base and Head are the commits; Head is empty for the files of a working
	// tree.
	Base string `json:"base"`
	Head string `json:"head"`
	// BaseNote is why the base is not the requested commit; empty when it is.
	BaseNote string `json:"baseNote,omitempty"`
	// Settings are the declarations that cause no write, such as an org that is
	// no longer protected. Sorted by org, then by field.
	Settings []Setting `json:"settings"`
	// Settled are fields that live has already as the change declares them:
	// somebody made the change by hand. Sorted like Settings; always empty in a
	// declared review.
	Settled []Settled `json:"settled"`
	// ThisChange, ExistingDrift and Conflicts count the plan's changes and
	// unfixable differences by their origin.
	ThisChange    int `json:"thisChange"`
	ExistingDrift int `json:"existingDrift"`
	Conflicts     int `json:"conflicts"`
}

// Setting is a declaration that a change adds, alters or removes and that causes
// no write. A side without a declaration is empty.
type Setting struct {
	// Org is the domain; empty for the account.
	Org string `json:"org"`
	// Field is the key of the manifest, or "declared" for an org as a whole.
	Field string `json:"field"`
	Base  string `json:"base"`
	Head  string `json:"head"`
}

// Settled is a field that both the change and live have moved away from the
// base, to the same value.
type Settled struct {
	Org   string `json:"org"`
	Field string `json:"field"`
	// Base is what the base declares, and Head what the head declares and
	// live has.
	Base Value `json:"base"`
	Head Value `json:"head"`
}
