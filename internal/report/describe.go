package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// interruptedText explains what stopping a run does.
const interruptedText = "Interrupted: the run was stopped; calls in flight were finished, no new ones were started"

const (
	noteIrreversible = "cannot be undone"
	noteInactive     = "nobody can sign in"
	noteNotCancelled = "a request that was made stays in force: it is taken back in Okta"
)

// Describe returns the effects of one change, at least one, as all formats show them.
// products are the names of products by their ids; nil is allowed.
func Describe(c *diff.Change, products map[string]string) []Line { return describe(c, products, false) }

// describe is Describe. Of a change that is declared, nobody has looked at what is live.
func describe(c *diff.Change, products map[string]string, declared bool) []Line {
	var lines []Line
	switch c.Action {
	case diff.RenameAccount:
		lines = []Line{{Sign: Alter, Text: "rename from " + quote(c.Before.Text()) + " to " + quote(c.After.Text())}}
		if c.Before.Text() == "" {
			lines[0].Text = "name it " + quote(c.After.Text()) + ", not managed before"
		}
	case diff.CreateOrg:
		lines = []Line{describeCreate(c)}
		if declared {
			lines[0].Text += ", if it does not exist yet"
		}
	case diff.LinkOrg:
		lines = []Line{{Sign: Add, Text: "link to the account", Kind: "link to the account"}}
		if c.Cell != "" {
			lines[0].Text += " from cell " + visible(c.Cell)
		}
		if declared {
			lines[0].Text += ", if it is not linked yet"
		}
	case diff.UpdateProducts:
		for _, id := range c.Enable {
			lines = append(lines, Line{Sign: Add, Text: "enable " + product(id, products)})
		}
		for _, id := range c.Disable {
			lines = append(lines, Line{Sign: Remove, Text: "disable " + product(id, products)})
		}
		if c.Before.IsZero() {
			l := Line{Sign: Alter, Text: "products are managed from now on"}
			if !c.Additive {
				l.Notes = []string{noteUnseen}
			}
			lines = append(lines, l)
		}
	case diff.SetStatus:
		one := Line{Sign: Alter, Text: "status " + visible(c.Before.Text()) + " → " + visible(c.After.Text())}
		if c.Before.Text() == "" {
			one.Text = "status " + visible(c.After.Text()) + ", not managed before"
		}
		if c.After.Text() == string(state.Inactive) {
			one.Sign, one.Notes = Remove, []string{noteInactive}
		}
		lines = []Line{one}
	case diff.RequestDeletion:
		lines = []Line{{Sign: Remove, Text: "request the org's deletion"}}
	}
	if c.IsObject() {
		lines = describeObject(c, declared)
	}
	if len(lines) == 0 { // an unknown action in a plan from a file
		lines = []Line{{Sign: Attention, Text: visible(string(c.Action))}}
	}
	for i := range lines {
		annotate(&lines[i], c, len(lines) == 1)
	}
	return lines
}

// NoFix is why a difference stays that no call of the API can fix, if no other reason is
// known.
const NoFix = "no call of the API can change it"

// DescribeUnfixable returns the effect of a difference that can't be fixed: none, and why.
func DescribeUnfixable(u *diff.Unfixable) Line {
	words := orNotSet(u.Actual) + " → " + orNotSet(u.Desired)
	if isObjectField(u.Field) {
		words = valueChange(decode(diff.Text(u.Actual)), decode(diff.Text(u.Desired)), notSet)
	}
	return Line{
		Sign: Attention, Kind: visible(u.Field), Text: visible(u.Field) + ": " + words,
		Notes: []string{Blocked(cmp.Or(u.Reason, NoFix))},
	}
}

func orNotSet(s string) string { return cmp.Or(visible(s), notSet) }

// annotate adds the properties of the change to one of its lines. Of several
// lines, only those that remove something are destructive.
func annotate(l *Line, c *diff.Change, only bool) {
	if l.Kind == "" {
		l.Kind = l.Text
	}
	l.Destructive = c.Destructive && (only || l.Sign == Remove)
	if c.Irreversible {
		l.Notes = append(l.Notes, noteIrreversible)
	}
	if c.Cause != "" {
		l.Notes = append(l.Notes, "caused by "+visible(c.Cause))
	}
	if c.TakesBack != "" {
		l.Notes = append(l.Notes, "takes back run "+visible(c.TakesBack))
	}
	if c.Blocked != "" {
		l.Sign = Attention
		l.Notes = append(l.Notes, Blocked(c.Blocked))
	}
}

func describeCreate(c *diff.Change) Line {
	l := Line{Sign: Add, Text: "create the org", Kind: "create the org"}
	if c.Cell != "" {
		l.Text += " in cell " + visible(c.Cell)
	}
	if c.Create == nil {
		return l
	}
	l.Text += " through parent " + quote(c.Create.Parent)
	l.More = append(l.More, "name: "+visible(c.Create.Name))
	if c.Create.Website != "" {
		l.More = append(l.More, "website: "+visible(c.Create.Website))
	}
	a := c.Create.Admin
	l.More = append(l.More, fmt.Sprintf("first admin: %s %s, e-mail %s, login %s",
		visible(a.FirstName), visible(a.LastName), visible(a.Email), visible(a.Login)))
	return l
}

// notManaged stands for a value that is not declared.
const notManaged = "not managed"

// Blocked returns why a change or drift is blocked, for people.
func Blocked(why string) string { return "blocked: " + visible(why) }

// Value returns a value for people: products as "name (id)", a list without any
// as "none", and one that isn't declared as "not managed". Foreign text is made
// visible. names are the products' names by id; nil is allowed.
func Value(v diff.Value, names map[string]string) string {
	ids := v.List()
	switch {
	case v.IsZero():
		return notManaged
	case ids == nil:
		return visible(v.Text())
	case len(ids) == 0:
		return "none"
	}
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = product(id, names)
	}
	return strings.Join(all, ", ")
}

// Org returns the display name of the org with a domain; the account has none.
func Org(domain string) string {
	if domain == "" {
		return "Aerial account"
	}
	return visible(domain)
}

// product returns "name (id)", or the bare id of a product without a name.
func product(id string, names map[string]string) string {
	if name := names[id]; name != "" && name != id {
		return visible(name) + " (" + visible(id) + ")"
	}
	return visible(id)
}

func quote(s string) string { return `"` + visible(s) + `"` }

// kinds counts the orgs by effect: removals first, then what needs attention, then
// the rest, the most frequent first. The account is not counted.
func kinds(groups []entry) []kind {
	index := map[string]int{}
	var all []kind
	for _, g := range groups {
		if g.Account {
			continue
		}
		for _, c := range g.Changes {
			for _, l := range c.Lines {
				key := string(l.Sign) + l.Kind + "\n" + strings.Join(l.Notes, "\n")
				i, ok := index[key]
				if !ok {
					i = len(all)
					index[key] = i
					all = append(all, kind{Line: Line{Sign: l.Sign, Text: l.Kind, Destructive: l.Destructive, Notes: l.Notes}, seen: map[string]bool{}})
				}
				all[i].count(g.Names)
			}
		}
	}
	order := map[Sign]int{Remove: 0, Attention: 1, Alter: 2, Add: 3}
	slices.SortStableFunc(all, func(a, b kind) int {
		return cmp.Or(
			cmp.Compare(order[a.Sign], order[b.Sign]),
			cmp.Compare(len(b.Orgs), len(a.Orgs)),
			strings.Compare(a.Text, b.Text),
		)
	})
	return all
}

// figures returns the numbers of the plan and of its result. Zeros are left out but
// for the first.
func figures(d Data) []figure {
	s := d.Plan.Summary
	all := []figure{{"Orgs", s.Orgs}, {"In sync", s.InSync}, {"Changes", s.Changes}}
	if d.Result != nil {
		c := d.Result.Counts()
		all = append(all, figure{"Applied", c.Applied}, figure{"Failed", c.Failed}, figure{"Skipped", c.Skipped})
	}
	return append(all, nonzero(append(append(properties(d.Plan, anyOrigin), others(d.Plan, s.Unfixable)...), objectFigures(d.Plan)...))...)
}

func nonzero(all []figure) []figure {
	return slices.DeleteFunc(all, func(f figure) bool { return f.N == 0 })
}

// properties counts the changes of some origins by their properties.
func properties(p *diff.Plan, include func(diff.Origin) bool) []figure {
	all := []figure{{Name: "Destructive"}, {Name: "Irreversible"}, {Name: "Blocked"}}
	for i := range p.Changes {
		c := &p.Changes[i]
		for k, has := range []bool{c.Destructive, c.Irreversible, c.Blocked != ""} {
			if has && include(c.Origin) {
				all[k].N++
			}
		}
	}
	return all
}

// others returns the numbers beside those of the changes.
func others(p *diff.Plan, unfixable int) []figure {
	return []figure{
		{"Unfixable", unfixable}, {"Unknown", p.Summary.Unknown}, {"Unmanaged", p.Summary.Unmanaged}, {"Refusals", len(p.Refusals)},
	}
}

// counted returns numbers as "3 destructive", without zeros.
func counted(all []figure) []string {
	var texts []string
	for _, f := range nonzero(all) {
		if f.Name == "Refusals" {
			texts = append(texts, "refused by "+text.Plural(f.N, "guard"))
		} else {
			texts = append(texts, fmt.Sprintf("%d %s", f.N, strings.ToLower(f.Name)))
		}
	}
	return texts
}

// rest returns the end of a summary: "3 orgs in sync, 1 unknown".
func rest(p *diff.Plan, inSync string, unfixable int) string {
	var orgs []string
	if n := p.Summary.InSync; n > 0 {
		orgs = []string{text.Plural(n, "org") + " " + inSync}
	}
	return strings.Join(append(orgs, counted(others(p, unfixable))...), ", ")
}

// summary returns the report in one line.
func summary(d Data) string {
	p := d.Plan
	rest := rest(p, "in sync", p.Summary.Unfixable)
	first, glue := "Plan: "+cmp.Or(changesIn(p, anyOrigin), "no changes"), ", "
	switch {
	case d.Result != nil && len(p.Changes) > 0:
		c := d.Result.Counts()
		first, glue = fmt.Sprintf("Applied: %d, failed: %d, skipped: %d, blocked: %d", c.Applied, c.Failed, c.Skipped, c.Blocked), "; "
		if d.Result.Interrupted {
			first = "Interrupted. " + first
		}
	case d.Saved && len(p.Changes) == 0:
		return savedSummary(p)
	case p.Empty() && len(p.Refusals) == 0:
		first, glue = "No differences", ". "
	}
	if rest != "" {
		first += glue + rest
	}
	return first + "." + objectSummary(p)
}

// objectFigures counts the objects of the orgs' configuration.
func objectFigures(p *diff.Plan) []figure {
	o := p.Summary.Objects
	if o == nil {
		return nil
	}
	return []figure{
		{"Objects declared", o.Declared}, {"Objects in sync", o.InSync}, {"Objects unmanaged", o.Unmanaged}, {"Objects unknown", o.Unknown},
	}
}

// objectSummary returns the same as a sentence; "" where no objects are declared.
func objectSummary(p *diff.Plan) string {
	var texts []string
	for _, f := range nonzero(objectFigures(p)) {
		texts = append(texts, fmt.Sprintf("%d %s", f.N, strings.TrimPrefix(f.Name, "Objects ")))
	}
	if len(texts) == 0 {
		return ""
	}
	return " Objects: " + strings.Join(texts, ", ") + "."
}

// savedSummary returns the report on a saved plan without changes in one line. It
// says nothing of what is live now, as nobody has compared it.
func savedSummary(p *diff.Plan) string {
	s := "Nothing to do: the saved plan has no changes"
	if p.Revision != "" {
		s += fmt.Sprintf(" (it was made for commit %.12s)", p.Revision)
	}
	return s + ". What is live now was not compared with the manifests: make a new plan for that."
}

// changesIn returns "3 changes in 2 orgs (1 destructive, 1 blocked)" for the
// changes of some origins; "" when there are none.
func changesIn(p *diff.Plan, include func(diff.Origin) bool) string {
	n := 0
	var g gathering
	for i := range p.Changes {
		if c := &p.Changes[i]; include(c.Origin) {
			n++
			g.of(p, c.Org)
		}
	}
	if n == 0 {
		return ""
	}
	s := text.Plural(n, "change") + " in " + where(g.entries)
	if which := counted(properties(p, include)); len(which) > 0 {
		s += " (" + strings.Join(which, ", ") + ")"
	}
	return s
}

// where returns "2 orgs", or "the account and 1 org".
func where(entries []entry) string {
	orgs, account := map[string]bool{}, false
	for i := range entries {
		if entries[i].Account {
			account = true
			continue
		}
		for _, name := range entries[i].Names {
			orgs[name] = true
		}
	}
	switch {
	case !account:
		return text.Plural(len(orgs), "org")
	case len(orgs) == 0:
		return "the account"
	default:
		return "the account and " + text.Plural(len(orgs), "org")
	}
}
