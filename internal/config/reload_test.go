package config

import "testing"

// Manifests that were checked by the domains of other parents are no fallback.
func TestSameManifests(t *testing.T) {
	parents := func(all ...Parent) *Config { return &Config{Manifests: "orgs", Parents: all} }
	c := parents(Parent{Name: "acme", Domain: "acme.okta.com"})
	for _, tt := range []struct {
		name string
		next *Config
		same bool
	}{
		{"a key of the parent", parents(Parent{Name: "acme", Domain: "acme.okta.com", Settle: 1}), true},
		{"its domain", parents(Parent{Name: "acme", Domain: "acme.okta-emea.com"}), false},
		{"its name", parents(Parent{Name: "acme-2", Domain: "acme.okta.com"}), false},
		{"no parent", parents(), false},
	} {
		if got := c.SameManifests(tt.next); got != tt.same {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
