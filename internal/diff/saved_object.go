package diff

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
)

// onceEach returns an error if a plan changes an object twice.
func onceEach(changes []Change) error {
	type once struct {
		org string
		op  objectOp
	}
	seen := make(map[once]bool, len(changes))
	for i := range changes {
		c := &changes[i]
		d, ok := c.Difference()
		if !ok {
			continue
		}
		this := once{c.Org, opOf(&d)}
		if seen[this] {
			return stale("the plan contradicts itself: %s of %q: the plan changes it before", c.what(), c.Org)
		}
		seen[this] = true
	}
	return nil
}

// checkObject returns an error if a change of an object contradicts itself, and what
// it does.
func (c *Change) checkObject() (*objects.Difference, error) {
	d, ok := c.Difference()
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no object %q of the kind %q", c.Object, c.Kind)
	case c.OrgID == "":
		return nil, errors.New("it does not name the org's id")
	case !c.Before.IsZero() || !c.After.IsZero():
		return nil, errors.New("the values of an object are those of its fields")
	}
	if err := checkIDs(&d); err != nil {
		return nil, err
	}
	if err := checkFields(&d); err != nil {
		return nil, err
	}
	return &d, nil
}

// checkIDs returns an error if a difference lacks the id of what exists, or has one of
// what doesn't.
func checkIDs(d *objects.Difference) error {
	kind := d.Ref.Kind
	switch {
	case kind.Setting && (d.Op != objects.Update || d.ID != ""):
		return errors.New("a setting is only updated, and has no id")
	case kind.Fixed && (d.Op == objects.Create || d.Op == objects.Delete):
		return fmt.Errorf("no %s is created or deleted", kind.Title)
	case d.System && (d.Op == objects.Create || d.Op == objects.Delete):
		return errors.New("what Okta made is neither created nor deleted")
	case d.Op == objects.Create && d.ID != "":
		return errors.New("a new object has no id")
	case (d.Op == objects.Update || d.Op == objects.Delete) && !kind.Setting && d.ID == "":
		return errors.New("it does not name the object's id")
	case kind.Parent == nil && d.ParentID != "":
		return fmt.Errorf("a %s has no parent", kind.Title)
	case kind.Parent != nil && d.Op != objects.Create && d.ParentID == "" && d.Op != objects.Reorder:
		return fmt.Errorf("it does not name the id of the %s's %s", kind.Title, kind.Parent.Title)
	case d.Op == objects.Reorder && !kind.Ordered:
		return fmt.Errorf("the order of a %s means nothing", kind.Title)
	}
	return nil
}

// checkFields returns an error if the fields of a difference are not such as can be
// written.
func checkFields(d *objects.Difference) error {
	switch n := len(d.Fields); {
	case d.Op == objects.Delete && n > 0:
		return errors.New("a deletion has no fields")
	case d.Op == objects.Delete:
		return nil
	case n == 0:
		return errors.New("it says no field that changes")
	case d.Op == objects.Reorder:
		f := d.Fields[0]
		if n > 1 || f.Path != "order" || !listsNames(f.Before) || !listsNames(f.After) || reflect.DeepEqual(f.Before, f.After) {
			return errors.New("its only field is the order: names before, and names after")
		}
		return nil
	}
	for i := range d.Fields {
		f := &d.Fields[i]
		switch {
		case i > 0 && d.Fields[i-1].Path >= f.Path:
			return errors.New("its fields are not sorted, or one is there twice")
		case d.Op == objects.Create && f.Before != nil:
			return fmt.Errorf("%s had a value before the object was made", f.Path)
		case d.Op == objects.Update && reflect.DeepEqual(f.Before, f.After):
			return fmt.Errorf("%s does not change", f.Path)
		}
		if err := checkValue(d.Ref.Kind, f.Path, f.After); err != nil {
			return err
		}
	}
	return nil
}

// listsNames reports whether v is a list of distinct names.
func listsNames(v any) bool {
	list, ok := v.([]any)
	seen := map[any]bool{"": true}
	for _, x := range list {
		if _, text := x.(string); !text || seen[x] {
			return false
		}
		seen[x] = true
	}
	return ok
}

// checkValue returns an error if a kind has no field with this path, or if the field
// can't be written or can't have the value.
func checkValue(kind *objects.Kind, path string, v any) error {
	found, free := findFields(kind.Fields, path)
	switch {
	case free || v == nil && len(found) > 0:
		return nil
	case len(found) == 0:
		return fmt.Errorf("a %s has no field %s that can be written", kind.Title, path)
	case !slices.ContainsFunc(found, func(f *objects.Field) bool { return fitsType(f, v) }):
		return fmt.Errorf("%s can't be %s", path, text40(jsonText(v)))
	}
	return nil
}

// text40 shortens a value for a message.
func text40(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// findFields returns the fields at a path of names joined by dots, of which objects of
// different types have different ones; free is set for a path within a part that isn't
// looked into.
func findFields(fields []objects.Field, path string) (found []*objects.Field, free bool) {
	name, rest, nested := strings.Cut(path, ".")
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Name != name || f.ReadOnly || f.Secret:
		case !nested:
			found = append(found, f)
		case f.Type == objects.Anything || f.Free:
			return nil, true
		default:
			more, free := findFields(f.Fields, rest)
			if free {
				return nil, true
			}
			found = append(found, more...)
		}
	}
	return found, false
}

// fitsType reports whether a value is of a field's type, as far as it is looked into.
func fitsType(f *objects.Field, v any) bool {
	switch f.Type {
	case objects.Text:
		_, ok := v.(string)
		return ok
	case objects.Integer:
		n, ok := v.(float64)
		return ok && n == math.Trunc(n)
	case objects.Number:
		_, ok := v.(float64)
		return ok
	case objects.Boolean:
		_, ok := v.(bool)
		return ok
	case objects.Mapping:
		m, ok := v.(map[string]any)
		return ok && fitsFields(f, m)
	case objects.List:
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(x any) bool { return f.Elem != nil && !fitsType(f.Elem, x) })
	}
	return true
}

func fitsFields(f *objects.Field, m map[string]any) bool {
	for name, v := range m {
		sub := objects.Find(f.Fields, name)
		if sub == nil && !f.Free || sub != nil && v != nil && !fitsType(sub, v) {
			return false
		}
	}
	return true
}

// outdatedObject returns why a change of an object can't be made any more, or "".
func (c *Change) outdatedObject(opts Options) string {
	var conf *Configuration
	if opts.Configuration != nil {
		conf = opts.Configuration(c.Org)
	}
	switch {
	case conf == nil:
		return "the org's configuration was not read"
	case conf.Unknown != "":
		return "the org's configuration could not be read: " + conf.Unknown
	}
	d, _ := c.Difference()
	return conf.outdated[opOf(&d)]
}

// lockedBy returns the orgs that the changes of a saved plan would lock people out of.
func lockedBy(changes []Change, opts Options) []orgLockout {
	var all []orgLockout
	for i := range changes {
		c := &changes[i]
		if !c.IsObject() || c.Blocked != "" || len(all) > 0 && all[len(all)-1].org == c.Org {
			continue
		}
		if conf := opts.Configuration(c.Org); len(conf.Lockouts) > 0 {
			all = append(all, orgLockout{c.Org, conf.Lockouts})
		}
	}
	return all
}
