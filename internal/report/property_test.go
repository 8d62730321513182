package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// foreignText draws texts that are made of what formats are made of.
func foreignText() *rapid.Generator[string] {
	parts := rapid.SampledFrom([]string{
		"a", "acme.okta.com", " ", "é", "漢", "`", "```", "~~~", "|", "\\", "<", "</details>", "<!--", "&", "&lt;", "\"", "'",
		"@@", "@acme", "#1", "*", "_", "[x](y)", "http://e", "\n", "\r", "\t", "\x00", "\x1b[2J", "\u009b", "\u202e", "\u200b", "\u2028",
		"\xff", "\xe2\x80", "\U000e0041", strings.Repeat("`", 300), strings.Repeat("W", 1000),
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(parts, 0, 6).Draw(t, "parts"), "")
	})
}

// drawData draws a plan of any size, with or without outcomes. A plan that was
// read from a file may be as odd as this.
func drawData(t *rapid.T) Data {
	str := foreignText()
	text := func(label string) string { return str.Draw(t, label) }
	list := func(label string) []string { return rapid.SliceOfN(str, 0, 12).Draw(t, label) }
	actions := []diff.Action{
		diff.RenameAccount, diff.CreateOrg, diff.LinkOrg, diff.UpdateProducts, diff.SetStatus, diff.RequestDeletion, "other",
		diff.CreateObject, diff.UpdateObject, diff.DeleteObject, diff.ReorderObjects,
	}
	values := rapid.Custom(func(t *rapid.T) any {
		return rapid.SampledFrom([]any{
			nil, true, 1.5, text("word"), []any{}, []any{text("one"), map[string]any{text("name"): text("value")}}, map[string]any{text("name"): nil},
		}).Draw(t, "value")
	})
	change := rapid.Custom(func(t *rapid.T) diff.Change {
		c := diff.Change{
			Org: text("org"), OrgID: text("id"), Action: rapid.SampledFrom(actions).Draw(t, "action"),
			Before: diff.Text(text("before")), After: diff.Text(rapid.SampledFrom([]string{"ACTIVE", "INACTIVE", "`"}).Draw(t, "after")),
			Destructive: rapid.Bool().Draw(t, "destructive"), Irreversible: rapid.Bool().Draw(t, "irreversible"),
			Blocked: text("blocked"), Cell: text("cell"),
		}
		switch c.Action {
		case diff.UpdateProducts:
			c.Enable, c.Disable = list("enable"), list("disable")
		case diff.CreateObject, diff.UpdateObject, diff.DeleteObject, diff.ReorderObjects:
			c.Kind, c.Object, c.Type = rapid.SampledFrom([]string{"networkZones", text("kind")}).Draw(t, "kind"), text("object"), text("type")
			c.Risks = list("risks")
			for range rapid.SampledFrom([]int{0, 1, 3, 60}).Draw(t, "fields") {
				c.Fields = append(c.Fields, diff.Field{FieldChange: objects.FieldChange{Path: text("path"), Before: values.Draw(t, "from"), After: values.Draw(t, "to")}})
			}
		case diff.CreateOrg:
			c.Create = &state.Create{Parent: text("parent"), Name: text("name"), Website: text("website")}
		}
		return c
	})
	p := diff.Plan{Revision: text("revision"), Products: map[string]string{"a": text("product")}}
	kinds := rapid.SliceOfN(change, 0, 6).Draw(t, "kinds")
	one := diff.Plan{
		Unmanaged: []diff.Unmanaged{{Org: text("unmanaged")}},
		Unfixable: []diff.Unfixable{{Org: text("unfixable"), Field: text("field"), Desired: text("desired"), Actual: text("actual")}},
		Unknown:   []diff.Unknown{{Org: text("unknown"), OrgID: text("unknown id"), Error: text("error")}},
		Refusals:  []diff.Refusal{{Guard: text("guard"), Message: text("message")}},
		Notes:     []diff.Note{{Org: text("noted"), Message: text("note")}},
	}
	one.Unknown = append(one.Unknown, diff.Unknown{Org: text("unread"), Error: text("why"), Hint: text("hint"), Part: diff.PartConfiguration})
	for i := range rapid.SampledFrom([]int{1, 2, 12, 60}).Draw(t, "times") {
		for _, c := range kinds {
			if c.Org != "" {
				c.Org = fmt.Sprintf("%d%s", i, c.Org)
			}
			p.Changes = append(p.Changes, c)
		}
		p.Unmanaged = append(p.Unmanaged, one.Unmanaged...)
		p.Unfixable = append(p.Unfixable, one.Unfixable...)
		p.Unknown = append(p.Unknown, one.Unknown...)
		p.Refusals = append(p.Refusals, one.Refusals...)
		p.Notes = append(p.Notes, one.Notes...)
	}
	if rapid.Bool().Draw(t, "review") {
		p.Review = drawReview(t, &p)
	}
	d := Data{Plan: newPlan(len(p.Changes), 1, p), Title: text("title"), Warnings: list("warnings")}
	d.Plan.Signer = text("signer")
	d.Plan.Account, d.Plan.Digest = text("account"), text("digest")
	if rapid.Bool().Draw(t, "applied") {
		outcome := rapid.Custom(func(t *rapid.T) apply.Outcome {
			return apply.Outcome{
				Result: rapid.SampledFrom([]apply.Status{apply.Applied, apply.Failed, apply.Skipped, apply.Blocked}).Draw(t, "result"),
				Error:  text("error"), Hint: text("hint"),
			}
		})
		some := rapid.SliceOfN(outcome, 1, 5).Draw(t, "outcomes")
		all := make([]apply.Outcome, len(d.Plan.Changes))
		for i := range all {
			all[i] = some[i%len(some)]
		}
		d.Result = &apply.Result{Outcomes: all, Interrupted: rapid.Bool().Draw(t, "interrupted")}
	}
	return d
}

// drawReview draws what makes the plan a review, and origins for its changes.
func drawReview(t *rapid.T, p *diff.Plan) *diff.Review {
	str := foreignText()
	value := rapid.Custom(func(t *rapid.T) diff.Value {
		return rapid.SampledFrom([]diff.Value{
			{}, diff.List(nil), diff.Text(str.Draw(t, "word")), diff.List(rapid.SliceOfN(str, 0, 4).Draw(t, "ids")),
		}).Draw(t, "value")
	})
	origins := rapid.SampledFrom([]diff.Origin{diff.ThisChange, diff.ExistingDrift, diff.Conflict, "`other`"})
	r := &diff.Review{
		Kind: rapid.SampledFrom([]diff.ReviewKind{diff.Declared, diff.ThreeWay, "<b>"}).Draw(t, "kind"),
		Base: str.Draw(t, "base"), Head: str.Draw(t, "head"),
		Conflicts: rapid.IntRange(0, 3).Draw(t, "conflicts"), ExistingDrift: rapid.IntRange(0, 3).Draw(t, "drift"),
	}
	some := rapid.SliceOfN(origins, 1, 4).Draw(t, "origins")
	values := rapid.SliceOfN(value, 1, 3).Draw(t, "values")
	for i := range p.Changes {
		p.Changes[i].Origin, p.Changes[i].Base = some[i%len(some)], values[i%len(values)]
		if i%3 == 0 {
			p.Changes[i].Before = values[i%len(values)]
		}
	}
	for i := range p.Unfixable {
		p.Unfixable[i].Origin = some[i%len(some)]
	}
	for i := range rapid.SampledFrom([]int{0, 1, 5, 25}).Draw(t, "settings") {
		org := str.Draw(t, "of")
		if i%2 == 0 {
			org = fmt.Sprint(i, org)
		}
		field := rapid.SampledFrom([]string{"declared", "productPolicy", "status", org}).Draw(t, "field")
		r.Settings = append(r.Settings, diff.Setting{Org: org, Field: field, Base: str.Draw(t, "before"), Head: str.Draw(t, "after")})
		r.Settled = append(r.Settled, diff.Settled{Org: org, Field: field, Base: value.Draw(t, "was"), Head: value.Draw(t, "is")})
	}
	return r
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func write(t fataler, f Format, d Data) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, f, d); err != nil {
		t.Fatalf("Write(%s): %v", f, err)
	}
	return b.String()
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawData(t)
		checkText(t, d)
		checkMarkdown(t, d, rapid.SampledFrom([]int{markdownLimit, 1, 10_000, 30_000, 200_000}).Draw(t, "limit"))
		checkHTML(t, write(t, HTML, d))
	})
}

func TestFixturesKeepProperties(t *testing.T) {
	for _, d := range []Data{
		{Plan: inSync()}, {Plan: allActions()}, {Plan: troubled()}, withFailures(), interrupted(), {Plan: fleet(3000)}, hostile(),
		{Plan: reviewed(t)}, {Plan: onlyDrift(t)}, reviewApplied(t), {Plan: declaredFleet(t, 3000)}, {Plan: bigReview()}, hostileReview(),
		{Plan: configured()}, {Plan: baselined(300)}, baselinedApplied(300), {Plan: objectReview()}, {Plan: manyObjects()},
	} {
		checkText(t, d)
		checkMarkdown(t, d, markdownLimit)
		checkMarkdown(t, d, 12_000)
		checkHTML(t, write(t, HTML, d))
	}
}

// checkPrintable finds what a terminal, or a reader's eye, could be fooled by.
func checkPrintable(t fataler, what, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("%s is not UTF-8", what)
	}
	for i, r := range s {
		if r != '\n' && !strconv.IsPrint(r) {
			t.Fatalf("%s: %q at %d: %q", what, r, i, s[max(0, i-40):min(len(s), i+40)])
		}
	}
}

var sgr = regexp.MustCompile("\x1b\\[(1|3[1-5]|1;31|0)m")

func checkText(t fataler, d Data) {
	t.Helper()
	d.Color = false
	plain := write(t, Text, d)
	checkPrintable(t, "text", plain)

	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	if last := lines[len(lines)-1]; last != newView(d).Summary {
		t.Fatalf("last line is %q, wanted the summary", last)
	}
	d.Color = true
	if bare := sgr.ReplaceAllString(write(t, Text, d), ""); bare != plain {
		t.Fatalf("colour changes more than the colour:\n%s\nwanted:\n%s", bare, plain)
	}
}

var (
	codeSpan   = regexp.MustCompile("`[^`]+`")
	ownTag     = regexp.MustCompile("^(<details>|<details open>|</details>)$|</?(summary|b|sub)>")
	tableRow   = regexp.MustCompile(`^\|( [A-Za-z0-9 -]+:? \|)+$`)
	ownLine    = regexp.MustCompile(`^(@@ .* @@|[-+~!] .*|    .*|  and \d+ more (lines of this change|changes?); .*)$`)
	dangerous  = "<>`@[]|\\*_~#&"
	ownMarkers = strings.NewReplacer("**", "", "#### ", "", "### ", "")
)

// checkMarkdown reads the comment as GitHub and GitLab would, as far as it
// matters: no foreign text may stand outside of code.
func checkMarkdown(t fataler, d Data, limit int) {
	t.Helper()
	md := markdown(d, limit)
	if len(md) > max(limit, markdownLeast) {
		t.Fatalf("markdown has %d bytes, limit %d", len(md), limit)
	}
	checkPrintable(t, "markdown", md)

	depth, inCode := 0, false
	for line := range strings.Lines(md) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case inCode && line == "```":
			inCode = false
		case inCode:
			if !ownLine.MatchString(line) {
				t.Fatalf("line in a code block: %q", line)
			}
		case line == "```diff" || line == "```text":
			inCode = true
		case strings.HasPrefix(line, "|"):
			if !tableRow.MatchString(line) {
				t.Fatalf("table row: %q", line)
			}
		default:
			switch line {
			case "<details>", "<details open>":
				depth++
			case "</details>":
				depth--
			}
			rest := ownMarkers.Replace(ownTag.ReplaceAllString(codeSpan.ReplaceAllString(line, ""), ""))
			if i := strings.IndexAny(rest, dangerous); i >= 0 {
				t.Fatalf("%q outside of code: %q", rest[i], line)
			}
			if depth < 0 || depth > 1 {
				t.Fatalf("<details> nested %d deep", depth)
			}
		}
	}
	if depth != 0 || inCode {
		t.Fatalf("left open: <details> %d, code block %v", depth, inCode)
	}
}

var (
	pageElements   = strings.Fields("html head meta title style body header h1 h2 h3 p main dl div dt dd section ul li table caption thead tbody tr th td b strong code span details summary footer")
	pageAttributes = strings.Fields("lang charset http-equiv content name class scope aria-label aria-hidden open data-label")
)

// checkHTML reads the page tag by tag: only the template's own elements and
// attributes may be there, and every element is closed.
func checkHTML(t fataler, page string) {
	t.Helper()
	checkPrintable(t, "HTML", page)
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("HTML: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(pageElements, e.Name.Local) {
			t.Fatalf("HTML: element <%s>", e.Name.Local)
		}
		for _, a := range e.Attr {
			if !slices.Contains(pageAttributes, a.Name.Local) {
				t.Fatalf("HTML: attribute %s=%q of <%s>", a.Name.Local, a.Value, e.Name.Local)
			}
		}
	}
	for _, name := range pageElements {
		opened := strings.Count(page, "<"+name+">") + strings.Count(page, "<"+name+" ")
		if closed := strings.Count(page, "</"+name+">"); name != "meta" && opened != closed {
			t.Fatalf("HTML: %d <%s>, %d </%s>", opened, name, closed, name)
		}
	}
}

var statusLine = regexp.MustCompile(`(?m)^~ status INACTIVE → ACTIVE$`)

var notShown = regexp.MustCompile(`(?m)^\*\*(\d+) more changes? in (?:the account and )?(\d+) orgs? not shown:\*\*`)

// What the comment shows and what it says it doesn't show is the whole plan.
func TestMarkdownIsHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		orgs := rapid.IntRange(1, 3000).Draw(t, "orgs")
		each := rapid.IntRange(1, 4).Draw(t, "changes in each org")
		pad := strings.Repeat("x", rapid.IntRange(0, 150).Draw(t, "length of a name"))
		var p diff.Plan
		for i := range orgs {
			for range each {
				p.Changes = append(p.Changes, status(fmt.Sprintf("org-%d%s", i, pad), "00o", state.Inactive, state.Active))
			}
		}
		md := write(t, Markdown, Data{Plan: newPlan(orgs, 0, p)})
		changes := len(statusLine.FindAllString(md, -1))
		heads := strings.Count(md, "\n@@ ")
		left, leftOrgs := 0, 0
		if m := notShown.FindStringSubmatch(md); m != nil {
			left, _ = strconv.Atoi(m[1])
			leftOrgs, _ = strconv.Atoi(m[2])
			if len(md) < markdownLimit*9/10 {
				t.Fatalf("%d changes left out of a comment of only %d bytes", left, len(md))
			}
		}
		if changes+left != orgs*each || heads+leftOrgs != orgs {
			t.Fatalf("%d changes of %d orgs shown and %d of %d not, of %d in %d", changes, heads, left, leftOrgs, orgs*each, orgs)
		}
	})
}

func FuzzVisible(f *testing.F) {
	f.Add(evil)
	f.Add(strings.Repeat("é", maxText))
	f.Add("\xe2\x80")
	f.Fuzz(func(t *testing.T, s string) {
		got := visible(s)
		checkPrintable(t, "visible", got)
		if strings.Contains(got, "\n") {
			t.Errorf("visible(%q) = %q, which has more than one line", s, got)
		}
		clean := len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
		if (got == s) != clean {
			t.Errorf("visible(%q) = %q", s, got)
		}
		for _, n := range []int{len("…"), 10, 100} {
			if c := cut(s, n); len(c) > n {
				t.Errorf("cut(%q, %d) has %d bytes", s, n, len(c))
			}
		}
		if p := prose(got); p != got && !codeSpan.MatchString(p) || strings.ContainsFunc(p, unicode.IsControl) {
			t.Errorf("prose(%q) = %q", got, p)
		}
	})
}

// However much there is to say beside them, changes find room.
func TestMarkdownKeepsRoomForChanges(t *testing.T) {
	long := strings.Repeat("`", 5000)
	p := diff.Plan{Revision: long, Products: map[string]string{}}
	for i := range 100 {
		name := fmt.Sprintf("%d%s", i, long)
		p.Products[strconv.Itoa(i)] = name
		p.Changes = append(p.Changes, blocked(update(name, name, []string{strconv.Itoa(i)}, nil), name))
		p.Unfixable = append(p.Unfixable, diff.Unfixable{Org: name, Field: name, Desired: name, Actual: name})
		p.Unmanaged = append(p.Unmanaged, diff.Unmanaged{Org: name, OrgID: name})
		p.Unknown = append(p.Unknown, diff.Unknown{Org: name, OrgID: name, Error: name})
		p.Refusals = append(p.Refusals, diff.Refusal{Guard: name, Message: name})
	}
	d := Data{Plan: newPlan(100, 0, p), Title: long, Warnings: slices.Repeat([]string{long}, 100)}
	d.Plan.Account, d.Plan.Digest = long, long
	checkMarkdown(t, d, markdownLimit)
	if n := strings.Count(write(t, Markdown, d), "\n@@ "); n < 10 {
		t.Errorf("only %d orgs found room", n)
	}
}
