package browsertest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// clientID and clientSecret are the daemon's at the provider.
const (
	clientID     = "reconciler"
	clientSecret = "a secret of the tests"
)

// people are who can sign in at the provider: the part of their address before the @,
// and the group that they are in.
var people = map[string]string{"ada": "okta-operators", "bob": "okta-viewers", "eve": "finance"}

// provider is an OpenID provider: zitadel's, with the people and the daemon in memory.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu       sync.Mutex
	redirect string // where the daemon takes its users back
	requests map[string]*authRequest
	codes    map[string]string // the id of a request, by code
	tokens   map[string]string // the user, by access token
}

// startProvider starts a provider on loopback.
func startProvider() (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	p := &provider{key: key, requests: map[string]*authRequest{}, codes: map[string]string{}, tokens: map[string]string{}}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	server, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}, CryptoKeyId: "key", CodeMethodS256: true, DefaultLogoutRedirectURI: "/bye"},
		p, op.StaticIssuer(p.URL), op.WithAllowInsecure())
	if err != nil {
		p.Close()
		return nil, err
	}
	mux.Handle("/", server)
	mux.HandleFunc("GET /login", p.login)
	mux.Handle("POST /login", op.NewIssuerInterceptor(server.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.chosen(w, r, op.AuthCallbackURL(server))
	}))
	return p, nil
}

// allow sets where the daemon takes its users back.
func (p *provider) allow(redirect string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.redirect = redirect
}

var loginPage = template.Must(template.New("").Parse(`<!DOCTYPE html><html lang="en"><title>Sign in</title>
<link rel="icon" href="data:,"><form method="post"><input name="id" type="hidden" value="{{.}}">
<label>User <input name="user" id="user"></label> <button id="login">Sign in</button></form></html>`))

// login asks who somebody is.
func (p *provider) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = loginPage.Execute(w, r.FormValue("id"))
}

// chosen takes somebody back who said who they are.
func (p *provider) chosen(w http.ResponseWriter, r *http.Request, callback func(context.Context, string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	request, user := p.requests[r.FormValue("id")], r.FormValue("user")
	if request == nil || people[user] == "" {
		http.Error(w, "no such request or user", http.StatusBadRequest)
		return
	}
	request.user, request.at = user, time.Now()
	http.Redirect(w, r, callback(r.Context(), request.id), http.StatusFound)
}

// authRequest is a sign-in that has begun.
type authRequest struct {
	*oidc.AuthRequest
	id   string
	user string // empty until somebody said who they are
	at   time.Time
}

func (r *authRequest) GetID() string                      { return r.id }
func (r *authRequest) GetACR() string                     { return "" }
func (r *authRequest) GetAMR() []string                   { return nil }
func (r *authRequest) GetAudience() []string              { return []string{r.ClientID} }
func (r *authRequest) GetAuthTime() time.Time             { return r.at }
func (r *authRequest) GetClientID() string                { return r.ClientID }
func (r *authRequest) GetNonce() string                   { return r.Nonce }
func (r *authRequest) GetRedirectURI() string             { return r.RedirectURI }
func (r *authRequest) GetScopes() []string                { return r.Scopes }
func (r *authRequest) GetState() string                   { return r.State }
func (r *authRequest) GetSubject() string                 { return r.user }
func (r *authRequest) Done() bool                         { return r.user != "" }
func (r *authRequest) GetResponseType() oidc.ResponseType { return r.ResponseType }
func (r *authRequest) GetResponseMode() oidc.ResponseMode { return r.ResponseMode }

func (r *authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	if r.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

var errUnknown = errors.New("not known")

func (p *provider) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if r.CodeChallenge == "" || r.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE with S256 is required")
	}
	if r.Nonce == "" || r.State == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("nonce and state are required")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	request := &authRequest{AuthRequest: r, id: rand.Text()}
	p.requests[request.id] = request
	return request, nil
}

func (p *provider) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.requests[id]; r != nil {
		return r, nil
	}
	return nil, errUnknown
}

func (p *provider) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	p.mu.Lock()
	id := p.codes[code]
	p.mu.Unlock()
	return p.AuthRequestByID(ctx, id)
}

func (p *provider) SaveAuthCode(_ context.Context, id, code string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = id
	return nil
}

func (p *provider) DeleteAuthRequest(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.requests, id)
	return nil
}

func (p *provider) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := rand.Text()
	p.tokens[id] = r.GetSubject()
	return id, time.Now().Add(time.Hour), nil
}

func (p *provider) TerminateSession(context.Context, string, string) error { return nil }

func (p *provider) RevokeToken(context.Context, string, string, string) *oidc.Error { return nil }

// There are no refresh tokens.

func (p *provider) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, errUnknown
}

func (p *provider) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, errUnknown
}

func (p *provider) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

// signingKey is the key that signs, or with public the one that verifies.
type signingKey struct {
	key    *rsa.PrivateKey
	public bool
}

func (k signingKey) ID() string                                  { return "key" }
func (k signingKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Use() string                                 { return "sig" }

func (k signingKey) Key() any {
	if k.public {
		return &k.key.PublicKey
	}
	return k.key
}

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	return signingKey{key: p.key}, nil
}

func (p *provider) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (p *provider) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{signingKey{p.key, true}}, nil
}

func (p *provider) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != clientID {
		return nil, errUnknown
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &client{redirect: p.redirect}, nil
}

func (p *provider) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != clientID || secret != clientSecret {
		return errUnknown
	}
	return nil
}

func (p *provider) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest fills in the claims of an ID token.
func (p *provider) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	setClaims(info, r.GetSubject(), scopes)
	return nil
}

func (p *provider) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, token, _, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	setClaims(info, p.tokens[token], []string{oidc.ScopeEmail, oidc.ScopeProfile, "groups"})
	return nil
}

func setClaims(info *oidc.UserInfo, user string, scopes []string) {
	info.Subject = user
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = user+"@acme.example", true
		case oidc.ScopeProfile:
			info.PreferredUsername = user + "@acme.example"
		case "groups":
			info.AppendClaims("groups", []string{"Everyone", people[user]})
		}
	}
}

func (p *provider) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return errUnknown
}

func (p *provider) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (p *provider) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errUnknown
}

func (p *provider) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errUnknown
}

func (p *provider) Health(context.Context) error { return nil }

// client is the daemon, as the provider knows it.
type client struct{ redirect string }

func (c *client) GetID() string                       { return clientID }
func (c *client) RedirectURIs() []string              { return []string{c.redirect} }
func (c *client) PostLogoutRedirectURIs() []string    { return nil }
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c *client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c *client) GrantTypes() []oidc.GrantType         { return []oidc.GrantType{oidc.GrantTypeCode} }
func (c *client) LoginURL(id string) string            { return fmt.Sprintf("/login?id=%s", id) }
func (c *client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c *client) IDTokenLifetime() time.Duration       { return time.Hour }
func (c *client) DevMode() bool                        { return true } // http on loopback
func (c *client) IsScopeAllowed(scope string) bool     { return scope == "groups" }
func (c *client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c *client) ClockSkew() time.Duration             { return 0 }

func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
