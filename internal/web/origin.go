package web

import (
	"net/netip"
	"net/url"
	"strings"

	"reconciler/internal/text"
)

// Origin is scheme, host and port of a URL. A credential must only be sent to
// its own origin. Origins are comparable with ==: they ignore case, the scheme's
// default port and a dot at the end of the host.
type Origin struct {
	scheme, host, port string
}

// OriginOf returns the origin of u. For nil, and for a URL without a host, it is
// the zero Origin.
func OriginOf(u *url.URL) Origin {
	if u == nil || u.Hostname() == "" {
		return Origin{}
	}
	o := Origin{
		scheme: strings.ToLower(u.Scheme),
		host:   strings.TrimSuffix(strings.ToLower(u.Hostname()), "."),
		port:   u.Port(),
	}
	switch {
	case o.scheme == "https" && o.port == "443", o.scheme == "http" && o.port == "80":
		o.port = ""
	}
	return o
}

// Has reports whether u is of this origin. The zero Origin has none.
func (o Origin) Has(u *url.URL) bool { return o.host != "" && OriginOf(u) == o }

// String returns the origin as a URL, or "nowhere" for the zero Origin. Unlike
// the URL, it contains no secret, and can be part of an error.
func (o Origin) String() string {
	if o.host == "" {
		return "nowhere"
	}
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port != "" {
		host += ":" + o.port
	}
	return text.Clean(o.scheme + "://" + host)
}

// IsLoopback reports whether host, as in a URL, is localhost or a loopback
// address, in brackets or not.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
