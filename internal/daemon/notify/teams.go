package notify

// teamsSize is how large a message to Teams may be:
// https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams
const teamsSize = 28 << 10

type teamsPayload struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"`
	Content     teamsCard `json:"content"`
}

// teamsCard is an Adaptive Card. All text but the title is in text runs, which know no
// markdown: nothing that somebody wrote can become a link or a mention.
type teamsCard struct {
	Schema  string         `json:"$schema"`
	Type    string         `json:"type"`
	Version string         `json:"version"`
	Body    []teamsBlock   `json:"body"`
	Actions []teamsAction  `json:"actions,omitempty"`
	MSTeams map[string]any `json:"msteams"`
}

type teamsBlock struct {
	Type      string     `json:"type"`
	Text      string     `json:"text,omitempty"`
	Size      string     `json:"size,omitempty"`
	Weight    string     `json:"weight,omitempty"`
	Wrap      bool       `json:"wrap,omitempty"`
	Style     string     `json:"style,omitempty"`
	Spacing   string     `json:"spacing,omitempty"`
	Separator bool       `json:"separator,omitempty"`
	Inlines   []teamsRun `json:"inlines,omitempty"`
}

type teamsRun struct {
	Type         string       `json:"type"`
	Text         string       `json:"text"`
	Weight       string       `json:"weight,omitempty"`
	FontType     string       `json:"fontType,omitempty"`
	IsSubtle     bool         `json:"isSubtle,omitempty"`
	SelectAction *teamsAction `json:"selectAction,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

// teamsMessage returns a message as a workflow's webhook of Teams takes it, with as many
// orgs as fit.
func teamsMessage(m *Message) ([]byte, error) {
	for most := maxSections; ; most-- {
		body, err := encode(teamsWith(m, most))
		if err != nil || len(body) <= teamsSize || most == 0 {
			return body, err
		}
	}
}

func teamsWith(m *Message, most int) *teamsPayload {
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		MSTeams: map[string]any{"width": "Full"},
		Body: []teamsBlock{
			// The title is made of our own words.
			{Type: "TextBlock", Text: titleOf(m), Size: "Large", Weight: "Bolder", Wrap: true, Style: "heading"},
			teamsLine(aboutOf(m), true, "None"),
		},
	}
	sections, more := sectionsOf(m, most)
	for _, s := range sections {
		head := teamsLine(s.head, false, "Medium")
		head.Separator = true
		card.Body = append(card.Body, head)
		for _, e := range s.events {
			for i, l := range e.lines {
				card.Body = append(card.Body, teamsLine(l, i > 0, []string{"Small", "None"}[min(i, 1)]))
			}
		}
		if s.more > 0 {
			card.Body = append(card.Body, teamsLine([]piece{{text: left(s.more)}}, true, "Small"))
		}
	}
	if more > 0 {
		card.Body = append(card.Body, teamsLine([]piece{{text: left(more)}}, true, "Medium"))
	}
	if link := safeLink(m.Link); link != "" {
		card.Actions = []teamsAction{{Type: "Action.OpenUrl", Title: "Details", URL: link}}
	}
	return &teamsPayload{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
}

func teamsLine(pieces []piece, subtle bool, spacing string) teamsBlock {
	b := teamsBlock{Type: "RichTextBlock", Spacing: spacing}
	for _, p := range pieces {
		if p.text == "" {
			continue
		}
		run := teamsRun{Type: "TextRun", Text: p.text, IsSubtle: subtle}
		switch p.style {
		case bold:
			run.Weight = "Bolder"
		case code:
			run.FontType = "Monospace"
		}
		if p.link != "" {
			run.SelectAction = &teamsAction{Type: "Action.OpenUrl", URL: p.link}
		}
		b.Inlines = append(b.Inlines, run)
	}
	return b
}
