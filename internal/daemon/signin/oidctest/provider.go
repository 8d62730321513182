// Package oidctest stands in for an OpenID provider such as an Okta org: authorization
// code with PKCE, as strict as the specification allows, for one client and one user at a
// time.
package oidctest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// User is who is signed in at the provider.
type User struct {
	Subject string
	Email   string
	Groups  []string
}

// Provider is an OpenID provider that is being served. Its fields may be changed between
// requests, with Set.
type Provider struct {
	// Issuer is its URL, and ClientID and Secret are those of its only client.
	Issuer, ClientID, Secret string

	server *httptest.Server
	key    *ecdsa.PrivateKey

	mu       sync.Mutex
	settings Settings
	codes    map[string]*grant
	access   map[string]User
	sent     []string
}

// Settings are how the provider behaves.
type Settings struct {
	User User
	// Redirects are the URIs that people may be sent back to; any of loopback if it is
	// empty.
	Redirects []string
	// Thin means that ID tokens have neither e-mail address nor groups, as Okta's that come
	// with an access token: they are in the userinfo.
	Thin bool
	// NoGroups means that nothing has the claim.
	NoGroups bool
	// Keys is where discovery says that the keys are; "" for where they are.
	Keys string
	// Down means that each request fails.
	Down bool
	// Claims, where not nil, changes the claims of each ID token.
	Claims func(map[string]any)
	// Sign, where not nil, makes the ID token from its claims.
	Sign func(claims []byte) string
	// Now is the provider's clock; nil for the usual one.
	Now func() time.Time
}

// grant is what a code stands for.
type grant struct {
	user                       User
	nonce, challenge, redirect string
	used                       bool
	expires                    time.Time
}

// New serves a provider until Close.
func New(user User) *Provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p := &Provider{ClientID: "0oa1client", Secret: "s3cret-" + rand.Text(), key: key, codes: map[string]*grant{}, access: map[string]User{}}
	p.settings.User = user
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.settings.Down {
			http.Error(w, "<html>maintenance</html>", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	p.Issuer = p.server.URL
	return p
}

// Close ends it.
func (p *Provider) Close() { p.server.Close() }

// Set changes how it behaves.
func (p *Provider) Set(change func(*Settings)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.settings)
}

// Secrets returns the codes and tokens that it has handed out, which must appear nowhere.
func (p *Provider) Secrets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(slices.Clone(p.sent), p.Secret)
}

func (p *Provider) now() time.Time {
	if p.settings.Now != nil {
		return p.settings.Now()
	}
	return time.Now()
}

func (p *Provider) secret() string {
	s := rand.Text() + rand.Text()
	p.sent = append(p.sent, s)
	return s
}

func send(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"userinfo_endpoint": p.Issuer + "/userinfo", "jwks_uri": cmp.Or(p.settings.Keys, p.Issuer+"/keys"),
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "scopes_supported": []string{"openid", "profile", "email", "groups"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
}

// authorize signs the user in without asking, and sends them back. What is wrong with the
// client or the place to go back to is said here, and everything else there.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, values := range q {
		if len(values) != 1 {
			http.Error(w, "repeated parameter "+name, http.StatusBadRequest)
			return
		}
	}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID || !p.mayReturn(q.Get("redirect_uri")) {
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	scopes := strings.Fields(q.Get("scope"))
	switch {
	case q.Get("response_type") != "code":
		back.Set("error", "unsupported_response_type")
	case !slices.Contains(scopes, "openid"):
		back.Set("error", "invalid_scope")
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("nonce") == "" || q.Get("state") == "":
		back.Set("error", "invalid_request")
	default:
		code := p.secret()
		p.codes[code] = &grant{user: p.settings.User, nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), expires: p.now().Add(time.Minute)}
		back.Set("code", code)
	}
	redirect.RawQuery = back.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

func (p *Provider) mayReturn(uri string) bool {
	if len(p.settings.Redirects) > 0 {
		return slices.Contains(p.settings.Redirects, uri)
	}
	u, err := url.Parse(uri)
	return err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, why string) { send(w, code, map[string]string{"error": why}) }
	id, secret, ok := r.BasicAuth()
	if !ok || id != url.QueryEscape(p.ClientID) || secret != url.QueryEscape(p.Secret) {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	g := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	case g == nil || g.used || p.now().After(g.expires) || g.redirect != r.PostFormValue("redirect_uri") ||
		g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		refuse(http.StatusBadRequest, "invalid_grant")
		return
	}
	g.used = true
	access := p.secret()
	p.access[access] = g.user
	idToken, err := p.idToken(g, access)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.sent = append(p.sent, idToken)
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": idToken})
}

func (p *Provider) idToken(g *grant, access string) (string, error) {
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.Issuer, "sub": g.user.Subject, "aud": p.ClientID, "nonce": g.nonce, "iat": p.now().Unix(), "exp": p.now().Add(time.Hour).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if !p.settings.Thin {
		maps.Copy(claims, p.about(g.user))
	}
	if p.settings.Claims != nil {
		p.settings.Claims(claims)
	}
	data, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if p.settings.Sign != nil {
		return p.settings.Sign(data), nil
	}
	return Sign(data, p.key, "k1")
}

// Sign returns claims as a token that is signed with a key.
func Sign(claims []byte, key *ecdsa.PrivateKey, id string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return signed.CompactSerialize()
}

// about returns what the provider says of a user.
func (p *Provider) about(u User) map[string]any {
	about := map[string]any{"email": u.Email, "email_verified": true}
	if !p.settings.NoGroups {
		about["groups"] = append([]string{}, u.Groups...)
	}
	return about
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	access, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	user, known := p.access[access]
	if !ok || !known {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	about := p.about(user)
	about["sub"] = user.Subject
	send(w, http.StatusOK, about)
}
