package diff

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"reconciler/internal/state"
)

// Action is what a change does. The order of the constants is the order in
// which the changes of one org are applied.
type Action string

const (
	RenameAccount   Action = "rename-account"
	CreateOrg       Action = "create-org"
	LinkOrg         Action = "link-org"
	UpdateProducts  Action = "update-products"
	SetStatus       Action = "set-status"
	RequestDeletion Action = "request-deletion"
)

// Plan is everything that separates desired from actual, as sorted plain
// data. It decides nothing any more: what it says is what apply does. Its JSON
// form is a public interface.
type Plan struct {
	// Version of the JSON form; PlanVersion.
	Version int `json:"version"`
	// Digest identifies the plan: the SHA-256 of its JSON with an empty digest.
	Digest string `json:"digest"`
	// Account is the id of the Aerial account.
	Account string `json:"account"`
	// Revision is the git commit that the desired state was read from, or empty.
	Revision string `json:"revision"`
	// Signer is who signed that commit, where the config wants it signed.
	Signer string `json:"signer,omitempty"`
	// Review is set where the plan is one of a change between two revisions;
	// nil in the plan of a single desired state.
	Review  *Review `json:"review,omitempty"`
	Summary Summary `json:"summary"`
	// Changes are sorted by org, then by the order in which they are applied.
	// A change of the account itself has no org and comes first.
	Changes []Change `json:"changes"`
	// Unfixable are differences that no call of the API can fix.
	Unfixable []Unfixable `json:"unfixable"`
	// Unmanaged are orgs that are linked to the account and not declared.
	Unmanaged []Unmanaged `json:"unmanaged"`
	// Unknown are declared orgs that could not be read.
	Unknown []Unknown `json:"unknown"`
	// Refusals are what the guards say to applying this plan.
	Refusals []Refusal `json:"refusals"`
	// Products names the products that the plan speaks of, by id: the name
	// from the manifests where there is one, else Okta's.
	Products map[string]string `json:"products,omitempty"`
}

// PlanVersion is the version of the plan's JSON form that this program writes
// and reads.
const PlanVersion = 1

// Summary counts what is in the plan.
type Summary struct {
	// Declared is how many orgs are declared, and Orgs how many of these the
	// filters left to be looked at.
	Declared int `json:"declared"`
	Orgs     int `json:"orgs"`
	// InSync is how many of them need nothing.
	InSync int `json:"inSync"`
	// Changes counts all changes, blocked ones too.
	Changes   int `json:"changes"`
	Unmanaged int `json:"unmanaged"`
	Unfixable int `json:"unfixable"`
	// Unknown is how many declared orgs could not be read.
	Unknown int `json:"unknown"`
	// Blocked is how many changes will not be made.
	Blocked int `json:"blocked"`
	// Destructive is how many changes take something away, blocked ones too.
	Destructive int `json:"destructive"`
}

// Change is one call to be made.
type Change struct {
	// Org is the org's domain; empty for a change of the account.
	Org string `json:"org"`
	// OrgID is empty while the org is not linked.
	OrgID  string `json:"orgID"`
	Action Action `json:"action"`
	// Before is what the change rests on and After what it leads to: product
	// ids for update-products, one word for set-status and rename-account,
	// nothing for the others.
	Before Value `json:"before"`
	After  Value `json:"after"`
	// Enable and Disable are the product ids that update-products adds and
	// takes away; nil for other actions.
	Enable  []string `json:"enable,omitzero"`
	Disable []string `json:"disable,omitzero"`
	// Additive says that products which the org turns out to have besides are
	// kept, as its productPolicy wants it.
	Additive bool `json:"additive,omitempty"`
	// Destructive changes take a product away, deactivate or delete an org.
	Destructive bool `json:"destructive"`
	// Irreversible changes can't be undone by any call of the API.
	Irreversible bool `json:"irreversible"`
	// Blocked is why the change will not be made; empty otherwise.
	Blocked string `json:"blocked"`
	// Origin says, in a review, where the difference comes from; empty otherwise.
	Origin Origin `json:"origin,omitempty"`
	// Base is, in a three-way review, what the base revision declares for what
	// is changed here; nothing otherwise, and where the base says nothing of it.
	Base Value `json:"base,omitzero"`
	// Cell is where create-org and link-org find the org.
	Cell string `json:"cell,omitempty"`
	// Create is what create-org needs; nil for other actions.
	Create *state.Create `json:"create,omitempty"`
}

// Value is one side of a change: a list of product ids, one word, or nothing.
// Its JSON is an array, a string or null.
type Value struct {
	list []string
	text string
	kind valueKind
}

type valueKind uint8

const (
	nothing valueKind = iota
	text
	list
)

// Text is a Value of one word.
func Text(s string) Value { return Value{text: s, kind: text} }

// List is a Value of many; nil counts as empty.
func List(ids []string) Value {
	if ids == nil {
		ids = []string{}
	}
	return Value{list: ids, kind: list}
}

// maybeText is Text, and nothing for "".
func maybeText(s string) Value {
	if s == "" {
		return Value{}
	}
	return Text(s)
}

// maybeList is List, and nothing for nil.
func maybeList(all []string) Value {
	if all == nil {
		return Value{}
	}
	return List(all)
}

// Text returns the word, or "" when v isn't one.
func (v Value) Text() string { return v.text }

// List returns the list, or nil when v isn't one.
func (v Value) List() []string { return v.list }

// IsZero reports whether v is nothing at all.
func (v Value) IsZero() bool { return v.kind == nothing }

// Equal compares by kind and content.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.text == w.text && equalLists(v.list, w.list)
}

func equalLists(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// MarshalJSON returns an array, a string or null.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case list:
		return marshalPlain(v.list)
	case text:
		return marshalPlain(v.text)
	default:
		return []byte("null"), nil
	}
}

// marshalPlain leaves it to the caller's encoder whether to escape HTML: what
// is escaped here could not be taken back there.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// UnmarshalJSON takes an array of strings, a string or null.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{}
	switch {
	case string(data) == "null":
		return nil
	case len(data) > 0 && data[0] == '[':
		var ids []string
		if err := json.Unmarshal(data, &ids); err != nil {
			return fmt.Errorf("want a list of strings: %w", err)
		}
		*v = List(ids)
		return nil
	default:
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("want a string or a list of strings: %w", err)
		}
		*v = Text(s)
		return nil
	}
}

// Unfixable is a difference that no call of the API can fix, such as an org
// that lives in another cell.
type Unfixable struct {
	Org     string `json:"org"`
	Field   string `json:"field"`
	Desired string `json:"desired"`
	Actual  string `json:"actual"`
	// Origin says, in a review, where the difference comes from; empty otherwise.
	Origin Origin `json:"origin,omitempty"`
}

// Unmanaged is an org that is linked to the account and not declared.
type Unmanaged struct {
	Org   string `json:"org"`
	OrgID string `json:"orgID"`
}

// Unknown is a declared org that could not be read, and why.
type Unknown struct {
	Org   string `json:"org"`
	OrgID string `json:"orgID"`
	Error string `json:"error"`
}

// Refusal is a guard's word against applying the plan.
type Refusal struct {
	// Guard is the name of the guard, as in the config where it has a key there.
	Guard string `json:"guard"`
	// Message says which orgs, which limit, and how to raise it.
	Message string `json:"message"`
}

// Empty reports whether desired and actual agree: nothing to change, nothing
// unfixable, nothing unknown. Unmanaged orgs are no difference.
func (p *Plan) Empty() bool {
	return !p.Differs() && len(p.Unknown) == 0
}

// Differs reports whether there is a known difference between desired and
// actual, whether or not it will be, or can be, repaired.
func (p *Plan) Differs() bool {
	return len(p.Changes) > 0 || len(p.Unfixable) > 0
}

// ReviewDiffers says, in a review, whether the change declares anything: a
// difference, a conflict, a setting or what is settled. Existing drift, which it
// did not cause, doesn't count. Without a review it is Differs.
func (p *Plan) ReviewDiffers() bool {
	r := p.Review
	if r == nil {
		return p.Differs()
	}
	return r.ThisChange+r.Conflicts+len(r.Settled)+len(r.Settings) > 0
}

// Seal sets the plan's digest, after which nothing in it may be changed.
func (p *Plan) Seal() error {
	digest, err := p.computeDigest()
	p.Digest = digest
	return err
}

// computeDigest returns the plan's digest. It covers every byte of the plan but
// the digest itself, so that a plan that was edited is found out.
func (p *Plan) computeDigest() (string, error) {
	bare := *p
	bare.Digest = ""
	data, err := json.Marshal(&bare)
	if err != nil {
		return "", fmt.Errorf("computing the plan's digest: %w", err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
