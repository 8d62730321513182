package web

import (
	"net/netip"
	"net/url"
	"strings"

	"reconciler/internal/text"
)

// Origin is scheme, host and port of a URL: what a credential is for. Two of
// them are the same origin if they are equal. Case, a port that is the
// scheme's own and the dot at the end of a full host name make no difference.
type Origin struct {
	scheme, host, port string
}

// OriginOf returns the origin of u; that of nil, or of a URL without a host, has
// no host either and so is nowhere.
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

// Has reports whether u is of this origin. Nothing is of the origin nowhere.
func (o Origin) Has(u *url.URL) bool { return o.host != "" && OriginOf(u) == o }

// String returns the origin as a URL, or "nowhere". It is fit for an error: path
// and query, where something secret may be, are not in it.
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

// IsLoopback reports whether host, as a URL names it, is this machine and no
// other: localhost, or an address of the loopback interface, in brackets or not.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}
