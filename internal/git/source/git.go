package source

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"reconciler/internal/strictyaml"
)

// GitOptions say which commit of which repository to read, and which part of
// it.
type GitOptions struct {
	// URL is https, ssh, user@host:path, file, or a path on disk; http for
	// this machine only. It must not hold a password, nor for http(s) a user.
	URL string
	// Branch, Tag or Commit: at most one of them; the branch "main" without
	// any. Commit is a full hash of 40 digits.
	Branch, Tag, Commit string
	// Path is the folder or file that holds the manifests, from the top of the
	// repository; empty for all of it.
	Path string
	Auth Auth
	// Timeout is for one Fetch with all its tries; 2 minutes when it is 0.
	Timeout time.Duration
	// Logger is told of fetches and retries; nil for none.
	Logger *slog.Logger
}

// Auth is how to prove who we are to a remote repository. It is not used for
// repositories on disk. Files are read, and Password is called, anew for each
// Fetch, so that rotated secrets are taken up.
type Auth struct {
	// Username for the server: "git" when it is empty, which the large hosts
	// take beside a token. For ssh, it outranks the one in the URL.
	Username string
	// Password gives the password or token, such as one of a GitHub App's
	// installation; nil for none. Whoever makes tokens keeps them as long as
	// they are good: Password is called for each try.
	Password func(context.Context) (string, error)
	// CAFile holds certificates in PEM that are trusted for https, and for a
	// proxy that is spoken to by https, besides the system's; "" for none.
	CAFile string
	// SSHKeyFile holds the private key, as ssh-keygen writes it.
	SSHKeyFile string
	// SSHPassphrase gives the passphrase of that key; nil when it has none.
	SSHPassphrase func(context.Context) (string, error)
	// KnownHostsFile holds the host keys that are trusted, as in OpenSSH's
	// known_hosts. Needed for ssh: an unknown host is never trusted.
	KnownHostsFile string
}

// errTimeout is the cause of a Fetch that took too long, as opposed to one that
// the caller gave up.
var errTimeout = errors.New("out of time")

// Git reads manifests from a git repository. It holds no connection between
// two fetches and need not be closed.
type Git struct {
	opts GitOptions
	ep   transport.Endpoint
	ref  plumbing.ReferenceName // empty when opts.Commit is set
	// rev is how people named the commit, in a Repository; else it is empty.
	rev    string
	log    *slog.Logger
	limits limits
	// proxy says through which proxy to send a request; tests name their own.
	proxy func(*http.Request) (*url.URL, error)
	// wait gives the pauses between tries; tests shorten them.
	wait func() backoff.BackOff

	mu      sync.Mutex
	last    *reading // nil before the first
	filter  int      // which one the server takes, see ask
	secrets []string // in the forms to be struck from errors
	// via is the proxy of the conversation, as HOST:PORT; "" for none.
	via string
	// app says that the password is the token of a GitHub App.
	app bool
	// shown is the fingerprint of the key that we show to an SSH server; ""
	// for none.
	shown string
}

// reading is what came of reading the commit that the ref last pointed to.
type reading struct {
	at   plumbing.Hash // of the commit, or of an annotated tag
	snap *Snapshot
	err  error // what is wrong with that commit's content
}

// limits keep a repository that is not what it should be from eating all
// memory.
type limits struct {
	// file is the size, in bytes, from which a file's content is left out.
	file int64
	// pack is the most that one answer of a server may hold, in bytes.
	pack int64
	// memory is from where on, in bytes, such an answer is kept in a file.
	memory int
	// unpacked is the most that one answer may hold when it is unpacked, in
	// bytes. It bounds time, not memory.
	unpacked int64
	// objects is how many objects one answer may hold.
	objects int
	// manifests is the most that all manifests of a commit may hold, in bytes.
	manifests int64
	// entries is how many files and folders a commit may have below the path.
	entries int
	// history is the most that all commits of a History may hold, in bytes.
	history int64
}

func defaultLimits() limits {
	return limits{
		file: maxFile, pack: 512 << 20, memory: 16 << 20, unpacked: 16 << 30,
		objects: 1_000_000, manifests: 256 << 20, entries: 250_000, history: 64 << 20,
	}
}

// maxTries is how often one Fetch tries when the network fails it.
const maxTries = 3

// NewGit checks the options and gives a reader; it opens no connection and no
// file.
func NewGit(opts GitOptions) (*Git, error) {
	ep, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	g := &Git{
		opts:   opts,
		ep:     *ep,
		log:    opts.Logger,
		proxy:  environmentProxy,
		limits: defaultLimits(),
		wait:   func() backoff.BackOff { return backoff.NewExponentialBackOff() },
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.opts.Timeout = cmp.Or(opts.Timeout, 2*time.Minute)
	if err := g.setRef(); err != nil {
		return nil, err
	}
	if err := g.setPath(); err != nil {
		return nil, err
	}
	if err := g.checkAuth(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Git) setRef() error {
	o := &g.opts
	given := 0
	for _, s := range []string{o.Branch, o.Tag, o.Commit} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return g.fail(nil, "", "only one of branch, tag and commit can be followed")
	}
	switch {
	case o.Commit != "":
		o.Commit = strings.ToLower(o.Commit)
		if !plumbing.IsHash(o.Commit) || len(o.Commit) != 40 {
			return g.fail(nil, "\"git rev-parse REV\" prints it", "the commit %q is not a full hash of 40 digits", o.Commit)
		}
		return nil
	case o.Tag != "":
		g.ref = plumbing.NewTagReferenceName(o.Tag)
	default:
		g.ref = plumbing.NewBranchReferenceName(cmp.Or(o.Branch, "main"))
	}
	if err := g.ref.Validate(); err != nil {
		return g.fail(nil, "", "no %s can have that name", g.what())
	}
	return nil
}

func (g *Git) setPath() error {
	p := path.Clean(strings.Trim(g.opts.Path, "/"))
	if !fs.ValidPath(p) {
		return g.fail(nil, "it starts at the top of the repository", "the path %q leads out of the repository", g.opts.Path)
	}
	g.opts.Path = p
	return nil
}

func (g *Git) checkAuth() error {
	a := g.opts.Auth
	switch g.ep.Protocol {
	case "ssh":
		if a.SSHKeyFile == "" && a.Password == nil {
			return g.fail(nil, "set git.auth.sshKeyFile", "ssh needs a private key")
		}
		if a.SSHPassphrase != nil && a.SSHKeyFile == "" {
			return g.fail(nil, "set git.auth.sshKeyFile too", "a passphrase is of no use without an SSH key")
		}
		if a.CAFile != "" {
			return g.fail(nil, "what ssh trusts stands in git.auth.knownHostsFile", "a file of certificates is of no use for ssh")
		}
		if a.KnownHostsFile == "" {
			return g.fail(nil,
				"set git.auth.knownHostsFile; a user's own file is ~/.ssh/known_hosts",
				"ssh needs a file of known hosts, or anyone could pose as %q", g.ep.Host)
		}
	case "http", "https":
		if a.SSHKeyFile != "" {
			return g.fail(nil, "use an ssh URL, or git.auth.username and git.auth.passwordFile", "an SSH key is of no use for %s", g.ep.Protocol)
		}
		if a.CAFile != "" && g.ep.Protocol == "http" {
			return g.fail(nil, "use an https URL, or take out git.auth.caFile", "a file of certificates is of no use for http")
		}
	}
	return nil
}

// Fetch gives the manifests at the commit where the branch or tag now stands.
// The remote is asked for that first, and as long as it hasn't moved nothing
// else is transferred and the same *Snapshot is given again (or the same error,
// when that commit can't be used). A commit that was asked for by its hash is
// read once and not asked for again. A branch that was rewritten counts as
// moved.
//
// It may be called again after an error, and a Snapshot given before stays
// valid and unchanged whatever happens later. Failures of the network are tried
// again within Timeout. Calls are made one after another. Errors are *Error,
// but for ctx's own.
func (g *Git) Fetch(ctx context.Context) (*Snapshot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opts.Commit != "" && g.last != nil {
		return g.last.snap, g.last.err
	}
	read := g.readRemote
	if g.ep.Protocol == "file" {
		read = g.readLocal
	}
	return attempt(ctx, g, read)
}

// attempt does what may fail because of the network, up to maxTries times and
// within the time there is.
func attempt[T any](ctx context.Context, g *Git, do func(context.Context) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeoutCause(ctx, g.opts.Timeout, errTimeout)
	defer cancel()
	done, err := backoff.Retry(ctx, func() (T, error) {
		done, err := do(ctx)
		var e *Error
		if err != nil && !(errors.As(err, &e) && e.again) {
			return none, backoff.Permanent(err)
		}
		return done, err
	}, backoff.WithBackOff(g.wait()), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			g.log.WarnContext(ctx, "git: trying again", "error", err.Error(), "in", pause)
		}))
	switch cause := context.Cause(ctx); {
	case err == nil:
		return done, nil
	case errors.Is(cause, errTimeout):
		return none, g.fail(ErrUnreachable, "is the server reachable from here, and the repository not too large?",
			"not done within %s", g.opts.Timeout)
	case cause != nil:
		return none, fmt.Errorf("git %q: %w", g.opts.URL, cause)
	default:
		// Retry gives the last of several tries as it is, wrapped.
		var p *backoff.PermanentError
		if errors.As(err, &p) {
			err = p.Err
		}
		return none, err
	}
}

// what names what is followed, for messages.
func (g *Git) what() string {
	switch {
	case g.rev != "":
		return fmt.Sprintf("%q", g.rev)
	case g.opts.Commit != "":
		return fmt.Sprintf("commit %q", g.opts.Commit)
	case g.ref.IsTag():
		return fmt.Sprintf("tag %q", g.ref.Short())
	default:
		return fmt.Sprintf("branch %q", g.ref.Short())
	}
}

// aim begins the advice to look at another part of the repository.
func (g *Git) aim() string {
	if g.rev != "" {
		return "point --manifests to"
	}
	return "set git.path to"
}

// fail gives an error that says which repository it is about.
func (g *Git) fail(kind error, hint, format string, args ...any) *Error {
	return &Error{
		kind: kind,
		msg:  g.scrub(fmt.Sprintf("git %q: ", g.opts.URL) + fmt.Sprintf(format, args...)),
		hint: g.scrub(hint),
	}
}

// keepSecret notes what must not appear in an error, whoever words it.
func (g *Git) keepSecret(user, password string) {
	g.secrets = append(g.secrets, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	g.secrets = append(g.secrets, secretForms(password)...)
}

func (g *Git) scrub(s string) string {
	for _, secret := range g.secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[redacted]")
		}
	}
	return s
}

// noRef says that the branch or tag isn't there, and what is. It is given the
// full names of all refs.
func (g *Git) noRef(refs []string) *Error {
	heads, tags := shortNames(refs, "refs/heads/"), shortNames(refs, "refs/tags/")
	if len(heads)+len(tags) == 0 {
		return g.fail(ErrNotFound, "push a first commit", "the repository is empty")
	}
	mine, others, other := heads, tags, "tag"
	if g.ref.IsTag() {
		mine, others, other = tags, heads, "branch"
	}
	name := g.ref.Short()
	hint := "there are none"
	if len(mine) > 0 {
		hint = "there are " + listed(mine)
	}
	if slices.Contains(others, name) {
		hint = fmt.Sprintf("there is a %s of that name: set git.%s", other, other)
	}
	return g.fail(ErrNotFound, hint, "there is no %s%s", g.what(), strictyaml.DidYouMean(name, mine))
}

func shortNames(refs []string, prefix string) []string {
	var short []string
	for _, r := range refs {
		if s, ok := strings.CutPrefix(r, prefix); ok {
			short = append(short, s)
		}
	}
	slices.Sort(short)
	return short
}
