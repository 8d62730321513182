package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/links"
	"reconciler/internal/state"
)

// placesOf returns the places of manifests, as of a commit.
func placesOf(t *testing.T, commit string, manifests ...string) *Reconciler {
	t.Helper()
	var inputs []state.Input
	for i, text := range manifests {
		name := fmt.Sprintf("%d.yaml", i)
		inputs = append(inputs, state.Input{FS: fstest.MapFS{name: {Data: []byte(text)}}, Root: name})
	}
	desired, _, err := state.Load(inputs, state.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{places: &places{}, repository: links.Of("https://git.acme.example/it/orgs.git")}
	r.places.set(&Desired{State: desired, Commit: commit}, r.repository)
	return r
}

// What a process is told of places is what the other one knows.
func TestToldPlaces(t *testing.T) {
	const baseline = `version: 1
baselines: {workforce: {networkZones: [{name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}], groups: [{profile: {name: Contractors}}]}}
`
	const orgs = `version: 1
defaults: {baselines: [workforce]}
orgs:
  - {domain: acme-emea.okta.com, id: 00oemea0000000000000, cell: ok1, status: ACTIVE}
  - {domain: acme-labs.okta.com, cell: ok1}
  - {domain: acme-shop.okta.com, cell: ok1, baselines: []}
  - domain: acme-two.okta.com
    cell: ok1
    configuration: {networkZones: [{name: VPN, type: IP, gateways: [{type: CIDR, value: 203.0.113.0/24}]}]}
`
	leader := placesOf(t, strings.Repeat("ab", 20), baseline, orgs)
	data, err := leader.Places().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := leader.Places().Marshal(); err != nil || string(again) != string(data) {
		t.Errorf("another time it is %s, %v", again, err)
	}
	if n := strings.Count(string(data), "Contractors"); n != 2 {
		t.Errorf("the objects of the baseline are told %d times", n) // alone, and beside the zone of one org
	}
	standby := &Reconciler{places: &places{}, repository: leader.repository}
	if standby.places.of("acme-emea.okta.com") != nil || standby.places.inside("acme-emea.okta.com") != nil {
		t.Error("places are known before they are told")
	}
	if err := standby.SetPlaces(data); err != nil {
		t.Fatal(err)
	}
	for domain, fields := range map[string]int{"acme-emea.okta.com": 5, "acme-labs.okta.com": 3, "acme-shop.okta.com": 1, "acme-two.okta.com": 4, "acme-none.okta.com": 0} {
		want, inside := leader.places.of(domain), leader.places.inside(domain)
		if (want == nil) != (fields == 0) || len(inside) != fields {
			t.Errorf("%s: %+v, %d fields", domain, want, len(inside))
		}
		if diff := cmp.Diff(want, standby.places.of(domain)); diff != "" {
			t.Errorf("%s: %s", domain, diff)
		}
		if diff := cmp.Diff(inside, standby.places.inside(domain)); diff != "" {
			t.Errorf("%s: %s", domain, diff)
		}
	}
	if standby.Declared("acme-emea.okta.com") != nil {
		t.Error("what this process hasn't planned for is said to be declared")
	}
	if data, err := standby.Places().Marshal(); data != nil || err != nil {
		t.Errorf("what was told is told again: %s, %v", data, err)
	}
}

// Places are told again once something else is planned for.
func TestSamePlaces(t *testing.T) {
	const orgs = "version: 1\norgs: [{domain: acme-emea.okta.com, cell: ok1}]\n"
	one, two := placesOf(t, "one", orgs).Places(), placesOf(t, "two", orgs).Places()
	again, folder, other := placesOf(t, "one", orgs).Places(), placesOf(t, "", orgs).Places(), placesOf(t, "", orgs).Places()
	if !one.Same(one) || !one.Same(again) || !folder.Same(folder) || !(Places{}).Same(Places{}) {
		t.Error("the same places are others")
	}
	if one.Same(two) || one.Same(folder) || folder.Same(other) || one.Same(Places{}) || (Places{}).Same(one) {
		t.Error("other places are the same")
	}
}

func TestDamagedPlaces(t *testing.T) {
	for _, data := range []string{
		"", "[]", `{"files": [], "orgs": {"a": {"at": [0, 1]}}}`, `{"files": ["f"], "orgs": {"a": {"at": [-1, 1]}}}`,
		`{"files": ["f"], "orgs": {"a": {"at": [0, 1], "objects": 1}}}`, `{"files": ["f"], "orgs": {"a": {"at": [0, 1], "objects": -1}}}`,
		`{"files": ["f"], "orgs": {"a": {"at": [0, 1], "fields": {"status": [1, 1]}}}}`,
		`{"files": ["f"], "orgs": {}, "objects": [{"groups/a": [1, 1]}]}`,
	} {
		r := &Reconciler{places: &places{}}
		if err := r.SetPlaces([]byte(data)); err == nil || !strings.Contains(err.Error(), "where orgs are declared can't be read") || r.places.load() != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}
