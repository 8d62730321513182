package notify

import (
	"strings"
	"unicode"
)

// The limits of messages of Slack: https://docs.slack.dev/reference/block-kit/blocks/
const (
	slackBlocks = 50
	slackHeader = 150
	slackText   = 3000
)

type slackPayload struct {
	// Text is what notifications and screen readers show.
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
	// UnfurlLinks and UnfurlMedia are false: nothing fetches what is linked to.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

type slackBlock struct {
	Type     string          `json:"type"`
	Text     *slackTextPart  `json:"text,omitempty"`
	Elements []slackTextPart `json:"elements,omitempty"`
}

type slackTextPart struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Emoji is for plain text, and Verbatim for mrkdwn, in which it keeps Slack from
	// looking for links and names.
	Emoji    *bool `json:"emoji,omitempty"`
	Verbatim *bool `json:"verbatim,omitempty"`
}

func plainText(s string) *slackTextPart {
	no := false
	return &slackTextPart{Type: "plain_text", Text: s, Emoji: &no}
}

func mrkdwn(s string) *slackTextPart {
	yes := true
	return &slackTextPart{Type: "mrkdwn", Text: s, Verbatim: &yes}
}

// slackMessage returns a message as Slack's incoming webhooks take it.
func slackMessage(m *Message) *slackPayload {
	title := visible(titleOf(m), slackHeader)
	p := &slackPayload{Text: slackEscape(title), Blocks: []slackBlock{
		{Type: "header", Text: plainText(title)},
		{Type: "context", Elements: []slackTextPart{*mrkdwn(slackLine(aboutOf(m)))}},
	}}
	sections, more := sectionsOf(m, min(maxSections, slackBlocks-3))
	for _, s := range sections {
		p.Blocks = append(p.Blocks, slackBlock{Type: "section", Text: mrkdwn(slackSection(&s))})
	}
	if more > 0 {
		rest := []piece{{text: left(more), link: safeLink(m.Link)}}
		p.Blocks = append(p.Blocks, slackBlock{Type: "context", Elements: []slackTextPart{*mrkdwn(slackLine(rest))}})
	}
	return p
}

// slackSection returns a section, of which events are left out that don't fit.
func slackSection(s *section) string {
	const room = slackText - 50 // for what is left out
	out, more := slackLine(s.head), s.more
	for i, e := range s.events {
		var next strings.Builder
		for j, l := range e.lines {
			next.WriteString("\n")
			if j > 0 {
				next.WriteString("    ")
			}
			next.WriteString(slackLine(l))
		}
		if len([]rune(out))+len([]rune(next.String())) > room {
			more += len(s.events) - i
			break
		}
		out += next.String()
	}
	if more > 0 {
		out += "\n" + left(more)
	}
	return out
}

func slackLine(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		t := slackPiece(p)
		if p.link != "" {
			t = "<" + slackEscape(p.link) + "|" + strings.ReplaceAll(t, "|", "¦") + ">"
		}
		b.WriteString(t)
	}
	return b.String()
}

func slackPiece(p piece) string {
	switch {
	case p.text == "":
		return ""
	case p.style == code:
		// Within backticks nothing else has a meaning but the three characters.
		return "`" + slackEscape(strings.ReplaceAll(p.text, "`", `\x60`)) + "`"
	case p.style == bold:
		return "*" + slackProse(p.text) + "*"
	default:
		return slackProse(p.text)
	}
}

// slackEscape escapes the characters with which links, mentions and entities begin and
// end: https://docs.slack.dev/messaging/formatting-message-text/#escaping
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// slackProse escapes text in which characters could change how it looks. Slack has no
// escapes for these, so similar ones take their places.
func slackProse(s string) string {
	runes := []rune(s)
	for i, r := range runes {
		switch r {
		case '*':
			runes[i] = '∗'
		case '~':
			runes[i] = '∼'
		case '`':
			runes[i] = 'ˋ'
		case '_':
			if !isWord(runes, i-1) || !isWord(runes, i+1) { // within a word it has no meaning
				runes[i] = '＿'
			}
		}
	}
	return slackEscape(string(runes))
}

func isWord(runes []rune, i int) bool {
	return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]) || runes[i] == '_')
}
