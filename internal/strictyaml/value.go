package strictyaml

import (
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Value is a value of any form, for mappings whose keys are known from elsewhere than
// a struct. All its parts have positions.
type Value struct {
	// Pos is the position of the value; for an alias, that of the alias.
	Pos Pos
	// V is nil for a null that is written out, or a bool, a string, a [Number], a
	// []*Value or a Map[*Value]. Dates are strings.
	V any
}

// Number is a number as it is written.
type Number string

var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// Float returns the number; false if it isn't written as JSON has it, as 017, or is
// too large.
func (n Number) Float() (float64, bool) {
	if !plainNumber.MatchString(string(n)) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return f, err == nil
}

// Describe returns what the value is, as messages say it: "a mapping", "the number
// 017".
func (v *Value) Describe() string {
	switch x := v.V.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(x)
	case Number:
		return "the number " + short(string(x))
	case string:
		return strconv.Quote(short(x))
	case []*Value:
		return "a list"
	default:
		return "a mapping"
	}
}

// Mapping returns the pairs of a mapping; nil for another value.
func (v *Value) Mapping() Map[*Value] {
	m, _ := v.V.(Map[*Value])
	return m
}

// Get returns the value of a key of a mapping, or nil.
func (v *Value) Get(key string) *Value {
	for _, e := range v.Mapping() {
		if e.Key == key {
			return e.V
		}
	}
	return nil
}

// Same reports whether v and w say the same, wherever they stand. The order of keys
// doesn't matter.
func (v *Value) Same(w *Value) bool {
	switch x := v.V.(type) {
	case []*Value:
		y, ok := w.V.([]*Value)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !x[i].Same(y[i]) {
				return false
			}
		}
		return true
	case Map[*Value]:
		y, ok := w.V.(Map[*Value])
		return ok && sameMap(x, y)
	}
	switch w.V.(type) {
	case []*Value, Map[*Value]:
		return false
	}
	return v.V == w.V
}

func sameMap(x, y Map[*Value]) bool {
	if len(x) != len(y) {
		return false
	}
	values := make(map[string]*Value, len(y))
	for _, e := range y {
		values[e.Key] = e.V
	}
	for _, e := range x {
		if other := values[e.Key]; other == nil || !e.V.Same(other) {
			return false
		}
	}
	return true
}

// free is what the decoder needs of a *Value, and of a type that embeds a Value.
type free interface{ value() *Value }

func (v *Value) value() *Value { return v }

// any reads n as it is, and reports whether it could be read.
func (d *decoder) any(n *yaml.Node, v *Value, s subject) bool {
	if d.stopped {
		return false
	}
	v.Pos = d.pos(n)
	if n.Kind == yaml.AliasNode {
		return d.alias(n, func() bool {
			ok := d.any(n.Alias, v, s)
			v.Pos = d.pos(n)
			return ok
		})
	}
	if n.Tag == "!!null" && n.Value != "" {
		return true
	}
	if !d.tagOK(n, s) {
		return false
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.anyMapping(n, v, s)
	case yaml.SequenceNode:
		return d.anyList(n, v, s)
	}
	switch n.Tag {
	case "!!bool":
		v.V = n.Value[0] == 't' || n.Value[0] == 'T'
	case "!!int", "!!float":
		v.V = Number(n.Value)
	default:
		v.V = n.Value
	}
	return true
}

func (d *decoder) anyMapping(n *yaml.Node, v *Value, s subject) bool {
	m := make(Map[*Value], 0, len(n.Content)/2)
	d.pairs(n, s, nil, func(key string, k, val *yaml.Node) {
		child := d.child(s, key)
		if val.Kind == yaml.ScalarNode && val.Tag == "!!null" && val.Value == "" {
			d.fail(d.pos(k), "%s has no value: give it one, or remove the key", child)
			return
		}
		if x := new(Value); d.any(val, x, child) {
			m = append(m, Entry[*Value]{Key: key, Pos: d.pos(k), V: x})
		}
	})
	v.V = m
	return true
}

func (d *decoder) anyList(n *yaml.Node, v *Value, s subject) bool {
	if !d.spend(n, len(n.Content)) {
		return false
	}
	all := make([]*Value, 0, len(n.Content))
	for i, c := range n.Content {
		if x := new(Value); d.any(c, x, d.item(s, i)) {
			all = append(all, x)
		}
	}
	v.V = all
	return true
}
