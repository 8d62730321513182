package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"reconciler/internal/okta/objects"
)

// entry is one live object of one org, as far as a manifest can declare it.
type entry struct {
	ref    objects.Ref
	system bool
	// leaves are its values by their paths.
	leaves leaves
	// unsaid are the paths of fields that it has and that can't be declared, and notes
	// why.
	unsaid []path
	notes  []string
	// policy is that of a rule, and place where it stands among all entries.
	policy *entry
	place  int
	// variant is what it has in common with entries of other orgs.
	variant *variant
}

// path is a path of keys, joined by a character that no key has.
type path string

const pathSep = "\x00"

func (p path) keys() []string { return strings.Split(string(p), pathSep) }

// String returns the path as people write it.
func (p path) String() string { return strings.Join(p.keys(), ".") }

func join(p path, key string) path {
	if p == "" {
		return path(key)
	}
	return p + pathSep + path(key)
}

// leaves are the values of an object that are no mappings, or empty ones.
type leaves map[path]any

func leavesOf(body map[string]any) leaves {
	all := leaves{}
	var walk func(p path, m map[string]any)
	walk = func(p path, m map[string]any) {
		for key, v := range m {
			if inner, ok := v.(map[string]any); ok && len(inner) > 0 {
				walk(join(p, key), inner)
				continue
			}
			all[join(p, key)] = v
		}
	}
	walk("", body)
	return all
}

// body returns the object that the leaves make.
func (l leaves) body() map[string]any {
	body := map[string]any{}
	for p, v := range l {
		m := body
		keys := p.keys()
		for _, key := range keys[:len(keys)-1] {
			inner, ok := m[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				m[key] = inner
			}
			m = inner
		}
		m[keys[len(keys)-1]] = v
	}
	return body
}

// same reports whether two values in normal form are the same.
func same(a, b any) bool { return reflect.DeepEqual(a, b) || valueKey(a) == valueKey(b) }

// valueKey returns a text that is the same for the same values.
func valueKey(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(data)
}

// survey finds what can be declared of each org, and what can't.
func (c *configuration) survey() {
	for _, m := range c.members {
		m.entries, m.baselines = nil, nil
		m.shared, m.notes = map[objects.Ref]*shared{}, map[*objects.Kind][]string{}
		for _, l := range m.live.Lacks {
			if k := topKind(l.Kind); c.reads(k) {
				m.notes[k] = append(m.notes[k], fmt.Sprintf("%s left out: the org doesn't have them: %s", l.List, l.Reason))
			}
		}
		names := m.names()
		count := map[objects.Ref]int{}
		for _, o := range m.live.Objects {
			count[o.Ref]++
		}
		bySaid := map[objects.Ref]*entry{}
		for _, o := range m.live.Objects {
			if !c.reads(o.Ref.Kind) || o.System && len(o.Ref.Kind.BuiltIn) > 0 {
				continue
			}
			e, why := c.entry(m, o, names)
			switch parent := policyOf(o.Ref); {
			case why != "":
			case m.variable[o.Ref]:
				why = "a baseline declares it, under a name with variables"
			case count[o.Ref] > 1:
				why = fmt.Sprintf("the org has %d of this name", count[o.Ref])
			case parent != (objects.Ref{}) && bySaid[parent] == nil:
				why = "its policy is left out"
			}
			if why != "" {
				m.leaveOut(o.Ref, why)
				continue
			}
			e.policy, e.place = bySaid[policyOf(o.Ref)], len(m.entries)
			m.entries = append(m.entries, e)
			bySaid[o.Ref] = e
		}
	}
}

// leaveOut notes an object that can't be declared.
func (m *member) leaveOut(ref objects.Ref, why string) {
	note := fmt.Sprintf("%s %q left out: %s", ref.Kind.Title, line(ref.Object()), why)
	if ref.Kind.Setting {
		note = fmt.Sprintf("%s left out: %s", ref.Kind.Name, why)
	}
	k := topKind(ref.Kind)
	if !slices.Contains(m.notes[k], note) {
		m.notes[k] = append(m.notes[k], note)
	}
}

// topKind returns the kind under whose key a manifest has an object.
func topKind(k *objects.Kind) *objects.Kind {
	if k.Parent != nil {
		return k.Parent
	}
	return k
}

// policyOf returns the policy of a rule; the zero Ref for another object.
func policyOf(ref objects.Ref) objects.Ref {
	if ref.Kind.Parent == nil {
		return objects.Ref{}
	}
	return objects.Ref{Kind: ref.Kind.Parent, Type: ref.Type, Name: ref.Parent}
}

// ordered reports whether the entry has a place among others that can be declared.
func (e *entry) ordered() bool { return e.ref.Kind.Ordered && !e.system }

// siblings returns what objects that have an order among themselves have in common.
func siblings(ref objects.Ref) objects.Ref {
	ref.Name = ""
	return ref
}

// names returns the names that can be referred to, by kind.
func (m *member) names() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, o := range m.live.Objects {
		k := o.Ref.Kind.Name
		if all[k] == nil {
			all[k] = map[string]bool{}
		}
		all[k][o.Ref.Name] = true
	}
	return all
}

// entry returns what can be declared of an object, or why it can't be.
func (c *configuration) entry(m *member, o *objects.LiveObject, names map[string]map[string]bool) (*entry, string) {
	if why := c.out[exclusion{m.domain, o.Ref}]; why != "" {
		return nil, why
	}
	s := &sayer{system: o.System, typ: typeOf(o), names: names}
	for _, p := range slices.Sorted(maps.Keys(o.Undeclarable)) {
		s.note(path(strings.ReplaceAll(p, ".", pathSep)), o.Undeclarable[p])
	}
	if why := badName(o.Ref.Name); why != "" {
		return nil, why
	}
	body, why := s.mapping("", o.Body, o.Ref.Kind.Fields, false)
	if why == "" {
		why = s.check(o.Ref.Kind, body)
	}
	if why != "" {
		return nil, why
	}
	if o.Ref.Kind.Setting && len(body) == 0 {
		return nil, cmp.Or(strings.Join(s.notes, "; "), "it has nothing that can be declared")
	}
	system := o.System && !o.Ref.Kind.Setting && !o.Ref.Kind.Fixed
	return &entry{ref: o.Ref, system: system, leaves: leavesOf(body), unsaid: s.unsaid, notes: s.notes}, ""
}

// typeOf returns the type that decides which fields an object has.
func typeOf(o *objects.LiveObject) string {
	if o.Ref.Type != "" {
		return o.Ref.Type
	}
	typ, _ := o.Body["type"].(string)
	return typ
}

// sayer finds what of an object can be declared.
type sayer struct {
	system bool
	typ    string
	// names are the names of the org's objects by kind. A reference that is none of
	// them is an id.
	names  map[string]map[string]bool
	unsaid []path
	notes  []string
}

func (s *sayer) note(p path, why string) {
	s.unsaid = append(s.unsaid, p)
	s.notes = append(s.notes, fmt.Sprintf("%s left out: %s", line(p.String()), why))
}

// mapping returns what can be declared of a mapping, or why nothing can.
func (s *sayer) mapping(p path, body map[string]any, fields []objects.Field, free bool) (map[string]any, string) {
	out := map[string]any{}
	keys := make([]string, 0, len(body))
	for key := range body {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		at := join(p, key)
		f := objects.FindFor(fields, s.typ, key)
		switch {
		case body[key] == nil:
			continue
		case f == nil && free:
			if why := unfit(key, body[key]); why != "" {
				s.note(at, why)
				continue
			}
			out[key] = body[key]
			continue
		case f == nil:
			s.note(at, "this version doesn't know the field")
			continue
		case f.Secret, f.ReadOnly, f.SystemFixed && s.system:
			continue
		case f.Type == objects.Text && body[key] == f.Empty:
			continue
		}
		v, why := s.value(at, body[key], f)
		switch {
		case why == "" && v != nil:
			out[key] = v
		case why == "": // the notes say why
		case f.Required && strings.HasPrefix(why, at.String()): // it says where
			return nil, why
		case f.Required:
			return nil, at.String() + ": " + why
		default:
			s.note(at, why)
		}
	}
	for i := range fields {
		f := &fields[i]
		fits := s.typ == "" || len(f.Types) == 0 || slices.Contains(f.Types, s.typ)
		if f.Required && fits && !(f.SystemFixed && s.system) && out[f.Name] == nil {
			return nil, join(p, f.Name).String() + " is missing"
		}
	}
	return out, ""
}

// hollow reports whether a value says nothing.
func hollow(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return !slices.ContainsFunc(x, func(e any) bool { return !hollow(e) })
	case map[string]any:
		for _, e := range x {
			if !hollow(e) {
				return false
			}
		}
		return true
	}
	return false
}

// value returns a value as it can be declared, or why it can't be.
func (s *sayer) value(p path, v any, f *objects.Field) (any, string) {
	switch f.Type {
	case objects.Anything:
		return v, ""
	case objects.Mapping:
		m, ok := v.(map[string]any)
		if !ok {
			return nil, "it is not a mapping"
		}
		return s.mappingOrNot(p, m, f)
	case objects.List:
		list, ok := v.([]any)
		if !ok {
			return nil, "it is not a list"
		}
		return s.list(p, list, f)
	default:
		return v, s.scalar(v, f)
	}
}

func (s *sayer) mappingOrNot(p path, m map[string]any, f *objects.Field) (any, string) {
	out, why := s.mapping(p, m, f.Fields, f.Free)
	if why != "" {
		return nil, why
	}
	if len(out) == 0 && len(m) > 0 && f.Required {
		return nil, "nothing of it can be declared"
	}
	if len(out) == 0 && !f.Required {
		return nil, "" // it says nothing, or the notes say why
	}
	return out, ""
}

// list returns a list, of which nothing can be left out.
func (s *sayer) list(p path, list []any, f *objects.Field) (any, string) {
	if why := bounds(len(list), f, "items"); why != "" {
		return nil, why
	}
	out := make([]any, len(list))
	for i, item := range list {
		n := len(s.notes)
		v, why := s.value(p, item, f.Elem)
		if why == "" && v == nil {
			why = "nothing of it can be declared"
		}
		if why == "" && len(s.notes) > n && len(f.By) == 0 {
			why = s.notes[n]
			s.notes = s.notes[:n]
		}
		if why != "" {
			return nil, why
		}
		out[i] = v
	}
	return out, ""
}

// scalar returns why a value that is neither list nor mapping can't be declared; empty
// if it can.
func (s *sayer) scalar(v any, f *objects.Field) string {
	switch x := v.(type) {
	case string:
		return s.text(x, f)
	case bool:
		if f.Type != objects.Boolean {
			return "it is true or false"
		}
	case float64:
		switch {
		case f.Type == objects.Integer && (x != math.Trunc(x) || math.Abs(x) >= 1<<53), f.Type != objects.Integer && f.Type != objects.Number:
			return fmt.Sprintf("%v is not a value that it may have", x)
		case f.Min != nil && x < float64(*f.Min), f.Max != nil && x > float64(*f.Max):
			return fmt.Sprintf("%v is out of its bounds", x)
		}
	default:
		return "it is not a single value"
	}
	return ""
}

func (s *sayer) text(x string, f *objects.Field) string {
	switch {
	case f.Type != objects.Text:
		return fmt.Sprintf("%q is not a value that it may have", line(x))
	case f.Refers != "" && !slices.Contains(f.Words, x) && !s.names[f.Refers][x]:
		return fmt.Sprintf("%q leads to no name", line(x))
	case len(f.Enum) > 0 && !slices.Contains(f.Enum, x) && (!f.Open || x == "" || strings.ContainsFunc(x, hidden)):
		return fmt.Sprintf("this version doesn't know %q", line(x))
	case !utf8.ValidString(x) || strings.ContainsFunc(x, unsayable):
		return "it has characters that a manifest can't have"
	case len(f.Enum) > 0:
		return ""
	}
	return bounds(utf8.RuneCountInString(x), f, "characters")
}

// unfit returns why a manifest can't have a value of which no table knows anything, under
// a key; empty if it can.
func unfit(key string, v any) string {
	if badName(key) != "" {
		return "its key has characters, or spaces at an end, that a manifest can't have"
	}
	switch x := v.(type) {
	case string:
		if !utf8.ValidString(x) || strings.ContainsFunc(x, unsayable) {
			return "it has characters that a manifest can't have"
		}
	case float64:
		if math.Abs(x) >= 1<<53 {
			return fmt.Sprintf("%v is too large to be sent as it is", x)
		}
	case []any:
		for _, e := range x {
			if why := unfit(key, e); why != "" {
				return why
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if why := unfit(key, x[key]); why != "" {
				return why
			}
		}
	}
	return ""
}

// unsayable reports whether no text of a manifest may have r: a control character, or
// one that changes the direction of text.
func unsayable(r rune) bool { return !strings.ContainsRune("\n\r\t", r) && hidden(r) }

func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// maxKey is the length of the longest name of an object in a manifest.
const maxKey = 1024

// badName returns why a manifest can't have the name of an object; empty if it can.
func badName(name string) string {
	switch {
	case name == "":
		return "it has no name"
	case utf8.RuneCountInString(name) > maxKey:
		return "its name is too long"
	case !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, hidden):
		return "its name has characters, or spaces at an end, that a manifest can't have"
	}
	return ""
}

// bounds returns why n is too small or too large; empty if it isn't.
func bounds(n int, f *objects.Field, unit string) string {
	if f.Min != nil && n < *f.Min || f.Max != nil && n > *f.Max {
		return fmt.Sprintf("%d %s are out of its bounds", n, unit)
	}
	return ""
}

// check leaves out the fields of which the kind itself says that they are wrong, or
// returns why the object can't be declared.
func (s *sayer) check(k *objects.Kind, body map[string]any) string {
	if k.Oddities.Check == nil {
		return ""
	}
	wrong := k.Oddities.Check(s.typ, body)
	paths := make([]string, 0, len(wrong))
	for p := range wrong {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		top, _, _ := strings.Cut(p, ".")
		f := objects.FindFor(k.Fields, s.typ, top)
		if f == nil || f.Required {
			return p + " " + wrong[p]
		}
		if _, there := body[top]; there {
			delete(body, top)
			s.note(path(top), "it "+wrong[p])
		}
	}
	return ""
}
