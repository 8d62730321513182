package org

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"reconciler/internal/okta/rest"
)

// decodeList returns the objects of an answer as rest.Decode does, without the fields
// that skip selects; nil selects none. Most of an answer are links and dates, and to have
// values made of them takes longer than anything else that is done with the answer.
//
// What is no list of objects is left to rest.Decode, for its errors.
func decodeList(a *rest.Answer, skip func(field string) bool) ([]raw, error) {
	if a.Cut == nil && json.Valid(a.Body) {
		d := decoder{text: a.Body, skip: skip, names: map[string]string{}}
		if list, ok := d.list(); ok {
			return list, nil
		}
	}
	list, err := rest.Decode[[]raw](a)
	for _, o := range list {
		for name := range o {
			if skip != nil && skip(name) {
				delete(o, name)
			}
		}
	}
	return list, err
}

// decoder makes values of JSON that was found to be valid, so that it has only to tell
// values apart and to find where they end. It returns what encoding/json does, and
// reports false where that would return an error.
type decoder struct {
	text  []byte // the rest
	skip  func(field string) bool
	names map[string]string // of fields, so that those of all objects are the same strings
}

// list returns a list of objects.
func (d *decoder) list() ([]raw, bool) {
	if d.next() != '[' {
		return nil, false
	}
	list := []raw{}
	for d.another(']') {
		if d.next() != '{' {
			return nil, false
		}
		o, ok := d.object(d.skip)
		if !ok {
			return nil, false
		}
		list = append(list, o)
	}
	return list, true
}

// next returns the first byte of the next token.
func (d *decoder) next() byte {
	i := 0
	for d.text[i] == ' ' || d.text[i] == '\n' || d.text[i] == '\t' || d.text[i] == '\r' {
		i++
	}
	d.text = d.text[i:]
	return d.text[0]
}

// another takes the bracket or the comma at the beginning of the rest, which comes before
// each element of a list or a mapping, and reports whether an element follows. If not, it
// takes the closing bracket as well.
func (d *decoder) another(closing byte) bool {
	first := d.next()
	if first != closing {
		d.text = d.text[1:]
	}
	if first == ',' || d.next() != closing {
		return true
	}
	d.text = d.text[1:]
	return false
}

// object returns a mapping without the fields that skip selects.
func (d *decoder) object(skip func(field string) bool) (raw, bool) {
	o := raw{}
	for d.another('}') {
		d.next()
		name, ok := d.name()
		if !ok {
			return nil, false
		}
		d.next()
		d.text = d.text[1:] // the colon
		if skip != nil && skip(name) {
			d.pass()
			continue
		}
		v, ok := d.value()
		if !ok {
			return nil, false
		}
		o[name] = v
	}
	return o, true
}

// value returns any value.
func (d *decoder) value() (any, bool) {
	switch d.next() {
	case '{':
		return d.object(nil)
	case '[':
		list := []any{}
		for d.another(']') {
			v, ok := d.value()
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case '"':
		return d.string()
	}
	switch literal := d.literal(); literal[0] {
	case 'n':
		return nil, true
	case 't', 'f':
		return literal[0] == 't', true
	default:
		n, err := strconv.ParseFloat(string(literal), 64)
		return n, err == nil
	}
}

// name returns the name of a field.
func (d *decoder) name() (string, bool) {
	quoted, plain := d.quoted()
	if !plain {
		return unquote(quoted)
	}
	unquoted := quoted[1 : len(quoted)-1]
	name, ok := d.names[string(unquoted)] // makes no string
	if !ok {
		name = string(unquoted)
		d.names[name] = name
	}
	return name, true
}

// string returns a string.
func (d *decoder) string() (string, bool) {
	quoted, plain := d.quoted()
	if !plain {
		return unquote(quoted)
	}
	return string(quoted[1 : len(quoted)-1]), true
}

// unquote returns the string that stands for text which isn't plain.
func unquote(quoted []byte) (s string, ok bool) {
	err := json.Unmarshal(quoted, &s)
	return s, err == nil
}

// quoted takes a string with its quotation marks. It is plain if what stands between
// them is the string itself.
func (d *decoder) quoted() (quoted []byte, plain bool) {
	end := 1 + bytes.IndexByte(d.text[1:], '"')
	plain = bytes.IndexByte(d.text[:end], '\\') < 0
	for !plain && escaped(d.text[:end]) {
		end += 1 + bytes.IndexByte(d.text[end+1:], '"')
	}
	quoted, d.text = d.text[:end+1], d.text[end+1:]
	return quoted, plain && utf8.Valid(quoted)
}

// escaped reports whether what follows text has a backslash before it that stands for
// nothing else.
func escaped(text []byte) bool {
	return (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}

// literal takes null, true, false or a number.
func (d *decoder) literal() []byte {
	end := 0
	for c := d.text[0]; c != ',' && c != ']' && c != '}' && c > ' '; c = d.text[end] {
		end++
	}
	literal := d.text[:end]
	d.text = d.text[end:]
	return literal
}

// pass takes a value, and makes nothing of it.
func (d *decoder) pass() {
	for depth := 0; ; {
		switch d.next() {
		case '"':
			d.quoted()
		case '{', '[':
			depth++
			d.text = d.text[1:]
		case '}', ']':
			depth--
			d.text = d.text[1:]
		case ',', ':':
			d.text = d.text[1:]
		default:
			d.literal()
		}
		if depth == 0 {
			return
		}
	}
}
