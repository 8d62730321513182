package auth

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/text"
)

// minRSABits is the size of the keys that Okta makes. It refuses smaller ones.
const minRSABits = 2048

// Key is the private key of a service app, or what signs with one that can't be read.
// The zero Key signs nothing. It prints as what kind of key it is, never as the key.
type Key struct {
	// ID is the "kid" of a JWK; empty for a PEM, which has no place for one.
	ID string
	// Algorithm is the JWS algorithm that the key signs with, such as "RS256".
	Algorithm string

	private crypto.Signer
	// For a key that can't be read: its public half, and what signs with it.
	public crypto.PublicKey
	remote Remote
}

// Public returns the public half, or nil for the zero Key.
func (k Key) Public() crypto.PublicKey {
	if k.private == nil {
		return k.public
	}
	return k.private.Public()
}

// String returns kind, size and algorithm: "RSA key, 2048 bit, RS256".
func (k Key) String() string {
	switch p := k.Public().(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA key, %d bit, %s", p.N.BitLen(), k.Algorithm) + k.where()
	case *ecdsa.PublicKey:
		return fmt.Sprintf("EC key, %s, %s", p.Curve.Params().Name, k.Algorithm) + k.where()
	default:
		return "no key"
	}
}

// where returns that the key is elsewhere, if it is.
func (k Key) where() string {
	if k.remote != nil {
		return ", that a program signs with"
	}
	return ""
}

// GoString keeps %#v from printing the key.
func (k Key) GoString() string { return "auth.Key{" + k.String() + "}" }

// LogValue keeps the key out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParsePrivateKey reads the private key of a service app: a PEM (PKCS#1,
// PKCS#8 or SEC 1; certificates and public keys beside it are skipped), a
// private JWK, or a JWK set of one key. It accepts what Okta does: RSA from 2048
// bit (RS256, or what the "alg" of a JWK says) and P-256, P-384 and P-521 (ES256,
// ES384, ES512). Errors say what was found instead, and nothing of what a key is
// made of.
func ParsePrivateKey(data []byte) (Key, error) {
	data, err := text.Decode(data)
	data = bytes.TrimSpace(data)
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("the private key can't be read: %w", err)
	case len(data) == 0:
		return Key{}, errors.New("the private key is empty")
	case data[0] == '{':
		return parseJWK(data)
	default:
		return parsePEM(data)
	}
}

func parsePEM(data []byte) (Key, error) {
	data = text.PEM(data)
	var private *pem.Block
	var others []string
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch {
		case !strings.HasSuffix(b.Type, "PRIVATE KEY"):
			others = append(others, b.Type)
		case private != nil:
			return Key{}, errors.New("there are several private keys, and only one can be meant: keep one")
		default:
			private = b
		}
	}
	if private == nil {
		return Key{}, noPrivateKey(others)
	}
	signer, err := parseBlock(private)
	if err != nil {
		return Key{}, err
	}
	return newKey(signer, "", "")
}

func noPrivateKey(found []string) error {
	for _, t := range found {
		switch {
		case strings.HasSuffix(t, "PUBLIC KEY"):
			return errors.New("this is a public key: the private one is needed")
		case t == "CERTIFICATE":
			return errors.New("this is a certificate: the private key is needed")
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("no private key in the PEM, only %q", found[0])
	}
	return errors.New("neither a PEM (-----BEGIN … PRIVATE KEY-----) nor a JWK ({\"kty\": …})")
}

func parseBlock(b *pem.Block) (key any, err error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
		return nil, errors.New("the private key is encrypted: store it decrypted where only this program can read it (openssl pkcs8 -topk8 -nocrypt -in key.pem)")
	}
	switch b.Type {
	case "OPENSSH PRIVATE KEY":
		return nil, errors.New("this is an OpenSSH key: convert a copy of it (ssh-keygen -p -m PKCS8 -f copy) or make a new key in Okta")
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	default:
		return nil, fmt.Errorf("a PEM of type %q is not supported: RSA and EC keys are", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %q of the PEM: %w", b.Type, err)
	}
	return key, nil
}

func parseJWK(data []byte) (Key, error) {
	// The library's errors may quote the data, so what can be wrong in a
	// well-formed JWK is checked here first.
	var head struct {
		Keys []json.RawMessage `json:"keys"`
		Kty  string            `json:"kty"`
		Use  string            `json:"use"`
		D    string            `json:"d"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Key{}, errors.New("the JWK is not valid JSON, or its members are not strings")
	}
	if head.Kty == "" && head.Keys != nil {
		if len(head.Keys) != 1 {
			return Key{}, fmt.Errorf("the JWK set holds %d keys, and only one can be meant: keep one", len(head.Keys))
		}
		return parseJWK(head.Keys[0])
	}
	switch {
	case head.Kty == "":
		return Key{}, errors.New(`the JWK has no "kty": is it a JWK?`)
	case head.Kty != "RSA" && head.Kty != "EC":
		return Key{}, errors.New(`the JWK's "kty" must be "RSA" or "EC"`)
	case head.D == "":
		return Key{}, errors.New(`this JWK is a public key (it has no "d"): the private one is needed`)
	case head.Use != "" && head.Use != "sig":
		return Key{}, errors.New(`the JWK's "use" must be "sig": this key is for something else`)
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return Key{}, errors.New("the JWK is damaged or incomplete, or its curve is not P-256, P-384 or P-521")
	}
	return newKey(jwk.Key, jwk.KeyID, jwk.Algorithm)
}

// curves are those that Okta supports, with the algorithm for each.
var curves = map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}

// newKey checks the key and picks its algorithm; alg is what a JWK asks for,
// or empty.
func newKey(private any, id, alg string) (Key, error) {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return Key{}, errors.New("this kind of key is not supported: RSA and EC are")
	}
	alg, err := algorithmOf(signer.Public(), alg)
	if err != nil {
		return Key{}, err
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		if err := k.Validate(); err != nil {
			return Key{}, errors.New("the RSA key is damaged: its parts do not belong together")
		}
	case *ecdsa.PrivateKey:
		if !belongTogether(k) {
			return Key{}, errors.New("the EC key is damaged: its private and public half do not belong together")
		}
	}
	return Key{ID: id, Algorithm: alg, private: signer}, nil
}

// algorithmOf checks the public half of a key and returns its algorithm; alg is what a
// JWK asks for, or empty.
func algorithmOf(public crypto.PublicKey, alg string) (string, error) {
	var algs []string // the first is the default
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return "", fmt.Errorf("the RSA key has %d bit: at least %d are needed", bits, minRSABits)
		}
		algs = []string{"RS256", "RS384", "RS512"}
	case *ecdsa.PublicKey:
		if curves[k.Curve] == "" {
			return "", fmt.Errorf("the curve %s is not supported: P-256, P-384 and P-521 are", k.Curve.Params().Name)
		}
		algs = []string{curves[k.Curve]}
	case ed25519.PublicKey:
		return "", errors.New("Ed25519 keys are not supported by Okta: use RSA or EC")
	default:
		return "", errors.New("this kind of key is not supported: RSA and EC are")
	}
	if alg = cmp.Or(alg, algs[0]); !slices.Contains(algs, alg) {
		return "", fmt.Errorf("the JWK's \"alg\" must be %s for this key", strings.Join(algs, ", "))
	}
	return alg, nil
}

// belongTogether reports whether the public half of k is that of its private one.
func belongTogether(k *ecdsa.PrivateKey) bool {
	raw, err := k.Bytes()
	if err != nil {
		return false
	}
	again, err := ecdsa.ParseRawPrivateKey(k.Curve, raw)
	return err == nil && again.PublicKey.Equal(&k.PublicKey)
}
