package report

import (
	"cmp"
	"slices"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/text"
)

// view is a report without a format: all texts, in order, with foreign text made
// visible. The formats only lay it out.
type view struct {
	Title    string
	Summary  string
	Figures  []figure
	Account  string
	Revision string
	Signer   string
	Digest   string
	// History is the head of the history; empty if there is none.
	History  string
	Warnings []string
	// Groups hold the changes, one entry for each org, in the plan's order.
	Groups []entry
	// Kinds count the same changes by what they do.
	Kinds     []kind
	Unfixable []unfixable
	Unmanaged []diff.Unmanaged
	Unknown   []diff.Unknown
	// Unread are orgs of which only the configuration is unknown.
	Unread []diff.Unknown
	// Risks are those of changes that have not been made yet.
	Risks    []risk
	Refusals []diff.Refusal
	Notes    []diff.Note
	Applied  bool // there are outcomes to show
	// Interrupted explains that the run was stopped; empty when it was not.
	Interrupted string
	// Review is set in a review that has not been applied; Groups, Kinds and
	// Unfixable are empty then.
	Review *review

	most int // maxShown
	// part is set if the view is shown beside other things, and no JSON with it.
	part bool
}

// What the lists beside the changes contain.
const (
	AboutUnfixable = "differences that no call of the API can fix"
	AboutUnmanaged = "linked to the account but not in the manifests; nothing is ever done to them"
	AboutUnknown   = "could not be read, so nothing is written to them"
	aboutUnread    = "their configuration could not be read, so nothing of it is written; products and status go on"
	aboutRisks     = "changes that may lock people out"
	aboutRefusals  = "apply makes none of these changes"
	aboutNotes     = "to be done by somebody; they hold nothing up"
)

// unfixable is a difference of an org that can't be fixed.
type unfixable struct {
	Org string
	Line
}

// figure is one number of the summary.
type figure struct {
	Name string
	N    int
}

// entry holds the changes of one org, of the account, or of several orgs with the same
// changes.
type entry struct {
	// Names are the orgs' domains, or the name of the account.
	Names []string
	// ID is that of a single org, or why it has none; otherwise empty.
	ID      string
	Account bool
	// Shared is set for changes of objects that the orgs have in common beside others.
	Shared   bool
	Changes  []change
	Severity severity
	// Left is how many of the changes limit has left out.
	Left int
	// Unlisted is how many of the names Listed leaves out.
	Unlisted int
}

// Head returns the names of the orgs if they are few, and their number otherwise.
func (e *entry) Head() string {
	if len(e.Names) > fewOrgs {
		return text.Plural(len(e.Names), "org")
	}
	return strings.Join(e.Names, ", ")
}

// Listed returns the names that Head doesn't.
func (e *entry) Listed() []string {
	if len(e.Names) > fewOrgs {
		return e.Names[:len(e.Names)-e.Unlisted]
	}
	return nil
}

const notLinked = "not linked yet"

// severity orders entries by importance for the reader.
type severity int

const (
	failed  severity = iota // a change failed
	untried                 // none failed, but one was not tried
	grave                   // a change is destructive or irreversible
	plain                   // none of these
	held                    // all changes are blocked
)

// severityOf returns that of one change; o is nil when nothing was applied.
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

// change is one change of the plan: one line, or one for each product.
type change struct {
	Lines []Line
	// Object is set for what concerns an object of the org's configuration.
	Object   bool
	Severity severity
	// Result, Error and Hint are empty when nothing was applied.
	Result      apply.Status
	Error, Hint string
}

// ErrorWord returns the label of Error: a skipped change has a reason, no error.
func (c change) ErrorWord() string {
	if c.Result == apply.Failed {
		return "error"
	}
	return "because"
}

// HintWord returns the label of Hint.
func (c change) HintWord() string {
	if c.Result == apply.Failed {
		return "hint"
	}
	return "note"
}

// line is one effect of a change.
type Line struct {
	Sign Sign
	Text string
	// Kind is Text without what is specific to this org.
	Kind        string
	Destructive bool
	Notes       []string
	// More has the details, one a line.
	More []string
}

// kind is an effect on one or more orgs.
type kind struct {
	Line
	Orgs []string
	seen map[string]bool
}

// count adds orgs, each once.
func (k *kind) count(orgs []string) {
	for _, org := range orgs {
		if !k.seen[org] {
			k.seen[org] = true
			k.Orgs = append(k.Orgs, org)
		}
	}
}

// Count returns the number of orgs, and their names if there are few.
func (k kind) Count() string {
	count := text.Plural(len(k.Orgs), "org")
	if len(k.Orgs) > fewOrgs {
		return count
	}
	return count + ", " + strings.Join(k.Orgs, ", ")
}

// String returns the line with its sign, and in brackets what is to be noted.
func (l *Line) String() string {
	notes := l.Notes
	if l.Destructive {
		notes = append([]string{Destructive}, notes...)
	}
	return l.signed(notes)
}

// signed returns the line with its sign and notes.
func (l *Line) signed(notes []string) string {
	s := string(l.Sign) + " " + l.Text
	if len(notes) > 0 {
		s += "  [" + strings.Join(notes, "; ") + "]"
	}
	return s
}

// sign shows what a line does.
type Sign string

const (
	Add       Sign = "+"
	Alter     Sign = "~"
	Remove    Sign = "-"
	Attention Sign = "!"
)

// Destructive is the word for what takes something away.
const Destructive = "destructive"

// signs are in the order of the legend.
var signs = [...]Sign{Add, Alter, Remove, Attention}

var signForms = map[Sign]struct{ word, class, color string }{
	Add:       {"add", "add", green},
	Alter:     {"change", "alter", yellow},
	Remove:    {"remove", "remove", red},
	Attention: {"needs attention", "attention", magenta},
}

// Word returns the sign's meaning.
func (s Sign) Word() string { return signForms[s].word }

// Class returns the class of the sign in [Style].
func (s Sign) Class() string { return signForms[s].class }

func newView(d Data) *view {
	p := d.Plan
	v := &view{
		Title:    visible(d.Title),
		Account:  visible(p.Account),
		Revision: visible(p.Revision),
		Signer:   visible(p.Signer),
		Digest:   visible(p.Digest),
		History:  visible(d.Head),
		Applied:  d.Result != nil && len(p.Changes) > 0,
		most:     maxShown,
	}
	if d.Result != nil && d.Result.Interrupted {
		v.Interrupted = interruptedText
	}
	for _, w := range d.Warnings {
		v.Warnings = append(v.Warnings, visible(w))
	}
	for _, u := range p.Unmanaged {
		v.Unmanaged = append(v.Unmanaged, diff.Unmanaged{Org: orgName(u.Org), OrgID: visible(u.OrgID)})
	}
	for _, u := range p.Unknown {
		shown := diff.Unknown{Org: orgName(u.Org), OrgID: visible(u.OrgID), Error: visible(u.Reason()), Hint: visible(u.Hint)}
		if u.Part == "" {
			v.Unknown = append(v.Unknown, shown)
		} else {
			v.Unread = append(v.Unread, shown)
		}
	}
	for _, r := range p.Refusals {
		v.Refusals = append(v.Refusals, diff.Refusal{Guard: visible(r.Guard), Message: visible(r.Message)})
	}
	v.Notes = notesOf(p)
	if d.Result == nil {
		v.Risks = risksOf(p)
	}
	if p.Review != nil && d.Result == nil { // after apply, the outcomes matter and not the origins
		v.Review = newReview(p)
		v.Figures, v.Summary = reviewFigures(p), reviewSummary(p)
		return v
	}
	for _, u := range p.Unfixable {
		v.Unfixable = append(v.Unfixable, unfixable{orgName(u.Org), DescribeUnfixable(&u)})
	}
	v.Groups = share(changesOf(p, d.Result, anyOrigin).entries)
	v.Kinds = kinds(v.Groups)
	v.Figures, v.Summary = figures(d), summary(d)
	return v
}

// InSync reports whether there is nothing to show but the summary.
func (v *view) InSync() bool {
	return len(v.Groups)+len(v.Unfixable)+len(v.Unknown)+len(v.Unread)+len(v.Refusals)+len(v.Warnings) == 0 && v.Interrupted == "" &&
		(v.Review == nil || len(v.Review.Parts) == 0)
}

// Legend returns the signs that occur.
func (v *view) Legend() []Sign {
	used := map[Sign]bool{Attention: len(v.Unfixable)+len(v.Unknown)+len(v.Unread)+len(v.Refusals) > 0}
	for _, e := range v.all() {
		for _, c := range e.Changes {
			for _, l := range c.Lines {
				used[l.Sign] = true
			}
		}
	}
	var all []Sign
	for _, s := range signs {
		if used[s] {
			all = append(all, s)
		}
	}
	return all
}

// all returns the changes of the plan or the review.
func (v *view) all() []entry {
	all := v.Groups
	if v.Review != nil {
		for _, p := range v.Review.Parts {
			all = append(all, p.Entries...)
		}
	}
	return all
}

// source is an input of a report.
type source struct {
	Name, Value string
}

// Sources returns the account, the commits, and who signed the last of them.
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

// Heading returns the title, or a default.
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

// section is a part of the changes, folded away if it isn't open.
type section struct {
	Title  string
	Open   bool
	Groups []entry
	// Where is where all of its changes are, and Left what Groups leave out.
	Where string
	Left  remainder
}

// Sections returns the changes as sections of bounded length.
func (v *view) Sections() []section {
	all := sections(v.Groups)
	for i := range all {
		s := &all[i]
		s.Where = where(s.Groups)
		s.Groups, s.Left = limit(s.Groups, v.most)
		s.Left.nowhere = v.part
	}
	return all
}

// sections orders the changes by severity.
func sections(groups []entry) []section {
	all := []section{
		failed:  {Title: "Failed"},
		untried: {Title: "Not tried"},
		grave:   {Title: "Destructive or irreversible changes"},
		plain:   {Title: "Other changes"},
		held:    {Title: "Blocked changes"},
	}
	for _, g := range groups {
		s := &all[g.Severity]
		s.Groups = append(s.Groups, g)
		s.Open = g.Severity == failed || len(s.Groups) <= manyOrgs
	}
	return slices.DeleteFunc(all, func(s section) bool { return len(s.Groups) == 0 })
}

// gathering collects entries, one for each org, in the order of their first change.
type gathering struct {
	entries []entry
	index   map[string]int
}

// of returns the entry of an org.
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

// changesOf returns the changes of some origins, with their outcomes unless r is
// nil.
func changesOf(p *diff.Plan, r *apply.Result, include func(diff.Origin) bool) *gathering {
	g := &gathering{}
	declared := p.Review != nil && p.Review.Kind == diff.Declared
	for i := range p.Changes {
		c := &p.Changes[i]
		if !include(c.Origin) {
			continue
		}
		e := g.of(p, c.Org)
		e.ID = cmp.Or(e.ID, visible(c.OrgID))
		one := change{Lines: describe(c, p.Products, declared), Object: c.IsObject()}
		var o *apply.Outcome
		if r != nil {
			o = &r.Outcomes[i]
			one.Result = apply.Status(visible(string(o.Result)))
			one.Error, one.Hint = visible(o.Error), visible(o.Hint)
			e.ID = cmp.Or(e.ID, visible(o.OrgID))
		}
		if p.Review != nil && r == nil && originOf(c.Origin) == diff.Conflict && !one.Object {
			explain(&one, c, p, i)
		}
		one.Severity = severityOf(c, o)
		e.Severity = min(e.Severity, one.Severity)
		e.Changes = append(e.Changes, one)
	}
	if p.Review == nil || r != nil || p.Review.Kind != diff.Declared { // which has no live orgs
		for i := range g.entries {
			g.entries[i].ID = cmp.Or(g.entries[i].ID, notLinked)
		}
	}
	return g
}

// orgName returns the domain of an org, which need not have one.
func orgName(domain string) string {
	if domain == "" {
		return "(no domain)"
	}
	return visible(domain)
}

// notesOf returns the notes, with one entry for what many orgs have in common.
func notesOf(p *diff.Plan) []diff.Note {
	orgs := map[string][]string{}
	for _, n := range p.Notes {
		orgs[n.Message] = append(orgs[n.Message], noteName(n.Org))
	}
	var all []diff.Note
	for _, n := range p.Notes {
		switch names := orgs[n.Message]; {
		case len(names) <= fewOrgs:
			all = append(all, diff.Note{Org: noteName(n.Org), Message: visible(n.Message)})
		case names[0] == noteName(n.Org):
			all = append(all, diff.Note{Org: text.Plural(len(names), "org") + " (" + firstOf(names) + ")", Message: visible(n.Message)})
		}
	}
	return all
}

// noteName returns whom a note is for: an org, or the account.
func noteName(domain string) string {
	if domain == "" {
		return Org(domain)
	}
	return orgName(domain)
}
