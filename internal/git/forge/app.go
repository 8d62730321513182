package forge

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-github/v84/github"

	"reconciler/internal/text"
)

const (
	// The life of the assertion that a token is requested with. It begins in the
	// past, for clocks that are behind ours; GitHub accepts at most 10 minutes to
	// the end of it.
	// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
	assertionBackdate = time.Minute
	assertionLife     = 9 * time.Minute
	// tokenMargin is how long before its end a token is no longer returned.
	tokenMargin = 5 * time.Minute
)

// AppOptions configure an App.
type AppOptions struct {
	// URL is the root of the REST API; empty means https://api.github.com.
	URL string
	// AppID is the app's id, or its client id. InstallationID is the number at
	// the end of the installation's address.
	AppID, InstallationID string
	// Key returns the app's private key, a PEM. It is called for each token, so
	// the key can be replaced while the program runs.
	Key func(context.Context) ([]byte, error)
	// Sign, where not nil, signs with the key (RS256) in place of Key, which may be nil
	// then.
	Sign func(ctx context.Context, input []byte) ([]byte, error)
	// HTTP sends the requests; web.Default if nil.
	HTTP http.RoundTripper
	// Now returns the time; time.Now if nil.
	Now func() time.Time
	// Logger is as in Options.
	Logger *slog.Logger
}

// NewApp returns what makes tokens of an installation of a GitHub App. It checks
// the options and sends nothing.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app
func NewApp(opts AppOptions) (*App, error) {
	a := &App{opts: opts, busy: make(chan struct{}, 1)}
	var err error
	a.caller, err = githubCaller(Options{URL: opts.URL, Token: a.assertion, HTTP: opts.HTTP, Logger: opts.Logger})
	if err != nil {
		return nil, err
	}
	a.installation, err = strconv.ParseUint(opts.InstallationID, 10, 63)
	switch {
	case opts.AppID == "":
		return nil, errors.New("a GitHub App needs its id")
	case err != nil:
		return nil, fmt.Errorf("the installation of a GitHub App is a number, not %q", opts.InstallationID)
	case opts.Key == nil && opts.Sign == nil:
		return nil, errors.New("a GitHub App needs its private key")
	}
	if a.opts.Now == nil {
		a.opts.Now = time.Now
	}
	return a, nil
}

// App makes tokens of an installation of a GitHub App, for Options.Token and for git
// over HTTPS with the user x-access-token. Its methods may be called from many
// goroutines.
type App struct {
	caller       *caller
	opts         AppOptions
	installation uint64
	busy         chan struct{} // holds one while a goroutine uses what follows

	last    string
	expires time.Time
}

// Token returns a token of the installation. It lasts an hour; the same is returned
// until five minutes before its end. Of many goroutines that call it, one sends the
// request and the others wait.
func (a *App) Token(ctx context.Context) (string, error) {
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if a.last != "" && a.opts.Now().Before(a.expires.Add(-tokenMargin)) {
		return a.last, nil
	}
	// A repetition makes another token, and the first one ends by itself.
	ctx, call := a.caller.begin(ctx, aboutApp)
	token, _, err := githubClient(a.caller).Apps.CreateInstallationToken(ctx, int64(a.installation), &github.InstallationTokenOptions{})
	if err = call.end(err); err != nil {
		return "", fmt.Errorf("getting a token for the GitHub App: %w", err)
	}
	if token.GetToken() == "" {
		return "", errors.New("getting a token for the GitHub App: GitHub: the answer for the installation has none")
	}
	a.last, a.expires = token.GetToken(), token.GetExpiresAt().Time
	return a.last, nil
}

// Refused is for a token that a server refused with 401 before its end: it was
// revoked, or the app was suspended for a while. The next call of Token requests
// another one.
func (a *App) Refused(token string) {
	a.busy <- struct{}{}
	defer func() { <-a.busy }()
	if a.last == token {
		a.last = ""
	}
}

// assertion returns the proof that we are the app.
func (a *App) assertion(ctx context.Context) (string, error) {
	key, err := a.key(ctx)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("its private key: %w", err)
	}
	now := a.opts.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer:   a.opts.AppID,
		IssuedAt: jwt.NewNumericDate(now.Add(-assertionBackdate)),
		Expiry:   jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
}

// key returns the app's key, or what signs with it, as the library takes it.
func (a *App) key(ctx context.Context) (any, error) {
	if a.opts.Sign != nil {
		return appSigner{ctx, a.opts.Sign}, nil
	}
	data, err := a.opts.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("its private key: %w", err)
	}
	key, err := parseAppKey(data)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("its private key: %w", err), "make one in the app's settings, and use the PEM file that GitHub offers then")
	}
	return key, nil
}

// appSigner signs with a key that is elsewhere.
type appSigner struct {
	ctx  context.Context
	sign func(ctx context.Context, input []byte) ([]byte, error)
}

// Public returns nothing: GitHub knows the key by the app.
func (appSigner) Public() *jose.JSONWebKey { return nil }

// Algs returns the only algorithm that GitHub takes.
func (appSigner) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.RS256} }

// SignPayload signs.
func (s appSigner) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return s.sign(s.ctx, payload)
}

// parseAppKey parses an RSA key, as GitHub makes it (PKCS#1) or converted
// (PKCS#8). The errors hold nothing of the key.
func parseAppKey(data []byte) (*rsa.PrivateKey, error) {
	data, err := text.Decode(data)
	block, _ := pem.Decode(text.PEM(data))
	switch {
	case err != nil:
		return nil, err
	case block == nil:
		return nil, errors.New("it is not a PEM (-----BEGIN RSA PRIVATE KEY-----)")
	case block.Headers["DEK-Info"] != "":
		return nil, errors.New("it is encrypted")
	case block.Type != "RSA PRIVATE KEY" && block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("it is a %q and not an RSA private key", block.Type)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	pkcs8, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	private, ok := pkcs8.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is not an RSA key, and GitHub accepts no other")
	}
	return private, nil
}
