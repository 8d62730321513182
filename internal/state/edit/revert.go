package edit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

// Run is what the history has of a run that is to be taken back.
type Run struct {
	// Changes are the run's entries of type change, newest first, and Later those of
	// other runs after it.
	Changes, Later []history.Entry
	// Drift is the open drift.
	Drift []history.Drift
	// Live returns the declared fields of the objects of an org as they were live before the
	// run, by the names that diff.FieldOfRef gives them; nil if that isn't known.
	Live func(org string) map[string]any
	// Parent is what was declared before the commit of the run, and ParentName what
	// messages call that; nil if it isn't known.
	Parent     *state.Desired
	ParentName string
	// Product returns the name of a product by its id; nil for ids alone.
	Product func(id string) string
}

// Revert returns what has to be edited so that manifests declare what was live before a
// run, as the history has it, of what the run changed and of nothing else. Fields that
// were changed again since are left. A change of which the outcome is unknown may have
// been made, and is taken back like one that was.
func Revert(r *Run) (*Task, error) {
	t := &reverter{Task: &Task{}, run: r}
	if r.Product == nil {
		r.Product = func(id string) string { return id }
	}
	for i := range r.Changes {
		e := &r.Changes[i]
		if !made(e) {
			continue
		}
		c, err := changeOf(e)
		if err != nil {
			return nil, err
		}
		t.revert(c)
	}
	return t.Task, nil
}

// made reports whether a change was made, or may have been.
func made(e *history.Entry) bool {
	return e.Outcome == "applied" || e.Outcome == history.OutcomeUnknown
}

// changed is a change of the history.
type changed struct {
	*history.Entry
	before, after diff.Value
	// difference is the change of an object; zero otherwise.
	difference objects.Difference
}

func changeOf(e *history.Entry) (*changed, error) {
	c := &changed{Entry: e}
	for _, v := range []struct {
		data json.RawMessage
		to   any
	}{{e.Before, &c.before}, {e.After, &c.after}, {e.Fields, &c.difference.Fields}} {
		if len(v.data) == 0 {
			continue
		}
		if err := json.Unmarshal(v.data, v.to); err != nil {
			return nil, fmt.Errorf("entry %d of the history can't be read: %w", e.Seq, err)
		}
	}
	if e.Kind == "" {
		return c, nil
	}
	op := objects.Op(e.Action)
	ref, ok := objects.ParseRef(op, e.Kind, e.ObjectType, e.Parent, e.Object)
	if !ok {
		return nil, fmt.Errorf("entry %d of the history is about a %s that this program doesn't know", e.Seq, text.OneLine(e.Kind, 60))
	}
	c.difference.Op, c.difference.Ref = op, ref
	return c, nil
}

// reverter collects what takes back a run.
type reverter struct {
	*Task
	run *Run
}

func (r *reverter) revert(c *changed) {
	if c.Kind != "" {
		r.object(c)
		return
	}
	switch diff.Action(c.Action) {
	case diff.UpdateProducts:
		r.products(c)
	case diff.SetStatus:
		r.status(c)
	case diff.RenameAccount:
		if run := r.since(c, func(*changed) bool { return true }); run != "" {
			r.leave("", "the name of the account", "run %s has changed it again", run)
			return
		}
		r.Changes = append(r.Changes, Change{Name: c.before.Text()})
	case diff.CreateOrg:
		r.leave(c.Org, "the org", "the run created it, which can't be undone: only a deletion of the org can be requested")
	case diff.LinkOrg:
		r.leave(c.Org, "the org", "the run linked it to the account, which can't be undone")
	case diff.RequestDeletion:
		r.leave(c.Org, "requestDeletion", "the run asked Okta to delete the org: only Okta Support can take that back")
	default:
		r.leave(c.Org, c.Action, "it is not known how to undo it")
	}
}

// since returns the run that has changed the same again, as same has it, empty if none
// has.
func (r *reverter) since(c *changed, same func(*changed) bool) string {
	for i := range r.run.Later {
		e := &r.run.Later[i]
		if !made(e) || e.Org != c.Org || e.Run == c.Run || c.Kind == "" && e.Action != c.Action || (c.Kind == "") != (e.Kind == "") {
			continue
		}
		if other, err := changeOf(e); err != nil || same(other) {
			return e.Run
		}
	}
	return ""
}

// minus returns the ids that are not among others.
func minus(ids, others []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(others, id) })
}

func (r *reverter) products(c *changed) {
	before, after := c.before.List(), c.after.List()
	back := Change{Org: c.Org}
	for _, p := range []struct {
		ids []string
		to  *[]string
	}{{minus(before, after), &back.Enable}, {minus(after, before), &back.Disable}} {
		for _, id := range p.ids {
			run := r.since(c, func(other *changed) bool {
				return slices.Contains(other.before.List(), id) != slices.Contains(other.after.List(), id)
			})
			if run != "" {
				r.leave(c.Org, "product "+r.run.Product(id), "run %s has changed it again", run)
				continue
			}
			*p.to = append(*p.to, id)
		}
	}
	if len(back.Enable)+len(back.Disable) == 0 {
		return
	}
	r.Changes = append(r.Changes, back)
	o := orgOf(r.run.Parent, c.Org)
	if o == nil || !o.ManagesProducts() {
		return
	}
	if had := minus(back.Enable, o.Products); len(had) > 0 && o.ProductPolicy == state.Exact {
		r.byHand(c.Org, "it had "+r.named(had))
	}
	if lacked := minus(intersect(o.Products, back.Disable), before); len(lacked) > 0 {
		r.byHand(c.Org, "it lacked "+r.named(lacked))
	}
}

func intersect(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(id string) bool { return !slices.Contains(b, id) })
}

func (r *reverter) named(ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = r.run.Product(id)
	}
	return strings.Join(names, ", ")
}

// byHand says that what was live before the run was declared otherwise even then.
func (r *reverter) byHand(org, what string) {
	r.note("%s: before the run, %s by hand: %s declares it otherwise", org, what, r.run.ParentName)
}

func (r *reverter) status(c *changed) {
	status := state.Status(c.before.Text())
	switch run := r.since(c, func(*changed) bool { return true }); {
	case run != "":
		r.leave(c.Org, "the status", "run %s has changed it again", run)
		return
	case !slices.Contains(status.Values(), string(status)):
		r.leave(c.Org, "status "+string(status), "a manifest can't declare it")
		return
	}
	r.Changes = append(r.Changes, Change{Org: c.Org, Status: status})
	if o := orgOf(r.run.Parent, c.Org); o != nil && o.Status != "" && o.Status != status {
		r.byHand(c.Org, "it was "+string(status))
	}
}

func (r *reverter) object(c *changed) {
	d := &c.difference
	what := d.Ref.String()
	if d.Op == objects.Reorder {
		r.order(c.Org, d.Ref, d.Fields)
		return
	}
	for _, drift := range r.run.Drift {
		if drift.Org == c.Org && drift.Kind == c.Kind && drift.Object == c.Object {
			r.leave(c.Org, what, "somebody has changed it since the run, and it is not known whether that is to stay")
			return
		}
	}
	whole := r.since(c, func(other *changed) bool {
		return other.difference.Ref == d.Ref && (d.Op != objects.Update || other.difference.Op != objects.Update)
	})
	if whole != "" {
		r.leave(c.Org, what, "run %s has changed it again", whole)
		return
	}
	switch d.Op {
	case objects.Create:
		r.Changes = append(r.Changes, Change{Org: c.Org, Object: &Object{Ref: d.Ref, Absent: true}})
	case objects.Delete:
		r.recreate(c)
	default:
		r.update(c)
	}
}

// update takes back the fields that are still as the run left them.
func (r *reverter) update(c *changed) {
	d := &c.difference
	var fields []objects.FieldChange
	for _, f := range d.Fields {
		run := r.since(c, func(other *changed) bool {
			return other.difference.Ref == d.Ref && slices.ContainsFunc(other.difference.Fields, func(o objects.FieldChange) bool { return overlap(o.Path, f.Path) })
		})
		if run != "" {
			r.leave(c.Org, d.Ref.String()+", "+f.Path, "run %s has changed it again", run)
			continue
		}
		fields = append(fields, f)
		if v, ok := r.declared(c.Org, d.Ref, f.Path); ok && !reflect.DeepEqual(v, f.Before) {
			r.byHand(c.Org, d.Ref.String()+" had another "+f.Path)
		}
	}
	r.fields(c.Org, Object{Ref: d.Ref}, fields)
}

// overlap reports whether two paths are the same, or one is within the other.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

// declared returns what was declared before the run for a field.
func (r *reverter) declared(org string, ref objects.Ref, path string) (any, bool) {
	o := r.parentObject(org, ref)
	if o == nil {
		return nil, false
	}
	var v any = o.Body
	for _, name := range objects.SplitPath(path) {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// parentObject returns what was declared before the run of an object; nil if it wasn't
// declared to be there.
func (r *reverter) parentObject(org string, ref objects.Ref) *objects.Object {
	o := orgOf(r.run.Parent, org)
	if o == nil || o.Config == nil {
		return nil
	}
	for _, d := range o.Config.Objects {
		if d.Ref == ref && !d.Absent {
			return d
		}
	}
	return nil
}

// bodyBefore returns an object as a run has read it last before the run, or else as it was
// declared.
func (r *reverter) bodyBefore(org string, ref objects.Ref) map[string]any {
	if r.run.Live != nil {
		if body, ok := r.run.Live(org)[diff.FieldOfRef(ref)].(map[string]any); ok && len(body) > 0 {
			return body
		}
	}
	o := r.parentObject(org, ref)
	if o == nil {
		return nil
	}
	r.note("%s: what the deleted %s had is not in the history: it is declared as %s has it", org, ref, r.run.ParentName)
	return o.Body
}

// fieldsOf returns what a body has beside what tells which object it is, as if a change
// had taken it away.
func fieldsOf(body map[string]any, ref objects.Ref) []objects.FieldChange {
	escape := strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace
	var fields []objects.FieldChange
	for key, v := range body {
		if !strings.HasPrefix(ref.Kind.Key+".", key+".") && !(ref.Kind.Typed && key == keyType) {
			fields = append(fields, objects.FieldChange{Path: escape(key), Before: v})
		} else if m, ok := v.(map[string]any); ok {
			for inner, v := range m {
				if key+"."+inner != ref.Kind.Key {
					fields = append(fields, objects.FieldChange{Path: key + "." + escape(inner), Before: v})
				}
			}
		}
	}
	slices.SortFunc(fields, func(a, b objects.FieldChange) int { return strings.Compare(a.Path, b.Path) })
	return fields
}

// recreate has an object declared again that the run deleted: as the history has it, or
// else as it was declared before.
func (r *reverter) recreate(c *changed) {
	d := &c.difference
	fields := d.Fields
	if len(fields) == 0 {
		fields = fieldsOf(r.bodyBefore(c.Org, d.Ref), d.Ref)
	}
	if len(fields) == 0 {
		r.leave(c.Org, d.Ref.String(), "the run deleted it, and what it had is not known: declare it again by hand; it gets a new id")
		return
	}
	r.note("%s: the %s was deleted, and is made anew: with a new id, and without what can't be declared", c.Org, d.Ref)
	r.fields(c.Org, Object{Ref: d.Ref, Present: true}, fields)
}
