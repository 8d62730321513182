package state

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func loadManifest(manifest string, parents map[string]string) ([]string, error) {
	_, warnings, err := Load([]Input{{FS: fstest.MapFS{"orgs.yaml": {Data: []byte(manifest)}}, Root: "orgs.yaml"}}, LoadOptions{Parents: parents})
	var all []string
	for _, w := range warnings {
		all = append(all, w.String())
	}
	return all, err
}

// TestDoubts: what may be declared and is hardly meant is warned of, where it
// stands.
func TestDoubts(t *testing.T) {
	warnings, err := loadManifest(`version: 1
products: {sso: P000052}
defaults: {products: [sso]}
orgs:
  - domain: acme-admin.okta.com
  - domain: the-admin.example.com
  - domain: a.okta.com
    products: [sso]
    productPolicy: ignore
  - domain: b.okta.com
    productPolicy: ignore
  - domain: c.okta.com
    protected: true
    status: INACTIVE
  - domain: d.okta.com
    protected: true
`, nil)
	want := []string{
		"orgs.yaml:5:13: acme-admin.okta.com is the address of an Admin Console: the org's domain is acme.okta.com",
		"orgs.yaml:9:20: productPolicy: ignore: the products that a.okta.com lists are not looked at",
		"orgs.yaml:14:13: c.okta.com is protected, and so is never set to INACTIVE",
	}
	if d := cmp.Diff(want, warnings); d != "" || err != nil {
		t.Errorf("error = %v\n%s", err, d)
	}
}

// TestCreationsOfAParent: what a parent can't create where it is declared is a
// mistake, as far as config and manifests tell.
func TestCreationsOfAParent(t *testing.T) {
	const manifest = `version: 1
orgs:
  - {domain: acme.okta.com, cell: ok1}
  - domain: DOMAIN
    cell: CELL
    create: {parent: acme, name: New, admin: {firstName: A, lastName: B, email: a@acme.example, login: a@acme.example}}
`
	for _, tt := range []struct {
		domain, cell, parent string
		want                 string
	}{
		{"new.okta.com", "ok1", "acme.okta.com", ""},
		{"new.oktapreview.com", "op1", "", ""},
		{"new.okta.com", "ok2", "acme.okta.com",
			"orgs.yaml:5:11: new.okta.com is to be created in the cell ok2, but its parent acme.okta.com is in ok1, and a new org lives in its parent's cell: correct the cell"},
		{"new.oktapreview.com", "ok1", "acme.okta.com",
			"orgs.yaml:4:13: new.oktapreview.com can't be created by its parent acme.okta.com, which makes orgs under okta.com only: declare a domain under okta.com, or another parent"},
		{"a.new.okta-emea.com", "ok1", "", "orgs.yaml:4:13: no parent can create a.new.okta-emea.com: a new org has one name before okta-emea.com"},
	} {
		_, err := loadManifest(strings.NewReplacer("DOMAIN", tt.domain, "CELL", tt.cell).Replace(manifest), map[string]string{"acme": tt.parent})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s in %s: error = %s\nwant %s", tt.domain, tt.cell, got, tt.want)
		}
	}
}
