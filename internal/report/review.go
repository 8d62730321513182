package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// review is what is told of a change between two revisions.
type review struct {
	// Lead says what the review rests on.
	Lead string
	// Title heads it where the caller has none.
	Title string
	// Base and Head are the revisions; a working tree has words for a name.
	Base, Head string
	// Parts are those that have something to say: what this change does first,
	// and what it has nothing to do with last.
	Parts []part
}

// part is one of the groups into which a review sorts what it found.
type part struct {
	Title string
	// Count says how much there is of it, and About what it is.
	Count, About string
	Entries      []entry
	// Drift may be folded away: this change has nothing to do with it.
	Drift bool
}

// entry is what one org has to expect, or several that have to expect the same.
type entry struct {
	// Names are the orgs' domains, or what the account is called.
	Names []string
	// ID is that of a single org, or why it has none; empty where that says nothing.
	ID       string
	Account  bool
	Changes  []change
	Severity severity
}

// Head names the orgs if they are few, and counts them otherwise.
func (e entry) Head() string {
	if len(e.Names) > fewOrgs {
		return text.Plural(len(e.Names), "org")
	}
	return strings.Join(e.Names, ", ")
}

// Listed returns the names that Head doesn't.
func (e entry) Listed() []string {
	if len(e.Names) > fewOrgs {
		return e.Names
	}
	return nil
}

const (
	leadDeclared = "Declared change: from the manifests alone; what is live was not looked at."
	leadThreeWay = "Base, head and live were compared: what this change does is told apart from what differs without it."

	noteUnseen  = "whatever else the org has is taken away"
	noteNoFix   = "no call of the API can fix it"
	notThis     = "existing drift"
	byThis      = "this change"
	workingTree = "the files of the working tree"
)

func newReview(p *diff.Plan) *review {
	r := p.Review
	v := &review{Lead: leadThreeWay, Title: "Change to Okta orgs, held against what is live", Base: visible(r.Base), Head: cmp.Or(visible(r.Head), workingTree)}
	if r.Kind == diff.Declared {
		v.Lead, v.Title = leadDeclared, "Declared change to Okta orgs"
	}
	v.add(part{Title: "This change"}, "difference", differences(p, diff.ThisChange))
	v.add(part{Title: "Conflicts", About: "this change declares something else for what differs from the base already"},
		"difference", differences(p, diff.Conflict))
	v.add(part{Title: "Settings", About: "declared differently, and nothing is written for it"}, "", settings(p))
	v.add(part{Title: "Settled", About: "this change declares what is live already, against the base"}, "", settled(p))
	v.add(part{Title: "Existing drift", About: "live differs from the base already, and this change did not cause it", Drift: true},
		"difference", differences(p, diff.ExistingDrift))
	return v
}

// add appends a part, if there is something in it. It counts before it folds.
func (v *review) add(p part, noun string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	n := 0
	var parties []group
	for _, e := range entries {
		n += len(e.Changes)
		parties = append(parties, group{Account: e.Account})
	}
	p.Count = strconv.Itoa(n)
	if noun != "" {
		p.Count = text.Plural(n, noun)
	}
	p.Count += " in " + where(parties)
	p.Entries = fold(entries)
	v.Parts = append(v.Parts, p)
}

// gathering collects entries, one an org, in the order in which orgs come up.
type gathering struct {
	entries []entry
	index   map[string]int
}

func (g *gathering) of(p *diff.Plan, org string) *entry {
	if i, ok := g.index[org]; ok {
		return &g.entries[i]
	}
	if g.index == nil {
		g.index = map[string]int{}
	}
	e := entry{Names: []string{Org(org)}, Account: org == "", Severity: held}
	if e.Account {
		e.ID = visible(p.Account)
	}
	g.index[org] = len(g.entries)
	g.entries = append(g.entries, e)
	return &g.entries[len(g.entries)-1]
}

// originOf returns one of the three origins: what a file says besides is this
// change's, so that nothing is hidden.
func originOf(o diff.Origin) diff.Origin {
	if o == diff.Conflict || o == diff.ExistingDrift {
		return o
	}
	return diff.ThisChange
}

// differences returns the changes, and what can't be changed, of one origin.
func differences(p *diff.Plan, origin diff.Origin) []entry {
	var g gathering
	live := p.Review.Kind != diff.Declared
	for i := range p.Changes {
		c := &p.Changes[i]
		if originOf(c.Origin) != origin {
			continue
		}
		e := g.of(p, c.Org)
		if c.OrgID != "" && !e.Account {
			e.ID = visible(c.OrgID)
		}
		if e.ID == "" && live {
			e.ID = notLinked
		}
		e.Severity = min(e.Severity, severityOf(c, nil))
		one := change{Lines: describe(c, p)}
		if origin == diff.Conflict {
			explain(&one, c, p, i)
		}
		e.Changes = append(e.Changes, one)
	}
	for _, u := range p.Unfixable {
		if originOf(u.Origin) != origin {
			continue
		}
		l := line{Sign: attention, Text: visible(u.Field) + ": desired " + visible(u.Desired) + ", actual " + visible(u.Actual), Notes: []string{noteNoFix}}
		e := g.of(p, u.Org)
		e.Changes = append(e.Changes, change{Lines: []line{l}})
	}
	return g.entries
}

// explain says of a conflict which part of it is whose, and what each side has.
// at is the change's index in the plan.
func explain(one *change, c *diff.Change, p *diff.Plan, at int) {
	if c.Action == diff.UpdateProducts {
		base := c.Base.List()
		for i, id := range slices.Concat(c.Enable, c.Disable) {
			// What the base asks for and live lacks was lost before, and so on.
			whose := byThis
			if slices.Contains(base, id) == (i < len(c.Enable)) {
				whose = notThis
			}
			one.Lines[i].Notes = append(one.Lines[i].Notes, whose)
		}
	}
	before := c.Before
	if at > 0 && p.Changes[at-1].Org == c.Org && p.Changes[at-1].Action == c.Action {
		before = p.Changes[at-1].Before // a protected org's gain and loss are two changes
	}
	last := &one.Lines[len(one.Lines)-1]
	for _, side := range []struct {
		name  string
		value diff.Value
	}{{"base", c.Base}, {"live", before}, {"head", c.After}} {
		if !side.value.IsZero() {
			last.More = append(last.More, side.name+": "+Value(side.value, p.Products))
		}
	}
}

func settings(p *diff.Plan) []entry {
	var g gathering
	for i := range p.Review.Settings {
		s := &p.Review.Settings[i]
		e := g.of(p, s.Org)
		e.Changes = append(e.Changes, change{Lines: []line{setting(s, p.Review.Kind)}})
	}
	return g.entries
}

// setting puts a setting into words.
func setting(s *diff.Setting, kind diff.ReviewKind) line {
	if s.Field == diff.FieldDeclared {
		if s.Head == "" {
			return line{Sign: alter, Text: "no longer declared: the org becomes unmanaged"}
		}
		return line{Sign: add, Text: "declared from now on"}
	}
	l := line{Sign: alter, Text: visible(s.Field) + ": " + side(s.Field, s.Base) + " → " + side(s.Field, s.Head)}
	if kind == diff.Declared && s.Field == "productPolicy" && s.Head == string(state.Exact) {
		l.Notes = []string{noteUnseen}
	}
	return l
}

// side returns one side of a setting, or what it means that there is none.
func side(field, value string) string {
	switch {
	case value != "":
		return visible(value)
	case field == diff.FieldProducts || field == diff.FieldStatus || field == diff.FieldAccountName:
		return notManaged
	default:
		return "not set"
	}
}

func settled(p *diff.Plan) []entry {
	var g gathering
	for _, s := range p.Review.Settled {
		l := line{Sign: alter, Text: visible(s.Field) + ": base " + Value(s.Base, p.Products) + ", head and live " + Value(s.Head, p.Products)}
		e := g.of(p, s.Org)
		e.Changes = append(e.Changes, change{Lines: []line{l}})
	}
	return g.entries
}

// fold makes one entry of all orgs that have the same to expect, and puts first
// what a reader must not miss.
func fold(all []entry) []entry {
	index := map[string]int{}
	var folded []entry
	for _, e := range all {
		key := e.key()
		i, ok := index[key]
		if !ok || e.Account {
			index[key] = len(folded)
			folded = append(folded, e)
			continue
		}
		f := &folded[i]
		f.Names, f.ID = append(f.Names, e.Names...), ""
	}
	slices.SortStableFunc(folded, func(a, b entry) int { return cmp.Compare(a.Severity, b.Severity) })
	return folded
}

// key is the same for entries that say the same.
func (e *entry) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %d", e.Account, e.Severity)
	for _, c := range e.Changes {
		b.WriteString("\n\n")
		for _, l := range c.Lines {
			fmt.Fprintf(&b, "\n%s%v %s\t%s\t%s", l.Sign, l.Destructive, l.Text, strings.Join(l.Notes, "\t"), strings.Join(l.More, "\t"))
		}
	}
	return b.String()
}

// reviewSummary is the whole review in one line.
func reviewSummary(p *diff.Plan) string {
	r := p.Review
	var said []string
	if text := tally(p); text != "" {
		said = append(said, text)
	}
	for _, f := range []figure{{"conflict", r.Conflicts}, {"setting", len(r.Settings)}} {
		if f.N > 0 {
			said = append(said, text.Plural(f.N, f.Name))
		}
	}
	if n := len(r.Settled); n > 0 {
		said = append(said, fmt.Sprintf("%d settled", n))
	}
	s := "This change: nothing."
	if len(said) > 0 {
		s = "This change: " + strings.Join(said, ", ") + "."
	}
	if r.ExistingDrift > 0 {
		s += " Existing drift: " + text.Plural(r.ExistingDrift, "difference") + "."
	}
	var rest []string
	if n := p.Summary.InSync; n > 0 {
		how := " in sync"
		if r.Kind == diff.Declared {
			how = " not affected"
		}
		rest = append(rest, text.Plural(n, "org")+how)
	}
	for _, f := range []figure{{"unknown", p.Summary.Unknown}, {"unmanaged", p.Summary.Unmanaged}} {
		if f.N > 0 {
			rest = append(rest, fmt.Sprintf("%d %s", f.N, f.Name))
		}
	}
	if n := len(p.Refusals); n > 0 {
		rest = append(rest, "refused by "+text.Plural(n, "guard"))
	}
	if len(rest) > 0 {
		s += " " + title(strings.Join(rest, ", ")) + "."
	}
	return s
}

// tally returns "3 changes in 2 orgs (1 destructive), 1 unfixable" of what this
// change alone does; "" when that is nothing.
func tally(p *diff.Plan) string {
	alone := func(o diff.Origin) bool { return originOf(o) == diff.ThisChange }
	var parties []group
	n, last := 0, ""
	for i := range p.Changes {
		c := &p.Changes[i]
		if !alone(c.Origin) {
			continue
		}
		if n == 0 || c.Org != last { // the changes of one org stand together
			parties = append(parties, group{Account: c.Org == ""})
		}
		n, last = n+1, c.Org
	}
	var said []string
	if n > 0 {
		text := text.Plural(n, "change") + " in " + where(parties)
		var which []string
		for _, f := range marks(p, alone) {
			if f.N > 0 {
				which = append(which, fmt.Sprintf("%d %s", f.N, strings.ToLower(f.Name)))
			}
		}
		if len(which) > 0 {
			text += " (" + strings.Join(which, ", ") + ")"
		}
		said = append(said, text)
	}
	unfixable := 0
	for _, u := range p.Unfixable {
		if alone(u.Origin) {
			unfixable++
		}
	}
	if unfixable > 0 {
		said = append(said, fmt.Sprintf("%d unfixable", unfixable))
	}
	return strings.Join(said, ", ")
}

// marks counts what a reader must not miss among the changes of some origins.
func marks(p *diff.Plan, of func(diff.Origin) bool) []figure {
	destructive, irreversible, blocked := figure{Name: "Destructive"}, figure{Name: "Irreversible"}, figure{Name: "Blocked"}
	for i := range p.Changes {
		c := &p.Changes[i]
		if !of(c.Origin) {
			continue
		}
		if c.Destructive {
			destructive.N++
		}
		if c.Irreversible {
			irreversible.N++
		}
		if c.Blocked != "" {
			blocked.N++
		}
	}
	return []figure{destructive, irreversible, blocked}
}

// reviewFigures are the numbers of a review. Those that a reader must not miss
// speak of this change and its conflicts only.
func reviewFigures(p *diff.Plan) []figure {
	r := p.Review
	inSync := "In sync"
	if r.Kind == diff.Declared {
		inSync = "Not affected"
	}
	all := []figure{{"Orgs", p.Summary.Orgs}, {inSync, p.Summary.InSync}, {"This change", r.ThisChange}}
	more := []figure{{"Conflicts", r.Conflicts}, {"Settings", len(r.Settings)}, {"Settled", len(r.Settled)}, {"Existing drift", r.ExistingDrift}}
	more = append(more, marks(p, func(o diff.Origin) bool { return originOf(o) != diff.ExistingDrift })...)
	more = append(more, figure{"Unknown", p.Summary.Unknown}, figure{"Unmanaged", p.Summary.Unmanaged}, figure{"Refusals", len(p.Refusals)})
	for _, f := range more {
		if f.N > 0 {
			all = append(all, f)
		}
	}
	return all
}
