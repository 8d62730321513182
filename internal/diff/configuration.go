package diff

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Configuration is what came of reading the configuration of one org. It holds the
// differences, and nothing of the objects that are in sync.
type Configuration struct {
	// Unknown is why the configuration is not known, the same each time for the same
	// reason; empty if it was read. ErrorID is what Okta Support asks for, and Hint what
	// to do about it.
	Unknown, ErrorID, Hint string
	// Declared counts the declared objects.
	Declared int
	// Head is the comparison with what is declared; nil if it is not known.
	Head *objects.Comparison
	// Base is, in a three-way review, the comparison with what the base declares.
	Base *objects.Comparison
	// Risks are how each of Head's differences may lock people out, by its index.
	Risks map[int][]string
	// Lockouts are the reasons for which the differences must not be written at all,
	// and LockoutsKept those for which they must not be even where those that take
	// something away are blocked.
	Lockouts, LockoutsKept []string
	// Features are those that the org has; nil unless it was read for some that are
	// declared.
	Features []Feature
	// outdated is why changes of a saved plan can't be made any more.
	outdated map[objectOp]string
}

// Feature is a feature of an org.
type Feature struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// kindFeatures is the kind of features.
const kindFeatures = "features"

// FeaturesOf returns the features among live objects, in their order.
func FeaturesOf(live *objects.Live) []Feature {
	var all []Feature
	for _, o := range live.Objects {
		if o.Ref.Kind.Name == kindFeatures {
			status, _ := o.Body["status"].(string)
			all = append(all, Feature{ID: o.ID, Name: o.Ref.Name, Status: status})
		}
	}
	return all
}

// objectOp identifies a change of an org's configuration. An object that can only be
// deleted is deleted and created.
type objectOp struct {
	op  objects.Op
	ref objects.Ref
}

func opOf(d *objects.Difference) objectOp { return objectOp{d.Op, d.Ref} }

// PartConfiguration is the Part of an Unknown of which only the org's configuration
// could not be read.
const PartConfiguration = "configuration"

// CompareConfiguration compares what base (nil: there is no review) and head declare of
// an org with what is live. own are the networks that no blocklist may hold.
func CompareConfiguration(base, head *state.DesiredOrg, live *objects.Live, own []netip.Prefix) *Configuration {
	c := &Configuration{Declared: countObjects(head), Features: FeaturesOf(live)}
	var err error
	if c.Head, err = objects.Compare(declaredBy(head), live); err != nil {
		c.Head, c.Unknown = nil, unclear(err)
		return c
	}
	if base != nil {
		// A base that doesn't fit the live objects knows nothing of any drift.
		if c.Base, err = objects.Compare(declaredBy(base), live); err != nil {
			c.Base = nil
		}
	}
	c.judge(live, own)
	return c
}

// judge sets the risks and the lockouts of the differences.
func (c *Configuration) judge(live *objects.Live, own []netip.Prefix) {
	all := c.Head.Differences
	if !slices.ContainsFunc(all, mayLockOut) {
		return
	}
	before, after := newSituation(live), newSituation(objects.After(live, all))
	c.Risks = risks(before, after, all)
	c.Lockouts = lockouts(before, live, all, own)
	c.LockoutsKept = c.Lockouts
	kept := slices.DeleteFunc(slices.Clone(all), func(d objects.Difference) bool { return d.Loses() })
	if len(kept) < len(all) {
		c.LockoutsKept = lockouts(before, live, kept, own)
	}
}

// ToJudge returns what has to be read of an org to judge whether its differences lock
// people out: where one is about who may sign in, the rules of all sign-on policies, and
// the names of the groups that these are for. It is empty if there is no such difference.
// live is what was read so far.
func (c *Configuration) ToJudge(live *objects.Live) objects.Reads {
	if c.Head == nil || !slices.ContainsFunc(c.Head.Differences, func(d objects.Difference) bool { return d.Ref.Type == typeSignOn }) {
		return objects.Reads{}
	}
	policies := objects.ByName(kindPolicies)
	reads := objects.Reads{
		Kinds:   []*objects.Kind{objects.ByName(kindGroups), policies},
		Types:   map[*objects.Kind][]string{policies: {typeSignOn}},
		Parents: map[objects.Ref]bool{},
		BuiltIn: true,
	}
	for _, o := range live.Objects {
		if o.Ref.Kind == policies && o.Ref.Type == typeSignOn {
			reads.Parents[o.Ref] = true
		}
	}
	return reads
}

// unclear returns why declared and live objects can't be matched, with the place of
// the declaration.
func unclear(err error) string {
	var e *objects.AmbiguousError
	if !errors.As(err, &e) || e.Object == nil {
		return err.Error()
	}
	return placed(err.Error(), e.Object.Pos)
}

// placed returns a reason with the place of the declaration, if that is known.
func placed(reason string, pos strictyaml.Pos) string {
	if pos == (strictyaml.Pos{}) {
		return reason
	}
	return fmt.Sprintf("%s (%s)", reason, pos)
}

// declaredBy returns what is declared of an org's configuration, never nil.
func declaredBy(org *state.DesiredOrg) *objects.Declared {
	if org == nil || org.Config == nil {
		return &objects.Declared{}
	}
	return org.Config
}

func countObjects(org *state.DesiredOrg) int { return len(declaredBy(org).Objects) }

// RecheckConfiguration compares the changes of a saved plan to the objects of one org
// with what is live: Head has what is to be written, and Unknown why the org's objects
// can't be matched any more. The changes that can't be made any more are for Revalidate.
func RecheckConfiguration(changes []Change, live *objects.Live, own []netip.Prefix) *Configuration {
	c := &Configuration{Head: &objects.Comparison{}, outdated: map[objectOp]string{}}
	found := newFinder(live)
	var all []objects.Difference
	declared := map[objects.Ref]any{}
	for i := range changes {
		if d, ok := changes[i].Difference(); ok && changes[i].Blocked == "" {
			all = append(all, d)
			declared[d.Ref] = d.Switches()
		}
	}
	for _, d := range objects.Relate(all, live, func(r objects.Ref) any { return declared[r] }) {
		if why := found.outdated(&d); why != "" {
			c.outdated[opOf(&d)] = why
			continue
		}
		if d.Unmet != "" {
			c.outdated[opOf(&d)] = d.Unmet
			continue
		}
		c.Head.Differences = append(c.Head.Differences, d)
	}
	c.judge(live, own)
	return c
}

// finder finds live objects.
type finder struct {
	byID  map[string]*objects.LiveObject // by kind and id
	byRef map[objects.Ref][]*objects.LiveObject
	// order are the names of the objects of each group of ordered ones, without those
	// that Okta made, and with those that the plan creates.
	order map[objects.Ref][]string
}

func newFinder(live *objects.Live) *finder {
	f := &finder{byID: map[string]*objects.LiveObject{}, byRef: map[objects.Ref][]*objects.LiveObject{}, order: map[objects.Ref][]string{}}
	for _, o := range live.Objects {
		if !o.System {
			f.order[groupOf(o.Ref)] = append(f.order[groupOf(o.Ref)], o.Ref.Name)
		}
		f.byRef[o.Ref] = append(f.byRef[o.Ref], o)
		if o.ID != "" {
			f.byID[o.Ref.Kind.Name+" "+o.ID] = o
		}
	}
	return f
}

// groupOf returns what the objects of one order have in common.
func groupOf(r objects.Ref) objects.Ref {
	r.Name = ""
	return r
}

// outdated returns why a difference of a saved plan can't be written any more, or "".
// The differences come in the order of the plan.
func (f *finder) outdated(d *objects.Difference) string {
	if d.Op == objects.Reorder {
		return misfit(d.CheckOrder(f.order[d.Ref]))
	}
	same := f.byRef[d.Ref]
	var o *objects.LiveObject
	if len(same) > 0 {
		o = same[0]
	}
	byID := f.byID[d.Ref.Kind.Name+" "+d.ID]
	switch {
	case len(same) > 1:
		return "two live objects have this name"
	case byID != nil && byID != o:
		return "it is called " + byID.Ref.Object() + " now"
	}
	why := misfit(d.Check(o))
	switch {
	case why != "":
	case d.Op == objects.Create && o == nil:
		f.order[groupOf(d.Ref)] = append(f.order[groupOf(d.Ref)], d.Ref.Name)
	case d.Op == objects.Delete:
		delete(f.byRef, d.Ref) // it may be created again
	}
	return why
}

// misfit returns why a live object is not as a difference was made for, or "".
func misfit(err error) string {
	var elsewhere *objects.MovedError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, objects.ErrAlready):
		return "it is so already"
	case errors.As(err, &elsewhere) && len(elsewhere.Fields) > 0:
		f := elsewhere.Fields[0]
		return fmt.Sprintf("%s: live is %s, but the plan was made for %s", f.Path, jsonText(f.After), jsonText(f.Before))
	}
	return err.Error()
}

// IsObject reports whether the change is one of the org's configuration.
func (c *Change) IsObject() bool {
	switch c.Action {
	case CreateObject, UpdateObject, DeleteObject, ReorderObjects:
		return true
	}
	return false
}

// recreates reports whether the change makes an object again that the one before it
// deletes.
func (c *Change) recreates(before *Change) bool {
	return c.Action == CreateObject && before.Action == DeleteObject && before.Field() == c.Field()
}

// Difference returns the change of an object in the form in which it is written; false
// if the change isn't about an object.
func (c *Change) Difference() (objects.Difference, bool) {
	if !c.IsObject() {
		return objects.Difference{}, false
	}
	ref, ok := objects.ParseRef(objects.Op(c.Action), c.Kind, c.Type, c.Parent, c.Object)
	if !ok {
		return objects.Difference{}, false
	}
	d := objects.Difference{Op: objects.Op(c.Action), Ref: ref, ID: c.ObjectID, ParentID: c.ParentID, System: c.System}
	for _, f := range c.Fields {
		d.Fields = append(d.Fields, f.FieldChange)
	}
	return d, true
}

// changeOf returns the change that makes a difference, without its org.
func changeOf(d *objects.Difference) Change {
	c := Change{
		Action: Action(d.Op), Kind: d.Ref.PlanKind(), Object: d.Ref.Object(), Type: d.Ref.Type, Parent: d.Ref.Parent,
		ObjectID: d.ID, ParentID: d.ParentID, System: d.System, Destructive: d.Loses(),
	}
	for _, f := range d.Fields {
		c.Fields = append(c.Fields, Field{FieldChange: f})
	}
	return c
}

// Field returns what the change writes, as in reviews, drift and metrics: a field of
// the org, or an object of its configuration as KIND/OBJECT or KIND/TYPE/OBJECT.
func (c *Change) Field() string {
	if !c.IsObject() {
		return FieldOf(c.Action)
	}
	return objectField(c.Kind, c.Type, c.Object)
}

func objectField(kind, typ, object string) string {
	if typ == "" || typ == object { // the order of all policies of a type
		return kind + "/" + object
	}
	return kind + "/" + typ + "/" + object
}

// FieldOfRef returns what drift and plans call an object, such as "networkZones/Offices".
func FieldOfRef(r objects.Ref) string { return fieldOfRef(r) }

func fieldOfRef(r objects.Ref) string { return objectField(r.PlanKind(), r.Type, r.Object()) }

// fieldOfObject returns a field of an object, such as "networkZones/Offices: type"; the
// object alone without a path.
func fieldOfObject(r objects.Ref, path string) string {
	if path == "" {
		return fieldOfRef(r)
	}
	return fieldOfRef(r) + ": " + path
}

// sidesOf returns the sides of an unfixable difference. One without a path is about
// the object as a whole.
func sidesOf(u *objects.Unfixable) (declared, actual string) {
	switch {
	case u.Path != "":
		return jsonText(u.Declared), jsonText(u.Live)
	case u.Declared == absent:
		return absent, "there"
	}
	return FieldDeclared, absent
}

// absent is what an object is declared that must not be there.
const absent = "absent"

// configure plans the org's configuration, if it is looked at.
func (d *orgDiff) configure(org *state.Org, opts Options) {
	if opts.Configuration == nil || countObjects(d.org) == 0 {
		return
	}
	if d.dormant(org) {
		return
	}
	c := opts.Configuration(d.org.Domain)
	if c == nil {
		c = &Configuration{Unknown: "the org's configuration was not read"}
	}
	if c.Unknown != "" {
		d.unknown = append(d.unknown, Unknown{Org: d.org.Domain, OrgID: org.ID, Error: c.Unknown, ErrorID: c.ErrorID, Hint: c.Hint, Part: PartConfiguration})
		return
	}
	d.writeObjects(org.ID, c.Head, c.Risks)
	d.lockouts, d.lockoutsKept = c.Lockouts, c.LockoutsKept
}

// writeObjects adds the differences of the org's configuration to its changes.
func (d *orgDiff) writeObjects(orgID string, all *objects.Comparison, risks map[int][]string) {
	d.needs = map[string][]objects.Ref{}
	d.changes = slices.Grow(d.changes, len(all.Differences))
	for i := range all.Differences {
		c := changeOf(&all.Differences[i])
		c.OrgID, c.ClientID, c.Risks = orgID, d.org.ClientID, risks[i]
		if unmet := all.Differences[i].Unmet; unmet != "" {
			c.Blocked = blockedUnmet + ": " + unmet
		}
		if needs := all.Differences[i].Needs; needs != nil {
			d.needs[c.Field()] = needs
		}
		d.add(c)
	}
	for i := range all.Unfixable {
		u := &all.Unfixable[i]
		declared, actual := sidesOf(u)
		d.cannotFix(fieldOfObject(u.Ref, u.Path), declared, actual)
		no := &d.unfixable[len(d.unfixable)-1]
		no.Reason, no.Kind, no.Object = placed(u.Reason, u.Pos), u.Ref.PlanKind(), u.Ref.Object()
	}
	d.objects = map[string]ObjectSummary{}
	for kind, n := range all.Kinds {
		d.objects[kind] = ObjectSummary{Declared: n.Declared, InSync: n.InSync, Unmanaged: n.Unmanaged}
	}
	slices.SortStableFunc(d.changes, compareChanges)
}

// dormant reports whether an org is not configured because it is INACTIVE, or becomes
// so or ACTIVE in this run, and notes that.
func (d *orgDiff) dormant(org *state.Org) bool {
	switch {
	case cmp.Or(d.org.Status, org.Status) == state.Inactive:
		d.note("its configuration is left alone while the org is INACTIVE")
	case org.Status == state.Inactive:
		d.note("its configuration comes in the run after the one that activates it")
	default:
		return false
	}
	return true
}

func (d *orgDiff) note(message string) {
	d.notes = append(d.notes, Note{Org: d.org.Domain, Message: message})
}

// mayLoseObjects reports whether something might be taken from the org's
// configuration, which could not be read: an object that is declared absent or
// INACTIVE, or an entry of a list.
func (d *orgDiff) mayLoseObjects(opts Options) bool {
	if d.org.Mode == state.Report || d.gainsOnly || reason(opts.Held, d.org.Domain) != "" {
		return false
	}
	return slices.ContainsFunc(declaredBy(d.org).Objects, func(o *objects.Object) bool {
		return o.Absent || o.Body["status"] == string(state.Inactive) || o.Body["status"] == "DISABLED" || hasList(o.Body)
	})
}

// hasList reports whether a list is anywhere in a body.
func hasList(v any) bool {
	switch v := v.(type) {
	case []any:
		return true
	case map[string]any:
		for _, x := range v {
			if hasList(x) {
				return true
			}
		}
	}
	return false
}

// locked returns the lockouts of the changes that will be made.
func (d *orgDiff) locked() []string {
	made, kept := false, false
	for i := range d.changes {
		c := &d.changes[i]
		made = made || c.IsObject() && c.Blocked == ""
		kept = kept || c.IsObject() && c.Blocked != ""
	}
	switch {
	case !made:
		return nil
	case kept:
		return d.lockoutsKept
	}
	return d.lockouts
}

// configurationOf returns what came of reading an org's configuration; nil if it is
// not looked at.
func (o *Options) configurationOf(org *state.DesiredOrg) *Configuration {
	if o.Configuration == nil || countObjects(org) == 0 {
		return nil
	}
	return o.Configuration(org.Domain)
}

// ofObject reports whether the difference is one of the org's configuration, whose
// fields have a slash.
func (u *Unfixable) ofObject() bool { return strings.Contains(u.Field, "/") }

// configureLater notes that an org which is to be linked is configured after that.
func (d *orgDiff) configureLater() {
	switch {
	case len(d.changes) == 0: // it is gone, as declared
		d.objects = nil
	case len(d.objects) > 0:
		d.note("its configuration comes in the run after the one that links it")
	}
}

// unknownObjects counts the objects of an org by kind until they are compared.
func unknownObjects(org *state.DesiredOrg) map[string]ObjectSummary {
	return countKinds(declaredBy(org), ObjectSummary{Declared: 1, Unknown: 1})
}

// countKinds counts declared objects by kind, each as one; nil if there are none.
func countKinds(d *objects.Declared, one ObjectSummary) map[string]ObjectSummary {
	if len(d.Objects) == 0 {
		return nil
	}
	all := map[string]ObjectSummary{}
	for _, o := range d.Objects {
		kind := o.Ref.PlanKind()
		all[kind] = all[kind].plus(one)
	}
	return all
}

// jsonText returns a value of an object as compact JSON.
func jsonText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
