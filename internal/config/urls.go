package config

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"reconciler/internal/web"
)

// webURL returns the URL of an org or of the Aerial API: https and a host,
// nothing else. It gives nil for none.
func (r *resolver) webURL(key string, v *at[string]) *url.URL {
	u := r.serverURL(key, "https://acme.okta.com", v)
	switch {
	case u == nil:
	case u.Path != "" && u.Path != "/":
		r.errs.Add(v.Pos, "%q must end with the host, without the path %q", key, u.Path)
	case isAdmin(u.Hostname()):
		r.errs.Add(v.Pos, "%q is the Admin Console's: leave out -admin in %q", key, v.V)
	default:
		return &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	return nil
}

// apiURL returns the base of an API, without a slash at its end; "" for none.
func (r *resolver) apiURL(key string, v *at[string]) string {
	u := r.serverURL(key, "https://api.github.com", v)
	if u == nil {
		return ""
	}
	return strings.TrimRight(u.String(), "/")
}

// serverURL returns the URL of something that we send secrets to: https, a host
// in lower case, perhaps a path. It gives nil for none. A URL that may hold a
// password is not repeated in errors.
func (r *resolver) serverURL(key, example string, v *at[string]) *url.URL {
	if !v.OK() {
		return nil
	}
	fail := func(format string, args ...any) *url.URL {
		r.errs.Add(v.Pos, "%q "+format, append([]any{key}, args...)...)
		return nil
	}
	u, err := url.Parse(v.V)
	switch {
	case v.V == "":
		return fail("is empty: give it a URL, or remove the key")
	case strings.Contains(v.V, "@"):
		return fail("must not hold a user or a password")
	case err != nil:
		return fail("is no URL: write it as in %s", example)
	case u.Scheme == "" || u.Opaque != "":
		return fail("must begin with https://, as in %s, not %q", example, v.V)
	case u.Scheme != "https" && u.Scheme != "http":
		return fail("must be an https URL, not %q", v.V)
	case u.Hostname() == "":
		return fail("names no host: %q", v.V)
	case u.Scheme == "http" && !web.IsLoopback(u.Hostname()):
		return fail("must be an https URL (http is for this machine only), not %q", v.V)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(v.V, "#"):
		return fail("must not have a query or a fragment")
	}
	u.Host = strings.ToLower(u.Host)
	return u
}

// link returns the URL of a page for people; "" for none.
func (r *resolver) link(key string, v *at[string]) string {
	text := r.word(key, v)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		r.errs.Add(v.Pos, "%q must be a link, as in https://reconciler.acme.example/", key)
	case u.User != nil:
		r.errs.Add(v.Pos, "%q must not hold a user or a password", key)
	default:
		return text
	}
	return ""
}

// OktaDomain returns the domain of the org that a URL addresses, in lower case;
// empty when that can't be told from the URL, because it is nil, or its host is
// a custom domain or this machine. An org answers under its custom domain as
// well, but manifests and the Aerial API know it by this one.
func OktaDomain(u *url.URL) string {
	if u == nil || !isOkta(u.Hostname()) {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// oktaDomain matches the domain of an org at Okta.
var oktaDomain = regexp.MustCompile(`^[a-z0-9-]+\.(okta|oktapreview|okta-emea)\.com$`)

func isOkta(host string) bool { return oktaDomain.MatchString(strings.ToLower(host)) }

// isAdmin reports whether a host is the Admin Console's of an org at Okta.
func isAdmin(host string) bool {
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	return isOkta(host) && strings.HasSuffix(name, "-admin")
}

// gitScheme tells how git would reach a repository: by the scheme of a URL,
// "ssh" for user@host:path, "" for a path on disk.
func gitScheme(raw string) string {
	if scheme, _, ok := strings.Cut(raw, "://"); ok {
		return strings.ToLower(scheme)
	}
	// git takes it for a host if a colon comes before any slash.
	host, _, ok := strings.Cut(raw, ":")
	if !ok || strings.ContainsAny(host, `/\`) || filepath.VolumeName(raw) != "" {
		return ""
	}
	return "ssh"
}

// gitURL checks what git.url may be; a path on disk is made ready to be opened.
func (r *resolver) gitURL(v *at[string]) string {
	if !v.OK() {
		return ""
	}
	fail := func(format string, args ...any) string {
		r.errs.Add(v.Pos, `"git.url" `+format, args...)
		return ""
	}
	switch {
	case v.V == "":
		return fail("is empty")
	case strings.ContainsFunc(v.V, unicode.IsControl):
		return fail("holds control characters")
	}
	scheme := gitScheme(v.V)
	if scheme == "" {
		if filepath.IsAbs(v.V) {
			return filepath.Clean(v.V)
		}
		path := filepath.Join(r.dir, v.V)
		if gitScheme(path) != "" {
			path = "./" + path // or git would take what stands before the colon for a host
		}
		return path
	}
	if !strings.Contains(v.V, "://") {
		switch host, path, _ := strings.Cut(v.V, ":"); {
		case path == "":
			return fail("lacks a path: write it as in git@git.example:okta-orgs.git")
		case !strings.Contains(host, "@") && strings.Contains(path, "@"):
			return fail("must not hold a password") // user:password@host:path
		}
		return v.V
	}
	u, err := url.Parse(v.V)
	if err != nil || strings.ContainsFunc(v.V, unicode.IsSpace) {
		return fail("is no URL: write it as in https://git.example/okta-orgs.git")
	}
	_, password := u.User.Password()
	switch {
	case password, u.User != nil && scheme != "ssh":
		return fail(`must not hold a user or a password: use "git.auth.username" and "git.auth.passwordFile"`)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(v.V, "#"):
		return fail("must not have a query or a fragment")
	}
	switch scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return fail("names the host %q: a file URL has three slashes, as in file:///srv/okta-orgs.git", u.Host)
		}
		return v.V
	case "https", "ssh":
	case "http":
		if !web.IsLoopback(u.Hostname()) {
			return fail("must be an https URL (http is for this machine only), not %q", v.V)
		}
	default:
		return fail("must be https, ssh, user@host:path, file or a path on disk, not %q", v.V)
	}
	if u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return fail("lacks a host or a path: write it as in https://git.example/okta-orgs.git")
	}
	return v.V
}
