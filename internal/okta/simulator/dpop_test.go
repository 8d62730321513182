package simulator_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// prover makes DPoP proofs, right ones unless edited.
type prover struct {
	f   *fixture
	key crypto.Signer
}

func newProver(f *fixture) *prover {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	return &prover{f, key}
}

func (p *prover) header() map[string]any {
	return map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: p.key.Public()}}
}

func (p *prover) claims(method, url, token, nonce string) map[string]any {
	c := map[string]any{"htm": method, "htu": url, "iat": p.f.clock.Now().Unix(), "jti": rand.Text()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		c["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce != "" {
		c["nonce"] = nonce
	}
	return c
}

func (p *prover) sign(claims map[string]any) string {
	return signed(p.f.t, p.key, jose.ES256, p.header(), claims)
}

// token asks with a nonce.
func (p *prover) token(nonce string) result {
	proof := p.sign(p.claims("POST", p.f.URL+"/oauth2/v1/token", "", nonce))
	return p.f.post(p.f.form(scopeRead), "DPoP", proof)
}

// bound gets a bound token and a nonce.
func (p *prover) bound() (token, nonce string) {
	p.f.t.Helper()
	nonce = p.token("").header.Get("Dpop-Nonce")
	r := p.token(nonce)
	var answer struct {
		Type  string `json:"token_type"`
		Token string `json:"access_token"`
	}
	wantStatus(p.f.t, r, 200)
	r.decode(p.f.t, &answer)
	if answer.Type != "DPoP" || r.header.Get("Dpop-Nonce") == "" {
		p.f.t.Fatalf("got %s, nonce %q", r.body, r.header.Get("Dpop-Nonce"))
	}
	return answer.Token, nonce
}

func TestDPoPNonce(t *testing.T) {
	f := start(t, simulatortest.Config{DPoP: true})
	p := newProver(f)

	wantOAuth(t, f.post(f.form(scopeRead)), 400, "invalid_dpop_proof", "header is missing")
	r := p.token("")
	wantOAuth(t, r, 400, "use_dpop_nonce", "requires nonce")
	first := r.header.Get("Dpop-Nonce")
	wantOAuth(t, p.token("made up"), 400, "use_dpop_nonce", "requires nonce")
	wantStatus(t, p.token(first), 200)

	// A nonce is issued for a day and accepted for three.
	f.clock.Add(24*time.Hour - time.Second)
	r = p.token(first)
	wantStatus(t, r, 200)
	if r.header.Get("Dpop-Nonce") != first {
		t.Error("the nonce changed within a day")
	}
	f.clock.Add(time.Second)
	r = p.token(first)
	wantStatus(t, r, 200)
	second := r.header.Get("Dpop-Nonce")
	if second == first {
		t.Error("the nonce did not change after a day")
	}
	f.clock.Add(48 * time.Hour)
	wantStatus(t, p.token(first), 200)
	f.clock.Add(time.Second)
	wantOAuth(t, p.token(first), 400, "use_dpop_nonce", "requires nonce")
	wantStatus(t, p.token(second), 200)
	f.ForgetNonces()
	wantOAuth(t, p.token(second), 400, "use_dpop_nonce", "requires nonce")
}

// A client that does not require DPoP may use it all the same.
func TestDPoPHonoured(t *testing.T) {
	f := start(t, simulatortest.Config{})
	token, _ := newProver(f).bound()
	wantError(t, f.aerial(token, "GET", "/api/v1/accounts", ""), 401, "E0000011", "")
}

// RFC 9449 section 4.3, item by item, at the token endpoint and at the API.
func TestDPoPProof(t *testing.T) {
	f := start(t, simulatortest.Config{DPoP: true})
	p := newProver(f)
	token, nonce := p.bound()
	accounts := f.URL + "/" + f.AccountID + "/api/v1/accounts"
	now := f.clock.Now().Unix()
	private := map[string]any{"typ": "dpop+jwt", "jwk": map[string]any{"kty": "oct", "k": "c2VjcmV0"}}
	set := func(name string, value any) func(h, c map[string]any) {
		return func(_, c map[string]any) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}
	}
	tests := []struct {
		name string
		edit func(header, claims map[string]any)
		says string
	}{
		{"good", set("x", "y"), ""},
		{"host in upper case", func(_, c map[string]any) { c["htu"] = strings.Replace(c["htu"].(string), "http://", "HTTP://", 1) }, ""},
		{"another method", set("htm", "PUT"), "htm"},
		{"method in lower case", set("htm", "get"), "htm"},
		{"no method", set("htm", nil), "htm"},
		{"URL with a query", func(_, c map[string]any) { c["htu"] = c["htu"].(string) + "?a=b" }, "htu"},
		{"another path", func(_, c map[string]any) { c["htu"] = c["htu"].(string) + "/" }, "htu"},
		{"another host", set("htu", "https://acme.okta.com/oauth2/v1/token"), "htu"},
		{"no URL", set("htu", nil), "htu"},
		{"no iat", set("iat", nil), "iat"},
		{"old", set("iat", now-301), "iat"},
		{"just not old", set("iat", now-300), ""},
		{"from the future", set("iat", now+61), "iat"},
		{"no jti", set("jti", nil), "jti"},
		{"another typ", func(h, _ map[string]any) { h["typ"] = "JWT" }, "typ"},
		{"no key", func(h, _ map[string]any) { delete(h, "jwk") }, "public key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.t = t
			h, c := p.header(), p.claims("POST", f.URL+"/oauth2/v1/token", "", nonce)
			if tt.edit(h, c); c["htm"] == "PUT" {
				c["htm"] = "GET"
			}
			r := f.post(f.form(scopeRead), "DPoP", signed(t, p.key, jose.ES256, h, c))
			if tt.says == "" {
				wantStatus(t, r, 200)
			} else {
				wantOAuth(t, r, 400, "invalid_dpop_proof", tt.says)
			}

			h, c = p.header(), p.claims("GET", accounts, token, "")
			tt.edit(h, c)
			r = f.aerial(token, "GET", "/api/v1/accounts", "", "Authorization", "DPoP "+token, "DPoP", signed(t, p.key, jose.ES256, h, c))
			if tt.says == "" {
				wantStatus(t, r, 200)
				return
			}
			wantError(t, r, 401, "E0000011", "")
			if got := r.header.Get("Www-Authenticate"); !strings.HasPrefix(got, `DPoP error="invalid_dpop_proof"`) || !strings.Contains(got, tt.says) {
				t.Errorf("challenge is %q", got)
			}
		})
	}

	other := newProver(f)
	secret := p.claims("GET", accounts, token, "")
	proofs := []struct {
		name, says string
		proofs     []string
	}{
		{"none", "missing", nil},
		{"two", "only one", []string{p.sign(p.claims("GET", accounts, token, "")), p.sign(p.claims("GET", accounts, token, ""))}},
		{"no JWT", "must be a JWT", []string{"x"}},
		{"a secret key", "", []string{signed(t, p.key, jose.ES256, private, secret)}},
		{"a private key", "", []string{signed(t, p.key, jose.ES256, map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: p.key}}, secret)}},
		{"signed by another key", "signature", []string{signed(t, other.key, jose.ES256, p.header(), p.claims("GET", accounts, token, ""))}},
		{"of another key", "bound to", []string{other.sign(p.claims("GET", accounts, token, ""))}},
		{"for another token", "ath", []string{p.sign(p.claims("GET", accounts, "other", ""))}},
		{"for no token", "ath", []string{p.sign(p.claims("GET", accounts, "", ""))}},
	}
	for _, tt := range proofs {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest("GET", accounts, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = []string{"DPoP " + token}
			req.Header["Dpop"] = tt.proofs
			resp, err := f.Client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Www-Authenticate"); resp.StatusCode != 401 || !strings.Contains(got, tt.says) {
				t.Errorf("got %d, challenge %q", resp.StatusCode, got)
			}
		})
	}
}

func TestDPoPReplay(t *testing.T) {
	f := start(t, simulatortest.Config{DPoP: true})
	p := newProver(f)
	token, nonce := p.bound()
	get := func(proof string) result {
		return f.aerial(token, "GET", "/api/v1/accounts", "", "Authorization", "DPoP "+token, "DPoP", proof)
	}
	accounts := f.URL + "/" + f.AccountID + "/api/v1/accounts"
	proof := p.sign(p.claims("GET", accounts, token, ""))
	wantStatus(t, get(proof), 200)
	wantError(t, get(proof), 401, "E0000011", "")

	// A proof is used up by a call that failed, too: every attempt needs a
	// fresh one.
	f.Fault(t, "GET /api/v1/accounts status=503 times=1")
	proof = p.sign(p.claims("GET", accounts, token, ""))
	wantError(t, get(proof), 503, "E0000009", "")
	wantError(t, get(proof), 401, "E0000011", "")

	form := p.sign(p.claims("POST", f.URL+"/oauth2/v1/token", "", nonce))
	wantStatus(t, f.post(f.form(scopeRead), "DPoP", form), 200)
	wantOAuth(t, f.post(f.form(scopeRead), "DPoP", form), 400, "invalid_dpop_proof", "already been used")
}

func TestResourceNonce(t *testing.T) {
	f := start(t, simulatortest.Config{DPoP: true, Options: simulator.Options{ResourceNonce: true}})
	p := newProver(f)
	token, _ := p.bound()
	f.ForgetNonces()
	accounts := f.URL + "/" + f.AccountID + "/api/v1/accounts"
	get := func(nonce string) result {
		return f.aerial(token, "GET", "/api/v1/accounts", "", "Authorization", "DPoP "+token, "DPoP", p.sign(p.claims("GET", accounts, token, nonce)))
	}
	r := get("")
	wantError(t, r, 401, "E0000011", "")
	if got := r.header.Get("Www-Authenticate"); !strings.HasPrefix(got, `DPoP error="use_dpop_nonce"`) {
		t.Errorf("challenge is %q", got)
	}
	wantStatus(t, get(r.header.Get("Dpop-Nonce")), 200)
}
