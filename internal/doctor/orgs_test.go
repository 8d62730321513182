package doctor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/doctor"
	"reconciler/internal/okta/simulator"
)

// newFleetWorld is a world in which all of several orgs declare configuration, and have a
// service app of ours.
func newFleetWorld(t *testing.T, orgs int) *world {
	t.Helper()
	var client *simulator.Credentials
	w := newWorld(t, func(s *setup) {
		s.seed = simulator.DefaultSeed(orgs)
		var err error
		if client, err = s.seed.AddClient(simulator.AllOrgs, jose.ES256, "okta.groups.read", "okta.networkZones.read"); err != nil {
			t.Fatal(err)
		}
	})
	pem, err := client.PEM()
	if err != nil {
		t.Fatal(err)
	}
	w.write("orgs.pem", string(pem))
	w.canaries.add(string(pem))
	w.setenv("RECONCILER_ORGS_URL", w.url+"/org/{domain}")
	w.setenv("RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE", w.path("orgs.pem"))
	w.setenv("RECONCILER_ORGS_AUTH_KEY_ID", client.KeyID)
	var text strings.Builder
	text.WriteString("version: 1\nbaselines: {all: {groups: [{profile: {name: Contractors}}], networkZones: [{name: Offices, type: IP}]}}\norgs:\n")
	for _, o := range w.seed.Orgs {
		if o.Managed && o.Status == "ACTIVE" {
			fmt.Fprintf(&text, "  - {domain: %s, cell: %s, baselines: [all], access: {clientID: %s}}\n", o.Domain, o.Cell, client.ClientID)
		}
	}
	w.write("orgs/orgs.yaml", text.String())
	return w
}

func (w *world) configuration() doctor.Check {
	w.t.Helper()
	for _, c := range w.examine().Checks {
		if c.Name == "configuration" {
			return c
		}
	}
	w.t.Fatal("it was not looked at")
	return doctor.Check{}
}

// called returns the orgs whose own API was called.
func (w *world) called() (domains []string) {
	for _, o := range w.seed.Orgs {
		if len(w.sim.OrgRequests(o.Domain)) > 0 {
			domains = append(domains, o.Domain)
		}
	}
	return domains
}

func TestConfiguration(t *testing.T) {
	w := newFleetWorld(t, 12)
	if c := w.configuration(); c.Status != doctor.OK || !strings.Contains(c.Message, "that declare any, 3 were read: ") {
		t.Errorf("%+v", c)
	}
	few := w.called()
	if len(few) != 3 {
		t.Errorf("called %q", few)
	}
	w.configuration()
	if again := w.called(); fmt.Sprint(again) != fmt.Sprint(few) {
		t.Errorf("called %q, and then %q", few, again)
	}
	w.opts.AllOrgs = true
	c := w.configuration()
	if n := len(w.called()); c.Status != doctor.OK || n < 8 || !strings.Contains(c.Message, fmt.Sprintf("of %d orgs that declare any, %d were read", n, n)) {
		t.Errorf("%+v, called %d", c, n)
	}
	// One that can't be read is named, and the others are read.
	w.fault("GET /org/" + few[1] + "/api/v1/zones status=403")
	c = w.configuration()
	if c.Status != doctor.Failure || !strings.Contains(c.Message, "and 1 can't be: "+few[1]+": reading networkZones: 403") || len(c.Details) != 1 || c.Hint == "" {
		t.Errorf("%+v", c)
	}
}
