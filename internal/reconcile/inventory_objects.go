package reconcile

import (
	"maps"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

// ObjectItem is an object of the configuration of one org. Its JSON form is a public
// interface.
type ObjectItem struct {
	Org string `json:"org"`
	// Field is what plans and drift call it, such as "networkZones/Offices"; Kind, Type
	// (of policies and their rules) and Object are its parts.
	Field  string `json:"field"`
	Kind   string `json:"kind"`
	Type   string `json:"type,omitempty"`
	Object string `json:"object"`
	// Declared reports whether the manifests declare that there is one, and Absent
	// whether they declare that there must be none.
	Declared bool `json:"declared"`
	Absent   bool `json:"absent,omitempty"`
	// Live reports whether the org has one, as far as it was read.
	Live  bool      `json:"live"`
	State SyncState `json:"state"`
	// Fields is how many fields differ; 1 for an object that is missing, or there and
	// must not be.
	Fields int `json:"fields"`
}

// KindItem counts the objects of one kind in the orgs. Its JSON form is a public
// interface.
type KindItem struct {
	Kind string `json:"kind"`
	// Orgs is how many orgs declare some.
	Orgs int `json:"orgs"`
	// Declared counts those that are declared, and the others them by their state.
	// Unmanaged is of all that nobody declares, also of those that are not listed.
	Declared  int `json:"declared"`
	InSync    int `json:"inSync"`
	Drifted   int `json:"drifted"`
	Missing   int `json:"missing"`
	Unknown   int `json:"unknown"`
	Unmanaged int `json:"unmanaged"`
}

// orgObject identifies an object.
type orgObject struct{ org, field string }

// knownObject is an object as the state of its org has it. The states are those that it
// has unless it differs.
type knownObject struct {
	field string
	// kind, typ and object are the parts of field.
	kind, typ, object      string
	declared, absent, live bool
	state                  SyncState
	// more is how many more unmanaged ones of its kind there are, which are not named.
	more int
}

// newKnownObject returns an object that plans and drift call field.
func newKnownObject(field string) *knownObject {
	k := &knownObject{field: field}
	k.kind, k.object, _ = strings.Cut(field, "/")
	if of := objects.ByName(k.kind); of != nil && typed(of) {
		if typ, name, ok := strings.Cut(k.object, "/"); ok {
			k.typ, k.object = typ, name
		}
	}
	return k
}

// objectsOf returns the objects of an org, sorted by field.
func objectsOf(declared *declaredSide, live *liveSide) []*knownObject {
	n := 0
	if declared != nil {
		n += len(declared.Configuration)
	}
	if live != nil {
		n += len(live.Unmanaged)
	}
	all := make([]*knownObject, 0, n)
	if declared != nil {
		for field, is := range declared.Configuration {
			o := newKnownObject(field)
			o.declared, o.absent, o.state = bool(is), !bool(is), InSync
			switch {
			case live == nil:
				o.state = Missing
			case live.Configuration == nil:
				o.state = Unknown // not read
			default:
				_, o.live = live.Configuration[field]
			}
			all = append(all, o)
		}
	}
	if live != nil {
		named := map[string]bool{}
		for _, field := range live.Unmanaged {
			o := newKnownObject(field)
			o.live, o.state = true, Unmanaged
			if !named[o.kind] {
				named[o.kind] = true
				o.more = live.UnmanagedMore[o.kind]
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *knownObject) int { return strings.Compare(a.field, b.field) })
	return all
}

// item returns an object of an org as lists have it.
func (k *knownObject) item(inv *Inventory, o *OrgItem) ObjectItem {
	item := ObjectItem{
		Org: o.Domain, Field: k.field, Kind: k.kind, Type: k.typ, Object: k.object, Declared: k.declared, Absent: k.absent, Live: k.live, State: k.state,
	}
	if o.Drifted > 0 {
		item.Fields = inv.differing[orgObject{o.Domain, k.field}]
	}
	switch {
	case k.state == Unmanaged:
	case o.State == Unknown:
		item.State = Unknown
	case o.State == Missing:
		item.State = Missing
	case k.state == InSync && k.declared && !k.live:
		item.State = Missing
	case k.state == InSync && item.Fields > 0:
		item.State = Drifted
	}
	return item
}

// typed reports whether the key of a kind has a type.
func typed(k *objects.Kind) bool { return k.Typed || k.Parent != nil && k.Parent.Typed }

// eachObject calls f with the objects that q selects, but for its After and Limit, sorted
// by org and field, and with the number of further ones that are not named. They are made as
// they are asked for: there may be hundreds of thousands.
func (inv *Inventory) eachObject(q *InventoryQuery, f func(o *ObjectItem, more int)) {
	orgs := *q
	orgs.Text, orgs.States = "", nil
	var item ObjectItem
	for i := range inv.Orgs {
		o := &inv.Orgs[i]
		if !orgs.selects(o) {
			continue
		}
		whole := q.Text == "" || has(o.Domain, q.Text) || has(o.Name, q.Text) || has(o.ID, q.Text)
		for _, k := range inv.known[o.Domain].objects {
			if q.Kind != "" && k.kind != q.Kind || !whole && !has(k.field, q.Text) {
				continue
			}
			if item = k.item(inv, o); q.inState(item.State) {
				f(&item, k.more)
			}
		}
	}
}

// ListObjects returns the objects that q selects.
func (inv *Inventory) ListObjects(q *InventoryQuery) *Page[ObjectItem] {
	key := func(o *ObjectItem) string { return o.Org + " " + o.Field }
	total := 0
	page := &Page[ObjectItem]{Items: []ObjectItem{}, Total: &total}
	inv.eachObject(q, func(item *ObjectItem, _ int) {
		total++
		switch {
		case page.Next != "" || q.After != "" && key(item) <= q.After:
		case q.Limit > 0 && len(page.Items) == q.Limit:
			page.Next = key(&page.Items[q.Limit-1])
		default:
			page.Items = append(page.Items, *item)
		}
	})
	return page
}

// ListKinds returns the kinds of the objects that q selects, with their numbers.
func (inv *Inventory) ListKinds(q *InventoryQuery) *Page[KindItem] {
	all := map[string]*KindItem{}
	last := map[string]string{} // the org that was counted last, by kind
	inv.eachObject(q, func(item *ObjectItem, more int) {
		k := all[item.Kind]
		if k == nil {
			k = &KindItem{Kind: item.Kind}
			all[item.Kind] = k
		}
		if item.State == Unmanaged {
			k.Unmanaged += 1 + more
			return
		}
		if last[item.Kind] != item.Org {
			last[item.Kind] = item.Org
			k.Orgs++
		}
		k.Declared++
		switch item.State {
		case InSync:
			k.InSync++
		case Drifted:
			k.Drifted++
		case Missing:
			k.Missing++
		default:
			k.Unknown++
		}
	})
	var list []*KindItem
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[kind])
	}
	return pageOf(list, q, func(k *KindItem) string { return k.Kind })
}

// OrgFeatures are the features of one org as they were read last.
type OrgFeatures struct {
	Domain string
	// Parent is the domain of the org's parent; empty if it isn't known.
	Parent string
	// Unknown is why the features are not known; empty if they are.
	Unknown  string
	Features []diff.Feature
	// Declared are the names of those that are declared.
	Declared []string
}

// featuresNotRead is why the features of an org are not known if none is declared.
const featuresNotRead = "they are not read, as the manifests declare none for this org"

// ListFeatures returns the features of the declared orgs that q selects, sorted by
// domain, and of all parents. An org whose features are not read has none.
func (inv *Inventory) ListFeatures(q *InventoryQuery) (orgs, parents []OrgFeatures) {
	isParent := map[string]bool{}
	for i := range inv.Orgs {
		if parent := inv.Orgs[i].Parent; parent != "" {
			isParent[parent] = true
		}
	}
	for i := range inv.Orgs {
		o := &inv.Orgs[i]
		selected := o.Managed && q.selects(o) && q.inState(o.State)
		if !selected && !isParent[o.Domain] {
			continue
		}
		f := inv.features(o)
		if isParent[o.Domain] {
			parents = append(parents, f)
		}
		if selected {
			orgs = append(orgs, f)
		}
		delete(isParent, o.Domain)
	}
	for _, domain := range slices.Sorted(maps.Keys(isParent)) {
		parents = append(parents, OrgFeatures{Domain: domain, Unknown: "the account has no such org"})
	}
	return orgs, parents
}

// features returns the features of an org.
func (inv *Inventory) features(o *OrgItem) OrgFeatures {
	known := inv.known[o.Domain]
	f := OrgFeatures{Domain: o.Domain, Parent: o.Parent, Unknown: o.Unknown, Features: known.features}
	for i := range known.objects {
		if field := known.objects[i].field; known.objects[i].kind == kindFeatures && known.objects[i].declared {
			f.Declared = append(f.Declared, strings.TrimPrefix(field, kindFeatures+"/"))
		}
	}
	if f.Unknown == "" && f.Features == nil {
		f.Unknown = featuresNotRead
		if len(f.Declared) > 0 {
			f.Unknown = "they have not been read yet"
		}
	}
	return f
}

// kindFeatures is the kind of features.
const kindFeatures = "features"
