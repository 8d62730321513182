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
)

// DefaultFile is the config file that is read when no other is named. It is
// the only one that may be missing.
const DefaultFile = "reconciler.yaml"

// Warning is something that is probably not meant, and doesn't stop anything.
type Warning struct {
	Pos strictyaml.Pos
	Msg string
}

// String returns "FILE:LINE:COL: message".
func (w Warning) String() string { return w.Pos.String() + ": " + w.Msg }

// Load reads the config file at path and puts environ, in the form of
// os.Environ, on top. The file may be missing only if it is DefaultFile and the
// environment sets a key of the config at all; otherwise the error wraps
// fs.ErrNotExist.
//
// What is wrong with the content comes as strictyaml.Errors, all of it; the
// place of a mistake in the environment is called by the variable's name.
// Relative paths, also those from the environment, start at the config file's
// folder. Load reads no file but the config: secrets are read when they are
// needed.
func Load(path string, environ []string) (*Config, []Warning, error) {
	env := newEnvironment(environ)
	data, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) && path == DefaultFile && len(env) > 0 {
		cfg, warnings, err := load("", nil, env)
		return cfg, warnings, err
	}
	if err != nil {
		return nil, nil, err
	}
	return load(path, data, env)
}

// Default is a config of which nothing is given: it names no account and no
// manifests.
func Default() *Config {
	cfg, _, err := load("", nil, nil)
	if err != nil {
		panic("config: the defaults are not valid: " + err.Error()) // a test loads them
	}
	return cfg
}

// load is Load for a file that was read; path is empty when there is none.
func load(path string, data []byte, env environment) (*Config, []Warning, error) {
	var f file
	var errs strictyaml.Errors
	if path != "" {
		if err := strictyaml.DecodeInto(path, data, &f); err != nil {
			errs, _ = strictyaml.AsErrors(err)
		}
		explainRefused(errs)
	}
	warnings, bad := env.overlay(&f)
	errs = append(errs, bad...)

	r := &resolver{dir: filepath.Dir(path), now: time.Now(), errs: errs, warnings: warnings}
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
		// One byte more than is taken, for the decoder to refuse.
		if data, err = io.ReadAll(io.LimitReader(f, strictyaml.MaxSize+1)); err == nil {
			return data, nil
		}
	}
	e := &fileError{path: path, err: bare(err)}
	if errors.Is(err, fs.ErrNotExist) {
		e.hint = "name it with --config or RECONCILER_CONFIG; docs/config.md shows what stands in it"
		if path == DefaultFile {
			e.hint = "write one here (docs/config.md shows what stands in it), name another with --config, or set RECONCILER_ variables instead"
		}
	}
	return nil, e
}

// fileError is a config file that can't be read at all.
type fileError struct {
	path string
	err  error
	hint string
}

func (e *fileError) Error() string { return fmt.Sprintf("config file %q: %v", e.path, e.err) }

func (e *fileError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *fileError) Hint() string { return e.hint }

// secretPlace matches the message about a key where somebody may have put a
// secret.
var secretPlace = regexp.MustCompile(`^"(auth|githubApp|webhook|status|tokens|\w+File)" must be `)

// explainRefused returns keys that are unknown on purpose a message of their own.
// Secrets are kept out of the decoder by not being keys at all, so that no
// message about a wrong type can quote one.
func explainRefused(errs strictyaml.Errors) {
	const secret = `secrets do not belong in the config file: use %q or the environment variable %s`
	refused := map[string]string{
		"privateKey": fmt.Sprintf(secret, "privateKeyFile",
			"RECONCILER_AERIAL_AUTH_PRIVATE_KEY for aerial, RECONCILER_PARENTS_0_AUTH_PRIVATE_KEY for the first parent, RECONCILER_GIT_AUTH_GITHUB_APP_PRIVATE_KEY for a GitHub App"),
		"token":         fmt.Sprintf(secret, "tokenFile", "RECONCILER_GIT_STATUS_TOKEN for git.status, RECONCILER_PARENTS_0_AUTH_TOKEN for the first parent"),
		"password":      fmt.Sprintf(secret, "passwordFile", "RECONCILER_GIT_AUTH_PASSWORD"),
		"sshPassphrase": fmt.Sprintf(secret, "sshPassphraseFile", "RECONCILER_GIT_AUTH_SSH_PASSPHRASE"),
		"secret":        fmt.Sprintf(secret, "secretFile", "RECONCILER_GIT_WEBHOOK_SECRET"),
	}
	for _, e := range errs {
		for key, msg := range refused {
			if strings.HasPrefix(e.Msg, fmt.Sprintf("unknown key %q", key)) {
				e.Msg = msg
			}
		}
		// What stands there instead may well be a token, or a password that is
		// a number to YAML.
		if about, _, ok := strings.Cut(e.Msg, ", not "); ok && secretPlace.MatchString(about) {
			e.Msg = about
		}
	}
}
