package config

import (
	"context"
	"errors"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/git/source"
	"reconciler/internal/strictyaml"
	"reconciler/internal/web"
)

// Whatever file and environment contain, the result is a config that keeps
// its promises, or errors with places, one line each.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("no corpus")
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		env := ""
		for _, part := range a.Files {
			if part.Name == "env" {
				env = string(part.Data)
			}
		}
		f.Add(a.Files[0].Data, env)
	}
	f.Fuzz(func(t *testing.T, data []byte, env string) {
		environ := strings.Split(env, "\n")
		cfg, warnings, err := load("reconciler.yaml", data, newEnvironment(environ))
		for _, w := range warnings {
			if strings.ContainsAny(w.String(), "\r\n") || (w.Pos.Line < 1) != strings.HasPrefix(w.Pos.File, envPrefix) {
				t.Errorf("bad warning %q", w)
			}
		}
		if err != nil {
			errs, ok := strictyaml.AsErrors(err)
			if !ok || cfg != nil {
				t.Fatalf("%T: %v, with %v", err, err, cfg)
			}
			for _, e := range errs {
				if inFile := !strings.HasPrefix(e.Pos.File, envPrefix); inFile != (e.Pos.Line >= 1) || inFile != (e.Pos.Column >= 1) || e.Pos.File == "" || e.Msg == "" || strings.ContainsAny(e.Error(), "\r\n") {
					t.Errorf("bad error %q", e)
				}
			}
			return
		}
		checkPromises(t, cfg)
		again, _, err := load("reconciler.yaml", data, newEnvironment(environ))
		if err != nil || again.Mode != cfg.Mode || len(again.Parents) != len(cfg.Parents) {
			t.Errorf("not the same again: %v", err)
		}
	})
}

func checkPromises(t *testing.T, c *Config) {
	t.Helper()
	a := c.Aerial
	if a.Concurrency < 1 || a.Concurrency > 10 || a.Timeout < 100*time.Millisecond || a.Timeout > 10*time.Minute {
		t.Errorf("%+v", a)
	}
	if c.Mode != Report && c.Mode != Apply {
		t.Errorf("mode %q", c.Mode)
	}
	if c.Git != nil && c.Manifests != "" {
		t.Error("git and manifests")
	}
	if c.Git != nil {
		refs := 0
		for _, ref := range []string{c.Git.Branch, c.Git.Tag, c.Git.Commit} {
			if ref != "" {
				refs++
			}
		}
		if refs != 1 || c.Git.URL == "" || c.Git.Path == ".." || strings.HasPrefix(c.Git.Path, "../") {
			t.Errorf("%+v", c.Git)
		}
		checkGitPromises(t, c)
	}
	for _, p := range c.Parents {
		if p.Name == "" || p.URL == nil || p.URL.User != nil || p.Settle < 0 ||
			p.Settle < minSettle && !web.IsLoopback(p.URL.Hostname()) ||
			p.URL.Scheme != "https" && !web.IsLoopback(p.URL.Hostname()) {
			t.Errorf("%+v", p)
		}
		if p.Domain != strings.ToLower(p.Domain) || p.Domain != "" && !isOkta(p.Domain) || p.Domain != "" && p.Unknown() {
			t.Errorf("domain of %+v", p)
		}
		if p.Auth.Token.IsSet() && p.Auth.PrivateKey.IsSet() {
			t.Errorf("two ways to sign in: %+v", p)
		}
	}
	from := time.Date(2026, 3, 8, 1, 59, 59, 0, time.UTC)
	if !c.Schedule.Next(from).After(from) {
		t.Errorf("schedule %q", c.Schedule)
	}
	checkHoldPromises(t, c)
	if c.Guards.MaxDestructiveOrgs < 0 || c.Guards.MaxDestructiveOrgsPerDay < 0 || c.Guards.MaxNewOrgs < 0 || c.Guards.MaxDestructivePercent < 0 || c.Guards.MaxDestructivePercent > 100 {
		t.Errorf("%+v", c.Guards)
	}
	o := &c.Orgs
	if o.Concurrency < 1 || o.Concurrency > 256 || o.CallsPerOrg < 1 || o.Share < 1 || o.Share > 100 || o.Every < 0 ||
		o.Bootstrap != "" && (!o.HasAuth() || c.State.Dir == "" || !slices.Contains(o.Bootstrap.Values(), string(o.Bootstrap))) {
		t.Errorf("%+v", o)
	}
	if u, other := o.URLOf("acme.okta.com"), o.URLOf("b.okta.com"); !isAPI(u.String()) || u.String() == other.String() || strings.ContainsAny(u.String(), "{}") {
		t.Errorf("%q gives %q", o.URL, u)
	}
	for _, d := range c.Guards.AllowLockout {
		if !isDomain(d) {
			t.Errorf("domain %q", d)
		}
	}
	for _, p := range c.Guards.OwnAddresses {
		if !p.IsValid() || p != p.Masked() {
			t.Errorf("prefix %v", p)
		}
	}
	for _, u := range []*url.URL{a.URL, a.Auth.OrgURL} {
		if u != nil && (u.Host == "" || strings.ContainsAny(u.String(), "@?# ")) {
			t.Errorf("URL %q", u)
		}
	}
}

func checkGitPromises(t interface{ Errorf(string, ...any) }, c *Config) {
	g := c.Git
	if app := g.Auth.GitHubApp; app != nil {
		if app.AppID == "" || app.InstallationID == "" || !app.PrivateKey.IsSet() || !isAPI(app.URL) ||
			g.Auth.Username != "" || g.Auth.Password.IsSet() || g.Auth.SSHKeyFile != "" || gitScheme(g.URL) != "https" && gitScheme(g.URL) != "http" {
			t.Errorf("%+v", g.Auth)
		}
	}
	if g.Auth.SSHPassphrase.IsSet() && g.Auth.SSHKeyFile == "" {
		t.Errorf("a passphrase for nothing: %+v", g.Auth)
	}
	secret := func(s Secret) func(context.Context) (string, error) {
		if !s.IsSet() {
			return nil
		}
		return func(context.Context) (string, error) { return "", errors.New("not read here") }
	}
	auth := source.Auth{
		Username: g.Auth.Username, Password: secret(g.Auth.Password), CAFile: g.Auth.CAFile, SSHKeyFile: g.Auth.SSHKeyFile,
		SSHPassphrase: secret(g.Auth.SSHPassphrase), KnownHostsFile: g.Auth.KnownHostsFile,
	}
	if _, err := source.NewGit(source.GitOptions{URL: g.URL, Branch: g.Branch, Tag: g.Tag, Commit: g.Commit, Path: g.Path, Auth: auth}); err != nil {
		t.Errorf("%+v: %v", g, err)
	}
	if ep, err := transport.NewEndpoint(g.URL); err != nil || (ep.Protocol == "file") != (gitScheme(g.URL) == "file" || gitScheme(g.URL) == "") {
		t.Errorf("%q: %+v, %v", g.URL, ep, err)
	}
	if v := g.Verify; v != nil {
		if v.KeysFile == "" || v.Object != "commit" && (v.Object != "tag" || g.Tag == "") ||
			(v.History || v.AcceptRewriteOf != "") && c.State.Dir == "" ||
			v.AcceptRewriteOf != "" && !commitHash.MatchString(v.AcceptRewriteOf) {
			t.Errorf("%+v", v)
		}
	}
	if s := g.Status; s != nil {
		if !provider(s.Provider).names(s.Repository) || !isAPI(s.URL) || s.Name == "" || strings.ContainsAny(s.Name+s.TargetURL, "\r\n") ||
			!s.Token.IsSet() && (s.Provider != "github" || g.Auth.GitHubApp == nil) {
			t.Errorf("%+v", s)
		}
	}
}

func isAPI(base string) bool {
	u, err := url.Parse(base)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.HasSuffix(base, "/") &&
		(u.Scheme == "https" || u.Scheme == "http" && web.IsLoopback(u.Hostname()))
}

func checkHoldPromises(t *testing.T, c *Config) {
	t.Helper()
	if c.Jitter < 0 || c.Jitter > time.Hour {
		t.Errorf("jitter %s", c.Jitter)
	}
	if d := c.Guards.DeactivationCooloff; d < 0 || d > 0 && (d < time.Minute || c.State.Dir == "") {
		t.Errorf("cool-off %s", d)
	}
	var orgs []string
	from := time.Date(2026, 3, 8, 1, 59, 59, 0, time.UTC)
	for _, w := range c.Windows {
		if w.Zone == nil || w.For < minWindow || w.For > maxWindow || !w.Opens.Next(from).After(from) || w.Orgs != nil && len(w.Orgs) == 0 {
			t.Errorf("%+v", w)
		}
		orgs = append(orgs, w.Orgs...)
	}
	for _, s := range c.Suspend {
		if s.Reason == "" || s.Owner == "" || strings.ContainsAny(s.Reason+s.Owner, "\r\n") || s.Orgs != nil && len(s.Orgs) == 0 {
			t.Errorf("%+v", s)
		}
		orgs = append(orgs, s.Orgs...)
	}
	for _, o := range orgs {
		if _, err := path.Match(o, "acme.okta.com"); err != nil || o == "" || o != strings.ToLower(o) {
			t.Errorf("pattern %q: %v", o, err)
		}
	}
}
