package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"reconciler/internal/text"
)

// module stands for what keeps a key to itself.
type module struct {
	sign  func(algorithm string, digest, input []byte) ([]byte, error)
	calls atomic.Int32
}

func (m *module) Sign(_ context.Context, algorithm string, digest, input []byte) ([]byte, error) {
	m.calls.Add(1)
	return m.sign(algorithm, digest, input)
}

func (m *module) Failed(err error) error { return fmt.Errorf("the module: %w", err) }

// publicPEM returns the public half of a key as openssl writes it.
func publicPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func signersOf(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	all := map[string]crypto.Signer{"RS256": rsaKey()}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = key
	}
	return all
}

// A key that can't be read gets tokens, whatever form its signatures are printed in.
func TestRemoteKey(t *testing.T) {
	raw := func(b []byte) []byte { return b }
	forms := map[string]func([]byte) []byte{
		"raw":    raw,
		"base64": func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b) + "\n") },
		"url":    func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) },
		"vault":  func(b []byte) []byte { return []byte("vault:v1:" + base64.StdEncoding.EncodeToString(b) + "\n") },
		"hex":    func(b []byte) []byte { return []byte(hex.EncodeToString(b) + "\n") },
		"in lines": func(b []byte) []byte {
			return []byte(base64.StdEncoding.EncodeToString(b[:30]) + "\r\n" + base64.StdEncoding.EncodeToString(b[30:]))
		},
		"JSON": func(b []byte) []byte { return []byte(`"` + base64.StdEncoding.EncodeToString(b) + `"`) },
	}
	for alg, signer := range signersOf(t) {
		for form, print := range forms {
			t.Run(alg+" "+form, func(t *testing.T) {
				m := &module{sign: func(algorithm string, digest, input []byte) ([]byte, error) {
					h := hashes[algorithm].New()
					h.Write(input)
					if algorithm != alg || string(h.Sum(nil)) != string(digest) || strings.Count(string(input), ".") != 1 {
						t.Errorf("%s, %x, %s", algorithm, digest, input)
					}
					sig, err := signer.Sign(rand.Reader, digest, hashes[algorithm])
					return print(sig), err
				}}
				key, err := NewRemoteKey(publicPEM(t, signer), m)
				if err != nil {
					t.Fatal(err)
				}
				f := newFake(t, key)
				tok, err := f.client(key, nil).Token(t.Context(), readScope)
				if err != nil || tok.Secret() == "" || m.calls.Load() != 1 {
					t.Errorf("%v, %d signatures", err, m.calls.Load())
				}
			})
		}
	}
}

// An EC signature is also taken as JWS has it.
func TestRemoteKeyFixedForm(t *testing.T) {
	local := newKeyPair(t)
	m := &module{sign: func(_ string, _, input []byte) ([]byte, error) { return local.Sign(t.Context(), input) }}
	key, err := NewRemoteKey(publicPEM(t, local.private), m)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := key.Sign(t.Context(), []byte("input")); err != nil || len(sig) != 64 {
		t.Errorf("%d bytes, %v", len(sig), err)
	}
	if key.String() != "EC key, P-256, ES256, that a program signs with" {
		t.Error(key)
	}
}

// What is no signature by the key is never sent, and neither is anything after a failure.
func TestRemoteKeyFails(t *testing.T) {
	local, other := newKeyPair(t), newKeyPair(t)
	broken := errors.New("no such key in the module")
	for _, tt := range []struct {
		name, says string
		sign       func(string, []byte, []byte) ([]byte, error)
	}{
		{"another key", "the module: what it printed is no signature by this key",
			func(_ string, _, input []byte) ([]byte, error) { return other.Sign(t.Context(), input) }},
		{"other data", "the module: what it printed is no signature by this key",
			func(_ string, _, input []byte) ([]byte, error) { return local.Sign(t.Context(), append(input, '\n')) }},
		{"nothing", "the module: what it printed is no signature by this key", func(string, []byte, []byte) ([]byte, error) { return nil, nil }},
		{"words", "the module: what it printed is no signature by this key", func(string, []byte, []byte) ([]byte, error) { return []byte("permission denied: a"), nil }},
		{"an error", "no such key in the module", func(string, []byte, []byte) ([]byte, error) { return nil, broken }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := NewRemoteKey(publicPEM(t, local.private), &module{sign: tt.sign})
			if err != nil {
				t.Fatal(err)
			}
			f := newFake(t, key)
			c := f.client(key, nil)
			c.Prepare(t.Context(), readScope) // a failure ahead is that of the call
			_, err = c.Token(t.Context(), readScope)
			if err == nil || !strings.HasSuffix(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if calls, _ := f.counts(); calls != 0 {
				t.Errorf("%d token calls", calls)
			}
			if tt.name != "an error" && text.Hint(err) == "" {
				t.Error("no hint")
			}
		})
	}
}

// A caller that doesn't wait for a signature any more gets an error at once.
func TestRemoteKeyInterrupted(t *testing.T) {
	local := newKeyPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	for range cap(remoteSigners) {
		remoteSigners <- struct{}{}
	}
	defer func() {
		for range cap(remoteSigners) {
			<-remoteSigners
		}
	}()
	key, err := NewRemoteKey(publicPEM(t, local.private), &module{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := key.Sign(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestPublicKeys(t *testing.T) {
	local := newKeyPair(t)
	jwk, err := local.PublicJWK("k7")
	if err != nil {
		t.Fatal(err)
	}
	rsaJWK, err := Key{private: rsaKey(), Algorithm: "RS384"}.PublicJWK("")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, id, alg string }{
		{string(publicPEM(t, local.private)), "", "ES256"},
		{string(jwk), "k7", "ES256"},
		{string(rsaJWK), "", "RS384"},
		{string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)})), "", "RS256"},
	} {
		key, err := NewRemoteKey([]byte(tt.text), &module{})
		if err != nil || key.ID != tt.id || key.Algorithm != tt.alg || !key.Matches(mustJWK(t, key)) {
			t.Errorf("%+v, %v", key, err)
		}
	}
	private, _ := x509.MarshalPKCS8PrivateKey(local.private)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	for text, says := range map[string]string{
		"":  "empty",
		"x": "neither a PEM (-----BEGIN PUBLIC KEY-----) nor a JWK",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})):    "this is a private key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})): `reading the "PUBLIC KEY"`,
		string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte("x")})):          `a PEM of type "X"`,
		string(publicPEM(t, small)):  "1024 bit",
		`{"kty":"oct","k":"CANARY"}`: "private key",
		`{"kty":"EC"`:                "damaged",
	} {
		if _, err := NewRemoteKey([]byte(text), &module{}); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func mustJWK(t *testing.T, key Key) json.RawMessage {
	t.Helper()
	jwk, err := key.PublicJWK("x")
	if err != nil {
		t.Fatal(err)
	}
	return jwk
}
