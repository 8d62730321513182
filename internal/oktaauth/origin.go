package oktaauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrOrigin is what an error wraps when a request would have carried a
// credential to another place than the one it is for. Nothing was sent.
var ErrOrigin = errors.New("refused to send a credential to another origin")

// origin is where a credential may go: scheme, host and port.
type origin struct {
	scheme, host, port string
}

func originOf(u *url.URL) origin {
	if u == nil {
		return origin{}
	}
	o := origin{
		scheme: strings.ToLower(u.Scheme),
		host:   strings.TrimSuffix(strings.ToLower(u.Hostname()), "."),
		port:   u.Port(),
	}
	if o.port == "" {
		switch o.scheme {
		case "https":
			o.port = "443"
		case "http":
			o.port = "80"
		}
	}
	return o
}

// check refuses u unless it is of this origin. The error names no more than
// the two origins: a path or a query may hold something secret.
func (o origin) check(u *url.URL) error {
	if o.host != "" && originOf(u) == o {
		return nil
	}
	return fmt.Errorf("%w: it is for %q, the request goes to %q", ErrOrigin, o.String(), originOf(u).String())
}

func (o origin) String() string {
	if o.host == "" {
		return "nowhere"
	}
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.scheme == "https" && o.port == "443" || o.scheme == "http" && o.port == "80" {
		return o.scheme + "://" + host
	}
	return o.scheme + "://" + host + ":" + o.port
}

// closeBody does what a RoundTripper owes to a request that it doesn't send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
