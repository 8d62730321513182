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

// review shows a change between two revisions.
type review struct {
	// Lead is what was compared.
	Lead string
	// Title is the default title.
	Title string
	// Base and Head are the revisions, or the working tree.
	Base, Head string
	// Parts are those with content: this change first, existing drift last.
	Parts []part
}

// part is a section of a review.
type part struct {
	Title string
	// Count is the number of its changes and orgs, and About what they are.
	Count, About string
	Entries      []entry
	// Drift is existing drift, which may be folded away.
	Drift bool
}

// Limited returns the entries in bounded length.
func (v *view) Limited(p part) section {
	var s section
	s.Groups, s.Left = limit(p.Entries, v.most)
	return s
}

const (
	leadDeclared = "Declared change: from the manifests alone; live state was not read."
	leadThreeWay = "Base, head and live were compared: this change is shown apart from existing drift."

	noteUnseen  = "all other products of the org are removed"
	notThis     = "existing drift"
	byThis      = "this change"
	workingTree = "the files of the working tree"
)

func newReview(p *diff.Plan) *review {
	r := p.Review
	v := &review{Lead: leadThreeWay, Title: "Change to Okta orgs, compared with live state", Base: visible(r.Base), Head: cmp.Or(visible(r.Head), workingTree)}
	if r.Kind == diff.Declared {
		v.Lead, v.Title = leadDeclared, "Declared change to Okta orgs"
	}
	v.add(part{Title: "This change"}, "difference", differences(p, diff.ThisChange))
	v.add(part{Title: "Conflicts", About: "this change declares other values for fields in which live differs from the base already"},
		"difference", differences(p, diff.Conflict))
	v.add(part{Title: "Settings", About: "declared differently, without a write"}, "", settings(p))
	v.add(part{Title: "Settled", About: "live already has what this change declares"}, "", settled(p))
	v.add(part{Title: "Existing drift", About: "live differs from the base already, without this change", Drift: true},
		"difference", differences(p, diff.ExistingDrift))
	return v
}

// add appends a part, unless it is empty. It counts before it folds.
func (v *review) add(p part, noun string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	n := 0
	for _, e := range entries {
		n += len(e.Changes)
	}
	p.Count = strconv.Itoa(n)
	if noun != "" {
		p.Count = text.Plural(n, noun)
	}
	p.Count += " in " + where(entries)
	p.Entries = fold(share(entries))
	v.Parts = append(v.Parts, p)
}

// originOf returns one of the three origins; an unknown one counts as this
// change, so that nothing is hidden.
func originOf(o diff.Origin) diff.Origin {
	if o == diff.Conflict || o == diff.ExistingDrift {
		return o
	}
	return diff.ThisChange
}

func anyOrigin(diff.Origin) bool { return true }

func isThisChange(o diff.Origin) bool { return originOf(o) == diff.ThisChange }

// differences returns the changes and unfixable differences of one origin.
func differences(p *diff.Plan, origin diff.Origin) []entry {
	g := changesOf(p, nil, func(o diff.Origin) bool { return originOf(o) == origin })
	for _, u := range p.Unfixable {
		if originOf(u.Origin) != origin {
			continue
		}
		e := g.of(p, u.Org)
		e.Changes = append(e.Changes, change{Lines: []Line{DescribeUnfixable(&u)}, Object: isObjectField(u.Field), Severity: held})
	}
	return g.entries
}

// isObjectField reports whether a field is one of the org's configuration.
func isObjectField(field string) bool { return strings.Contains(field, "/") }

// explain adds to a conflict which part is this change's and which is existing
// drift, and the value of each side. at is the change's index in the plan.
func explain(one *change, c *diff.Change, p *diff.Plan, at int) {
	if c.Action == diff.UpdateProducts {
		base := c.Base.List()
		for i, id := range slices.Concat(c.Enable, c.Disable) {
			// A product that base and head agree on is existing drift.
			whose := byThis
			if slices.Contains(base, id) == (i < len(c.Enable)) {
				whose = notThis
			}
			one.Lines[i].Notes = append(one.Lines[i].Notes, whose)
		}
	}
	before := c.Before
	if at > 0 && p.Changes[at-1].Org == c.Org && p.Changes[at-1].Action == c.Action {
		before = p.Changes[at-1].Before // a protected org's additions and removals are two changes
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
		e.Changes = append(e.Changes, change{Lines: []Line{setting(s, p.Review.Kind)}, Object: isObjectField(s.Field), Severity: held})
	}
	return g.entries
}

// setting returns the line of a setting.
func setting(s *diff.Setting, kind diff.ReviewKind) Line {
	if s.Field == diff.FieldDeclared {
		if s.Head == "" {
			return Line{Sign: Alter, Text: "no longer declared: the org becomes unmanaged"}
		}
		return Line{Sign: Add, Text: "declared from now on"}
	}
	if isObjectField(s.Field) && !strings.Contains(s.Field, ": ") {
		return objectSetting(s)
	}
	l := Line{Sign: Alter, Text: visible(s.Field) + ": " + side(s.Field, s.Base) + " → " + side(s.Field, s.Head)}
	if kind == diff.Declared && s.Field == "productPolicy" && s.Head == string(state.Exact) {
		l.Notes = []string{noteUnseen}
	}
	if s.Field == diff.FieldRequestDeletion && s.Base == "true" {
		l.Notes = append(l.Notes, noteNotCancelled)
	}
	return l
}

// side returns one side of a setting, or what an empty one means.
func side(field, value string) string {
	switch {
	case value != "":
		return visible(value)
	case isObjectField(field) || field == diff.FieldProducts || field == diff.FieldStatus || field == diff.FieldAccountName:
		return notManaged
	default:
		return "not set"
	}
}

func settled(p *diff.Plan) []entry {
	var g gathering
	for _, s := range p.Review.Settled {
		l := Line{Sign: Alter, Text: visible(s.Field) + ": base " + Value(s.Base, p.Products) + ", head and live " + Value(s.Head, p.Products)}
		e := g.of(p, s.Org)
		e.Changes = append(e.Changes, change{Lines: []Line{l}, Object: isObjectField(s.Field), Severity: held})
	}
	return g.entries
}

// fold merges the entries of orgs with the same changes, and sorts by severity.
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

// key is equal for entries with the same changes.
func (e *entry) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %d", e.Account, e.Severity)
	for i := range e.Changes {
		b.WriteString("\n\n" + e.Changes[i].key())
	}
	return b.String()
}

// key is equal for changes that are shown in the same way.
func (c *change) key() string {
	var b strings.Builder
	for _, l := range c.Lines {
		fmt.Fprintf(&b, "\n%s%v %s\t%s\t%s", l.Sign, l.Destructive, l.Text, strings.Join(l.Notes, "\t"), strings.Join(l.More, "\t"))
	}
	if c.Result != "" {
		fmt.Fprintf(&b, "\n%s\t%s\t%s", c.Result, c.Error, c.Hint)
	}
	return b.String()
}

// reviewSummary returns the review in one line.
func reviewSummary(p *diff.Plan) string {
	r := p.Review
	var parts []string
	if changes := changesIn(p, isThisChange); changes != "" {
		parts = append(parts, changes)
	}
	unfixable := 0
	for _, u := range p.Unfixable {
		if isThisChange(u.Origin) {
			unfixable++
		}
	}
	parts = append(parts, counted([]figure{{"unfixable", unfixable}})...)
	for _, f := range nonzero([]figure{{"conflict", r.Conflicts}, {"setting", len(r.Settings)}}) {
		parts = append(parts, text.Plural(f.N, f.Name))
	}
	parts = append(parts, counted([]figure{{"settled", len(r.Settled)}})...)
	s := "This change: " + cmp.Or(strings.Join(parts, ", "), "nothing") + "."
	if r.ExistingDrift > 0 {
		s += " Existing drift: " + text.Plural(r.ExistingDrift, "difference") + "."
	}
	if rest := rest(p, unaffected(r), 0); rest != "" {
		s += " " + title(rest) + "."
	}
	return s + objectSummary(p)
}

// unaffected returns what an org without differences is called.
func unaffected(r *diff.Review) string {
	if r.Kind == diff.Declared {
		return "not affected"
	}
	return "in sync"
}

// reviewFigures returns the numbers of a review. Existing drift doesn't count
// among destructive, irreversible and blocked changes.
func reviewFigures(p *diff.Plan) []figure {
	r := p.Review
	more := []figure{{"Conflicts", r.Conflicts}, {"Settings", len(r.Settings)}, {"Settled", len(r.Settled)}, {"Existing drift", r.ExistingDrift}}
	more = append(more, properties(p, func(o diff.Origin) bool { return originOf(o) != diff.ExistingDrift })...)
	more = append(more, others(p, 0)...)
	more = append(more, objectFigures(p)...)
	return append([]figure{{"Orgs", p.Summary.Orgs}, {title(unaffected(r)), p.Summary.InSync}, {"This change", r.ThisChange}}, nonzero(more)...)
}
