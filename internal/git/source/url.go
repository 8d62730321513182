package source

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"reconciler/internal/web"
)

// parseURL reads the URL of a repository in all the forms that git itself takes:
// https, ssh, user@host:path, file, or a path on disk. A URL with credentials in
// it is refused, without being repeated, because URLs end up in logs.
func parseURL(raw string, names Names) (*transport.Endpoint, error) {
	const forms = "as in https://HOST/PATH.git, ssh://git@HOST/PATH.git, git@HOST:PATH.git, file:///PATH or a path on disk"
	ep, err := transport.NewEndpoint(raw)
	if raw == "" || err != nil || strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		// The error of net/url repeats the URL, which may hold a password.
		return nil, fail("git: the URL is missing or can't be read", forms)
	}
	if ep.Password != "" || ep.User != "" && strings.HasPrefix(ep.Protocol, "http") {
		return nil, fail("git: the URL holds credentials",
			fmt.Sprintf("take them out, and give them as %s and %s: URLs are shown and logged", names.Username, names.Password))
	}
	problem := ""
	switch ep.Protocol {
	case "file":
		// file://path/to/repo reads "path" as a host.
		if ep.Host == "" || ep.Host == "localhost" {
			return ep, nil
		}
		problem = "a file URL can't name another host"
	case "http":
		if !web.IsLoopback(ep.Host) {
			problem = "plain http is for this machine only"
		}
	case "https", "ssh":
	default: // git:// neither encrypts nor proves who answers
		problem = fmt.Sprintf("the scheme %q is not supported", ep.Protocol)
	}
	if problem == "" && (ep.Host == "" || ep.Path == "" || ep.Path == "/") {
		problem = "the URL lacks a host or a path"
	}
	if problem != "" {
		return nil, fail(fmt.Sprintf("git %q: %s", raw, problem), forms)
	}
	return ep, nil
}

// secretForms returns the ways in which a secret may turn up in someone else's
// error: as it is, and escaped for a URL.
func secretForms(secret string) []string {
	user := url.UserPassword("", secret).String()
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.TrimPrefix(user, ":")}
}
