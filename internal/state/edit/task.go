package edit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// Task is what is to be edited.
type Task struct {
	Changes []Change
	// Left are what can't be edited.
	Left []Left
	// Notes are worth knowing about the changes, one line each.
	Notes []string
}

func (t *Task) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

func (t *Task) leave(org, what, format string, args ...any) {
	t.Left = append(t.Left, Left{Org: org, What: what, Reason: fmt.Sprintf(format, args...)})
}

// Locate sets the places of the orgs for what is left and has none.
func Locate(left []Left, desired *state.Desired) {
	for i := range left {
		l := &left[i]
		if l.Pos != (state.Pos{}) {
			continue
		}
		if o := orgOf(desired, l.Org); o != nil {
			l.Pos = o.Pos
		}
	}
}

// orgOf returns a declared org, or nil.
func orgOf(desired *state.Desired, domain string) *state.DesiredOrg {
	if desired == nil {
		return nil
	}
	for i := range desired.Orgs {
		if desired.Orgs[i].Domain == domain {
			return &desired.Orgs[i]
		}
	}
	return nil
}

// oktaID matches the id of an object of Okta.
var oktaID = regexp.MustCompile(`^00[a-z][A-Za-z0-9]{17}$|^nzo[A-Za-z0-9]{17}$`)

// sayable returns the changes of fields that give them the values that they had, and why
// others can't be said, by their paths.
func sayable(ref objects.Ref, fields []objects.FieldChange) (said []objects.FieldChange, left map[string]string) {
	left = map[string]string{}
	for _, f := range fields {
		field := ref.Kind.FieldAt(ref.Type, f.Path)
		back := objects.FieldChange{Path: f.Path, Before: f.After, After: f.Before}
		switch {
		case field != nil && (field.Secret || field.ReadOnly):
			left[f.Path] = "a manifest can't declare it"
		case f.Before == nil && field != nil && field.Type == objects.List:
			back.After = []any{}
			said = append(said, back)
		case f.Before == nil && (field == nil || !field.Nullable):
			left[f.Path] = "it was not set, which a manifest can't declare"
		case hasID(field, f.Before):
			left[f.Path] = "it holds the id of an object that has no name"
		default:
			said = append(said, back)
		}
	}
	return said, left
}

// hasID reports whether a value has an id where a manifest has a name.
func hasID(f *objects.Field, v any) bool {
	switch v := v.(type) {
	case string:
		return f != nil && f.Refers != "" && oktaID.MatchString(v)
	case []any:
		return f != nil && slices.ContainsFunc(v, func(item any) bool { return hasID(f.Elem, item) })
	case map[string]any:
		for key, item := range v {
			if f != nil && hasID(objects.Find(f.Fields, key), item) {
				return true
			}
		}
	}
	return false
}

// fields adds an object's changes of fields, and leaves those that can't be said.
func (t *Task) fields(org string, o Object, fields []objects.FieldChange) {
	said, left := sayable(o.Ref, fields)
	for _, path := range slices.Sorted(maps.Keys(left)) {
		t.leave(org, o.Ref.String()+", "+path, "%s", left[path])
	}
	if o.Fields = said; len(said) > 0 || o.Present {
		t.Changes = append(t.Changes, Change{Org: org, Object: &o})
	}
}

// order leaves a change of the order of objects: moving entries isn't an edit of values.
func (t *Task) order(org string, ref objects.Ref, fields []objects.FieldChange) {
	var names []string
	for _, f := range fields {
		list, _ := f.Before.([]any)
		for _, name := range list {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	t.leave(org, "the order of "+ref.PlanKind()+"/"+ref.Object(), "put the entries into this order by hand: %s", strings.Join(names, ", "))
}

// Adopt returns what has to be edited so that manifests declare what is live, from the
// plan that would make it as they declare.
func Adopt(plan *diff.Plan) *Task {
	t := &Task{}
	for i := range plan.Changes {
		t.adopt(&plan.Changes[i])
	}
	for _, u := range plan.Unfixable {
		what := u.Field
		if u.Object != "" {
			what = u.Kind + "/" + u.Object + ", " + u.Field
		}
		reason := u.Reason
		if reason == "" {
			reason = fmt.Sprintf("it is %q and declared as %q, and nothing can change it: correct it by hand", u.Actual, u.Desired)
		}
		t.leave(u.Org, strings.TrimSuffix(what, ", "), "%s", reason)
	}
	return t
}

func (t *Task) adopt(c *diff.Change) {
	if d, ok := c.Difference(); ok {
		t.adoptObject(c.Org, &d)
		return
	}
	switch c.Action {
	case diff.RenameAccount:
		t.Changes = append(t.Changes, Change{Name: c.Before.Text()})
	case diff.UpdateProducts:
		all := Change{Org: c.Org, Disable: c.Enable}
		for _, id := range c.Disable {
			if state.ValidProductID(id) {
				all.Enable = append(all.Enable, id)
			} else {
				t.leave(c.Org, "product "+id, "a manifest can't have this id")
			}
		}
		t.Changes = append(t.Changes, all)
	case diff.SetStatus:
		status := state.Status(c.Before.Text())
		if !slices.Contains(status.Values(), string(status)) {
			t.leave(c.Org, "status "+string(status), "a manifest can't declare it")
			return
		}
		t.Changes = append(t.Changes, Change{Org: c.Org, Status: status})
	case diff.CreateOrg:
		t.leave(c.Org, "the org", "it doesn't exist: take its entry out by hand, if it is not to be created")
	case diff.LinkOrg:
		t.leave(c.Org, "the org", "it is not linked to the account, so nothing of it is live there: take its entry out by hand, if it is not to be linked")
	case diff.RequestDeletion:
		t.leave(c.Org, "requestDeletion", "the org is still there: take the key out by hand, if it is not to be deleted")
	}
}

func (t *Task) adoptObject(org string, d *objects.Difference) {
	switch d.Op {
	case objects.Create:
		t.Changes = append(t.Changes, Change{Org: org, Object: &Object{Ref: d.Ref, Absent: true}})
	case objects.Delete:
		t.Changes = append(t.Changes, Change{Org: org, Object: &Object{Ref: d.Ref, Present: true}})
	case objects.Update:
		t.fields(org, Object{Ref: d.Ref}, d.Fields)
	case objects.Reorder:
		t.order(org, d.Ref, d.Fields)
	}
}
