package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
)

const (
	// manyOrgs is the number of changed orgs above which there is an overview.
	manyOrgs = 10
	// fewOrgs is the number of orgs above which they are counted, not named.
	fewOrgs = 3
	// maxUnmanaged is how many unmanaged orgs are listed.
	maxUnmanaged = 20
)

// The colours are among the sixteen that every terminal theme defines.
const (
	bold    = "1"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
)

var resultColors = map[apply.Status]string{apply.Applied: green, apply.Failed: red, apply.Skipped: yellow}

func colorOf(s apply.Status) string { return cmp.Or(resultColors[s], magenta) }

// printer writes lines, and remembers the first error.
type printer struct {
	w     *bufio.Writer
	color bool
	most  int // see limit
}

// say writes one line made of parts.
func (p *printer) say(parts ...string) {
	for _, s := range parts {
		_, _ = p.w.WriteString(s) // a bufio.Writer keeps its error for Flush
	}
	_ = p.w.WriteByte('\n')
}

// paint returns s in a colour, if there are any.
func (p *printer) paint(color, s string) string {
	if !p.color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func writeText(w io.Writer, v *view, color bool) error {
	p := &printer{w: bufio.NewWriter(w), color: color, most: v.most}
	p.head(v)
	p.review(v)
	p.groups(v.Groups, grave, plain, held)
	p.unmanaged(v)
	p.attention(v)
	if !v.Applied && len(v.Groups) > manyOrgs {
		p.kinds(v.Kinds)
	}
	p.unfinished(v)
	p.risks(v)
	p.refusals(v)
	p.notes(v)
	if !v.InSync() || len(v.Unmanaged)+len(v.Notes) > 0 {
		p.say()
	}
	if v.History != "" {
		p.say("History: head " + v.History)
	}
	p.say(p.paint(bold, v.Summary))
	return p.w.Flush()
}

func (p *printer) head(v *view) {
	if v.Title != "" {
		p.say(p.paint(bold, v.Title))
	}
	for _, w := range v.Warnings {
		p.say(p.paint(signForms[Attention].color, "! warning: "+w))
	}
	if v.Review != nil {
		p.say(p.paint(bold, v.Review.Lead))
	}
	if v.InSync() && v.Review == nil {
		return
	}
	var from []string
	for _, o := range v.Sources() {
		from = append(from, o.Name+" "+o.Value)
	}
	if len(from) > 0 {
		p.say(title(strings.Join(from, ", ")))
	}
	p.legend(v)
}

// legend explains the signs that occur.
func (p *printer) legend(v *view) {
	var parts []string
	for _, s := range v.Legend() {
		word := string(s) + " " + s.Word()
		if s == Remove {
			word += " (destructive)" // which only the text format leaves to the sign
		}
		parts = append(parts, p.paint(signForms[s].color, word))
	}
	if len(parts) > 0 {
		p.say("Signs: ", strings.Join(parts, "  "))
	}
}

// groups prints those of some severities, separated by empty lines if they are few.
func (p *printer) groups(all []entry, which ...severity) {
	p.entries(slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return !slices.Contains(which, e.Severity) }), true)
}

func (p *printer) entries(all []entry, spaceBefore bool) {
	shown, left := limit(all, p.most)
	for i, e := range shown {
		if i == 0 && spaceBefore || i > 0 && len(all) <= manyOrgs {
			p.say()
		}
		p.entry(e)
	}
	if left.Changes > 0 {
		p.say(p.paint(bold, left.String()))
	}
}

// review prints the parts of a review, with all orgs by name.
func (p *printer) review(v *view) {
	if v.Review == nil {
		return
	}
	for _, part := range v.Review.Parts {
		about := part.Count
		if part.About != "" {
			about += "; " + part.About
		}
		p.section(part.Title, about)
		p.entries(part.Entries, false)
	}
}

func (p *printer) entry(e entry) {
	head := p.paint(bold, e.Head())
	if e.ID != "" {
		head += "  (" + e.ID + ")"
	}
	p.say(head)
	for _, c := range e.Changes {
		p.change(c)
	}
	if e.Left > 0 {
		p.say("  and ", strconv.Itoa(e.Left), " more")
	}
	listed := e.Listed()
	if e.Shared && len(listed) > maxListed {
		p.say("    ", firstOf(listed), "; the JSON output lists them all")
		return
	}
	for _, l := range wrap(listed, textWidth) {
		p.say("    ", l)
	}
}

// textWidth is the width of a line of names, in bytes; one name may be longer.
const textWidth = 96

// wrap joins names by commas, in lines of at most so many bytes.
func wrap(names []string, width int) []string {
	var lines []string
	last := ""
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		switch {
		case last == "":
			last = name
		case len(last)+1+len(name) > width:
			lines, last = append(lines, last), name
		default:
			last += " " + name
		}
	}
	if last != "" {
		lines = append(lines, last)
	}
	return lines
}

// resultWidth is that of the longest apply.Status.
const resultWidth = len("applied")

func (p *printer) change(c change) {
	indent := "  "
	if c.Result != "" {
		result := string(c.Result)
		pad := strings.Repeat(" ", max(0, resultWidth-len(result))+2)
		indent = "  " + p.paint(colorOf(c.Result), result) + pad
	}
	under := strings.Repeat(" ", 4)
	if c.Result != "" {
		under = strings.Repeat(" ", 4+resultWidth+2)
	}
	for _, l := range c.Lines {
		p.say(indent, p.paint(signForms[l.Sign].color, l.signed(l.Notes)))
		for _, m := range l.More {
			p.say(under, m)
		}
	}
	if c.Error != "" {
		p.say(under, p.paint(colorOf(c.Result), c.ErrorWord()+": "+c.Error))
	}
	if c.Hint != "" {
		p.say(under, c.HintWord(), ": ", c.Hint)
	}
}

// section starts a titled part.
func (p *printer) section(title, about string) {
	p.say()
	p.say(p.paint(bold, title+":"), " ", about)
}

func (p *printer) unmanaged(v *view) {
	if len(v.Unmanaged) == 0 {
		return
	}
	p.section("Unmanaged", AboutUnmanaged)
	for _, u := range v.Unmanaged[:min(len(v.Unmanaged), maxUnmanaged)] {
		p.say("    ", u.Org, "  (", u.OrgID, ")")
	}
	if n := len(v.Unmanaged) - maxUnmanaged; n > 0 {
		p.say("    and ", strconv.Itoa(n), " more; the JSON output lists them all")
	}
}

// attention lists what apply can't fix.
func (p *printer) attention(v *view) {
	color := signForms[Attention].color
	if len(v.Unfixable) > 0 {
		p.section("Unfixable", AboutUnfixable)
		for _, u := range v.FewUnfixable() {
			p.say("  ", p.paint(color, string(u.Sign)+" "+u.Org+"  "+strings.TrimPrefix(u.signed(u.Notes), string(u.Sign)+" ")))
		}
		if more := v.MoreUnfixable(); more != "" {
			p.say("  ", more)
		}
	}
	p.unknown("Unknown", AboutUnknown, v.Unknown)
	p.unknown("Configuration unknown", aboutUnread, v.Unread)
}

// unknown lists orgs that could not be read.
func (p *printer) unknown(title, about string, all []diff.Unknown) {
	if len(all) == 0 {
		return
	}
	p.section(title, about)
	for _, u := range all {
		p.say("  ", p.paint(signForms[Attention].color, "! "+u.Org+"  ("+u.OrgID+")"))
		p.say("    error: ", u.Error)
		if u.Hint != "" {
			p.say("    hint: ", u.Hint)
		}
	}
}

// kinds prints the overview of a long plan.
func (p *printer) kinds(all []kind) {
	p.section("In all", "the plan by kind of change")
	width := 0
	for _, k := range all {
		width = max(width, len(strconv.Itoa(len(k.Orgs))))
	}
	for _, k := range all {
		noun := "orgs"
		if len(k.Orgs) == 1 {
			noun = "org "
		}
		count := fmt.Sprintf("%*d %s", width, len(k.Orgs), noun)
		names := ""
		if len(k.Orgs) <= fewOrgs {
			names = ": " + strings.Join(k.Orgs, ", ")
		}
		p.say("  ", count, "  ", p.paint(signForms[k.Sign].color, k.signed(k.Notes)), names)
	}
}

// unfinished lists the orgs whose changes failed or were skipped, at the end where
// they are seen first.
func (p *printer) unfinished(v *view) {
	has := func(s severity) bool {
		return slices.ContainsFunc(v.Groups, func(e entry) bool { return e.Severity == s })
	}
	if has(untried) {
		p.section("Not tried", "orgs whose changes the run did not attempt")
		p.groups(v.Groups, untried)
	}
	if has(failed) {
		p.section("Failed", "orgs with a change that failed; what comes after it in the same org was not tried")
		p.groups(v.Groups, failed)
	}
	if v.Interrupted != "" {
		p.say()
		p.say(p.paint(signForms[Attention].color, "! "+v.Interrupted))
	}
}

// risks lists how the plan may lock people out.
func (p *printer) risks(v *view) {
	if len(v.Risks) == 0 {
		return
	}
	p.section("Risks", aboutRisks)
	for i := range v.Risks {
		r := &v.Risks[i]
		p.say("  ", p.paint(red, r.Object+": "+r.Text), ": "+r.Where())
	}
}

func (p *printer) refusals(v *view) {
	if len(v.Refusals) == 0 {
		return
	}
	p.section("Refused", aboutRefusals)
	for _, r := range v.Refusals {
		p.say("  ", p.paint(bold+";"+red, "! "+r.Guard+": "+r.Message))
	}
}

func (p *printer) notes(v *view) {
	if len(v.Notes) == 0 {
		return
	}
	p.section("Notes", aboutNotes)
	for _, n := range v.Notes {
		p.say("    ", n.Org, ": ", n.Message)
	}
}
