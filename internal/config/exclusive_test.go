package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// overlaid loads a config file with variables.
func overlaid(t *testing.T, text string, environ ...string) (*Config, []Warning, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, environ)
}

// A variable replaces what its key excludes in the file.
func TestVariableReplacesAlternatives(t *testing.T) {
	commit := strings.Repeat("a1", 20)
	git := "git: {url: 'https://git.example/o.git', branch: stable, auth: {username: bot, passwordFile: pw}}\n"
	parent := "parents: [{name: a, url: 'https://a.okta.com', auth: {clientID: 0oa1, privateKeyFile: k, keyID: k1, dpop: true}}]\n"
	tests := []struct {
		name, file string
		environ    []string
		check      func(*Config) bool
	}{
		{"commit over branch", git, []string{"RECONCILER_GIT_COMMIT=" + commit},
			func(c *Config) bool { return c.Git.Ref() == commit && c.Git.Auth.Username == "bot" }},
		{"tag over branch", git, []string{"RECONCILER_GIT_TAG=v1"}, func(c *Config) bool { return c.Git.Ref() == "refs/tags/v1" }},
		{"branch over tag", "git: {url: 'https://git.example/o.git', tag: v1}", []string{"RECONCILER_GIT_BRANCH=next"},
			func(c *Config) bool { return c.Git.Ref() == "refs/heads/next" }},
		{"manifests over git", git, []string{"RECONCILER_MANIFESTS=orgs"}, func(c *Config) bool { return c.Git == nil && c.Manifests != "" }},
		{"git over manifests", "manifests: orgs", []string{"RECONCILER_GIT_URL=https://git.example/o.git"},
			func(c *Config) bool { return c.Git != nil && c.Manifests == "" }},
		{"password over its file", git, []string{"RECONCILER_GIT_AUTH_PASSWORD=secret"},
			func(c *Config) bool {
				return c.Git.Auth.Password.value != nil && c.Git.Auth.Password.file == "" && c.Git.Auth.Username == "bot"
			}},
		{"file over nothing", git, []string{"RECONCILER_GIT_AUTH_PASSWORD_FILE=other"},
			func(c *Config) bool { return filepath.Base(c.Git.Auth.Password.file) == "other" }},
		{"app over password", git, []string{"RECONCILER_GIT_AUTH_GITHUB_APP_APP_ID=1", "RECONCILER_GIT_AUTH_GITHUB_APP_INSTALLATION_ID=2", "RECONCILER_GIT_AUTH_GITHUB_APP_PRIVATE_KEY=x"},
			func(c *Config) bool { return c.Git.Auth.GitHubApp != nil && c.Git.Auth.Username == "" }},
		{"password over app", "git: {url: 'https://git.example/o.git', auth: {githubApp: {appID: 1, installationID: 2, privateKeyFile: k}}}",
			[]string{"RECONCILER_GIT_AUTH_USERNAME=bot", "RECONCILER_GIT_AUTH_PASSWORD=x"},
			func(c *Config) bool { return c.Git.Auth.GitHubApp == nil && c.Git.Auth.Username == "bot" }},
		{"token over app of a parent", parent, []string{"RECONCILER_PARENTS_0_AUTH_TOKEN=00abc"},
			func(c *Config) bool {
				a := c.Parents[0].Auth
				return a.Token.IsSet() && a.ClientID == "" && a.KeyID == "" && !a.DPoP && !a.PrivateKey.IsSet()
			}},
		{"app over token of a parent", "parents: [{name: a, url: 'https://a.okta.com', auth: {tokenFile: t}}]",
			[]string{"RECONCILER_PARENTS_0_AUTH_CLIENT_ID=0oa1", "RECONCILER_PARENTS_0_AUTH_PRIVATE_KEY=x"},
			func(c *Config) bool { return !c.Parents[0].Auth.Token.IsSet() && c.Parents[0].Auth.ClientID == "0oa1" }},
		{"allow over deny", "windows: [{deny: 0 0 * * *, duration: 1h}]", []string{"RECONCILER_WINDOWS_0_ALLOW=0 9 * * *"},
			func(c *Config) bool { return !c.Windows[0].Deny }},
		{"command over folder", "tokens: {dir: t, recipientsFile: r}", []string{"RECONCILER_TOKENS_COMMAND=./store"},
			func(c *Config) bool {
				return c.Tokens.Dir == "" && c.Tokens.RecipientsFile == "" && filepath.Base(c.Tokens.Command) == "store"
			}},
		{"database over folder", "state: {dir: s, retention: 48h}", []string{"RECONCILER_STATE_POSTGRES_URL_FILE=url"},
			func(c *Config) bool {
				return c.State.Dir == "" && filepath.Base(c.State.Postgres.Origin()) == "url" && c.State.IsSet() && c.State.Retention == 48*time.Hour
			}},
		{"database's URL over its file", "state: {postgres: {urlFile: f}}", []string{"RECONCILER_STATE_POSTGRES_URL=postgres://h/d"},
			func(c *Config) bool { return c.State.Postgres.value != nil && c.State.Postgres.file == "" }},
		{"folder over database", "state: {postgres: {urlFile: f}}", []string{"RECONCILER_STATE_DIR=s"},
			func(c *Config) bool { return c.State.Dir != "" && !c.State.Postgres.IsSet() }},
		{"key over its file", "aerial: {auth: {privateKeyFile: k}}", []string{"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=x"},
			func(c *Config) bool { return c.Aerial.Auth.PrivateKey.secret.value != nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings, err := overlaid(t, tt.file, tt.environ...)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("error %v, warnings %v", err, warnings)
			}
			if !tt.check(c) {
				t.Errorf("got %+v, git %+v", c, c.Git)
			}
		})
	}
}

// Two variables of one choice, and a variable that only goes with others, leave
// the contradiction.
func TestVariablesThatContradict(t *testing.T) {
	for _, tt := range []struct {
		file    string
		environ []string
		says    string
	}{
		{"git: {url: 'https://git.example/o.git'}", []string{"RECONCILER_GIT_BRANCH=b", "RECONCILER_GIT_TAG=v1"}, "mutually exclusive"},
		{"", []string{"RECONCILER_MANIFESTS=orgs", "RECONCILER_GIT_URL=https://git.example/o.git"}, "mutually exclusive"},
		{"manifests: orgs", []string{"RECONCILER_GIT_AUTH_PASSWORD=x"}, "mutually exclusive"},
		{"", []string{"RECONCILER_STATE_DIR=s", "RECONCILER_STATE_POSTGRES_URL=postgres://h/d"}, "mutually exclusive"},
		{"", []string{"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=x", "RECONCILER_AERIAL_AUTH_PRIVATE_KEY_FILE=k"}, "keep one"},
	} {
		if _, _, err := overlaid(t, tt.file, tt.environ...); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q with %v: %v", tt.file, tt.environ, err)
		}
	}
}

// No variable takes git.verify away, whatever it replaces.
func TestVariableKeepsVerification(t *testing.T) {
	const manifests = "RECONCILER_MANIFESTS=orgs"
	verified := "git: {url: 'https://git.example/o.git', branch: stable, verify: {keysFile: keys.asc}}\n"
	for _, tt := range []struct {
		name, file string
		environ    []string
		want       string // in the error, or "" if the commits are verified
	}{
		{"manifests", verified, []string{manifests}, "RECONCILER_MANIFESTS: would replace git, and with it git.verify"},
		{"manifests, and no url", verified, []string{manifests, "RECONCILER_GIT_URL="}, "RECONCILER_MANIFESTS: would replace git"},
		{"manifests, and another repository", verified, []string{manifests, "RECONCILER_GIT_URL=https://git.example/p.git"}, "RECONCILER_MANIFESTS: would replace git"},
		{"verified by a variable", "git: {url: 'https://git.example/o.git'}", []string{manifests, "RECONCILER_GIT_VERIFY_KEYS_FILE=keys.asc"}, "mutually exclusive"},
		{"an empty block", "git: {url: 'https://git.example/o.git', verify: {}}", []string{manifests}, "RECONCILER_MANIFESTS: would replace git"},
		{"another repository", verified, []string{"RECONCILER_GIT_URL=https://git.example/p.git"}, ""},
		{"commit over branch", verified, []string{"RECONCILER_GIT_COMMIT=" + strings.Repeat("a1", 20)}, ""},
		{"empty manifests", verified, []string{"RECONCILER_MANIFESTS="}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := overlaid(t, tt.file, tt.environ...)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && (c.Git == nil || c.Git.Verify == nil):
				t.Errorf("nothing is verified: %+v", c.Git)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// An empty variable removes its key from the file, so that the default applies.
func TestEmptyVariable(t *testing.T) {
	c, warnings, err := overlaid(t, `
git: {url: "https://git.example/o.git", tag: v1}
mode: apply
schedule: "@hourly"
guards: {maxDestructiveOrgs: 3}
windows: [{deny: 0 0 * * *, duration: 1h, orgs: [a.okta.com]}]
`, "RECONCILER_GIT_TAG=", "RECONCILER_MODE=", "RECONCILER_GUARDS_MAX_DESTRUCTIVE_ORGS=", "RECONCILER_WINDOWS_0_ORGS=",
		"RECONCILER_PARENTS_0_NAME=", "RECONCILER_GIT_COMIT=", "RECONCILER_LOG_LEVEL=")
	if err != nil {
		t.Fatal(err)
	}
	if c.Git.Ref() != "refs/heads/main" || c.Mode != Report || c.Guards.MaxDestructiveOrgs != 10 || c.Windows[0].Orgs != nil || len(c.Parents) != 0 {
		t.Errorf("got %+v, git %+v", c, c.Git)
	}
	var names []string
	for _, w := range warnings {
		names = append(names, w.Pos.File)
	}
	if want := []string{"RECONCILER_GIT_COMIT", "RECONCILER_PARENTS_0_NAME"}; !slices.Equal(names, want) {
		t.Errorf("warnings %v, want some about %v", warnings, want)
	}
	// Verification is not turned off by a variable that a script failed to set.
	_, _, err = overlaid(t, "git: {url: 'https://git.example/o.git', verify: {keysFile: keys.asc}}", "RECONCILER_GIT_VERIFY_KEYS_FILE=")
	if err == nil || !strings.Contains(err.Error(), "RECONCILER_GIT_VERIFY_KEYS_FILE: is empty") {
		t.Errorf("got %v", err)
	}
	// What is required is missing then.
	_, _, err = overlaid(t, "git: {url: 'https://git.example/o.git'}", "RECONCILER_GIT_URL=")
	if err == nil || !strings.Contains(err.Error(), `"git" has no "url"`) {
		t.Errorf("got %v", err)
	}
}

// Each key that exclusions name is one of the config.
func TestExclusionsNameKeys(t *testing.T) {
	known := map[string]bool{}
	f := &file{Parents: make([]at[parentFile], 1), Windows: make([]at[windowFile], 1)}
	f.walk(func(fd *field) { known[pattern(fd.choice())] = true })
	for _, e := range exclusions {
		for _, keys := range e.alternatives {
			for _, key := range keys {
				if path := strings.TrimPrefix(e.block+"."+key, "."); !known[path] {
					t.Errorf("there is no key %q", path)
				}
			}
		}
	}
}
