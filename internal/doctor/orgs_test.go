package doctor_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/doctor"
	"reconciler/internal/okta/simulator"
)

// newFleetWorld is a world in which all of several orgs declare configuration, and have a
// service app of ours.
func newFleetWorld(t *testing.T, orgs int, scopes ...string) *world {
	t.Helper()
	var client *simulator.Credentials
	w := newWorld(t, func(s *setup) {
		s.seed = simulator.DefaultSeed(orgs)
		var err error
		if client, err = s.seed.AddClient(simulator.AllOrgs, jose.ES256, scopes...); err != nil {
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

var (
	reading = []string{"okta.groups.read", "okta.networkZones.read"}
	writing = append([]string{"okta.groups.manage", "okta.networkZones.manage"}, reading...)
)

func TestConfiguration(t *testing.T) {
	w := newFleetWorld(t, 12, writing...)
	if c := w.configuration(); c.Status != doctor.OK || !strings.Contains(c.Message, "that declare any, 3 were read, 3 by the service app of the manifest: ") {
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
	if n := len(w.called()); c.Status != doctor.OK || n < 8 || !strings.Contains(c.Message, fmt.Sprintf("of %d orgs that declare any, %d were read", n, n)) || len(c.Details) != n {
		t.Errorf("%+v, called %d", c, n)
	}
	// One that can't be read is named, with what can't be, and the others are read.
	w.fault("GET /org/" + few[1] + "/api/v1/zones status=403")
	c = w.configuration()
	if c.Status != doctor.Failure || !strings.Contains(c.Message, "and 1 can't be: "+few[1]+": 1 of 2 kinds can't be read: okta.networkZones.read: reading networkZones: 403") ||
		len(c.Details) != 1 || !strings.Contains(c.Hint, "okta.networkZones.read") || strings.Contains(c.Line(false), "\n") {
		t.Errorf("%+v", c)
	}
	w.opts.AllOrgs = false
	w.fault("GET /org/" + few[0] + "/api/v1/zones status=403")
	if c = w.configuration(); !strings.Contains(c.Message, "that declare any, 1 was read, and 2 can't be: ") {
		t.Errorf("%+v", c)
	}
}

// What is wrong with many orgs stays short as text, and each has its own hint.
func TestConfigurationOfMany(t *testing.T) {
	w := newFleetWorld(t, 30, writing...)
	w.opts.AllOrgs = true
	w.fault("GET /org/*/api/v1/zones status=403")
	w.fault("GET /org/*/api/v1/groups status=401")
	c := w.configuration()
	n := len(w.called())
	lines := strings.Split(c.Line(false), "\n")
	if c.Status != doctor.Failure || n < 12 || len(lines) != 11 || !strings.HasSuffix(lines[10], fmt.Sprintf("and %d more", n-10)) || len(c.Details) != n+1 {
		t.Errorf("called %d, %d lines, %d details:\n%s", n, len(lines), len(c.Details), c.Line(false))
	}
	if !strings.Contains(c.Message, fmt.Sprintf("0 were read, and %d can't be: ", n)) || !strings.Contains(lines[9], "reading ") || !strings.Contains(lines[9], "; hint: ") {
		t.Errorf("%s", c.Line(false))
	}
}

// An app that may only read is enough to report, and not to write.
func TestConfigurationReadOnly(t *testing.T) {
	w := newFleetWorld(t, 5, reading...)
	c := w.configuration()
	if c.Status != doctor.Warning || !strings.Contains(c.Message, "3 were read, and 3 can't be written: ") || !strings.Contains(c.Hint, "okta.groups.manage") {
		t.Errorf("%+v", c)
	}
	w.setenv("RECONCILER_MODE", "apply")
	if c := w.configuration(); c.Status != doctor.Failure {
		t.Errorf("%+v", c)
	}
	text := w.read("orgs/orgs.yaml")
	w.write("orgs/orgs.yaml", strings.Replace(text, "orgs:\n", "defaults: {mode: report}\norgs:\n", 1))
	if c := w.configuration(); c.Status != doctor.OK {
		t.Errorf("orgs that are only reported: %+v", c)
	}
}

// A scope that isn't granted, a wrong key and no credentials: each is told from the
// others.
func TestConfigurationWayIn(t *testing.T) {
	w := newFleetWorld(t, 5, "okta.networkZones.read")
	if c := w.configuration(); c.Status != doctor.Failure || !strings.Contains(c.Message, "1 of 2 kinds can't be read: okta.groups.read: ") || !strings.Contains(c.Message, "consent_required") ||
		!strings.Contains(c.Hint, "grant okta.groups.read") {
		t.Errorf("a scope: %+v", c)
	}
	w.setenv("RECONCILER_ORGS_AUTH_KEY_ID", "other")
	if c := w.configuration(); c.Status != doctor.Failure || !strings.Contains(c.Hint, "orgs.auth.keyID") || strings.Contains(c.Message, "kinds can't") {
		t.Errorf("a key: %+v", c)
	}
	text := w.read("orgs/orgs.yaml")
	w.write("orgs/orgs.yaml", regexp.MustCompile(`, access: \{[^}]*\}`).ReplaceAllString(text, ""))
	if c := w.configuration(); c.Status != doctor.Failure || !strings.Contains(c.Message, "no service app of the org is known") || !strings.Contains(c.Hint, "reconciler access ") {
		t.Errorf("none: %+v", c)
	}
}
