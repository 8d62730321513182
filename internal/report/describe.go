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
)

// describe puts one change of the plan into words, at least one line of them.
func describe(c *diff.Change, p *diff.Plan) []line {
	var lines []line
	products := p.Products
	declared := p.Review != nil && p.Review.Kind == diff.Declared
	switch c.Action {
	case diff.RenameAccount:
		lines = []line{{Sign: alter, Text: "rename from " + quote(c.Before.Text()) + " to " + quote(c.After.Text())}}
		if c.Before.Text() == "" {
			lines[0].Text = "name it " + quote(c.After.Text()) + ", not managed before"
		}
	case diff.CreateOrg:
		lines = []line{describeCreate(c)}
		if declared {
			lines[0].Text += ", if it does not exist yet"
		}
	case diff.LinkOrg:
		lines = []line{{Sign: add, Text: "link to the account", Kind: "link to the account"}}
		if c.Cell != "" {
			lines[0].Text += " from cell " + visible(c.Cell)
		}
		if declared {
			lines[0].Text += ", if it is not linked yet"
		}
	case diff.UpdateProducts:
		for _, id := range c.Enable {
			lines = append(lines, line{Sign: add, Text: "enable " + product(id, products)})
		}
		for _, id := range c.Disable {
			lines = append(lines, line{Sign: remove, Text: "disable " + product(id, products)})
		}
		if c.Before.IsZero() {
			lines = append(lines, describeUnseen(c))
		}
	case diff.SetStatus:
		one := line{Sign: alter, Text: "status " + visible(c.Before.Text()) + " → " + visible(c.After.Text())}
		if c.Before.Text() == "" {
			one.Text = "status " + visible(c.After.Text()) + ", not managed before"
		}
		if c.After.Text() == string(state.Inactive) {
			one.Sign, one.Notes = remove, []string{noteInactive}
		}
		lines = []line{one}
	case diff.RequestDeletion:
		lines = []line{{Sign: remove, Text: "ask Okta to delete the org"}}
	}
	if len(lines) == 0 { // a plan read from a file may hold anything
		lines = []line{{Sign: attention, Text: visible(string(c.Action))}}
	}
	for i := range lines {
		mark(&lines[i], c, len(lines) == 1)
	}
	return lines
}

// mark notes on a line what the plan says of its change. Of several lines,
// only those that take away are the destructive ones.
func mark(l *line, c *diff.Change, only bool) {
	if l.Kind == "" {
		l.Kind = l.Text
	}
	l.Destructive = c.Destructive && (only || l.Sign == remove)
	if c.Irreversible {
		l.Notes = append(l.Notes, noteIrreversible)
	}
	if c.Blocked != "" {
		l.Sign = attention
		l.Notes = append(l.Notes, "blocked: "+visible(c.Blocked))
	}
}

// describeUnseen says what follows from products that were not managed before.
func describeUnseen(c *diff.Change) line {
	l := line{Sign: alter, Text: "products are managed from now on"}
	if !c.Additive {
		l.Notes = []string{noteUnseen}
	}
	return l
}

func describeCreate(c *diff.Change) line {
	l := line{Sign: add, Text: "create the org", Kind: "create the org"}
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

// Org returns what people call the org of a domain; the account has no domain.
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

// kinds counts the orgs by what happens to them: what takes away first, then
// what needs attention, then the rest, the most frequent first. The account is
// no org and has nothing to count.
func kinds(groups []group) []kind {
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
					all = append(all, kind{line: line{Sign: l.Sign, Text: l.Kind, Destructive: l.Destructive, Notes: l.Notes}})
				}
				if k := &all[i]; len(k.Orgs) == 0 || k.Orgs[len(k.Orgs)-1] != g.Name {
					k.Orgs = append(k.Orgs, g.Name)
				}
			}
		}
	}
	order := map[sign]int{remove: 0, attention: 1, alter: 2, add: 3}
	slices.SortStableFunc(all, func(a, b kind) int {
		return cmp.Or(
			cmp.Compare(order[a.Sign], order[b.Sign]),
			cmp.Compare(len(b.Orgs), len(a.Orgs)),
			strings.Compare(a.Text, b.Text),
		)
	})
	return all
}

// figures are the numbers of the plan, and of what became of it; zeros say
// something only in a few places.
func figures(d Data) []figure {
	s := d.Plan.Summary
	all := []figure{{"Orgs", s.Orgs}, {"In sync", s.InSync}, {"Changes", s.Changes}}
	if d.Result != nil {
		c := d.Result.Counts()
		all = append(all, figure{"Applied", c.Applied}, figure{"Failed", c.Failed}, figure{"Skipped", c.Skipped})
	}
	for _, f := range []figure{
		{"Destructive", s.Destructive},
		{"Irreversible", irreversible(d.Plan)},
		{"Blocked", s.Blocked},
		{"Unfixable", s.Unfixable},
		{"Unknown", s.Unknown},
		{"Unmanaged", s.Unmanaged},
		{"Refusals", len(d.Plan.Refusals)},
	} {
		if f.N > 0 {
			all = append(all, f)
		}
	}
	return all
}

func irreversible(p *diff.Plan) int {
	n := 0
	for i := range p.Changes {
		if p.Changes[i].Irreversible {
			n++
		}
	}
	return n
}

// summary is the whole report in one line.
func summary(d Data, groups []group) string {
	p := d.Plan
	var rest []string
	if n := p.Summary.InSync; n > 0 {
		rest = append(rest, text.Plural(n, "org")+" in sync")
	}
	for _, f := range []figure{
		{"unfixable", p.Summary.Unfixable}, {"unknown", p.Summary.Unknown}, {"unmanaged", p.Summary.Unmanaged},
	} {
		if f.N > 0 {
			rest = append(rest, fmt.Sprintf("%d %s", f.N, f.Name))
		}
	}
	if n := len(p.Refusals); n > 0 {
		rest = append(rest, "refused by "+text.Plural(n, "guard"))
	}

	first := "Plan: " + changesIn(p, groups)
	switch {
	case d.Result != nil && len(p.Changes) > 0:
		c := d.Result.Counts()
		first = fmt.Sprintf("Applied: %d, failed: %d, skipped: %d, blocked: %d", c.Applied, c.Failed, c.Skipped, c.Blocked)
		if d.Result.Interrupted {
			first = "Interrupted. " + first
		}
		if len(rest) > 0 {
			return first + "; " + strings.Join(rest, ", ") + "."
		}
	case p.Empty() && len(p.Refusals) == 0:
		if len(rest) == 0 {
			return "No differences."
		}
		return "No differences. " + strings.Join(rest, ", ") + "."
	}
	return strings.Join(append([]string{first}, rest...), ", ") + "."
}

// changesIn returns "3 changes in 2 orgs (1 destructive, 1 blocked)".
func changesIn(p *diff.Plan, groups []group) string {
	if len(p.Changes) == 0 {
		return "no changes"
	}
	var which []string
	for _, f := range []figure{
		{"destructive", p.Summary.Destructive}, {"irreversible", irreversible(p)}, {"blocked", p.Summary.Blocked},
	} {
		if f.N > 0 {
			which = append(which, fmt.Sprintf("%d %s", f.N, f.Name))
		}
	}
	text := text.Plural(len(p.Changes), "change") + " in " + where(groups)
	if len(which) > 0 {
		text += " (" + strings.Join(which, ", ") + ")"
	}
	return text
}

// where returns "2 orgs", or "the account and 1 org".
func where(groups []group) string {
	orgs := 0
	for i := range groups {
		if !groups[i].Account {
			orgs++
		}
	}
	switch {
	case orgs == len(groups):
		return text.Plural(orgs, "org")
	case orgs == 0:
		return "the account"
	default:
		return "the account and " + text.Plural(orgs, "org")
	}
}

func noun(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
