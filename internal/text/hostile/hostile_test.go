package hostile_test

import (
	"strings"
	"testing"

	"reconciler/internal/text"
	"reconciler/internal/text/hostile"
)

// TestFinds holds the checks against texts that weren't made safe, as they stand.
func TestFinds(t *testing.T) {
	for _, s := range hostile.Texts("html") {
		if strings.HasPrefix(s, "{{") || strings.HasPrefix(s, "&lt;") {
			continue // harmless in HTML; for templates
		}
		// In the text of a page, and in attributes between either quote.
		page := `<p>` + s + `</p><a title="` + s + `">x</a><a title='` + s + `'>x</a>`
		if len(hostile.HTML([]byte(page), false)) == 0 {
			t.Errorf("nothing is found in %q", page)
		}
	}
	for _, s := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example/x", `/\evil.example`, "https://evil.example"} {
		if len(hostile.HTML([]byte(`<a href="`+s+`">x</a>`), false, "https://acme.okta.com")) == 0 {
			t.Errorf("nothing is found in a link to %q", s)
		}
	}
	for _, s := range hostile.Texts("terminal", "hidden") {
		if len(hostile.Hidden(s)) == 0 {
			t.Errorf("nothing is found in %q", s)
		}
	}
	for _, s := range hostile.Texts("formula") {
		if len(hostile.CSV([]byte(`"`+strings.ReplaceAll(s, `"`, `""`)+`"`))) == 0 {
			t.Errorf("nothing is found in %q", s)
		}
	}
}

// TestSafe has what makes texts safe stand the checks.
func TestSafe(t *testing.T) {
	for _, s := range hostile.Texts() {
		for name, safe := range map[string]string{"Visible": text.Visible(s), "OneLine": text.OneLine(s, 1000), "Clean": text.Clean(s)} {
			if found := hostile.Hidden(safe); len(found) > 0 || strings.Contains(safe, "\n") {
				t.Errorf("%s(%q) = %q", name, s, safe)
			}
		}
	}
	page := `<!DOCTYPE html><html lang="en"><title>x</title><link rel="stylesheet" href="/static/a.css"><script src="/static/a.js" defer></script>
		<p>a &lt; b</p><a href="/orgs?q=a">x</a><a href="https://acme.okta.com/x">x</a></html>`
	if found := hostile.HTML([]byte(page), false, "https://acme.okta.com"); len(found) > 0 {
		t.Errorf("an innocent page: %q", found)
	}
}
