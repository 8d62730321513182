package forge

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

var validName = regexp.MustCompile(`^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`)

const maxMarkerName = 64

// marker returns the first line of the comment of this name, which is not shown.
// A name can't end the HTML comment that it stands in.
func marker(name string) (string, error) {
	if len(name) > maxMarkerName || !validName.MatchString(name) {
		return "", fmt.Errorf("the comment's name %q must be letters and digits with single dots, dashes or underscores between them, at most %d", name, maxMarkerName)
	}
	return "<!-- reconciler:" + name + " -->", nil
}

// marked reports whether a comment begins with the marker.
func marked(body, marker string) bool {
	first, _, _ := strings.Cut(body, "\n")
	return strings.TrimSpace(first) == marker
}

// normal returns a text as a provider stores and returns it: valid UTF-8, no NUL,
// line feeds alone at the ends of lines, and no blanks at its end.
func normal(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(s)
	return strings.TrimRight(s, " \t\n")
}

// block is what is open at the end of a line of markdown.
type block struct {
	fence   string // what opened a block of code; empty outside of one
	details int    // how many <details> are open
}

var (
	fenceLine    = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})(.*)$")
	openDetails  = regexp.MustCompile(`(?i)<details[\s>]`)
	closeDetails = regexp.MustCompile(`(?i)</details\s*>`)
)

// next returns what is open after one more line.
func (b block) next(line string) block {
	if !strings.ContainsAny(line, "`~<") {
		return b // nearly every line
	}
	m := fenceLine.FindStringSubmatch(line)
	switch {
	case b.fence != "":
		if m != nil && m[1][0] == b.fence[0] && len(m[1]) >= len(b.fence) && strings.TrimSpace(m[2]) == "" {
			b.fence = ""
		}
	case m != nil && (m[1][0] == '~' || !strings.Contains(m[2], "`")):
		b.fence = m[1]
	default:
		b.details += len(openDetails.FindAllString(line, -1)) - len(closeDetails.FindAllString(line, -1))
		b.details = max(b.details, 0)
	}
	return b
}

// closing returns the lines that end what is open.
func (b block) closing() string {
	var s string
	if b.fence != "" {
		s = b.fence + "\n"
	}
	if b.details > 0 {
		s += "\n" + strings.Repeat("</details>\n", b.details)
	}
	return s
}

// fit cuts a text that is longer than limit characters: after a line, with what
// is open there closed, and with a notice as the last line. A text that fits is
// returned as it is.
func fit(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	all := strings.Count(text, "\n") + 1
	// No line beyond these can be within the limit; of the last there may be a part.
	lines := strings.SplitAfter(text[:min(len(text), limit*utf8.UTFMax)], "\n")
	cut := func(n int) string {
		var open block
		for _, line := range lines[:n] {
			open = open.next(strings.TrimRight(line, "\n"))
		}
		return strings.Join(lines[:n], "") + open.closing() +
			fmt.Sprintf("\n_Cut here: the last %d of %d lines are left out, because a comment holds %d characters at most._", all-n, all, limit)
	}
	return cut(sort.Search(len(lines)-1, func(n int) bool { return utf8.RuneCountInString(cut(n+1)) > limit }))
}

// noCommands keeps GitLab from executing a line that begins with a slash, such as
// /merge, with the token's rights: the text of a comment comes from a merge
// request, which anybody may write. Outside of code a backslash prevents it, and
// is not shown; in code a space does, because GitLab, which executes nothing there,
// may find that code begins or ends elsewhere.
// https://docs.gitlab.com/user/project/quick_actions/
func noCommands(text string) string {
	lines := strings.Split(text, "\n")
	var open block
	for i, line := range lines {
		switch {
		case !strings.HasPrefix(line, "/"):
		case open.fence != "":
			lines[i] = " " + line
		default:
			lines[i] = `\` + line
		}
		open = open.next(line)
	}
	return strings.Join(lines, "\n")
}
