package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultField is a field of a Fault that its text form can contain: a word alone
// for a bool, word=value for others.
type faultField struct {
	word  string
	value reflect.Value
}

var capital = regexp.MustCompile(`([a-z])([A-Z])`)

// fields returns the fields that the text form can contain, with the words
// derived from their names: retry-after is RetryAfter.
func (f *Fault) fields() []faultField {
	var all []faultField
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "Method", "Path", "Do":
		default:
			word := strings.ToLower(capital.ReplaceAllString(name, "$1-$2"))
			all = append(all, faultField{word, v.Field(i)})
		}
	}
	return all
}

// set sets the field to the value that text describes. Validate checks more.
func (f faultField) set(text string) error {
	switch p := f.value.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return errors.New("want a number from 1 on")
		}
		*p = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0 && n <= 1) {
			return errors.New("want a number above 0 and up to 1")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 500ms or 2s")
		}
		*p = d
	}
	return nil
}

var faultMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// ParseFault returns the fault that text describes:
//
//	METHOD PATH WORD...
//
// such as "PUT /api/v1/orgs/*/products status=500 after times=2". METHOD may be
// *, PATH may be /** for any; the words are Fault's fields in lower case with
// hyphens. The error is one line, with what to write instead.
func ParseFault(text string) (Fault, error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return Fault{}, fmt.Errorf("%q: want METHOD PATH and what happens, such as \"PUT /api/v1/orgs/*/products status=500\"", text)
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
			return Fault{}, fmt.Errorf("%q: %q is there twice", text, key)
		}
		seen[key] = true
		if err := f.setWord(word); err != nil {
			return Fault{}, fmt.Errorf("%q: %w", text, err)
		}
	}
	if err := f.Validate(); err != nil {
		return Fault{}, fmt.Errorf("%q: %w", text, err)
	}
	return f, nil
}

func (f *Fault) setWord(text string) error {
	word, value, hasValue := strings.Cut(text, "=")
	var known []string
	for _, field := range f.fields() {
		flag := field.value.Kind() == reflect.Bool
		switch {
		case field.word != word && flag:
			known = append(known, field.word)
		case field.word != word:
			known = append(known, field.word+"=")
		case flag && hasValue:
			return fmt.Errorf("%q takes no value", word)
		case flag:
			field.value.SetBool(true)
			return nil
		case value == "":
			return fmt.Errorf("%q needs a value: %s=…", word, word)
		default:
			if err := field.set(value); err != nil {
				return fmt.Errorf("%s %q: %w", word, value, err)
			}
			return nil
		}
	}
	slices.Sort(known)
	return fmt.Errorf("unknown word %q: want one of %s", word, strings.Join(known, ", "))
}

// Validate returns what is wrong with the fault, such as effects that exclude
// each other; nil if AddFault accepts it.
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

// endings returns how many of the effects the fault has that end a call without
// its own answer.
func (f *Fault) endings() int {
	n := 0
	for _, set := range []bool{f.Status != 0, f.Cut, f.Hang, f.Edge, f.Redirect != ""} {
		if set {
			n++
		}
	}
	return n
}

// checkEffects rejects effects that exclude each other, and faults without any.
func (f *Fault) checkEffects() error {
	ends := f.endings()
	alters := f.CutBody || f.Garbage || f.Empty || f.ContentType != "" || f.Next != "" || f.DropLink || f.Loop || f.Endless || f.WrongOrg
	switch {
	case ends > 1:
		return errors.New("only one of status, cut, hang, edge and redirect can happen")
	case f.Status == 0 && (f.Code != "" || f.RetryAfter > 0 || f.Reset > 0 || f.Concurrency):
		return errors.New("code, retry-after, reset and concurrency need a status")
	case f.After && ends == 0:
		return errors.New("after needs status, cut, hang, edge or redirect")
	case alters && (f.Cut || f.Hang):
		return errors.New("there is no answer to change after cut or hang")
	case ends == 0 && !alters && f.Delay == 0 && !f.ExpireTokens && f.Do == nil:
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

// String returns the text form, which ParseFault reads; Do is not part of it.
func (f *Fault) String() string {
	words := []string{cmp.Or(f.Method, "*"), cmp.Or(f.Path, "/**")}
	for _, field := range f.fields() {
		switch {
		case field.value.IsZero():
		case field.value.Kind() == reflect.Bool:
			words = append(words, field.word)
		default:
			words = append(words, fmt.Sprintf("%s=%v", field.word, field.value))
		}
	}
	return strings.Join(words, " ")
}
