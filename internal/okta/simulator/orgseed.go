package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// seedOrder is the order in which the kinds of a configuration are made: what is
// referred to comes first.
var seedOrder = []string{"networkZones", "groups", "trustedOrigins", "behaviors", "policies", "groupRules", "apps", "settings"}

// configuration returns the objects that the seed has for an org. The same text is
// parsed once, and its objects are shared.
func (s *Simulator) configuration(text string) (doc, error) {
	if text == "" {
		return nil, nil
	}
	if c, ok := s.parsed[text]; ok {
		return c, nil
	}
	c := decode([]byte(text))
	if c == nil {
		return nil, errors.New("want a JSON object")
	}
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		if !slices.Contains(seedOrder, kind) {
			return nil, fmt.Errorf("there is no kind %q", kind)
		}
	}
	s.parsed[text] = c
	return c, nil
}

// configure makes the objects of the seed's configuration of an org. It logs no
// events.
func (m *orgCall) configure() error {
	c, err := m.configuration(m.st.org.Configuration)
	if err != nil {
		return err
	}
	for _, kind := range seedOrder {
		if kind == "settings" {
			values, _ := c[kind].(doc)
			for _, name := range slices.Sorted(maps.Keys(values)) {
				value, _ := values[name].(doc)
				if err := m.putSetting(name, value); err != nil {
					return fmt.Errorf("settings: %w", err)
				}
			}
			continue
		}
		items, _ := c[kind].([]any)
		for i, v := range items {
			body, ok := v.(doc)
			if !ok {
				return fmt.Errorf("%s: number %d is not an object", kind, i+1)
			}
			if err := m.configureOne(kind, body); err != nil {
				return fmt.Errorf("%s: number %d: %w", kind, i+1, err)
			}
		}
	}
	return nil
}

// configureOne makes one object, a policy with its rules.
func (m *orgCall) configureOne(kind string, body doc) error {
	if kind != "policies" {
		return m.put(kind, maps.Clone(body))
	}
	policy := maps.Clone(body)
	delete(policy, "rules")
	kind = "policies/" + digText(body, "type")
	if err := m.put(kind, policy); err != nil {
		return err
	}
	rules, _ := body["rules"].([]any)
	for i, v := range rules {
		rule, ok := v.(doc)
		if !ok {
			return fmt.Errorf("rules: number %d is not an object", i+1)
		}
		if err := m.put("policyRules/"+digText(body, "type")+"/"+digText(body, "name"), maps.Clone(rule)); err != nil {
			return fmt.Errorf("rules: number %d: %w", i+1, err)
		}
	}
	return nil
}

// tryConfigurations makes the state of one org for each configuration, to find what
// is wrong with it.
func (s *Simulator) tryConfigurations() error {
	seen := map[string]bool{}
	for _, o := range s.orgs {
		if o.Configuration == "" || seenBefore(seen, o.Pipeline+" "+o.Configuration) {
			continue
		}
		if st := s.state(o); st.broken != nil {
			return fmt.Errorf("orgs: %q: configuration: %w", o.Domain, st.broken)
		}
	}
	return nil
}
