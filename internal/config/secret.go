package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"
)

// maxSecret is far more than a key or a token needs.
const maxSecret = 64 << 10

// Secret is where a secret is to be had: a file, or an environment variable. It
// prints as that. The zero Secret is not set.
type Secret struct {
	// name is the config key or the environment variable, for messages.
	name string
	file string
	// value is what the variable holds. It is a pointer because package fmt,
	// asked to print a struct that holds a Secret, stops at pointers.
	value *string
}

// secretForms match what keys and tokens look like, anywhere in a text.
var secretForms = regexp.MustCompile(`-----BEGIN|^\s*\{|` + // PEM, JWK
	`\bMI[A-Za-z0-9+/]{40}|` + // the DER of a PEM
	`\beyJ[A-Za-z0-9_-]{8}|` + // JWT: {" in base64
	`^(?i:SSWS|Bearer|Basic)\s|` + // a header's value
	`^00[A-Za-z0-9_-]+$|` + // Okta's API tokens
	`^(gh[pousr]_|github_pat_|glpat-|whsec_)`) // tokens of git servers

// opaque matches one long word, as random tokens are.
var opaque = regexp.MustCompile(`^[A-Za-z0-9]{32,}=*$`)

// looksSecret reports whether a text that should be a path is rather a secret that
// was put in its place. With a slash in front of a name nothing does, but for
// what no path is like.
func looksSecret(s string) bool {
	return secretForms.MatchString(s) || opaque.MatchString(s) && strings.ContainsAny(s, "0123456789")
}

// IsSet reports whether the config tells of the secret at all.
func (s Secret) IsSet() bool { return s.file != "" || s.value != nil }

// Read returns the secret without the line end that editors and echo leave
// behind it. The file is read each time, so that a secret that was replaced is
// taken up. Errors name key and file, and nothing of the content.
func (s Secret) Read() ([]byte, error) {
	var data []byte
	switch {
	case s.value != nil:
		data = []byte(*s.value)
	case s.file != "":
		var err error
		if data, err = readSmall(s.file); err != nil {
			return nil, fmt.Errorf("%s: reading %q: %w", s.name, s.file, err)
		}
	default:
		return nil, errors.New("the config tells of no such secret")
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s is empty", s)
	}
	return data, nil
}

// readSmall reads a file that must not be large. The error doesn't repeat the
// path.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, bare(err)
	}
	if len(data) > maxSecret {
		return nil, fmt.Errorf("it is larger than %d KB", maxSecret>>10)
	}
	return data, nil
}

// bare takes the path out of an error of package os, for messages that have
// named it.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// String tells where the secret is to be had.
func (s Secret) String() string {
	switch {
	case s.value != nil:
		return "the environment variable " + s.name
	case s.file != "":
		return fmt.Sprintf("%s (%q)", s.name, s.file)
	default:
		return "not set"
	}
}

// GoString keeps %#v from printing more than String does.
func (s Secret) GoString() string { return "config.Secret{" + s.String() + "}" }

// MarshalText keeps the secret out of JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
