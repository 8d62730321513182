package objects

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// ParseList returns the objects of a list in JSON as encoding/json does, without their
// fields that skip selects; nil selects none. It is false if data is no list of objects:
// encoding/json has an error for that. Most of an answer are links and dates, and to make
// values of them takes longer than anything else that is done with it.
func ParseList(data []byte, skip func(field string) bool) (list []map[string]any, ok bool) {
	if !json.Valid(data) {
		return nil, false
	}
	d := decoder{text: data, skip: skip}
	return d.list()
}

// decoder makes values of JSON that was found to be valid, so that it has only to tell
// values apart and to find where they end. It returns what encoding/json does, and
// reports false where that would return an error.
type decoder struct {
	text []byte
	at   int // what comes next in text
	skip func(field string) bool
}

// list returns a list of objects.
func (d *decoder) list() ([]map[string]any, bool) {
	if d.next() != '[' {
		return nil, false
	}
	list := []map[string]any{}
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

// next passes spaces, and returns the first byte of the next token.
func (d *decoder) next() byte {
	for {
		switch c := d.text[d.at]; c {
		case ' ', '\n', '\t', '\r':
			d.at++
		default:
			return c
		}
	}
}

// another passes what stands before an element of a list or a mapping, which is the
// opening bracket or a comma, and reports whether there is an element. If there is none,
// it passes the closing bracket as well.
func (d *decoder) another(closing byte) bool {
	first := d.next()
	if first != closing {
		d.at++
	}
	if first == ',' || d.next() != closing {
		return true
	}
	d.at++
	return false
}

// object returns a mapping without the fields that skip selects.
func (d *decoder) object(skip func(field string) bool) (map[string]any, bool) {
	o := map[string]any{}
	for d.another('}') {
		d.next()
		name, ok := d.name()
		if !ok {
			return nil, false
		}
		d.next()
		d.at++ // the colon
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
	if name, ok := fieldNames[string(unquoted)]; ok { // makes no string
		return name, true
	}
	return string(unquoted), true
}

// string returns a string.
func (d *decoder) string() (string, bool) {
	quoted, plain := d.quoted()
	if !plain {
		return unquote(quoted)
	}
	return string(quoted[1 : len(quoted)-1]), true
}

// unquote returns the string that is meant by one which isn't plain.
func unquote(quoted []byte) (s string, ok bool) {
	err := json.Unmarshal(quoted, &s)
	return s, err == nil
}

// quoted passes a string, and returns it with its quotation marks. It is plain if it
// stands for itself.
func (d *decoder) quoted() (quoted []byte, plain bool) {
	text := d.text[d.at:]
	end := 1 + bytes.IndexByte(text[1:], '"')
	plain = bytes.IndexByte(text[:end], '\\') < 0
	for !plain && escaped(text[:end]) {
		end += 1 + bytes.IndexByte(text[end+1:], '"')
	}
	d.at += end + 1
	return text[:end+1], plain && utf8.Valid(text[:end])
}

// escaped reports whether what follows text has a backslash before it that stands for
// nothing else.
func escaped(text []byte) bool {
	return (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}

// literal passes null, true, false or a number, and returns it.
func (d *decoder) literal() []byte {
	start := d.at
	for c := d.text[start]; c != ',' && c != ']' && c != '}' && c > ' '; c = d.text[d.at] {
		d.at++
	}
	return d.text[start:d.at]
}

// pass passes a value.
func (d *decoder) pass() {
	for depth := 0; ; {
		switch d.next() {
		case '"':
			d.quoted()
		case '{', '[':
			depth++
			d.at++
		case '}', ']':
			depth--
			d.at++
		case ',', ':':
			d.at++
		default:
			d.literal()
		}
		if depth == 0 {
			return
		}
	}
}
