package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

// explain returns the failure for what a conversation failed with. The common
// ones have a message and a hint of their own; all others have the error's own
// text behind the name of the repository.
func (g *Git) explain(err error) error {
	var known *failure
	if errors.As(err, &known) {
		return fail(known.msg, text.Hint(err), known.kinds...) // without what wraps it
	}
	err = unwrapped(err)
	for _, try := range []func(error) error{g.explainRefusal, g.explainAnswer, g.explainTrust, g.explainNet} {
		if e := try(err); e != nil {
			return e
		}
	}
	return g.fail(ErrUnreachable, "", "%s", oneLine(err.Error()))
}

// explainPack is explain for the transfer of objects. It is retried whatever
// broke it, because go-git flattens errors to text there.
func (g *Git) explainPack(err error) error {
	if refused(err) {
		// The ref moved between list and fetch, or the commit that was asked
		// for by its hash isn't there.
		if g.opts.Commit != "" {
			return g.noCommit(plumbing.NewHash(g.opts.Commit))
		}
		return g.transient("", "%s moved while it was fetched", g.what())
	}
	if errors.Is(err, pktline.ErrInvalidPktLen) {
		return g.transient("", "the connection broke off") // amid a length
	}
	e := g.explain(err)
	if errors.Is(e, ErrUnreachable) && !errors.As(err, new(*refusal)) {
		return reclassify(e, ErrUnreachable, errTransient)
	}
	return e
}

// unwrapped returns an error without wrappers that say nothing, or repeat the
// URL.
func unwrapped(err error) error {
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

// explainRefusal: there was an answer over http, and it says no.
func (g *Git) explainRefusal(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	const patience = 5 * time.Second
	names, who, hint := &g.opts.Names, "the server", ""
	kinds := []error{ErrDenied}
	configured, _ := url.Parse(g.opts.URL) // it was valid in parseURL
	if at := web.OriginOf(r.at); r.at != nil && at != web.OriginOf(configured) {
		who = fmt.Sprintf("%s, to which the server redirected and credentials don't follow,", at)
	}
	switch {
	case r.byProxy || r.status == http.StatusProxyAuthRequired:
		who, hint = "the proxy", web.ProxyHint
	case r.limited():
		hint = "look less often, and let a webhook report pushes; with credentials, most hosts allow more requests"
		kinds = []error{ErrUnreachable}
		if web.RetryAfter(r.header, web.ServerTime(r.header)) <= patience {
			kinds = append(kinds, errTransient)
		}
	case r.status >= 500:
		hint = "the server is in trouble, or a proxy in front of it: look at its log"
	case r.status != http.StatusUnauthorized && r.status != http.StatusForbidden && r.status != http.StatusNotFound:
		return g.notGit(r.Error())
	case g.opts.Auth.Password == nil:
		hint = fmt.Sprintf("check %s; for a repository that is not public, set %s and %s. Or is this machine's address blocked?", names.URL, names.Username, names.Password)
	case r.status == http.StatusUnauthorized:
		hint = "has the password or token expired, or was the app uninstalled or suspended?"
	case r.status == http.StatusForbidden:
		hint = "the token, or the GitHub App, needs permission to read the repository's contents; an organization with single sign-on has to authorize a token"
	default:
		hint = fmt.Sprintf("check %s; hosts say the same when the credentials may not see it, or the app is not installed", names.URL)
	}
	switch {
	case r.status >= 500:
		kinds = []error{ErrUnreachable, errTransient}
	case r.status == http.StatusNotFound:
		kinds = []error{ErrNotFound}
	case r.status == http.StatusUnauthorized && who == "the server":
		kinds = append(kinds, errUnauthorized)
	}
	return reclassify(g.fail(nil, hint, "%s answered %v%s", who, r, r.said), kinds...)
}

// limited reports whether an answer is about too many requests. GitHub says 403
// as well as 429:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func (r *refusal) limited() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusForbidden &&
		(r.header.Get("Retry-After") != "" || r.header.Get("X-RateLimit-Remaining") == "0")
}

// explainTrust: one side can't prove who it is.
func (g *Git) explainTrust(err error) error {
	names, msg := &g.opts.Names, oneLine(err.Error())
	switch {
	case strings.Contains(msg, "no common algorithm for host key"): // which is how a new key shows when its kind is new too
		return g.fail(ErrDenied, fmt.Sprintf("the host may have got a new key, or somebody be in between: compare what ssh-keyscan prints with what the host publishes, then add its line to %s", names.KnownHostsFile),
			"%s", msg)
	case strings.Contains(msg, "ssh: unable to authenticate"):
		return g.fail(ErrDenied, fmt.Sprintf("add the public half of %s to the repository's deploy keys, for reading; is the user the right one?", names.SSHKeyFile),
			"the server refused %s for user %q", g.shown, g.user(""))
	case strings.Contains(msg, "tls: "), errors.Is(err, http.ErrSchemeMismatch):
		return g.fail(ErrDenied, fmt.Sprintf("are %s and the clock of this machine right? A private authority, and that of a proxy which looks into TLS, has to be in %s; TLS 1.2 is the least that is accepted, and client certificates are not supported", names.URL, names.CAFile),
			"no trusted connection: %s", msg)
	case strings.Contains(msg, "http redirect: "):
		return g.fail(ErrDenied, "if the repository has moved, change "+names.URL, "%s", msg)
	default:
		return nil
	}
}

// explainAnswer: there was an answer, but not the one that was asked for.
func (g *Git) explainAnswer(err error) error {
	var (
		large  *overLimit
		refs   *overRefs
		status *githttp.Err
		line   *pktline.ErrorLine
		stderr *sshStderr
		other  *packp.ErrUnexpectedData
	)
	switch {
	case errors.As(err, &large):
		return g.fail(ErrContent, "keep the manifests in a repository of their own; a server that filters objects (uploadpack.allowFilter) sends less", "the repository is too large: %s", large)
	case errors.As(err, &refs):
		return g.fail(ErrContent, fmt.Sprintf("keep the manifests in a repository of their own, with fewer branches and tags; is %s the right one?", g.opts.Names.URL), "the repository is too large: %s", refs)
	case errors.Is(err, errSpool):
		return g.fail(ErrDenied, fmt.Sprintf("large repositories need room for %d MB there; TMPDIR names another folder", g.limits.pack>>20), "%s", oneLine(err.Error()))
	case errors.As(err, &status):
		return g.notGit(status.Error())
	case errors.Is(err, errNoPack):
		return g.notGit(errNoPack.Error())
	case errors.Is(err, packp.ErrEmptyInput):
		return g.notGit("it is empty")
	case errors.As(err, &other) && isSHA256(other):
		return g.sha256()
	case g.ep.Protocol == "ssh" && (other != nil || errors.Is(err, pktline.ErrInvalidPktLen)):
		return g.fail(ErrNotFound, "is this the URL of a git repository, as for git clone? A shell that greets, or a script that prints something, spoils the answer",
			"the answer is not git's: it may be what a shell prints")
	case errors.As(err, &other), errors.Is(err, pktline.ErrInvalidPktLen):
		return g.notGit("it may be a web page")
	case errors.As(err, &line):
		return g.explainSaid(line.Text)
	case errors.As(err, &stderr):
		return g.explainSaid(stderr.text)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return g.noRef(nil)
	default:
		return nil
	}
}

// isSHA256 reports whether it is a list of refs that could not be read because its
// hashes have 64 digits.
func isSHA256(list *packp.ErrUnexpectedData) bool {
	return bytes.Contains(list.Data, []byte("object-format=sha256"))
}

func (g *Git) notGit(why string) error {
	return g.fail(ErrNotFound, fmt.Sprintf("is this the URL of a git repository, as for git clone? A page to sign in shows where %s is missing or not accepted", g.opts.Names.Password),
		"the answer is not git's: %s", why)
}

// explainSaid is for words of the server, as git or a code host puts them.
func (g *Git) explainSaid(said string) error {
	said = oneLine(query.ReplaceAllString(said, "$1"))
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(said), w) })
	}
	switch {
	case said == "":
		return g.transient("the server's log may say more", "the server ended the conversation without a word")
	case says("not found", "not appear to be a git repository", "does not exist", "no such repository", "could not be found", "cannot find repository"):
		return g.fail(ErrNotFound, "check the URL; many hosts say the same when the key may not see it",
			"there is no such repository: the server says %q", said)
	case says("permission denied", "access denied", "denied to", "denied by", "not allowed", "not authorized", "permission to", "not have permission", "no permission", "unauthorized", "forbidden", "saml sso", "single sign-on"):
		return g.fail(ErrDenied, "the key or token needs permission to read the repository, and authorization where single sign-on is required",
			"access is denied: the server says %q", said)
	default:
		return g.fail(ErrUnreachable, "the server's log may say more", "the server says %q", said)
	}
}

// explainNet: there was no answer, or it broke off.
func (g *Git) explainNet(err error) error {
	hint := "are the host and the port right, DNS on this machine, and does the server run? Is a firewall or a proxy in the way? "
	if g.ep.Protocol == "ssh" {
		hint += "ssh goes directly, only https through a proxy (HTTPS_PROXY)"
	} else {
		hint += web.ProxyHint
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return g.transient("does a firewall, a proxy or a limit of the server cut it?", "the connection broke off")
	case errors.As(err, new(net.Error)):
		return g.transient(hint, "no connection: %s", oneLine(err.Error()))
	default:
		return nil
	}
}
