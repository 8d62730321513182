package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"reconciler/internal/config"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

const freshOrg = "acme-fresh.okta.com"

// accessRig is a rig with a config for orgs, and a manifest of an org that is to be
// created.
type accessRig struct {
	*rig
	t         *testing.T
	url       string // of the simulator
	account   string
	manifests string
	environ   []string
}

func newAccessRig(t *testing.T) *accessRig {
	t.Helper()
	r := &accessRig{rig: newRig(t, 3, false), t: t}
	cfg, _, err := config.Load(r.config, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.url, r.account = cfg.Aerial.URL.String(), cfg.Aerial.AccountID
	r.manifests = filepath.Join(r.dir, "fresh.yaml")
	if err := os.WriteFile(r.manifests, []byte(`version: 1
orgs:
  - domain: `+freshOrg+`
    cell: ok1
    create:
      parent: acme
      name: Acme Fresh
      website: https://acme.example
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	r.environ = []string{
		"RECONCILER_ORGS_URL=" + r.url + "/org/{domain}", "RECONCILER_ORGS_AUTH_KEY_ID=k1",
		"RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=" + filepath.Join(r.dir, "aerial.pem"),
	}
	return r
}

// do runs the program with more variables.
func (r *accessRig) do(more []string, args ...string) (code int, out, errs string) {
	r.t.Helper()
	var stdout, stderr buffer
	std := stdio{strings.NewReader(""), &stdout, &stderr}
	args = append(args, "--config", r.config, "--manifests", r.manifests)
	code = run(r.t.Context(), args, std, slices.Concat(r.environ, more))
	return code, stdout.String(), stderr.String()
}

// token returns the token that the org's creation left.
func (r *accessRig) token() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "tokens", freshOrg+"_*.token"))
	if err != nil || len(files) != 1 {
		r.t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// list reads a list of the org.
func (r *accessRig) list(path string) (all []map[string]any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+"/org/"+freshOrg+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "SSWS "+r.token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// apps returns the client ids of the org's service apps.
func (r *accessRig) apps() []string {
	var ids []string
	for _, app := range r.list("/api/v1/apps") {
		if app["label"] == "reconciler" {
			ids = append(ids, app["id"].(string))
		}
	}
	return ids
}

// check checks that the org has one service app, which has all that it needs.
func (r *accessRig) check() (clientID string) {
	r.t.Helper()
	ids := r.apps()
	if len(ids) != 1 {
		r.t.Fatalf("apps: %q", ids)
	}
	if n := len(r.list("/api/v1/apps/" + ids[0] + "/grants")); n < 10 {
		r.t.Errorf("%d scopes", n)
	}
	if n := len(r.list("/oauth2/v1/clients/" + ids[0] + "/roles")); n != 1 {
		r.t.Errorf("%d roles", n)
	}
	j := journal.New(location.Folder(filepath.Join(r.dir, "state")), journal.Options{})
	defer j.Close()
	all, err := j.Accesses(r.account)
	if err != nil || len(all) != 1 || all[0].Open() || all[0].ClientID != ids[0] {
		r.t.Errorf("journal: %+v, %v", all, err)
	}
	return ids[0]
}

// Whatever call is in flight when the process is killed, the next one finishes what it
// began, and there is one app.
func TestAccessKilled(t *testing.T) {
	for _, tt := range []struct{ name, fault string }{
		{"before the app is there", "POST /org/*/api/v1/apps hang times=1"},
		{"after the app is there", "POST /org/*/api/v1/apps hang after times=1"},
		{"at a scope", "POST /org/*/api/v1/apps/*/grants hang after nth=3"},
		{"at the role", "POST /org/*/oauth2/v1/clients/*/roles hang after times=1"},
		{"at the token", "POST /org/*/oauth2/v1/token hang times=1"},
		{"at the proof", "GET /org/*/api/v1/features hang times=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newAccessRig(t)
			if code, _, errs := r.do(nil, "apply", "--yes"); code != exitOK {
				t.Fatalf("%d: %s", code, errs)
			}
			for _, kv := range r.environ {
				name, value, _ := strings.Cut(kv, "=")
				t.Setenv(name, value)
			}
			fault, err := simulator.ParseFault(tt.fault)
			if err != nil {
				t.Fatal(err)
			}
			called := r.event(t, fault)
			p := startProcess(t, nil, "access "+freshOrg+" --config "+r.config+" --manifests "+r.manifests)
			await(t, called, p)
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.Wait()
			r.sim.ClearFaults()
			code, out, errs := r.do(nil, "access", freshOrg)
			if clientID := r.check(); code != exitOK || out != "access: {clientID: "+clientID+"}\n" {
				t.Errorf("%d: %s%s", code, out, errs)
			}
		})
	}
}

// An org that is created gets its service app in the same run, and if that fails, the
// org stays, and the next run tries again.
func TestBootstrap(t *testing.T) {
	role := []string{"RECONCILER_ORGS_BOOTSTRAP_ROLE=READ_ONLY_ADMIN"}
	r := newAccessRig(t)
	fault, err := simulator.ParseFault("POST /org/*/api/v1/apps/*/grants status=403")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.sim.AddFault(fault); err != nil {
		t.Fatal(err)
	}
	code, out, errs := r.do(role, "apply", "--yes")
	if code != exitOK || !strings.Contains(out, "it has no service app yet: granting the scope") || !strings.Contains(out, "; the next run tries again") {
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	r.sim.ClearFaults()
	if _, out, _ := r.do(role, "diff"); !strings.Contains(out, "it has no service app yet (granting the scope") {
		t.Errorf("diff says nothing of it: %s", out)
	}
	if code, out, errs := r.do(role, "apply", "--yes"); code != exitOK {
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	r.check()
	if code, out, errs := r.do(role, "diff", "--detailed-exitcode"); code != exitOK || strings.Contains(out, "service app") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	r = newAccessRig(t)
	code, out, errs = r.do(role, "apply", "--yes")
	if clientID := r.check(); code != exitOK || !strings.Contains(out, "it has a service app: add access: {clientID: "+clientID+"} to the manifest") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	for _, secret := range r.known() {
		if strings.Contains(out+errs, secret) {
			t.Errorf("printed a secret that begins with %q", secret[:6])
		}
	}
}

// A token that only somebody else can read is used while it is in memory; after that the
// run says what to do.
func TestBootstrapEncrypted(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, fails := range []bool{false, true} {
		r := newAccessRig(t)
		recipients := filepath.Join(r.dir, "recipients")
		if err := os.WriteFile(recipients, []byte(identity.Recipient().String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		environ := []string{"RECONCILER_ORGS_BOOTSTRAP_ROLE=ORG_ADMIN", "RECONCILER_TOKENS_RECIPIENTS_FILE=" + recipients}
		if fails {
			fault, err := simulator.ParseFault("POST /org/*/api/v1/apps status=400 times=1")
			if err != nil {
				t.Fatal(err)
			}
			if err := r.sim.AddFault(fault); err != nil {
				t.Fatal(err)
			}
		}
		code, out, errs := r.do(environ, "apply", "--yes")
		if code != exitOK || strings.Contains(out, "it has a service app") == fails {
			t.Fatalf("%d: %s%s", code, out, errs)
		}
		if !fails {
			continue
		}
		if code, _, errs := r.do(environ, "apply", "--yes"); code != exitOK || !strings.Contains(errs, "is encrypted") {
			t.Errorf("%d: %s", code, errs)
		}
		if code, _, errs := r.do(environ, "access", freshOrg); code != exitError || !strings.Contains(errs, "age -d -i KEY FILE, and give it with --token-file -") {
			t.Errorf("%d: %s", code, errs)
		}
	}
}

// awaitLink waits until the org is in the account.
func (r *accessRig) awaitLink() {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if slices.ContainsFunc(r.sim.Orgs(), func(o simulator.Org) bool { return o.Domain == freshOrg && o.Managed }) {
			return
		}
	}
	r.t.Fatal("the org was not linked")
}

// A run that is killed after the org was linked leaves the service app to the next one.
func TestBootstrapKilled(t *testing.T) {
	for _, fault := range []string{"POST /api/v1/orgs hang after api=aerial", "GET /org/*/.well-known/okta-organization hang times=1"} {
		r := newAccessRig(t)
		r.environ = append(r.environ, "RECONCILER_ORGS_BOOTSTRAP_ROLE=ORG_ADMIN")
		for _, kv := range r.environ {
			name, value, _ := strings.Cut(kv, "=")
			t.Setenv(name, value)
		}
		f, err := simulator.ParseFault(fault)
		if err != nil {
			t.Fatal(err)
		}
		called := r.event(t, f)
		p := startProcess(t, nil, "apply --yes --config "+r.config+" --manifests "+r.manifests)
		await(t, called, p)
		r.awaitLink()
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		r.sim.ClearFaults()
		if code, out, errs := r.do(nil, "apply", "--yes"); code != exitOK {
			t.Fatalf("%d: %s%s", code, out, errs)
		}
		r.check()
	}
}

// What is wrong is said in one line, with what to do, and how the command ends.
func TestAccessErrors(t *testing.T) {
	r := newAccessRig(t)
	if code, _, errs := r.do(nil, "apply", "--yes"); code != exitOK {
		t.Fatalf("%d: %s", code, errs)
	}
	empty := filepath.Join(r.dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		err     string
	}{
		{"no domain", nil, nil, exitError, "name the DOMAIN of an org"},
		{"a URL", nil, []string{"https://" + freshOrg}, exitError, "is no domain of an org"},
		{"role", nil, []string{freshOrg, "--role", "ORG_ADMN"}, exitError, `did you mean "ORG_ADMIN"?`},
		{"unknown org", nil, []string{"acme-other.okta.com"}, exitError, "declare the org with its id"},
		{"no token", []string{"RECONCILER_TOKENS_DIR=" + filepath.Join(r.dir, "none")}, []string{freshOrg}, exitError, "give it with --token-file"},
		{"no key", []string{"RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=", "RECONCILER_ORGS_AUTH_KEY_ID="}, []string{freshOrg}, exitError, "lacks orgs.auth.privateKeyFile"},
		{"no key id", []string{"RECONCILER_ORGS_AUTH_KEY_ID="}, []string{freshOrg}, exitError, "set orgs.auth.keyID"},
		{"empty token", nil, []string{freshOrg, "--token-file", empty}, exitError, "it is empty"},
		{"empty stdin", nil, []string{freshOrg, "--token-file", "-"}, exitError, "stdin: it is empty"},
		{"held", []string{"RECONCILER_SUSPEND_0_REASON=audit", "RECONCILER_SUSPEND_0_OWNER=ada"}, []string{freshOrg}, exitRefused, "writes to the org are held: suspended by"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := r.do(tt.environ, append([]string{"access"}, tt.args...)...)
			if code != tt.code || out != "" || !strings.Contains(errs, tt.err) {
				t.Errorf("%d: %s%s", code, out, errs)
			}
		})
	}
	if ids := r.apps(); len(ids) > 0 {
		t.Errorf("apps: %q", ids)
	}
}
