package objects

import "slices"

// all has the kinds in the order in which they are written.
var all = []*Kind{
	features,
	networkZones,
	groups,
	behaviors,
	policies,
	policyRules,
	trustedOrigins,
	groupRules,

	threatInsight,
	general,
	thirdPartyAdmin,
	autoAssignAdminApp,
	clientPrivileges,
	adminConsoleSession,
	userLockout,
	endUserFooter,
	communication,
	rateLimitNotifications,
	rateLimitWarning,
	rateLimitPerClient,
}

// byName has the kinds by their names.
var byName = map[string]*Kind{}

// fieldNames has the names of all fields, so that they need not be made for each object.
var fieldNames = map[string]string{}

func init() {
	for i, k := range all {
		k.order = i
		k.Fields = append(k.Fields, decided...)
		k.keyPath = SplitPath(k.Key)
		k.index = indexOf(k.Fields)
		k.unique = slices.ContainsFunc(k.Fields, func(f Field) bool { return f.Unique })
		k.names = slices.ContainsFunc(k.Fields, func(f Field) bool { return f.names })
		k.ignored = ignored(k.index)
		byName[k.Name] = k
	}
	for _, k := range all {
		markNamed(k.Fields)
	}
}

// markNamed sets named of the kinds that fields refer to.
func markNamed(fields []Field) {
	for i := range fields {
		f := &fields[i]
		if k := byName[f.Refers]; k != nil {
			k.named = true
		}
		markNamed(f.Fields)
		if f.Elem != nil {
			markNamed([]Field{*f.Elem})
		}
	}
}

// identifying are the read-only fields that tell what an object is.
var identifying = []string{"id", "type", "system", "priority"}

// ignored returns the names of the fields that comparing doesn't look at.
func ignored(index map[string]*Field) map[string]bool {
	names := map[string]bool{}
	for name, f := range index {
		decided := !slices.Contains(identifying, name)
		for ; f != nil; f = f.next {
			decided = decided && f.ReadOnly && !f.Echo
		}
		if decided {
			names[name] = true
		}
	}
	return names
}

// Ignored reports whether a field of an object as the API returns it plays no part in
// comparing: without it, Ident, KeyOf, Undeclarable and Decode return the same. Such
// fields, links above all, are most of what an answer consists of.
func (k *Kind) Ignored(field string) bool { return k.ignored[field] }

// indexOf returns the fields by their names, and prepares those below them. Fields of
// one name are linked in their order.
func indexOf(fields []Field) map[string]*Field {
	index := make(map[string]*Field, len(fields))
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		f.prepare()
		fieldNames[f.Name] = f.Name
		f.next = index[f.Name]
		index[f.Name] = f
	}
	return index
}

// prepare sets what is looked up again and again.
func (f *Field) prepare() {
	f.index = indexOf(f.Fields)
	f.names = f.Refers != ""
	if f.Elem != nil {
		f.Elem.prepare()
		f.names = f.names || f.Elem.names
	}
	for i := range f.Fields {
		f.names = f.names || f.Fields[i].names
		f.hides = f.hides || f.Fields[i].ReadOnly || f.Fields[i].Secret
	}
}

// Kinds returns all kinds in the order in which they are written: features, network
// zones, groups, behaviors, policies, policy rules, trusted origins, group rules, and
// then the settings.
func Kinds() []*Kind { return all }

// ByName returns the kind with this name, or nil; a setting by its key.
func ByName(name string) *Kind { return byName[name] }

// byOkta is why a manifest can't have the fields in decided.
const byOkta = "Okta decides it"

// decided are the fields that the server decides in each object.
var decided = []Field{
	{Name: "id", Doc: "The id of the object in this org.", ReadOnly: true, Why: byOkta},
	{Name: "created", Doc: "When the object was made.", ReadOnly: true, Why: byOkta},
	{Name: "createdBy", Doc: "Who made the object.", ReadOnly: true, Why: byOkta},
	{Name: "lastUpdated", Doc: "When the object was last changed.", ReadOnly: true, Why: byOkta},
	{Name: "lastUpdatedBy", Doc: "Who last changed the object.", ReadOnly: true, Why: byOkta},
	{Name: "editable", Type: Boolean, Doc: "Whether admins may change the object.", ReadOnly: true, Why: byOkta},
	{Name: "shared", Type: Boolean, Doc: "Whether several apps use the object.", ReadOnly: true, Why: byOkta},
	{Name: "_links", Type: Anything, Doc: "Where related objects are in the API.", ReadOnly: true, Why: byOkta},
	{Name: "_link", Type: Anything, Doc: "Where related objects are in the API.", ReadOnly: true, Why: byOkta},
	{Name: "_embedded", Type: Anything, Doc: "Related objects.", ReadOnly: true, Why: byOkta},
}

// madeByOkta is the field of kinds that have objects of Okta's own.
func madeByOkta(echo bool) Field {
	return Field{
		Name: "system", Type: Boolean, ReadOnly: true, Echo: echo, Why: byOkta,
		Doc: "Whether Okta made the object. In a manifest it stands beside the fields, and allows to change such an object.",
	}
}

// lifecycle is the field of kinds whose status is reached by lifecycle calls.
var lifecycle = Field{
	Name: "status", Enum: []string{"ACTIVE", "INACTIVE"},
	Doc: "Whether the object is in effect.",
}

// references returns a set of names of objects of a kind.
func references(name, kind, doc string) Field {
	return Field{
		Name: name, Type: List, Set: true, Doc: doc,
		Elem: &Field{Refers: kind, Doc: "The name of the object."},
	}
}

// words returns a set of words.
func words(name, doc string, open bool, enum ...string) Field {
	return Field{
		Name: name, Type: List, Set: true, Doc: doc,
		Elem: &Field{Enum: enum, Open: open, Doc: "One of them."},
	}
}

// kept returns a field of ids that have no names here.
func kept(name, doc, why string) Field {
	return Field{Name: name, Type: Anything, Doc: doc, ReadOnly: true, Echo: true, Why: why}
}

// Why fields of ids can't be declared.
const (
	usersWhy = "users have no names here; what the org has is kept"
	appsWhy  = "apps have no names here; what the org has is kept"
	idpsWhy  = "identity providers have no names here; what the org has is kept"
)
