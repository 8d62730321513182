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
		switch v.(type) {
		case bool, float64:
			continue // as most are, and a map is slow to write to
		case string:
			if f == nil || f.Refers == "" {
				continue
			}
		}
		m[name] = n.value(f, v)
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

func (n *normalizer) value(f *Field, v any) any {
	switch v := v.(type) {
	case nil:
		if f != nil {
			return f.empty()
		}
		return nil
	case string:
		if f != nil && f.Refers != "" && n.name != nil && !slices.Contains(f.Words, v) {
			return n.name(f.Refers, v)
		}
		return v
	case map[string]any:
		if f == nil {
			n.mapping(nil, v)
		} else {
			n.mapping(f.index, v)
		}
		return v
	case []any:
		return n.list(f, v)
	}
	return number(v)
}

func (n *normalizer) list(f *Field, list []any) any {
	var elem *Field
	if f != nil {
		elem = f.Elem
	}
	for i, e := range list {
		list[i] = n.value(elem, e)
	}
	if f == nil || !f.Set || len(list) < 2 {
		return list
	}
	order := func(a, b any) int { return compareValues(a, b, f.By) }
	slices.SortFunc(list, order)
	if elem.hides {
		return list // what looks the same need not be
	}
	return slices.CompactFunc(list, func(a, b any) bool { return order(a, b) == 0 })
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
