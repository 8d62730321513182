package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strings"
)

// page is the whole HTML report: one file that can be archived, mailed or
// served, with no script and nothing to load.
//
//go:embed page.html
var page string

// writeHTML writes the report as a page. The page carries a content security
// policy of its own that allows its one style sheet, by hash, and nothing else:
// should a foreign text ever get past the template, it stays text.
func writeHTML(w io.Writer, d Data) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"where": where,
		"class": class,
		"title": title,
		"many":  func(groups []group) bool { return len(groups) > manyOrgs },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*view
		StyleHash string
	}{newView(d), styleHash()})
}

// title returns a sentence of ours its capital letter.
func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// styleHash is the source expression that names the page's style sheet.
func styleHash() string {
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// class is the style of a sign.
func class(s sign) string {
	switch s {
	case add:
		return "add"
	case alter:
		return "alter"
	case remove:
		return "remove"
	default:
		return "attention"
	}
}
