package objects

import (
	"maps"
	"slices"
)

// Overlay returns raw, an object as the API returned it, with the fields of d, without
// what the API decides; ready to be sent. Where id is not nil it returns the id of a
// name. raw is not changed, and what d doesn't mention stays as it is. For a creation
// raw is nil.
func (d *Difference) Overlay(raw map[string]any, id func(kind, name string) (string, error)) (map[string]any, error) {
	o := overlayer{id: id, typ: typeOf(d.Ref, raw)}
	for _, c := range d.Fields {
		if typ, ok := c.After.(string); ok && c.Path == "type" && o.typ == "" {
			o.typ = typ
		}
	}
	body := sendable(d.Ref.Kind.index, o.typ, raw)
	if d.Ref.Kind.API.Write == "POST" { // what isn't sent stays
		maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	}
	for _, c := range d.Fields {
		if d.Op == Reorder {
			break
		}
		if err := o.set(d.Ref.Kind, body, SplitPath(c.Path), c.After); err != nil {
			return nil, err
		}
	}
	if d.Ref.Kind.Oddities.Send != nil {
		d.Ref.Kind.Oddities.Send(d.Ref, raw, body)
	}
	return body, nil
}

// sendable returns a copy of m without what the API decides and without secrets.
func sendable(index map[string]*Field, typ string, m map[string]any) map[string]any {
	c := make(map[string]any, len(m))
	for name, v := range m {
		f := pick(index, typ, name, v)
		if f != nil && (f.Secret || f.ReadOnly && !f.Echo) {
			continue
		}
		c[name] = f.sendable(typ, v)
	}
	return c
}

func (f *Field) sendable(typ string, v any) any {
	if f == nil {
		return clone(v)
	}
	switch v := v.(type) {
	case map[string]any:
		return sendable(f.index, typ, v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = f.Elem.sendable(typ, e)
		}
		return list
	}
	return v
}

// overlayer turns normal form into what the API takes.
type overlayer struct {
	typ string
	id  func(kind, name string) (string, error)
}

// set puts a value into body.
func (o *overlayer) set(k *Kind, body map[string]any, names []string, v any) error {
	f := k.fieldAt(o.typ, names)
	m, last := body, len(names)-1
	for _, name := range names[:last] {
		below, ok := m[name].(map[string]any)
		if !ok {
			if v == nil {
				return nil // nothing to clear
			}
			below = map[string]any{}
			m[name] = below
		}
		m = below
	}
	if _, there := m[names[last]]; v == nil && !there {
		return nil
	}
	v, err := o.merge(f, m[names[last]], v)
	if err != nil {
		return err
	}
	m[names[last]] = v
	return nil
}

// merge returns v in the API's form, laid over what is there.
func (o *overlayer) merge(f *Field, there, v any) (any, error) {
	if f == nil {
		return clone(v), nil
	}
	switch v := v.(type) {
	case nil:
		return f.empty(), nil
	case string:
		if f.Refers != "" && o.id != nil && !slices.Contains(f.Words, v) {
			return o.id(f.Refers, v)
		}
		return v, nil
	case map[string]any:
		if f.Type != Mapping {
			return clone(v), nil
		}
		m, _ := there.(map[string]any)
		if f.Whole {
			m = nil
		}
		return o.mergeMapping(f, m, v)
	case []any:
		l, _ := there.([]any)
		return o.mergeList(f, l, v)
	}
	return v, nil
}

func (o *overlayer) mergeMapping(f *Field, there, v map[string]any) (any, error) {
	if there == nil {
		there = make(map[string]any, len(v))
	}
	for name, e := range v {
		e, err := o.merge(pick(f.index, o.typ, name, e), there[name], e)
		if err != nil {
			return nil, err
		}
		there[name] = e
	}
	return there, nil
}

func (o *overlayer) mergeList(f *Field, there, v []any) (any, error) {
	list := make([]any, len(v))
	matched := make([]int, len(v))
	if len(f.By) > 0 {
		matched = f.match(o.typ, v, there)
	}
	for i, e := range v {
		var old any
		if len(f.By) > 0 && matched[i] >= 0 {
			old = there[matched[i]]
		}
		e, err := o.merge(f.Elem, old, e)
		if err != nil {
			return nil, err
		}
		list[i] = e
	}
	return list, nil
}
