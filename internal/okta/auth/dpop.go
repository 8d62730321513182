package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"reconciler/internal/web"
)

const (
	dpopHeader  = "DPoP"
	nonceHeader = "DPoP-Nonce"
)

// prover makes DPoP proofs. Its key is made at the first proof and never
// leaves memory: it proves only that a token is used by the process that asked
// for it.
type prover struct {
	signer func() (jose.Signer, error)

	nonces sync.Map // by web.Origin: the latest of each server
}

func newProver() *prover {
	return &prover{
		signer: sync.OnceValues(func() (jose.Signer, error) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, err
			}
			opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
			return jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts)
		}),
	}
}

// proof returns the DPoP header for one request, and only for that one: a proof
// is refused the second time. token is the access token that goes with the
// request, or empty for a token request.
func (p *prover) proof(method string, u *url.URL, token string, now time.Time) (string, error) {
	signer, err := p.signer()
	if err != nil {
		return "", fmt.Errorf("making the DPoP key: %w", err)
	}
	claims := map[string]any{
		"htm": method,
		"htu": htu(u),
		"iat": now.Unix(),
		"jti": rand.Text(),
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce, ok := p.nonces.Load(web.OriginOf(u)); ok {
		claims["nonce"] = nonce
	}
	s, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing the DPoP proof: %w", err)
	}
	return s, nil
}

// htu returns the target of a request as a proof names it: without query and
// fragment (RFC 9449 section 4.2).
func htu(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if bare.Path == "" {
		bare.Path = "/"
	}
	return bare.String()
}

// learn remembers the nonce of an answer, and reports whether there was one. A
// server may send a new one with any answer, also with a success (RFC 9449
// section 8.2).
func (p *prover) learn(u *url.URL, h http.Header) bool {
	nonce := h.Get(nonceHeader)
	if nonce != "" {
		p.nonces.Store(web.OriginOf(u), nonce)
	}
	return nonce != ""
}

// asksNonce reports whether a resource server's 401 asks for a nonce (RFC 9449
// section 9).
func asksNonce(h http.Header) bool {
	return slices.ContainsFunc(h.Values("WWW-Authenticate"), func(v string) bool {
		return strings.Contains(v, "use_dpop_nonce")
	})
}
