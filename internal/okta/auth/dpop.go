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
	"strings"
	"sync"
	"time"

	"reconciler/internal/web"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	dpopHeader  = "DPoP"
	nonceHeader = "DPoP-Nonce"
)

// prover makes DPoP proofs. Its key is made at the first proof and never
// leaves memory: it proves only that the one who asked for a token is the one
// who uses it.
type prover struct {
	signer func() (jose.Signer, error)

	mu     sync.Mutex
	nonces map[web.Origin]string // the latest of each server
}

func newProver() *prover {
	return &prover{
		nonces: map[web.Origin]string{},
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

// proof gives the DPoP header for one request, and only for that one: a proof
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
	if n := p.nonce(u); n != "" {
		claims["nonce"] = n
	}
	s, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing the DPoP proof: %w", err)
	}
	return s, nil
}

// htu is the target of a request as a proof names it: without query and
// fragment (RFC 9449 section 4.2).
func htu(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if bare.Path == "" {
		bare.Path = "/"
	}
	return bare.String()
}

func (p *prover) nonce(u *url.URL) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces[web.OriginOf(u)]
}

// learn remembers the nonce of an answer, if there is one. A server may send
// a new one with any answer, a good one too (RFC 9449 section 8.2). It says
// whether there was one.
func (p *prover) learn(u *url.URL, h http.Header) bool {
	n := h.Get(nonceHeader)
	if n == "" {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces[web.OriginOf(u)] = n
	return true
}

// asksNonce says whether a resource server's 401 is its way of asking for a
// nonce (RFC 9449 section 9).
func asksNonce(h http.Header) bool {
	for _, v := range h.Values("WWW-Authenticate") {
		if strings.Contains(v, "use_dpop_nonce") {
			return true
		}
	}
	return false
}
