package source

import (
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// environmentProxy is http.ProxyFromEnvironment, but for a proxy that can't be
// understood. That one takes it for none, and the request would go past a proxy
// that somebody wanted it to go through. The error is an *Error; it doesn't quote
// what may hold a password.
func environmentProxy(req *http.Request) (*url.URL, error) {
	if name := unusableProxy(httpproxy.FromEnvironment(), req.URL); name != "" {
		return nil, &Error{
			kind: ErrUnreachable,
			msg:  name + " is not the URL of a proxy",
			hint: "write it as in http://USER:PASSWORD@HOST:PORT, special characters as %XX; NO_PROXY names hosts that need no proxy",
		}
	}
	return http.ProxyFromEnvironment(req)
}

// unusableProxy gives the variable with the proxy that a request to this URL
// should go through, if it can't be understood; else "".
func unusableProxy(c *httpproxy.Config, to *url.URL) string {
	name, proxy := "HTTPS_PROXY", c.HTTPSProxy
	if to.Scheme == "http" {
		name, proxy = "HTTP_PROXY", c.HTTPProxy
	}
	const good = "http://proxy.example"
	wanted := proxied(&httpproxy.Config{HTTPProxy: good, HTTPSProxy: good, NoProxy: c.NoProxy}, to)
	if proxy == "" || !wanted || proxied(&httpproxy.Config{HTTPProxy: proxy, HTTPSProxy: proxy}, to) {
		return ""
	}
	return name
}

func proxied(c *httpproxy.Config, to *url.URL) bool {
	proxy, err := c.ProxyFunc()(to)
	return proxy != nil && err == nil
}
