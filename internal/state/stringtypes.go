package state

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The string types of a manifest. Check and SchemaKeywords of each express the
// same rule; a test compares the two.

// domain is an org's domain, such as acme.okta.com.
type domain string

const (
	maxDomain     = 253
	domainPattern = `^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`
)

func (d domain) Check() error {
	s := string(d)
	if isDomain(s) {
		return nil
	}
	if hint := domainHint(s); hint != "" {
		return fmt.Errorf("must be a bare domain, not %s: %s", quote(s), hint)
	}
	return fmt.Errorf("must be a domain such as acme.okta.com, not %s", quote(s))
}

func (domain) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": domainPattern, "maxLength": maxDomain}
}

// domainHint returns what to do about a common mistake, or "".
func domainHint(s string) string {
	_, rest, scheme := strings.Cut(s, "://")
	if !scheme {
		rest = s
	}
	bare, _, _ := strings.Cut(rest, "/")
	bare, _, _ = strings.Cut(bare, ":")
	bare = strings.TrimSuffix(strings.TrimSpace(bare), ".")
	switch {
	case bare != s && isDomain(bare):
		return fmt.Sprintf("write %q", strings.ToLower(bare))
	case strings.Contains(s, "*"):
		return "wildcards are not supported, declare each org"
	case strings.Contains(s, "_"):
		return "a domain can't contain underscores"
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }):
		return "write it in its ASCII form (xn--…)"
	case s != "" && !strings.Contains(s, ".") && isDomain(s+".okta.com"):
		return fmt.Sprintf("write it in full, such as %q", s+".okta.com")
	}
	return ""
}

// isDomain reports whether s is a host name of at least two labels. It matches
// what domainPattern does in a fraction of the time.
func isDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	labels := 0
	for rest, more := s, true; more; labels++ {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !isLabel(label) || !more && !isLetter(label[0]) {
			return false
		}
	}
	return labels >= 2
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return all(s, "-")
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// all reports whether s consists of ASCII letters, digits and the others.
func all(s, others string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// resourceID is an id assigned by Okta.
type resourceID string

func (id resourceID) Check() error {
	if s := string(id); s == "" || len(s) > 64 || !all(s, "_-") {
		return fmt.Errorf("must be an Okta id (1 to 64 letters, digits, _ or -), not %s", quote(s))
	}
	return nil
}

func (resourceID) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": `^[A-Za-z0-9_-]{1,64}$`}
}

// productID is the id of a product, such as P000052.
type productID string

func (id productID) Check() error {
	if !isProductID(string(id)) {
		return fmt.Errorf("must be a product id such as P000052, not %s", quote(string(id)))
	}
	return nil
}

func (productID) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": `^P[0-9]{3,}$`, "maxLength": maxName}
}

func isProductID(s string) bool {
	if len(s) < 4 || len(s) > maxName || s[0] != 'P' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// Names of products and sets.
const (
	maxName     = 100
	namePattern = `^[A-Za-z0-9][A-Za-z0-9._-]*$`
)

// ref is the name or id of a product, or the name of a product set.
type ref string

func (r ref) Check() error { return checkName(string(r)) }

func (ref) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": namePattern, "maxLength": maxName}
}

func checkName(s string) error {
	if s == "" || len(s) > maxName || !all(s[:1], "") || !all(s, "._-") {
		return fmt.Errorf("must be a name of at most %d letters, digits, dots, _ or -, not %s", maxName, quote(s))
	}
	return nil
}

func (members) SchemaKeywords() map[string]any     { return refList() }
func (products) SchemaKeywords() map[string]any    { return refList() }
func (productSets) SchemaKeywords() map[string]any { return refList() }
func (baselines) SchemaKeywords() map[string]any   { return refList() }

func refList() map[string]any {
	item := ref("").SchemaKeywords()
	item["type"] = "string"
	return map[string]any{"items": item, "uniqueItems": true}
}

// cell is the part of Okta's infrastructure that an org lives in.
type cell string

// cells returns the cells that Aerial supports, in the order of Okta's guide to
// the Aerial API. According to it, ok5, ok10, ok15, ok17, compliance and federal
// cells are not supported.
func cells() []string {
	return []string{
		"ok1", "ok2", "ok3", "ok4", "ok6", "ok7", "ok8", "ok9", "ok11", "ok12", "ok14", "ok16",
		"eu1", "op1", "op2", "op3",
	}
}

func (c cell) Check() error {
	if !slices.Contains(cells(), strings.ToLower(string(c))) {
		return fmt.Errorf("must be a cell that Aerial supports (%s), not %s", strings.Join(cells(), ", "), quote(string(c)))
	}
	return nil
}

// SchemaKeywords lists the cells for completion and then allows any case.
func (cell) SchemaKeywords() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": cells()},
		map[string]any{"pattern": `^([Oo][Kk]([1-46-9]|1[1246])|[Ee][Uu]1|[Oo][Pp][123])$`},
	}}
}

// line is one line of text; orgName is a shorter one.
type (
	line    string
	orgName string
)

func (s line) Check() error    { return checkLine(string(s), 255) }
func (s orgName) Check() error { return checkLine(string(s), 100) }

func (line) SchemaKeywords() map[string]any    { return lineKeywords(255) }
func (orgName) SchemaKeywords() map[string]any { return lineKeywords(100) }

// control are the characters that invisible reports, for patterns: themselves, because \u
// is unknown to Go's regexp.
const control = `\x00-\x1f\x7f-\x9f` + "\u200e\u200f\u2028-\u202e\u2066-\u2069"

func lineKeywords(most int) map[string]any {
	return map[string]any{
		"pattern":   `^[^\s` + control + `]([^` + control + `]*[^\s` + control + `])?$`,
		"maxLength": most,
	}
}

// checkLine rejects control characters, which could rewrite the plan on a
// reviewer's terminal, and outer spaces: Okta drops them, which would be a
// permanent difference.
func checkLine(s string, most int) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case utf8.RuneCountInString(s) > most:
		return fmt.Errorf("must have at most %d characters, not %d", most, utf8.RuneCountInString(s))
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("must not begin or end with a space: %s", quote(s))
	case strings.ContainsFunc(s, invisible):
		return fmt.Errorf("must not contain control characters: %s", quote(s))
	}
	return nil
}

// invisible reports whether r is a control character or changes the direction of
// text.
func invisible(r rune) bool {
	switch {
	case unicode.IsControl(r), r == 0x200e, r == 0x200f:
		return true
	default:
		return r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
}

// email is an address without a name.
type email string

func (e email) Check() error {
	s := string(e)
	local, host, _ := strings.Cut(s, "@")
	if local == "" || len(s) > 254 || !all(local, ".!#$%&'*+/=?^_`{|}~-") || !isDomain(host) {
		return fmt.Errorf("must be an email address such as okta@acme.example, not %s", quote(s))
	}
	return nil
}

func (email) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@" + domainPattern[1:], "maxLength": 254}
}

// website is the URL of a web page.
type website string

const maxWebsite = 2000

func (w website) Check() error {
	s := string(w)
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		len(s) > maxWebsite || strings.ContainsFunc(s, unicode.IsSpace) || strings.ContainsFunc(s, invisible) {
		return fmt.Errorf("must be a URL such as https://acme.example, not %s", quote(s))
	}
	return nil
}

func (website) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]`, "maxLength": maxWebsite}
}

// Names and values of labels follow the rules of Kubernetes, so that they can stand in
// a selector; a name's prefix has no rule of its own.
const (
	maxLabel          = 63
	maxLabelName      = 253 + 1 + maxLabel
	labelValuePattern = `^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$`
	labelNamePattern  = `^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`
)

// labelValue is the value of a label.
type labelValue string

func (v labelValue) Check() error {
	if s := string(v); len(s) > maxLabel || s != "" && !isLabelText(s, "._-") {
		return fmt.Errorf("must be a label's value (at most %d letters, digits, dots, _ or -, the first and the last a letter or digit), not %s", maxLabel, quote(s))
	}
	return nil
}

func (labelValue) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": labelValuePattern, "maxLength": maxLabel}
}

func checkLabelName(s string) error {
	if s == "" || len(s) > maxLabelName || !isLabelText(s, "._-/") {
		return fmt.Errorf("must have at most %d letters, digits, dots, _, - or /, the first and the last a letter or digit, not %s", maxLabelName, quote(s))
	}
	return nil
}

// isLabelText reports whether s consists of ASCII letters, digits and the others, and
// has none of these at an end.
func isLabelText(s, others string) bool {
	return all(s[:1], "") && all(s[len(s)-1:], "") && all(s, others)
}

// varValue is the value of a variable.
type varValue string

func (v varValue) Check() error {
	s := string(v)
	if n := utf8.RuneCountInString(s); n > maxVariable {
		return fmt.Errorf("must have at most %d characters, not %d", maxVariable, n)
	}
	if strings.ContainsFunc(s, invisible) {
		return fmt.Errorf("must not contain control characters: %s", quote(s))
	}
	return nil
}

func (varValue) SchemaKeywords() map[string]any {
	return map[string]any{"pattern": "^[^" + control + "]*$", "maxLength": maxVariable}
}

// Names of variables.
const (
	maxVarName     = 63
	varNamePattern = `^[A-Za-z][A-Za-z0-9_-]*$`
)

func checkVarName(s string) error {
	if s == "" || len(s) > maxVarName || !isLetter(s[0]) || !all(s, "_-") {
		return fmt.Errorf("must have at most %d letters, digits, _ or -, the first a letter, not %s", maxVarName, quote(s))
	}
	return nil
}

func quote(s string) string { return fmt.Sprintf("%q", short(s)) }

// short returns s, or its begin if it is long.
func short(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
