package doctor_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"reconciler/internal/config"
	"reconciler/internal/doctor"
	"reconciler/internal/git/forge/forgetest"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// remote has the config follow a repository on a server, with more under git.
// What is there is that of a repository on disk, whatever the server.
func (w *world) remote(more string) {
	w.t.Helper()
	w.git(w.read("orgs/orgs.yaml"))
	local, warned, err := config.Load(w.config, w.env)
	if err != nil || len(warned) > 0 {
		w.t.Fatal(err, warned)
	}
	w.opts.Source = func(_ *config.Config, _ string, j *journal.Journal, log *slog.Logger) (*reconcile.Source, error) {
		return reconcile.OpenSource(local, "", j, log)
	}
	w.replace(fmt.Sprintf("git: {url: %q, path: orgs}", w.path("repo")), "git:\n  url: https://git.example/acme/orgs.git\n  path: orgs\n"+more)
}

// head returns the newest commit of the repository.
func (w *world) head() string {
	w.t.Helper()
	out, err := exec.Command("git", "-C", w.path("repo"), "rev-parse", "HEAD").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// sshPEM makes an SSH key, locked if there is a passphrase.
func sshPEM(t *testing.T, passphrase string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// authority makes a certificate that ends then.
func authority(t *testing.T, end time.Time) string {
	t.Helper()
	key := ecKey(t)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme Root"}, NotBefore: end.AddDate(-1, 0, 0), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	return pemOf(t, "CERTIFICATE", der, err)
}

// TestGitAccess provokes what can go wrong before the git server is asked for
// anything.
func TestGitAccess(t *testing.T) {
	const passphrase = "correct horse battery staple"
	sshAuth := func(w *world, key, more string) {
		w.write("id", key)
		w.write("known_hosts", "")
		w.canaries.add(key, passphrase)
		w.remote("  auth: {sshKeyFile: id, knownHostsFile: known_hosts" + more + "}\n")
		w.replace("https://git.example/acme", "ssh://git@git.example/acme")
	}
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   finding
	}{
		{"on disk", func(w *world) { w.git(w.read("orgs/orgs.yaml")) }, ok("on this machine: no credentials")},
		{"nothing", func(w *world) { w.remote("") }, ok("no credentials are configured")},
		{"password", func(w *world) {
			w.write("password", "a-password-of-some-length")
			w.canaries.add("a-password-of-some-length")
			w.remote("  auth: {username: x, passwordFile: password}\n")
		}, ok(`git.auth.passwordFile ("/dir/password") can be read`)},
		{"no password file", func(w *world) { w.remote("  auth: {username: x, passwordFile: password}\n") },
			failure("password\": no such file", "correct the path")},
		{"key", func(w *world) { sshAuth(w, sshPEM(w.t, ""), "") }, ok(`/dir/id" can be used: SHA256:`)},
		{"locked key", func(w *world) {
			w.write("phrase", passphrase+"\n")
			sshAuth(w, sshPEM(w.t, passphrase), ", sshPassphraseFile: phrase")
		}, ok(`/dir/id" can be used: SHA256:`)},
		{"no passphrase", func(w *world) { sshAuth(w, sshPEM(w.t, passphrase), "") }, failure(`/dir/id" needs a passphrase`, "git.auth.sshPassphraseFile")},
		{"no passphrase file", func(w *world) { sshAuth(w, sshPEM(w.t, passphrase), ", sshPassphraseFile: phrase") }, failure("phrase\": no such file", "correct the path")},
		{"another passphrase", func(w *world) {
			w.write("phrase", "swordfish-and-more")
			w.canaries.add("swordfish-and-more")
			sshAuth(w, sshPEM(w.t, passphrase), ", sshPassphraseFile: phrase")
		}, failure("doesn't open the SSH key", "ssh-keygen -y")},
		{"no key", func(w *world) { sshAuth(w, "ssh-ed25519 AAAA\n", "") }, failure("no SSH private key", "not the .pub file")},
		{"no key file", func(w *world) {
			sshAuth(w, "", "")
			os.Remove(w.path("id"))
		}, failure("git.auth.sshKeyFile: open", "correct the path")},
		{"authority", func(w *world) {
			w.write("ca.pem", authority(w.t, time.Now().AddDate(1, 0, 0))+authority(w.t, time.Now().AddDate(1, 0, 0)))
			w.remote("  auth: {caFile: ca.pem}\n")
		}, ok(`no credentials are configured; 2 certificates of "/dir/ca.pem", trusted beside the system's`)},
		{"old authority", func(w *world) {
			w.write("ca.pem", authority(w.t, time.Now().AddDate(0, 0, 7)))
			w.remote("  auth: {caFile: ca.pem}\n")
		}, warning(`that of "Acme Root" ends at `, "new certificate")},
		{"no authority", func(w *world) { w.write("ca.pem", "hello"); w.remote("  auth: {caFile: ca.pem}\n") }, failure("no certificate in", "BEGIN CERTIFICATE")},
		{"a key for an authority", func(w *world) {
			w.write("ca.pem", w.read("aerial.pem"))
			w.remote("  auth: {caFile: ca.pem}\n")
		}, failure("something else than certificates", "BEGIN CERTIFICATE")},
		{"no authority file", func(w *world) { w.remote("  auth: {caFile: ca.pem}\n") }, failure("git.auth.caFile: open", "correct the path")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tt.change(w)
			tt.want.message = strings.ReplaceAll(tt.want.message, "/dir", w.dir)
			want := expected{"git access": tt.want}
			if tt.want.status == doctor.Failure {
				want = want.and(without("git access", "source")).and(expected{"manifests": skipped("needs source")})
			}
			check(t, w, want)
		})
	}
}

// hub is a GitHub with the world's repository and its newest commit.
func (w *world) hub() *forgetest.GitHub {
	w.t.Helper()
	needs(w.t, "git")
	g := forgetest.NewGitHub(w.t, "acme/orgs")
	g.AddCommit(w.head())
	return g
}

// app makes the program a GitHub App, which may do what as says.
func (w *world) app(g *forgetest.GitHub, as forgetest.GitHubToken) {
	w.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.t.Fatal(err)
	}
	text := pemOf(w.t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil)
	w.write("app.pem", text)
	w.canaries.add(text)
	g.AddApp("12345", "678", &key.PublicKey, as)
}

// TestForge asks stand-ins of GitHub and GitLab, which are never written to.
func TestForge(t *testing.T) {
	const app = "  auth: {githubApp: {appID: 12345, installationID: 678, privateKeyFile: app.pem, url: %q}}\n"
	const own = "  status: {provider: github, url: %q, tokenFile: token}\n"
	token := "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
	for _, tt := range []struct {
		name   string
		change func(*world, *forgetest.GitHub)
		want   expected
	}{
		{"app", func(w *world, g *forgetest.GitHub) {
			w.app(g, forgetest.GitHubToken{Login: "acme[bot]"})
			w.more(fmt.Sprintf(app, g.URL) + fmt.Sprintf("  status: {provider: github, url: %q}\n", g.URL))
		}, expected{
			"git access": ok("a token was given to the GitHub App 12345, installation 678"), "commit status": ok(`"reconciler" of commit `),
		}},
		{"app of another installation", func(w *world, g *forgetest.GitHub) {
			w.app(g, forgetest.GitHubToken{Login: "acme[bot]"})
			w.more(strings.Replace(fmt.Sprintf(app, g.URL), "678", "679", 1))
		}, expected{"git access": failure("404", "installation's id")}.and(without("git access", "source")).and(expected{"manifests": skipped("needs source")})},
		{"app without its key", func(w *world, g *forgetest.GitHub) {
			w.more(fmt.Sprintf(app, g.URL))
		}, expected{"git access": failure("app.pem\": no such file", "private key (PEM)")}.and(without("git access", "source")).and(expected{"manifests": skipped("needs source")})},
		{"token", func(w *world, g *forgetest.GitHub) {
			g.AddToken(token, forgetest.GitHubToken{Login: "ada"})
			w.write("token", token)
			w.more(fmt.Sprintf(own, g.URL))
		}, expected{"commit status": ok("in acme/orgs is none yet; whether the token may also write")}},
		{"wrong token", func(w *world, g *forgetest.GitHub) {
			w.write("token", token)
			w.more(fmt.Sprintf(own, g.URL))
		}, expected{"commit status": failure("401", "wrong, expired or revoked")}},
		{"no token file", func(w *world, g *forgetest.GitHub) {
			w.more(fmt.Sprintf(own, g.URL))
		}, expected{"commit status": failure("token\": no such file", "correct the path")}},
		{"stranger", func(w *world, g *forgetest.GitHub) {
			g.AddToken(token, forgetest.GitHubToken{Login: "ada", NoAccess: true})
			w.write("token", token)
			w.more(fmt.Sprintf(own, g.URL))
		}, expected{"commit status": failure("404", "private repositories")}},
		{"broken", func(w *world, g *forgetest.GitHub) {
			g.AddToken(token, forgetest.GitHubToken{Login: "ada"})
			g.Fail(forgetest.Fault{Times: 99, Status: http.StatusBadGateway})
			w.opts.Timeout = 500 * time.Millisecond
			w.write("token", token)
			w.more(fmt.Sprintf(own, g.URL))
		}, expected{"commit status": failure("no result within 500ms: the last answer was 502 Bad Gateway", "")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.remote("  # more\n")
			w.canaries.add(token)
			g := w.hub()
			tt.change(w, g)
			check(t, w, tt.want)
			for _, c := range g.Calls() {
				if c.Method != http.MethodGet && !strings.HasSuffix(c.Path, "/access_tokens") {
					t.Errorf("wrote: %+v", c)
				}
			}
		})
	}
}

// more adds to the part of git in the config.
func (w *world) more(text string) { w.replace("  # more\n", text) }

// TestForgeGitLab reads what GitLab was told last.
func TestForgeGitLab(t *testing.T) {
	needs(t, "git")
	w := newWorld(t, nil)
	w.remote("  # more\n")
	g := forgetest.NewGitLab(t, "acme/orgs", 42)
	g.AddCommit(w.head())
	g.SetState(w.head(), "reconciler", "success")
	const token = "glpat-0123456789abcdefghij"
	g.AddToken(token, forgetest.GitLabToken{Login: "bot", Scopes: []string{"api"}})
	w.canaries.add(token)
	w.write("token", token)
	w.more(fmt.Sprintf("  status: {provider: gitlab, url: %q, tokenFile: token}\n", g.URL))
	check(t, w, expected{"commit status": ok("in acme/orgs is success")})
	for _, c := range g.Calls() {
		if c.Method != http.MethodGet {
			t.Errorf("wrote: %+v", c)
		}
	}
}

// TestWebhook looks at secrets of all qualities.
func TestWebhook(t *testing.T) {
	for _, tt := range []struct {
		name, secret string
		change       func(*world)
		want         finding
	}{
		{"good", "0123456789abcdef0123456789abcdef", nil, ok("POST /hooks/git on 127.0.0.1:0, with the secret of git.webhook.secretFile")},
		{"signing token", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", nil, ok("localhost as the Host")},
		{"cut signing token", "whsec_MfKQ9r8GKYqrTwjU", nil, failure("no signing token", "copy GitLab's")},
		{"short", "swordfish123456", nil, warning("less than 16 bytes", "openssl rand")},
		{"empty", "\n", nil, failure("is empty", "")},
		{"no file", "", func(w *world) { os.Remove(w.path("hook")) }, failure("hook\": no such file", "correct the path")},
		{"commit", "0123456789abcdef0123456789abcdef", func(w *world) {
			needs(w.t, "git")
			w.replace("path: orgs", "path: orgs\n  commit: "+w.head())
		}, warning("git.commit never moves", "remove git.webhook")},
		{"served to all", "0123456789abcdef0123456789abcdef", func(w *world) { w.env = []string{"RECONCILER_HTTP_ADDRESS=0.0.0.0:0"} }, ok("on 0.0.0.0:0, with the secret")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.canaries.add(tt.secret)
			w.write("hook", tt.secret)
			w.remote("  webhook: {secretFile: hook}\n")
			if tt.change != nil {
				tt.change(w)
			}
			all := expected{"webhook": tt.want}
			if tt.name == "served to all" {
				all["sign-in"] = failure("http.auth is not set", "http.auth.tokensFile")
			}
			check(t, w, all)
		})
	}
}

// signer is a key for SSH with the settings to sign with it.
type signer struct {
	public   string
	settings []string
}

func (w *world) signer(name string) signer {
	w.t.Helper()
	key := sshPEM(w.t, "")
	w.write(name, key)
	w.canaries.add(key)
	parsed, err := ssh.ParsePrivateKey([]byte(key))
	if err != nil {
		w.t.Fatal(err)
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(parsed.PublicKey())))
	w.write(name+".pub", public+"\n")
	return signer{public, []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + w.path(name)}}
}

// commit makes a commit, signed where there are settings for it.
func (w *world) commit(message string, settings ...string) string {
	w.t.Helper()
	args := append([]string{"-C", w.path("repo")}, settings...)
	args = append(args, "-c", "user.name=Ada", "-c", "user.email=ada@acme.example", "commit", "-q", "--allow-empty", "-m", message)
	if len(settings) > 0 {
		args = append(args, "-S")
	}
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("%v: %s", err, stderr.String())
	}
	return w.head()
}

// accept takes down that a commit came into force.
func (w *world) accept(commit string) {
	w.t.Helper()
	j, err := journal.New(location.Folder(w.path("state")), journal.Options{}).Lock()
	if err != nil {
		w.t.Fatal(err)
	}
	defer j.Close()
	err = j.Accept(journal.Acceptance{Source: w.path("repo") + " refs/heads/main", Commit: commit, Signer: "ada", At: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}, "", false)
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestSignatures looks at commits that git has signed.
func TestSignatures(t *testing.T) {
	needs(t, "git", "ssh-keygen")
	day := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format("20060102Z") }
	for _, tt := range []struct {
		name string
		// change gives the keys of the file.
		change func(w *world, ada signer) string
		want   expected
	}{
		{"signed", func(w *world, ada signer) string {
			w.commit("signed", ada.settings...)
			return "ada@acme.example " + ada.public
		}, expected{"signatures": ok("is signed by ada@acme.example (ssh SHA256:")}},
		{"builds on the accepted one", func(w *world, ada signer) string {
			w.accept(w.commit("one", ada.settings...))
			w.commit("two", ada.settings...)
			return "ada@acme.example " + ada.public
		}, expected{"signatures": ok("the last accepted one; keysFile has 1 SSH key")}},
		{"accepted", func(w *world, ada signer) string {
			w.accept(w.commit("one", ada.settings...))
			return "ada@acme.example " + ada.public
		}, expected{"signatures": ok("accepted at 2026-11-01T09:00:00Z")}},
		{"rewritten", func(w *world, ada signer) string {
			w.accept(strings.Repeat("0", 39) + "a")
			w.commit("one", ada.settings...)
			return "ada@acme.example " + ada.public
		}, expected{"signatures": failure("the history was rewritten", "git.verify.acceptRewriteOf")}},
		{"rewritten on purpose", func(w *world, ada signer) string {
			w.accept(strings.Repeat("0", 39) + "a")
			w.commit("one", ada.settings...)
			w.replace("verify: {", "verify: {acceptRewriteOf: "+strings.Repeat("0", 39)+"a, ")
			return "ada@acme.example " + ada.public
		}, expected{"signatures": ok("and may do without 000000000000, as git.verify.acceptRewriteOf says")}},
		{"unsigned", func(_ *world, ada signer) string { return "ada@acme.example " + ada.public },
			expected{"signatures": failure("is not signed", "git commit -S")}},
		{"unknown", func(w *world, ada signer) string {
			w.commit("by eve", w.signer("eve").settings...)
			return "ada@acme.example " + ada.public
		}, expected{"signatures": failure("which is not among the allowed keys", "add the public key")}},
		{"keys that run out", func(w *world, ada signer) string {
			w.commit("signed", ada.settings...)
			return "ada@acme.example " + ada.public + "\nbob@acme.example valid-before=\"" + day(7) + "\" " + w.signer("bob").public +
				"\neve@acme.example valid-before=\"" + day(-7) + "\" " + w.signer("eve").public + "\n"
		}, expected{"signatures": warning("; keysFile has 3 SSH keys; the key of bob@acme.example (ssh SHA256:", "before")}},
		{"no key left", func(w *world, ada signer) string {
			w.accept(w.commit("one", ada.settings...))
			return `ada@acme.example namespaces="file" ` + ada.public
		}, expected{"signatures": failure("not allowed to sign for \"git\"", "")}},
		{"secret among the keys", func(w *world, _ signer) string { return w.read("ada") }, expected{"signatures": failure("a secret key", "take it out")}},
		{"no keys", func(*world, signer) string { return "" }, expected{"signatures": failure("there is no key in it", "one line a signer")}},
		{"no memory", func(w *world, ada signer) string {
			w.commit("signed", ada.settings...)
			w.replace(fmt.Sprintf("state: {dir: %q}\n", w.path("state")), "")
			return "ada@acme.example " + ada.public
		}, expected{"signatures": warning("without state.dir", "set state.dir"), "state": ok("state.dir is not configured")}},
		{"git is away", func(w *world, ada signer) string {
			os.RemoveAll(w.path("repo"))
			return "ada@acme.example " + ada.public
		}, expected{
			"signatures": ok("the newest commit is not known; keysFile has 1 SSH key"), "source": failure("", ""),
			"manifests": skipped("needs source"), "products": ok("no good manifests"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.git(w.read("orgs/orgs.yaml"))
			w.replace("path: orgs}", "path: orgs, verify: {keysFile: keys}}")
			ada := w.signer("ada")
			w.write("keys", tt.change(w, ada))
			check(t, w, tt.want)
		})
	}
}

// A keys file that isn't there is a failure of its own.
func TestNoKeysFile(t *testing.T) {
	w := newWorld(t, nil)
	w.git(w.read("orgs/orgs.yaml"))
	w.replace("path: orgs}", "path: orgs, verify: {keysFile: keys}}")
	check(t, w, expected{"signatures": failure("git.verify.keysFile: open", "no commit is used")})
}

// Looking takes nothing down: the commit is not accepted by it.
func TestSignaturesAreNotAccepted(t *testing.T) {
	needs(t, "git", "ssh-keygen")
	w := newWorld(t, nil)
	w.git(w.read("orgs/orgs.yaml"))
	w.replace("path: orgs}", "path: orgs, verify: {keysFile: keys}}")
	ada := w.signer("ada")
	w.write("keys", "ada@acme.example "+ada.public)
	w.accept(w.commit("one", ada.settings...))
	w.commit("two", ada.settings...)
	before := w.read("state/journal.db")
	check(t, w, expected{})
	if w.read("state/journal.db") != before {
		t.Error("the journal was written to")
	}
}

// A server for app tokens that hangs costs no more than the time of a check.
func TestForgeHangs(t *testing.T) {
	w := newWorld(t, nil)
	w.remote("  # more\n")
	w.app(forgetest.NewGitHub(t, "acme/orgs"), forgetest.GitHubToken{})
	w.more("  auth: {githubApp: {appID: 12345, installationID: 678, privateKeyFile: app.pem}}\n")
	w.opts.Timeout = 200 * time.Millisecond
	okta := w.opts.Transport
	w.opts.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "git.example" {
			<-req.Context().Done()
			return nil, context.Cause(req.Context())
		}
		return okta.RoundTrip(req)
	})
	check(t, w, expected{"git access": failure("no result within 200ms", ""), "manifests": skipped("needs source")}.and(without("git access", "source")))
}
