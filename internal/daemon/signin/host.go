package signin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/web"
)

// hosts are the names under which the endpoints may be asked for. A page of another site
// can let its own name resolve to this machine (DNS rebinding) and read what the daemon
// answers, but it can't choose the Host header.
type hosts struct {
	// local reports whether the endpoints are served on loopback alone.
	local bool
	names []string
}

func newHosts(h *config.HTTP) *hosts {
	allowed := &hosts{local: h.OnLoopback()}
	if host, _, err := net.SplitHostPort(h.Address); err == nil && host != "" {
		allowed.names = append(allowed.names, host)
	}
	if h.URL != nil {
		allowed.names = append(allowed.names, h.URL.Hostname())
	}
	return allowed
}

// hostOf returns the host that a request is for, without port and brackets.
func hostOf(r *http.Request) string { return (&url.URL{Host: r.Host}).Hostname() }

// fromLoopback reports whether a request is for this machine by a name of its own. One
// without a host is HTTP/1.0, which browsers don't send.
func fromLoopback(r *http.Request) bool { return r.Host == "" || web.IsLoopback(hostOf(r)) }

// forwarded reports whether a proxy says that it passes a request on for somebody else.
// Nothing more is believed of such headers: anybody can send them.
func forwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"},
		func(name string) bool { return len(r.Header.Values(name)) > 0 })
}

// allow reports whether a request may be answered. Off loopback an address is as good as
// a name, because nobody else can let it lead here: monitoring asks for those.
func (h *hosts) allow(r *http.Request) bool {
	if fromLoopback(r) {
		return true
	}
	host := hostOf(r)
	for _, name := range h.names {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	_, err := netip.ParseAddr(host)
	return err == nil && !h.local
}

// refusal returns why a request isn't answered, and what to do.
func (h *hosts) refusal() (problem, hint string) {
	if h.local {
		return "this daemon listens on loopback and serves localhost only",
			"ask for it by localhost, or set " + config.KeyHTTPURL + " to the URL of the proxy in front of it"
	}
	return "this daemon is not reached under this name", "set " + config.KeyHTTPURL + " to the URL under which it is"
}
