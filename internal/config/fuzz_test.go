package config

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"reconciler/internal/strictyaml"
)

// Whatever stands in file and environment, the result is a config that keeps
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
			if strings.ContainsAny(w.String(), "\r\n") || w.Pos.Line < 1 {
				t.Errorf("bad warning %q", w)
			}
		}
		if err != nil {
			errs, ok := strictyaml.AsErrors(err)
			if !ok || cfg != nil {
				t.Fatalf("%T: %v, with %v", err, err, cfg)
			}
			for _, e := range errs {
				if e.Pos.Line < 1 || e.Pos.Column < 1 || e.Pos.File == "" || e.Msg == "" || strings.ContainsAny(e.Error(), "\r\n") {
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
	}
	for _, p := range c.Parents {
		if p.Name == "" || p.URL == nil || p.URL.User != nil || p.Settle < 0 ||
			p.Settle < minSettle && !isLoopback(p.URL.Hostname()) ||
			p.URL.Scheme != "https" && !isLoopback(p.URL.Hostname()) {
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
	if c.Guards.MaxDestructiveOrgs < 0 || c.Guards.MaxDestructivePercent < 0 || c.Guards.MaxDestructivePercent > 100 {
		t.Errorf("%+v", c.Guards)
	}
	for _, u := range []*url.URL{a.URL, a.Auth.OrgURL} {
		if u != nil && (u.Host == "" || strings.ContainsAny(u.String(), "@?# ")) {
			t.Errorf("URL %q", u)
		}
	}
}
