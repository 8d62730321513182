package report

import (
	"fmt"
	"strings"
	"unicode"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/text"
)

const (
	// markdownLimit keeps a report below the 65,536 characters that GitHub
	// takes as one comment, with room for what a CI job may put around it. It
	// counts bytes, which are never fewer than characters.
	markdownLimit = 65_000
	// markdownLeast is what a report without any list or change fits into.
	markdownLeast = 8_000

	// Everything but the changes is cut to lists of mdItems (refusals to half
	// as many) with texts of mdText or mdName bytes: less than 50,000 bytes, to
	// leave room for changes. With less room, the lists get shorter.
	mdItems = 20
	mdText  = 400
	mdName  = 100

	// One change is cut to mdLines lines with texts of mdLine bytes, to leave
	// room for the others.
	mdLines = 40
	mdLine  = 300
	mdNotes = 200 // why a change is blocked, and until when
)

// markdown returns the report as a comment for a pull request on GitHub or
// GitLab, of at most limit bytes, or markdownLeast if that is more. It leaves out,
// and counts, first the details of existing drift, then of lists, then changes.
func markdown(d Data, limit int) string {
	v := newView(d)
	limit = max(limit, markdownLeast)
	for items := mdItems; ; items /= 2 {
		top, end := markdownTop(v, items), markdownEnd(v, items, items)
		room := limit - len(top) - len(end)
		if room < limit/5 && items > 0 {
			continue
		}
		if v.Review == nil {
			return top + markdownChanges(v.Groups, room) + end
		}
		body, whole := markdownReview(v.Review, room)
		if !whole { // changes come before unmanaged orgs
			end = markdownEnd(v, items, 0)
			body, _ = markdownReview(v.Review, limit-len(top)-len(end))
		}
		return top + body + end
	}
}

func markdownTop(v *view, most int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", prose(cut(v.Heading(), mdText)))
	if v.Review != nil {
		b.WriteString(v.Review.Lead + "\n\n")
	}
	fmt.Fprintf(&b, "**%s**\n\n", v.Summary)
	if !v.InSync() {
		figureTable(&b, v.Figures)
	}
	if v.Interrupted != "" {
		b.WriteString("**" + v.Interrupted + "**\n\n")
	}
	items(&b, "**Warnings**", v.Warnings, most, func(w string) string { return code(w, mdText) })
	items(&b, "**Refused:** "+aboutRefusals, v.Refusals, most/2, func(r diff.Refusal) string {
		return code(r.Guard, mdName) + ": " + code(r.Message, 2*mdText)
	})
	items(&b, "**Risks:** "+aboutRisks, v.Risks, most, func(r risk) string {
		return code(r.Object, mdName) + ": " + code(r.Text, mdText) + ": " + code(r.Where(), mdText)
	})
	if len(v.Groups) <= manyOrgs {
		return b.String()
	}
	b.WriteString("**In all**\n\n```diff\n")
	for _, k := range v.Kinds[:min(len(v.Kinds), most)] {
		b.WriteString(k.inDiff("") + ": " + cut(k.Count(), mdLine) + "\n")
	}
	b.WriteString("```\n\n")
	if n := len(v.Kinds) - most; n > 0 {
		fmt.Fprintf(&b, "and %d more kinds of change\n\n", n)
	}
	return b.String()
}

// figureTable writes the numbers as a table of one row. Foreign text would not be
// safe in a table.
func figureTable(b *strings.Builder, all []figure) {
	head, rule, row := "|", "|", "|"
	for _, f := range all {
		head += " " + f.Name + " |"
		rule += " ---: |"
		row += fmt.Sprintf(" %d |", f.N)
	}
	fmt.Fprintf(b, "%s\n%s\n%s\n\n", head, rule, row)
}

// items writes a titled list of at most limit items and how many it leaves out;
// nothing when there are none.
func items[T any](b *strings.Builder, title string, all []T, limit int, item func(T) string) {
	if len(all) == 0 {
		return
	}
	if title != "" {
		b.WriteString(title + "\n\n")
	}
	for _, x := range all[:min(len(all), limit)] {
		b.WriteString("- " + item(x) + "\n")
	}
	if n := len(all) - limit; n > 0 {
		fmt.Fprintf(b, "- and %d more; the JSON output has them all\n", n)
	}
	b.WriteByte('\n')
}

func markdownEnd(v *view, most, mostUnmanaged int) string {
	var b strings.Builder
	items(&b, "**Unfixable:** "+AboutUnfixable, v.Unfixable, most, func(u unfixable) string {
		return code(u.Org, mdName) + " " + code(u.Text, mdLine) + ": " + code(strings.Join(u.Notes, "; "), mdText)
	})
	unknown := func(u diff.Unknown) string {
		s := fmt.Sprintf("%s (%s): %s", code(u.Org, mdName), code(u.OrgID, mdName), code(u.Error, mdText))
		if u.Hint != "" {
			s += "; hint: " + code(u.Hint, mdText)
		}
		return s
	}
	items(&b, "**Unknown:** "+AboutUnknown, v.Unknown, most, unknown)
	items(&b, "**Configuration unknown:** "+aboutUnread, v.Unread, most, unknown)
	items(&b, "**Notes:** "+aboutNotes, v.Notes, most, func(n diff.Note) string {
		return code(n.Org, mdName) + ": " + code(n.Message, mdText)
	})
	if n := len(v.Unmanaged); n > 0 {
		fmt.Fprintf(&b, "<details>\n<summary>Unmanaged: %s %s</summary>\n\n", text.Plural(n, "org"), AboutUnmanaged)
		items(&b, "", v.Unmanaged, mostUnmanaged, func(u diff.Unmanaged) string {
			return code(u.Org, mdName) + " (" + code(u.OrgID, mdName) + ")"
		})
		b.WriteString("</details>\n\n")
	}
	var from []string
	for _, s := range v.Sources() {
		from = append(from, s.Name+" "+code(s.Value, mdName))
	}
	if v.Digest != "" {
		from = append(from, "plan "+code(v.Digest, mdName))
	}
	if v.History != "" {
		from = append(from, "history "+code(v.History, mdName))
	}
	if foot := strings.Join(from, ", "); foot != "" {
		b.WriteString("<sub>" + title(foot) + "</sub>\n")
	}
	return b.String()
}

// markdownChanges returns the orgs that fit into room, each whole, and says how
// many changes that leaves out.
func markdownChanges(groups []entry, room int) string {
	const (
		foot     = mdClose + "</details>\n\n"
		noteRoom = 200
	)
	room -= noteRoom
	most := room / 2 // for one org, or those that share changes
	var b strings.Builder
	var missing []entry
	left := 0 // changes of the missing
	for _, s := range sections(groups) {
		started := false
		for _, g := range s.Groups {
			chunk := g.inDiff(most)
			if !started {
				chunk = mdHead(s) + chunk
			}
			if b.Len()+len(chunk)+len(foot) > room {
				left += len(g.Changes) * len(g.Names)
				missing = append(missing, g)
				continue
			}
			started = true
			b.WriteString(chunk)
		}
		if started {
			b.WriteString(foot)
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "**%s in %s not shown:** they would not fit into one comment. The JSON output has them all.\n\n",
			text.Plural(left, "more change"), where(missing))
	}
	return b.String()
}

func mdHead(s section) string {
	tag := "<details>"
	if s.Open {
		tag = "<details open>"
	}
	return fmt.Sprintf("%s\n<summary><b>%s</b> in %s</summary>\n\n```diff\n", tag, s.Title, where(s.Groups))
}

// inDiff returns the changes of an entry as lines of a code block that GitHub and
// GitLab colour as a diff. No line begins with foreign text, which could end the
// block. Changes that don't fit into most bytes are counted.
func (e *entry) inDiff(most int) string {
	head := e.Head()
	switch names := e.Listed(); {
	case names != nil && e.Shared:
		head += ": " + firstOf(names)
	case names != nil:
		head += ": " + strings.Join(names[:fewOrgs], ", ") + fmt.Sprintf(" and %d more", len(names)-fewOrgs)
	}
	if e.ID != "" {
		head += " (" + e.ID + ")"
	}
	var b strings.Builder
	b.WriteString("@@ " + cut(head, mdText) + " @@\n")
	for i := range e.Changes {
		before := b.Len()
		e.Changes[i].inDiff(&b)
		if n := len(e.Changes) - i; i > 0 && b.Len() > most {
			short := b.String()[:before]
			return short + fmt.Sprintf("  and %s; the JSON output has them all\n", text.Plural(n, "more change"))
		}
	}
	return b.String()
}

func (c *change) inDiff(b *strings.Builder) {
	n := 0
	write := func(s string) {
		if n++; n <= mdLines {
			b.WriteString(s + "\n")
		}
	}
	for _, l := range c.Lines {
		write(l.inDiff(c.Result))
		for _, m := range l.More {
			write("    " + cut(m, mdText))
		}
	}
	if n > mdLines {
		fmt.Fprintf(b, "  and %d more lines of this change; the JSON output has them all\n", n-mdLines)
	}
	if c.Error != "" {
		b.WriteString("    " + c.ErrorWord() + ": " + cut(c.Error, mdText) + "\n")
	}
	if c.Hint != "" {
		b.WriteString("    " + c.HintWord() + ": " + cut(c.Hint, mdText) + "\n")
	}
}

// inDiff returns the line with the properties that the text format leaves to the
// sign. Long names are cut to keep the rest.
func (l *Line) inDiff(result apply.Status) string {
	var notes []string
	if result != "" && result != apply.Blocked { // a note says that already
		notes = append(notes, cut(string(result), mdName))
	}
	if l.Destructive {
		notes = append(notes, Destructive)
	}
	for _, n := range l.Notes {
		notes = append(notes, cut(n, mdNotes))
	}
	short := Line{Sign: l.Sign, Text: cut(l.Text, mdLine)}
	return short.signed(notes)
}

// code returns a foreign text of at most n bytes as a code span, in which markdown,
// links, mentions and references have no effect. Backticks are escaped.
func code(s string, n int) string {
	if s == "" {
		return "(empty)"
	}
	return "`" + cut(strings.ReplaceAll(s, "`", `\x60`), n) + "`"
}

// prose returns a text as it is if it is plain to markdown, GitHub and GitLab, and
// as a code span otherwise.
func prose(s string) string {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" ,()", r) {
			return code(s, len(s)*4)
		}
	}
	return s
}
