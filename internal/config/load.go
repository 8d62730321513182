package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// DefaultFile is the config file that is read if no other is named, and the only
// one that may be missing.
const DefaultFile = "reconciler.yaml"

// Warning is a probable mistake that does not keep the config from being used.
type Warning struct {
	Pos strictyaml.Pos
	Msg string
}

// String returns "FILE:LINE:COL: message".
func (w Warning) String() string { return w.Pos.String() + ": " + w.Msg }

// Load returns the config of the file at path and of environ, which has the form
// of os.Environ and outranks the file, and warnings. The file may be missing only
// if it is DefaultFile and environ sets a key of the config; otherwise the error
// wraps fs.ErrNotExist.
//
// Mistakes in the content are all returned, as strictyaml.Errors; for one in the
// environment, the file of the position is the variable's name. The config is nil
// if there is an error. Relative paths, also those of the environment, start at
// the config file's folder. Load reads no other file: secrets are read when they
// are needed, and environ is that of the programs that print them.
func Load(path string, environ []string) (*Config, []Warning, error) {
	env := newEnvironment(environ)
	data, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) && path == DefaultFile && len(env.names()) > 0 {
		path, data = "", nil
	} else if err != nil {
		return nil, nil, err
	}
	cfg, warnings, err := load(path, data, env)
	if err == nil {
		cfg.programs.get().Environ = slices.Clone(environ)
	}
	return cfg, warnings, err
}

// Default returns a config in which no key is set: it names no account and no
// manifests.
func Default() *Config {
	cfg, _, err := load("", nil, nil)
	if err != nil {
		panic("config: the defaults are not valid: " + err.Error()) // a test loads them
	}
	return cfg
}

// load is Load for the content of a file; path is empty if there is none.
func load(path string, data []byte, env environment) (*Config, []Warning, error) {
	var f file
	var errs strictyaml.Errors
	if path != "" {
		if err := strictyaml.DecodeInto(path, data, &f); err != nil {
			errs, _ = strictyaml.AsErrors(err)
		}
		hideSecrets(errs)
	}
	warnings, bad := env.overlay(&f)
	r := newResolver(&f, filepath.Dir(path), time.Now())
	r.errs, r.warnings = append(errs, bad...), warnings
	cfg := r.config(&f)
	slices.SortStableFunc(r.warnings, func(a, b Warning) int {
		return cmp.Or(a.Pos.Compare(b.Pos), strings.Compare(a.Msg, b.Msg))
	})
	if err := r.errs.Err(); err != nil {
		return nil, r.warnings, err
	}
	cfg.File = path
	return cfg, r.warnings, nil
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var data []byte
		// One byte more than the decoder accepts.
		if data, err = io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1)); err == nil {
			return data, nil
		}
	}
	failed := fmt.Errorf("config file %q: %w", path, bare(err))
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return nil, failed
	case path == DefaultFile:
		return nil, text.WithHint(failed, "create one here (see docs/config.md), name another with --config, or set RECONCILER_ variables instead")
	default:
		return nil, text.WithHint(failed, "check the path that --config or RECONCILER_CONFIG names")
	}
}

// secretPlace matches the message about a key that may have a secret as value.
var secretPlace = regexp.MustCompile(`^"([\w.]+\.)?(auth|githubApp|webhook|status|tokens|\w+File|\w+Command(\.\d+)?)" must be `)

// unknownKey matches the message about a key that the file can't have.
var unknownKey = regexp.MustCompile(`^unknown key "(?:[\w.]+\.)?(\w+)"`)

// unknownURL matches the message about the URL of a receiver.
var unknownURL = regexp.MustCompile(`^unknown key "notify\.\d+\.url"`)

// hideSecrets replaces messages about secrets. Secrets are unknown keys to the
// decoder, so that no message about a wrong type quotes one.
func hideSecrets(errs strictyaml.Errors) {
	const secret = `secrets do not belong in the config file: use %q or the environment variable %s`
	refused := map[string]string{
		"privateKey": fmt.Sprintf(secret, "privateKeyFile",
			"RECONCILER_AERIAL_AUTH_PRIVATE_KEY for aerial, RECONCILER_PARENTS_0_AUTH_PRIVATE_KEY for the first parent, RECONCILER_ORGS_AUTH_PRIVATE_KEY for orgs, RECONCILER_GIT_AUTH_GITHUB_APP_PRIVATE_KEY for a GitHub App"),
		"token":         fmt.Sprintf(secret, "tokenFile", "RECONCILER_GIT_STATUS_TOKEN for git.status, RECONCILER_PARENTS_0_AUTH_TOKEN for the first parent"),
		"password":      fmt.Sprintf(secret, "passwordFile", "RECONCILER_GIT_AUTH_PASSWORD"),
		"sshPassphrase": fmt.Sprintf(secret, "sshPassphraseFile", "RECONCILER_GIT_AUTH_SSH_PASSPHRASE"),
		"secret":        fmt.Sprintf(secret, "secretFile", "RECONCILER_GIT_WEBHOOK_SECRET for git.webhook, RECONCILER_NOTIFY_0_SECRET for the first receiver"),
		"clientSecret":  fmt.Sprintf(secret, "clientSecretFile", "RECONCILER_HTTP_AUTH_OIDC_CLIENT_SECRET"),
	}
	for _, e := range errs {
		if unknownURL.MatchString(e.Msg) {
			e.Msg = "the URL of a receiver is a secret, and " + fmt.Sprintf(secret, "urlFile", "RECONCILER_NOTIFY_0_URL for the first receiver")
		}
		if strings.HasPrefix(e.Msg, `unknown key "state.postgres.url"`) {
			e.Msg = fmt.Sprintf(secret, "urlFile", "RECONCILER_STATE_POSTGRES_URL")
		}
		for key, msg := range refused {
			if m := unknownKey.FindStringSubmatch(e.Msg); m != nil && m[1] == key {
				e.Msg = msg
			}
		}
		// The quoted value may be a token, or a password that YAML reads as a
		// number.
		if about, _, ok := strings.Cut(e.Msg, ", not "); ok && secretPlace.MatchString(about) {
			e.Msg = about
		}
	}
}
