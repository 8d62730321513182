package simulator

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// nonceLife is how long a nonce is issued, nonceValid how long it is accepted.
	nonceLife  = 24 * time.Hour
	nonceValid = 3 * 24 * time.Hour
	// proofLife is how old a DPoP proof may be; unconfirmed.
	proofLife = 5 * time.Minute
)

// nonce is a value that DPoP proofs must contain.
type nonce struct {
	value string
	since time.Time
}

func (s *Simulator) currentNonce() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	if n := len(s.nonces); n > 0 && now.Sub(s.nonces[n-1].since) < nonceLife {
		return s.nonces[n-1].value
	}
	s.nonces = append(s.nonces, nonce{newSecret(), now})
	return s.nonces[len(s.nonces)-1].value
}

func (s *Simulator) knowsNonce(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	s.nonces = slices.DeleteFunc(s.nonces, func(n nonce) bool { return now.Sub(n.since) > nonceValid })
	return slices.ContainsFunc(s.nonces, func(n nonce) bool { return n.value == value })
}

// ForgetNonces makes every nonce unknown that was issued so far, as after three
// days.
func (s *Simulator) ForgetNonces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces = nil
}

// proof is a verified DPoP proof.
type proof struct {
	jkt   string // RFC 7638 thumbprint of its key
	nonce string
}

// checkProof verifies the DPoP header of a call by RFC 9449 section 4.3, except for
// the nonce. token is the access token that is sent with it, "" for the token
// endpoint. problem is what is wrong with the proof, or "".
func (s *Simulator) checkProof(c *call, token string) (p proof, problem string) {
	headers := c.r.Header.Values("DPoP")
	if len(headers) == 0 {
		return p, "The DPoP proof JWT header is missing."
	}
	if len(headers) > 1 {
		return p, "There must be only one DPoP proof JWT header."
	}
	tok, err := jwt.ParseSigned(headers[0], signatureAlgs)
	if err != nil || len(tok.Headers) != 1 {
		return p, "The DPoP proof must be a JWT signed with RS256, RS384, RS512, ES256, ES384 or ES512, its jwk a public key."
	}
	head := tok.Headers[0]
	if typ, _ := head.ExtraHeaders["typ"].(string); typ != "dpop+jwt" {
		return p, "The typ of the DPoP proof must be dpop+jwt."
	}
	if head.JSONWebKey == nil || checkKey(head.JSONWebKey) != nil || !fits(head.JSONWebKey, head.Algorithm) {
		return p, "The DPoP proof must carry its public key as jwk."
	}
	var claims struct {
		Method   string           `json:"htm"`
		URL      string           `json:"htu"`
		IssuedAt *jwt.NumericDate `json:"iat"`
		ID       string           `json:"jti"`
		Hash     string           `json:"ath"`
		Nonce    string           `json:"nonce"`
	}
	if tok.Claims(head.JSONWebKey.Key, &claims) != nil {
		return p, "The DPoP proof signature is invalid."
	}
	now := s.opts.Now()
	switch {
	case claims.Method != c.r.Method:
		return p, "The htm of the DPoP proof must be the method of the request."
	case normalURL(claims.URL) != normalURL(c.url):
		return p, "The htu of the DPoP proof must be the URL of the request without query and fragment."
	case claims.IssuedAt == nil || claims.IssuedAt.Time().Before(now.Add(-proofLife)) || claims.IssuedAt.Time().After(now.Add(skew)):
		return p, "The iat of the DPoP proof is missing, too old or in the future."
	case claims.ID == "":
		return p, "The DPoP proof must have a jti."
	case token != "" && claims.Hash != tokenHash(token):
		return p, "The ath of the DPoP proof must be the hash of the access token."
	}
	sum, err := head.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil {
		return p, "The key of the DPoP proof has no thumbprint."
	}
	p = proof{jkt: base64.RawURLEncoding.EncodeToString(sum), nonce: claims.Nonce}
	if !s.firstUse("proof "+p.jkt+" "+claims.ID, now.Add(2*proofLife)) {
		return p, "The DPoP proof has already been used: its jti must be unique."
	}
	return p, ""
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// normalURL returns a URL with scheme and host in lower case (RFC 3986 section
// 6.2.2). It keeps a query or fragment, which then differs from the call's URL.
func normalURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return u.String()
}
