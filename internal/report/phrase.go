package report

import (
	"strings"

	"reconciler/internal/diff"
)

// Phrase returns lines about a field on one line, such as "enable mfa (P000131); disable
// lcm (P000139) [destructive]". The field, which is named before it, is not repeated, and
// other notes of the lines are left out.
func Phrase(field string, lines []Line) string {
	all := make([]string, len(lines))
	for i := range lines {
		all[i] = unnamed(field, lines[i].Text)
		if lines[i].Destructive {
			all[i] += " [" + Destructive + "]"
		}
	}
	return strings.Join(all, "; ")
}

// Done is [Phrase] for changes that were made, such as "enabled mfa (P000131)".
func Done(field string, lines []Line) string {
	all := make([]string, len(lines))
	for i := range lines {
		all[i] = past(unnamed(field, lines[i].Text))
	}
	return strings.Join(all, "; ")
}

// unnamed returns the text of a line without the field that it begins with.
func unnamed(field, text string) string {
	if rest, ok := strings.CutPrefix(text, visible(field)+": "); ok {
		return rest
	}
	if field == diff.FieldStatus {
		return strings.TrimPrefix(text, field+" ")
	}
	return text
}

// pasts are the verbs that texts of lines begin with.
var pasts = map[string]string{
	"create": "created", "delete": "deleted", "disable": "disabled", "enable": "enabled", "link": "linked", "name": "named", "rename": "renamed",
	"request": "requested",
}

// past returns the text of a line about a change that was made. One that shows two values
// has no verb.
func past(text string) string {
	verb, rest, more := strings.Cut(text, " ")
	did := pasts[verb]
	switch {
	case did == "" || strings.Contains(text, " → "):
		return text
	case more:
		return did + " " + rest
	}
	return did
}
