package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
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
	// What follows is about the configuration of one org.
	CreateObject   Action = Action(objects.Create)
	UpdateObject   Action = Action(objects.Update)
	DeleteObject   Action = Action(objects.Delete)
	ReorderObjects Action = Action(objects.Reorder)
)

// Plan holds all differences between desired and actual, as sorted plain data.
// Every decision is made in it: apply does what it says. Its JSON form is a
// public interface.
type Plan struct {
	// Version is PlanVersion.
	Version int `json:"version"`
	// Digest identifies the plan: the SHA-256 of its JSON with an empty digest.
	Digest string `json:"digest"`
	// Account is the id of the Aerial account.
	Account string `json:"account"`
	// Revision is the git commit that the desired state was read from, or empty.
	Revision string `json:"revision"`
	// Signer is who signed that commit, where the config requires a signature.
	Signer string `json:"signer,omitempty"`
	// Review is set in a review of a change between two revisions, nil otherwise.
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
	// Refusals are the reasons for which guards refuse to apply this plan.
	Refusals []Refusal `json:"refusals"`
	// Notes ask for something, and hold nothing up. Sorted by org.
	Notes []Note `json:"notes,omitempty"`
	// Products maps the ids of the products in the plan to their names: the
	// manifests' name where there is one, else Okta's.
	Products map[string]string `json:"products,omitempty"`
	// Objects are those that Summary.Objects counts, by kind. Saved plans don't have
	// them.
	Objects map[string]ObjectSummary `json:"-"`
}

// PlanVersion is the version of the plan's JSON form that this program writes
// and reads.
const PlanVersion = 1

// Summary counts the contents of a plan.
type Summary struct {
	// Declared counts the declared orgs, and Orgs those of them that the filters
	// leave.
	Declared int `json:"declared"`
	Orgs     int `json:"orgs"`
	// Writable counts the declared orgs that are live, may be written and have
	// something to lose; maxDestructivePercent is of these.
	Writable int `json:"writable"`
	// InSync counts the orgs without a difference.
	InSync int `json:"inSync"`
	// Changes counts all changes, blocked ones too.
	Changes   int `json:"changes"`
	Unmanaged int `json:"unmanaged"`
	Unfixable int `json:"unfixable"`
	// Unknown counts the declared orgs that could not be read.
	Unknown int `json:"unknown"`
	// Blocked counts the changes that will not be made.
	Blocked int `json:"blocked"`
	// Destructive counts the changes that remove something, blocked ones too.
	Destructive int `json:"destructive"`
	// Objects counts the objects of the orgs' configuration; nil where no org declares
	// any.
	Objects *ObjectSummary `json:"objects,omitempty"`
}

// ObjectSummary counts the declared objects of all orgs, the live ones that nobody
// declares, and the declared ones of orgs whose configuration is not known: it could
// not be read, or is not looked at yet.
type ObjectSummary struct {
	Declared  int `json:"declared"`
	InSync    int `json:"inSync"`
	Unmanaged int `json:"unmanaged"`
	Unknown   int `json:"unknown"`
}

func (s ObjectSummary) plus(t ObjectSummary) ObjectSummary {
	return ObjectSummary{s.Declared + t.Declared, s.InSync + t.InSync, s.Unmanaged + t.Unmanaged, s.Unknown + t.Unknown}
}

// Change is one call to be made.
type Change struct {
	// Org is the org's domain; empty for a change of the account.
	Org string `json:"org"`
	// OrgID is empty while the org is not linked.
	OrgID  string `json:"orgID"`
	Action Action `json:"action"`
	// Before and After are the values before and after the change: product ids
	// for update-products, one word for set-status and rename-account, nothing
	// for the others.
	Before Value `json:"before"`
	After  Value `json:"after"`
	// Enable and Disable are the product ids that update-products adds and
	// removes; nil for other actions.
	Enable  []string `json:"enable,omitzero"`
	Disable []string `json:"disable,omitzero"`
	// Additive is set where the productPolicy keeps products that aren't listed.
	Additive bool `json:"additive,omitempty"`
	// Destructive changes remove a product, deactivate or delete an org, delete or
	// deactivate an object, or take something out of a list of one.
	Destructive bool `json:"destructive"`
	// Irreversible changes can't be undone by any call of the API.
	Irreversible bool `json:"irreversible"`
	// Blocked is why the change will not be made; empty otherwise.
	Blocked string `json:"blocked"`
	// Origin says, in a review, where the difference comes from; empty otherwise.
	Origin Origin `json:"origin,omitempty"`
	// Base is what the base revision declares for the changed field, in a
	// three-way review; nothing otherwise, or where it declares nothing.
	Base Value `json:"base,omitzero"`
	// Cell is the org's cell, for create-org and link-org.
	Cell string `json:"cell,omitempty"`
	// Create holds the parameters of create-org; nil for other actions.
	Create *state.Create `json:"create,omitempty"`
	// Kind and Object name the object that is changed; Type is the type of a policy,
	// or of the policy of a rule. All are empty for changes of the org itself.
	Kind   string `json:"kind,omitempty"`
	Object string `json:"object,omitempty"`
	Type   string `json:"type,omitempty"`
	// Parent is the name of a rule's policy, as names may have slashes.
	Parent string `json:"parent,omitempty"`
	// ObjectID is the object's id, and ParentID that of a rule's policy, as far as
	// they exist. System is set for an object that Okta made.
	ObjectID string `json:"objectID,omitempty"`
	ParentID string `json:"parentID,omitempty"`
	System   bool   `json:"system,omitempty"`
	// ClientID is the service app in the org that the change is made with.
	ClientID string `json:"clientID,omitempty"`
	// Fields are the fields of the object that change, sorted by path.
	Fields []Field `json:"fields,omitempty"`
	// TakesBack is the run whose change this one takes back exactly, if the guards don't
	// count it for that; empty otherwise. It is no part of the plan's JSON: a file can't
	// claim it.
	TakesBack string `json:"-"`
	// Cause is who caused the drift that the change repairs, in words; empty if that is
	// not known. It is no part of the plan's JSON either: it comes to be known later.
	Cause string `json:"-"`
	// Risks are how the change may lock people out, one line each.
	Risks []string `json:"risks,omitempty"`
}

// Field is a field of an object that changes.
type Field struct {
	objects.FieldChange
	// Origin says, in a review, where the difference comes from; empty otherwise.
	Origin Origin `json:"origin,omitempty"`
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
	kindNothing valueKind = iota
	kindText
	kindList
)

// Text is a Value of one word.
func Text(s string) Value { return Value{text: s, kind: kindText} }

// List is a Value of many; nil counts as empty.
func List(ids []string) Value {
	if ids == nil {
		ids = []string{}
	}
	return Value{list: ids, kind: kindList}
}

// textOrNothing returns Text(s), or the zero Value for "".
func textOrNothing(s string) Value {
	if s == "" {
		return Value{}
	}
	return Text(s)
}

// Text returns the word, or "" when v isn't one.
func (v Value) Text() string { return v.text }

// List returns the list, or nil when v isn't one.
func (v Value) List() []string { return v.list }

// IsZero reports whether v is nothing at all.
func (v Value) IsZero() bool { return v.kind == kindNothing }

// Equal reports whether both are of the same kind and content.
func (v Value) Equal(w Value) bool {
	return v.kind == w.kind && v.text == w.text && slices.Equal(v.list, w.list)
}

// String returns the value for messages: a word in quotes, a list in brackets.
func (v Value) String() string {
	switch v.kind {
	case kindList:
		return fmt.Sprint(v.list)
	case kindText:
		return fmt.Sprintf("%q", v.text)
	default:
		return "nothing"
	}
}

// MarshalJSON returns an array, a string or null. It leaves it to the caller's
// encoder whether to escape HTML, which could not undo an escape.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.IsZero() {
		return []byte("null"), nil
	}
	var plain any
	switch v.kind {
	case kindList:
		plain = v.list
	case kindText:
		plain = v.text
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(plain)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON accepts an array of strings, a string or null.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{}
	var err error
	switch {
	case string(data) == "null":
	case len(data) > 0 && data[0] == '[':
		*v = List(nil)
		err = json.Unmarshal(data, &v.list)
	default:
		*v = Text("")
		err = json.Unmarshal(data, &v.text)
	}
	if err != nil {
		return fmt.Errorf("want a string or a list of strings: %w", err)
	}
	return nil
}

// Unfixable is a difference that no call of the API can fix, such as an org
// that lives in another cell.
type Unfixable struct {
	Org     string `json:"org"`
	Field   string `json:"field"`
	Desired string `json:"desired"`
	Actual  string `json:"actual"`
	// Reason is why, and what to do, where the values don't say it.
	Reason string `json:"reason,omitempty"`
	// Origin says, in a review, where the difference comes from; empty otherwise.
	Origin Origin `json:"origin,omitempty"`
	// Kind and Object name the object that differs; empty for the org itself. Saved
	// plans don't have them.
	Kind   string `json:"-"`
	Object string `json:"-"`
}

// Note is something that somebody should do about an org.
type Note struct {
	Org string `json:"org"`
	// Message is one line.
	Message string `json:"message"`
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
	// Error is the same each time for the same reason, as the plan's digest covers
	// it.
	Error string `json:"error"`
	// Part is "configuration" if it is only the org's configuration that could not be
	// read; empty otherwise.
	Part string `json:"part,omitempty"`
	// MayLose is set if something might be taken from the org if it could be
	// read: the guards count it as if it were.
	MayLose bool `json:"mayLose,omitempty"`
	// ErrorID is what Okta Support asks for, for reports and logs: it differs each
	// time, and so is no part of the plan.
	ErrorID string `json:"-"`
	// Hint is what to do about the error; empty if nothing is known.
	Hint string `json:"-"`
}

// Reason returns the error, and the id that Okta gave it.
func (u *Unknown) Reason() string {
	if u.ErrorID == "" {
		return u.Error
	}
	return u.Error + " (" + u.ErrorID + ")"
}

// Refusal is the reason for which a guard refuses to apply the plan.
type Refusal struct {
	// Guard is the name of the guard, as in the config where it has a key there.
	Guard string `json:"guard"`
	// Message names the orgs, the limit, and how to raise it.
	Message string `json:"message"`
}

// Empty reports whether desired and actual agree: nothing to change, nothing
// unfixable, nothing unknown. Unmanaged orgs are no difference.
func (p *Plan) Empty() bool {
	return !p.Differs() && len(p.Unknown) == 0
}

// NothingRead reports whether not one of the declared orgs could be read. An org of which
// only a part could not be read is none of these.
func (p *Plan) NothingRead() bool {
	whole := len(p.Unknown) - p.UnknownConfigurations()
	return whole > 0 && whole == p.Summary.Orgs
}

// UnknownConfigurations returns how many of the unknown orgs are so only because their
// configuration could not be read.
func (p *Plan) UnknownConfigurations() int {
	n := 0
	for i := range p.Unknown {
		if p.Unknown[i].Part == PartConfiguration {
			n++
		}
	}
	return n
}

// Differs reports whether there is a known difference between desired and
// actual, whether or not it will be, or can be, repaired.
func (p *Plan) Differs() bool {
	return len(p.Changes) > 0 || len(p.Unfixable) > 0
}

// Impossible returns the orgs of which something declared can't be done as things
// are, sorted: they count as failed.
func (p *Plan) Impossible() []string {
	var orgs []string
	for i := range p.Changes {
		if p.Changes[i].Impossible() {
			orgs = append(orgs, p.Changes[i].Org)
		}
	}
	for _, u := range p.Unfixable {
		if strings.HasPrefix(u.Reason, blockedUnentitled+":") {
			orgs = append(orgs, u.Org)
		}
	}
	slices.Sort(orgs)
	return slices.Compact(orgs)
}

// ReviewDiffers reports whether the reviewed change declares anything: a
// difference, a conflict, a setting or a settled field. Existing drift, which it
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
