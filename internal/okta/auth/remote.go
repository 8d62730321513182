package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for the algorithms
	_ "crypto/sha512" // the same
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/text"
)

// Remote signs with a private key that can't be read, such as one in a hardware module.
// Its methods may be called from many goroutines.
type Remote interface {
	// Sign returns a signature in any of the usual forms, see [Key.Sign]. digest is that
	// of input by the hash of the algorithm, which is one of JWS. The error is returned
	// as it is, and must hold no secret.
	Sign(ctx context.Context, algorithm string, digest, input []byte) ([]byte, error)
	// Failed returns an error about what Sign returned, with the name of what signs.
	Failed(error) error
}

// NewRemoteKey returns a key that remote signs with. public is its public half, a PEM
// (SubjectPublicKeyInfo, PKCS#1 or a certificate) or a JWK. The same kinds of keys are
// accepted as by ParsePrivateKey.
func NewRemoteKey(public []byte, remote Remote) (Key, error) {
	public, err := text.Decode(public)
	public = bytes.TrimSpace(public)
	var k Key
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("the public key can't be read: %w", err)
	case len(public) == 0:
		return Key{}, errors.New("the public key is empty")
	case public[0] == '{':
		k, err = parsePublicJWK(public)
	default:
		k, err = parsePublicPEM(public)
	}
	if err == nil {
		k.Algorithm, err = algorithmOf(k.public, k.Algorithm)
	}
	if err != nil {
		return Key{}, err
	}
	k.remote = remote
	return k, nil
}

func parsePublicPEM(data []byte) (Key, error) {
	b, _ := pem.Decode(text.PEM(data))
	if b == nil {
		return Key{}, errors.New("neither a PEM (-----BEGIN PUBLIC KEY-----) nor a JWK ({\"kty\": …})")
	}
	var public crypto.PublicKey
	var err error
	switch {
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		return Key{}, errors.New("this is a private key: keep it away from here, the public one is needed (openssl pkey -pubout)")
	case b.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(b.Bytes)
	case b.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(b.Bytes)
	case b.Type == "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(b.Bytes); err == nil {
			public = c.PublicKey
		}
	default:
		return Key{}, fmt.Errorf("a PEM of type %q is not supported: PUBLIC KEY is", b.Type)
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading the %q of the PEM: %w", b.Type, err)
	}
	return Key{public: public}, nil
}

func parsePublicJWK(data []byte) (Key, error) {
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(data, &jwk); err != nil { // the error may quote the data
		return Key{}, errors.New("the JWK is damaged or incomplete, or its curve is not P-256, P-384 or P-521")
	}
	switch {
	case !jwk.IsPublic():
		return Key{}, errors.New("this JWK is a private key: keep it away from here, the public one is needed")
	case jwk.Use != "" && jwk.Use != "sig":
		return Key{}, errors.New(`the JWK's "use" must be "sig": this key is for something else`)
	}
	return Key{ID: jwk.KeyID, Algorithm: jwk.Algorithm, public: jwk.Key}, nil
}

// ErrSignature is the error if what a program returned is no signature by the key.
var ErrSignature = errors.New("what it printed is no signature by this key")

// remoteSigners are as many as sign with keys that can't be read at a time: each is a program
// that waits for something else, and starting hundreds of them at once helps nobody.
var remoteSigners = make(chan struct{}, 8)

// Sign returns the signature of the input, as JWS has it: for RSA of PKCS#1 v1.5, for EC
// the two numbers one after the other. A signature from outside may be in DER as well,
// and in base64 or hex, also behind colons, as Vault writes it; what it is, is found out
// by checking it with the public key. One that isn't by this key is ErrSignature.
func (k Key) Sign(ctx context.Context, input []byte) ([]byte, error) {
	if k.Public() == nil {
		return nil, errors.New("no private key")
	}
	hash := hashes[k.Algorithm]
	h := hash.New()
	h.Write(input)
	digest := h.Sum(nil)
	if k.remote == nil {
		raw, err := k.private.Sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, fmt.Errorf("signing with the private key: %w", err)
		}
		return k.find(digest, raw)
	}
	select {
	case remoteSigners <- struct{}{}:
		defer func() { <-remoteSigners }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	printed, err := k.remote.Sign(ctx, k.Algorithm, digest, input)
	if err != nil {
		return nil, err
	}
	sig, err := k.find(digest, printed)
	if err != nil {
		return nil, k.remote.Failed(text.WithHint(err, "it must be by the private half of the public key, "+k.Algorithm+", of the digest or of the input: see docs/keys.md"))
	}
	return sig, nil
}

var hashes = map[string]crypto.Hash{
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512,
}

// find returns the signature of the digest that is in what was printed, in JWS' form.
func (k Key) find(digest, printed []byte) ([]byte, error) {
	for _, raw := range decodings(printed) {
		switch p := k.Public().(type) {
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(p, hashes[k.Algorithm], digest, raw) == nil {
				return raw, nil
			}
		case *ecdsa.PublicKey:
			if sig := fixed(p, raw); sig != nil && verifyFixed(p, digest, sig) {
				return sig, nil
			}
		}
	}
	return nil, ErrSignature
}

// decodings returns what a text may stand for: itself, base64 or hex.
func decodings(printed []byte) [][]byte {
	all := [][]byte{printed}
	word := strings.Join(strings.Fields(string(printed)), "")
	word = strings.TrimRight(strings.Trim(word[strings.LastIndexByte(word, ':')+1:], `"`), "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := enc.DecodeString(word); err == nil {
			all = append(all, raw)
		}
	}
	if raw, ok := new(big.Int).SetString(word, 16); ok {
		all = append(all, raw.FillBytes(make([]byte, (len(word)+1)/2)))
	}
	return all
}

// fixed returns an EC signature as its two numbers one after the other, from that or
// from DER; nil if it is neither.
func fixed(p *ecdsa.PublicKey, raw []byte) []byte {
	size := (p.Curve.Params().BitSize + 7) / 8
	var der struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(raw, &der); err == nil && len(rest) == 0 {
		if der.R.Sign() <= 0 || der.S.Sign() <= 0 || der.R.BitLen() > 8*size || der.S.BitLen() > 8*size {
			return nil
		}
		raw = append(der.R.FillBytes(make([]byte, size)), der.S.FillBytes(make([]byte, size))...)
	}
	if len(raw) != 2*size {
		return nil
	}
	return raw
}

func verifyFixed(p *ecdsa.PublicKey, digest, sig []byte) bool {
	r, s := new(big.Int).SetBytes(sig[:len(sig)/2]), new(big.Int).SetBytes(sig[len(sig)/2:])
	return ecdsa.Verify(p, digest, r, s)
}

// opaque signs a JWS by Key.Sign.
type opaque struct {
	ctx context.Context
	key Key
}

// Public returns the public half with its id, which the header names.
func (o opaque) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: o.key.public, KeyID: o.key.ID}
}

// Algs returns the only algorithm.
func (o opaque) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.SignatureAlgorithm(o.key.Algorithm)}
}

// SignPayload signs.
func (o opaque) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return o.key.Sign(o.ctx, payload)
}
