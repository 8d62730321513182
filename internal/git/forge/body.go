package forge

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

var validName = regexp.MustCompile(`^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$`)

const maxMarkerName = 64

// marker gives the first line of the comment of this name, which is not shown.
// A name can't end the HTML comment that it stands in.
func marker(name string) (string, error) {
	if len(name) > maxMarkerName || !validName.MatchString(name) {
		return "", fmt.Errorf("the comment's name %q must be letters and digits with single dots, dashes or underscores between them, at most %d", name, maxMarkerName)
	}
	return "<!-- reconciler:" + name + " -->", nil
}

// marked says whether a comment begins with the marker.
func marked(body, marker string) bool {
	first, _, _ := strings.Cut(body, "\n")
	return strings.TrimSpace(first) == marker
}

// normal gives a text as a forge stores and gives it back: valid, without NUL,
// line feeds alone at the ends of lines, and nothing blank at its end.
func normal(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(s)
	return strings.TrimRight(s, " \t\n")
}

// block follows what is open at the end of a line of markdown.
type block struct {
	fence   string // what opened a block of code; empty outside of one
	details int    // how many <details> are open
}

var (
	fenceLine    = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})(.*)$")
	openDetails  = regexp.MustCompile(`(?i)<details[\s>]`)
	closeDetails = regexp.MustCompile(`(?i)</details\s*>`)
)

// next is what is open after one more line.
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

const endDetails = "</details>\n"

// closing gives the lines that end what is open.
func (b block) closing() string {
	var s strings.Builder
	if b.fence != "" {
		s.WriteString(b.fence + "\n")
	}
	if b.details > 0 {
		s.WriteString("\n" + strings.Repeat(endDetails, b.details))
	}
	return s.String()
}

// closingLen is how long closing is; asking it line by line is cheap.
func (b block) closingLen() int {
	n := 0
	if b.fence != "" {
		n += len(b.fence) + 1
	}
	if b.details > 0 {
		n += 1 + b.details*len(endDetails)
	}
	return n
}

// fit cuts a text that is longer than limit characters: after a line, with what
// is open there closed, and with a last line that says so. A text that fits is
// left alone.
func fit(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	notice := func(left int) string {
		return fmt.Sprintf("\n_Cut here: the last %d of %d lines are left out, because a comment holds %d characters at most._", left, len(lines), limit)
	}
	// The longest notice is the one that leaves out every line.
	room := limit - utf8.RuneCountInString(notice(len(lines)))
	var open, atCut block
	end, cut, used := 0, 0, 0 // in bytes, in lines, in characters
	for i, line := range lines {
		used += utf8.RuneCountInString(line)
		if used > room {
			break
		}
		open = open.next(strings.TrimRight(line, "\n"))
		end += len(line)
		if used+open.closingLen() <= room {
			atCut, cut = open, i+1
		}
	}
	kept := strings.Join(lines[:cut], "")
	return kept + atCut.closing() + notice(len(lines)-cut)
}

// noCommands keeps GitLab from carrying out a line that begins with a slash,
// such as /merge, with the token's rights: what a comment shows comes from a
// merge request, which anybody may write. Outside of code a backslash does it,
// which isn't shown; in code, which is not looked into but whose limits GitLab
// sees in its own way, a space.
// https://docs.gitlab.com/user/project/quick_actions/
func noCommands(text string) string {
	lines := strings.Split(text, "\n")
	var open block
	for i, line := range lines {
		if strings.HasPrefix(line, "/") {
			if open.fence != "" {
				lines[i] = " " + line
			} else {
				lines[i] = `\` + line
			}
		}
		open = open.next(line)
	}
	return strings.Join(lines, "\n")
}
