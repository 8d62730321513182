package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"reconciler/internal/text"
)

// connectHTTP starts a conversation over http or https; nothing is sent yet.
// go-git's transport follows redirects of the first request only, never from
// https to http, and takes the credentials off when they lead to another host.
func (g *Git) connectHTTP(ctx context.Context) (session, error) {
	auth, err := g.basicAuth(ctx)
	if err != nil {
		return nil, err
	}
	roots, err := g.roots()
	if err != nil {
		return nil, err
	}
	ep := g.ep // a redirect changes it
	conns := g.newHTTPTransport(roots)
	client := githttp.NewClient(&http.Client{Transport: &tripper{conns, g.limits.pack}})
	s, err := client.NewUploadPackSession(&ep, auth)
	if err != nil {
		return nil, g.explain(err)
	}
	return &httpSession{s, conns}, nil
}

// httpSession is go-git's, with connections of its own.
type httpSession struct {
	session
	conns *http.Transport
}

// Close ends the conversation and its connections.
func (s *httpSession) Close() error {
	s.conns.CloseIdleConnections()
	return s.session.Close()
}

// newHTTPTransport gives connections of our own, rather than the process's, so
// that they can be closed when a conversation is over. Without roots, the
// system's count.
func (g *Git) newHTTPTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:               g.proxyFor,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &refusal{status: resp.StatusCode, header: resp.Header, byProxy: true}
			}
			return nil
		},
	}
}

// proxyFor is the proxy for a request, or nil. Its password is kept out of
// errors, like any other.
func (g *Git) proxyFor(req *http.Request) (*url.URL, error) {
	proxy, err := g.proxy(req)
	var e *Error
	if errors.As(err, &e) {
		return nil, g.fail(e.kind, e.hint, "%s", e.msg)
	}
	if proxy == nil || err != nil {
		return nil, err
	}
	g.via = proxy.Host
	if password, ok := proxy.User.Password(); ok {
		g.keepSecret(proxy.User.Username(), password)
	}
	return proxy, nil
}

// roots gives the certificates to trust: nil for the system's, or these and
// the ones in the file of the options.
func (g *Git) roots() (*x509.CertPool, error) {
	file := g.opts.Auth.CAFile
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, g.unreadable("the file of certificates", file, err)
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, g.fail(ErrDenied,
			`git.auth.caFile takes certificates in PEM, each from "-----BEGIN CERTIFICATE-----" to its end; "openssl x509 -inform der -in FILE" makes that of another form`,
			"the file of certificates %q can't be used: %v", file, err)
	}
	return poolWith(certs), nil
}

// poolWith gives the certificates to trust: the system's and these.
func poolWith(certs []*x509.Certificate) *x509.CertPool {
	// Without roots of the system's, those of the file are better than none.
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// Transport is for other services of a git server, such as its API: it trusts
// the certificates in caFile besides the system's, as Auth.CAFile has it. The
// file is read anew for each request, and no connection outlives its answer, so
// there is nothing to close. Without a file it is http.DefaultTransport.
func Transport(caFile string) http.RoundTripper {
	if caFile == "" {
		return http.DefaultTransport
	}
	return trusting(caFile)
}

// trusting is the name of a file of certificates.
type trusting string

func (file trusting) RoundTrip(req *http.Request) (*http.Response, error) {
	certs, err := file.certificates()
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	conns := &http.Transport{
		Proxy:               environmentProxy,
		TLSClientConfig:     &tls.Config{RootCAs: poolWith(certs), MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		DisableKeepAlives:   true,
	}
	return conns.RoundTrip(req)
}

func (file trusting) certificates() ([]*x509.Certificate, error) {
	data, err := os.ReadFile(string(file))
	if err != nil {
		return nil, fmt.Errorf("git.auth.caFile: %w", err)
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("git.auth.caFile %q can't be used: %w", string(file), err)
	}
	return certs, nil
}

// parseCertificates reads a bundle. Unlike CertPool.AppendCertsFromPEM, it
// passes over nothing but what stands between the certificates: one that was
// cut off would otherwise show as a server that can't be trusted.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for n := 1; ; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %q", oneLine(strings.ToLower(block.Type)))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %s", n, oneLine(strings.TrimPrefix(err.Error(), "x509: ")))
		}
		certs = append(certs, c)
		data = rest
	}
	switch {
	case begun > len(certs):
		return nil, errors.New("a certificate in it is cut off or damaged")
	case len(certs) == 0:
		return nil, errors.New("there is no certificate in it")
	}
	return certs, nil
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

func (g *Git) user() string {
	fallback := "git"
	if g.app {
		fallback = "x-access-token"
	}
	return cmp.Or(g.opts.Auth.Username, g.ep.User, fallback)
}

// appToken is how the tokens of GitHub's app installations begin. The user
// beside them is x-access-token:
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation
const appToken = "ghs_"

// cantGet is the advice when a secret is not to be had, unless there is a better
// one.
const cantGet = "the user that runs this program has to be able to read what git.auth names"

// password gives the password or token, or "" when there is none to give.
func (g *Git) password(ctx context.Context) (string, error) {
	if g.opts.Auth.Password == nil {
		return "", nil
	}
	p, err := g.opts.Auth.Password(ctx)
	if err != nil {
		return "", g.fail(ErrDenied, cmp.Or(text.Hint(err), cantGet), "%s", oneLine(err.Error()))
	}
	if p == "" {
		return "", g.fail(ErrDenied, "is the file of git.auth.passwordFile written yet?", "the password is empty")
	}
	g.app = strings.HasPrefix(p, appToken)
	g.keepSecret(g.user(), p)
	return p, nil
}

// refusal is an answer that is not what was asked for. It is an error already
// of the round trip, because go-git drops the headers, and with them what the
// server wants.
type refusal struct {
	status  int
	at      *url.URL // where a redirect may have led
	header  http.Header
	said    string // the server's words, if they are words
	byProxy bool   // in the way to the server
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%d %s", e.status, http.StatusText(e.status))
}

// Answers that have the status of success and are none.
var errDumb = errors.New("dumb protocol")

// webPage is an answer for people.
type webPage struct{ at *url.URL }

func (e *webPage) Error() string { return "a web page" }

// tripper tells refusals and odd answers from those that go-git is to read, and
// bounds what is read: all of an answer by limit bytes, and what a server says
// about an error by far less.
type tripper struct {
	next  http.RoundTripper
	limit int64
}

// maxWords is how much is read of what a server says about an error.
const maxWords = 8 << 10

func (t *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body := resp.Body
	if resp.StatusCode >= 400 {
		defer body.Close()
		return nil, &refusal{status: resp.StatusCode, at: req.URL, header: resp.Header, said: words(resp)}
	}
	if resp.StatusCode >= 300 {
		resp.Body = cappedBody{io.LimitReader(body, maxWords), body}
		return resp, nil
	}
	r := bufio.NewReader(&capped{body, t.limit})
	if err := odd(resp, r); err != nil {
		body.Close()
		return nil, err
	}
	resp.Body = cappedBody{r, body}
	return resp, nil
}

// odd gives an error for a page, and for the list of refs in the protocol of
// servers that merely hand out files: a hash, a tab and a name
// (https://git-scm.com/docs/gitprotocol-http).
func odd(resp *http.Response, r *bufio.Reader) error {
	const digits = 40
	start, _ := r.Peek(digits + 1) // what is wrong with the rest shows when it is read
	isHTML := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if isHTML || bytes.HasPrefix(bytes.TrimLeft(start, " \t\r\n\ufeff"), []byte("<")) {
		return &webPage{resp.Request.URL}
	}
	if len(start) > digits && start[digits] == '\t' {
		if _, err := hex.DecodeString(string(start[:digits])); err == nil {
			return errDumb
		}
	}
	return nil
}

// query matches what stands behind the question mark of a URL. What a server
// puts there may let in whoever has it.
var query = regexp.MustCompile(`(https?://[^\s?#]*)[?#]\S*`)

// words gives what a server says about an error, unless it is a page.
func words(resp *http.Response) string {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxWords))
	if err != nil || bytes.Contains(data, []byte("<")) {
		return ""
	}
	return oneLine(query.ReplaceAllString(string(data), "$1"))
}

type cappedBody struct {
	io.Reader
	io.Closer
}
