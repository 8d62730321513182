package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// doc is a JSON object. Those that are stored are never changed, only replaced.
type doc = map[string]any

// shape is what a value in a body has to look like.
type shape struct {
	is       form
	keys     map[string]*shape // of an object
	need     []string          // keys that must be there
	item     *shape            // of a list
	enum     []string          // of a text
	min, max int               // characters, items, or the number itself; max 0 is no limit
	null     bool
	pattern  func(string) bool // of a text
	says     string            // what the pattern is
}

type form uint8

const (
	anything form = iota
	isText
	isNumber
	isFlag
	isList
	isObject
)

func text(lo, hi int) *shape           { return &shape{is: isText, min: lo, max: hi} }
func oneOf(values ...string) *shape    { return &shape{is: isText, enum: values} }
func number(lo, hi int) *shape         { return &shape{is: isNumber, min: lo, max: hi} }
func flag() *shape                     { return &shape{is: isFlag} }
func list(s *shape, lo, hi int) *shape { return &shape{is: isList, item: s, min: lo, max: hi} }
func ids(lo int) *shape                { return list(text(1, 0), lo, 0) }

// fields returns the shape of an object; need are the keys that it must have,
// separated by spaces.
func fields(need string, keys map[string]*shape) *shape {
	return &shape{is: isObject, need: strings.Fields(need), keys: keys}
}

func (s *shape) orNull() *shape {
	c := *s
	c.null = true
	return &c
}

// like returns a text that must match, besides its length.
func (s *shape) like(match func(string) bool, says string) *shape {
	c := *s
	c.pattern, c.says = match, says
	return &c
}

// with returns an object's shape with more keys.
func (s *shape) with(need string, keys map[string]*shape) *shape {
	all := maps.Clone(s.keys)
	maps.Copy(all, keys)
	return &shape{is: isObject, need: append(slices.Clone(s.need), strings.Fields(need)...), keys: all}
}

// problems are the causes of a validation error.
type problems []string

// add adds a cause, in Okta's form: the field, a colon, and what is wrong.
func (p *problems) add(at, format string, args ...any) {
	*p = append(*p, at+": "+fmt.Sprintf(format, args...))
}

// field returns the field of the first cause, which Okta's summary names.
func (p problems) field() string {
	at, _, _ := strings.Cut(p[0], ":")
	return at
}

// check compares a value with a shape. An unknown key is a problem unless the
// stored object has it: what a person or Okta added may be sent back.
func (p *problems) check(at string, v, stored any, s *shape) {
	if v == nil && s.is != anything {
		if !s.null {
			p.add(at, "The field cannot be null")
		}
		return
	}
	switch v := v.(type) {
	case string:
		p.checkText(at, v, s)
	case json.Number:
		p.checkNumber(at, v, s)
	case bool:
		p.expect(at, s, isFlag)
	case []any:
		p.checkList(at, v, stored, s)
	case doc:
		p.checkObject(at, v, stored, s)
	}
}

// expect reports whether a value of this form is one of the shape.
func (p *problems) expect(at string, s *shape, is form) bool {
	if s.is == anything || s.is == is {
		return s.is == is
	}
	p.add(at, "The field must be %s", [...]string{"anything", "a string", "a number", "a boolean", "an array", "an object"}[s.is])
	return false
}

func (p *problems) checkText(at, v string, s *shape) {
	if !p.expect(at, s, isText) {
		return
	}
	n := utf8.RuneCountInString(v)
	switch {
	case s.enum != nil && !slices.Contains(s.enum, v):
		p.add(at, "The field must be one of %s", strings.Join(s.enum, ", "))
	case s.enum == nil && s.min > 0 && strings.TrimSpace(v) == "":
		p.add(at, "The field cannot be left blank")
	case n < s.min, s.max > 0 && n > s.max:
		p.add(at, "The field must have %d to %d characters, got %d", s.min, s.max, n)
	case s.pattern != nil && !s.pattern(v):
		p.add(at, "The field must be %s", s.says)
	}
}

func (p *problems) checkNumber(at string, v json.Number, s *shape) {
	if !p.expect(at, s, isNumber) {
		return
	}
	n, err := v.Float64()
	switch {
	case err != nil || n != math.Trunc(n):
		p.add(at, "The field must be a whole number")
	case n < float64(s.min), s.max > 0 && n > float64(s.max):
		p.add(at, "The field must be from %d to %d, got %s", s.min, s.max, v)
	}
}

func (p *problems) checkList(at string, v []any, stored any, s *shape) {
	if !p.expect(at, s, isList) {
		return
	}
	if len(v) < s.min || s.max > 0 && len(v) > s.max {
		p.add(at, "The field must have %d to %d items, got %d", s.min, s.max, len(v))
		return
	}
	old, _ := stored.([]any)
	for i, item := range v {
		var was any
		if i < len(old) {
			was = old[i]
		}
		p.check(fmt.Sprintf("%s[%d]", at, i), item, was, s.item)
	}
}

func (p *problems) checkObject(at string, v doc, stored any, s *shape) {
	if !p.expect(at, s, isObject) {
		return
	}
	if at != "" {
		at += "."
	}
	for _, key := range s.need {
		if _, has := v[key]; !has {
			p.add(at+key, "The field cannot be left blank")
		}
	}
	old, _ := stored.(doc)
	for _, key := range slices.Sorted(maps.Keys(v)) {
		known := s.keys[key]
		if known == nil {
			if _, has := old[key]; !has {
				p.add(at+key, "The field is unknown")
			}
			continue
		}
		p.check(at+key, v[key], old[key], known)
	}
}

// decode returns the JSON object that a body is, or nil.
func decode(body []byte) doc {
	var v any
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	object, _ := v.(doc)
	return object
}

// dig returns a value within nested objects, or nil.
func dig(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(doc)
		v = m[key]
	}
	return v
}

func digText(v any, keys ...string) string {
	t, _ := dig(v, keys...).(string)
	return t
}

// digTexts returns the strings of a list within nested objects.
func digTexts(v any, keys ...string) []string {
	items, _ := dig(v, keys...).([]any)
	var all []string
	for _, item := range items {
		if t, ok := item.(string); ok {
			all = append(all, t)
		}
	}
	return all
}

// filled returns v with what it lacks of the defaults, at every level.
func filled(v, defaults doc) doc {
	out := maps.Clone(v)
	if out == nil {
		out = doc{}
	}
	for key, value := range defaults {
		is, has := out[key]
		inner, nested := value.(doc)
		switch mine, ok := is.(doc); {
		case !has:
			out[key] = value
		case nested && ok:
			out[key] = filled(mine, inner)
		}
	}
	return out
}

// same reports whether two JSON values are equal, numbers by their value.
func same(a, b any) bool {
	switch a := a.(type) {
	case doc:
		b, ok := b.(doc)
		return ok && maps.EqualFunc(a, b, same)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		b, ok := b.(json.Number)
		x, _ := a.Float64()
		y, _ := b.Float64()
		return ok && x == y
	}
	return a == b
}

// literalDoc returns the JSON object that a text of this package is.
func literalDoc(text string) doc {
	d := decode([]byte(text))
	if d == nil {
		panic("simulator: not a JSON object: " + text)
	}
	return d
}
