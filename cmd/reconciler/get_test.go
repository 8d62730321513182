package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/report"
)

// withFeatures is a fleet whose orgs have features switched on differently.
func withFeatures() *simulator.Seed {
	seed := simulator.DefaultSeed(5)
	for i := range seed.Orgs {
		switch o := &seed.Orgs[i]; {
		case o.Domain == simulator.DefaultParent:
			o.Features = []string{"Zone Usage Report"}
		case o.Parent == simulator.DefaultParent && i%2 == 0:
			o.Features = []string{"Import Monitoring"}
		}
	}
	return seed
}

// children returns a manifest of the children of the parent.
func (c *configured) children() string {
	var b strings.Builder
	b.WriteString("version: 1\norgs:\n")
	for _, o := range c.Dump().Orgs {
		if o.Managed && o.Parent != "" && strings.HasSuffix(o.Domain, ".okta.com") {
			fmt.Fprintf(&b, "  - domain: %s\n    cell: %s\n    access: {clientID: %s}\n", o.Domain, o.Cell, c.clientID)
			b.WriteString("    create: {parent: acme, name: X, admin: {firstName: A, lastName: B, email: a@b.example, login: a@b.example}}\n")
		}
	}
	return b.String()
}

// The features of children stand beside those of the parent, which is read though no
// manifest declares it.
func TestGetFeatures(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, withFeatures())
	file := c.write("fleet/orgs.yaml", c.children()+fmt.Sprintf("  - domain: %s\n    access: {clientID: %s}\n", simulator.DefaultParent, c.clientID))
	r := c.do("get", "features", "--manifests", file)
	if r.code != exitOK || !strings.Contains(r.out, "PARENT "+simulator.DefaultParent) {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"behind", "ahead", "same"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	r = c.do("get", "features", "--manifests", file, "-o", "json")
	var f report.Features
	if err := json.Unmarshal([]byte(r.out), &f); err != nil || r.code != exitOK || len(f.Orgs) != 3 {
		t.Fatalf("%v %+v", err, r)
	}
	for _, o := range f.Orgs {
		for _, row := range o.Features {
			if o.Parent != "" && row.Feature == "Zone Usage Report" && (row.State != report.FeatureBehind || row.ParentStatus != "ENABLED") {
				t.Errorf("%s: %+v", o.Org, row)
			}
		}
	}
	if r := c.do("get", "features", "--manifests", file, "-o", "csv"); r.code != exitOK || strings.Count(r.out, "Zone Usage Report") != 3 {
		t.Errorf("%+v", r)
	}
	if n := len(c.Writes()); n > 0 {
		t.Errorf("%d writes", n)
	}
}

// Orgs that can't be read are named.
func TestGetFeaturesUnread(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, withFeatures())
	file := c.write("fleet/orgs.yaml", c.children())
	// The parent isn't declared, and there is no way in.
	r := c.do("get", "features", "--manifests", file)
	if r.code != exitPartly || !strings.Contains(r.err, "warning: the features of the parent "+simulator.DefaultParent+" are not known: ") {
		t.Errorf("%+v", r)
	}
	f, err := simulator.ParseFault("GET /org/*/api/v1/features status=403 code=E0000006")
	if err == nil {
		err = c.AddFault(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := c.do("get", "features", "--manifests", file); r.code != exitError || !strings.Contains(r.err, "no org (3) could be read") {
		t.Errorf("%+v", r)
	}
}

func TestGetMisuse(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, withFeatures())
	file := c.write("fleet/orgs.yaml", c.children())
	for _, tt := range []struct {
		want string
		args []string
	}{
		{`get "feature": did you mean "features"?`, []string{"feature"}},
		{`get "everything": must be "changes", "drift", "features", "objects", "orgs", "products" or "runs"`, []string{"everything"}},
		{`-o "xml": must be`, []string{"features", "-o", "xml"}},
		{`--org "x.okta.com": the manifests declare no such org`, []string{"features", "--manifests", file, "--org", "x.okta.com"}},
	} {
		if r := c.do(append([]string{"get"}, tt.args...)...); r.code != exitError || !strings.Contains(r.err, tt.want) {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
	if r := c.do("get"); r.code != exitOK || !strings.Contains(r.out, "features") {
		t.Errorf("%+v", r)
	}
}
