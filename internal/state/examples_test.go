package state

import (
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The examples load without a warning, satisfy the schema, and say what their
// comments say.
func TestExamples(t *testing.T) {
	s := compileSchema(t)
	examples := os.DirFS("../../examples")
	for _, root := range []string{"orgs.yaml", "fleet"} {
		err := fs.WalkDir(examples, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(examples, name)
			if err != nil {
				return err
			}
			if got := verdict(t, s, data); got != "accepted" {
				t.Errorf("schema: %s: %s", name, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	load := func(root string) map[string]DesiredOrg {
		d, warnings, err := Load([]Input{{FS: examples, Root: root}}, LoadOptions{Parents: map[string]string{"acme": "acme.okta.com"}})
		if err != nil {
			t.Fatalf("%s:\n%v", root, err)
		}
		if warnings != nil {
			t.Errorf("%s: warnings %v", root, warnings)
		}
		orgs := map[string]DesiredOrg{}
		for _, o := range d.Orgs {
			orgs[o.Domain] = o
		}
		return orgs
	}
	const sso, mfa, lcm, itp = "P000052", "P000131", "P000139", "P001113"
	orgs, fleet := load("orgs.yaml"), load("fleet")
	if len(orgs) != 8 || len(fleet) != 11 {
		t.Errorf("%d and %d orgs, want 8 and 11", len(orgs), len(fleet))
	}
	for _, tt := range []struct {
		org    DesiredOrg
		wanted []string
	}{
		{orgs["acme-aerial.okta.com"], []string{sso, mfa}},
		{orgs["acme-emea.okta.com"], []string{sso, mfa, lcm}},
		{orgs["acme-apac.okta.com"], []string{sso, mfa, lcm, itp}},
		{orgs["acme-labs.oktapreview.com"], []string{}},
		{fleet["acme-de.okta.com"], []string{sso, mfa, lcm}},
		{fleet["acme-uk.okta.com"], []string{sso, mfa, lcm, itp}},
		{fleet["acme-2019.okta.com"], []string{}},
	} {
		if diff := cmp.Diff(tt.wanted, tt.org.Products); diff != "" {
			t.Errorf("products of %q differ (-wanted +got):\n%s", tt.org.Domain, diff)
		}
	}
	de, uk := fleet["acme-de.okta.com"], fleet["acme-uk.okta.com"]
	if got := names(&uk, "networkZones"); !slices.Equal(got, []string{"Anonymizers", "Offices", "Old VPN"}) || uk.ClientID == "" {
		t.Errorf("network zones %q", got)
	}
	if got := names(&de, "trustedOrigins"); !slices.Equal(got, []string{"https://acme-de.acme.example"}) || de.Labels["region"] != "emea" {
		t.Errorf("trusted origins %q", got)
	}
	if fleet["acme.okta.com"].Config != nil {
		t.Error("an org without baselines has a configuration")
	}
}
