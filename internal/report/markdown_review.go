package report

import (
	"fmt"
	"strings"

	"reconciler/internal/text"
)

const (
	// mdNote is how long a sentence about what is left out may get.
	mdNote = 150
	// mdFence is how much it takes to open and close a block of code.
	mdFence = len("```diff\n") + len("```\n\n")
)

// markdownReview returns the parts of a review that fit into room, and whether
// that is all but the drift. Each part says what it lacks. Drift is shown only
// where nothing else is left out.
func markdownReview(r *review, room int) (body string, whole bool) {
	for i := range r.Parts {
		p := &r.Parts[i]
		room -= len(p.mdHead()) + len(p.mdFoot()) + mdNote + mdFence
	}
	whole = true
	var b strings.Builder
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.Drift && !whole {
			room = 0
		}
		body, spent, all := p.inMarkdown(room)
		room -= spent
		whole = whole && (all || p.Drift)
		b.WriteString(p.mdHead() + body + p.mdFoot())
	}
	return b.String(), whole
}

func (p *part) mdHead() string {
	if p.Drift {
		return fmt.Sprintf("<details>\n<summary><b>%s</b> (%s): %s</summary>\n\n", p.Title, p.Count, p.About)
	}
	head := fmt.Sprintf("#### %s (%s)\n\n", p.Title, p.Count)
	if p.About != "" {
		head += title(p.About) + ".\n\n"
	}
	return head
}

func (p *part) mdFoot() string {
	if p.Drift {
		return "</details>\n\n"
	}
	return ""
}

// inMarkdown returns the entries that fit into room, none of them in part but for
// the names of many orgs, how much of the room that took, and whether it is all.
// Fences and the sentence about what is left out have room of their own, as far
// as each part has one of them.
func (p *part) inMarkdown(room int) (body string, spent int, all bool) {
	var b blocks
	left, leftOrgs, unlisted := 0, 0, 0
	for i := range p.Entries {
		e := &p.Entries[i]
		lines, list := e.inDiff(), mdNames(e.Listed())
		folded := mdFold(list, len(e.Names))
		switch {
		case p.Drift && spent+len(lines)+len(list) <= room:
			b.lines(lines + list) // it is folded away already
			spent += len(lines) + len(list)
		case !p.Drift && spent+len(lines)+len(folded)+mdFence <= room:
			b.lines(lines)
			spent += len(lines)
			if folded != "" {
				b.between(folded)
				spent += len(folded) + mdFence
			}
		case spent+len(lines) <= room:
			b.lines(lines)
			spent += len(lines)
			if list != "" {
				unlisted++
			}
		default:
			left += len(e.Changes) * len(e.Names)
			leftOrgs += len(e.Names)
		}
	}
	b.close()
	switch {
	case left > 0:
		fmt.Fprintf(&b.b, "**%d more in %s not shown:** there is no room for them here. The JSON output has them all.\n\n", left, text.Plural(leftOrgs, "org"))
	case unlisted > 0:
		b.b.WriteString("There is no room here for the names of all orgs. The JSON output has them.\n\n")
	}
	return b.b.String(), spent, left+unlisted == 0
}

// mdNames returns names as lines of a block of code. Each is indented so far that
// it can't end the block.
func mdNames(names []string) string {
	var b strings.Builder
	for _, l := range wrap(names, textWidth) {
		b.WriteString("    " + l + "\n")
	}
	return b.String()
}

// mdFold lets one unfold a list of n orgs; without a list it returns nothing.
func mdFold(list string, n int) string {
	if list == "" {
		return ""
	}
	return fmt.Sprintf("<details>\n<summary>All %s</summary>\n\n```text\n%s```\n\n</details>\n\n", text.Plural(n, "org"), list)
}

// blocks writes blocks of code with something between them.
type blocks struct {
	b    strings.Builder
	open bool
}

func (b *blocks) lines(s string) {
	if !b.open {
		b.b.WriteString("```diff\n")
		b.open = true
	}
	b.b.WriteString(s)
}

func (b *blocks) between(s string) {
	b.close()
	b.b.WriteString(s)
}

func (b *blocks) close() {
	if b.open {
		b.b.WriteString("```\n\n")
		b.open = false
	}
}
