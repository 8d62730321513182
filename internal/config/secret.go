package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"reconciler/internal/text"
)

// maxSecret is the size of the largest secret, in bytes.
const maxSecret = 64 << 10

// Secret is a secret in a file, in an environment variable or printed by a program. It
// prints as the name of that. The zero Secret is not set.
type Secret struct {
	// name is the config key or the environment variable, for messages.
	name string
	file string
	// value is that of the variable. It is a pointer because package fmt, when
	// it prints a struct that contains a Secret, doesn't follow pointers.
	value *string
	// command is the program that prints it.
	command hidden[command]
}

// SecretFile returns the secret in a file that isn't one of the config. name is what it is,
// for messages.
func SecretFile(name, path string) Secret { return Secret{name: name, file: path} }

// secretForms matches what keys and tokens look like, anywhere in a text.
var secretForms = regexp.MustCompile(`-----BEGIN|^\s*\{|` + // PEM, JWK
	`\bMI[A-Za-z0-9+/]{40}|` + // the DER of a PEM
	`\beyJ[A-Za-z0-9_-]{8}|` + // JWT: {" in base64
	`^(?i:SSWS|Bearer|Basic)\s|` + // a header's value
	`^00[A-Za-z0-9_-]+$|` + // Okta's API tokens
	`^postgres(ql)?://|` + // URLs of databases, which have passwords
	`^(gh[pousr]_|github_pat_|glpat-|whsec_|rcn_)`) // tokens of git servers, and of the daemon

// opaque matches one long word, as random tokens are.
var opaque = regexp.MustCompile(`^[A-Za-z0-9]{32,}=*$`)

// looksSecret reports whether a text that should be a path looks like a secret.
// A name with a slash in front only does if no path could be like it.
func looksSecret(s string) bool {
	return secretForms.MatchString(s) || opaque.MatchString(s) && strings.ContainsAny(s, "0123456789")
}

// IsSet reports whether the config has the secret.
func (s Secret) IsSet() bool { return s.file != "" || s.value != nil || s.command.get() != nil }

// Origin returns the file, the environment variable or the program that the secret is
// in, and is different for different ones; empty if it is not set.
func (s Secret) Origin() string {
	switch {
	case s.value != nil:
		return s.name
	case s.command.get() != nil:
		return s.command.get().origin()
	}
	return s.file
}

// Read returns the secret without line breaks at its end, and without a byte order
// mark. It reads the file each
// time, and so returns the present secret; what a program printed is kept for a while.
// Errors name key and file, but contain nothing of the content. An empty secret is an
// error.
func (s Secret) Read(ctx context.Context) ([]byte, error) {
	var data []byte
	switch {
	case s.value != nil:
		data = []byte(*s.value)
	case s.command.get() != nil:
		var err error
		if data, err = s.command.get().read(ctx); err == nil {
			data, err = text.Decode(data)
		}
		if err != nil {
			return nil, s.command.get().failed(s.name, err)
		}
	case s.file != "":
		var err error
		if data, err = readSmall(s.file); err != nil {
			return nil, fmt.Errorf("%s: reading %q: %w", s.name, s.file, err)
		}
		if data, err = text.Decode(data); err != nil {
			return nil, fmt.Errorf("%s: reading %q: %w", s.name, s.file, err)
		}
	default:
		return nil, errors.New("the config has no such secret")
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s is empty", s)
	}
	return data, nil
}

// same reports whether two secrets are the same file or program, or the same value.
func (s Secret) same(other Secret) bool {
	if s.value != nil && other.value != nil {
		return *s.value == *other.value
	}
	return s.IsSet() == other.IsSet() && s.Origin() == other.Origin()
}

// IsPrinted reports whether a program prints the secret.
func (s Secret) IsPrinted() bool { return s.command.get() != nil }

// Refused is for a secret that a server has refused: if a program printed it, it is run
// again the next time.
func (s Secret) Refused() {
	if c := s.command.get(); c != nil {
		c.programs.Refused(c.argv)
	}
}

// declared returns the secret without what is kept of it, to be compared.
func (s Secret) declared() Secret {
	s.command = hide(s.command.get().declared())
	return s
}

// readSmall reads a file of at most maxSecret bytes. Errors don't repeat the path.
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

// bare returns an error of package os without the path.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// String returns where the secret is.
func (s Secret) String() string {
	switch {
	case s.value != nil:
		return "the environment variable " + s.name
	case s.command.get() != nil:
		return fmt.Sprintf("%s (%q)", s.name, s.command.get().argv[0])
	case s.file != "":
		return fmt.Sprintf("%s (%q)", s.name, s.file)
	default:
		return "not set"
	}
}

// GoString returns the same for %#v, which would print the fields.
func (s Secret) GoString() string { return "config.Secret{" + s.String() + "}" }

// MarshalText returns the same for JSON and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns the same for logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
