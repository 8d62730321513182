package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Objects are the objects of an org's own API, to be looked at and changed behind
// its back, as another admin does. What is changed is checked as the API checks it,
// except that fields may be unknown, and is in the System Log with by, a login, as
// its actor.
//
// A kind is networkZones, groups, groupRules, trustedOrigins, behaviors, apps,
// features, settings, policies/TYPE, or policyRules/TYPE/POLICY; a key is the name
// of an object, that is the label of an app and the origin or name of a trusted
// origin. Objects are JSON as in the API. Where the API has the id of another
// object its name may stand.
type Objects struct {
	s      *Simulator
	domain string
}

// Objects returns the objects of the org with the domain.
func (s *Simulator) Objects(domain string) *Objects {
	return &Objects{s, strings.ToLower(domain)}
}

// do calls f with the org. The error names the org and what was to be done.
func (o *Objects) do(by, what string, f func(m *orgCall) error) error {
	return o.s.change(o.domain, by, func(who *caller, org *Org) error {
		m := &orgCall{Simulator: o.s, st: o.s.state(org), who: who, base: "https://" + org.Domain}
		if err := f(m); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// List returns the objects of a kind, those that have an order in it.
func (o *Objects) List(kind string) (all []map[string]any, err error) {
	err = o.do("", kind, func(m *orgCall) error {
		if kind == "settings" {
			for _, g := range settings {
				all = append(all, decode(m.getSetting(g).body))
			}
			return nil
		}
		t, class, err := m.named(kind)
		if err != nil {
			return err
		}
		for _, it := range t.items {
			if class == "" || it.class == class {
				all = append(all, m.plain(t, it))
			}
		}
		return nil
	})
	return all, err
}

// plain returns an object as the API answers it.
func (m *orgCall) plain(t *set, it *item) doc {
	if t.kind == m.st.set("features").kind {
		text, _ := json.Marshal(m.viewFeature(it))
		return decode(text)
	}
	text, _ := json.Marshal(m.view(t, it))
	return decode(text)
}

// Get returns an object, and whether there is one.
func (o *Objects) Get(kind, key string) (found map[string]any, ok bool) {
	o.do("", kind, func(m *orgCall) error {
		if g := settingNamed(key); kind == "settings" && g != nil {
			found, ok = decode(m.getSetting(g).body), true
			return nil
		}
		t, it, err := m.find(kind, key)
		if err == nil && it != nil {
			found, ok = m.plain(t, it), true
		}
		return err
	})
	return found, ok
}

// Put creates an object, or replaces the one with the same key. A setting has its
// name in the kind: settings/threatInsight.
func (o *Objects) Put(kind, object, by string) error {
	return o.do(by, kind, func(m *orgCall) error {
		body := decode([]byte(object))
		if body == nil {
			return errors.New("want a JSON object")
		}
		return m.put(kind, body)
	})
}

// Patch changes an object by a JSON merge patch (RFC 7396).
func (o *Objects) Patch(kind, key, patch, by string) error {
	return o.do(by, kind+" "+key, func(m *orgCall) error {
		change := decode([]byte(patch))
		if change == nil {
			return errors.New("want a JSON object")
		}
		t, it, err := m.find(kind, key)
		if err != nil {
			return err
		}
		if it == nil {
			return errors.New("there is no such object")
		}
		body, status, p := stripped(merged(it.body, change))
		if len(p) > 0 {
			return errors.New(strings.Join(p, "; "))
		}
		if t.kind.ordered && body["priority"] == nil {
			body["priority"] = json.Number(itoa(t.priority(it)))
		}
		return m.overwrite(t, it, body, status)
	})
}

// merged applies a merge patch.
func merged(v, patch doc) doc {
	out := maps.Clone(v)
	if out == nil {
		out = doc{}
	}
	for key, value := range patch {
		inner, nested := value.(doc)
		switch mine, _ := out[key].(doc); {
		case value == nil:
			delete(out, key)
		case nested:
			out[key] = merged(mine, inner)
		default:
			out[key] = value
		}
	}
	return out
}

// Delete deletes an object, whatever its status.
func (o *Objects) Delete(kind, key, by string) error {
	return o.do(by, kind+" "+key, func(m *orgCall) error {
		t, it, err := m.find(kind, key)
		switch {
		case err != nil:
			return err
		case it == nil:
			return errors.New("there is no such object")
		case it.system:
			return errors.New("it can't be deleted, as Okta made it")
		}
		m.delete(t, it)
		return nil
	})
}

// SetStatus sets the status of an object: ACTIVE, INACTIVE or INVALID, of a feature
// ENABLED or DISABLED.
func (o *Objects) SetStatus(kind, key, status, by string) error {
	return o.do(by, kind+" "+key, func(m *orgCall) error {
		t, it, err := m.find(kind, key)
		if err != nil {
			return err
		}
		if it == nil {
			return errors.New("there is no such object")
		}
		return m.force(t, it, status)
	})
}

// force sets a status.
func (m *orgCall) force(t *set, it *item, status string) error {
	known := []string{active, inactive}
	switch t.kind.name {
	case "features":
		known = []string{"ENABLED", "DISABLED"}
	case "groupRules":
		known = append(known, invalid)
	case "groups":
		known = nil
	}
	switch {
	case !slices.Contains(known, status):
		return fmt.Errorf("it can't have the status %q", status)
	case t.kind.name == "features" && it.status != status:
		it.status = status
		m.log(featureEvent(it, status), t.kind.entityOf(it))
	case t.kind.name != "features":
		m.setStatus(t, it, status)
	}
	return nil
}

// named returns the set that a kind names, and the class within it.
func (m *orgCall) named(kind string) (t *set, class string, err error) {
	parts := strings.SplitN(kind, "/", 3)
	t = m.st.set(parts[0])
	switch {
	case parts[0] == "policies" && len(parts) == 2 && slices.Contains(simulatedPolicies, parts[1]):
		return t, parts[1], nil
	case parts[0] == "policyRules" && len(parts) == 3:
		for _, p := range m.st.set("policies").class(parts[1]) {
			if digText(p.body, "name") == parts[2] {
				return p.rules, "", nil
			}
		}
		return nil, "", errors.New("there is no such policy")
	case len(parts) > 1 || t == nil || parts[0] == "policies":
		return nil, "", fmt.Errorf("there is no kind %q", kind)
	}
	return t, "", nil
}

// find returns the set that a kind names, and the object with the key in it or
// nil.
func (m *orgCall) find(kind, key string) (*set, *item, error) {
	t, class, err := m.named(kind)
	if err != nil {
		return nil, nil, err
	}
	for _, it := range t.items {
		if (class == "" || it.class == class) && (t.kind.title(it.body) == key || kind == "trustedOrigins" && digText(it.body, "origin") == key) {
			return t, it, nil
		}
	}
	return t, nil, nil
}

// put creates or replaces an object.
func (m *orgCall) put(kind string, body doc) error {
	if name, ok := strings.CutPrefix(kind, "settings/"); ok {
		return m.putSetting(name, body)
	}
	t, class, err := m.named(kind)
	if err != nil {
		return err
	}
	if t.kind.shape == nil {
		return errors.New("objects of this kind can't be made")
	}
	if class != "" && body["type"] == nil {
		body["type"] = class
	}
	if t.owner != nil && body["type"] == nil {
		body["type"] = ruleType(t.owner.class)
	}
	if t.kind.name == "groupRules" && body["type"] == nil {
		body["type"] = "group_rule"
	}
	body, status, p := stripped(m.resolved(body))
	if len(p) > 0 {
		return errors.New(strings.Join(p, "; "))
	}
	_, it, err := m.find(kind, t.kind.title(body))
	if err != nil {
		return err
	}
	if it != nil {
		return m.overwrite(t, it, body, status)
	}
	it, refusal := m.create(t, body, status)
	if refusal != nil {
		return refusal.problem()
	}
	if status != "" && t.kind.born != "" {
		m.setStatus(t, it, status)
	}
	return nil
}

// overwrite replaces an object, also one that the API would not let be replaced: a
// group rule that is active. Of a system object what the body leaves out stays.
func (m *orgCall) overwrite(t *set, it *item, body doc, status string) error {
	before := it.status
	if t.kind.name == "groupRules" {
		it.status = inactive
	}
	if it.system {
		body = filled(body, it.body)
		if t.kind.ordered {
			body["priority"] = json.Number(itoa(t.priority(it)))
		}
	}
	refusal := m.replace(t, it, m.resolved(body), status)
	it.status = before
	if refusal != nil {
		return refusal.problem()
	}
	if status != "" {
		return m.force(t, it, status)
	}
	return nil
}

func (m *orgCall) putSetting(name string, body doc) error {
	g := settingNamed(name)
	if g == nil {
		return fmt.Errorf("there is no setting %q", name)
	}
	body, _, _ = stripped(m.resolved(body))
	if refusal := m.checkSetting(g, body, true); refusal != nil {
		return refusal.problem()
	}
	m.setSetting(g, filled(body, m.st.settings[g.name]))
	return nil
}

// problem returns what an error answer says.
func (a *answer) problem() error {
	var e oktaError
	json.Unmarshal(a.body, &e) // it is JSON of this package
	texts := []string{e.Summary}
	for _, c := range e.Causes {
		texts = append(texts, c.Summary)
	}
	return errors.New(strings.Join(texts, "; "))
}

// references are where the API has ids of other objects, and of which kind.
var references = []struct {
	kind string
	path []string
}{
	{"groups", []string{"conditions", "people", "groups", "include"}},
	{"groups", []string{"conditions", "people", "groups", "exclude"}},
	{"groups", []string{"actions", "assignUserToGroups", "groupIds"}},
	{"networkZones", []string{"conditions", "network", "include"}},
	{"networkZones", []string{"conditions", "network", "exclude"}},
	{"networkZones", []string{"excludeZones"}},
	{"behaviors", []string{"conditions", "risk", "behaviors"}},
}

// resolved returns a body with ids where it has names.
func (m *orgCall) resolved(body doc) doc {
	for _, r := range references {
		names := digTexts(body, r.path...)
		if names == nil {
			continue
		}
		t := m.st.set(r.kind)
		out := make([]any, len(names))
		for i, name := range names {
			out[i] = name
			for _, it := range t.items {
				if t.kind.title(it.body) == name {
					out[i] = it.id
					break
				}
			}
		}
		body = withValue(body, out, r.path...)
	}
	return body
}

// withValue returns a copy of nested objects with another value at the path.
func withValue(v doc, value any, path ...string) doc {
	out := maps.Clone(v)
	if len(path) == 1 {
		out[path[0]] = value
	} else {
		inner, _ := v[path[0]].(doc)
		out[path[0]] = withValue(inner, value, path[1:]...)
	}
	return out
}
