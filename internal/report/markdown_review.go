package report

import (
	"fmt"
	"strings"

	"reconciler/internal/text"
)

const (
	// mdNote limits the sentence about what is left out.
	mdNote = 150
	// mdOpen and mdClose are around a block of code, and mdFence is their size.
	mdOpen  = "```diff\n"
	mdClose = "```\n\n"
	mdFence = len(mdOpen) + len(mdClose)
)

// markdownReview returns the parts of a review that fit into room, and whether
// nothing but drift is left out. Drift is shown only then. Each part says what it
// leaves out.
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

// inMarkdown returns the entries that fit into room, each whole but for the names
// of many orgs, how much room they take, and whether these are all. The caller
// reserves room for one pair of fences and the sentence about what is left out.
func (p *part) inMarkdown(room int) (body string, spent int, all bool) {
	var b strings.Builder
	left, leftOrgs, unlisted := 0, 0, 0
	most := room / 2
	for i := range p.Entries {
		e := &p.Entries[i]
		lines, list := e.inDiff(most), mdNames(e.Listed())
		folded := mdFold(list, len(e.Names))
		switch {
		case p.Drift && spent+len(lines)+len(list) <= room:
			b.WriteString(mdOpen + lines + list + mdClose) // it is folded away already
			spent += len(lines) + len(list)
		case !p.Drift && spent+len(lines)+len(folded)+mdFence <= room:
			b.WriteString(mdOpen + lines + mdClose)
			spent += len(lines)
			if folded != "" {
				b.WriteString(folded)
				spent += len(folded) + mdFence
			}
		case spent+len(lines) <= room:
			b.WriteString(mdOpen + lines + mdClose)
			spent += len(lines)
			if list != "" {
				unlisted++
			}
		default:
			left += len(e.Changes) * len(e.Names)
			leftOrgs += len(e.Names)
		}
	}
	switch {
	case left > 0:
		fmt.Fprintf(&b, "**%d more in %s not shown:** there is no room for them here. The JSON output has them all.\n\n", left, text.Plural(leftOrgs, "org"))
	case unlisted > 0:
		b.WriteString("There is no room here for the names of all orgs. The JSON output has them.\n\n")
	}
	body = strings.ReplaceAll(b.String(), mdClose+mdOpen, "") // one block for adjacent entries
	return body, spent, left+unlisted == 0
}

// mdNames returns names as lines of a block of code, indented so that none can end
// the block.
func mdNames(names []string) string {
	var b strings.Builder
	for _, l := range wrap(names, textWidth) {
		b.WriteString("    " + l + "\n")
	}
	return b.String()
}

// mdFold returns a list of n orgs, folded; "" without a list.
func mdFold(list string, n int) string {
	if list == "" {
		return ""
	}
	return fmt.Sprintf("<details>\n<summary>All %s</summary>\n\n```text\n%s```\n\n</details>\n\n", text.Plural(n, "org"), list)
}
