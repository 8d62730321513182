package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"sync"
	"unicode/utf8"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
)

//go:embed html
var htmlFS embed.FS

// layout is the template of the frame, which all pages have, and parts those of what
// several pages have.
const (
	layout = "layout.html"
	parts  = "parts.html"
)

// parse returns the templates of the pages by their names. Each defines "main".
func parse(files *staticFiles) (map[string]*template.Template, error) {
	frame, err := template.New(layout).Funcs(funcs(files)).ParseFS(htmlFS, "html/"+layout, "html/"+parts)
	if err == nil {
		frame, err = frame.Parse(report.LineTemplates)
	}
	if err != nil {
		return nil, err
	}
	entries, err := htmlFS.ReadDir("html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, e := range entries {
		if e.Name() == layout || e.Name() == parts {
			continue
		}
		t, err := frame.Clone()
		if err == nil {
			t, err = t.ParseFS(htmlFS, path.Join("html", e.Name()))
		}
		if err != nil {
			return nil, err
		}
		all[e.Name()] = t
	}
	return all, nil
}

func funcs(files *staticFiles) template.FuncMap {
	return template.FuncMap{
		"static":  files.path,
		"short":   source.Short,
		"value":   report.Value,
		"org":     report.Org,
		"orgPath": orgPath,
		"runPath": runPath,
		"plural":  text.Plural,
		"brief":   brief,
		"did":     func(r api.RunRecord) string { return brief(didOf(&r)) },
		"comma":   thousands,
		"cells":   cellsHTML,
		"past":    pastLimit,
		"outcomes": func() []string {
			return []string{string(apply.Applied), string(apply.Failed), string(apply.Skipped), string(apply.Blocked), history.OutcomeUnknown}
		},
	}
}

// orgPath and runPath return the paths of the pages of one org and one run.
func orgPath(domain string) string { return "/orgs/" + url.PathEscape(domain) }
func runPath(id string) string     { return "/runs/" + url.PathEscape(id) }

// maxBrief limits a foreign text on a page that lists many.
const maxBrief = 400

// brief returns a foreign text that lists have room for.
func brief(s string) string {
	if len(s) <= maxBrief {
		return s
	}
	end := maxBrief
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// pastLimit returns by how many orgs a product is past its limit.
func pastLimit(p reconcile.ProductItem) int {
	if p.Limit == nil {
		return 0
	}
	return max(0, p.WantActive-*p.Limit)
}

// thousands returns a number with commas between its thousands.
func thousands(n any) (string, error) {
	s := ""
	switch n := n.(type) {
	case int:
		s = strconv.Itoa(n)
	case *int:
		s = strconv.Itoa(*n)
	default:
		return "", fmt.Errorf("%T is no number", n)
	}
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s, nil
}

// buffers are used again: a page needs some hundred kilobytes.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// render executes the template of a page, and has send send it. Control and direction
// characters are made visible in all of it, so that no template can forget to.
func (p *Pages) render(name string, v *view, send func(body []byte)) error {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if err := p.templates[name].ExecuteTemplate(b, layout, v); err != nil {
		return err
	}
	send(text.VisibleLines(b.Bytes()))
	return nil
}

// sendPage sends a page, or that it is still the same but for what passing time alone
// changes, if the request asks for that.
func sendPage(w http.ResponseWriter, r *http.Request, code int, body []byte, token string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if code == http.StatusOK {
		tag := etag(body, token)
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// passing begins what time alone changes: the texts in such elements are no part of the
// ETag.
const passing = `<span class="ago">`

// etag returns the tag of a page.
func etag(body []byte, token string) string {
	sum := sha256.New()
	for len(body) > 0 {
		var part []byte
		if part, body, _ = bytes.Cut(body, []byte(passing)); len(body) > 0 {
			_, body, _ = bytes.Cut(body, []byte("<"))
		}
		for token != "" && len(part) > 0 {
			var before []byte
			before, part, _ = bytes.Cut(part, []byte(token))
			sum.Write(before)
		}
		sum.Write(part)
	}
	return `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`
}
