package source

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// parseURL reads git.url in all the forms that git itself takes: https, ssh,
// user@host:path, file, or a path on disk. A URL with credentials in it is
// refused, without being repeated, because URLs end up in logs.
func parseURL(raw string) (*transport.Endpoint, error) {
	if raw == "" {
		return nil, &Error{msg: "git: no URL"}
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, &Error{msg: "git: the URL holds control characters"}
	}
	ep, err := transport.NewEndpoint(raw)
	if err != nil {
		// The error of net/url repeats the URL, which may hold a password.
		return nil, &Error{msg: "git: the URL can't be read", hint: urlForms}
	}
	if ep.Password != "" || ep.User != "" && strings.HasPrefix(ep.Protocol, "http") {
		return nil, &Error{
			msg:  "git: the URL holds credentials",
			hint: "take them out, and give them as git.auth.username and git.auth.passwordFile: URLs are shown and logged",
		}
	}
	if err := checkScheme(raw, ep); err != nil {
		return nil, err
	}
	return ep, nil
}

const urlForms = "as in https://HOST/PATH.git, ssh://git@HOST/PATH.git, git@HOST:PATH.git, file:///PATH or a path on disk"

func checkScheme(raw string, ep *transport.Endpoint) error {
	switch ep.Protocol {
	case "file":
		// file://path/to/repo reads "path" as a host.
		if ep.Host != "" && ep.Host != "localhost" {
			return &Error{
				msg:  fmt.Sprintf("git %q: a file URL can't name another host", raw),
				hint: "a file URL has three slashes: file:///PATH",
			}
		}
		return nil
	case "http":
		if !loopback(ep.Host) {
			return &Error{
				msg:  fmt.Sprintf("git %q: plain http is for this machine only", raw),
				hint: "use https, or ssh",
			}
		}
	case "https", "ssh":
	case "git":
		return &Error{
			msg:  fmt.Sprintf("git %q: the git protocol neither encrypts nor proves who answers", raw),
			hint: "use https, or ssh",
		}
	default:
		return &Error{msg: fmt.Sprintf("git %q: the scheme %q is not supported", raw, ep.Protocol), hint: urlForms}
	}
	if ep.Host == "" || ep.Path == "" || ep.Path == "/" {
		return &Error{msg: fmt.Sprintf("git %q: the URL lacks a host or a path", raw), hint: urlForms}
	}
	return nil
}

func loopback(host string) bool {
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// secretForms gives the ways in which a secret may turn up in someone else's
// error: as it is, and escaped for a URL.
func secretForms(secret string) []string {
	user := url.UserPassword("", secret).String()
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.TrimPrefix(user, ":")}
}
