package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// TestExampleFleet applies the baselines of examples/fleet to orgs that have nothing of
// them yet. Afterwards nothing differs.
func TestExampleFleet(t *testing.T) {
	const de, uk = "acme-de.okta.com", "acme-uk.okta.com"
	clients := map[string]string{de: "0oa9acmede", "acme-fr.okta.com": "0oa9acmefr", uk: "0oa9acmeuk"}
	seed := simulator.DefaultSeed(2)
	var app simulator.Client // one key for all
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		t.Fatal(err)
	}
	if err := simulator.GrantOrgs(seed, access, jose.ES256); err != nil {
		t.Fatal(err)
	}
	app, seed.Clients = seed.Clients[len(seed.Clients)-1], seed.Clients[:len(seed.Clients)-1]
	args := []string{"--manifests", filepath.Join(top, "examples", "fleet"), "--log-level", "error"}
	for domain, id := range clients {
		org := simulator.Org{ID: "00o9" + strings.Repeat("0", 14) + domain[5:7], Domain: domain, Name: "Acme", Cell: "ok14", Managed: true}
		if domain == uk {
			org.Configuration = `{"networkZones": [{"name": "Old VPN", "type": "IP", "gateways": [{"type": "CIDR", "value": "192.0.2.0/24"}]}]}`
		}
		seed.Orgs = append(seed.Orgs, org)
		app.ID, app.Org = id, domain
		seed.Clients = append(seed.Clients, app)
		args = append(args, "--org", domain)
	}
	sim, config := serveSeed(t, seed, access)
	command := func(code int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), append(args, "--config", config), stdio{strings.NewReader(""), &out, &errs}, nil); got != code {
			t.Fatalf("%s ended with %d, want %d:\n%s%s", args[0], got, code, out.String(), errs.String())
		}
		return out.String()
	}
	command(exitOK, append([]string{"apply", "--yes"}, args...)...)
	command(exitOK, append([]string{"diff", "--detailed-exitcode"}, args...)...)

	if _, ok := sim.Objects(uk).Get("networkZones", "Old VPN"); ok {
		t.Error("the zone that is declared absent is still there")
	}
	for domain, desired := range map[string][]string{
		de: {"Unusual place", "From offices", "Elsewhere"},
		uk: {"Unusual place", "RADIUS", "From offices", "Elsewhere"},
	} {
		rules, err := sim.Objects(domain).List("policyRules/OKTA_SIGN_ON/Contractors")
		if err != nil {
			t.Fatal(err)
		}
		var actual []string
		for _, r := range rules {
			actual = append(actual, r["name"].(string))
		}
		if !slices.Equal(actual, desired) {
			t.Errorf("rules of %s: %q, want %q", domain, actual, desired)
		}
	}
}
