package report

import (
	"cmp"
	"slices"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// view is a report that has no form yet: everything that people read, worded
// and in order, with all foreign text made visible. The forms only lay it out.
type view struct {
	Title    string
	Summary  string
	Figures  []figure
	Account  string
	Revision string
	Signer   string
	Digest   string
	Warnings []string
	// Groups hold the changes, one group an org, in the plan's order.
	Groups []group
	// Kinds tell the same changes once more by what they do.
	Kinds     []kind
	Unfixable []unfixable
	Unmanaged []unmanaged
	Unknown   []unknown
	Refusals  []refusal
	Applied   bool // there are outcomes to show
	// Interrupted says what stopping the run did; empty when it was not.
	Interrupted string
	// Review is set for a change between two revisions that nobody has applied
	// yet; Groups, Kinds and Unfixable are empty then.
	Review *review
}

// The plan's own types, with their texts made visible.
type (
	unfixable diff.Unfixable
	unmanaged diff.Unmanaged
	unknown   diff.Unknown
	refusal   diff.Refusal
)

// figure is one number of the summary.
type figure struct {
	Name string
	N    int
}

// group is what happens to one org, or to the account itself.
type group struct {
	Name    string
	Account bool
	// ID is empty for an org that isn't linked yet.
	ID       string
	Changes  []change
	Severity severity
}

// severity is how much a reader must not miss a group.
type severity int

const (
	failed  severity = iota // a change failed
	untried                 // none failed, but one was not tried
	grave                   // something is taken away or can't be undone
	plain                   // none of these
	held                    // all changes are blocked
)

// severityOf looks at one change; o is nil when nothing was tried.
func severityOf(c *diff.Change, o *apply.Outcome) severity {
	switch {
	case o != nil && o.Result == apply.Failed:
		return failed
	case o != nil && o.Result == apply.Skipped:
		return untried
	case c.Blocked != "":
		return held
	case c.Destructive || c.Irreversible:
		return grave
	default:
		return plain
	}
}

// id returns the org's id, or says why there is none.
func (g *group) id() string { return cmp.Or(g.ID, notLinked) }

const notLinked = "not linked yet"

// change is one change of the plan: mostly one line, but one for each product.
type change struct {
	Lines []line
	// Result, Error and Hint are empty when nothing was tried.
	Result      apply.Status
	Error, Hint string
}

// ErrorWord and HintWord introduce Error and Hint: a change that was not tried
// has met no error, and one that was applied needs no hint.
func (c change) ErrorWord() string {
	if c.Result == apply.Failed {
		return "error"
	}
	return "because"
}

func (c change) HintWord() string {
	if c.Result == apply.Failed {
		return "hint"
	}
	return "note"
}

// line is one thing that happens.
type line struct {
	Sign sign
	Text string
	// Kind is Text without what concerns this org only.
	Kind        string
	Destructive bool
	Notes       []string
	// More is what else there is to know, one item a line.
	More []string
}

// kind is something that happens to one or more orgs, which are named in order.
type kind struct {
	line
	Orgs []string
}

// Count returns the number of orgs, and their names if there are few.
func (k kind) Count() string {
	count := text.Plural(len(k.Orgs), "org")
	if len(k.Orgs) > fewOrgs {
		return count
	}
	return count + ", " + strings.Join(k.Orgs, ", ")
}

// signed returns the line as the text has it: sign, words, notes.
func (l *line) signed(notes []string) string {
	s := string(l.Sign) + " " + l.Text
	if len(notes) > 0 {
		s += "  [" + strings.Join(notes, "; ") + "]"
	}
	return s
}

// sign says at a glance what a line does.
type sign string

const (
	add       sign = "+"
	alter     sign = "~"
	remove    sign = "-"
	attention sign = "!"
)

// signs are in the order of the legend.
var signs = [...]sign{add, alter, remove, attention}

// Word says the same to those who can't see the sign.
func (s sign) Word() string {
	switch s {
	case add:
		return "add"
	case alter:
		return "change"
	case remove:
		return "take away"
	default:
		return "needs attention"
	}
}

func newView(d Data) *view {
	p := d.Plan
	v := &view{
		Title:    visible(d.Title),
		Account:  visible(p.Account),
		Revision: visible(p.Revision),
		Signer:   visible(p.Signer),
		Digest:   visible(p.Digest),
		Applied:  d.Result != nil && len(p.Changes) > 0,
	}
	if d.Result != nil && d.Result.Interrupted {
		v.Interrupted = interruptedText
	}
	for _, w := range d.Warnings {
		v.Warnings = append(v.Warnings, visible(w))
	}
	if v.Review = reviewOf(d); v.Review != nil {
		v.Figures, v.Summary = reviewFigures(p), reviewSummary(p)
		v.others(p)
		return v
	}
	for _, u := range p.Unfixable {
		v.Unfixable = append(v.Unfixable, unfixable{
			Org: orgName(u.Org), Field: visible(u.Field), Desired: visible(u.Desired), Actual: visible(u.Actual),
		})
	}
	v.others(p)
	v.Groups = groups(p, d.Result)
	v.Kinds = kinds(v.Groups)
	v.Figures = figures(d)
	v.Summary = summary(d, v.Groups)
	return v
}

// reviewOf returns the review to show. What was applied is told like any plan:
// then it matters what became of it, and no longer where it came from.
func reviewOf(d Data) *review {
	if d.Plan.Review == nil || d.Result != nil {
		return nil
	}
	return newReview(d.Plan)
}

// others takes over what a plan says beside its differences.
func (v *view) others(p *diff.Plan) {
	for _, u := range p.Unmanaged {
		v.Unmanaged = append(v.Unmanaged, unmanaged{Org: orgName(u.Org), OrgID: visible(u.OrgID)})
	}
	for _, u := range p.Unknown {
		v.Unknown = append(v.Unknown, unknown{Org: orgName(u.Org), OrgID: visible(u.OrgID), Error: visible(u.Error)})
	}
	for _, r := range p.Refusals {
		v.Refusals = append(v.Refusals, refusal{Guard: visible(r.Guard), Message: visible(r.Message)})
	}
}

// InSync says that there is nothing to tell but the summary.
func (v *view) InSync() bool {
	return len(v.Groups)+len(v.Unfixable)+len(v.Unknown)+len(v.Refusals)+len(v.Warnings) == 0 && v.Interrupted == "" &&
		(v.Review == nil || len(v.Review.Parts) == 0)
}

// source is one thing that a report rests on.
type source struct {
	Name, Value string
}

// Sources says what the report rests on: the account, the commits, and who
// signed the last of them.
func (v *view) Sources() []source {
	all := []source{{"account", v.Account}}
	if r := v.Review; r != nil {
		all = append(all, source{"base", r.Base}, source{"head", r.Head})
	} else {
		all = append(all, source{"commit", v.Revision})
	}
	all = append(all, source{"signed by", v.Signer})
	return slices.DeleteFunc(all, func(s source) bool { return s.Value == "" })
}

// Heading is the title, or what the report is.
func (v *view) Heading() string {
	switch {
	case v.Title != "":
		return v.Title
	case v.Review != nil:
		return v.Review.Title
	case v.Applied:
		return "What was applied to Okta orgs"
	default:
		return "Planned changes to Okta orgs"
	}
}

// section is a part of the changes. Those that aren't open may be folded away.
type section struct {
	Title  string
	Open   bool
	Groups []group
}

// Sections returns the changes as sections.
func (v *view) Sections() []section { return sections(v.Groups) }

// sections puts first what a reader of a page must not miss.
func sections(groups []group) []section {
	all := []section{
		failed:  {Title: "Failed"},
		untried: {Title: "Not tried"},
		grave:   {Title: "Destructive or irreversible changes"},
		plain:   {Title: "Other changes"},
		held:    {Title: "Blocked changes, which are not made,"},
	}
	for _, g := range groups {
		s := &all[g.Severity]
		s.Groups = append(s.Groups, g)
		s.Open = g.Severity == failed || len(s.Groups) <= manyOrgs
	}
	return slices.DeleteFunc(all, func(s section) bool { return len(s.Groups) == 0 })
}

// groups gathers the changes of each org, which stand together in a plan.
func groups(p *diff.Plan, r *apply.Result) []group {
	var all []group
	last := ""
	for i := range p.Changes {
		c := &p.Changes[i]
		if len(all) == 0 || c.Org != last {
			g := group{Name: Org(c.Org), Account: c.Org == "", Severity: held}
			if g.Account {
				g.ID = visible(p.Account)
			}
			all = append(all, g)
			last = c.Org
		}
		g := &all[len(all)-1]
		one := change{Lines: describe(c, p)}
		if g.ID == "" {
			g.ID = visible(c.OrgID)
		}
		var o *apply.Outcome
		if r != nil {
			o = &r.Outcomes[i]
			one.Result = apply.Status(visible(string(o.Result)))
			one.Error, one.Hint = visible(o.Error), visible(o.Hint)
			if g.ID == "" {
				g.ID = visible(o.OrgID)
			}
		}
		g.Severity = min(g.Severity, severityOf(c, o))
		g.Changes = append(g.Changes, one)
	}
	return all
}

// orgName returns the domain of one of the account's orgs, which need not have
// one.
func orgName(domain string) string {
	if domain == "" {
		return "(no domain)"
	}
	return visible(domain)
}
