package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/text"
)

// What follows words a message for people, in a form that each kind of chat writes in its
// own way. Foreign text is on one line in it, with what doesn't print made visible.

// style is how a piece of text looks.
type style int

const (
	normal style = iota
	bold
	code // a value or a name
)

// piece is some text of one style. If link is not empty, it leads there.
type piece struct {
	text  string
	style style
	link  string
}

// words are the lines about one event: what has happened, since when and by whom, and
// what to do.
type words struct{ lines [][]piece }

// text returns all lines, joined.
func (w words) text() (all []piece) {
	for i, l := range w.lines {
		if i > 0 {
			all = append(all, piece{text: " · "})
		}
		all = append(all, l...)
	}
	return all
}

// section is what a message says of one org, or of the account.
type section struct {
	head   []piece
	events []words
	// more is how many events are left out.
	more int
}

const (
	// maxSections and maxEvents bound what a chat shows of a message, as nobody reads
	// more of it there: orgs, and events of each.
	maxSections = 20
	maxEvents   = 5
	// maxValue, maxName and maxProse bound the characters of a value, a name and a
	// sentence.
	maxValue = 200
	maxName  = 100
	maxProse = 500
)

// labels are what the types of events are called.
var labels = map[Type]string{
	Drift: "Drift", Repaired: "Repaired", Failed: "Run failed", Recovered: "Run recovered", Refused: "Refused by a guard",
	Stale: "Not the newest manifests", Signature: "Commit refused", Onboarded: "Org onboarded", TokenLost: "Token lost",
	Suspension: "Suspension", Limit: "Product limit",
}

// visible returns foreign text on one line, cut to a limit.
func visible(s string, limit int) string {
	r := []rune(text.Visible(s))
	if len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return string(r)
}

// titleOf returns what a message is about in one line: "Drift (2), Repaired".
func titleOf(m *Message) string {
	counts := map[Type]int{}
	for _, e := range m.Events {
		counts[e.Type]++
	}
	var all []string
	for _, t := range Types() {
		switch n := counts[t]; {
		case n == 1:
			all = append(all, labels[t])
		case n > 1:
			all = append(all, fmt.Sprintf("%s (%d)", labels[t], n))
		}
	}
	title := strings.Join(all, ", ")
	if m.Test {
		title = "Test: " + title
	}
	return title
}

// aboutOf returns where a message comes from.
func aboutOf(m *Message) []piece {
	all := []piece{{text: "reconciler, account "}, {text: visible(m.Account, maxName), style: code}, {text: " · " + stamp(m.Time)}}
	if m.Digest {
		all = append(all, piece{text: " · digest"})
	}
	if m.Run != "" {
		all = append(all, piece{text: " · run "}, piece{text: visible(m.Run, maxName), style: code, link: safeLink(m.Link)})
	}
	return all
}

// sectionsOf groups the events of a message by org; those of the account come first. more
// is how many events of other orgs are left out.
func sectionsOf(m *Message, most int) (sections []section, more int) {
	var orgs []string
	byOrg := map[string][]*Event{}
	for i := range m.Events {
		e := &m.Events[i]
		if byOrg[e.Org] == nil {
			orgs = append(orgs, e.Org)
		}
		byOrg[e.Org] = append(byOrg[e.Org], e)
	}
	if i := slices.Index(orgs, ""); i > 0 {
		orgs = slices.Insert(slices.Delete(orgs, i, i+1), 0, "")
	}
	for i, org := range orgs {
		events := byOrg[org]
		if i >= most {
			more += len(events)
			continue
		}
		s := section{head: headOf(org, events[0])}
		for _, e := range events[:min(len(events), maxEvents)] {
			s.events = append(s.events, wordsOf(e))
		}
		s.more = len(events) - len(s.events)
		sections = append(sections, s)
	}
	return sections, more
}

// headOf returns the head of a section.
func headOf(org string, e *Event) []piece {
	if org == "" {
		return []piece{{text: "The account", style: bold}}
	}
	head := []piece{{text: visible(org, maxName), style: bold}}
	if e.Owner != "" {
		head = append(head, piece{text: " · owner "}, piece{text: visible(e.Owner, maxName), style: code})
	}
	return head
}

// wordsOf words one event.
func wordsOf(e *Event) words {
	label := labels[e.Type]
	if label == "" {
		label = visible(string(e.Type), maxName)
	}
	what := []piece{{text: label, style: bold}}
	said := visible(text.JoinLines(e.Message), maxProse)
	if said == "" && e.Field != "" { // words are better than values, which may be ids
		what = append(what, piece{text: " "}, piece{text: visible(e.Field, maxName), style: code})
	}
	switch {
	case said != "":
		what = append(what, piece{text: ": " + said})
	case len(e.Before) > 0 || len(e.After) > 0:
		what = append(what, piece{text: ": "})
		what = append(what, change(e)...)
	}
	w := words{lines: [][]piece{what}}
	if origin := originOf(e); len(origin) > 0 {
		w.lines = append(w.lines, origin)
	}
	if e.Hint != "" {
		w.lines = append(w.lines, []piece{{text: "→ " + visible(text.JoinLines(e.Hint), maxProse)}})
	}
	return w
}

// change words what was before an event, and what is after it.
func change(e *Event) []piece {
	before, after := piece{text: value(e.Before), style: code}, piece{text: value(e.After), style: code}
	if e.Type == Drift {
		return []piece{{text: "declared "}, before, {text: " → live "}, after}
	}
	return []piece{before, {text: " → "}, after}
}

// value words a value.
func value(raw json.RawMessage) string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if len(raw) == 0 || dec.Decode(&v) != nil {
		return "nothing"
	}
	return visible(inWords(v), maxValue)
}

func inWords(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return v
	case []any:
		if len(v) == 0 {
			return "none"
		}
		var all []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				all = nil
				break
			}
			all = append(all, s)
		}
		if all != nil {
			return strings.Join(all, ", ")
		}
	}
	data, err := encode(v)
	if err != nil {
		return "?"
	}
	return string(data)
}

// originOf words since when, by whom and from which commit, with a link.
func originOf(e *Event) []piece {
	var all []piece
	add := func(pieces ...piece) {
		if len(all) > 0 {
			all = append(all, piece{text: " · "})
		}
		all = append(all, pieces...)
	}
	if e.Since != nil {
		add(piece{text: "since " + stamp(*e.Since)})
	}
	if e.By != "" {
		add(piece{text: "by "}, piece{text: visible(e.By, maxName), style: code})
	}
	if e.Commit != "" {
		add(piece{text: "commit "}, piece{text: visible(short(e.Commit), maxName), style: code})
	}
	if link := safeLink(e.Link); link != "" {
		add(piece{text: "details", link: link})
	}
	return all
}

// stamp words a time.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// safeLink returns a link to a web page, in which no character can end it early; empty
// if it is none.
func safeLink(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", "(", "%28", ")", "%29", "'", "%27", `"`, "%22", " ", "%20", "\\", "%5C").Replace(u.String())
}

// plain returns pieces as text.
func plain(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// left words what is left out.
func left(n int) string { return fmt.Sprintf("… and %s", text.Plural(n, "more event")) }

// short returns the first digits of a commit, as git shows it.
func short(commit string) string { return commit[:min(len(commit), 12)] }
