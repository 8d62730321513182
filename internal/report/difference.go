package report

import (
	"encoding/json"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

// Difference is a field of an org, or of the account, that is declared otherwise than it
// is live, such as drift.
type Difference struct {
	// Field is as in plans: one of diff.Field…, an object such as
	// "networkZones/Offices", or a field of it such as "networkZones/Offices: gateways".
	Field string
	// Kind and Object name the object; empty for the org itself.
	Kind, Object    string
	Desired, Actual diff.Value
	// Destructive is set if repairing it takes something away.
	Destructive bool
	// Blocked is why it is not repaired; empty if it may be.
	Blocked string
	// Cause is who caused it, in words; empty if that is not known.
	Cause string
}

// Lines returns the difference as [Describe] shows the change that repairs it. products
// are the names of products by their ids.
func (d *Difference) Lines(products map[string]string) []Line {
	if c, ok := d.change(); ok {
		return Describe(&c, products)
	}
	l := DescribeUnfixable(&diff.Unfixable{
		Field: d.Field, Desired: undecoded(d.Desired), Actual: undecoded(d.Actual), Reason: d.Blocked,
	})
	return []Line{l}
}

// actions are those that a difference of a field is repaired by.
var actions = map[string]diff.Action{
	diff.FieldAccountName:     diff.RenameAccount,
	diff.FieldExists:          diff.CreateOrg,
	diff.FieldLinked:          diff.LinkOrg,
	diff.FieldProducts:        diff.UpdateProducts,
	diff.FieldStatus:          diff.SetStatus,
	diff.FieldRequestDeletion: diff.RequestDeletion,
}

// change returns the change that repairs the difference; false if there is none.
func (d *Difference) change() (diff.Change, bool) {
	c := diff.Change{
		Action: actions[d.Field], Before: d.Actual, After: d.Desired, Kind: d.Kind,
		Destructive: d.Destructive, Blocked: d.Blocked, Cause: d.Cause,
	}
	switch {
	case d.Kind != "":
		d.ofObject(&c)
	case c.Action == diff.UpdateProducts:
		c.Enable, c.Disable = missing(d.Desired, d.Actual), missing(d.Actual, d.Desired)
	}
	return c, c.Action != ""
}

// ofObject sets in a change what is about an object.
func (d *Difference) ofObject(c *diff.Change) {
	path, field := "", false
	c.Type, path, field = d.parts()
	c.Object = d.Object
	exists := diff.Text("yes")
	switch {
	case field:
		c.Action = diff.UpdateObject
		c.Fields = []diff.Field{{FieldChange: objects.FieldChange{Path: path, Before: decode(d.Actual), After: decode(d.Desired)}}}
		if one, ok := c.Difference(); ok { // of the fields of an object some may lose something
			c.Destructive = c.Destructive && one.Loses()
		}
	case d.Desired.Equal(exists):
		c.Action = diff.CreateObject
	case d.Actual.Equal(exists):
		c.Action = diff.DeleteObject
	}
}

// parts returns of a field such as "policies/PASSWORD/Staff: status" the type and the
// path, and whether it is a field of the object and not the object itself.
func (d *Difference) parts() (typ, path string, field bool) {
	rest := strings.TrimPrefix(d.Field, d.Kind+"/")
	after, found := strings.CutPrefix(rest, d.Object)
	if !found || after != "" && !strings.HasPrefix(after, ": ") { // names have slashes, types don't
		typ, rest, _ = strings.Cut(rest, "/")
		after = strings.TrimPrefix(rest, d.Object)
	}
	path, field = strings.CutPrefix(after, ": ")
	return typ, path, field
}

// missing returns what a list has and another doesn't.
func missing(list, other diff.Value) []string {
	return slices.DeleteFunc(slices.Clone(list.List()), func(id string) bool { return slices.Contains(other.List(), id) })
}

// decode returns the value of an object's field that diff.ValueOf was given.
func decode(v diff.Value) any {
	if v.IsZero() {
		return nil
	}
	if words := v.List(); words != nil {
		all := make([]any, len(words))
		for i, w := range words {
			all[i] = w
		}
		return all
	}
	var other any
	if json.Unmarshal([]byte(v.Text()), &other) == nil {
		return other
	}
	return v.Text()
}

// undecoded returns a value as Unfixable has it.
func undecoded(v diff.Value) string {
	if words := v.List(); words != nil {
		return strings.Join(words, ", ")
	}
	return v.Text()
}
