package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reconciler/internal/freeze/schedule"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/strictyaml"
)

// compare looks at configs as programs do: by what they say.
var compare = cmp.Options{
	cmp.Comparer(func(a, b schedule.Schedule) bool { return a.String() == b.String() }),
	cmp.AllowUnexported(OrgsAuth{}),
	cmp.Comparer(func(a, b Secret) bool { return a.String() == b.String() }),
	cmp.Comparer(func(a, b Key) bool { return a.String() == b.String() }),
	cmpopts.IgnoreUnexported(Config{}),
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func defaults(t *testing.T) *Config {
	t.Helper()
	every10, err := schedule.Parse("*/10 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	return &Config{
		Aerial:   Aerial{Concurrency: 10, Timeout: 30 * time.Second},
		Schedule: every10,
		Mode:     Report,
		Orgs:     Orgs{URL: "https://{domain}", Concurrency: 64, CallsPerOrg: 4, Share: 50, Every: time.Hour},
		Guards:   Guards{MaxDestructiveOrgs: 10, MaxDestructivePercent: 20, MaxDestructiveOrgsPerDay: 20, MaxNewOrgs: 10, RevertWithin: 24 * time.Hour},
		State:    State{Retention: 90 * 24 * time.Hour},
		HTTP:     HTTP{Address: "127.0.0.1:8080", Auth: HTTPAuth{None: true}},
	}
}

// writeConfig writes a config into a folder of its own and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reconciler.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := writeConfig(t, `
aerial:
  url: https://Aerial-Apac.okta.com/
  accountID: "0200"
  auth: {orgURL: http://127.0.0.1:1, clientID: c, privateKeyFile: keys/aerial.pem, keyID: k, dpop: true}
  concurrency: 3
  timeout: 5s
parents:
  - {name: acme, url: https://acme.okta.com, auth: {tokenFile: /abs/token}, settle: 45s}
git:
  url: https://git.example/a.git
  path: /orgs/
  auth: {username: x, passwordFile: pw}
mode: apply
guards: {maxDestructiveOrgs: 0}
tokens: {dir: tokens}
state: {dir: ./state/../state}
`)
	dir := filepath.Dir(path)
	got, warnings, err := Load(path, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := defaults(t)
	want.File = path
	want.Aerial = Aerial{
		URL: mustURL(t, "https://aerial-apac.okta.com"), AccountID: "0200", Concurrency: 3, Timeout: 5 * time.Second,
		Auth: Auth{
			OrgURL: mustURL(t, "http://127.0.0.1:1"), ClientID: "c", KeyID: "k", DPoP: true,
			PrivateKey: Key{secret: Secret{name: "aerial.auth.privateKeyFile", file: filepath.Join(dir, "keys/aerial.pem")}},
		},
	}
	acme := mustURL(t, "https://acme.okta.com")
	want.Parents = []Parent{{Name: "acme", URL: acme, Domain: "acme.okta.com", Settle: 45 * time.Second,
		Auth: Auth{OrgURL: acme, Token: Secret{name: "parents.0.auth.tokenFile", file: "/abs/token"}}}}
	want.Git = &Git{URL: "https://git.example/a.git", Branch: "main", Path: "orgs",
		Auth: GitAuth{Username: "x", Password: Secret{name: "git.auth.passwordFile", file: filepath.Join(dir, "pw")}}}
	want.Mode, want.Guards.MaxDestructiveOrgs = Apply, 0
	want.Tokens.Dir, want.State.Dir = filepath.Join(dir, "tokens"), filepath.Join(dir, "state")
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
}

func TestLoadDefaults(t *testing.T) {
	path := writeConfig(t, "")
	got, _, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults(t)
	want.File = path
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
}

func TestLoadEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	got, warnings, err := Load(DefaultFile, []string{
		"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=overridden",
		"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=PEM\nlines",
		"RECONCILER_GIT_URL=../okta-orgs",
		"RECONCILER_GIT_TAG=v1",
		"RECONCILER_PARENTS_0_NAME=acme",
		"RECONCILER_PARENTS_0_URL=https://acme.okta.com",
		"RECONCILER_PARENTS_0_AUTH_TOKEN=00abc",
		"RECONCILER_PARENTS_0_SETTLE=1m",
		"RECONCILER_GUARDS_MAX_DESTRUCTIVE_PERCENT=0",
		"RECONCILER_SCHEDULE=@every 1h",
		"RECONCILER_MODE=",
		"no equals sign",
	})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := defaults(t)
	key, token := "PEM\nlines", "00abc"
	want.Aerial.Auth.PrivateKey = Key{secret: Secret{name: "RECONCILER_AERIAL_AUTH_PRIVATE_KEY", value: &key}}
	acme := mustURL(t, "https://acme.okta.com")
	want.Parents = []Parent{{Name: "acme", URL: acme, Domain: "acme.okta.com", Settle: time.Minute,
		Auth: Auth{OrgURL: acme, Token: Secret{name: "RECONCILER_PARENTS_0_AUTH_TOKEN", value: &token}}}}
	want.Git = &Git{URL: "../okta-orgs", Tag: "v1"}
	want.Guards.MaxDestructivePercent = 0
	want.Schedule, _ = schedule.Parse("@every 1h")
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
	if data, err := got.Aerial.Auth.PrivateKey.Read(t.Context()); err != nil || string(data) != key {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLoadMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		path    string
		environ []string
		hint    string
	}{
		{DefaultFile, nil, "create one here"},
		{DefaultFile, []string{"RECONCILER_LOG_LEVEL=debug", "RECONCILER_PORT=tcp://10.0.0.1:1"}, "create one here"},
		{"other.yaml", []string{"RECONCILER_MODE=report"}, "check the path that --config"},
	} {
		_, _, err := Load(tt.path, tt.environ)
		var h interface{ Hint() string }
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &h) || !strings.Contains(h.Hint(), tt.hint) {
			t.Errorf("%s: %v", tt.path, err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("config file %q", tt.path)) {
			t.Errorf("the error doesn't name the file: %v", err)
		}
	}
	if _, _, err := Load(t.TempDir(), nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
	huge := writeConfig(t, strings.Repeat("#", strictyaml.MaxSize+1))
	if _, _, err := Load(huge, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestPermissionWarnings(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions")
	}
	const read, change = "read", "change"
	for mode, others := range map[os.FileMode]string{
		0o400: "", 0o600: "", 0o440: "", 0o640: "", 0o550: "", 0o601: "", // Kubernetes gives a group the right to read
		0o444: read, 0o644: read, 0o604: read,
		0o620: change, 0o660: change, 0o622: change, 0o666: change, 0o602: change, 0o777: change,
	} {
		t.Run(fmt.Sprintf("%#o", mode), func(t *testing.T) {
			path := writeConfig(t, "aerial: {auth: {privateKeyFile: key.pem}}\n")
			key := filepath.Join(filepath.Dir(path), "key.pem")
			if err := os.WriteFile(key, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(key, mode); err != nil {
				t.Fatal(err)
			}
			_, warnings, err := Load(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if others == "" {
				if len(warnings) > 0 {
					t.Errorf("warned: %v", warnings)
				}
				return
			}
			want := fmt.Sprintf(`%s:1:33: "aerial.auth.privateKeyFile": other users of this machine can %s %q (mode %#o): chmod 600 it`, path, others, key, mode)
			if len(warnings) != 1 || warnings[0].String() != want {
				t.Errorf("got %v\nwant %s", warnings, want)
			}
		})
	}
}

// Which files are checked; a missing one is an error when it is needed.
func TestPermissionWarningsAreAboutSecrets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions")
	}
	path := writeConfig(t, `
aerial: {auth: {privateKeyFile: missing}}
parents: [{name: a, url: https://a.okta.com, auth: {tokenFile: open}}]
git:
  url: git@git.example:a/b.git
  auth: {sshKeyFile: open, knownHostsFile: open, sshPassphraseFile: open}
  verify: {keysFile: open}
  webhook: {secretFile: open}
  status: {provider: gitlab, tokenFile: open}
`)
	open := filepath.Join(filepath.Dir(path), "open")
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		key, _, _ := strings.Cut(w.Msg, ": ")
		got = append(got, key)
	}
	if diff := cmp.Diff([]string{`"parents.0.auth.tokenFile"`, `"git.auth.sshKeyFile"`, `"git.auth.sshPassphraseFile"`, `"git.webhook.secretFile"`, `"git.status.tokenFile"`}, got); diff != "" {
		t.Error(diff)
	}
}

// Files that say whom to trust may be read by everybody.
func TestTrustedFilesAreNotForOthersToChange(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such permissions")
	}
	path := writeConfig(t, `
git:
  url: git@git.example:a/b.git
  auth: {sshKeyFile: key, knownHostsFile: trusted}
  verify: {keysFile: trusted}
`)
	trusted := filepath.Join(filepath.Dir(path), "trusted")
	if err := os.WriteFile(trusted, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o444: false, 0o664: true, 0o622: true, 0o602: true} {
		if err := os.Chmod(trusted, mode); err != nil {
			t.Fatal(err)
		}
		_, warnings, err := Load(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, w := range warnings {
			got = append(got, w.String())
		}
		if warned {
			const format = "%s:%s: %q: other users of this machine can change %q (mode %#o), and with it what is trusted: chmod go-w it"
			want = []string{
				fmt.Sprintf(format, path, "4:43", "git.auth.knownHostsFile", trusted, mode),
				fmt.Sprintf(format, path, "5:22", "git.verify.keysFile", trusted, mode),
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%#o: %s", mode, diff)
		}
	}
}

func TestSecretRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	value, empty := "from the environment\n", "\n"
	tests := []struct {
		name   string
		secret Secret
		want   string
		err    string
	}{
		{"line end", Secret{name: "k", file: write("a", "secret\n")}, "secret", ""},
		{"CRLF", Secret{name: "k", file: write("b", "secret\r\n")}, "secret", ""},
		{"inner lines and spaces", Secret{name: "k", file: write("c", " a\nb \n")}, " a\nb ", ""},
		{"environment", Secret{name: "RECONCILER_X", value: &value}, "from the environment", ""},
		{"byte order mark", Secret{name: "k", file: write("f", "\ufeffsecret\n")}, "secret", ""},
		{"nothing but a byte order mark", Secret{name: "k", file: write("g", "\ufeff\n")}, "", `k ("` + dir + `/g") is empty`},
		{"UTF-16", Secret{name: "k", file: write("h", "\xff\xfeC\x00A\x00")}, "", `k: reading "` + dir + `/h": it is UTF-16; save it as UTF-8`},
		{"missing", Secret{name: "aerial.auth.privateKeyFile", file: filepath.Join(dir, "none")}, "", `aerial.auth.privateKeyFile: reading "` + dir + `/none": no such file`},
		{"folder", Secret{name: "k", file: dir}, "", "is a directory"},
		{"empty file", Secret{name: "k", file: write("d", " \n")}, "", `k ("` + dir + `/d") is empty`},
		{"empty variable", Secret{name: "RECONCILER_X", value: &empty}, "", "the environment variable RECONCILER_X is empty"},
		{"large", Secret{name: "k", file: write("e", strings.Repeat("CANARY", maxSecret))}, "", "larger than 64 KB"},
		{"not set", Secret{}, "", "no such secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.secret.Read(t.Context())
			if tt.err == "" && (err != nil || string(got) != tt.want) {
				t.Errorf("got %q, %v", got, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "CANARY")) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// Nothing that prints, encodes or logs a config shows a secret of it.
func TestSecretsDontPrint(t *testing.T) {
	path := writeConfig(t, "git: {url: https://git.example/a/b.git}\n")
	cfg, _, err := Load(path, []string{
		"RECONCILER_GIT_WEBHOOK_SECRET=CANARY4",
		"RECONCILER_GIT_STATUS_PROVIDER=gitlab",
		"RECONCILER_GIT_STATUS_TOKEN=CANARY5",
		"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=CANARY1",
		"RECONCILER_GIT_AUTH_PASSWORD=CANARY2",
		"RECONCILER_PARENTS_0_NAME=a", "RECONCILER_PARENTS_0_URL=https://a.okta.com", "RECONCILER_PARENTS_0_AUTH_TOKEN=CANARY3",
	})
	if err != nil {
		t.Fatal(err)
	}
	type nested struct {
		Secret Secret
		secret Secret
	}
	cfg.Git.Auth.Password = Secret{name: "RECONCILER_GIT_AUTH_PASSWORD_COMMAND", command: hide(&command{[]string{"/bin/x", "CANARY6"}, cfg.programs.get()})}
	s, k := cfg.Aerial.Auth.PrivateKey.secret, cfg.Aerial.Auth.PrivateKey
	var all strings.Builder
	for _, v := range []any{cfg, *cfg, cfg.Aerial, cfg.Parents, *cfg.Git, *cfg.Git.Status, s, &s, nested{s, s}, k, &k} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
	}
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all.Write(data)
	slog.New(slog.NewJSONHandler(&all, nil)).Info("x", "config", cfg, "secret", s, "aerial", cfg.Aerial)
	slog.New(slog.NewTextHandler(&all, nil)).Info("x", "config", cfg, "secret", s, "aerial", cfg.Aerial)
	for _, canary := range []string{"CANARY", fmt.Sprintf("%x", "CANARY")} {
		if strings.Contains(all.String(), canary) {
			i := strings.Index(all.String(), canary)
			t.Errorf("a secret was printed: …%s", all.String()[max(0, i-300):i+20])
		}
	}
	if !strings.Contains(all.String(), "RECONCILER_AERIAL_AUTH_PRIVATE_KEY") {
		t.Error("nothing was printed")
	}
}

func TestNeed(t *testing.T) {
	cfg, _, err := Load(writeConfig(t, "aerial: {url: https://aerial-apac.okta.com}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.File = "reconciler.yaml"
	err = cfg.NeedAerial()
	var missing *MissingError
	if !errors.As(err, &missing) {
		t.Fatal(err)
	}
	if got, want := err.Error(), `config file "reconciler.yaml" lacks aerial.accountID, aerial.auth.orgURL, aerial.auth.clientID, aerial.auth.privateKeyFile`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := missing.Hint(), "add them, or set RECONCILER_AERIAL_ACCOUNT_ID, RECONCILER_AERIAL_AUTH_ORG_URL, RECONCILER_AERIAL_AUTH_CLIENT_ID, RECONCILER_AERIAL_AUTH_PRIVATE_KEY_FILE"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	cfg.File = ""
	if err := cfg.NeedSource(); err == nil || err.Error() != "the config lacks git or manifests" {
		t.Errorf("got %v", err)
	}

	cfg, _, err = Load(writeConfig(t, `
aerial: {url: https://aerial-apac.okta.com, accountID: a, auth: {orgURL: https://acme-aerial.okta.com, clientID: c}}
manifests: orgs
`), []string{"RECONCILER_AERIAL_AUTH_PRIVATE_KEY=x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.NeedAerial(); err != nil {
		t.Error(err)
	}
	if err := cfg.NeedSource(); err != nil {
		t.Error(err)
	}
	cfg.Manifests, cfg.Git = "", &Git{}
	if err := cfg.NeedSource(); err != nil {
		t.Error(err)
	}
}

func TestEnvName(t *testing.T) {
	for path, want := range map[string]string{
		"aerial.accountID":          "RECONCILER_AERIAL_ACCOUNT_ID",
		"aerial.auth.orgURL":        "RECONCILER_AERIAL_AUTH_ORG_URL",
		"guards.maxDestructiveOrgs": "RECONCILER_GUARDS_MAX_DESTRUCTIVE_ORGS",
		"parents.0.auth.tokenFile":  "RECONCILER_PARENTS_0_AUTH_TOKEN_FILE",
		"git.auth.sshKeyFile":       "RECONCILER_GIT_AUTH_SSH_KEY_FILE",
		"http.address":              "RECONCILER_HTTP_ADDRESS",
		"aerial.auth.dpop":          "RECONCILER_AERIAL_AUTH_DPOP",
		"git.auth.caFile":           "RECONCILER_GIT_AUTH_CA_FILE",
		"git.auth.githubApp.appID":  "RECONCILER_GIT_AUTH_GITHUB_APP_APP_ID",
		"suspend.0.until":           "RECONCILER_SUSPEND_0_UNTIL",
		"x.someURLPath":             "RECONCILER_X_SOME_URL_PATH",
	} {
		if got := envName(path); got != want {
			t.Errorf("%s gives %s, want %s", path, got, want)
		}
	}
}

// No two keys share a variable, and each variable really sets its key.
func TestEveryKeyHasAVariable(t *testing.T) {
	values := map[string]string{
		"int": "7", "bool": "true", "time.Duration": "45s", "config.Mode": "apply", "string": "word",
		"config.plain": "word", "config.verifyObject": "tag", "config.provider": "gitlab", "config.Role": "APP_ADMIN", "config.authWord": "none",
		"config.ReceiverType": "teams", "[]strictyaml.At[string]": "a,b", "config.selectorTerms": "a,b", "config.commandLine": "a,b",
	}
	seen := map[string]string{}
	for _, fd := range allFields() {
		if other, ok := seen[fd.env()]; ok {
			t.Errorf("%s and %s share %s", fd.path, other, fd.env())
		}
		seen[fd.env()] = fd.path
		typ := fd.value.FieldByName("V").Type().String()
		f := file{}
		warnings, errs := newEnvironment([]string{fd.env() + "=" + values[typ]}).overlay(&f)
		if len(warnings) > 0 || errs.Err() != nil {
			t.Errorf("%s: %v, %v", fd.env(), warnings, errs)
		}
		i := slices.IndexFunc(f.fields(), func(o *field) bool { return o.path == fd.path })
		if i < 0 {
			t.Errorf("%s is not there", fd.path)
			continue
		}
		set := f.fields()[i].value
		value := fmt.Sprint(set.FieldByName("V"))
		if list := set.FieldByName("V"); list.CanConvert(reflect.TypeFor[[]at[string]]()) {
			items := list.Convert(reflect.TypeFor[[]at[string]]()).Interface().([]at[string])
			value = items[0].V + "," + items[1].V
		}
		if !set.FieldByName("Set").Bool() || value != values[typ] {
			t.Errorf("%s: %s does not set it", fd.path, fd.env())
		}
	}
}

// The config that the simulator writes loads, without a warning.
func TestSimulatorConfig(t *testing.T) {
	seed := simulator.DefaultSeed(3)
	access, err := simulator.Grant(seed, jose.ES256, true, "okta.accounts.read")
	if err != nil {
		t.Fatal(err)
	}
	access.URL = "http://127.0.0.1:8089"
	path, err := simulator.WriteConfig(t.TempDir(), seed, *access)
	if err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := Load(path, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if err := cfg.NeedAerial(); err != nil {
		t.Error(err)
	}
	if err := cfg.NeedSource(); err != nil {
		t.Error(err)
	}
	if len(cfg.Parents) != 1 || !cfg.Parents[0].Auth.Token.IsSet() {
		t.Errorf("parents: %+v", cfg.Parents)
	}
}

func TestOktaDomain(t *testing.T) {
	for raw, want := range map[string]string{
		"https://acme.okta.com":                   "acme.okta.com",
		"https://ACME.Okta.com:443/":              "acme.okta.com",
		"https://acme-2.oktapreview.com":          "acme-2.oktapreview.com",
		"https://acme.okta-emea.com":              "acme.okta-emea.com",
		"https://login.acme.com":                  "",
		"https://okta.com":                        "",
		"https://.okta.com":                       "",
		"https://acme.okta.com.evil.example":      "",
		"https://acmeokta.com":                    "",
		"https://acme.okta.com.":                  "",
		"http://127.0.0.1:8089":                   "",
		"https://acme.okta.com@evil.example/":     "",
		"https://evil.example/?x=.acme.okta.com":  "",
		"https://login.acme.com/#//acme.okta.com": "",
	} {
		if got := OktaDomain(mustURL(t, raw)); got != want {
			t.Errorf("%s gives %q, want %q", raw, got, want)
		}
	}
	if got := OktaDomain(nil); got != "" {
		t.Errorf("no URL gives %q", got)
	}
}

func TestParentUnknown(t *testing.T) {
	for _, tt := range []struct {
		url, domain string
		want        bool
	}{
		{"https://acme.okta.com", "", false},
		{"https://login.acme.com", "", true},
		{"https://login.acme.com", "acme.okta.com", false},
		{"http://127.0.0.1:8089", "", false},
		{"http://localhost:8089", "acme.okta.com", false},
	} {
		text := fmt.Sprintf("parents: [{name: a, url: '%s'}]", tt.url)
		if tt.domain != "" {
			text = fmt.Sprintf("parents: [{name: a, url: '%s', domain: %s}]", tt.url, tt.domain)
		}
		cfg, warnings, err := load("reconciler.yaml", []byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := cfg.Parents[0].Unknown(); got != tt.want || tt.want != (len(warnings) == 1) {
			t.Errorf("%s: unknown %v, warnings %v", text, got, warnings)
		}
	}
}

func TestGitPaths(t *testing.T) {
	for url, want := range map[string]string{
		"/srv/a.git":             "/srv/a.git",
		"a.git":                  "conf/a.git",
		"../a.git":               "a.git",
		"../a:b":                 "./a:b", // what stands before a colon would be a host
		"file:///srv/a.git":      "file:///srv/a.git",
		"git.example:a.git":      "git.example:a.git",
		"ssh://git@h:22/a.git":   "ssh://git@h:22/a.git",
		"http://127.0.0.1/a.git": "http://127.0.0.1/a.git",
	} {
		text := "git: {url: '" + url + "', auth: {sshKeyFile: k, knownHostsFile: h}}\n"
		if strings.HasPrefix(url, "http") {
			text = "git: {url: '" + url + "'}\n"
		}
		cfg, _, err := load("conf/reconciler.yaml", []byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if cfg.Git.URL != want {
			t.Errorf("%s gives %s, want %s", url, cfg.Git.URL, want)
		}
	}
}

func TestDefault(t *testing.T) {
	cfg := Default()
	if cfg.NeedAerial() == nil || cfg.NeedSource() == nil {
		t.Error("defaults alone are enough to talk to somebody")
	}
	if cfg.Guards.MaxDestructiveOrgs != 10 || cfg.Guards.MaxDestructivePercent != 20 {
		t.Errorf("guards are %+v", cfg.Guards)
	}
}
