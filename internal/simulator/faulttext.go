package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultFlag is a word of a fault's text form that stands alone.
type faultFlag struct {
	word string
	flag func(*Fault) *bool
}

var faultFlags = []faultFlag{
	{"after", func(f *Fault) *bool { return &f.After }},
	{"concurrency", func(f *Fault) *bool { return &f.Concurrency }},
	{"cut", func(f *Fault) *bool { return &f.Cut }},
	{"hang", func(f *Fault) *bool { return &f.Hang }},
	{"cut-body", func(f *Fault) *bool { return &f.CutBody }},
	{"garbage", func(f *Fault) *bool { return &f.Garbage }},
	{"empty", func(f *Fault) *bool { return &f.Empty }},
	{"drop-link", func(f *Fault) *bool { return &f.DropLink }},
	{"loop", func(f *Fault) *bool { return &f.Loop }},
	{"endless", func(f *Fault) *bool { return &f.Endless }},
	{"expire-tokens", func(f *Fault) *bool { return &f.ExpireTokens }},
}

// faultKey is a word of a fault's text form that has a value: key=value.
type faultKey struct {
	word string
	set  func(f *Fault, value string) error
	get  func(f *Fault) string // empty when it is not set
}

var faultKeys = []faultKey{
	textKey("api", func(f *Fault) *string { return &f.API }, func(v string) error {
		if v != "aerial" && v != "org" {
			return errors.New("want aerial or org")
		}
		return nil
	}),
	countKey("nth", func(f *Fault) *int { return &f.Nth }),
	countKey("every", func(f *Fault) *int { return &f.Every }),
	countKey("times", func(f *Fault) *int { return &f.Times }),
	{
		"probability",
		func(f *Fault, v string) (err error) {
			f.Probability, err = strconv.ParseFloat(v, 64)
			if err != nil || !(f.Probability > 0 && f.Probability <= 1) {
				return errors.New("want a number above 0 and up to 1")
			}
			return nil
		},
		func(f *Fault) string {
			if f.Probability == 0 {
				return ""
			}
			return strconv.FormatFloat(f.Probability, 'g', -1, 64)
		},
	},
	{
		"status",
		func(f *Fault, v string) (err error) {
			f.Status, err = strconv.Atoi(v)
			if err != nil || f.Status < 400 || f.Status > 599 {
				return errors.New("want a number from 400 to 599")
			}
			return nil
		},
		func(f *Fault) string { return number(f.Status) },
	},
	textKey("code", func(f *Fault) *string { return &f.Code }, nil),
	timeKey("retry-after", func(f *Fault) *time.Duration { return &f.RetryAfter }),
	timeKey("reset", func(f *Fault) *time.Duration { return &f.Reset }),
	timeKey("delay", func(f *Fault) *time.Duration { return &f.Delay }),
	textKey("redirect", func(f *Fault) *string { return &f.Redirect }, checkFaultURL),
	textKey("next", func(f *Fault) *string { return &f.Next }, checkFaultURL),
	textKey("content-type", func(f *Fault) *string { return &f.ContentType }, nil),
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func textKey(word string, field func(*Fault) *string, check func(string) error) faultKey {
	return faultKey{
		word,
		func(f *Fault, v string) error {
			*field(f) = v
			if check == nil {
				return nil
			}
			return check(v)
		},
		func(f *Fault) string { return *field(f) },
	}
}

func countKey(word string, field func(*Fault) *int) faultKey {
	return faultKey{
		word,
		func(f *Fault, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return errors.New("want a number from 1 on")
			}
			*field(f) = n
			return nil
		},
		func(f *Fault) string { return number(*field(f)) },
	}
}

func timeKey(word string, field func(*Fault) *time.Duration) faultKey {
	return faultKey{
		word,
		func(f *Fault, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				return errors.New("want a duration such as 500ms or 2s")
			}
			*field(f) = d
			return nil
		},
		func(f *Fault) string {
			if *field(f) == 0 {
				return ""
			}
			return field(f).String()
		},
	}
}

func checkFaultURL(v string) error {
	if u, err := url.Parse(v); err != nil || u.Host == "" {
		return errors.New("want an absolute URL")
	}
	return nil
}

var faultMethods = []string{
	"*", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// ParseFault reads the text form of a fault:
//
//	METHOD PATH WORD...
//
// such as "PUT /api/v1/orgs/*/products status=500 after times=2". METHOD may
// be *; the words are Fault's fields in lower case with hyphens. Whatever
// can't be meant is an error that says what would be right.
func ParseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return Fault{}, fmt.Errorf("fault %q: want METHOD PATH and what happens, such as \"PUT /api/v1/orgs/*/products status=500\"", text)
	}
	f := Fault{Method: words[0], Path: words[1]}
	if !slices.Contains(faultMethods, f.Method) {
		return Fault{}, fmt.Errorf("fault %q: method %q: want one of %s", text, f.Method, strings.Join(faultMethods, ", "))
	}
	if f.Method == "*" {
		f.Method = ""
	}
	if err := checkGlob(f.Path); err != nil {
		return Fault{}, fmt.Errorf("fault %q: path %q: %w", text, f.Path, err)
	}
	if f.Path == "/**" {
		f.Path = ""
	}
	seen := map[string]bool{}
	for _, word := range words[2:] {
		key, _, _ := strings.Cut(word, "=")
		if seen[key] {
			return Fault{}, fmt.Errorf("fault %q: %q is there twice", text, key)
		}
		seen[key] = true
		if err := f.setWord(word); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	if err := f.check(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func checkGlob(pattern string) error {
	if !strings.HasPrefix(pattern, "/") {
		return errors.New("want a path that starts with /")
	}
	parts := segments(pattern)
	for i, p := range parts {
		if p == "**" && i < len(parts)-1 {
			return errors.New("** can only stand at the end")
		}
		if _, err := path.Match(p, ""); err != nil {
			return errors.New("malformed pattern")
		}
	}
	return nil
}

func (f *Fault) setWord(word string) error {
	key, value, hasValue := strings.Cut(word, "=")
	for _, flag := range faultFlags {
		if flag.word == key {
			if hasValue {
				return fmt.Errorf("%q takes no value", key)
			}
			*flag.flag(f) = true
			return nil
		}
	}
	for _, k := range faultKeys {
		if k.word == key {
			if value == "" {
				return fmt.Errorf("%q needs a value: %s=…", key, key)
			}
			if err := k.set(f, value); err != nil {
				return fmt.Errorf("%s %q: %w", key, value, err)
			}
			return nil
		}
	}
	return fmt.Errorf("unknown word %q: want one of %s", key, strings.Join(faultWords(), ", "))
}

func faultWords() []string {
	var words []string
	for _, flag := range faultFlags {
		words = append(words, flag.word)
	}
	for _, k := range faultKeys {
		words = append(words, k.word+"=")
	}
	slices.Sort(words)
	return words
}

// check refuses combinations that mean nothing.
func (f *Fault) check() error {
	if f.Status == 0 && (f.Code != "" || f.RetryAfter > 0 || f.Reset > 0 || f.Concurrency) {
		return errors.New("code, retry-after, reset and concurrency need a status")
	}
	if f.After && !f.prevents() {
		return errors.New("after needs status, cut, hang or redirect")
	}
	ends := 0
	for _, set := range []bool{f.Status != 0, f.Cut, f.Hang, f.Redirect != ""} {
		if set {
			ends++
		}
	}
	if ends > 1 {
		return errors.New("only one of status, cut, hang and redirect can happen")
	}
	if ends == 0 && !f.CutBody && !f.Garbage && !f.Empty && f.ContentType == "" && f.Next == "" &&
		!f.DropLink && !f.Loop && !f.Endless && f.Delay == 0 && !f.ExpireTokens {
		return errors.New("nothing would happen: add status=, cut, delay= or another effect")
	}
	return nil
}

// String gives the text form, which ParseFault reads; Do has none.
func (f *Fault) String() string {
	words := []string{f.Method, f.Path}
	if f.Method == "" {
		words[0] = "*"
	}
	if f.Path == "" {
		words[1] = "/**"
	}
	for _, flag := range faultFlags {
		if *flag.flag(f) {
			words = append(words, flag.word)
		}
	}
	for _, k := range faultKeys {
		if value := k.get(f); value != "" {
			words = append(words, k.word+"="+value)
		}
	}
	return strings.Join(words, " ")
}
