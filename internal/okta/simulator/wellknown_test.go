package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// Each org tells who it is, by its domain as the host or in the path, without a
// token. By another host, the only org that creates others does.
func TestWellKnown(t *testing.T) {
	s := simulatortest.New(t, simulatortest.Config{Orgs: 4})
	child := s.Orgs()[6].Domain
	id := func(domain string) string {
		o, _ := s.Org(domain)
		return o.ID
	}
	get := func(url string) (status int, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(data)
	}
	const path = "/.well-known/okta-organization"
	for url, domain := range map[string]string{
		"https://" + child + path:                                  child,
		"https://" + child + ":8443" + path:                        child,
		"http://127.0.0.1:1/org/" + child + path:                   child,
		"https://" + simulator.DefaultAerialOrg + path:             simulator.DefaultAerialOrg,
		"http://127.0.0.1:1" + path:                                simulator.DefaultParent,
		"http://127.0.0.1:1/org/" + simulator.DefaultParent + path: simulator.DefaultParent,
		"https://acme.okta.com/org/" + child + path:                child,
	} {
		status, body := get(url)
		want := `{"id":"` + id(domain) + `","pipeline":"idx","settings":{},"_links":{"organization":{"href":"https://` + domain + `"}}}`
		if status != http.StatusOK || body != want {
			t.Errorf("%s: %d %s, want %s", url, status, body, want)
		}
	}
	if status, body := get("http://127.0.0.1:1/org/nobody.okta.com" + path); status != http.StatusNotFound || !json.Valid([]byte(body)) {
		t.Errorf("an org that isn't there: %d %s", status, body)
	}
	if err := s.RenameOrg(child, "acme-renamed.okta.com"); err != nil {
		t.Fatal(err)
	}
	if status, body := get("https://acme-renamed.okta.com" + path); status != http.StatusOK {
		t.Errorf("renamed: %d %s", status, body)
	}
	for _, to := range []string{simulator.DefaultParent, "no domain"} {
		if err := s.RenameOrg("acme-renamed.okta.com", to); err == nil {
			t.Errorf("renamed to %q", to)
		}
	}
}

// A renamed org keeps its credentials, its consent and its children.
func TestRenameOrg(t *testing.T) {
	seed := simulator.DefaultSeed(4)
	s := simulatortest.New(t, simulatortest.Config{Seed: seed})
	for from, to := range map[string]string{simulator.DefaultAerialOrg: "acme-hub.okta.com", simulator.DefaultParent: "acme-group.okta.com"} {
		if err := s.RenameOrg(from, to); err != nil {
			t.Fatal(err)
		}
	}
	dump := s.Dump()
	if err := dump.Validate(); err != nil {
		t.Error(err)
	}
	for _, o := range dump.Orgs {
		if o.Parent == simulator.DefaultParent {
			t.Errorf("%s has a parent that isn't there", o.Domain)
		}
	}
	if err := s.LinkOrg("acme-new.okta.com", "ada@acme.example"); err != nil {
		t.Error(err)
	}
}
