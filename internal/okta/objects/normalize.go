package objects

import "slices"

// Normalize returns body in normal form, without the fields that the server decides
// and without secrets; fields that the table doesn't know stay. Where name is not nil,
// it returns the name for an id of a kind, or the id itself. body is not changed.
// Normalizing twice is the same as once.
func (k *Kind) Normalize(body map[string]any, name func(kind, id string) string) map[string]any {
	body = cloneMapping(body)
	k.normalize(body, name)
	return body
}

// normalize brings body into normal form, and reports whether that took something off
// that is kept by overlaying.
func (k *Kind) normalize(body map[string]any, name func(kind, id string) string) (kept bool) {
	if k.Oddities.Normalize != nil {
		k.Oddities.Normalize(body)
	}
	n := normalizer{name: name}
	n.typ, _ = body["type"].(string)
	n.mapping(k.index, body)
	return n.kept
}

type normalizer struct {
	typ  string
	name func(kind, id string) string
	kept bool
}

func (n *normalizer) mapping(index map[string]*Field, m map[string]any) {
	for name, v := range m {
		f := pick(index, n.typ, name, v)
		if f != nil && (f.ReadOnly || f.Secret) {
			n.kept = n.kept || f.Echo && holds(v)
			delete(m, name)
			continue
		}
		if v, other := n.value(f, v); other {
			m[name] = v
		}
	}
}

// holds reports whether there is a text in v, such as an id.
func holds(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return slices.ContainsFunc(v, holds)
	case map[string]any:
		for _, e := range v {
			if holds(e) {
				return true
			}
		}
	}
	return false
}

// value returns the normal form of a value, and whether it is another one than v, which
// is not the case if v was changed in place: most values are as they are to be, and a map
// is slow to write to.
func (n *normalizer) value(f *Field, v any) (normal any, other bool) {
	switch x := v.(type) {
	case nil:
		if f == nil {
			return nil, false
		}
		empty := f.empty()
		return empty, empty != nil
	case bool, float64:
	case string:
		if f != nil && f.Refers != "" && n.name != nil && !slices.Contains(f.Words, x) {
			return n.name(f.Refers, x), true
		}
	case map[string]any:
		if f == nil {
			n.mapping(nil, x)
		} else {
			n.mapping(f.index, x)
		}
	case []any:
		if list := n.list(f, x); len(list) != len(x) {
			return list, true
		}
	default:
		return number(x), true
	}
	return v, false
}

func (n *normalizer) list(f *Field, list []any) []any {
	var elem *Field
	if f != nil {
		elem = f.Elem
	}
	for i, e := range list {
		if e, other := n.value(elem, e); other {
			list[i] = e
		}
	}
	if f == nil || !f.Set || len(list) < 2 {
		return list
	}
	order := func(a, b any) int { return compareValues(a, b, f.By) }
	if ascending(list, order) {
		return list
	}
	slices.SortFunc(list, order)
	if elem.hides {
		return list // what looks the same need not be
	}
	return slices.CompactFunc(list, func(a, b any) bool { return order(a, b) == 0 })
}

// ascending reports whether each element of a list comes after the one before it.
func ascending(list []any, order func(a, b any) int) bool {
	for i := 1; i < len(list); i++ {
		if order(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

// KeyOf returns the value of the kind's key in a body, which need not be in normal form;
// the kind's name for a setting, and "" if there is none.
func (k *Kind) KeyOf(body map[string]any) string {
	if k.Setting {
		return k.Name
	}
	key, _ := at(body, k.keyPath).(string)
	if k.Oddities.Key != nil {
		key = k.Oddities.Key(key)
	}
	return key
}

// Ident returns the id and the name of an object as the API returned it, and whether
// Okta made it; false if it is none of this kind. An object without a name has "".
func (k *Kind) Ident(raw map[string]any) (id, name string, system, ok bool) {
	id, system, ok = k.ident(raw)
	return id, k.KeyOf(raw), system, ok
}

func (k *Kind) ident(raw map[string]any) (id string, system, ok bool) {
	if k.Setting {
		return "", false, true
	}
	id, _ = raw["id"].(string)
	if k.Oddities.Origin != nil {
		system, ok = k.Oddities.Origin(raw)
		return id, system, ok
	}
	return id, raw["system"] == true, true
}

// Decode returns an object as the API returned it in the form in which it is compared;
// nil if it is none of this kind. typ is the type of a policy or of a rule's policy, and
// parent the policy of a rule. raw becomes part of the object: it must not be used any
// more.
func (k *Kind) Decode(raw map[string]any, typ, parent, parentID string, name func(kind, id string) string) *LiveObject {
	id, system, ok := k.ident(raw)
	if !ok {
		return nil
	}
	kept := k.normalize(raw, name)
	l := &LiveObject{
		Ref: Ref{Kind: k, Type: typ, Parent: parent, Name: k.Name},
		ID:  id, ParentID: parentID, System: system, Kept: kept, Body: raw,
	}
	if !k.Setting {
		l.Ref.Name, _ = at(raw, k.keyPath).(string)
	}
	return l
}
