package objects

import "slices"

// Kind describes a kind of Okta objects. The kinds are built once and must not be
// changed.
type Kind struct {
	// Name is the kind's key in manifests and plans, such as "networkZones". For a
	// setting it is the key below "settings", such as "threatInsight".
	Name string
	// Title is what messages call one object, such as "network zone".
	Title string
	// Doc is one sentence for editors.
	Doc string
	// Setting is set for an object of which each org has exactly one. It has no key,
	// and is neither created nor deleted.
	Setting bool
	// Fixed is set if objects can't be created or deleted, only changed, as features.
	Fixed bool
	// Pushed is set if a parent org may set the objects of its children again, as
	// features.
	Pushed bool
	// Parent is the kind of the objects that own the objects of this kind, such as
	// policies for policyRules; nil for the others.
	Parent *Kind
	// Typed is set if the API lists the objects by their type, and the key has it.
	Typed bool
	// Types are the types that a Typed kind may have.
	Types []string
	// Ordered is set if the order of the objects (of one type, or of one parent)
	// matters.
	Ordered bool
	// Key is the path of the field by which objects are known in an org, such as
	// "name" or "profile.name"; empty for a setting.
	Key string
	// BuiltIn are the names of the objects that Okta makes in every org and that the
	// list doesn't have; they can be referred to.
	BuiltIn []string
	// Own are names of objects on the list that Okta made. Of a kind with a Parent, it is
	// so below a parent that Okta made.
	Own []string
	// Fields are the fields that a manifest may have, and those that it may not have
	// and why not.
	Fields []Field
	// Oddities are what the tables can't say of this kind; all may be nil.
	Oddities Oddities
	// API is how the objects are read and written.
	API API

	order   int
	keyPath []string
	index   map[string]*Field
	names   bool // a field refers to objects
	named   bool // a field of some kind refers to objects of this one
	unique  bool // a field is Unique
	ignored map[string]bool
}

// API is how the objects of a kind are read and written.
type API struct {
	// Collection is the path of the list, and of a setting, such as
	// "/api/v1/zones". For a child, {parent} stands for the id of its parent.
	Collection string
	// Query is the query of the list, such as "limit=200"; {type} stands for the
	// type of a Typed kind.
	Query string
	// BuiltInQuery is the query of the list of the objects that are BuiltIn.
	BuiltInQuery string
	// Paged is set if the list has pages.
	Paged bool
	// Write is the method that changes an object: PUT replaces it, POST replaces
	// what is sent.
	Write string
	// Lifecycle is set if the status is changed by lifecycle/activate and
	// lifecycle/deactivate.
	Lifecycle bool
	// WhileInactive is set if an object can only be written while it is INACTIVE.
	WhileInactive bool
	// DeactivateFirst is set if only an INACTIVE object can be deleted.
	DeactivateFirst bool
	// BornInactive is set if a new object is INACTIVE whatever is sent.
	BornInactive bool
	// CreateInactive is the query with which a new object is INACTIVE; empty if there
	// is none.
	CreateInactive string
	// Dead is the status of an object that can only be deleted, such as INVALID of a
	// group rule.
	Dead string
	// Requires and RequiredBy are the paths of the lists of what must have the same
	// status before an object gets it by an action: Requires before it is switched on,
	// RequiredBy before it is switched off. {id} stands for its id; both are empty
	// where objects don't depend on each other.
	Requires, RequiredBy string
	// Scope is the OAuth scope without .read and .manage, such as
	// "okta.networkZones".
	Scope string
	// Events are the prefixes of the System Log's event types about the kind.
	Events []string
	// Engine is "idx" or "v1" if only orgs of this engine have the kind.
	Engine string
}

// Type is the JSON type of a field.
type Type uint8

const (
	// Text is a string.
	Text Type = iota
	// Integer is a whole number.
	Integer
	// Number is any number.
	Number
	// Boolean is true or false.
	Boolean
	// Mapping is an object with Fields.
	Mapping
	// List is an array; its elements are described by Elem.
	List
	// Anything is not looked into.
	Anything
)

// Field describes a field of an object, or of a part of it.
type Field struct {
	Name string
	Type Type
	// Doc is one sentence for editors.
	Doc string
	// Required is set if an object can't be created without it.
	Required bool
	// Enum are the words that a Text may be. If Open is set, Okta adds to them, and
	// other words are accepted with a warning.
	Enum []string
	Open bool
	// Min and Max bound a number, or the length of a text or list; nil is no bound.
	Min, Max *int
	// ReadOnly fields are decided by the server; Secret ones are taken off as soon as
	// they are decoded. Neither can be declared. Why says so in a message.
	ReadOnly, Secret bool
	Why              string
	// Echo is set for a ReadOnly field that is sent back as it was read: the API takes
	// its absence for a change.
	Echo bool
	// Immutable fields can only be set when the object is created. SystemFixed ones
	// can't be changed on an object that Okta made, where the value is always SystemValue
	// if that isn't nil.
	Immutable, SystemFixed bool
	SystemValue            any
	// Unique is set for a Text beside the key of which no two objects of the kind may have
	// the same.
	Unique bool
	// Actions are the calls that change the field, for one that no body can change.
	Actions []Action
	// Refers is the name of the kind whose object's id the API has here, and whose
	// name a manifest has. Words are values that are no names, such as ALL_ZONES.
	Refers string
	Words  []string
	// Elem describes the elements of a List.
	Elem *Field
	// Set is set for a List of which Okta doesn't keep the order. By names the fields
	// that identify an element of mappings; without them all of it does.
	Set bool
	By  []string
	// Fields are those of a Mapping. If Free is set, it may have others. If Whole is
	// set, it is replaced as a whole, as what it may have depends on one of its fields.
	Fields      []Field
	Free, Whole bool
	// Nullable is set if the field may be null, which clears it.
	Nullable bool
	// Empty is what Okta returns for a field that is not set, if that isn't null:
	// absent, null and Empty are the same. That of a List is always the empty list.
	Empty any
	// Types are the types of the object (of a rule: of its policy) for which the field
	// exists; none means all. Fields of other types may have the same name.
	Types []string
	// Needs is the feature or engine without which Okta refuses the field; empty if
	// all orgs have it.
	Needs string

	index map[string]*Field
	next  *Field
	// names is set if the field, or one below it, refers to objects, and hides if one of
	// its Fields is not in normal form.
	names, hides bool
}

// Action is a POST that gives a field a value. In Path, {id} stands for the id of the
// object.
type Action struct {
	Value any
	Path  string
}

// Oddities are the functions of a kind that its table can't express.
type Oddities struct {
	// Normalize, where not nil, is applied to a body before what the table says. Twice
	// must be the same as once.
	Normalize func(body map[string]any)
	// Key, where not nil, is what Normalize does to the key.
	Key func(key string) string
	// Check, where not nil, returns what is wrong with a declared body, by path. typ is
	// the type of the object, or of its parent; empty if no layer says it.
	Check func(typ string, body map[string]any) map[string]string
	// Lacks, where not nil, returns what a new object lacks beside required fields; empty
	// if it is complete.
	Lacks func(body map[string]any) string
	// Doubt, where not nil, returns what is hardly meant of an object that Okta didn't
	// make; empty if there is nothing. created is set if the body is all of it.
	Doubt func(body map[string]any, created bool) string
	// Send, where not nil, is applied to a body right before it is sent. raw is what
	// was read, or nil for a new object.
	Send func(ref Ref, raw, body map[string]any)
	// Origin, where not nil, returns whether Okta made an object, and whether it is of
	// this kind at all. Without it, the field "system" says the former. Of the fields
	// that can't be declared, it may look at those that are never Ignored.
	Origin func(raw map[string]any) (system, ours bool)
}

// Find returns the first field with this name, or nil.
func Find(fields []Field, name string) *Field { return FindFor(fields, "", name) }

// FindFor returns the field with this name that objects of this type have, or nil. If
// typ is empty, it is the first with the name.
func FindFor(fields []Field, typ, name string) *Field {
	for i := range fields {
		if f := &fields[i]; f.Name == name && f.fits(typ) {
			return f
		}
	}
	return nil
}

// fits reports whether objects of this type can have the field; an empty typ fits all.
func (f *Field) fits(typ string) bool {
	return typ == "" || len(f.Types) == 0 || slices.Contains(f.Types, typ)
}
