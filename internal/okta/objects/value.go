package objects

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// isEmpty reports whether v says the same as a field that isn't there.
func (f *Field) isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return f != nil && f.Empty != nil && f.Empty == v
}

// empty returns what stands in normal form for null.
func (f *Field) empty() any {
	if f.Type == List {
		return []any{}
	}
	return f.Empty
}

// pick returns the field that has this name for objects of this type; nil if the table
// doesn't know it. Of several, one that can hold v is preferred.
func pick(index map[string]*Field, typ, name string, v any) *Field {
	first := index[name]
	if first == nil || first.next == nil {
		return first
	}
	_, mapping := v.(map[string]any)
	var fit *Field
	for f := first; f != nil; f = f.next {
		if !f.fits(typ) {
			continue
		}
		if (f.Type == Mapping) == mapping || v == nil {
			return f
		}
		if fit == nil {
			fit = f
		}
	}
	if fit == nil {
		return first
	}
	return fit
}

// typeOf returns the type for which the fields of an object are looked up.
func typeOf(ref Ref, body map[string]any) string {
	if ref.Type != "" {
		return ref.Type
	}
	typ, _ := body["type"].(string)
	return typ
}

// covers reports whether live has all that declared says. Fields that declared doesn't
// mention aren't looked at.
func (f *Field) covers(typ string, declared, live any) bool {
	if d, ok := declared.(string); ok && d == live { // as most are
		return true
	}
	if f.isEmpty(declared) && f.isEmpty(live) {
		return true
	}
	switch d := declared.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if f == nil || f.Type != Mapping {
			return ok && compareValues(d, l, nil) == 0
		}
		return f.coversMapping(typ, d, l)
	case []any:
		l, ok := live.([]any)
		if !ok || len(d) != len(l) {
			return false
		}
		return f.coversList(typ, d, l)
	}
	return compareValues(declared, live, nil) == 0
}

func (f *Field) coversMapping(typ string, declared, live map[string]any) bool {
	for name, v := range declared {
		if !pick(f.index, typ, name, v).covers(typ, v, live[name]) {
			return false
		}
	}
	return true
}

func (f *Field) coversList(typ string, declared, live []any) bool {
	var elem *Field
	if f != nil {
		elem = f.Elem
	}
	if f == nil || len(f.By) == 0 {
		for i := range declared {
			if !elem.covers(typ, declared[i], live[i]) {
				return false
			}
		}
		return true
	}
	for i := range declared { // both are sorted, and most are the same
		if !f.same(typ, declared[i], live[i]) || !elem.covers(typ, declared[i], live[i]) {
			return f.coversMatched(typ, declared, live)
		}
	}
	return true
}

func (f *Field) coversMatched(typ string, declared, live []any) bool {
	for i, j := range f.match(typ, declared, live) {
		if j < 0 || !f.Elem.covers(typ, declared[i], live[j]) {
			return false
		}
	}
	return true
}

// match returns for each element of a the index of the element of b that has the same
// values in the fields of By; -1 if there is none. No element of b is used twice.
func (f *Field) match(typ string, a, b []any) []int {
	if len(a) <= few && len(b) <= few {
		return f.matchFew(typ, a, b)
	}
	return f.matchMany(typ, a, b)
}

// matchMany is match for long lists.
func (f *Field) matchMany(typ string, a, b []any) []int {
	places := make(map[string][]int, len(b))
	for j, y := range b {
		if key, ok := f.identity(typ, y); ok {
			places[key] = append(places[key], j)
		}
	}
	matched := make([]int, len(a))
	for i, x := range a {
		matched[i] = -1
		key, ok := f.identity(typ, x)
		if at := places[key]; ok && len(at) > 0 {
			matched[i], places[key] = at[0], at[1:]
		}
	}
	return matched
}

// few is up to how many elements are held against each other, as that takes less than
// texts and a map of them.
const few = 8

// matchFew is match for short lists.
func (f *Field) matchFew(typ string, a, b []any) []int {
	matched := make([]int, len(a))
	var used [few]bool
	for i, x := range a {
		matched[i] = -1
		for j, y := range b {
			if !used[j] && f.same(typ, x, y) {
				matched[i], used[j] = j, true
				break
			}
		}
	}
	return matched
}

// identity returns a text that two elements have in common if they are one by the fields
// of By; false for what is no mapping.
func (f *Field) identity(typ string, elem any) (string, bool) {
	m, ok := elem.(map[string]any)
	if !ok {
		return "", false
	}
	key := make([]byte, 0, 64)
	for _, name := range f.By {
		switch v := m[name].(type) {
		case string:
			key = strconv.AppendQuote(key, v)
		default:
			if !pick(f.Elem.index, typ, name, v).isEmpty(v) {
				key = fmt.Append(key, v)
			}
		}
		key = append(key, ',')
	}
	return string(key), true
}

// same reports whether two elements are one by the fields of By.
func (f *Field) same(typ string, a, b any) bool {
	x, okX := a.(map[string]any)
	y, okY := b.(map[string]any)
	if !okX || !okY {
		return false
	}
	for _, name := range f.By {
		if !pick(f.Elem.index, typ, name, x[name]).equal(x[name], y[name]) {
			return false
		}
	}
	return true
}

// several reports whether two elements of a list in normal form are one by the fields of
// By, so that it can't be told which is meant.
func (f *Field) several(typ string, list any) bool {
	l, ok := list.([]any)
	if f == nil || len(f.By) == 0 || !ok {
		return false
	}
	for i := 1; i < len(l); i++ {
		if f.same(typ, l[i-1], l[i]) {
			return true
		}
	}
	return false
}

// project returns what live has of the fields that shape has: both can be held against
// each other, and shown side by side.
func (f *Field) project(typ string, shape, live any) any {
	switch s := shape.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if f == nil || f.Type != Mapping || !ok {
			return live
		}
		m := make(map[string]any, len(s))
		for name, v := range s {
			if x, ok := l[name]; ok {
				m[name] = pick(f.index, typ, name, v).project(typ, v, x)
			}
		}
		return m
	case []any:
		l, ok := live.([]any)
		if f == nil || len(f.By) == 0 || !ok {
			return live
		}
		list := make([]any, len(l))
		for i, j := range f.match(typ, l, s) {
			if list[i] = l[i]; j >= 0 {
				list[i] = f.Elem.project(typ, s[j], l[i])
			}
		}
		return list
	}
	return live
}

// compareValues orders JSON values: null, false and true, numbers, texts, lists,
// mappings. The fields of by count before the others.
func compareValues(a, b any, by []string) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case bool:
		return cmp.Compare(bit(x), bit(b.(bool)))
	case float64:
		return cmp.Compare(x, b.(float64))
	case string:
		return strings.Compare(x, b.(string))
	case []any:
		return slices.CompareFunc(x, b.([]any), func(a, b any) int { return compareValues(a, b, nil) })
	case map[string]any:
		return compareMappings(x, b.(map[string]any), by)
	}
	return 0
}

func compareMappings(a, b map[string]any, by []string) int {
	for _, name := range by {
		if c := compareValues(a[name], b[name], nil); c != 0 {
			return c
		}
	}
	x, y := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))
	if c := slices.Compare(x, y); c != 0 {
		return c
	}
	for _, name := range x {
		if c := compareValues(a[name], b[name], nil); c != 0 {
			return c
		}
	}
	return 0
}

func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case float64:
		return 2
	case string:
		return 3
	case []any:
		return 4
	}
	return 5
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number returns any number as a float64, and anything else as it is.
func number(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	case json.Number:
		if f, err := n.Float64(); err == nil {
			return f
		}
	}
	return v
}

// clone returns a copy that shares nothing with v.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMapping(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = clone(e)
		}
		return list
	}
	return v
}

func cloneMapping(m map[string]any) map[string]any {
	c := make(map[string]any, len(m))
	for name, v := range m {
		c[name] = clone(v)
	}
	return c
}
