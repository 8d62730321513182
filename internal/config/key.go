package config

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"reconciler/internal/store/program"
)

// Key is a private key: a secret, or one that a program signs with. It prints as where
// it is. The zero Key is not set.
type Key struct {
	secret Secret
	signer *Signer
}

// IsSet reports whether the config has the key.
func (k Key) IsSet() bool { return k.secret.IsSet() || k.signer != nil }

// Signer returns the program that signs; nil if [Key.Read] returns the key.
func (k Key) Signer() *Signer { return k.signer }

// Read returns the private key, as [Secret.Read] does. One that a program signs with
// can't be read.
func (k Key) Read(ctx context.Context) ([]byte, error) {
	if k.signer != nil {
		return nil, fmt.Errorf("%s: the private key stays with the program that signs", k)
	}
	return k.secret.Read(ctx)
}

// String returns where the key is.
func (k Key) String() string {
	if k.signer != nil {
		return k.signer.String()
	}
	return k.secret.String()
}

// GoString returns the same for %#v, which would print the fields.
func (k Key) GoString() string { return "config.Key{" + k.String() + "}" }

// MarshalText returns the same for JSON and other encodings.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue returns the same for logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// declared returns the key without what is kept of it, to be compared.
func (k Key) declared() Key {
	k.secret = k.secret.declared()
	if k.signer != nil {
		signer := *k.signer
		signer.command = hide(signer.command.get().declared())
		k.signer = &signer
	}
	return k
}

// of returns the key of one org, with its domain instead of old.
func (k Key) of(old, domain string) Key {
	k.secret.file = strings.ReplaceAll(k.secret.file, old, domain)
	k.secret.command = hide(k.secret.command.get().replace(old, domain))
	if k.signer != nil {
		signer := *k.signer
		signer.command, signer.public = hide(signer.command.get().replace(old, domain)), strings.ReplaceAll(signer.public, old, domain)
		k.signer = &signer
	}
	return k
}

// file returns the path of the key's file, or of its public half; empty if there is none.
func (k Key) file() string {
	if k.signer != nil {
		return k.signer.public
	}
	return k.secret.file
}

// Signer is a program that signs with a private key that nobody else can read.
type Signer struct {
	name      string // the key of the command
	command   hidden[command]
	publicKey string // the key of the file
	public    string
}

// String returns the key of the config, and the program.
func (s *Signer) String() string { return fmt.Sprintf("%s (%q)", s.name, s.command.get().argv[0]) }

// Public returns the public key, as its file has it now.
func (s *Signer) Public() ([]byte, error) {
	return Secret{name: s.publicKey, file: s.public}.Read(context.Background())
}

// PublicName returns where the public key is, for messages.
func (s *Signer) PublicName() string { return fmt.Sprintf("%s (%q)", s.publicKey, s.public) }

// Sign runs the program and returns what it printed. The digest is its standard input;
// algorithm, as JWS names it, and the input that the digest is of are in its
// environment, for programs that compute the digest themselves.
func (s *Signer) Sign(ctx context.Context, algorithm string, digest, input []byte) ([]byte, error) {
	c := s.command.get()
	p := c.programs.Program(c.argv)
	out, err := p.Run(ctx, program.Call{Stdin: digest, Environ: []string{
		envPrefix + "SIGN_ALGORITHM=" + algorithm, envPrefix + "SIGN_INPUT=" + string(input),
	}})
	if err != nil {
		return nil, s.command.get().failed(s.name, err)
	}
	return out.Data, nil
}

// Failed returns an error about what the program printed.
func (s *Signer) Failed(err error) error { return s.command.get().failed(s.name, err) }

// keyFields are the keys of the config that a private key may be in.
type keyFields struct {
	value, file, public *at[string]
	command, sign       *at[commandLine]
}

func (f *aerialAuthFile) keys() keyFields {
	return keyFields{&f.PrivateKey, &f.PrivateKeyFile, &f.PublicKeyFile, &f.PrivateKeyCommand, &f.SignCommand}
}

func (f *parentAuthFile) keys() keyFields {
	return keyFields{&f.PrivateKey, &f.PrivateKeyFile, &f.PublicKeyFile, &f.PrivateKeyCommand, &f.SignCommand}
}

func (f *orgsAuthFile) keys() keyFields {
	return keyFields{&f.PrivateKey, &f.PrivateKeyFile, &f.PublicKeyFile, &f.PrivateKeyCommand, &f.SignCommand}
}

func (f *githubAppFile) keys() keyFields {
	return keyFields{&f.PrivateKey, &f.PrivateKeyFile, &f.PublicKeyFile, &f.PrivateKeyCommand, &f.SignCommand}
}

// set reports whether there is a private key.
func (f keyFields) set() bool { return f.value.Set || f.file.Set || f.command.Set || f.sign.Set }

// key returns a private key, which is in one place.
func (r *resolver) key(f keyFields) Key {
	k := Key{secret: r.secret(f.value, f.file, f.command)}
	signer, public := r.command(f.sign), ""
	if f.public.OK() && looksSecret(f.public.V) {
		r.fail(f.public, "must be the path of a file, not its content (write ./NAME if the file's name looks like a secret)")
	} else {
		public = r.trustedFile(f.public)
	}
	if !f.sign.Set {
		if f.public.Set {
			r.fail(f.public, `needs "signCommand" beside it`)
		}
		return k
	}
	for _, other := range []any{f.value, f.file, f.command} {
		r.exclusive(f.sign, other)
	}
	if !f.public.Set {
		r.fail(f.sign, `needs "publicKeyFile" beside it, which says what kind of key it is`)
	}
	if signer != nil && public != "" {
		k.signer = &Signer{name: r.fields[f.sign].path, command: hide(signer), publicKey: r.fields[f.public].path, public: public}
	}
	return k
}
