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

// writeHTML writes the report as a page. Its content security policy allows its
// style sheet, by hash, and nothing else.
func writeHTML(w io.Writer, v *view) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"class": func(s sign) string { return signForms[s].class },
		"title": title,
		"many":  func(groups []entry) bool { return len(groups) > manyOrgs },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*view
		StyleHash string
	}{v, styleHash()})
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
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
