package objects

import (
	"strings"

	"reconciler/internal/strictyaml"
)

// Ref is what an object is called within its org. Refs are comparable.
type Ref struct {
	Kind *Kind
	// Type is the type of a policy, or that of the policy of a rule; empty for other
	// kinds.
	Type string
	// Parent is the name of the policy of a rule; empty for other kinds.
	Parent string
	// Name is the value of the kind's key; the kind's name for a setting.
	Name string
}

// Object returns what a plan calls the object: POLICY/RULE for a rule, else the name.
// Where several objects are meant, as for [Reorder], Name is empty, and it is the name of
// the policy or the type of the policies.
func (r Ref) Object() string {
	switch {
	case r.Parent != "" && r.Name != "":
		return r.Parent + "/" + r.Name
	case r.Parent != "":
		return r.Parent
	case r.Name == "" && r.Type != "":
		return r.Type
	}
	return r.Name
}

// PlanKind returns what a plan calls the kind: "settings" for all settings, else the
// kind's name.
func (r Ref) PlanKind() string {
	if r.Kind.Setting {
		return Settings
	}
	return r.Kind.Name
}

// ParseRef returns the ref that a plan means by a kind, a type, the name of a parent and
// an object; false if there is none. The names of policies and rules may have slashes:
// without the parent, a rule is only found if its object has one slash alone.
func ParseRef(op Op, kind, typ, parent, object string) (Ref, bool) {
	if kind == Settings {
		k := ByName(object)
		return Ref{Kind: k, Name: object}, k != nil && k.Setting
	}
	k := ByName(kind)
	if k == nil || k.Setting {
		return Ref{}, false
	}
	ref := Ref{Kind: k, Type: typ, Name: object}
	switch {
	case op == Reorder && k.Parent != nil:
		ref.Parent, ref.Name = object, ""
	case op == Reorder:
		ref.Name = ""
	case k.Parent != nil:
		var ok bool
		if ref.Parent, ref.Name, ok = splitRule(parent, object); !ok {
			return Ref{}, false
		}
	}
	return ref, true
}

// splitRule splits POLICY/RULE.
func splitRule(policy, object string) (parent, name string, ok bool) {
	if policy != "" {
		name, ok = strings.CutPrefix(object, policy+"/")
		return policy, name, ok && name != ""
	}
	parent, name, ok = strings.Cut(object, "/")
	return parent, name, ok && parent != "" && name != "" && !strings.Contains(name, "/")
}

// Settings is the key of the settings in manifests, and their kind in plans.
const Settings = "settings"

// Object is one declared object.
type Object struct {
	Ref Ref
	// Body are the declared fields, in normal form. Key and type are among them, the
	// rules of a policy are not.
	Body map[string]any
	// Absent means that the object is to be deleted.
	Absent bool
	// System means that Okta made the object.
	System bool
	// Variable means that the key has variables: only an entry that writes it the same
	// way is about this object.
	Variable bool
	// Pos is where the object is declared; the last place where several are laid over
	// each other. Places are those of its values by their paths.
	Pos    strictyaml.Pos
	Places map[string]strictyaml.Pos
}

// Declared is what is declared of the configuration of one org. Objects may be shared
// between orgs.
type Declared struct {
	// Objects are sorted by kind, in the order of Kinds; policies of one type and
	// rules of one policy in the declared order, each policy followed by its rules;
	// other objects by name.
	Objects []*Object
}

// LiveObject is one object of an org as Okta has it.
type LiveObject struct {
	Ref Ref
	// ID is the object's id; empty for a setting. ParentID is that of its parent.
	ID, ParentID string
	// System is set if Okta made the object.
	System bool
	// Kept is set if the object has something that can't be declared, such as users, and
	// that would be lost if it were made anew.
	Kept bool
	// Body is in normal form. An id that leads to no object stays an id.
	Body map[string]any
	// Undeclarable is why fields that hold ids can't be declared, by their paths;
	// nil unless all was read.
	Undeclarable map[string]string
}

// Live is what was read of the configuration of one org.
type Live struct {
	// OrgID is the org's id as it says itself, and Engine "idx" or "v1".
	OrgID, Engine string
	// Objects are in the order of Kinds; ordered ones in the order that they have.
	Objects []*LiveObject
	// Needs are, by the id of an object that is to get another status, those that must
	// have that status before, as they are now, and the same of each of them that hasn't
	// it. See Reads.Statuses.
	Needs map[string][]*LiveObject
	// Lacks are the lists that the org doesn't have, for want of a feature; nil unless
	// all was read, as that is otherwise an error.
	Lacks []Lack
}

// Lack is a list of objects that an org doesn't have.
type Lack struct {
	Kind *Kind
	// List is what the list is called, and Reason what Okta says.
	List, Reason string
}

// Op is what a difference does.
type Op string

const (
	Create  Op = "create-object"
	Update  Op = "update-object"
	Delete  Op = "delete-object"
	Reorder Op = "reorder-objects"
)

// FieldChange is a field with its values before and after a change, in normal form;
// null stands for a value that isn't there. Path has the names of the keys joined by
// dots; a dot in a name has a backslash before it. Of a reordering the path is "order", and
// the values are lists of names: those of new objects are among them, and those of the
// objects that Okta made are not.
type FieldChange struct {
	Path   string `json:"path"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// Difference is one object that differs from what is declared. It has all that is
// needed to write it.
type Difference struct {
	Op  Op
	Ref Ref
	// ID is the object's id; empty for a new object and for a setting. ParentID is
	// that of its parent; empty if the parent is new as well.
	ID, ParentID string
	// System is set if Okta made the object.
	System bool
	// Fields are sorted by path; empty for a deletion. Of a creation they are all
	// declared fields.
	Fields []FieldChange
	// Pos is where the object is declared.
	Pos strictyaml.Pos
	// Needs are the objects that other differences must have written before, and Unmet
	// is what must be otherwise before, and is not going to be; empty if nothing is
	// missing. See Relate.
	Needs []Ref
	Unmet string
}

// Unfixable is a difference that no call can fix, such as another type.
type Unfixable struct {
	Ref            Ref
	Path           string
	Declared, Live any
	Reason         string
	// Pos is where that is declared.
	Pos strictyaml.Pos
}

// Comparison is what is different in one org.
type Comparison struct {
	// Differences are in the order in which they are written.
	Differences []Difference
	Unfixable   []Unfixable
	// Count is of all objects, and Kinds has those of each kind by its PlanKind.
	Count
	Kinds map[string]Count
	// Undeclared are the live objects that nobody declares, sorted by name, of each kind
	// by its PlanKind at most MaxUnmanaged.
	Undeclared map[string][]Ref
}

// MaxUnmanaged is how many of the objects of a kind that nobody declares are named: an
// org may have thousands of groups.
const MaxUnmanaged = 50

// Count counts the declared objects, those of them without a difference, and the live
// ones of the read kinds that nobody declares.
type Count struct{ Declared, InSync, Unmanaged int }

// CountAs takes the counts of another comparison, for which less was read.
func (c *Comparison) CountAs(other *Comparison) {
	if other != nil {
		c.Count, c.Kinds, c.Undeclared = other.Count, other.Kinds, other.Undeclared
	}
}

// Reads are the lists that have to be read for a comparison.
type Reads struct {
	// Kinds are in the order of Kinds; the kinds of children are not among them.
	Kinds []*Kind
	// Types are the types of the Typed kinds that are read, sorted.
	Types map[*Kind][]string
	// Parents are the names of the objects whose children are read, with their types.
	Parents map[Ref]bool
	// Statuses are the statuses that are declared for objects of kinds whose objects
	// depend on each other. What an object needs is read if it has another one.
	Statuses map[Ref]any
	// All is set if all that can be declared is wanted: the children of all objects as
	// well, what of an object can't be declared, and what the org lacks.
	All bool
	// BuiltIn is set if a group is named that none of the type OKTA_GROUP may be.
	BuiltIn bool
}

// Target is an org whose configuration is read or written.
type Target struct {
	// Domain is the org's domain, in lower case, and OrgID its id as Aerial has it.
	Domain, OrgID string
	// ClientID is the service app in the org; empty if another way in is to be found.
	ClientID string
}
