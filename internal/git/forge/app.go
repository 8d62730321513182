package forge

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"reconciler/internal/text"
)

const (
	// The life of the assertion that a token is asked for with. It begins in
	// the past, for clocks that are behind ours; GitHub takes at most 10
	// minutes to the end of it.
	// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
	assertionBackdate = time.Minute
	assertionLife     = 9 * time.Minute
	// tokenMargin is how long before its end a token is no longer handed out.
	tokenMargin = 5 * time.Minute
)

// AppOptions is what it takes to act as an installation of a GitHub App.
type AppOptions struct {
	// URL is the root of the REST API; empty means https://api.github.com.
	URL string
	// AppID is the app's id, or its client id. InstallationID is the number at
	// the end of the installation's address.
	AppID, InstallationID string
	// Key gives the app's private key, a PEM. It is asked anew for each token,
	// so that a key can be replaced while the program runs.
	Key func() ([]byte, error)
	// HTTP sends the requests; http.DefaultTransport if nil.
	HTTP http.RoundTripper
	// UserAgent says who asks; "reconciler" if empty.
	UserAgent string
	// Now tells the time; time.Now if nil.
	Now func() time.Time
	// Logger is as in Options.
	Logger *slog.Logger
}

// AppToken gives a function that gives tokens of an installation of a GitHub
// App, for Options.Token and for git over HTTPS with the user
// x-access-token. A token lasts an hour; the same is given until five minutes
// before its end. The function may be called from many goroutines, of which one
// asks GitHub while the others wait for it. Nothing is sent before it is called.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app
func AppToken(opts AppOptions) (func(context.Context) (string, error), error) {
	c := &caller{transport: opts.HTTP, userAgent: opts.UserAgent, log: opts.Logger}
	if err := c.github(opts.URL); err != nil {
		return nil, err
	}
	switch {
	case opts.AppID == "":
		return nil, errors.New("a GitHub App needs its id")
	case opts.InstallationID == "" || strings.Trim(opts.InstallationID, "0123456789") != "":
		return nil, fmt.Errorf("the installation of a GitHub App is a number, not %q", opts.InstallationID)
	case opts.Key == nil:
		return nil, errors.New("a GitHub App needs its private key")
	}
	c.defaults()
	a := &app{caller: c, opts: opts, busy: make(chan struct{}, 1)}
	if a.opts.Now == nil {
		a.opts.Now = time.Now
	}
	c.authorize = bearer(a.assertion)
	return a.token, nil
}

type app struct {
	*caller
	opts AppOptions
	busy chan struct{} // holds one while somebody looks at what follows

	last    string
	expires time.Time
}

func (a *app) token(ctx context.Context) (string, error) {
	select {
	case a.busy <- struct{}{}:
		defer func() { <-a.busy }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if a.last != "" && a.opts.Now().Before(a.expires.Add(-tokenMargin)) {
		return a.last, nil
	}
	var answer struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	// A repetition makes another token, and the first one ends by itself.
	_, err := a.do(ctx, request{
		what: aboutApp, method: http.MethodPost, url: a.path("app", "installations", a.opts.InstallationID, "access_tokens"),
	}, &answer)
	if err != nil {
		return "", fmt.Errorf("getting a token for the GitHub App: %w", err)
	}
	if answer.Token == "" {
		return "", errors.New("getting a token for the GitHub App: GitHub: the answer for the installation has none")
	}
	a.last, a.expires = answer.Token, answer.Expires
	return a.last, nil
}

// assertion gives what proves that we are the app.
func (a *app) assertion(context.Context) (string, error) {
	data, err := a.opts.Key()
	if err != nil {
		return "", fmt.Errorf("its private key: %w", err)
	}
	key, err := parseAppKey(data)
	if err != nil {
		return "", text.WithHint(fmt.Errorf("its private key: %w", err), "make one in the app's settings; GitHub gives it as a PEM")
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

// parseAppKey reads an RSA key, as GitHub makes it (PKCS#1) or converted
// (PKCS#8). The errors say nothing of what it is made of.
func parseAppKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(bytes.TrimSpace(data))
	if block == nil {
		return nil, errors.New("it is not a PEM (-----BEGIN RSA PRIVATE KEY-----)")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("it is encrypted")
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it is a %q and not an RSA private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("it is damaged")
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is not an RSA key, and GitHub takes no other")
	}
	return private, nil
}
