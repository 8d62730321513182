package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh"
)

// explain turns what a conversation failed with into an Error.
func (g *Git) explain(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	err = bare(err)
	for _, try := range []func(error) *Error{g.explainRefusal, g.explainSSH, g.explainTrust, g.explainAnswer, g.explainNet, g.explainWords} {
		if e := try(err); e != nil {
			return e
		}
	}
	return g.fail(ErrUnreachable, "", "%s", oneLine(err.Error()))
}

// explainPack is explain for the transfer of objects. It is tried again
// whatever broke it, because go-git flattens errors to text there.
func (g *Git) explainPack(err error) *Error {
	if refused(err) {
		// The ref moved between list and fetch, or the commit that was asked
		// for by its hash isn't there.
		if g.opts.Commit != "" {
			return g.noCommit(plumbing.NewHash(g.opts.Commit))
		}
		return g.temporary("", "%s moved while it was fetched", g.what())
	}
	if errors.Is(err, pktline.ErrInvalidPktLen) {
		return g.temporary("", "the connection broke off") // amid a length
	}
	e := g.explain(err)
	if e.kind == ErrUnreachable && !errors.As(err, new(*refusal)) {
		e.again = true
	}
	return e
}

// bare takes off wrappers that say nothing, or repeat the URL.
func bare(err error) error {
	for {
		var (
			unexpected *plumbing.UnexpectedError
			permanent  *plumbing.PermanentError
			request    *url.Error
		)
		switch {
		case errors.As(err, &unexpected):
			err = unexpected.Err
		case errors.As(err, &permanent):
			err = permanent.Err
		case errors.As(err, &request):
			err = request.Err
		default:
			return err
		}
	}
}

// temporary is fail for what may work when it is tried again at once.
func (g *Git) temporary(hint, format string, args ...any) *Error {
	e := g.fail(ErrUnreachable, hint, format, args...)
	e.again = true
	return e
}

// explainRefusal: there was an answer over http, and it says no.
func (g *Git) explainRefusal(err error) *Error {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	said := ""
	if r.said != "" {
		said = ": " + r.said
	}
	switch {
	case r.byProxy || r.status == http.StatusProxyAuthRequired:
		return g.explainProxy(r)
	case r.limited():
		return g.explainLimit(r, said)
	case r.status == http.StatusUnauthorized:
		return g.explainUnauthorized(r, said)
	case r.status == http.StatusForbidden && r.singleSignOn():
		return g.fail(ErrDenied,
			"authorize the token for the organization: at GitHub, it is \"Configure SSO\" beside the token in the settings of whoever made it",
			"the organization requires single sign-on of the token (403)%s", said)
	case r.status == http.StatusForbidden:
		return g.fail(ErrDenied, g.choose(
			"set git.auth.username and git.auth.passwordFile; or is this machine's address blocked?",
			"the token needs permission to read the repository's contents",
			"the GitHub App needs the permission Contents: read for this repository"),
			"access is forbidden (403)%s", said)
	case r.status == http.StatusNotFound:
		return g.fail(ErrNotFound, "check the URL; "+g.choose(
			"a private repository looks like none as long as git.auth.username and git.auth.passwordFile are not set",
			"many hosts say the same when the credentials may not see it",
			"GitHub says the same when the app is not installed for the repository"),
			"there is no such repository (404)")
	case r.status >= 500:
		return g.temporary("the server is in trouble, or a proxy in front of it; whoever runs it can see why",
			"the server answered %d %s%s", r.status, http.StatusText(r.status), said)
	default:
		return g.notGit(r.status)
	}
}

// choose gives the advice that fits the credentials in use: none, any, or those
// of a GitHub App.
func (g *Git) choose(none, given, app string) string {
	switch {
	case g.app:
		return app
	case g.opts.Auth.Password != nil:
		return given
	default:
		return none
	}
}

func (g *Git) explainUnauthorized(r *refusal, said string) *Error {
	const denied = "the credentials were refused (401)%s"
	at, err := transport.NewEndpoint(r.at.String())
	moved := err == nil && origin(at) != origin(&g.ep)
	switch {
	case g.opts.Auth.Password == nil:
		return g.fail(ErrDenied,
			"set git.auth.username and git.auth.passwordFile; some hosts ask for credentials where there is no such repository",
			"the server asks for credentials (401)%s", said)
	case moved:
		return g.fail(ErrDenied,
			"credentials don't follow a redirect to another host; if the repository has moved there, change git.url",
			"the server redirected to %q, which asks for credentials (401)", origin(at))
	case g.app:
		return g.fail(ErrDenied, "is the GitHub App still installed for the repository, and not suspended?", denied, said)
	default:
		return g.fail(ErrDenied, "has the password or token expired, and may it read the repository's contents?", denied, said)
	}
}

// explainProxy: the way to the server ends at a proxy.
func (g *Git) explainProxy(r *refusal) *Error {
	proxy := cmp.Or(g.via, g.ep.Host) // one in front of the server is not named to us
	switch {
	case r.status == http.StatusProxyAuthRequired:
		return g.fail(ErrDenied, "HTTPS_PROXY takes them as in http://USER:PASSWORD@HOST:PORT, special characters as %XX; NO_PROXY names hosts that need no proxy",
			"the proxy %q asks for credentials, or refuses those it got (407)", proxy)
	case r.status == http.StatusForbidden:
		return g.fail(ErrDenied, "whoever runs the proxy has to allow the host; NO_PROXY names hosts that need no proxy",
			"the proxy %q does not let us through to %q (403)", proxy, g.ep.Host)
	default:
		return g.temporary("does the proxy reach the host? NO_PROXY names hosts that need no proxy",
			"the proxy %q answered %d %s", proxy, r.status, http.StatusText(r.status))
	}
}

// limited says whether the answer is about too many requests. GitHub says 403
// as well as 429:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func (e *refusal) limited() bool {
	return e.status == http.StatusTooManyRequests || e.status == http.StatusForbidden &&
		(e.header.Get("Retry-After") != "" || e.header.Get("X-RateLimit-Remaining") == "0")
}

func (g *Git) explainLimit(r *refusal, said string) *Error {
	const patience = 5 // seconds
	wait := ""
	after := r.header.Get("Retry-After")
	seconds, err := strconv.Atoi(after)
	known := err == nil && seconds > 0
	if known {
		wait = fmt.Sprintf(", and says to wait %v", time.Duration(seconds)*time.Second)
	}
	hint := "look less often (schedule), and let the webhook tell of pushes"
	if g.opts.Auth.Password == nil {
		hint += "; those who show credentials may look more often"
	}
	e := g.temporary(hint, "the server limits requests (%d)%s%s", r.status, wait, said)
	e.again = after == "" || known && seconds <= patience
	return e
}

// singleSignOn says whether a GitHub organization wants the token authorized:
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
func (e *refusal) singleSignOn() bool {
	return e.header.Get("X-GitHub-SSO") != "" || isSingleSignOn(e.said)
}

func isSingleSignOn(said string) bool {
	return strings.Contains(said, "SAML SSO") || strings.Contains(said, "single sign-on")
}

// explainSSH: the server doesn't let us in.
func (g *Git) explainSSH(err error) *Error {
	var algos *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &algos) && algos.What == "host key":
		return g.noCommonKey(algos)
	case errors.As(err, &algos):
		return g.fail(ErrDenied, "the server has to learn newer ways: those left to it are no longer safe",
			"no common way to talk: %s", sshWords(algos))
	case !strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return nil
	case g.shown == "":
		return g.fail(ErrDenied, "is it still valid? Code hosts take keys only: git.auth.sshKeyFile",
			"the server refused the password for user %q", g.user())
	default:
		return g.fail(ErrDenied, "add the public half of git.auth.sshKeyFile to the repository's deploy keys, for reading; is the user the right one?",
			"the server refused the key %s for user %q", g.shown, g.user())
	}
}

// origin gives host and port of an HTTP endpoint, in one spelling.
func origin(ep *transport.Endpoint) string {
	port := ep.Port
	switch {
	case port == 0 && ep.Protocol == "http":
		port = 80
	case port == 0:
		port = 443
	}
	return strings.ToLower(ep.Host) + ":" + strconv.Itoa(port)
}

// explainTrust: the server can't prove who it is, or what it is.
func (g *Git) explainTrust(err error) *Error {
	var (
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
		roots  x509.SystemRootsError
	)
	text, isTLS := tlsWords(err)
	switch {
	case errors.As(err, &cert):
		return g.explainCertificate(g.peer(err), cert.Err)
	case errors.As(err, &roots):
		return g.fail(ErrDenied, "install the system's CA certificates, or name a file of them as git.auth.caFile",
			"there are no roots to check certificates with")
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return g.fail(ErrDenied, "is it an http server, or the wrong port?", "%s does not speak TLS", g.peer(err))
	case isTLS:
		return g.fail(ErrDenied, "the server may want a client certificate, which is not supported, or speak an old TLS only; 1.2 is the least that is taken",
			"no secure connection to %s: %s", g.peer(err), text)
	case strings.Contains(err.Error(), "http redirect: "):
		return g.fail(ErrDenied, "if the repository has moved, change git.url", "%s", oneLine(err.Error()))
	default:
		return nil
	}
}

// tlsWords is the text of an error of package tls, by either side, which has no
// type to tell it by.
func tlsWords(err error) (string, bool) {
	text := err.Error()
	for _, prefix := range []string{"proxyconnect tcp: ", "remote error: ", "local error: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	text, ok := strings.CutPrefix(text, "tls: ")
	return oneLine(text), ok
}

// explainCertificate says what is wrong with a certificate. It is the server's,
// that of a proxy which looks into what passes, or that of the way to a proxy.
func (g *Git) explainCertificate(whose string, err error) *Error {
	var (
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		hint    = "a private authority, and that of a proxy which looks into TLS, has to be in git.auth.caFile"
		text    = oneLine(strings.TrimPrefix(err.Error(), "x509: "))
	)
	switch {
	case errors.As(err, &host):
		hint = "git.url has to use one of the certificate's names; or does the name lead to another machine than it should?"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = "is the clock of this machine right? Else whoever runs the host has to renew it"
	}
	return g.fail(ErrDenied, hint, "the certificate of %s is not trusted: %s", whose, text)
}

// peer names who is at the other end: the server, or the proxy before it.
func (g *Git) peer(err error) string {
	if viaProxy(err) {
		return fmt.Sprintf("the proxy %q", g.via)
	}
	return "the server"
}

// viaProxy says whether it was on the way to the proxy that something failed.
func viaProxy(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks"))
}

// explainAnswer: there was an answer over http, but none to what was asked.
func (g *Git) explainAnswer(err error) *Error {
	var page *webPage
	var status *githttp.Err
	switch {
	case errors.As(err, &page):
		at := ""
		if place := page.at.Scheme + "://" + page.at.Host + page.at.Path; !strings.HasPrefix(place, g.ep.String()) {
			at = fmt.Sprintf(", at %q", place)
		}
		return g.fail(ErrNotFound, "is this the URL of a git repository, as for git clone? A page to sign in shows where "+g.choose(
			"git.auth.username and git.auth.passwordFile are not set", "the credentials are not taken", "the app is not installed"),
			"the answer is a web page, not git's%s", at)
	case errors.Is(err, errDumb):
		return g.fail(ErrNotFound, "the server hands out the repository as mere files; it needs git-http-backend, or use ssh",
			"the server speaks only git's dumb protocol")
	case errors.As(err, &status):
		return g.notGit(status.StatusCode())
	default:
		return nil
	}
}

func (g *Git) notGit(code int) *Error {
	return g.fail(ErrNotFound, "is this the URL of a git repository, as for git clone?", "the server answered %d %s", code, http.StatusText(code))
}

// explainNet: there was no answer, or it broke off.
func (g *Git) explainNet(err error) *Error {
	var dns *net.DNSError
	var timeout net.Error
	way := ""
	if viaProxy(err) {
		way = fmt.Sprintf(" by the proxy %q", g.via)
	}
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		what := "the host"
		if way != "" {
			what = "the proxy's host"
		}
		return g.fail(ErrUnreachable, "check its spelling, and DNS on this machine"+g.otherWay(), "%s %q is not known", what, dns.Name)
	case errors.As(err, &dns):
		return g.temporary("check DNS on this machine", "looking up the host %q failed: %s", dns.Name, oneLine(dns.Err))
	case errors.Is(err, syscall.ECONNREFUSED):
		hint := "is the server running, and the port right?"
		if way != "" {
			hint = "is the proxy running, and HTTPS_PROXY right?"
		}
		return g.temporary(hint, "the connection was refused%s", way)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return g.temporary("check the routes and the firewall of this machine"+g.otherWay(), "there is no way to the host%s", way)
	case errors.As(err, &timeout) && timeout.Timeout():
		return g.temporary("is a firewall in the way?"+g.otherWay(), "there was no answer in time%s", way)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return g.temporary("does a firewall, a proxy or a limit of the server cut it?", "the connection broke off%s", way)
	case way != "":
		return g.temporary("does the proxy reach the host?", "no connection%s: %s", way, oneLine(err.Error()))
	case errors.As(err, new(*net.OpError)):
		return g.temporary("", "%s", oneLine(err.Error()))
	default:
		return nil
	}
}

// otherWay is advice for a server that can't be reached directly.
func (g *Git) otherWay() string {
	switch {
	case g.ep.Protocol == "ssh":
		return "; ssh goes directly, only https through a proxy (HTTPS_PROXY)"
	case g.via == "":
		return "; where only a proxy leads out, set HTTPS_PROXY, as in http://HOST:PORT"
	default:
		return ""
	}
}

// explainWords: there was an answer, but not the one that git gives.
func (g *Git) explainWords(err error) *Error {
	var (
		line  *pktline.ErrorLine
		says  *serverSays
		other *packp.ErrUnexpectedData
	)
	switch {
	case errors.Is(err, errTooMuch):
		return g.fail(ErrContent, "keep the manifests in a repository of their own",
			"the repository is too large: one commit of it takes more than %d MB", g.limits.pack>>20)
	case errors.Is(err, errUnpacked):
		return g.fail(ErrContent, "keep the manifests in a repository of their own",
			"the repository is too large: one commit of it unpacks to more than %d MB", g.limits.unpacked>>20)
	case errors.Is(err, errTooMany):
		return g.fail(ErrContent, "keep the manifests in a repository of their own",
			"the repository is too large: one commit of it takes more than %d objects", g.limits.objects)
	case errors.Is(err, errSpool):
		return g.fail(ErrDenied, fmt.Sprintf("large repositories need room for %d MB there; TMPDIR names another folder", g.limits.pack>>20),
			"%s", oneLine(err.Error()))
	case errors.As(err, &line):
		return g.said(line.Text)
	case errors.As(err, &says):
		return g.said(says.text)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return g.noRef(nil)
	case errors.Is(err, packp.ErrEmptyInput):
		return g.fail(ErrUnreachable, "is this the URL of a git repository, as for git clone?", "the answer is empty")
	case errors.As(err, &other), errors.Is(err, pktline.ErrInvalidPktLen):
		return g.fail(ErrNotFound, "is this the URL of a git repository, as for git clone?", "the answer is not git's")
	default:
		return nil
	}
}

// said is for words of the server, as git or a code host puts them.
func (g *Git) said(text string) *Error {
	text = oneLine(query.ReplaceAllString(text, "$1"))
	lower := strings.ToLower(text)
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(lower, w) })
	}
	switch {
	case text == "":
		return g.temporary("the server's log may say more", "the server ended the conversation without a word")
	case isSingleSignOn(text):
		return g.fail(ErrDenied, "authorize the key for the organization: at GitHub, it is \"Configure SSO\" beside the key in the settings of whoever owns it; deploy keys need none",
			"the organization requires single sign-on of the key: the server says %q", text)
	case says("not found", "not appear to be a git repository", "does not exist", "no such repository", "could not be found"):
		return g.fail(ErrNotFound, "check the URL; many hosts say the same when the key may not see it",
			"there is no such repository: the server says %q", text)
	case says("permission denied", "access denied", "denied to", "denied by", "not allowed", "not authorized", "permission to"):
		return g.fail(ErrDenied, "the key or token needs permission to read the repository", "access is denied: the server says %q", text)
	default:
		return g.fail(ErrUnreachable, "the server's log may say more", "the server says %q", text)
	}
}
