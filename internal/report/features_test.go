package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kin are a parent, its children and an org without a parent.
func kin() (orgs, parents []FeatureOrg) {
	on, off := "ENABLED", "DISABLED"
	parents = []FeatureOrg{
		{Domain: "acme.okta.com", Features: []Feature{{ID: "ftr1", Name: "Alpha", Status: on}, {ID: "ftr2", Name: "Beta", Status: off}, {ID: "ftr3", Name: "Gamma", Status: on}, {ID: "ftr4", Name: "=Delta", Status: off}}},
		{Domain: "dark.okta.com", Unknown: "403 E0000006 forbidden"},
	}
	orgs = []FeatureOrg{
		{Domain: "emea.okta.com", Parent: "acme.okta.com", Features: []Feature{{ID: "ftr1", Name: "Alpha", Status: off}, {ID: "x2", Name: "Beta", Status: off}, {ID: "ftr4", Name: "=Delta", Status: on}, {ID: "ftr9", Name: "Old", Status: on}}, Declared: []string{"Alpha", "Past"}},
		{Domain: "apac.okta.com", Parent: "acme.okta.com", Features: []Feature{{ID: "ftr3", Name: "Gamma (new)", Status: on}}},
		{Domain: "bad.okta.com", Parent: "acme.okta.com", Unknown: "503 Service Unavailable"},
		{Domain: "lone.okta.com", Features: []Feature{{ID: "ftr1", Name: "Alpha", Status: on}}},
		{Domain: "shade.okta.com", Parent: "dark.okta.com", Features: []Feature{{ID: "ftr1", Name: "Alpha", Status: off}}},
	}
	return orgs, parents
}

func TestCompareFeatures(t *testing.T) {
	f := CompareFeatures(kin())
	got := map[string]string{}
	for _, c := range f.Orgs {
		for _, r := range c.Features {
			got[c.Org] += r.Feature + ": " + r.Status + "/" + r.ParentStatus + " " + string(r.State) + "; "
		}
	}
	wanted := map[string]string{
		"emea.okta.com": "=Delta: ENABLED/DISABLED ahead; Alpha: DISABLED/ENABLED behind; Beta: DISABLED/DISABLED same; " +
			"Gamma: /ENABLED not offered; Old: ENABLED/ gone; Past: / gone; ",
		"apac.okta.com": "=Delta: /DISABLED not offered; Alpha: /ENABLED not offered; Beta: /DISABLED not offered; Gamma (new): ENABLED/ENABLED same; ",
		"lone.okta.com": "Alpha: ENABLED/ ; ", "shade.okta.com": "Alpha: DISABLED/ ; ",
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	warnings := []string{`apac.okta.com: the feature with id ftr3 is called "Gamma (new)", and "Gamma" in acme.okta.com: taken for the same`,
		"the features of the parent dark.okta.com are not known: 403 E0000006 forbidden"}
	if diff := cmp.Diff(warnings, f.Warnings); diff != "" {
		t.Errorf("warnings (-wanted +got):\n%s", diff)
	}
}

func TestWriteFeatures(t *testing.T) {
	var b strings.Builder
	if err := WriteFeatures(&b, CompareFeatures(kin())); err != nil {
		t.Fatal(err)
	}
	wanted := `FEATURE  lone.okta.com
Alpha    ENABLED

FEATURE      PARENT acme.okta.com  apac.okta.com  emea.okta.com
=Delta       DISABLED              not offered    ahead
Alpha        ENABLED               not offered    behind
Beta         DISABLED              not offered    same
Gamma        ENABLED               -              not offered
Gamma (new)  ENABLED               same           -
Old          -                     -              gone
Past         -                     -              gone

FEATURE  PARENT dark.okta.com  shade.okta.com
Alpha    -                     DISABLED

bad.okta.com: not known: 503 Service Unavailable
`
	if diff := cmp.Diff(wanted, b.String()); diff != "" {
		t.Errorf("(-wanted +got):\n%s", diff)
	}
	b.Reset()
	if err := WriteFeaturesCSV(&b, CompareFeatures(kin())); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"org,parent,feature,id,status,parentStatus,state\n", "emea.okta.com,acme.okta.com,'=Delta,ftr4,ENABLED,DISABLED,ahead\n",
		"bad.okta.com,acme.okta.com,,,,,unknown: 503 Service Unavailable\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
}

// A table is no wider than a screen: what has no room stands in a further one.
func TestWriteFeaturesWide(t *testing.T) {
	var orgs []FeatureOrg
	for i := range 40 {
		orgs = append(orgs, FeatureOrg{Domain: strings.Repeat("x", 20) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".okta.com", Parent: "acme.okta.com"})
	}
	_, parents := kin()
	var b strings.Builder
	if err := WriteFeatures(&b, CompareFeatures(orgs, parents)); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > maxMatrix+1 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
	if n := strings.Count(b.String(), ".okta.com  ") + strings.Count(b.String(), ".okta.com\n"); n < 40 {
		t.Errorf("%d orgs:\n%s", n, b.String())
	}
}

// What an org calls a feature, and its status, can't rewrite the terminal.
func TestWriteFeaturesForeign(t *testing.T) {
	const foreign = "\x1b[2J\u202eON"
	features := []Feature{{ID: "ftr1", Name: foreign, Status: foreign}}
	var b strings.Builder
	err := WriteFeatures(&b, CompareFeatures([]FeatureOrg{
		{Domain: "emea.okta.com", Parent: "acme.okta.com", Features: features}, {Domain: "lone.okta.com", Features: features},
	}, []FeatureOrg{{Domain: "acme.okta.com", Features: features}}))
	if err != nil || !strings.Contains(b.String(), "ON") || strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q, %v", b.String(), err)
	}
}
