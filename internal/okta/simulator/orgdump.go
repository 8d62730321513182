package simulator

import (
	"encoding/json"
	"slices"
)

// dumpObjects adds the objects of an org's own API to the org of a seed, if they were
// changed. What refers to an object that is gone is left out, as a seed can't have
// it.
func (s *Simulator) dumpObjects(o *Org, out *Org) {
	st := s.states[o]
	if st == nil || !st.changed {
		return
	}
	m := &orgCall{Simulator: s, st: st}
	c := doc{}
	for _, kind := range seedOrder {
		if t := st.set(kind); t != nil {
			items := []any{}
			for _, it := range t.items {
				if body := m.seedBody(t, it); body != nil {
					items = append(items, body)
				}
			}
			c[kind] = items
		}
	}
	values := doc{}
	for name, value := range st.settings {
		values[name] = m.withNames(value)
	}
	c["settings"] = values
	text, _ := json.Marshal(c) // it is JSON of this package
	out.Configuration = string(text)
	out.Features = nil
	for _, it := range st.set("features").items {
		if it.status == "ENABLED" {
			out.Features = append(out.Features, digText(it.body, "name"))
		}
	}
}

// seedBody returns an object as a seed has it, or nil if it is none of a seed's.
func (m *orgCall) seedBody(t *set, it *item) doc {
	body := m.withNames(it.body)
	if it.status == invalid || t.kind.name == "groups" && it.class == builtInGroup || m.dangles(it.body) && !it.system {
		return nil
	}
	if t.kind.born != "" {
		body = filled(doc{"status": it.status}, body)
	}
	switch t.kind.name {
	case "groups":
		body = filled(doc{"type": it.class}, body)
	case "policies":
		rules := []any{}
		for _, rule := range it.rules.items {
			if body := m.seedBody(it.rules, rule); body != nil {
				rules = append(rules, body)
			}
		}
		body = filled(doc{"rules": rules}, body)
	case "apps":
		grants := []any{}
		for _, g := range m.st.grants[it.id] {
			grants = append(grants, g)
		}
		roles := []any{}
		for _, role := range m.st.roles[it.id] {
			roles = append(roles, role)
		}
		body = filled(doc{"grants": grants, "roles": roles}, body)
	}
	return body
}

// dangles reports whether a body refers to an object that is gone.
func (m *orgCall) dangles(body doc) bool {
	return slices.ContainsFunc(references, func(r reference) bool {
		return slices.ContainsFunc(digTexts(body, r.path...), func(id string) bool { return m.st.set(r.kind).byID(id) == nil && id != allZones })
	})
}

// withNames returns a body with names where it has ids.
func (m *orgCall) withNames(body doc) doc {
	for _, r := range references {
		list := digTexts(body, r.path...)
		if list == nil {
			continue
		}
		t := m.st.set(r.kind)
		out := make([]any, 0, len(list))
		for _, id := range list {
			if it := t.byID(id); it != nil {
				out = append(out, t.kind.title(it.body))
			} else if id == allZones {
				out = append(out, id)
			}
		}
		body = withValue(body, out, r.path...)
	}
	return body
}
