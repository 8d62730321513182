package edit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// Change is what manifests shall declare otherwise: of an org, or of the account.
type Change struct {
	// Org is the org's domain; empty for the account.
	Org string
	// Name is the new name of the account; empty otherwise.
	Name string
	// Status is the new status of the org; empty if it isn't to change.
	Status state.Status
	// Enable and Disable are ids of products that the org is to have, or not to have.
	Enable, Disable []string
	// Object is an object of the org's configuration; nil if none is to change.
	Object *Object
}

// Object is what an org shall declare of one object.
type Object struct {
	Ref objects.Ref
	// Absent has the object declared absent, and Present has one that is declared absent
	// declared to be there.
	Absent, Present bool
	// Fields are the fields that are to have another value: After. Null clears a field.
	Fields []objects.FieldChange
}

// Load loads manifests that are not written yet. The places of what it returns must have
// the names of the sources.
type Load func([]state.Source) (*state.Desired, error)

// Left is a change that was not made.
type Left struct {
	// Org is the domain; empty for the account.
	Org string
	// What is what should have changed, and Reason why it did not.
	What, Reason string
	// Pos is where it is declared, as far as it is.
	Pos state.Pos
}

// String returns the place, the org, what should have changed and why it did not.
func (l Left) String() string {
	s := l.What + ": " + l.Reason
	if l.Org != "" {
		s = l.Org + ": " + s
	}
	if l.Pos != (state.Pos{}) {
		s = l.Pos.String() + ": " + s
	}
	return s
}

// Note is worth knowing about an edit.
type Note struct {
	// Pos is the place that it is about; it may be none.
	Pos state.Pos
	// Text is one line.
	Text string
}

// String returns the place and the text.
func (n Note) String() string {
	if n.Pos == (state.Pos{}) {
		return n.Text
	}
	return n.Pos.String() + ": " + n.Text
}

// Result is what came of changing manifests.
type Result struct {
	// Files are those that are changed, sorted by name.
	Files []state.Source
	// Before and After are what the manifests declared, and what they declare now.
	Before, After *state.Desired
	// Done are the changes that were made, one or more for each org.
	Done []Change
	// Notes say where one edit changes several orgs, and where it couldn't.
	Notes []Note
	// Left are the changes that were not made. Places are those in the changed files.
	Left []Left
}

// Apply changes manifests so that they declare the changes, and nothing else otherwise. It
// is an error if the files don't load as they are.
func Apply(files []state.Source, changes []Change, load Load) (*Result, error) {
	w, err := newWorkspace(files, load)
	if err != nil {
		return nil, err
	}
	r := &Result{Before: w.desired}
	e := &editor{workspace: w, result: r}
	e.open(changes)
	e.account()
	e.sharedProducts()
	e.sharedStatus()
	e.sharedObjects()
	e.ownEach(func(c *Change) *Change {
		if len(c.Enable)+len(c.Disable) == 0 {
			return nil
		}
		return &Change{Org: c.Org, Enable: c.Enable, Disable: c.Disable}
	}, w.editProducts)
	e.ownEach(func(c *Change) *Change {
		if c.Status == "" {
			return nil
		}
		return &Change{Org: c.Org, Status: c.Status}
	}, w.editStatus)
	e.ownObjects()
	// All of it together is what was wanted, and nothing else.
	if err := differs(r.Before, w.desired, e.done); err != nil {
		return nil, fmt.Errorf("the edit doesn't declare what is wanted, and was dropped: %w", err)
	}
	r.After = w.desired
	r.Files, r.Done = w.changed(), e.done
	e.relocate()
	return r, nil
}

// editor carries out changes.
type editor struct {
	*workspace
	result *Result
	// todo are the changes that are still to be made, one for each org and, of objects,
	// one for each of them. done are those that were made.
	todo []*Change
	done []Change
	// moves are the places of notes and of what is left, in the text of that time.
	moves []move
}

// open notes what is to be done and is possible at all.
func (e *editor) open(changes []Change) {
	byOrg := map[string]*Change{}
	for _, c := range changes {
		c.Org = strings.ToLower(c.Org)
		o := e.orgs[c.Org]
		if c.Org != "" && o == nil {
			e.leave(&c, state.Pos{}, "the manifests don't declare this org")
			continue
		}
		if c.Org == "" {
			if c.Name != "" && c.Name != e.desired.Account.Name {
				e.todo = append(e.todo, &Change{Name: c.Name})
			}
			continue
		}
		if c.Object != nil {
			e.todo = append(e.todo, &Change{Org: c.Org, Object: c.Object})
		}
		if c.Status == "" && len(c.Enable)+len(c.Disable) == 0 {
			continue
		}
		one := byOrg[c.Org]
		if one == nil {
			one = &Change{Org: c.Org}
			byOrg[c.Org] = one
			e.todo = append(e.todo, one)
		}
		e.merge(one, &c, o)
	}
}

// merge adds status and products of a change to those of an org.
func (e *editor) merge(one, c *Change, o *state.DesiredOrg) {
	switch {
	case c.Status == "" || c.Status == o.Status:
	case o.Status == "":
		e.leave(&Change{Org: c.Org, Status: c.Status}, o.Pos, "the manifests don't manage the status of this org")
	default:
		one.Status = c.Status
	}
	products := &Change{Org: c.Org, Enable: c.Enable, Disable: c.Disable}
	switch {
	case len(c.Enable)+len(c.Disable) == 0:
	case o.Products == nil:
		e.leave(products, o.Pos, "the manifests don't manage the products of this org")
	default:
		for _, id := range c.Enable {
			if !slices.Contains(o.Products, id) && !slices.Contains(one.Enable, id) {
				one.Enable = append(one.Enable, id)
			}
		}
		for _, id := range c.Disable {
			if slices.Contains(o.Products, id) && !slices.Contains(one.Disable, id) {
				one.Disable = append(one.Disable, id)
			}
		}
	}
}

// leave notes a change that is not made.
func (e *editor) leave(c *Change, pos state.Pos, reason string) {
	e.moves = append(e.moves, move{left: len(e.result.Left), note: -1, data: e.dataOf(pos)})
	e.result.Left = append(e.result.Left, Left{Org: c.Org, What: c.Describe(e.productName), Reason: reason, Pos: pos})
}

// Field returns the field that a change is about, as the history calls it.
func (c *Change) Field() string {
	switch {
	case c.Object != nil:
		return diff.FieldOfRef(c.Object.Ref)
	case c.Status != "":
		return diff.FieldOf(diff.SetStatus)
	case c.Name != "":
		return diff.FieldOf(diff.RenameAccount)
	default:
		return diff.FieldOf(diff.UpdateProducts)
	}
}

// Describe returns in words what a change makes of its org. name returns the name of a
// product by its id.
func (c *Change) Describe(name func(id string) string) string {
	var all []string
	if c.Name != "" {
		all = append(all, "the name of the account")
	}
	for _, ids := range []struct {
		verb string
		ids  []string
	}{{"without", c.Disable}, {"with", c.Enable}} {
		if len(ids.ids) == 0 {
			continue
		}
		names := make([]string, len(ids.ids))
		for i, id := range ids.ids {
			names[i] = name(id)
		}
		all = append(all, ids.verb+" "+strings.Join(names, ", "))
	}
	if c.Status != "" {
		all = append(all, "status "+string(c.Status))
	}
	if c.Object != nil {
		all = append(all, c.Object.what())
	}
	return strings.Join(all, ", ")
}

func (o *Object) what() string {
	switch {
	case o.Absent:
		return o.Ref.String() + " absent"
	case len(o.Fields) == 0:
		return o.Ref.String()
	}
	paths := make([]string, len(o.Fields))
	for i, f := range o.Fields {
		paths[i] = f.Path
	}
	return o.Ref.String() + ", " + strings.Join(paths, ", ")
}

// productName returns the name that the manifests have for a product, or its id.
func (w *workspace) productName(id string) string { return cmp.Or(w.names[id], id) }

// finish notes changes as done and takes them off what is to be done.
func (e *editor) finish(changes []Change) {
	e.done = append(e.done, changes...)
	for _, d := range changes {
		for _, c := range e.todo {
			if c.Org != d.Org {
				continue
			}
			if d.Object != nil && c.Object != nil && c.Object.Ref == d.Object.Ref {
				c.Object = c.Object.without(d.Object)
			}
			if d.Status == c.Status {
				c.Status = ""
			}
			c.Enable = slices.DeleteFunc(slices.Clone(c.Enable), func(id string) bool { return slices.Contains(d.Enable, id) })
			c.Disable = slices.DeleteFunc(slices.Clone(c.Disable), func(id string) bool { return slices.Contains(d.Disable, id) })
			if d.Name != "" {
				c.Name = ""
			}
		}
	}
}

// without returns what is left of an object's change; nil if nothing is.
func (o *Object) without(done *Object) *Object {
	left := *o
	left.Absent, left.Present = o.Absent && !done.Absent, o.Present && !done.Present
	left.Fields = slices.DeleteFunc(slices.Clone(o.Fields), func(f objects.FieldChange) bool {
		return slices.ContainsFunc(done.Fields, func(d objects.FieldChange) bool { return d.Path == f.Path })
	})
	if !left.Absent && !left.Present && len(left.Fields) == 0 {
		return nil
	}
	return &left
}

// note adds a note.
func (e *editor) note(pos state.Pos, format string, args ...any) {
	e.moves = append(e.moves, move{left: -1, note: len(e.result.Notes), data: e.dataOf(pos)})
	e.result.Notes = append(e.result.Notes, Note{pos, fmt.Sprintf(format, args...)})
}

// move is a place that a note, or what is left, has in a text that was changed since.
type move struct {
	note, left int
	data       []byte
}

// dataOf returns the text in which a place is, as it is now.
func (e *editor) dataOf(pos state.Pos) []byte {
	for _, f := range e.files {
		if f.name == pos.File {
			return f.data
		}
	}
	return nil
}

// relocate has all places be those in the texts as they are in the end.
func (e *editor) relocate() {
	type texts struct{ from, to *byte }
	known := map[texts][]int{}
	for _, m := range e.moves {
		pos := &state.Pos{}
		if m.note >= 0 {
			pos = &e.result.Notes[m.note].Pos
		} else {
			pos = &e.result.Left[m.left].Pos
		}
		now := e.dataOf(*pos)
		if len(m.data) == 0 || len(now) == 0 || &m.data[0] == &now[0] {
			continue
		}
		key := texts{&m.data[0], &now[0]}
		if known[key] == nil {
			known[key] = align(linesIn(m.data), linesIn(now))
		}
		pos.Line = moved(known[key], pos.Line)
	}
}

// moved returns the line that a line has become, or the one behind that of the line
// before it if it was changed.
func moved(lines []int, line int) int {
	for i := min(line, len(lines)) - 1; i >= 0; i-- {
		if lines[i] >= 0 {
			return lines[i] + 1 + min(1, line-1-i)
		}
	}
	return 1
}

// account edits the name of the account.
func (e *editor) account() {
	for _, c := range e.todo {
		if c.Name == "" {
			continue
		}
		done := []Change{{Name: c.Name}}
		pos := e.desired.Account.NamePos
		err := e.try(done, func() error {
			n := e.at(pos)
			if n == nil {
				return errors.New("the manifests don't manage it")
			}
			n.Unshare()
			n.Replace(c.Name)
			return nil
		})
		if err != nil {
			e.leave(&done[0], pos, reason(err))
			c.Name = ""
			continue
		}
		e.finish(done)
	}
}

// ownEach makes for each org what part returns of its change, all of them together where
// that is possible.
func (e *editor) ownEach(part func(*Change) *Change, edit func(*Change) error) {
	var all []Change
	for _, c := range e.todo {
		if p := part(c); p != nil && c.Object == nil {
			all = append(all, *p)
		}
	}
	for _, f := range e.tryAll(all, edit) {
		e.leave(&f.change, e.placeOf(&f), reason(f.err))
	}
}

// failure is a change that could not be made, and why.
type failure struct {
	change Change
	err    error
}

// placeOf returns the place that a failure is about: that of the org, where none is known.
func (e *editor) placeOf(f *failure) state.Pos {
	var no *unsayable
	if errors.As(f.err, &no) && no.pos != (state.Pos{}) {
		return no.pos
	}
	return e.orgs[f.change.Org].Pos
}

// tryAll makes changes by one edit each. If they fail together, it halves them, down to
// the ones that fail, which it returns.
func (e *editor) tryAll(all []Change, edit func(*Change) error) []failure {
	if len(all) == 0 {
		return nil
	}
	err := e.try(all, func() error {
		for i := range all {
			if err := edit(&all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil:
		e.finish(all)
		return nil
	case len(all) == 1:
		return []failure{{all[0], err}}
	default:
		return append(e.tryAll(all[:len(all)/2], edit), e.tryAll(all[len(all)/2:], edit)...)
	}
}

// unsayable is why an edit can't say what is wanted.
type unsayable struct {
	pos state.Pos
	why string
}

func (u *unsayable) Error() string { return u.why }

// reason returns an error as one line.
func reason(err error) string {
	if errs, ok := strictyaml.AsErrors(err); ok {
		return "the manifests would have a mistake: " + text.OneLine(errs[0].Msg, 300)
	}
	return text.OneLine(err.Error(), 300)
}
