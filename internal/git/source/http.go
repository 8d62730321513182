package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// connectHTTP starts a conversation over http or https; nothing is sent yet.
// go-git's transport follows redirects of the first request only, never from
// https to http, and takes the credentials off when they lead to another host.
func (g *Git) connectHTTP(ctx context.Context) (session, error) {
	password, err := g.secret(ctx, g.opts.Auth.Password, "password", g.opts.Names.Password)
	if err != nil {
		return nil, err
	}
	g.password = password
	var auth transport.AuthMethod // nil without a password: go-git looks at the interface
	if password != "" {
		auth = &githttp.BasicAuth{Username: g.user(password), Password: password}
	}
	roots, err := web.CertPool(g.opts.Auth.CAFile)
	if err != nil {
		return nil, g.fail(ErrDenied, text.Hint(err), "%v", err)
	}
	ep := g.ep // a redirect changes it
	conns := g.newHTTPTransport(roots)
	m := &meter{limits: g.limits}
	client := githttp.NewClient(&http.Client{Transport: &checkedTransport{conns, m}})
	s, err := client.NewUploadPackSession(&ep, auth)
	if err != nil {
		return nil, g.explain(err)
	}
	return &httpSession{s, conns, m}, nil
}

// httpSession is go-git's, with connections of its own, and bounded.
type httpSession struct {
	session
	conns *http.Transport
	meter *meter
}

// AdvertisedReferencesContext asks for the list of refs.
func (s *httpSession) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	s.meter.listOfRefs()
	adv, err := s.session.AdvertisedReferencesContext(ctx)
	return adv, s.meter.cause(err)
}

// UploadPack asks for objects.
func (s *httpSession) UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	s.meter.answer()
	resp, err := s.session.UploadPack(ctx, req)
	if err != nil {
		return nil, s.meter.cause(err)
	}
	s.meter.objects()
	return resp, nil
}

// Close ends the conversation and its connections.
func (s *httpSession) Close() error {
	s.conns.CloseIdleConnections()
	return s.session.Close()
}

// newHTTPTransport returns connections of our own, rather than the process's, so
// that they can be closed when a conversation is over.
func (g *Git) newHTTPTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                 g.proxyFor,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ForceAttemptHTTP2:     true,
		GetProxyConnectHeader: web.ProxyHeader,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &refusal{status: resp.StatusCode, header: resp.Header, byProxy: true}
			}
			return nil
		},
	}
}

// proxyFor returns the proxy for a request, or nil. Its password is kept out of
// errors, like any other.
func (g *Git) proxyFor(req *http.Request) (*url.URL, error) {
	proxy, err := g.proxy(req)
	switch {
	case err != nil:
		return nil, g.fail(ErrUnreachable, text.Hint(err), "%v", err)
	case proxy == nil:
		return nil, nil
	}
	if password, ok := proxy.User.Password(); ok {
		g.keepSecret(proxy.User.Username(), password)
	}
	return proxy, nil
}

// user returns the name to sign in with, beside a password or "".
func (g *Git) user(password string) string {
	fallback := "git"
	if strings.HasPrefix(password, appToken) {
		fallback = "x-access-token"
	}
	return cmp.Or(g.opts.Auth.Username, g.ep.User, fallback)
}

// appToken is how the tokens of GitHub's app installations begin. The user
// beside them is x-access-token:
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation
const appToken = "ghs_"

// secret reads a secret of the options, or "" when there is none, and keeps it
// out of errors from then on.
func (g *Git) secret(ctx context.Context, read func(context.Context) (string, error), what, setting string) (string, error) {
	if read == nil {
		return "", nil
	}
	s, err := read(ctx)
	if err != nil {
		return "", g.fail(ErrDenied, cmp.Or(text.Hint(err), "the user that runs this program has to be able to read "+setting),
			"getting the %s: %s", what, oneLine(err.Error()))
	}
	if s == "" {
		return "", g.fail(ErrDenied, fmt.Sprintf("is the file of %s written yet?", setting), "the %s is empty", what)
	}
	g.keepSecret(g.user(s), s)
	return s, nil
}

// refusal is an answer that is not what was asked for. It is an error already
// of the round trip, because go-git drops the headers, and with them what the
// server wants.
type refusal struct {
	status  int
	at      *url.URL // where a redirect may have led
	header  http.Header
	said    string // ": " and the server's words, if they are words
	byProxy bool   // on the way to the server
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%d %s", e.status, http.StatusText(e.status))
}

// checkedTransport names this program, before go-git, as the User-Agent, makes
// errors of refusals, and bounds what is read: an answer by the meter, and what a
// server says about an error by far less.
type checkedTransport struct {
	next  http.RoundTripper
	meter *meter
}

// maxSaid is how much is read of what a server says about an error.
const maxSaid = 8 << 10

func (t *checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", strings.TrimSpace(web.UserAgent(req.Context())+" "+req.Header.Get("User-Agent")))
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		return nil, &refusal{status: resp.StatusCode, at: req.URL, header: resp.Header, said: said(resp.Body)}
	}
	body := t.meter.reader(resp.Body)
	if resp.StatusCode >= 300 {
		body = io.LimitReader(resp.Body, maxSaid)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	return resp, nil
}

// query matches what stands behind the question mark of a URL. What a server
// puts there may be a credential.
var query = regexp.MustCompile(`(https?://[^\s?#]*)[?#]\S*`)

// said returns a colon and what a server says about an error, unless it is a
// page.
func said(body io.Reader) string {
	data, err := io.ReadAll(io.LimitReader(body, maxSaid))
	if err != nil || bytes.Contains(data, []byte("<")) {
		return ""
	}
	if s := oneLine(query.ReplaceAllString(string(data), "$1")); s != "" {
		return ": " + s
	}
	return ""
}
