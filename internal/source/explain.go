package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

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
	for _, try := range []func(error) *Error{g.explainAccess, g.explainTrust, g.explainStatus, g.explainNet, g.explainWords} {
		if e := try(err); e != nil {
			return e
		}
	}
	return g.fail(ErrUnreachable, "", "%s", oneLine(err.Error()))
}

// explainPack is explain for the transfer of objects. It is tried again
// whatever broke it, because go-git flattens errors to text there.
func (g *Git) explainPack(err error) *Error {
	if strings.Contains(err.Error(), "not our ref") {
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
	if e.kind == ErrUnreachable {
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

// explainAccess: the server answered, and says no.
func (g *Git) explainAccess(err error) *Error {
	said := ""
	if _, text, ok := strings.Cut(err.Error(), ": "); ok && !strings.Contains(text, "<") {
		if text = oneLine(text); text != "" {
			said = ": " + text
		}
	}
	given := g.opts.Auth.Password != nil || g.opts.Auth.SSHKeyFile != ""
	moved := g.now != nil && origin(g.now) != origin(&g.ep)
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return g.noRef(nil)
	case errors.Is(err, transport.ErrAuthenticationRequired) && given && moved:
		return g.fail(ErrDenied,
			"credentials don't follow a redirect to another host; if the repository has moved there, change git.url",
			"the server redirected to %q, which asks for credentials (401)", origin(g.now))
	case errors.Is(err, transport.ErrAuthenticationRequired) && given:
		return g.fail(ErrDenied,
			"has the password or token expired, and may it read the repository's contents?",
			"the credentials were refused (401)%s", said)
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return g.fail(ErrDenied,
			"set git.auth.username and git.auth.passwordFile; some hosts ask for credentials where there is no such repository",
			"the server asks for credentials (401)%s", said)
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return g.fail(ErrDenied,
			"the token needs permission to read the repository's contents; with single sign-on, it has to be authorized for the organization too",
			"access is forbidden (403)%s", said)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return g.fail(ErrNotFound, "check the URL; many hosts say the same when the credentials may not see it",
			"there is no such repository (404)")
	case strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return g.fail(ErrDenied, "add the public half of git.auth.sshKeyFile to the repository's deploy keys, for reading",
			"the server refused the key for user %q", g.user())
	default:
		return nil
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
		algos  *ssh.AlgorithmNegotiationError
		roots  x509.SystemRootsError
	)
	switch {
	case errors.As(err, &cert):
		return g.fail(ErrDenied, "a private authority has to be among the system's roots (SSL_CERT_FILE names the file)",
			"the server's certificate is not trusted: %s", oneLine(cert.Err.Error()))
	case errors.As(err, &roots):
		return g.fail(ErrDenied, "install the system's CA certificates", "there are no roots to check certificates with")
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return g.fail(ErrDenied, "is it an http server, or the wrong port?", "the server does not speak TLS")
	case errors.As(err, &algos):
		return g.fail(ErrDenied, "the known hosts may lack a key of a kind that the host has now: see ssh-keyscan",
			"no common way to talk: %s", oneLine(strings.TrimPrefix(algos.Error(), "ssh: ")))
	case strings.Contains(err.Error(), "http redirect: "):
		return g.fail(ErrDenied, "if the repository has moved, change git.url", "%s", oneLine(err.Error()))
	default:
		return nil
	}
}

// explainStatus: an HTTP status that is not about access.
func (g *Git) explainStatus(err error) *Error {
	var status *githttp.Err
	if !errors.As(err, &status) {
		return nil
	}
	code := status.StatusCode()
	if code >= 500 || code == http.StatusTooManyRequests {
		return g.temporary("", "the server answered %d %s", code, http.StatusText(code))
	}
	return g.fail(ErrNotFound, "is this the URL of a git repository?", "the server answered %d %s", code, http.StatusText(code))
}

// explainNet: there was no answer, or it broke off.
func (g *Git) explainNet(err error) *Error {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return g.fail(ErrUnreachable, "check the URL, and DNS on this machine", "the host %q is not known", dns.Name)
	case errors.As(err, &dns):
		return g.temporary("check DNS on this machine", "looking up the host %q failed: %s", dns.Name, oneLine(dns.Err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return g.temporary("is the server running, and the port right?", "the connection was refused")
	case errors.As(err, &timeout) && timeout.Timeout():
		return g.temporary("is a firewall or a proxy in the way?", "there was no answer in time")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return g.temporary("", "the connection broke off")
	case errors.As(err, new(*net.OpError)):
		return g.temporary("", "%s", oneLine(err.Error()))
	default:
		return nil
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
	case errors.As(err, &other), errors.Is(err, pktline.ErrInvalidPktLen):
		return g.fail(ErrNotFound, "is this the URL of a git repository, as for git clone?", "the answer is not git's")
	default:
		return nil
	}
}

// said is for words of the server, among which only "no such repository" has a
// meaning that is told apart.
func (g *Git) said(text string) *Error {
	text = oneLine(text)
	lower := strings.ToLower(text)
	for _, s := range []string{"not found", "not appear to be a git repository", "does not exist", "no such repository", "could not be found"} {
		if strings.Contains(lower, s) {
			return g.fail(ErrNotFound, "check the URL; many hosts say the same when the key may not see it",
				"there is no such repository: the server says %q", text)
		}
	}
	if text == "" {
		return g.temporary("", "the server ended the conversation without a word")
	}
	return g.fail(ErrUnreachable, "", "the server says %q", text)
}

// hintOf gives the hint that an error carries, or "".
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
