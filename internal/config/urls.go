package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"reconciler/internal/web"
)

// webURL returns the URL of an org or of the Aerial API: https and a host, nothing
// else; nil for none.
func (r *resolver) webURL(v *at[string]) *url.URL {
	u := r.serverURL("https://acme.okta.com", v)
	switch {
	case u == nil:
	case u.Path != "" && u.Path != "/":
		r.fail(v, "must end with the host, without the path %q", u.Path)
	case isAdmin(u.Hostname()):
		r.fail(v, "is the Admin Console's: leave out -admin in %q", v.V)
	default:
		return &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	return nil
}

// apiURL returns the base URL of an API, without a slash at its end; "" for none.
func (r *resolver) apiURL(v *at[string]) string {
	u := r.serverURL("https://api.github.com", v)
	if u == nil {
		return ""
	}
	return strings.TrimRight(u.String(), "/")
}

// serverURL returns the URL of a server that gets secrets: https, a host in lower
// case, perhaps a path; nil for none. Errors don't repeat a URL that may contain
// a password.
func (r *resolver) serverURL(example string, v *at[string]) *url.URL {
	if !v.OK() {
		return nil
	}
	return r.serverURLAs(example, v, v.V)
}

// serverURLAs is serverURL for a value that stands for the URL raw.
func (r *resolver) serverURLAs(example string, v *at[string], raw string) *url.URL {
	u, err := url.Parse(raw)
	switch {
	case v.V == "":
		r.fail(v, "is empty: give it a URL, or remove the key")
	case strings.Contains(v.V, "@"):
		r.fail(v, "must not contain a user or a password")
	case err != nil:
		r.fail(v, "is not a URL: write it as in %s", example)
	case u.Scheme == "" || u.Opaque != "":
		r.fail(v, "must begin with https://, as in %s, not %q", example, v.V)
	case u.Scheme != "https" && u.Scheme != "http":
		r.fail(v, "must be an https URL, not %q", v.V)
	case u.Hostname() == "":
		r.fail(v, "has no host: %q", v.V)
	case u.Scheme == "http" && !web.IsLoopback(u.Hostname()):
		r.fail(v, "must be an https URL (http is for this machine only), not %q", v.V)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(v.V, "#"):
		r.fail(v, "must not have a query or a fragment")
	default:
		u.Host = strings.ToLower(u.Host)
		return u
	}
	return nil
}

// pageURL returns the URL of a page that is linked to; "" for none.
func (r *resolver) pageURL(v *at[string]) string {
	text := r.word(v)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		r.fail(v, "must be a link, as in https://reconciler.acme.example/")
	case u.User != nil:
		r.fail(v, "must not contain a user or a password")
	default:
		return text
	}
	return ""
}

// OktaDomain returns the domain of the org that a URL addresses, in lower case;
// "" if it can't be told from the URL, because u is nil, or its host is a custom
// domain or this machine. An org also answers under its custom domain, but
// manifests and the Aerial API call it by this one.
func OktaDomain(u *url.URL) string {
	if u == nil || !isOkta(u.Hostname()) {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// oktaDomain matches the domain of an org at Okta.
var oktaDomain = regexp.MustCompile(`^[a-z0-9-]+\.(okta|oktapreview|okta-emea)\.com$`)

func isOkta(host string) bool { return oktaDomain.MatchString(strings.ToLower(host)) }

func isAdmin(host string) bool {
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	return isOkta(host) && strings.HasSuffix(name, "-admin")
}

// gitScheme returns how git reaches a repository: the scheme of a URL, "ssh" for
// user@host:path, or "" for a path on disk.
func gitScheme(raw string) string {
	if scheme, _, ok := strings.Cut(raw, "://"); ok {
		return strings.ToLower(scheme)
	}
	// To git it is a host if a colon comes before any slash.
	host, _, ok := strings.Cut(raw, ":")
	if !ok || strings.ContainsAny(host, `/\`) || filepath.VolumeName(raw) != "" {
		return ""
	}
	return "ssh"
}

// gitURL returns the URL of a repository, a path on disk so that it can be opened
// as it is; "" after an error.
func (r *resolver) gitURL(v *at[string]) string {
	switch {
	case !v.OK():
		return ""
	case v.V == "":
		r.fail(v, "is empty")
		return ""
	case strings.ContainsFunc(v.V, unicode.IsControl):
		r.fail(v, "contains control characters")
		return ""
	}
	scheme := gitScheme(v.V)
	problem := ""
	switch {
	case scheme == "":
		path := r.path(v)
		if !filepath.IsAbs(path) && strings.Contains(path, ":") {
			path = "./" + path // to git, it could be a host that is before the colon
		}
		return path
	case strings.Contains(v.V, "://"):
		problem = checkGitURL(v.V, scheme)
	default:
		problem = checkHostPath(v.V)
	}
	if problem != "" {
		r.fail(v, "%s", problem)
		return ""
	}
	return v.V
}

// checkHostPath returns what is wrong with a repository of the form
// user@host:path, or "".
func checkHostPath(raw string) string {
	before, after, _ := strings.Cut(raw, ":")
	ep, err := transport.NewEndpoint(raw)
	switch {
	case !strings.Contains(before, "@") && strings.Contains(after, "@"):
		return "must not contain a password" // user:password@host:path
	case err != nil || ep.Protocol != "ssh" || strings.Contains(ep.Host, "@") || strings.Trim(ep.Path, "/") == "":
		return "lacks a host or a path: write it as in git@git.example:okta-orgs.git"
	}
	return ""
}

// checkGitURL returns what is wrong with the URL of a repository, or "".
func checkGitURL(raw, scheme string) string {
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsFunc(raw, unicode.IsSpace) {
		return "is not a URL: write it as in https://git.example/okta-orgs.git"
	}
	_, password := u.User.Password()
	switch {
	case password, u.User != nil && scheme != "ssh":
		return `must not contain a user or a password: use "git.auth.username" and "git.auth.passwordFile"`
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return "must not have a query or a fragment"
	case scheme == "file" && u.Host != "" && u.Host != "localhost":
		return fmt.Sprintf("names the host %q: a file URL has three slashes, as in file:///srv/okta-orgs.git", u.Host)
	case scheme == "file":
	case scheme == "http" && !web.IsLoopback(u.Hostname()):
		return fmt.Sprintf("must be an https URL (http is for this machine only), not %q", raw)
	case scheme != "https" && scheme != "ssh" && scheme != "http":
		return fmt.Sprintf("must be https, ssh, user@host:path, file or a path on disk, not %q", raw)
	case u.Hostname() == "" || strings.Trim(u.Path, "/") == "":
		return "lacks a host or a path: write it as in https://git.example/okta-orgs.git"
	}
	return ""
}
