package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"reconciler/internal/text"
)

// Default is http.DefaultTransport, but for proxies: see [EnvironmentProxy].
var Default http.RoundTripper = newDefault()

func newDefault() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.GetProxyConnectHeader, t.OnProxyConnectResponse = EnvironmentProxy, ProxyHeader, CheckProxy
	return t
}

// Transport returns what carries requests to servers that the certificates in
// caFile vouch for, besides the system's. The file is read anew for each
// request, and no connection outlives its answer, so there is nothing to close.
// Without a file it is [Default].
func Transport(caFile string) http.RoundTripper {
	if caFile == "" {
		return Default
	}
	return caTransport(caFile)
}

type caTransport string

func (file caTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	conns, err := file.conns()
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	return conns.RoundTrip(req)
}

// conns returns connections for one request.
func (file caTransport) conns() (*http.Transport, error) {
	roots, err := CertPool(string(file))
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  EnvironmentProxy,
		GetProxyConnectHeader:  ProxyHeader,
		OnProxyConnectResponse: CheckProxy,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		DisableKeepAlives:      true,
	}, nil
}

// CertPool returns the system's certificates and those in a file in PEM; nil,
// which stands for the system's, without a file. Unlike AppendCertsFromPEM, it
// skips nothing but what stands between the certificates: one that was cut off
// would otherwise show as a server that can't be trusted.
func CertPool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("the file of certificates can't be read: %w", err), "is the path right, and may the user that runs this program read it?")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	data, err = text.Decode(data)
	if err == nil {
		err = addCertificates(pool, text.PEM(data))
	}
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("the file of certificates %q can't be used: %w", file, err),
			`it takes certificates in PEM, each from "-----BEGIN CERTIFICATE-----" to its end; "openssl x509 -inform der -in FILE" makes that of another form`)
	}
	return pool, nil
}

func addCertificates(pool *x509.CertPool, data []byte) error {
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		n++
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("block %d is no certificate: %s", n, text.OneLine(strings.TrimPrefix(err.Error(), "x509: "), math.MaxInt))
		}
		pool.AddCert(c)
	}
	switch {
	case bytes.Count(data, []byte("-----BEGIN ")) > n:
		return errors.New("a certificate in it is cut off or damaged")
	case n == 0:
		return errors.New("there is no certificate in it")
	}
	return nil
}

// ProxyHint is how the environment names a proxy.
const ProxyHint = "HTTPS_PROXY is written as in http://USER:PASSWORD@HOST:PORT, special characters as %XX; NO_PROXY names hosts that need no proxy"

// EnvironmentProxy is http.ProxyFromEnvironment, but for a proxy that can't be
// understood. That one is ignored there, and the request would go past a proxy
// that somebody wanted it to go through. The error doesn't quote what may hold a
// password.
func EnvironmentProxy(req *http.Request) (*url.URL, error) {
	c := httpproxy.FromEnvironment()
	name, set := "HTTPS_PROXY", &c.HTTPSProxy
	if req.URL.Scheme == "http" {
		name, set = "HTTP_PROXY", &c.HTTPProxy
	}
	if *set != "" && !isProxy(*set) {
		*set = "http://proxy.example"
		if wanted, err := c.ProxyFunc()(req.URL); wanted != nil && err == nil { // not left out by NO_PROXY
			return nil, text.WithHint(&ProxyError{name + " is not the URL of a proxy"}, ProxyHint)
		}
	}
	return http.ProxyFromEnvironment(req)
}

// ProxyError is the error for a proxy that the environment names wrongly, or that
// refuses us. Nothing was sent, and another try would fail like that.
type ProxyError struct{ msg string }

func (e *ProxyError) Error() string { return e.msg }

// ProxyHeader is for http.Transport.GetProxyConnectHeader: a proxy's log has the same
// [UserAgent] as the server's. Without it, it is that of package http.
func ProxyHeader(ctx context.Context, _ *url.URL, _ string) (http.Header, error) {
	return http.Header{"User-Agent": {UserAgent(ctx)}}, nil
}

// CheckProxy is for http.Transport.OnProxyConnectResponse: it returns an error for a
// proxy that doesn't connect us, with its answer.
func CheckProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	msg := fmt.Sprintf("the proxy answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch {
	case resp.StatusCode == http.StatusOK:
		return nil
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
		return text.WithHint(&ProxyError{msg}, ProxyHint)
	default:
		return text.WithHint(errors.New(msg), ProxyHint)
	}
}

// isProxy reports whether raw is the URL of a proxy, or HOST:PORT for http.
// Package httpproxy takes what is no URL for the rest of one: of
// "http://us er@proxy:1", "http" would be the host.
func isProxy(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		u, err = url.Parse("http://" + raw)
		if strings.Contains(raw, "://") {
			return false
		}
	}
	return err == nil && u.Hostname() != "" && (u.Path == "" || u.Path == "/") &&
		slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}
