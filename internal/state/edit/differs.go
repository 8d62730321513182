package edit

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// differs returns an error unless after declares what before does with the changes, and
// nothing else otherwise.
func differs(before, after *state.Desired, changes []Change) error {
	account := before.Account
	byOrg := map[string][]*Change{}
	for i := range changes {
		c := &changes[i]
		if c.Name != "" {
			account.Name = c.Name
		}
		byOrg[c.Org] = append(byOrg[c.Org], c)
	}
	if account.ID != after.Account.ID || account.Name != after.Account.Name {
		return fmt.Errorf("it would declare the account %q with the name %q", after.Account.ID, after.Account.Name)
	}
	if !maps.Equal(before.Products, after.Products) {
		return fmt.Errorf("it would give products other names")
	}
	if len(before.Orgs) != len(after.Orgs) {
		return fmt.Errorf("it would declare %d orgs instead of %d", len(after.Orgs), len(before.Orgs))
	}
	for i := range before.Orgs {
		a, b := &before.Orgs[i], &after.Orgs[i]
		if a.Domain != b.Domain {
			return fmt.Errorf("it would declare %s instead of %s", b.Domain, a.Domain)
		}
		if err := orgDiffers(a, b, byOrg[a.Domain]); err != nil {
			return fmt.Errorf("%s would declare %w", a.Domain, err)
		}
	}
	return nil
}

// orgDiffers is differs for one org.
func orgDiffers(before, after *state.DesiredOrg, changes []*Change) error {
	a, b := plain(before), plain(after)
	wanted := map[objects.Ref]*Object{}
	for _, c := range changes {
		if c.Status != "" {
			a.Status = c.Status
		}
		a.Products = with(a.Products, c.Enable, c.Disable)
		if c.Object != nil {
			wanted[c.Object.Ref] = c.Object.and(wanted[c.Object.Ref])
		}
	}
	switch {
	case a.Status != b.Status:
		return fmt.Errorf("status %q instead of %q", b.Status, a.Status)
	case !slices.Equal(a.Products, b.Products) || (a.Products == nil) != (b.Products == nil):
		return fmt.Errorf("products %v instead of %v", b.Products, a.Products)
	case !reflect.DeepEqual(a, b):
		return fmt.Errorf("something else than its status and its products otherwise")
	case before.Config == after.Config:
		if len(wanted) == 0 {
			return nil
		}
	}
	return configDiffers(before.Config, after.Config, wanted, a.Status != before.Status)
}

// plain returns an org without places and configuration.
func plain(o *state.DesiredOrg) state.DesiredOrg {
	c := *o
	c.Config, c.Pos, c.ProductPos, c.Places = nil, state.Pos{}, nil, nil
	return c
}

// with returns ids with some more and without others; sorted, nil for nil.
func with(ids, more, less []string) []string {
	if ids == nil || len(more)+len(less) == 0 {
		return ids
	}
	all := slices.DeleteFunc(slices.Concat(ids, more), func(id string) bool { return slices.Contains(less, id) })
	slices.Sort(all)
	return slices.Compact(all)
}

// and returns both changes of one object.
func (o *Object) and(other *Object) *Object {
	if other == nil {
		return o
	}
	return &Object{o.Ref, o.Absent || other.Absent, o.Present || other.Present, slices.Concat(other.Fields, o.Fields)}
}

// configDiffers is differs for the configuration of one org. If another status makes the
// configuration of the org count or not, one side has none.
func configDiffers(before, after *objects.Declared, wanted map[objects.Ref]*Object, moved bool) error {
	if moved && len(wanted) == 0 && (before == nil || after == nil) {
		return nil
	}
	a, b := byRef(before), byRef(after)
	for ref, o := range a {
		if w := wanted[parentOf(ref)]; w != nil && w.Absent && b[ref] == nil {
			continue // it goes with its parent
		}
		if err := objectDiffers(ref, o, b[ref], wanted[ref]); err != nil {
			return err
		}
	}
	for ref, o := range b {
		if a[ref] != nil {
			continue
		}
		if err := objectDiffers(ref, nil, o, wanted[ref]); err != nil {
			return err
		}
	}
	for ref := range wanted {
		if a[ref] == nil && b[ref] == nil {
			return fmt.Errorf("no %s", ref)
		}
	}
	return orderDiffers(before, after, a, b)
}

func byRef(d *objects.Declared) map[objects.Ref]*objects.Object {
	all := map[objects.Ref]*objects.Object{}
	if d != nil {
		for _, o := range d.Objects {
			all[o.Ref] = o
		}
	}
	return all
}

// parentOf returns the ref of a rule's policy; that of another object itself.
func parentOf(ref objects.Ref) objects.Ref {
	if ref.Kind.Parent == nil {
		return ref
	}
	return objects.Ref{Kind: ref.Kind.Parent, Type: ref.Type, Name: ref.Parent}
}

func objectDiffers(ref objects.Ref, before, after *objects.Object, wanted *Object) error {
	switch {
	case wanted == nil && before == nil:
		return fmt.Errorf("the %s", ref)
	case after == nil:
		return fmt.Errorf("no %s", ref)
	case wanted == nil:
		if before != after && !same(before, after, before.Body) {
			return fmt.Errorf("the %s otherwise", ref)
		}
		return nil
	case wanted.Absent:
		if !after.Absent {
			return fmt.Errorf("the %s not absent", ref)
		}
		return nil
	}
	if after.Absent {
		return fmt.Errorf("the %s absent", ref)
	}
	body := keyOf(ref, after.Body)
	if before != nil && !before.Absent {
		body = before.Body
	}
	for _, f := range wanted.Fields {
		body = set(body, objects.SplitPath(f.Path), f.After)
	}
	body = ref.Kind.Normalize(body, nil)
	if before != nil && before.Absent == after.Absent {
		if !same(before, after, body) {
			return fmt.Errorf("the %s otherwise", ref)
		}
		return nil
	}
	if !reflect.DeepEqual(body, after.Body) {
		return fmt.Errorf("the %s otherwise", ref)
	}
	return nil
}

// same reports whether after says what before does, with this body.
func same(before, after *objects.Object, body map[string]any) bool {
	return before.Absent == after.Absent && before.System == after.System && reflect.DeepEqual(body, after.Body)
}

// keyOf returns what of a body tells which object it is.
func keyOf(ref objects.Ref, body map[string]any) map[string]any {
	key := map[string]any{}
	if ref.Kind.Setting {
		return key
	}
	path := objects.SplitPath(ref.Kind.Key)
	var v any = body
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	key = set(key, path, v)
	if ref.Kind.Typed {
		key["type"] = body["type"]
	}
	return key
}

// set returns a body with another value at a path. The body isn't changed.
func set(body map[string]any, path []string, v any) map[string]any {
	all := maps.Clone(body)
	if all == nil {
		all = map[string]any{}
	}
	if len(path) > 1 {
		below, _ := all[path[0]].(map[string]any)
		v = set(below, path[1:], v)
	}
	all[path[0]] = v
	return all
}

// orderDiffers returns an error if objects of which the order matters, and that both
// sides have, are in another order.
func orderDiffers(before, after *objects.Declared, a, b map[objects.Ref]*objects.Object) error {
	if before == nil || after == nil {
		return nil
	}
	common := func(d *objects.Declared) []objects.Ref {
		var refs []objects.Ref
		for _, o := range d.Objects {
			if o.Ref.Kind.Ordered && a[o.Ref] != nil && b[o.Ref] != nil {
				refs = append(refs, o.Ref)
			}
		}
		return refs
	}
	if !slices.Equal(common(before), common(after)) {
		return fmt.Errorf("policies or rules in another order")
	}
	return nil
}
