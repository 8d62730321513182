package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"reconciler/internal/apply"
)

const (
	// manyOrgs is from how many changed orgs on a reader wants an overview.
	manyOrgs = 10
	// fewOrgs is how many orgs an overview names rather than counts.
	fewOrgs = 3
	// maxUnmanaged is how many unmanaged orgs are listed: nothing is done to
	// them, so they must not push aside what is.
	maxUnmanaged = 20
)

// The colours are the sixteen that every terminal theme has an idea of.
const (
	bold    = "1"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
)

func colorOf(s sign) string {
	switch s {
	case add:
		return green
	case alter:
		return yellow
	case remove:
		return red
	default:
		return magenta
	}
}

// printer writes lines, and remembers the first error.
type printer struct {
	w     *bufio.Writer
	color bool
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

func writeText(w io.Writer, d Data) error {
	v := newView(d)
	p := &printer{w: bufio.NewWriter(w), color: d.Color}
	p.head(v)
	p.review(v)
	p.groups(v.Groups, grave, plain, held)
	p.unmanaged(v)
	p.attention(v)
	if !v.Applied && len(v.Groups) > manyOrgs {
		p.kinds(v.Kinds)
	}
	p.unfinished(v)
	p.refusals(v)
	if !v.InSync() || len(v.Unmanaged) > 0 {
		p.say()
	}
	p.say(p.paint(bold, v.Summary))
	return p.w.Flush()
}

func (p *printer) head(v *view) {
	if v.Title != "" {
		p.say(p.paint(bold, v.Title))
	}
	for _, w := range v.Warnings {
		p.say(p.paint(colorOf(attention), "! warning: "+w))
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

// legend explains the signs that will occur, and no others.
func (p *printer) legend(v *view) {
	used := map[sign]bool{attention: len(v.Unfixable)+len(v.Unknown)+len(v.Refusals) > 0}
	note := func(changes []change) {
		for _, c := range changes {
			for _, l := range c.Lines {
				used[l.Sign] = true
			}
		}
	}
	for _, g := range v.Groups {
		note(g.Changes)
	}
	if v.Review != nil {
		for _, part := range v.Review.Parts {
			for _, e := range part.Entries {
				note(e.Changes)
			}
		}
	}
	var parts []string
	for _, s := range signs {
		if used[s] {
			word := string(s) + " " + s.Word()
			if s == remove {
				word += " (destructive)" // which text, unlike the others, says nowhere else
			}
			parts = append(parts, p.paint(colorOf(s), word))
		}
	}
	if len(parts) > 0 {
		p.say("Signs: ", strings.Join(parts, "  "))
	}
}

// groups prints those of some severity, with air between them while there are
// few.
func (p *printer) groups(all []group, which ...severity) {
	all = slices.DeleteFunc(slices.Clone(all), func(g group) bool { return !slices.Contains(which, g.Severity) })
	for i, g := range all {
		if i == 0 || len(all) <= manyOrgs {
			p.say()
		}
		p.group(g)
	}
}

func (p *printer) group(g group) {
	p.say(p.paint(bold, g.Name), "  (", g.id(), ")")
	for _, c := range g.Changes {
		p.change(c)
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
		for i, e := range part.Entries {
			if i > 0 && len(part.Entries) <= manyOrgs {
				p.say()
			}
			p.entry(e)
		}
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
	for _, l := range wrap(e.Listed(), textWidth) {
		p.say("    ", l)
	}
}

// textWidth is how long a line of names gets, in bytes; one name may be longer.
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
		indent = "  " + p.paint(colorOfResult(c.Result), result) + pad
	}
	under := strings.Repeat(" ", 4)
	if c.Result != "" {
		under = strings.Repeat(" ", 4+resultWidth+2)
	}
	for _, l := range c.Lines {
		p.say(indent, p.paint(colorOf(l.Sign), l.signed(l.Notes)))
		for _, m := range l.More {
			p.say(under, m)
		}
	}
	if c.Error != "" {
		p.say(under, p.paint(colorOfResult(c.Result), c.ErrorWord()+": "+c.Error))
	}
	if c.Hint != "" {
		p.say(under, c.HintWord(), ": ", c.Hint)
	}
}

func colorOfResult(s apply.Status) string {
	switch s {
	case apply.Applied:
		return green
	case apply.Failed:
		return red
	case apply.Skipped:
		return yellow
	default:
		return magenta
	}
}

// section starts a part that isn't an org.
func (p *printer) section(title, about string) {
	p.say()
	p.say(p.paint(bold, title+":"), " ", about)
}

func (p *printer) unmanaged(v *view) {
	if len(v.Unmanaged) == 0 {
		return
	}
	p.section("Unmanaged", "linked to the account but not in the manifests; nothing is ever done to them")
	for _, u := range v.Unmanaged[:min(len(v.Unmanaged), maxUnmanaged)] {
		p.say("    ", u.Org, "  (", u.OrgID, ")")
	}
	if n := len(v.Unmanaged) - maxUnmanaged; n > 0 {
		p.say("    and ", strconv.Itoa(n), " more; the JSON output lists them all")
	}
}

// attention lists what the program can't fix by itself.
func (p *printer) attention(v *view) {
	color := colorOf(attention)
	if len(v.Unfixable) > 0 {
		p.section("Unfixable", "differences that no call of the API can fix")
		for _, u := range v.Unfixable {
			p.say("  ", p.paint(color, "! "+u.Org+"  "+u.Field+": desired "+u.Desired+", actual "+u.Actual))
		}
	}
	if len(v.Unknown) > 0 {
		p.section("Unknown", "could not be read, so nothing is written to them")
		for _, u := range v.Unknown {
			p.say("  ", p.paint(color, "! "+u.Org+"  ("+u.OrgID+")"))
			p.say("    error: ", u.Error)
		}
	}
}

// kinds lets one see at a glance what a long plan comes to.
func (p *printer) kinds(all []kind) {
	p.section("In all", "what the plan comes to, by kind of change")
	width := 0
	for _, k := range all {
		width = max(width, len(strconv.Itoa(len(k.Orgs))))
	}
	for _, k := range all {
		count := fmt.Sprintf("%*d %-4s", width, len(k.Orgs), noun(len(k.Orgs), "org"))
		names := ""
		if len(k.Orgs) <= fewOrgs {
			names = ": " + strings.Join(k.Orgs, ", ")
		}
		p.say("  ", count, "  ", p.paint(colorOf(k.Sign), k.signed(k.Notes)), names)
	}
}

// unfinished lists the orgs that are not where the plan wanted them. They come
// late, since they are why somebody reads this.
func (p *printer) unfinished(v *view) {
	has := func(s severity) bool {
		return slices.ContainsFunc(v.Groups, func(g group) bool { return g.Severity == s })
	}
	if has(untried) {
		p.section("Not tried", "orgs with changes that the run did not come to")
		p.groups(v.Groups, untried)
	}
	if has(failed) {
		p.section("Failed", "orgs with a change that failed; what comes after it in the same org was not tried")
		p.groups(v.Groups, failed)
	}
	if v.Interrupted != "" {
		p.say()
		p.say(p.paint(colorOf(attention), "! "+v.Interrupted))
	}
}

func (p *printer) refusals(v *view) {
	if len(v.Refusals) == 0 {
		return
	}
	p.section("Refused", "apply makes none of these changes")
	for _, r := range v.Refusals {
		p.say("  ", p.paint(bold+";"+red, "! "+r.Guard+": "+r.Message))
	}
}
