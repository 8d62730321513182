package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func pemOf(t *testing.T, typ string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf(t, "PRIVATE KEY", der, err)
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalECPrivateKey(key)
	return pemOf(t, "EC PRIVATE KEY", der, err)
}

func jwkOf(t *testing.T, key any, id, alg string) string {
	t.Helper()
	data, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id, Algorithm: alg})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Every form of key and every algorithm that Okta takes gets a token from a
// server that checks the assertion.
func TestKeyForms(t *testing.T) {
	r := rsaKey()
	p256, p384, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521())
	pub, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	public := pemOf(t, "PUBLIC KEY", pub, err)
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

	tests := []struct {
		name, data, alg, id string
	}{
		{"PKCS#1", pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), "RS256", ""},
		{"PKCS#8 RSA", pkcs8(t, r), "RS256", ""},
		{"PKCS#8 P-256", pkcs8(t, p256), "ES256", ""},
		{"PKCS#8 P-384", pkcs8(t, p384), "ES384", ""},
		{"PKCS#8 P-521", pkcs8(t, p521), "ES512", ""},
		{"SEC 1 P-256", sec1(t, p256), "ES256", ""},
		{"SEC 1 P-384", sec1(t, p384), "ES384", ""},
		{"SEC 1 P-521", sec1(t, p521), "ES512", ""},
		{"SEC 1 after its parameters", params + sec1(t, p256), "ES256", ""},
		{"public key beside it", public + pkcs8(t, r), "RS256", ""},
		{"text around it", "my key\n" + pkcs8(t, p256) + "\nthe end\n", "ES256", ""},
		{"one line, escaped", strings.ReplaceAll(strings.TrimSpace(pkcs8(t, p256)), "\n", `\n`), "ES256", ""},
		{"one line, with blanks", strings.ReplaceAll(pkcs8(t, p256), "\n", " "), "ES256", ""},
		{"one line each, with blanks", strings.ReplaceAll(public, "\n", " ") + "\n" + strings.ReplaceAll(sec1(t, p256), "\n", " "), "ES256", ""},
		{"indented, as in YAML", "    " + strings.ReplaceAll(pkcs8(t, p256), "\n", "\n    "), "ES256", ""},
		{"CRLF and BOM", "\xef\xbb\xbf" + strings.ReplaceAll(pkcs8(t, p256), "\n", "\r\n"), "ES256", ""},
		{"JWK RSA", jwkOf(t, r, keyID, ""), "RS256", keyID},
		{"JWK RS256", jwkOf(t, r, keyID, "RS256"), "RS256", keyID},
		{"JWK RS384", jwkOf(t, r, keyID, "RS384"), "RS384", keyID},
		{"JWK RS512", jwkOf(t, r, keyID, "RS512"), "RS512", keyID},
		{"JWK P-256", jwkOf(t, p256, keyID, ""), "ES256", keyID},
		{"JWK P-384", jwkOf(t, p384, keyID, "ES384"), "ES384", keyID},
		{"JWK P-521", jwkOf(t, p521, keyID, ""), "ES512", keyID},
		{"JWK set of one", `{"keys":[` + jwkOf(t, p256, keyID, "") + `]}`, "ES256", keyID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := ParsePrivateKey([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			if key.Algorithm != tt.alg || key.ID != tt.id {
				t.Errorf("got algorithm %q, id %q; want %q, %q", key.Algorithm, key.ID, tt.alg, tt.id)
			}
			f := newFake(t, key)
			c := f.client(key, func(o *Options) {
				if tt.id != "" {
					o.KeyID = "" // the JWK's own is to be used
				}
			})
			if _, err := c.Token(context.Background(), readScope); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKeyErrors(t *testing.T) {
	r, p256 := rsaKey(), ecKey(t, elliptic.P256())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	pub, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	public := pemOf(t, "PUBLIC KEY", pub, err)
	legacy := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
	}))
	mixed := *p256
	mixed.PublicKey = ecKey(t, elliptic.P256()).PublicKey

	tests := []struct{ name, data, want string }{
		{"empty", "", "is empty"},
		{"UTF-16", "\xff\xfe-\x00-\x00", "it is UTF-16; save it as UTF-8"},
		{"blank", " \n\t\n", "is empty"},
		{"a path", "/run/secrets/aerial.pem", "neither a PEM"},
		{"public PEM", public, "this is a public key"},
		{"certificate", pemOf(t, "CERTIFICATE", []byte("x"), nil), "this is a certificate"},
		{"other PEM", pemOf(t, "X509 CRL", []byte("x"), nil), `only "X509 CRL"`},
		{"encrypted PKCS#8", pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), "is encrypted"},
		{"encrypted PKCS#1", legacy, "is encrypted"},
		{"OpenSSH", pemOf(t, "OPENSSH PRIVATE KEY", []byte("x"), nil), "OpenSSH key"},
		{"DSA", pemOf(t, "DSA PRIVATE KEY", []byte("x"), nil), `type "DSA PRIVATE KEY"`},
		{"two keys", pkcs8(t, r) + pkcs8(t, p256), "several private keys"},
		{"damaged", pemOf(t, "PRIVATE KEY", []byte("junk"), nil), `reading the "PRIVATE KEY"`},
		{"cut", pkcs8(t, r)[:200], "neither a PEM"},
		{"cut, in one line", strings.ReplaceAll(pkcs8(t, r)[:200], "\n", " "), "neither a PEM"},
		{"two keys, in one line", strings.ReplaceAll(pkcs8(t, r)+pkcs8(t, p256), "\n", " "), "several private keys"},
		{"small RSA", pkcs8(t, small), "1024 bit"},
		{"P-224", pkcs8(t, ecKey(t, elliptic.P224())), "P-224 is not supported"},
		{"Ed25519", pkcs8(t, ed), "Ed25519"},
		{"not JSON", `{"kty":`, "not valid JSON"},
		{"JSON of something else", `{"a":1}`, `no "kty"`},
		{"public JWK", jwkOf(t, &r.PublicKey, "k", ""), "is a public key"},
		{"secret JWK", `{"kty":"oct","k":"c2VjcmV0","d":"x"}`, `"RSA" or "EC"`},
		{"for encryption", strings.Replace(jwkOf(t, p256, "k", ""), "{", `{"use":"enc",`, 1), `"use" must be`},
		{"alg of another curve", jwkOf(t, p256, "k", "ES384"), `must be ES256`},
		{"alg that Okta refuses", jwkOf(t, r, "k", "PS256"), `must be RS256, RS384, RS512`},
		{"damaged JWK", `{"kty":"EC","crv":"P-256","d":"AAAA"}`, "damaged or incomplete"},
		{"halves of two keys", jwkOf(t, &mixed, "k", ""), "do not belong together"},
		{"empty set", `{"keys":[]}`, "holds 0 keys"},
		{"set of two", fmt.Sprintf(`{"keys":[%s,%[1]s]}`, jwkOf(t, p256, "k", "")), "holds 2 keys"},
		{"sets in sets", `{"keys":[{"keys":[{"keys":[]}]}]}`, "holds 0 keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePrivateKey([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

// Nothing of the data may come back, whatever is wrong with it.
func FuzzParsePrivateKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","d":"AAAA"}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		const canary = "CANARYcanaryCANARY"
		for _, d := range [][]byte{data, append([]byte(canary), data...), append(data, canary...)} {
			key, err := ParsePrivateKey(d)
			if err == nil && (key.private == nil || key.Algorithm == "") {
				t.Errorf("no error and no key")
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("bad error: %q", err)
			}
		}
	})
}

func TestKeyPrintsNoSecret(t *testing.T) {
	priv := rsaKey()
	key, err := newKey(priv, "id", "")
	if err != nil {
		t.Fatal(err)
	}
	d := priv.D.String()
	type nested struct {
		Key Key
		key Key
	}
	for _, v := range []any{key, &key, nested{key, key}, []Key{key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, d[:40]) || strings.Contains(s, fmt.Sprintf("%x", priv.D)[:40]) {
				t.Errorf("%s of %T shows the key", verb, v)
			}
		}
		data, err := json.Marshal(v)
		if err != nil || strings.Contains(string(data), d[:40]) {
			t.Errorf("JSON: %s, %v", data, err)
		}
	}
	if got, want := key.String(), "RSA key, 2048 bit, RS256"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := newKeyPair(t).String(), "EC key, P-256, ES256"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (Key{}).String(), "no key"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
