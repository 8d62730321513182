package config

import (
	"strings"
	"testing"
	"time"

	"reconciler/internal/store/program"
)

// Manifests that were checked by the domains of other parents are no fallback.
func TestSameManifests(t *testing.T) {
	parents := func(all ...Parent) *Config { return &Config{Manifests: "orgs", Parents: all} }
	c := parents(Parent{Name: "acme", Domain: "acme.okta.com"})
	for _, tt := range []struct {
		name string
		next *Config
		same bool
	}{
		{"a key of the parent", parents(Parent{Name: "acme", Domain: "acme.okta.com", Settle: 1}), true},
		{"its domain", parents(Parent{Name: "acme", Domain: "acme.okta-emea.com"}), false},
		{"its name", parents(Parent{Name: "acme-2", Domain: "acme.okta.com"}), false},
		{"no parent", parents(), false},
	} {
		if got := c.SameManifests(tt.next); got != tt.same {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What a webhook or a commit status needs has no part in reading manifests.
func TestSameManifestsOfGit(t *testing.T) {
	git := func(change func(*Git)) *Config {
		g := &Git{URL: "https://git.example/orgs", Branch: "main", Webhook: Secret{file: "a"}}
		change(g)
		return &Config{Git: g}
	}
	c := git(func(*Git) {})
	for _, tt := range []struct {
		name string
		next *Config
		same bool
	}{
		{"another secret of the webhook", git(func(g *Git) { g.Webhook = Secret{file: "b"} }), true},
		{"no webhook", git(func(g *Git) { g.Webhook = Secret{} }), true},
		{"a commit status", git(func(g *Git) { g.Status = &GitStatus{} }), true},
		{"another branch", git(func(g *Git) { g.Branch = "next" }), false},
		{"signatures", git(func(g *Git) { g.Verify = &Verify{} }), false},
		{"no git", &Config{}, false},
	} {
		if got := c.SameManifests(tt.next); got != tt.same {
			t.Errorf("%s: %v", tt.name, got)
		}
		if got := tt.next.SameManifests(c); got != tt.same {
			t.Errorf("%s, the other way: %v", tt.name, got)
		}
	}
}

// What a program has printed is no part of a config.
func TestSameManifestsOfPrograms(t *testing.T) {
	with := func(password string, keep time.Duration) *Config {
		programs := &program.Cache{Keep: keep}
		command := hide(&command{[]string{"/bin/x", password}, programs})
		if _, err := programs.Read(t.Context(), []string{"none"}); err == nil {
			t.Fatal("a program was found")
		}
		return &Config{Git: &Git{URL: "https://git.example/orgs", Auth: GitAuth{
			Password:  Secret{name: "p", command: command},
			GitHubApp: &GitHubApp{PrivateKey: Key{signer: &Signer{name: "s", command: command}}},
		}}}
	}
	if !with("a", 0).SameManifests(with("a", time.Hour)) {
		t.Error("the same programs differ")
	}
	if with("a", 0).SameManifests(with("b", 0)) {
		t.Error("other arguments are the same")
	}
}

// What a daemon can't change is named by the key that says it.
func TestCanBecome(t *testing.T) {
	c := &Config{State: State{Dir: "a", Retention: time.Hour}}
	for _, tt := range []struct{ next, want string }{
		{"a 1h", ""},
		{"a 2h", "a running daemon can't change state.retention"},
		{"b 2h", "a running daemon can't change state.dir, state.retention"},
	} {
		dir, retention, _ := strings.Cut(tt.next, " ")
		span, err := time.ParseDuration(retention)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := c.CanBecome(&Config{State: State{Dir: dir, Retention: span}}); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.next, got, tt.want)
		}
	}
}
