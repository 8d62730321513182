package doctor_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	gocmp "github.com/google/go-cmp/cmp"

	"reconciler/internal/config"
	"reconciler/internal/doctor"
	"reconciler/internal/git/gitrepo"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/postgres"
	"reconciler/internal/store/postgres/postgrestest"
)

// finding is what is expected of a check: the status, and parts of message and
// hint.
type finding struct {
	status  doctor.Status
	message string
	hint    string
}

func ok(message string) finding            { return finding{doctor.OK, message, ""} }
func warning(message, hint string) finding { return finding{doctor.Warning, message, hint} }
func failure(message, hint string) finding { return finding{doctor.Failure, message, hint} }
func skipped(message string) finding       { return finding{doctor.Skipped, message, ""} }

// expected says what is expected of some checks; all others must be ok.
type expected map[string]finding

func (e expected) and(more expected) expected {
	all := expected{}
	for _, m := range []expected{e, more} {
		for name, f := range m {
			all[name] = f
		}
	}
	return all
}

func withoutToken() expected {
	return expected{
		"dpop": skipped("needs token"), "manage scope": skipped("needs token"), "system log": skipped("needs token"),
		"aerial account": skipped("needs token"), "orgs": skipped("needs aerial account"), "products": skipped("needs aerial account"), "configuration": skipped("needs orgs"),
	}
}

func without(what string, names ...string) expected {
	all := expected{}
	for _, name := range names {
		all[name] = skipped("needs " + what)
	}
	return all
}

// noKey is what follows when there is no key.
func noKey() expected { return withoutToken().and(without("key", "token")) }

// noAPI is what follows when the Aerial API can't be reached.
func noAPI() expected {
	return without("aerial api", "aerial account").and(without("aerial account", "orgs", "products").and(without("orgs", "configuration")))
}

func check(t *testing.T, w *world, want expected) *doctor.Report {
	t.Helper()
	r := w.examine()
	failures := 0
	for name := range want {
		if !slices.ContainsFunc(r.Checks, func(c doctor.Check) bool { return c.Name == name }) {
			t.Errorf("there is no check %q", name)
		}
	}
	for _, c := range r.Checks {
		f := want[c.Name]
		if c.Status == doctor.Failure {
			failures++
		}
		if c.Status != cmp.Or(f.status, doctor.OK) || !strings.Contains(c.Message, f.message) || !strings.Contains(c.Hint, f.hint) {
			t.Errorf("want %q, %q, %q, got\n%s", cmp.Or(f.status, doctor.OK), f.message, f.hint, c.Line(false))
		}
		if c.Message == "" || strings.ContainsAny(c.Message+c.Hint, "\r\n\t\x1b") {
			t.Errorf("not one line: %q, %q", c.Message, c.Hint)
		}
		if (c.Status == doctor.OK || c.Status == doctor.Skipped) && c.Hint != "" {
			t.Errorf("a hint where nothing is to be done: %s", c.Line(false))
		}
	}
	if r.OK != (failures == 0) {
		t.Errorf("ok is %v with %d failures", r.OK, failures)
	}
	if n := r.Summary.OK + r.Summary.Warning + r.Summary.Failure + r.Summary.Skipped; n != len(r.Checks) {
		t.Errorf("the summary counts %d checks of %d", n, len(r.Checks))
	}
	return r
}

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestOkta provokes what can go wrong between here and Okta.
func TestOkta(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*setup)
		change func(*world)
		want   expected
	}{
		{name: "all is well", want: expected{
			"aerial account": ok(`"Acme Holdings" (0200bs0617vvhv2v675mch1cukp)`), "clock": ok("to the second"), "dpop": ok("off"),
			"products": ok("12, among them all"), "manifests": ok("4 orgs, 12 products"), "key": ok("EC key, P-256, ES256, key id"),
		}},
		{name: "unknown key id", change: func(w *world) { w.setenv("RECONCILER_AERIAL_AUTH_KEY_ID", "nope") },
			want: withoutToken().and(expected{"token": failure("401 invalid_client", "check keyID")})},
		{name: "unknown client", change: func(w *world) { w.setenv("RECONCILER_AERIAL_AUTH_CLIENT_ID", "0oanobody") },
			want: withoutToken().and(expected{"token": failure("401 invalid_client", "check clientID")})},
		{name: "another key", change: func(w *world) {
			der, err := x509.MarshalPKCS8PrivateKey(ecKey(w.t))
			w.write("aerial.pem", pemOf(w.t, "PRIVATE KEY", der, err))
		}, want: withoutToken().and(expected{"token": failure("401 invalid_client", "not the other half")})},
		{name: "weak key", change: func(w *world) {
			key, err := rsa.GenerateKey(rand.Reader, 1024)
			w.write("aerial.pem", pemOf(w.t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), err))
		}, want: noKey().and(expected{"key": failure("has 1024 bit: at least 2048", "make a key pair")})},
		{name: "public key", change: func(w *world) {
			der, err := x509.MarshalPKIXPublicKey(ecKey(w.t).Public())
			w.write("aerial.pem", pemOf(w.t, "PUBLIC KEY", der, err))
		}, want: noKey().and(expected{"key": failure("this is a public key", "make a key pair")})},
		{name: "no key file", change: func(w *world) { os.Remove(w.path("aerial.pem")) },
			want: noKey().and(expected{"key": failure(`/dir/aerial.pem": no such file`, "put the key there")})},
		{name: "empty key file", change: func(w *world) { w.write("aerial.pem", "\n") },
			want: noKey().and(expected{"key": failure("is empty", "")})},
		{name: "no key id", change: func(w *world) { w.replace("    keyID: "+w.access.Credentials.KeyID+"\n", "") },
			want: noKey().and(expected{"key": failure("nothing says under which id", "aerial.auth.keyID")})},
		{name: "two key ids", change: func(w *world) {
			jwk, err := json.Marshal(jose.JSONWebKey{Key: w.access.Credentials.Key, KeyID: "other"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.write("aerial.pem", string(jwk))
		}, want: expected{"key": warning(`used as "key-1", and the JWK says "other"`, "remove aerial.auth.keyID")}},
		{name: "no manage scope, report mode", before: func(s *setup) { s.scopes = []string{"okta.accounts.read", "okta.logs.read"} },
			want: expected{"manage scope": warning("apply doesn't: getting a token", "grant okta.accounts.manage")}},
		{name: "no manage scope, apply mode", before: func(s *setup) { s.scopes = []string{"okta.accounts.read", "okta.logs.read"} },
			change: func(w *world) { w.setenv("RECONCILER_MODE", "apply") },
			want:   expected{"manage scope": failure("getting a token", "grant okta.accounts.manage"), "schedule": ok("mode apply")}},
		{name: "no scope for logs", before: func(s *setup) { s.scopes = []string{"okta.accounts.read", "okta.accounts.manage"} },
			want: expected{"system log": warning("who caused drift can't be found out: getting a token", "grant okta.logs.read")}},
		{name: "no role for logs", change: func(w *world) { w.fault("GET /api/v1/logs status=403") },
			want: expected{"system log": warning("403 E0000006", "an admin role that may see the System Log")}},
		{name: "no scope at all", before: func(s *setup) { s.scopes = []string{"okta.logs.read"} },
			want: withoutToken().and(expected{"token": failure("consent_required", "grant okta.accounts.read")})},
		{name: "dpop required", before: func(s *setup) { s.dpop = true },
			change: func(w *world) { w.replace("    dpop: true\n", "") },
			want:   expected{"dpop": ok("on, because the app requires it")}},
		{name: "dpop on", before: func(s *setup) { s.dpop = true }, want: expected{"dpop": ok("on, as aerial.auth.dpop says")}},
		{name: "dpop with nonces", before: func(s *setup) { s.dpop, s.opts.ResourceNonce = true, true }, want: expected{"dpop": ok("on")}},
		{name: "clock a little ahead", before: shifted(-42 * time.Second),
			want: expected{"clock": warning("42s ahead of Okta's", "NTP")}},
		{name: "clock a little behind", before: shifted(42 * time.Second),
			want: expected{"clock": warning("42s behind Okta's", "NTP")}},
		{name: "clock hardly off", before: shifted(-20 * time.Second), want: expected{"clock": ok("20s ahead of Okta's")}},
		{name: "clock far behind", before: shifted(time.Hour),
			want: withoutToken().and(expected{"clock": failure("1h0m0s behind Okta's", "NTP"), "token": failure("invalid_client", "clock is 1h0m0s behind")})},
		{name: "no date", change: func(w *world) { w.opts.Transport = dateless{w.opts.Transport} },
			want: expected{"clock": warning("no Date", "proxy")}},
		{name: "org down", change: func(w *world) { w.setenv("RECONCILER_AERIAL_AUTH_ORG_URL", closedPort(w.t)) },
			want: withoutToken().and(without("aerial org", "clock", "token")).and(expected{"aerial org": failure("connection refused", "check aerial.auth.orgURL")})},
		{name: "org not in DNS", change: func(w *world) {
			w.setenv("RECONCILER_AERIAL_AUTH_ORG_URL", "https://acme-typo.okta.com")
			w.opts.Transport = nowhere{w.opts.Transport}
		}, want: withoutToken().and(without("aerial org", "clock", "token")).and(expected{"aerial org": failure("https://acme-typo.okta.com can't be reached", "no such host: check aerial.auth.orgURL")})},
		{name: "org not trusted", change: func(w *world) {
			srv := httptest.NewUnstartedServer(w.sim)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			w.t.Cleanup(srv.Close)
			w.setenv("RECONCILER_AERIAL_AUTH_ORG_URL", srv.URL)
		}, want: withoutToken().and(without("aerial org", "clock", "token")).and(expected{"aerial org": failure("certificate", "not trusted here: check aerial.auth.orgURL")})},
		{name: "API down", change: func(w *world) { w.setenv("RECONCILER_AERIAL_URL", closedPort(w.t)) },
			want: noAPI().and(expected{"aerial api": failure("connection refused", "check aerial.url")})},
		{name: "another account", change: func(w *world) { w.setenv("RECONCILER_AERIAL_ACCOUNT_ID", "0200other") },
			want: without("aerial account", "orgs", "products").and(without("orgs", "configuration")).and(expected{
				"aerial account": failure("403 E0000006", "okta.accounts.read"), "manifests": failure(`for the account "0200bs0617vvhv2v675mch1cukp", but the config says "0200other"`, "account.id"),
				"parent acme": failure(`the Aerial account "0200other", but to the account`, "aerial.accountID"),
			})},
		{name: "account forbidden", change: func(w *world) { w.fault("GET /api/v1/accounts status=403") },
			want: without("aerial account", "orgs", "products").and(without("orgs", "configuration")).and(expected{"aerial account": failure("403 E0000006", "admin role")})},
		{name: "redirect", change: func(w *world) { w.fault("GET /api/v1/accounts redirect=https://evil.example/x") },
			want: without("aerial account", "orgs", "products").and(without("orgs", "configuration")).and(expected{"aerial account": failure(`redirected to "https://evil.example"`, "never followed")})},
		{name: "orgs forbidden", change: func(w *world) { w.fault("GET /api/v1/orgs status=403") },
			want: expected{"orgs": failure("listing the orgs: 403 E0000006", "admin role"), "configuration": skipped("needs orgs")}},
		{name: "orgs cut", change: func(w *world) { w.fault("GET /api/v1/orgs empty") },
			want: expected{"orgs": failure("listing the orgs", ""), "configuration": skipped("needs orgs")}},
		{name: "an org forbidden", change: func(w *world) { w.fault("GET /api/v1/orgs/* status=403") },
			want: expected{"orgs": failure("reading the org", "admin role"), "configuration": skipped("needs orgs")}},
		{name: "an org's products forbidden", change: func(w *world) { w.fault("GET /api/v1/orgs/*/products status=403") },
			want: expected{"orgs": failure("reading the products of the org", "admin role"), "configuration": skipped("needs orgs")}},
		{name: "products fail", change: func(w *world) { w.fault("GET /api/v1/products status=404") },
			want: expected{"products": failure("404", "aerial.accountID")}},
		{name: "not subscribed", change: func(w *world) {
			w.write("orgs/more.yaml", "version: 1\norgs:\n  - {domain: acme-x.okta.com, products: [P000999, P000998]}\n  - {domain: acme-y.okta.com, products: [P000999]}\n")
		}, want: expected{"products": failure("12, and not to P000998 (wanted by 1 org), P000999 (wanted by 2 orgs)", "buy them"), "manifests": ok("6 orgs")}},
		{name: "nothing configured", change: func(w *world) { w.write("reconciler.yaml", "mode: report\n") }, want: expected{
			"aerial": failure("lacks aerial.url, aerial.accountID", "RECONCILER_AERIAL_URL"),
			"source": warning("lacks git or manifests", "--manifests"), "manifests": skipped("no manifests are configured"),
			"parents": ok("none configured"), "tokens": ok("no orgs can be created"), "state": ok("no orgs can be created"),
			"orgs": skipped("needs aerial account"), "products": skipped("needs aerial account"), "configuration": skipped("needs orgs"), "clock": skipped("needs aerial org"), "token": skipped("needs key"),
			"dpop": skipped("needs token"), "manage scope": skipped("needs token"), "system log": skipped("needs token"), "aerial account": skipped("needs token"),
		}.and(without("aerial", "key", "aerial org", "aerial api"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.before)
			if tt.change != nil {
				tt.change(w)
			}
			for name, f := range tt.want {
				f.message = strings.ReplaceAll(f.message, "/dir", w.dir)
				tt.want[name] = f
			}
			check(t, w, tt.want)
		})
	}
}

// shifted sets Okta's clock.
func shifted(by time.Duration) func(*setup) {
	return func(s *setup) { s.opts.Now = func() time.Time { return time.Now().Add(by) } }
}

// closedPort returns a URL at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// dateless takes the Date from answers, as a proxy might.
type dateless struct{ http.RoundTripper }

func (d dateless) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Header.Del("Date")
	}
	return resp, err
}

// nowhere knows no host but this machine.
type nowhere struct{ http.RoundTripper }

func (n nowhere) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Hostname() != "127.0.0.1" {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true}}
	}
	return n.RoundTripper.RoundTrip(req)
}

// TestParents provokes what can go wrong with a parent.
func TestParents(t *testing.T) {
	const parent = "parent acme"
	for _, tt := range []struct {
		name   string
		before func(*setup)
		change func(*world)
		want   finding
	}{
		{name: "consent", want: ok("takes the credentials, and lets the account add its orgs")},
		{name: "no consent", before: func(s *setup) {
			for i := range s.seed.Orgs {
				s.seed.Orgs[i].Consent = s.seed.Orgs[i].AerialOrg
			}
		}, want: failure("has not granted its consent", "a super admin of ")},
		{name: "wrong token", change: func(w *world) { w.write("parent.token", "00wrong") }, want: failure("401", "refused the parent's credentials")},
		{name: "no token file", change: func(w *world) { os.Remove(w.path("parent.token")) }, want: failure("parent.token\": no such file", "correct the path")},
		{name: "down", change: func(w *world) { w.setenv("RECONCILER_PARENTS_0_URL", closedPort(w.t)) }, want: failure("connection refused", "check `url` of the parent")},
		{name: "not a parent", change: func(w *world) { w.fault("GET /api/v1/org/privacy/aerial status=403") }, want: failure("403", "super admin")},
		{name: "service app", change: func(w *world) { parentApp(w, "okta.orgs.manage") }, want: ok("takes the credentials")},
		{name: "service app without the scope", change: func(w *world) { parentApp(w, "okta.orgs.read") }, want: failure("consent_required", "grant okta.orgs.manage")},
		{name: "service app without a key", change: func(w *world) {
			parentApp(w, "okta.orgs.manage")
			os.Remove(w.path("app.pem"))
		}, want: failure("app.pem\": no such file", "put the secret there")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.before)
			if tt.change != nil {
				tt.change(w)
			}
			check(t, w, expected{parent: tt.want})
		})
	}
}

// parentApp makes the simulator anew with a service app in the parent, and
// configures that.
func parentApp(w *world, scope string) {
	w.t.Helper()
	app, err := w.seed.AddClient(simulator.DefaultParent, jose.ES256, scope)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := app.PEM()
	if err != nil {
		w.t.Fatal(err)
	}
	sim, err := simulator.New(w.seed, simulator.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	srv := httptest.NewServer(sim)
	w.t.Cleanup(srv.Close)
	w.write("app.pem", string(key))
	w.canaries.add(string(key))
	w.replace(fmt.Sprintf("{tokenFile: %q}", w.path("parent.token")), fmt.Sprintf("{clientID: %s, keyID: %s, privateKeyFile: app.pem}", app.ClientID, app.KeyID))
	w.replace(fmt.Sprintf("    url: %q", w.url), fmt.Sprintf("    url: %q", srv.URL))
}

// TestSource provokes what can go wrong with git and manifests.
func TestSource(t *testing.T) {
	bad := "version: 1\norgs:\n  - domain: acme-x.okta.com\n    stauts: ACTIVE\n    cell: ok5\n"
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   expected
	}{
		{"no folder", func(w *world) { w.setenv("RECONCILER_MANIFESTS", w.path("nowhere")) }, expected{
			"source": failure("there is no such file or folder", ""), "manifests": skipped("needs source"),
			"products": ok("12; there are no good manifests"),
		}},
		{"mistakes", func(w *world) { w.write("orgs/bad.yaml", bad) }, expected{
			"manifests": failure("2 mistakes, the first: "+"/dir/orgs/bad.yaml:4:5: unknown key \"stauts\"", ""),
			"products":  ok("there are no good manifests"),
		}},
		{"one mistake", func(w *world) { w.write("orgs/bad.yaml", strings.ReplaceAll(bad, "cell: ok5", "cell: ok1")) }, expected{
			"manifests": failure("/dir/orgs/bad.yaml:4:5: unknown key \"stauts\"", ""), "products": ok("there are no good manifests"),
		}},
		{"unknown parent", func(w *world) {
			w.write("orgs/new.yaml", create("nobody"))
		}, expected{"manifests": failure(`unknown parent "nobody"`, ""), "products": ok("")}},
		{"warnings", func(w *world) {
			if err := os.Symlink("orgs.yaml", w.path("orgs/link.yaml")); err != nil {
				w.t.Fatal(err)
			}
			w.write("orgs/more.YAML", "")
		}, expected{"manifests": warning("4 orgs, 12 products; /dir/orgs/link.yaml: not read: symbolic links are not followed (and 1 more warning)", "")}},
		{"git", func(w *world) { w.git(w.read("orgs/orgs.yaml")) }, expected{
			"source": ok(`, branch main, path orgs: commit `), "manifests": ok("4 orgs"),
		}},
		{"git without the branch", func(w *world) {
			w.git(w.read("orgs/orgs.yaml"))
			w.setenv("RECONCILER_GIT_BRANCH", "prod")
		}, expected{"source": failure(`"prod"`, ""), "manifests": skipped("needs source"), "products": ok("")}},
		{"no repository", func(w *world) {
			w.replace(fmt.Sprintf("manifests: %q", w.path("orgs")), fmt.Sprintf("git: {url: %q}", w.path("nowhere")))
		}, expected{"source": failure("no such folder", ""), "manifests": skipped("needs source"), "products": ok("")}},
		{"mistakes in git", func(w *world) { w.git(bad) }, expected{
			"manifests": failure("2 mistakes, the first: orgs/orgs.yaml:4:5: ", ""), "products": ok(""),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tt.change(w)
			for name, f := range tt.want {
				f.message = strings.ReplaceAll(f.message, "/dir", w.dir)
				tt.want[name] = f
			}
			check(t, w, tt.want)
		})
	}
}

// git puts the manifest into a repository, and the repository into the config.
func (w *world) git(manifest string) {
	w.t.Helper()
	repo, err := gitrepo.Init(w.path("repo"))
	if err == nil {
		_, err = repo.Commit("declare the fleet", map[string]string{"orgs/orgs.yaml": manifest})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.replace(fmt.Sprintf("manifests: %q", w.path("orgs")), fmt.Sprintf("git: {url: %q, path: orgs}", w.path("repo")))
}

// create returns a manifest with an org that is to be created.
func create(parent string) string {
	return "version: 1\norgs:\n  - domain: acme-fresh.okta.com\n    cell: ok1\n    create:\n      parent: " + parent +
		"\n      name: Acme Fresh\n      admin: {firstName: A, lastName: B, email: a@acme.example, login: a@acme.example}\n"
}

// TestFolders provokes what can go wrong on this machine.
func TestFolders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   expected
	}{
		{"not there yet", func(w *world) { os.Remove(w.path("tokens")); os.Remove(w.path("state")) }, expected{
			"tokens": warning(`there is no folder "/dir/tokens" yet`, "mode 0700"), "state": warning(`there is no folder "/dir/state" yet`, "mode 0700"),
		}},
		{"open to others", func(w *world) { w.chmod("tokens", 0o777); w.chmod("state", 0o777) }, expected{
			"tokens": failure("may be written to by others (mode 0777)", "chmod go-w"), "state": failure("may be written to by others", "chmod go-w"),
			"writes": failure("may be written to by others", "chmod go-w"),
		}},
		{"files", func(w *world) {
			for _, name := range []string{"tokens", "state"} {
				os.Remove(w.path(name))
				w.write(name, "")
			}
		}, expected{"tokens": failure("is not a folder", ""), "state": failure("is not a folder", ""), "writes": failure("is not a folder", "nothing is written")}},
		{"not configured, and not needed", func(w *world) {
			w.replace(fmt.Sprintf("tokens: {dir: %q}\nstate: {dir: %q}\n", w.path("tokens"), w.path("state")), "")
		}, expected{
			"tokens": ok("a place for tokens is not configured: no orgs"), "state": ok("state.dir is not configured: no orgs"),
		}},
		{"not configured, and needed", func(w *world) {
			w.replace(fmt.Sprintf("tokens: {dir: %q}\nstate: {dir: %q}\n", w.path("tokens"), w.path("state")), "")
			w.write("orgs/new.yaml", create("acme"))
		}, expected{
			"tokens": failure("the manifests say how to create 1 org", "set tokens.dir"), "state": failure("state.dir is not configured, and the manifests say how to create 1 org", "set it in the config"),
			"manifests": ok("5 orgs"),
		}},
		{"nobody to be told", func(w *world) { w.replace("parents:", "notify: [{type: slack, urlFile: slack}]\nparents:") }, expected{
			"notify": failure(`slack /dir/slack: notify.0.urlFile: reading "/dir/slack": no such file`, ""),
		}},
		{"somebody to be told", func(w *world) {
			w.write("slack", "https://hooks.slack.example/services/T0/B0")
			w.write("template", "{{json .}}")
			w.replace("parents:", "notify: [{type: slack, urlFile: slack}, {type: webhook, urlFile: slack, template: template}]\nparents:")
		}, expected{"notify": ok("2 receivers; nothing was sent")}},
		{"in use", func(w *world) {
			j, err := journal.New(location.Folder(w.path("state")), journal.Options{}).Lock()
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { j.Close() })
		}, expected{"state": ok(fmt.Sprintf("is in use by process %d since", os.Getpid()))}},
		{"used before", func(w *world) {
			w.write("state/journal.lock", `{"pid": 4194999, "host": "elsewhere", "started": "2026-01-01T00:00:00Z"}`)
		}, expected{"state": ok("can be written to")}},
		{"in a database", func(w *world) {
			w.replace(fmt.Sprintf("state: {dir: %q}", w.path("state")), "state: {postgres: {urlFile: "+string(postgrestest.NewFile(w.t))+"}}")
		}, expected{"state": ok(`database "postgres", schema "test`)}},
		{"in a database in which everybody may create", func(w *world) {
			file := postgrestest.NewFile(w.t)
			db := postgres.Open(file, 1)
			defer db.Close()
			var schema string
			err := db.QueryRow(`SELECT current_schema()`).Scan(&schema)
			if err == nil {
				_, err = db.Exec(`GRANT USAGE, CREATE ON SCHEMA ` + schema + ` TO PUBLIC`)
			}
			if err != nil {
				w.t.Fatal(err)
			}
			w.replace(fmt.Sprintf("state: {dir: %q}", w.path("state")), "state: {postgres: {urlFile: "+string(file)+"}}")
		}, expected{"state": warning("every user of the server may make tables and functions in the schema", "")}},
		{"in a database without schema", func(w *world) {
			file := postgrestest.NewFile(w.t)
			url, err := file.Read(w.t.Context())
			if err == nil {
				err = os.WriteFile(string(file), []byte(strings.Replace(string(url), "search_path=test", "search_path=none", 1)), 0o600)
			}
			if err != nil {
				w.t.Fatal(err)
			}
			w.replace(fmt.Sprintf("state: {dir: %q}", w.path("state")), "state: {postgres: {urlFile: "+string(file)+"}}")
		}, expected{"state": failure("the schema of its search_path doesn't exist", "create the schema")}},
		{"in a database that isn't there", func(w *world) {
			w.write("url", "postgres://ada:s3cret-of-the-database@localhost:1/x")
			w.canaries.add("s3cret-of-the-database")
			w.replace(fmt.Sprintf("state: {dir: %q}", w.path("state")), "state: {postgres: {urlFile: url}}")
		}, expected{
			"state": failure("PostgreSQL at localhost:1 can't be reached", "check host and port"), "writes": failure("PostgreSQL at localhost:1 can't be reached", "check host and port"),
		}},
		{"damaged journal", func(w *world) { w.write("state/journal.db", "this is no database, and was never one") }, expected{
			"state": failure("damaged", "sets it aside"), "writes": failure("damaged", "all writes are held"),
		}},
		{"lost token", func(w *world) { w.lose("acme-lost.okta.com") }, expected{
			"state": warning(`the token of the new org "acme-lost.okta.com" (00olost) is lost`, "reconciler acknowledge acme-lost.okta.com"),
		}},
		{"forgotten", func(w *world) {
			w.write("state/journal.db.corrupt-20260101T000000Z", "")
			j, err := journal.New(location.Folder(w.path("state")), journal.Options{}).Lock()
			if err == nil {
				err = j.Close()
			}
			if err != nil {
				w.t.Fatal(err)
			}
			w.write("state/journal.lock", "")
		}, expected{
			"state":  warning("the journal could not be read and was set aside", "docs/recovery.md"),
			"writes": warning(`everything is held: suspended by "reconciler" (no end given): the journal was damaged and set aside`, "reconciler resume"),
		}},
		{"readable secrets", func(w *world) { w.chmod("aerial.pem", 0o644); w.chmod("parent.token", 0o644) }, expected{
			"config": warning("other users of this machine can read", ""),
		}},
		{"misspelt config", func(w *world) { w.write("reconciler.yaml", "mode: reprot\nhttp: {adress: x}\n") }, allSkipped(
			failure(`2 mistakes, the first: /dir/reconciler.yaml:1:7: `, ""))},
		{"no config", func(w *world) { os.Remove(w.config) }, allSkipped(failure("no such file", "--config"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tt.change(w)
			for name, f := range tt.want {
				f.message = strings.ReplaceAll(f.message, "/dir", w.dir)
				tt.want[name] = f
			}
			check(t, w, tt.want)
			for _, folder := range []string{"tokens", "state"} {
				entries, _ := os.ReadDir(w.path(folder))
				if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.Contains(e.Name(), "probe") }) {
					t.Errorf("a probe was left behind in %s: %v", folder, entries)
				}
			}
		})
	}
}

// TestTokenCommand tries commands as sinks. It is not parallel to others: a
// script can't be started while a process that is being forked has it open.
func TestTokenCommand(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         finding
	}{
		{"works", "cat >/dev/null", ok(`command.sh": a probe was stored and removed`)},
		{"fails", "echo no such vault >&2; exit 3", failure("a trial run failed: exit status 3: no such vault", "must read the token from its standard input")},
		{"is missing", "", failure("can't be started", "must exist and be executable")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.replace(fmt.Sprintf("tokens: {dir: %q}", w.path("tokens")), fmt.Sprintf("tokens: {command: %q}", w.path("command.sh")))
			if tt.script != "" {
				w.write("command.sh", "#!/bin/sh\n"+tt.script+"\n")
				w.chmod("command.sh", 0o700)
			}
			check(t, w, expected{"tokens": tt.want})
		})
	}
}

// lose takes down in the journal that an org's token was lost.
func (w *world) lose(domain string) {
	w.t.Helper()
	j, err := journal.New(location.Folder(w.path("state")), journal.Options{}).Lock()
	if err != nil {
		w.t.Fatal(err)
	}
	key := journal.Key{Account: w.seed.Account.ID, Domain: domain}
	err = j.Begin(journal.Creation{Key: key, Parent: "acme", Cell: "ok1", Subdomain: "acme-lost"})
	if err == nil {
		_, err = j.Send(key, journal.Rate{Limit: 10, Per: time.Minute})
	}
	err = errors.Join(err, j.MarkCreated(key, "00olost", time.Now()), j.MarkTokenLost(key, "the answer was cut off"),
		j.Close(), os.Remove(w.path("state/journal.lock")))
	if err != nil {
		w.t.Fatal(err)
	}
}

func allSkipped(config finding) expected {
	return expected{"config": config}.and(without("config", "aerial", "key", "aerial org", "clock", "token", "dpop", "manage scope", "system log",
		"aerial api", "aerial account", "orgs", "source", "manifests", "products", "configuration", "parents", "tokens", "state", "writes", "deactivations", "http", "sign-in", "schedule"))
}

// TestHTTP looks at the daemon's address.
func TestHTTP(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	busy := taken.Addr().String()
	answers := func(d *doctor.Daemon, err error) func(context.Context, string) (*doctor.Daemon, error) {
		return func(_ context.Context, address string) (*doctor.Daemon, error) {
			if address != busy {
				t.Errorf("asked %q", address)
			}
			return d, err
		}
	}
	for _, tt := range []struct {
		name    string
		address string
		daemon  func(context.Context, string) (*doctor.Daemon, error)
		want    finding
	}{
		{"any port", "127.0.0.1:0", nil, ok("any free port, such as 127.0.0.1:")},
		{"free", strings.TrimPrefix(closedPort(t), "http://"), nil, ok("is free: no daemon runs here")},
		{"our daemon", busy, answers(&doctor.Daemon{Version: "v1", Account: simulator.DefaultAccount}, nil), ok("a daemon (v1) answers on " + busy + " and is ready")},
		{"not ready", busy, answers(&doctor.Daemon{Version: "v1", Account: simulator.DefaultAccount, NotReady: "no\nrun\x1b yet"}, nil), warning("is not ready: no run  yet", "reconciler status")},
		{"of another account", busy, answers(&doctor.Daemon{Version: "v1", Account: "0200other"}, nil), warning(`watches another account, "0200other"`, "another port")},
		{"something else", busy, answers(nil, errors.New("it speaks gopher")), failure("taken, and not by our daemon: it speaks gopher", "another port")},
		{"not an address of ours", "192.0.2.1:8080", nil, failure(syscall.EADDRNOTAVAIL.Error(), "an address of this machine")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.env = []string{"RECONCILER_HTTP_ADDRESS=" + tt.address}
			if tt.daemon != nil {
				w.opts.Daemon = tt.daemon
			}
			all := expected{"http": tt.want}
			if strings.HasPrefix(tt.address, "192.") {
				all["sign-in"] = failure("http.auth is not set", "http.auth.tokensFile")
			}
			check(t, w, all)
		})
	}
}

// TestSchedule lists the next runs as people write times.
func TestSchedule(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		schedule string
		zone     *time.Location
		want     string
	}{
		{"*/10 * * * *", time.UTC, "Sat 2026-11-21 12:10, 12:20, 12:30, 12:40, 12:50 UTC"},
		{"*/10 * * * *", time.FixedZone("XST", 3600), "Sat 2026-11-21 13:10, 13:20, 13:30, 13:40, 13:50 XST"},
		{"0 */6 * * *", berlin, "Sat 2026-11-21 18:00, Sun 2026-11-22 00:00, 06:00, 12:00, 18:00 Europe/Berlin"},
		{"CRON_TZ=Asia/Tokyo 30 2 * * 1-5", time.UTC, "Mon 2026-11-23 02:30, Tue 2026-11-24 02:30, Wed 2026-11-25 02:30, Thu 2026-11-26 02:30, Fri 2026-11-27 02:30 Asia/Tokyo"},
		{"@every 90s", time.UTC, "Sat 2026-11-21 12:06:08, 12:07:38, 12:09:08, 12:10:38, 12:12:08 UTC, if it began now"},
		{"0 0 29 2 *", time.UTC, "Tue 2028-02-29 00:00, Sun 2032-02-29 00:00, Fri 2036-02-29 00:00, Wed 2040-02-29 00:00, Mon 2044-02-29 00:00 UTC"},
	} {
		t.Run(tt.schedule, func(t *testing.T) {
			now := time.Date(2026, 11, 21, 12, 4, 38, 0, time.UTC)
			w := newWorld(t, func(s *setup) { s.opts.Now = func() time.Time { return now } })
			w.setenv("RECONCILER_SCHEDULE", tt.schedule)
			w.opts.Now, w.opts.Zone = func() time.Time { return now }, tt.zone
			r := check(t, w, expected{"schedule": ok(tt.want)})
			c := r.Checks[len(r.Checks)-1]
			if len(c.Details) != 5 {
				t.Errorf("details: %q", c.Details)
			}
			if at, err := time.Parse(time.RFC3339, c.Details[0]); err != nil || !at.After(now) {
				t.Errorf("details: %q", c.Details)
			}
		})
	}
}

// A server that doesn't answer costs no more than the time of the checks, and
// what went wrong before is told.
func TestTimeouts(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		want        expected
	}{
		{"org hangs", "GET /.well-known/okta-organization hang", withoutToken().and(without("aerial org", "clock", "token")).and(expected{
			"aerial org": failure("can't be reached: no result within 10s", "check aerial.auth.orgURL")})},
		{"token hangs", "POST /oauth2/v1/token hang", withoutToken().and(expected{"token": failure("no result within 10s", "")})},
		{"token is limited", "POST /oauth2/v1/token status=429 retry-after=8s", withoutToken().and(expected{
			"token": failure("no result within 10s: the last answer was 429 Too Many Requests", "")})},
		{"manifests hang", "", expected{"source": failure("/repo, branch main: no result within 10s", ""), "manifests": skipped("needs source"), "products": ok("")}},
		{"account fails", "GET /api/v1/accounts status=503 retry-after=3s", without("aerial account", "orgs", "products").and(without("orgs", "configuration")).and(expected{
			"aerial account": failure("no result within 10s: the last answer was 503 Service Unavailable", "")})},
		{"parent is limited", "GET /api/v1/org/privacy/aerial status=429 reset=60s", expected{
			"parent acme": failure("no result within 10s: the last answer was 429", "")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if tt.fault != "" {
				w.fault(tt.fault)
			} else {
				w.opts.Source = hangingSource
			}
			w.opts.Transport = &tap{w.sim.RoundTripper(), w.canaries}
			w.opts.Timeout = 10 * time.Second
			w.setenv("RECONCILER_AERIAL_TIMEOUT", "10m")
			synctest.Test(t, func(t *testing.T) {
				w := *w
				w.t = t
				start := time.Now()
				check(t, &w, tt.want)
				if took := time.Since(start); took > 4*w.opts.Timeout {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func hangingSource(*config.Config, string, *journal.Journal, *slog.Logger) (*reconcile.Source, error) {
	return &reconcile.Source{
		Name:  "/repo, branch main",
		Fetch: func(ctx context.Context) (*source.Snapshot, error) { <-ctx.Done(); return nil, ctx.Err() },
	}, nil
}

// What doesn't stop when it is told to is left behind.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		r := doctor.Run(t.Context(), doctor.Options{
			Load:    func() (*config.Config, []config.Warning, error) { <-never; return nil, nil, errors.New("too late") },
			Timeout: 10 * time.Second,
		})
		if c := r.Checks[0]; c.Status != doctor.Failure || c.Message != "no result within 10s" || r.Summary.Skipped != len(r.Checks)-1 {
			t.Errorf("%+v", r)
		}
	})
}

// Ctrl-C ends everything at once.
func TestStopped(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	w.opts.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		cancel()
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	start := time.Now()
	r := doctor.Run(ctx, w.opts)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if r.OK || !slices.ContainsFunc(r.Checks, func(c doctor.Check) bool { return strings.HasSuffix(c.Message, "stopped") }) {
		t.Errorf("%+v", r)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Checks are told one by one, in the order of the report.
func TestDone(t *testing.T) {
	w := newWorld(t, nil)
	var told []doctor.Check
	w.opts.Done = func(c doctor.Check) { told = append(told, c) }
	r := w.examine()
	if diff := gocmp.Diff(r.Checks, told); diff != "" {
		t.Errorf("told otherwise (-report +told):\n%s", diff)
	}
}

// TestGolden shows what people and programs get to see.
func TestGolden(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 4, 38, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*world)
	}{
		{"well.txt", func(*world) {}},
		{"ill.txt", func(w *world) {
			w.setenv("RECONCILER_AERIAL_AUTH_CLIENT_ID", "0oanobody")
			w.setenv("RECONCILER_MODE", "apply")
			w.write("parent.token", "00wrong")
			w.write("orgs/bad.yaml", "version: 1\norgs:\n  - domain: acme-x\n    stauts: ACTIVE\n")
			w.chmod("tokens", 0o777)
			os.Remove(w.path("state"))
			w.fault("GET /.well-known/okta-organization status=404")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(s *setup) { s.opts.Now, s.opts.RandSeed = func() time.Time { return now }, 1 })
			w.opts.Now = func() time.Time { return now }
			w.env = []string{"RECONCILER_HTTP_ADDRESS=" + strings.TrimPrefix(closedPort(t), "http://")}
			tt.change(w)
			got := w.text(w.examine())
			got = strings.ReplaceAll(got, strings.TrimPrefix(w.env[0], "RECONCILER_HTTP_ADDRESS="), "127.0.0.1:8080")
			got = requestID.ReplaceAllString(got, "${1}…)")
			path := filepath.Join("testdata", tt.name)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-golden +got); go test -update rewrites it:\n%s", path, diff)
			}
		})
	}
}

// Colours are for terminals: without them nothing but text is written.
func TestColor(t *testing.T) {
	for _, s := range []doctor.Status{doctor.OK, doctor.Warning, doctor.Failure, doctor.Skipped} {
		c := doctor.Check{Name: "token", Status: s, Message: "words", Hint: "advice"}
		plain, colored := c.Line(false), c.Line(true)
		if strings.Contains(plain, "\x1b") || strings.Count(colored, "\x1b[") != 4 {
			t.Errorf("%q, %q", plain, colored)
		}
		if want := fmt.Sprintf("%-7s  token           words; hint: advice", s); plain != want {
			t.Errorf("%q, want %q", plain, want)
		}
	}
}
