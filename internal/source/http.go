package source

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// newHTTPTransport gives connections of our own, rather than the process's, so
// that they can be closed when a fetch is done. It honours the usual proxy
// variables.
func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// connectHTTP starts a conversation over http or https; nothing is sent yet.
// go-git's transport follows redirects of the first request only, never from
// https to http, and takes the credentials off when they lead to another host.
func (g *Git) connectHTTP(ctx context.Context) (session, error) {
	auth, err := g.basicAuth(ctx)
	if err != nil {
		return nil, err
	}
	ep := g.ep
	g.now = &ep
	client := githttp.NewClient(&http.Client{Transport: &cappedTripper{g.http, g.limits.pack}})
	s, err := client.NewUploadPackSession(&ep, auth)
	if err != nil {
		return nil, g.explain(err)
	}
	return s, nil
}

// basicAuth gives nil without a password; an untyped nil, because go-git asks
// whether the interface is.
func (g *Git) basicAuth(ctx context.Context) (transport.AuthMethod, error) {
	password, err := g.password(ctx)
	if password == "" || err != nil {
		return nil, err
	}
	return &githttp.BasicAuth{Username: g.user(), Password: password}, nil
}

func (g *Git) user() string { return cmp.Or(g.opts.Auth.Username, g.ep.User, "git") }

// password gives the password or token, or "" when there is none to give.
func (g *Git) password(ctx context.Context) (string, error) {
	if g.opts.Auth.Password == nil {
		return "", nil
	}
	p, err := g.opts.Auth.Password(ctx)
	if err != nil {
		return "", g.fail(ErrDenied, hintOf(err), "getting the password: %s", oneLine(err.Error()))
	}
	if p == "" {
		return "", g.fail(ErrDenied, "is the file of git.auth.passwordFile written yet?", "the password is empty")
	}
	g.keepSecret(g.user(), p)
	return p, nil
}

// cappedTripper bounds what is read of answers: all of them by limit bytes,
// and what a server says about an error by far less.
type cappedTripper struct {
	next  http.RoundTripper
	limit int64
}

func (c *cappedTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body := resp.Body
	if resp.StatusCode >= 300 {
		resp.Body = cappedBody{io.LimitReader(body, 8<<10), body}
	} else {
		resp.Body = cappedBody{&capped{body, c.limit}, body}
	}
	return resp, nil
}

type cappedBody struct {
	io.Reader
	io.Closer
}
