package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clientID  = "0oaCLIENT"
	keyID     = "kid-1"
	readScope = "okta.accounts.read"
)

var keys = Keys{OrgURL: "orgURL", ClientID: "clientID", KeyID: "keyID", DPoP: "dpop"}

// newKeyPair makes an ES256 key: quick, and as good as any for most tests.
func newKeyPair(t *testing.T) Key {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey(priv, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fake is an org with a token endpoint and one API path, as strict about
// assertions and proofs as Okta is.
type fake struct {
	t      *testing.T
	server *httptest.Server
	url    *url.URL
	clock  *clock
	public crypto.PublicKey

	mu sync.Mutex
	// What the org demands.
	dpop      bool   // tokens only with a proof
	nonce     string // the token endpoint's; empty means it wants none
	apiNonce  string
	expiresIn any
	// answer, if set, answers the n-th token request (from 1) instead, unless
	// it says false.
	answer func(n int, w http.ResponseWriter, r *http.Request) bool
	// What it has seen.
	calls  int // token requests
	hits   int // API requests
	jtis   map[string]bool
	bodies []string
	issued map[string]issue
	seen   []string // every secret that went over the wire
}

type issue struct {
	jkt     string
	expires time.Time
	revoked bool
}

func newFake(t *testing.T, key Key) *fake {
	f := &fake{
		t: t, clock: newClock(), public: key.Public(), expiresIn: 3600,
		jtis: map[string]bool{}, issued: map[string]issue{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/v1/token", f.serveToken)
	mux.HandleFunc("/api/", f.serveAPI)
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	f.url, _ = url.Parse(f.server.URL)
	return f
}

// client makes a Client of the org; change may alter its options.
func (f *fake) client(key Key, change func(*Options)) *Client {
	f.t.Helper()
	opt := Options{
		OrgURL: f.url, ClientID: clientID, KeyID: keyID, Keys: keys,
		Key:  func(context.Context) (Key, error) { return key, nil },
		HTTP: f.server.Client().Transport, Now: f.clock.now,
	}
	if change != nil {
		change(&opt)
	}
	c, err := New(opt)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fake) counts() (calls, hits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.hits
}

func (f *fake) revokeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, i := range f.issued {
		i.revoked = true
		f.issued[k] = i
	}
}

func refuse(w http.ResponseWriter, status int, code, desc string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": desc})
}

func (f *fake) serveToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	r.ParseForm()
	f.seen = append(f.seen, r.Form.Get("client_assertion"), r.Header.Get("DPoP"))
	w.Header().Set("Date", f.clock.now().UTC().Format(http.TimeFormat))
	if f.answer != nil && f.answer(f.calls, w, r) {
		return
	}
	if msg := f.checkAssertion(r); msg != "" {
		refuse(w, 401, "invalid_client", msg)
		return
	}
	var jkt string
	if proof := r.Header.Get("DPoP"); proof != "" {
		claims, thumb, err := f.checkProof(proof, r, "")
		if err != nil {
			refuse(w, 400, "invalid_dpop_proof", err.Error())
			return
		}
		if f.nonce != "" && claims["nonce"] != f.nonce {
			w.Header().Set("DPoP-Nonce", f.nonce)
			refuse(w, 400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
			return
		}
		jkt = thumb
	} else if f.dpop {
		refuse(w, 400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
		return
	}
	secret := "SECRET-" + rand.Text()
	f.seen = append(f.seen, secret)
	f.issued[secret] = issue{jkt: jkt, expires: f.clock.now().Add(time.Hour)}
	typ := Bearer
	if jkt != "" {
		typ = DPoP
	}
	ans := map[string]any{"token_type": typ, "access_token": secret, "scope": r.Form.Get("scope")}
	if f.expiresIn != nil {
		ans["expires_in"] = f.expiresIn
	}
	json.NewEncoder(w).Encode(ans)
}

// checkAssertion follows Okta's rules for private_key_jwt.
func (f *fake) checkAssertion(r *http.Request) string {
	if r.Form.Get("grant_type") != "client_credentials" || r.Form.Get("client_assertion_type") != assertionType {
		return "wrong form"
	}
	tok, err := jwt.ParseSigned(r.Form.Get("client_assertion"), []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return "no assertion"
	}
	if tok.Headers[0].KeyID != keyID {
		return "The client_assertion JWT kid is invalid."
	}
	var c struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Jti string `json:"jti"`
		Aud string `json:"aud"` // a string, as Okta documents it, not an array
		Iat int64  `json:"iat"`
		Exp int64  `json:"exp"`
	}
	if err := tok.Claims(f.public, &c); err != nil {
		return "The client_assertion signature is invalid."
	}
	now := f.clock.now().Unix()
	switch {
	case c.Aud != f.server.URL+"/oauth2/v1/token":
		return "The audience claim for client_assertion must be the endpoint invoked for the request."
	case c.Iss != clientID || c.Sub != clientID:
		return "Invalid value for 'client_id' parameter."
	case c.Exp <= now:
		return "The client_assertion token is expired."
	case c.Exp > now+3600 || c.Iat > now+300:
		return "The client_assertion expires too far in the future."
	case c.Jti == "" || f.jtis[c.Jti]:
		return "The client_assertion was already used."
	}
	f.jtis[c.Jti] = true
	return ""
}

// checkProof follows RFC 9449 section 4.3; it gives the claims and the
// thumbprint of the key.
func (f *fake) checkProof(proof string, r *http.Request, token string) (map[string]any, string, error) {
	tok, err := jwt.ParseSigned(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, "", err
	}
	h := tok.Headers[0]
	if h.ExtraHeaders["typ"] != "dpop+jwt" || h.JSONWebKey == nil || !h.JSONWebKey.IsPublic() {
		return nil, "", fmt.Errorf("bad header of the proof: %+v", h)
	}
	claims := map[string]any{}
	if err := tok.Claims(h.JSONWebKey, &claims); err != nil {
		return nil, "", err
	}
	jti, _ := claims["jti"].(string)
	iat, _ := claims["iat"].(float64)
	sum := sha256.Sum256([]byte(token))
	ath, _ := claims["ath"].(string)
	htu := f.server.URL + r.URL.EscapedPath()
	switch {
	case claims["htm"] != r.Method:
		return nil, "", fmt.Errorf("htm %v", claims["htm"])
	case claims["htu"] != htu:
		return nil, "", fmt.Errorf("htu %v, not %v", claims["htu"], htu)
	case jti == "" || f.jtis[jti]:
		return nil, "", fmt.Errorf("jti used twice")
	case int64(iat) != f.clock.now().Unix():
		return nil, "", fmt.Errorf("iat %v", iat)
	case token != "" && ath != base64.RawURLEncoding.EncodeToString(sum[:]):
		return nil, "", fmt.Errorf("ath %v", ath)
	case token == "" && ath != "":
		return nil, "", fmt.Errorf("ath without a token")
	}
	f.jtis[jti] = true
	thumb, err := h.JSONWebKey.Thumbprint(crypto.SHA256)
	return claims, base64.RawURLEncoding.EncodeToString(thumb), err
}

func (f *fake) serveAPI(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hits++
	body, _ := io.ReadAll(r.Body)
	f.bodies = append(f.bodies, string(body))
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	is, ok := f.issued[secret]
	want := Bearer
	if is.jkt != "" {
		want = DPoP
	}
	if !ok || is.revoked || scheme != want || !f.clock.now().Before(is.expires) {
		w.Header().Set("WWW-Authenticate", scheme+` error="invalid_token"`)
		w.WriteHeader(401)
		return
	}
	if is.jkt != "" {
		claims, jkt, err := f.checkProof(r.Header.Get("DPoP"), r, secret)
		if err == nil && jkt != is.jkt {
			err = fmt.Errorf("another key than the token's")
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `DPoP error="invalid_dpop_proof"`)
			w.WriteHeader(401)
			io.WriteString(w, err.Error())
			return
		}
		if f.apiNonce != "" && claims["nonce"] != f.apiNonce {
			w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
			w.Header().Set("DPoP-Nonce", f.apiNonce)
			w.WriteHeader(401)
			return
		}
	}
	io.WriteString(w, "ok")
}

// do makes one API request and gives its status.
func do(ctx context.Context, t *testing.T, rt http.RoundTripper, method, url string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Request.Header.Get("Authorization") != "" {
		t.Error("the answer's request carries the token")
	}
	if len(req.Header) != 0 {
		t.Errorf("the caller's request was changed: %v", slices.Sorted(func(yield func(string) bool) {
			for k := range req.Header {
				if !yield(k) {
					return
				}
			}
		}))
	}
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// rsaKey is made once: making it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})
