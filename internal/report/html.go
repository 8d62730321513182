package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
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

// writeHTML writes the report as a page. Its content security policy allows its
// style sheet, by hash, and nothing else.
func writeHTML(w io.Writer, v *view) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"title": title,
		"many":  func(groups []entry) bool { return len(groups) > manyOrgs },
	}).Parse(LineTemplates + page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*view
		Style     template.CSS
		StyleHash string
	}{v, template.CSS(Style + frame), styleHash()})
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
