package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is a message with an event of each type.
func example() *Message {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	since := at.Add(-90 * time.Minute)
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	const org, commit = "acme-emea.okta.com", "4f5d5766c90b2f3a1d2e"
	return &Message{
		Version: 1, ID: "q5x2", Account: "0200acme", Time: at, Run: "20261130T120000Z-abcdef", Link: "https://reconciler.acme.example/runs/20261130T120000Z-abcdef",
		Events: []Event{
			{Type: Drift, Org: org, Field: "products", Before: raw(`["P000052","P000131"]`), After: raw(`["P000052"]`), Since: &since, By: "mallory@acme.example", Commit: commit,
				Link: "https://reconciler.acme.example/orgs/acme-emea.okta.com", Message: "products differs; repair: enable MFA (P000131)", Owner: "identity-emea@acme.example", Labels: map[string]string{"tier": "production"}},
			{Type: Repaired, Org: org, Field: "products", Before: raw(`["P000052"]`), After: raw(`["P000052","P000131"]`), By: "reconciler (run 20261130T120000Z-abcdef)", Message: "products is repaired: enabled MFA (P000131)", Owner: "identity-emea@acme.example"},
			{Type: Repaired, Org: org, Field: "status", Before: raw(`"INACTIVE"`), After: raw(`"ACTIVE"`), Since: &since, Owner: "identity-emea@acme.example"},
			{Type: Drift, Org: "acme-labs.oktapreview.com", Field: "networkZones Offices gateways", Before: raw(`[{"type":"CIDR","value":"198.51.100.0/24"}]`), After: raw(`null`)},
			{Type: Failed, Message: "the account can't be read: 503 Service Unavailable", Hint: "look at Okta's status page", Commit: commit},
			{Type: Recovered, Since: &since},
			{Type: Refused, Message: "maxDestructiveOrgs: 12 orgs would lose something, and 10 may", Commit: commit},
			{Type: Stale, Message: "git can't be read"},
			{Type: Signature, Message: "the commit is not signed", By: "eve@acme.example", Commit: commit},
			{Type: Onboarded, Org: "acme-new.okta.com", Message: "created through the parent acme"},
			{Type: TokenLost, Org: "acme-new.okta.com", Message: "the token is lost", Hint: "make another one in the org"},
			{Type: Suspension, Message: "writes to acme-*.okta.com are suspended until 2026-12-01T00:00:00Z: audit", By: "ada"},
			{Type: Limit, Field: "P000131", Message: "enabled in 251 orgs, and its limit is 250"},
		},
	}
}

// The payloads of each kind of receiver.
func TestGolden(t *testing.T) {
	dir := folder(t)
	write(t, dir, "template", `{"text": {{json (title .)}}, "lines": [{{range $i, $e := .Events}}{{if $i}}, {{end}}{{json (words $e)}}{{end}}]}`)
	for name, receiver := range map[string]string{
		"slack": "{type: slack, urlFile: url}", "teams": "{type: teams, urlFile: url}",
		"webhook": "{type: webhook, urlFile: url}", "template": "{type: webhook, urlFile: url, template: template}",
	} {
		body, err := receiversOf(t, dir, "["+receiver+"]")[0].body(example())
		must(t, err)
		var pretty bytes.Buffer
		must(t, json.Indent(&pretty, body, "", "  "))
		pretty.WriteByte('\n')
		golden := filepath.Join("testdata", name+".json")
		if *update {
			must(t, os.MkdirAll("testdata", 0o755))
			must(t, os.WriteFile(golden, pretty.Bytes(), 0o644))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
			t.Errorf("%s: go test -update rewrites it:\n%s", golden, diff)
		}
	}
}

// The JSON of webhooks has the keys that programs rely on, also where there is no value.
func TestWebhookKeys(t *testing.T) {
	data, err := encode(&Message{Version: 1, Events: []Event{{Type: Drift}}})
	must(t, err)
	const want = `{"version":1,"id":"","account":"","time":"0001-01-01T00:00:00Z","run":"","events":[` +
		`{"type":"drift","org":"","field":"","before":null,"after":null,"since":null,"by":"","commit":"","link":"","message":""}]}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

// large returns a message with events of so many orgs, and text in them.
func large(orgs, events int, said string) *Message {
	m := example()
	m.Events = nil
	for i := range orgs {
		for range events {
			m.Events = append(m.Events, Event{
				Type: Drift, Org: fmt.Sprintf("acme-%04d.okta.com", i), Field: said, Before: json.RawMessage(`"` + said + `"`), By: said, Message: said, Hint: said, Owner: said,
				Link: "https://reconciler.acme.example/" + said,
			})
		}
	}
	return m
}

func sizes() map[string]*Message {
	return map[string]*Message{
		"example": example(), "many orgs": large(5000, 1, "x"), "many events": large(1, 5000, "x"), "long texts": large(60, 8, strings.Repeat("&<>", 2000)), "empty": large(0, 0, ""),
	}
}

// What Slack gets keeps within its limits, and says what is left out.
func TestSlackLimits(t *testing.T) {
	for name, m := range sizes() {
		body, err := encode(slackMessage(m))
		must(t, err)
		var p struct {
			Text   string `json:"text"`
			Blocks []struct {
				Type     string
				Text     *struct{ Type, Text string }
				Elements []struct{ Type, Text string }
			} `json:"blocks"`
		}
		must(t, json.Unmarshal(body, &p))
		if len(p.Blocks) > 50 || len(p.Blocks) < 2 || p.Blocks[0].Type != "header" || utf8.RuneCountInString(p.Blocks[0].Text.Text) > 150 {
			t.Errorf("%s: %d blocks", name, len(p.Blocks))
		}
		for _, b := range p.Blocks {
			switch {
			case b.Type == "section" && (b.Text == nil || b.Text.Text == "" || utf8.RuneCountInString(b.Text.Text) > 3000):
				t.Errorf("%s: a section of %d characters", name, utf8.RuneCountInString(b.Text.Text))
			case b.Type == "context" && (len(b.Elements) == 0 || len(b.Elements) > 10):
				t.Errorf("%s: a context of %d elements", name, len(b.Elements))
			}
		}
		left := strings.Contains(string(body), "… and ")
		if left != (name != "empty") {
			t.Errorf("%s: says that something is left out: %v", name, left)
		}
	}
	body, err := encode(slackMessage(large(5000, 2, "x")))
	must(t, err)
	if !strings.Contains(string(body), "… and 9960 more events") {
		t.Error("the events that are left out are not counted")
	}
}

// What Teams gets keeps within its limit.
func TestTeamsLimits(t *testing.T) {
	for name, m := range sizes() {
		body, err := teamsMessage(m)
		must(t, err)
		if len(body) > 28<<10 || !json.Valid(body) {
			t.Errorf("%s: %d bytes", name, len(body))
		}
		var p struct {
			Type        string
			Attachments []struct {
				ContentType string
				Content     struct {
					Type, Version string
					Body          []struct {
						Type    string
						Inlines []struct{ Type, Text string }
					}
				}
			}
		}
		must(t, json.Unmarshal(body, &p))
		if p.Type != "message" || len(p.Attachments) != 1 || p.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
			t.Fatalf("%s: %s", name, body)
		}
		card := p.Attachments[0].Content
		if card.Type != "AdaptiveCard" || card.Version != "1.4" || len(card.Body) < 2 {
			t.Errorf("%s: %+v", name, card)
		}
		for i, b := range card.Body {
			if i == 0 && b.Type == "TextBlock" {
				continue // our own words
			}
			if b.Type != "RichTextBlock" || len(b.Inlines) == 0 {
				t.Errorf("%s: foreign text is in a %s", name, b.Type)
			}
			for _, run := range b.Inlines {
				if run.Type != "TextRun" || run.Text == "" {
					t.Errorf("%s: %+v", name, run)
				}
			}
		}
	}
}

// corpus is what somebody may write into names, authors and errors.
var corpus = []string{
	"<!channel>", "<!here|x>", "<@U0123>", "<#C0123>", "<http://evil.example|acme.okta.com>", "&lt;!channel&gt;", "`code` and `", "*bold* ~gone~ _slanted_ _a_b",
	"[click](http://evil.example)", "![x](http://evil.example/i.png)", "<at>everyone</at>", "<script>alert(1)</script>", "javascript:alert(1)",
	"line\r\nX-Header: 1\n*second*", "\u202egnp.exe", "a\u200bb\u2066c\u2069", "\x1b[31mred\x1b[0m", "\x00\x07\x7f", "\ufeffx", "\xff\xfe", `"}],"blocks":[{"`, "{{.Account}}", "𝕏 ünï 漢字", "> quote", "1. list",
}

// Nothing that somebody wrote pings anyone, becomes a link, looks different from what it
// is, or hides.
func TestInjection(t *testing.T) {
	dir := folder(t)
	markup := regexp.MustCompile("`[^`\n]*`")
	link := regexp.MustCompile(`<(https://reconciler\.acme\.example/[^|<>]*)\|[^<>|]*>`)
	for _, evil := range corpus {
		m := large(1, 1, "")
		quoted, err := json.Marshal(evil)
		must(t, err)
		m.Account, m.Run = evil, evil
		e := &m.Events[0]
		e.Org, e.Field, e.Before, e.After, e.By, e.Commit, e.Owner, e.Message, e.Hint = evil, evil, quoted, quoted, evil, evil, evil, evil, evil
		e.Link = "https://reconciler.acme.example/" + evil
		values := *e
		values.Message = ""
		m.Events = append(m.Events, values)
		for _, kind := range []string{"slack", "teams", "webhook"} {
			body, err := receiversOf(t, dir, "[{type: "+kind+", urlFile: url}]")[0].body(m)
			must(t, err)
			for _, r := range string(body) {
				if !unicode.IsPrint(r) {
					t.Errorf("%s of %q holds %U", kind, evil, r)
				}
			}
			if !json.Valid(body) {
				t.Errorf("%s of %q: %s", kind, evil, body)
			}
		}
		for _, b := range slackMessage(m).Blocks {
			parts := b.Elements
			if b.Text != nil && b.Text.Type == "mrkdwn" {
				parts = append(parts, *b.Text)
			}
			for _, p := range parts {
				if p.Verbatim == nil || !*p.Verbatim {
					t.Errorf("%q: Slack looks for links", evil)
				}
				rest := link.ReplaceAllString(p.Text, "")
				if strings.ContainsAny(rest, "<>") {
					t.Errorf("%q becomes %q", evil, p.Text)
				}
				prose := markup.ReplaceAllString(rest, "")
				for _, own := range []string{"*Drift*", "*" + slackProse(visible(evil, maxName)) + "*"} {
					prose = strings.ReplaceAll(prose, own, "")
				}
				if strings.ContainsAny(prose, "*~`") || strings.Contains(prose, " _") {
					t.Errorf("%q formats %q", evil, prose)
				}
			}
		}
		// Links lead to where they did, or nowhere.
		m.Events[0].Link, m.Events[1].Link = evil, evil
		for _, b := range teamsWith(m, 1).Attachments[0].Content.Body {
			for _, run := range b.Inlines {
				if run.SelectAction != nil && !strings.HasPrefix(run.SelectAction.URL, "https://reconciler.acme.example/") {
					t.Errorf("%q becomes a link", evil)
				}
			}
		}
	}
}

// A template is checked when the config is read, with the place of a mistake.
func TestTemplates(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "template")
	for text, want := range map[string]string{
		`{"a": {{json .Account}}, "n": {{len .Events}}}`: "",
		"\ufeff" + `{"text": {{json (title .)}}}`:        "",
		`{{json .}}`:                                   "",
		`{"a": {{json .Account}}`:                      file + `:1:1: the template makes no valid JSON of a message`,
		`{"a": "{{(index .Events 0).By}}"}`:            file + `:1:1: the template makes no valid JSON of a message`,
		`{"e": [{{range .Events}}{{json .}},{{end}}]}`: file + `:1:1: the template makes no valid JSON of a message`,
		"{\n\"a\": {{json .Nothing}}}":                 file + `:2:13: executing "template" at <.Nothing>: can't evaluate field Nothing`,
		"{\n\n{{if}}":                                  file + `:3:1: missing value for if`,
		`{{env "SECRET"}}`:                             file + `:1:1: function "env" not defined`,
		`{{range .Events}}{{range $.Events}}{{range $.Events}}{{range $.Events}}` + strings.Repeat("x", 10000) + `{{end}}{{end}}{{end}}{{end}}`: `it makes more than 16 MB`,
		"": file + `:1:1: the template makes no valid JSON of a message`,
	} {
		write(t, dir, "template", text)
		_, err := readTemplate(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := readTemplate(filepath.Join(dir, "missing")); err == nil || !strings.Contains(err.Error(), "the template can't be read") {
		t.Error(err)
	}
}
