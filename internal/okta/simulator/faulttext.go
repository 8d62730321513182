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
	of   func(*Fault) *bool
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

// faultKey is a word of a fault's text form that has a value: word=value.
type faultKey struct {
	word string
	// set takes a value that isn't empty; whether it makes sense is Validate's
	// business.
	set func(f *Fault, value string) error
	// get returns the value, empty for a field that is not set.
	get func(f *Fault) string
}

var faultKeys = []faultKey{
	stringKey("api", func(f *Fault) *string { return &f.API }),
	intKey("nth", func(f *Fault) *int { return &f.Nth }),
	intKey("every", func(f *Fault) *int { return &f.Every }),
	intKey("times", func(f *Fault) *int { return &f.Times }),
	{"probability", setProbability, getProbability},
	intKey("status", func(f *Fault) *int { return &f.Status }),
	stringKey("code", func(f *Fault) *string { return &f.Code }),
	timeKey("retry-after", func(f *Fault) *time.Duration { return &f.RetryAfter }),
	timeKey("reset", func(f *Fault) *time.Duration { return &f.Reset }),
	timeKey("delay", func(f *Fault) *time.Duration { return &f.Delay }),
	stringKey("redirect", func(f *Fault) *string { return &f.Redirect }),
	stringKey("next", func(f *Fault) *string { return &f.Next }),
	stringKey("content-type", func(f *Fault) *string { return &f.ContentType }),
}

func stringKey(word string, of func(*Fault) *string) faultKey {
	return faultKey{
		word,
		func(f *Fault, value string) error { *of(f) = value; return nil },
		func(f *Fault) string { return *of(f) },
	}
}

func intKey(word string, of func(*Fault) *int) faultKey {
	set := func(f *Fault, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return errors.New("want a number from 1 on")
		}
		*of(f) = n
		return nil
	}
	get := func(f *Fault) string {
		if *of(f) == 0 {
			return ""
		}
		return strconv.Itoa(*of(f))
	}
	return faultKey{word, set, get}
}

func timeKey(word string, of func(*Fault) *time.Duration) faultKey {
	set := func(f *Fault, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 500ms or 2s")
		}
		*of(f) = d
		return nil
	}
	get := func(f *Fault) string {
		if *of(f) == 0 {
			return ""
		}
		return of(f).String()
	}
	return faultKey{word, set, get}
}

func setProbability(f *Fault, value string) error {
	p, err := strconv.ParseFloat(value, 64)
	if err != nil || !(p > 0 && p <= 1) {
		return errors.New("want a number above 0 and up to 1")
	}
	f.Probability = p
	return nil
}

func getProbability(f *Fault) string {
	if f.Probability == 0 {
		return ""
	}
	return strconv.FormatFloat(f.Probability, 'g', -1, 64)
}

var faultMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// ParseFault reads the text form of a fault:
//
//	METHOD PATH WORD...
//
// such as "PUT /api/v1/orgs/*/products status=500 after times=2". METHOD may
// be *, PATH may be /** for any; the words are Fault's fields in lower case
// with hyphens. Whatever can't be meant is an error that says what would be
// right.
func ParseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return Fault{}, fmt.Errorf("fault %q: want METHOD PATH and what happens, such as \"PUT /api/v1/orgs/*/products status=500\"", text)
	}
	f := Fault{Method: words[0], Path: words[1]}
	if f.Method == "*" {
		f.Method = ""
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
	if err := f.Validate(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

// setWord takes one word of the text form.
func (f *Fault) setWord(word string) error {
	key, value, hasValue := strings.Cut(word, "=")
	for _, flag := range faultFlags {
		if flag.word == key && hasValue {
			return fmt.Errorf("%q takes no value", key)
		}
		if flag.word == key {
			*flag.of(f) = true
			return nil
		}
	}
	for _, k := range faultKeys {
		if k.word == key && value == "" {
			return fmt.Errorf("%q needs a value: %s=…", key, key)
		}
		if k.word == key {
			if err := k.set(f, value); err != nil {
				return fmt.Errorf("%s %q: %w", key, value, err)
			}
			return nil
		}
	}
	return fmt.Errorf("unknown word %q: want one of %s", key, strings.Join(faultWords(), ", "))
}

// faultWords lists the words that the text form may use.
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

// Validate says what about the fault can't be meant; nil when AddFault will
// take it.
func (f *Fault) Validate() error {
	if f.Method != "" && !slices.Contains(faultMethods, f.Method) {
		return fmt.Errorf("method %q: want * or one of %s", f.Method, strings.Join(faultMethods, ", "))
	}
	if err := checkGlob(f.Path); err != nil {
		return fmt.Errorf("path %q: %w", f.Path, err)
	}
	if f.API != "" && f.API != "aerial" && f.API != "org" {
		return fmt.Errorf("api %q: want aerial or org", f.API)
	}
	if min(f.Nth, f.Every, f.Times) < 0 || f.Probability < 0 || f.Probability > 1 || min(f.RetryAfter, f.Reset, f.Delay) < 0 {
		return errors.New("a number is out of range")
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("status %d: want a number from 400 to 599", f.Status)
	}
	for _, target := range []string{f.Redirect, f.Next} {
		if u, err := url.Parse(target); target != "" && (err != nil || u.Host == "") {
			return fmt.Errorf("%q: want an absolute URL", target)
		}
	}
	return f.checkEffects()
}

// checkEffects refuses effects that exclude each other, and none at all.
func (f *Fault) checkEffects() error {
	ends := 0
	for _, set := range []bool{f.Status != 0, f.Cut, f.Hang, f.Redirect != ""} {
		if set {
			ends++
		}
	}
	spoils := f.CutBody || f.Garbage || f.Empty || f.ContentType != "" || f.Next != "" || f.DropLink || f.Loop || f.Endless
	switch {
	case ends > 1:
		return errors.New("only one of status, cut, hang and redirect can happen")
	case f.Status == 0 && (f.Code != "" || f.RetryAfter > 0 || f.Reset > 0 || f.Concurrency):
		return errors.New("code, retry-after, reset and concurrency need a status")
	case f.After && ends == 0:
		return errors.New("after needs status, cut, hang or redirect")
	case spoils && (f.Cut || f.Hang):
		return errors.New("there is no answer to change after cut or hang")
	case ends == 0 && !spoils && f.Delay == 0 && !f.ExpireTokens && f.Do == nil:
		return errors.New("nothing would happen: add status=, cut, delay= or another effect")
	}
	return nil
}

func checkGlob(pattern string) error {
	if pattern == "" {
		return nil
	}
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

// String returns the text form, which ParseFault reads; Do has none.
func (f *Fault) String() string {
	words := []string{f.Method, f.Path}
	if f.Method == "" {
		words[0] = "*"
	}
	if f.Path == "" {
		words[1] = "/**"
	}
	for _, flag := range faultFlags {
		if *flag.of(f) {
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
