// Package hostile has texts that attack who reads them, and tells whether what shows
// foreign texts let one through. It is for tests, and shares nothing with what makes
// texts safe, so that it doesn't share its mistakes.
package hostile

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

//go:embed corpus.txt
var corpus string

// Texts returns the texts of the corpus, or those that attack one of these: html, url,
// header, terminal, log, hidden, formula, markdown, sql.
func Texts(attacks ...string) []string {
	var all []string
	for line := range strings.Lines(corpus) {
		attack, quoted, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || attack == "#" || len(attacks) > 0 && !slices.Contains(attacks, attack) {
			continue
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			panic(fmt.Sprintf("corpus.txt: %s: %v", line, err))
		}
		all = append(all, text)
	}
	return all
}

// Valid returns the texts that are UTF-8, as everything is that was read from JSON or
// YAML.
func Valid(texts []string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return !utf8.ValidString(s) })
}

// steers reports whether a character isn't seen, or changes how others are seen.
func steers(r rune) bool {
	if ' ' <= r && r <= '~' { // most of what is looked at
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs, unicode.Other_Default_Ignorable_Code_Point) && r != '\n'
}

// Hidden returns what a text has that isn't seen, or changes how the rest is seen, with
// what is around it. Line ends are allowed.
func Hidden(s string) []string {
	var all []string
	for i, r := range s {
		if steers(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			all = append(all, fmt.Sprintf("%+q", s[max(0, i-30):min(len(s), i+30)]))
		}
	}
	return all
}

// JSON returns what is wrong with a JSON text: an error, or what it hides.
func JSON(body []byte) []string {
	if !json.Valid(body) {
		return []string{fmt.Sprintf("no JSON: %.100q", body)}
	}
	return Hidden(string(body))
}

// CSV returns what is wrong with a CSV text: an error, what it hides, or cells that a
// spreadsheet takes for formulas.
func CSV(body []byte) []string {
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		return []string{err.Error()}
	}
	problems := Hidden(string(body))
	for _, row := range rows {
		for _, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				problems = append(problems, fmt.Sprintf("a formula: %q", cell))
			}
		}
	}
	return problems
}

// HTML returns what is live or hidden in a page: scripts, styles, handlers, frames, URLs
// that lead elsewhere than to this origin or to one of the given ones, and what Hidden
// returns. inline allows the style elements of pages that are sent as files.
func HTML(body []byte, inline bool, origins ...string) []string {
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return []string{err.Error()}
	}
	problems := Hidden(strings.ReplaceAll(string(body), "\t", " "))
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			problems = append(problems, element(n, inline, origins)...)
		}
	}
	return problems
}

// Text returns the text of a page as it is read, white space as it is.
func Text(body []byte) string {
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return ""
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// still are the elements that do nothing by themselves.
var still = strings.Fields(`html head body title main header footer nav section article aside h1 h2 h3 h4 h5 h6 p div span
	a b i em strong small code pre kbd samp mark del ins s u q cite abbr time br hr wbr ul ol li dl dt dd table caption
	colgroup col thead tbody tfoot tr th td details summary figure figcaption form fieldset legend label input select option
	optgroup textarea button output svg g path rect circle line polyline text title desc defs use dialog progress meter search hgroup`)

// element returns what is live in an element.
func element(n *html.Node, inline bool, origins []string) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	attr := map[string]string{}
	for _, a := range n.Attr {
		attr[a.Key] = a.Val
	}
	switch {
	case n.Data == "script":
		if src, ok := attr["src"]; !ok || !strings.HasPrefix(src, "/static/") || n.FirstChild != nil {
			bad("a script: %q", attr)
		}
	case n.Data == "style":
		if !inline {
			bad("a style")
		}
	case n.Data == "meta":
		if attr["http-equiv"] != "" && !strings.EqualFold(attr["http-equiv"], "content-security-policy") {
			bad("a meta element: %q", attr)
		}
	case n.Data == "link" || n.Data == "img":
		if url := attr["href"] + attr["src"]; !strings.HasPrefix(url, "/static/") {
			bad("<%s> of %q", n.Data, url)
		}
	case !slices.Contains(still, n.Data):
		bad("<%s>", n.Data)
	}
	for name, value := range attr {
		switch name {
		case "href", "src", "action", "formaction", "poster", "background", "cite", "data", "ping", "srcset":
			if !leadsTo(value, origins) {
				bad("%s=%q leads elsewhere", name, value)
			}
		case "style", "srcdoc", "is", "autofocus":
			bad("%s=%q", name, value)
		default:
			if strings.HasPrefix(name, "on") {
				bad("a handler: %s=%q", name, value)
			}
		}
	}
	return problems
}

// leadsTo reports whether a URL leads to this origin, or to one of the given ones.
func leadsTo(value string, origins []string) bool {
	u, err := url.Parse(value)
	switch {
	case err != nil || strings.HasPrefix(value, "//") || strings.ContainsAny(value, "\\\t\r\n"):
		return false
	case u.Scheme == "" && u.Host == "":
		return true
	}
	return u.User == nil && slices.Contains(origins, u.Scheme+"://"+u.Host)
}
