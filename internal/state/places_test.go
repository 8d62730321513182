package state

import (
	"encoding/json"
	"testing"
)

func TestPlaces(t *testing.T) {
	at := func(line int) Pos { return Pos{File: "f.yaml", Line: line, Column: 1} }
	p := newPlaces([]Place{{"status", at(1)}, {"cell", at(2)}, {"status", at(3)}, {"mode", at(4)}})
	if len(p) != 3 || p.At("status") != at(3) || p.At("cell") != at(2) || p.At("mode") != at(4) {
		t.Errorf("%+v", p)
	}
	if pos, ok := p.Find("owner"); ok || pos != (Pos{}) {
		t.Errorf("a place that isn't there: %v", pos)
	}
	for _, test := range []struct {
		Places
		want string
	}{
		{nil, `null`}, {Places{}, `{}`}, {Places{{"cell", at(2)}}, `{"cell":{"File":"f.yaml","Line":2,"Column":1}}`},
	} {
		if got, err := json.Marshal(test.Places); err != nil || string(got) != test.want {
			t.Errorf("%s, %v, want %s", got, err, test.want)
		}
	}
}

// Orgs with the same products and labels share them, and of an object with variables all that
// has none.
func TestAlikeOrgs(t *testing.T) {
	d, err := loadText(`
version: 1
defaults: {products: [P000052], labels: {tier: one}, baselines: [all]}
baselines:
  all: {trustedOrigins: [{name: Portal, origin: 'https://${domain}', scopes: [{type: CORS}]}]}
orgs: [{domain: a.okta.com, labels: {region: eu}}, {domain: b.okta.com, labels: {region: eu}}, {domain: c.okta.com, labels: {region: us}}]
`)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := &d.Orgs[0], &d.Orgs[1], &d.Orgs[2]
	if a.Labels["region"] != "eu" || b.Labels["region"] != "eu" || c.Labels["region"] != "us" || c.Labels["tier"] != "one" {
		t.Errorf("%v, %v, %v", a.Labels, b.Labels, c.Labels)
	}
	body := func(o *DesiredOrg) map[string]any { return o.Config.Objects[0].Body }
	for _, o := range []*DesiredOrg{a, b, c} {
		if want := "https://" + o.Domain; body(o)["origin"] != want {
			t.Errorf("%s: %v", o.Domain, body(o))
		}
	}
	first, second := body(a)["scopes"].([]any), body(c)["scopes"].([]any)
	if &first[0] != &second[0] {
		t.Error("the scopes, in which there are no variables, are kept for each org")
	}
}
