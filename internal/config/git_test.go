package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLoadGit(t *testing.T) {
	path := writeConfig(t, `
git:
  url: https://GHE.example:8443/Acme/okta-orgs.git/
  auth:
    caFile: ca.pem
    githubApp: {appID: 0012345, installationID: 678, privateKeyFile: app.pem}
  verify:
    keysFile: allowed-signers.asc
    history: true
    acceptRewriteOf: 0123456789ABCDEF0123456789abcdef01234567
  webhook: {secretFile: hook}
  status: {provider: github}
state: {dir: state}
`)
	dir := filepath.Dir(path)
	got, warnings, err := Load(path, []string{"RECONCILER_GIT_STATUS_TARGET_URL=http://reconciler.intern/"})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := &Git{
		URL: "https://GHE.example:8443/Acme/okta-orgs.git/", Branch: "main",
		Auth: GitAuth{
			CAFile: filepath.Join(dir, "ca.pem"),
			GitHubApp: &GitHubApp{
				AppID: "0012345", InstallationID: "678", URL: "https://ghe.example:8443/api/v3",
				PrivateKey: Key{secret: Secret{name: "git.auth.githubApp.privateKeyFile", file: filepath.Join(dir, "app.pem")}},
			},
		},
		Verify: &Verify{
			KeysFile: filepath.Join(dir, "allowed-signers.asc"), Object: "commit", History: true,
			AcceptRewriteOf: "0123456789abcdef0123456789abcdef01234567",
		},
		Webhook: Secret{name: "git.webhook.secretFile", file: filepath.Join(dir, "hook")},
		Status: &GitStatus{
			Provider: "github", Repository: "Acme/okta-orgs", URL: "https://ghe.example:8443/api/v3",
			Name: "reconciler", TargetURL: "http://reconciler.intern/",
		},
	}
	if diff := cmp.Diff(want, got.Git, compare); diff != "" {
		t.Error(diff)
	}
}

func TestLoadGitSSH(t *testing.T) {
	path := writeConfig(t, `
git:
  url: git@gitlab.example:acme/okta/orgs.git
  tag: v1
  auth: {sshKeyFile: key, knownHostsFile: hosts}
  verify: {keysFile: /etc/keys, object: tag}
  status: {provider: gitlab, name: Okta orgs}
`)
	dir := filepath.Dir(path)
	passphrase, token, secret := "p", "t", "s"
	got, _, err := Load(path, []string{
		"RECONCILER_GIT_AUTH_SSH_PASSPHRASE=" + passphrase,
		"RECONCILER_GIT_STATUS_TOKEN=" + token,
		"RECONCILER_GIT_WEBHOOK_SECRET=" + secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &Git{
		URL: "git@gitlab.example:acme/okta/orgs.git", Tag: "v1",
		Auth: GitAuth{
			SSHKeyFile: filepath.Join(dir, "key"), KnownHostsFile: filepath.Join(dir, "hosts"),
			SSHPassphrase: Secret{name: "RECONCILER_GIT_AUTH_SSH_PASSPHRASE", value: &passphrase},
		},
		Verify:  &Verify{KeysFile: "/etc/keys", Object: "tag"},
		Webhook: Secret{name: "RECONCILER_GIT_WEBHOOK_SECRET", value: &secret},
		Status: &GitStatus{
			Provider: "gitlab", Repository: "acme/okta/orgs", URL: "https://gitlab.example/api/v4", Name: "Okta orgs",
			Token: Secret{name: "RECONCILER_GIT_STATUS_TOKEN", value: &token},
		},
	}
	if diff := cmp.Diff(want, got.Git, compare); diff != "" {
		t.Error(diff)
	}
}

func TestServerOf(t *testing.T) {
	for _, tt := range []struct{ url, path, github, gitlab string }{
		{"https://github.com/acme/orgs.git", "acme/orgs", "https://api.github.com", "https://github.com/api/v4"},
		{"https://GitHub.com/acme/orgs/", "acme/orgs", "https://api.github.com", "https://github.com/api/v4"},
		{"git@github.com:acme/orgs.git", "acme/orgs", "https://api.github.com", "https://github.com/api/v4"},
		{"git@github.com:/acme/orgs", "acme/orgs", "https://api.github.com", "https://github.com/api/v4"},
		{"ssh://git@ssh.github.com:443/acme/orgs.git", "acme/orgs", "https://api.github.com", "https://github.com/api/v4"},
		{"ssh://git@altssh.gitlab.com:443/acme/a/orgs.git", "acme/a/orgs", "https://gitlab.com/api/v3", "https://gitlab.com/api/v4"},
		{"https://acme.ghe.com/acme/orgs", "acme/orgs", "https://api.acme.ghe.com", "https://acme.ghe.com/api/v4"},
		{"https://ghe.example:8443/acme/orgs", "acme/orgs", "https://ghe.example:8443/api/v3", "https://ghe.example:8443/api/v4"},
		{"ssh://git@git.example:2222/acme/orgs", "acme/orgs", "https://git.example/api/v3", "https://git.example/api/v4"},
		{"http://127.0.0.1:1234/acme/orgs.git", "acme/orgs", "http://127.0.0.1:1234/api/v3", "http://127.0.0.1:1234/api/v4"},
		{"/srv/orgs.git", "", "", ""},
		{"./a:b", "", "", ""},
		{"file:///srv/orgs.git", "", "", ""},
		{"", "", "", ""},
	} {
		s := serverOf(tt.url)
		if s.path != tt.path || s.api(github) != tt.github || s.api(gitlab) != tt.gitlab {
			t.Errorf("%q: %q, %q, %q", tt.url, s.path, s.api(github), s.api(gitlab))
		}
		if s.api(gitea) != strings.Replace(tt.gitlab, "/api/v4", "/api/v1", 1) || s.api(forgejo) != s.api(gitea) {
			t.Errorf("%q: %q, %q", tt.url, s.api(gitea), s.api(forgejo))
		}
	}
}

func TestLoadGitea(t *testing.T) {
	for _, provider := range []string{"gitea", "forgejo"} {
		path := writeConfig(t, `
git:
  url: https://codeberg.org/acme/okta-orgs.git
  status: {provider: `+provider+`, tokenFile: token}
`)
		got, _, err := Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := got.Git.Status; s.Provider != provider || s.URL != "https://codeberg.org/api/v1" || s.Repository != "acme/okta-orgs" {
			t.Errorf("got %+v", s)
		}
	}
}

func TestProviderNames(t *testing.T) {
	for name, wanted := range map[string]struct{ github, gitlab bool }{
		"acme/orgs":        {true, true},
		"Acme-1/okta.orgs": {true, true},
		"acme/a/orgs":      {false, true},
		"orgs":             {},
		"":                 {},
		"acme/":            {},
		"/orgs":            {},
		"acme//orgs":       {},
		"../orgs":          {},
		"acme/./orgs":      {},
		"acme/orgs?x":      {},
		"acme/órgs":        {},
	} {
		if github.names(name) != wanted.github || gitlab.names(name) != wanted.gitlab {
			t.Errorf("%q: GitHub %v, GitLab %v", name, github.names(name), gitlab.names(name))
		}
	}
}

// Load lets nothing pass that internal/git/source rejects; see checkGitPromises.
func TestSourceAcceptsGit(t *testing.T) {
	forms := []string{"", "ssh://git@", "https://", "http://", "file://", "git@git.example:", "./"}
	pieces := []string{
		"git", "@", ":", "/", "//", "://", "ssh", "https", "http", "file", "git.example", "127.0.0.1", "localhost", "[::1]",
		`\`, " ", "..", "./", "orgs.git", "%41", "%", "?", "#", "22", "C", "~",
	}
	refs := []string{"main", "a/b", "a..b", "-x", "x.lock", "@", "HEAD", "a/", "/a", "a//b", "~", "a@{b", "x.", "ü", `\x`, "refs/heads/x"}
	paths := []string{"/", "..", "a/../b", "a//b", "/a/", "./a", "\xff", ".", "a/..", " ", "-"}
	rapid.Check(t, func(rt *rapid.T) {
		url := rapid.SampledFrom(forms).Draw(rt, "form") + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(rt, "url"), "")
		env := []string{"RECONCILER_GIT_URL=" + url}
		for _, key := range []string{"AUTH_SSH_KEY_FILE", "AUTH_KNOWN_HOSTS_FILE", "AUTH_PASSWORD", "AUTH_CA_FILE", "AUTH_SSH_PASSPHRASE", "AUTH_USERNAME"} {
			if rapid.Bool().Draw(rt, key) {
				env = append(env, "RECONCILER_GIT_"+key+"=x")
			}
		}
		ref := rapid.SampledFrom([]string{"BRANCH", "TAG", "COMMIT"}).Draw(rt, "ref")
		env = append(env, "RECONCILER_GIT_"+ref+"="+rapid.SampledFrom(refs).Draw(rt, "name"))
		env = append(env, "RECONCILER_GIT_PATH="+rapid.SampledFrom(paths).Draw(rt, "path"))
		file := rapid.SampledFrom([]string{"reconciler.yaml", "/etc/reconciler.yaml", "x:y/reconciler.yaml"}).Draw(rt, "file")
		if cfg, _, err := load(file, nil, newEnvironment(env)); err == nil {
			checkGitPromises(rt, cfg)
		}
	})
}
