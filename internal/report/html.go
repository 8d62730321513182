package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
	"sync"

	"reconciler/internal/diff"
)

// page is the HTML report: one file that can be archived, mailed or served,
// without scripts or external resources.
//
//go:embed page.html
var page string

// Style is the style sheet that reports and the daemon's pages have in common: colours,
// signs, tags, tables. frame is the rest of that of reports.
//
//go:embed style.css
var Style string

//go:embed report.css
var frame string

// LineTemplates are the HTML templates "line", of a [Line], and "lines", of several: what
// is different looks the same in reports and in the daemon's pages.
//
//go:embed lines.html
var LineTemplates string

// templates are those of the page and its parts.
var templates = sync.OnceValues(func() (*template.Template, error) {
	return template.New("report").Funcs(template.FuncMap{
		"title": title,
		"many":  func(groups []entry) bool { return len(groups) > manyOrgs },
	}).Parse(LineTemplates + page)
})

// writeHTML writes the report as a page. Its content security policy allows its
// style sheet, by hash, and nothing else.
func writeHTML(w io.Writer, v *view) error {
	t, err := templates()
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*view
		Style     template.CSS
		StyleHash string
	}{v, template.CSS(Style + frame), styleHash()})
}

// maxNames is how many orgs with the same changes a page names that shows a plan beside
// other things.
const maxNames = 100

// PlanHTML returns the part of the HTML report that is about the changes of a plan: its
// refusals, risks and changes, of each severity at most so many lines.
func PlanHTML(p *diff.Plan, most int) (template.HTML, error) {
	t, err := templates()
	if err != nil {
		return "", err
	}
	v := newView(Data{Plan: p})
	v.most, v.part = most, true
	for i := range v.Groups {
		if e := &v.Groups[i]; len(e.Names) > maxNames {
			e.Unlisted = len(e.Names) - maxNames
		}
	}
	var b strings.Builder
	for _, part := range []string{"dangers", "changes"} {
		if err := t.ExecuteTemplate(&b, part, v); err != nil {
			return "", err
		}
	}
	return template.HTML(b.String()), nil
}

// title returns s with a capital letter.
func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// styleHash is the source expression that names the page's style sheet.
func styleHash() string {
	sum := sha256.Sum256([]byte(Style + frame))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
