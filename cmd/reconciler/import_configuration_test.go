package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// officeZones are zones of which the offices differ from org to org.
const officeZones = `"networkZones": [
	{"type": "IP", "name": "Offices", "usage": "POLICY", "gateways": [{"type": "CIDR", "value": "%s"}]},
	{"type": "IP", "name": "Blocked", "usage": "BLOCKLIST", "gateways": [{"type": "RANGE", "value": "192.0.2.7-192.0.2.9"}]}]`

// lived is a fleet in which somebody has clicked things together.
func lived() *simulator.Seed {
	seed := simulator.DefaultSeed(5)
	n := 0
	for i := range seed.Orgs {
		o := &seed.Orgs[i]
		if !o.Managed {
			continue
		}
		n++
		o.Configuration = `{` + fmt.Sprintf(officeZones, fmt.Sprintf("198.51.100.%d/32", n)) + `,
			"groups": [{"profile": {"name": "Contractors", "description": "Costs $5 ${each}"}}, {"profile": {"name": "Staff"}}],
			"groupRules": [{"name": "Contractors by type", "type": "group_rule",
				"conditions": {"expression": {"value": "user.userType==\"contractor\"", "type": "urn:okta:expression:1.0"}},
				"actions": {"assignUserToGroups": {"groupIds": ["Contractors"]}}}],
			"trustedOrigins": [{"name": "Portal", "origin": "https://portal.acme.example", "scopes": [{"type": "CORS"}]}],
			"behaviors": [{"name": "New thing", "type": "ANOMALOUS_DEVICE", "settings": {"maxEventsUsedForEvaluation": 20}}],
			"policies": [{"type": "OKTA_SIGN_ON", "name": "Contractors", "conditions": {"people": {"groups": {"include": ["Contractors"]}}},
				"rules": [{"name": "From offices", "conditions": {"network": {"connection": "ZONE", "include": ["Offices"]}}, "actions": {"signon": {"access": "ALLOW"}}}]}],
			"settings": {"threatInsight": {"action": "audit", "excludeZones": ["Offices"]}}}`
		if n == 3 {
			o.Configuration = `{"groups": [{"profile": {"name": "Only here"}}]}`
		}
	}
	return seed
}

// configured is a simulator, and a way to run commands with service apps in all orgs.
type configured struct {
	*simulator.Simulator
	t        *testing.T
	dir      string
	config   string
	clientID string
	environ  []string
}

func newConfigured(t *testing.T, seed *simulator.Seed) *configured {
	t.Helper()
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		t.Fatal(err)
	}
	app, err := seed.AddClient(simulator.AllOrgs, jose.ES256, simulator.OrgScopes()...)
	if err != nil {
		t.Fatal(err)
	}
	c := &configured{t: t, dir: t.TempDir(), clientID: app.ClientID}
	if c.Simulator, err = simulator.New(seed, simulator.Options{}); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c.Simulator)
	t.Cleanup(srv.Close)
	access.URL = srv.URL
	if c.config, err = simulator.WriteConfig(c.dir, seed, *access); err != nil {
		t.Fatal(err)
	}
	key, err := app.PEM()
	if err != nil {
		t.Fatal(err)
	}
	c.write("orgs.pem", string(key))
	c.environ = []string{
		"RECONCILER_ORGS_URL=" + srv.URL + "/org/{domain}", "RECONCILER_ORGS_AUTH_KEY_ID=" + app.KeyID,
		"RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=" + filepath.Join(c.dir, "orgs.pem"),
	}
	return c
}

// write writes a file and returns its path.
func (c *configured) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *configured) do(args ...string) imported {
	c.t.Helper()
	var out, errs buffer
	code := run(c.t.Context(), append(args, "--config", c.config), stdio{strings.NewReader(""), &out, &errs}, c.environ)
	return imported{code, out.String(), errs.String()}
}

// manifest returns a manifest of the managed orgs.
func (c *configured) manifest(more string) string {
	var b strings.Builder
	b.WriteString("# Ours.\nversion: 1\n\norgs:\n")
	for _, o := range c.Dump().Orgs {
		if o.Managed {
			fmt.Fprintf(&b, "  # %s\n  - domain: %s\n    access: {clientID: %s}\n%s\n", o.Name, o.Domain, c.clientID, more)
		}
	}
	return b.String()
}

// What is imported over HTTP differs in nothing from the orgs, whether it is printed or
// written to files, and importing it again changes nothing.
func TestImportConfigurationThenDiff(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, lived())
	before := c.write("before/orgs.yaml", c.manifest("    protected: true # by hand\n"))
	r := c.do("import", "--configuration", "--manifests", before)
	if r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{
		"# Ours.\n", "protected: true # by hand\n", "access: {clientID: ", "baselines: [common", "network: {connection: ZONE, include: [Offices]}",
		`Costs $$5 $${each}`, "groupIds: [Contractors]", "- name: Default Rule\n", "system: true\n", "threatInsight: {action: audit, excludeZones: [Offices]}",
		"profile: {name: Only here}",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	if strings.Contains(r.out, "00g") || strings.Contains(r.out, "nzo") {
		t.Errorf("ids:\n%s", r.out)
	}
	after := c.write("after/orgs.yaml", r.out)
	if d := c.do("diff", "--detailed-exitcode", "--manifests", after); d.code != exitOK || !strings.Contains(d.out, "No differences") {
		t.Errorf("%+v\n%s", d, r.out)
	}
	if again := c.do("import", "--configuration", "--manifests", after); again.code != exitOK || again.out != r.out {
		t.Errorf("again: %d %s\n%s", again.code, again.err, again.out)
	}
	if n := len(c.Writes()); n > 0 {
		t.Errorf("%d writes", n)
	}
}

// An org that can't be read keeps what its manifest had, the others are imported, and
// the exit code says so. If none can be read, nothing is written.
func TestImportConfigurationUnread(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, lived())
	had := "    configuration:\n      settings:\n        threatInsight: {action: block}\n"
	before := c.write("before/orgs.yaml", c.manifest(had))
	fault := func(text string) {
		t.Helper()
		f, err := simulator.ParseFault(text)
		if err == nil {
			err = c.AddFault(f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fault("GET /org/" + simulator.DefaultParent + "/api/v1/zones status=403 code=E0000006")
	r := c.do("import", "--configuration", "--manifests", before)
	if r.code != exitPartly || strings.Count(r.out, "{action: block}") != 1 || !strings.Contains(r.out, "    # not imported: it could not be read: reading networkZones: 403 E0000006") {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(r.err, "warning: "+simulator.DefaultParent+": not imported, because it could not be read: reading networkZones: 403 E0000006") {
		t.Errorf("%s", r.err)
	}
	fault("GET /org/*/api/v1/zones status=403 code=E0000006")
	out := filepath.Join(c.dir, "out")
	r = c.do("import", "--configuration", "--manifests", before, "--out", out)
	if r.code != exitError || r.out != "" || !strings.Contains(r.err, "nothing was written: no org (5) could be read") {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}

// What an org doesn't have, for want of a feature, is left out, and no error.
func TestImportConfigurationLacking(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, lived())
	before := c.write("before/orgs.yaml", c.manifest(""))
	f, err := simulator.ParseFault("GET /org/" + simulator.DefaultParent + "/api/v1/behaviors status=401 code=E0000015")
	if err == nil {
		err = c.AddFault(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := c.do("import", "--configuration", "--manifests", before)
	if r.code != exitOK || strings.Count(r.out, "# not imported: behaviors left out: the org doesn't have them: 401 E0000015") != 1 || strings.Count(r.out, "  behaviors:\n") != 1 {
		t.Fatalf("%+v", r)
	}
	if !strings.Contains(r.err, "warning: "+simulator.DefaultParent+": behaviors left out") {
		t.Error(r.err)
	}
}

// Single kinds and orgs are imported into a folder of several files, in place, and all
// else stays as it was.
func TestImportConfigurationPartly(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, lived())
	whole := c.manifest("    configuration:\n      # by hand\n      groups:\n        - profile: {name: Mine}\n      settings:\n        threatInsight: {action: block}\n")
	at := strings.Index(whole, "  # Acme\n")
	c.write("fleet/a.yaml", whole[:at])
	c.write("fleet/more/b.yaml", "version: 1\norgs:\n"+whole[at:])
	fleet := filepath.Join(c.dir, "fleet")
	if r := c.do("import", "--configuration", "--manifests", fleet); r.code != exitError || !strings.Contains(r.err, "hint: name a folder for them: --out FOLDER") {
		t.Errorf("%+v", r)
	}
	if r := c.do("import", "--configuration", "--manifests", fleet, "--out", fleet); r.code != exitError || !strings.Contains(r.err, "--force") {
		t.Errorf("%+v", r)
	}
	r := c.do("import", "--configuration", "--manifests", fleet, "--out", fleet, "--force", "--kind", "networkZones", "--kind", "threatInsight", "--org", simulator.DefaultParent)
	if r.code != exitOK || r.out != filepath.Join(fleet, "more/b.yaml")+"\n" {
		t.Fatalf("%+v", r)
	}
	got, err := os.ReadFile(filepath.Join(fleet, "more/b.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got); strings.Count(text, "{name: Mine}") != 4 || strings.Count(text, "name: Offices") != 1 || strings.Count(text, "action: block") != 3 || !strings.Contains(text, "# by hand") {
		t.Errorf("%s", text)
	}
	r = c.do("import", "--configuration", "--manifests", fleet, "--out", fleet, "--force")
	if r.code != exitOK || !strings.Contains(r.out, filepath.Join(fleet, "baselines.yaml")) {
		t.Fatalf("%+v", r)
	}
	if d := c.do("diff", "--detailed-exitcode", "--manifests", fleet); d.code != exitOK {
		t.Errorf("%+v", d)
	}
}

// What makes no sense is refused before anything is asked.
func TestImportConfigurationMisuse(t *testing.T) {
	t.Parallel()
	c := newConfigured(t, lived())
	before := c.write("before/orgs.yaml", c.manifest(""))
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"--kind needs --configuration", []string{"--kind", "groups"}},
		{"--org needs --configuration", []string{"--org", "a.okta.com"}},
		{"--manifests needs --configuration", []string{"--manifests", before}},
		{"--split and --configuration exclude each other", []string{"--configuration", "--split", "cell"}},
		{`--kind "networkZone": did you mean "networkZones"?`, []string{"--configuration", "--kind", "networkZone"}},
		{`--kind "policyRules": `, []string{"--configuration", "--kind", "policyRules"}},
		{`--org "acme-x.okta.com": the manifests declare no such org`, []string{"--configuration", "--manifests", before, "--org", "acme-x.okta.com"}},
	} {
		if r := c.do(append([]string{"import"}, tt.args...)...); r.code != exitError || r.out != "" || !strings.Contains(r.err, tt.want) {
			t.Errorf("%q: %+v", tt.args, r)
		}
	}
}
