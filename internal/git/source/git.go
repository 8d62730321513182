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
	"reconciler/internal/web"
)

// GitOptions are which commit of which repository to read, and which part of it.
type GitOptions struct {
	// URL is https, ssh, user@host:path, file, or a path on disk; http for
	// this machine only. It must not hold a password, nor for http(s) a user.
	URL string
	// Commit, Tag or Branch: the first that is set; the branch "main" without
	// any. Commit is a full hash of 40 digits.
	Branch, Tag, Commit string
	// Path is the folder or file that holds the manifests, from the top of the
	// repository; empty for all of it.
	Path    string
	Auth    Auth
	Timeout time.Duration // of one Fetch with all its tries; 2 minutes when it is 0
	Logger  *slog.Logger  // for fetches and retries; may be nil
	Names   Names
}

// Names are what users call some of the options, such as the keys of a config
// file: hints name the one to set. The zero value stands for plain words.
type Names struct {
	URL, Path, Username, Password, CAFile, SSHKeyFile, SSHPassphrase, KnownHostsFile string
}

var plainNames = Names{
	URL: "the URL", Path: "the path", Username: "the user", Password: "the password",
	CAFile: "the file of certificates", SSHKeyFile: "the SSH key", SSHPassphrase: "the passphrase", KnownHostsFile: "the file of known hosts",
}

// Auth is how to prove who we are to a remote repository. It is not used for
// repositories on disk. Files are read, and functions called, anew for each try,
// so that rotated secrets work. All may be empty, but for ssh.
type Auth struct {
	// Username for the server: "git" when it is empty, which the large hosts
	// accept beside a token. For ssh, it outranks the one in the URL.
	Username string
	// Password returns the password or token. A function that makes tokens has
	// to keep them as long as they are good.
	Password func(context.Context) (string, error)
	// Refused, unless it is nil, is called with a password that the server answers
	// 401 to. The fetch is then tried once more, with what Password returns next.
	Refused func(password string)
	// CAFile holds certificates in PEM that are trusted for https, and for a
	// proxy that is spoken to by https, besides the system's.
	CAFile        string
	SSHKeyFile    string // the private key, as ssh-keygen writes it
	SSHPassphrase func(context.Context) (string, error)
	// KnownHostsFile holds the host keys that are trusted, as in OpenSSH's
	// known_hosts. Needed for ssh: an unknown host is never trusted.
	KnownHostsFile string
}

// errTimeout is the cause when Timeout is over, and not the caller's context.
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
	// proxy returns the proxy to send a request through; tests set their own.
	proxy func(*http.Request) (*url.URL, error)
	// pauses returns the pauses between tries; tests shorten them.
	pauses func() backoff.BackOff

	mu       sync.Mutex
	last     *reading        // nil before the first
	filter   int             // the index in filters
	secrets  []string        // in the forms to be struck from errors
	password string          // that the server was last sent
	shown    string          // to an SSH server: the key, for messages, or the password
	warned   map[string]bool // what warnOnce has logged
}

// reading is the result of reading the commit that the ref last pointed to.
type reading struct {
	at   plumbing.Hash // of the commit, or of an annotated tag
	snap *Snapshot
	err  error // what is wrong with that commit's content
}

// limits bound the memory and the time that a repository can take.
type limits struct {
	file      int64 // bytes of a file above which its content is left out
	refs      int64 // bytes of the list of branches and tags of a server
	preamble  int64 // bytes of what a server says before it sends a pack
	pack      int64 // bytes of a pack
	memory    int   // bytes of a pack above which it is kept in a file
	inflated  int64 // bytes that any pack may inflate to: bounds time, not memory
	unpacked  int64 // bytes that its deltas may make: the same
	objects   int   // in one pack
	manifests int64 // bytes of all manifests of a commit
	entries   int   // files and folders of a commit below the path
	history   int64 // bytes of all commits of a History
}

func defaultLimits() limits {
	return limits{
		file: maxFile, refs: 6 << 20, preamble: 256 << 10, pack: 512 << 20, memory: 16 << 20, inflated: 4 << 30, unpacked: 8 << 30,
		objects: 1_000_000, manifests: 256 << 20, entries: 250_000, history: 64 << 20,
	}
}

// maxTries is how often one Fetch tries when the network fails it.
const maxTries = 3

// NewGit checks the options and returns a reader; it opens no connection and no
// file.
func NewGit(opts GitOptions) (*Git, error) {
	opts.Names = cmp.Or(opts.Names, plainNames)
	opts.Timeout = cmp.Or(opts.Timeout, 2*time.Minute)
	ep, err := parseURL(opts.URL, opts.Names)
	if err != nil {
		return nil, err
	}
	g := &Git{
		opts:   opts,
		ep:     *ep,
		log:    cmp.Or(opts.Logger, slog.New(slog.DiscardHandler)),
		proxy:  web.EnvironmentProxy,
		limits: defaultLimits(),
		pauses: func() backoff.BackOff { return backoff.NewExponentialBackOff() },
	}
	if err := cmp.Or(g.setRef(), g.setPath()); err != nil {
		return nil, err
	}
	if a := opts.Auth; ep.Protocol == "ssh" && (a.KnownHostsFile == "" || a.SSHKeyFile == "" && a.Password == nil) {
		return nil, g.fail(nil, fmt.Sprintf("set %s and %s", opts.Names.SSHKeyFile, opts.Names.KnownHostsFile),
			"ssh needs a private key, and a file of known hosts, or anyone could pose as %q", ep.Host)
	}
	return g, nil
}

func (g *Git) setRef() error {
	o := &g.opts
	switch {
	case o.Commit != "":
		o.Commit = strings.ToLower(o.Commit)
		return g.checkHash(o.Commit)
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

// checkHash returns an error for a commit that is not given by its full hash.
func (g *Git) checkHash(commit string) error {
	if len(commit) == 40 && plumbing.IsHash(commit) && commit == strings.ToLower(commit) {
		return nil
	}
	return g.fail(nil, `"git rev-parse REV" prints it`, "the commit %q is not a full hash of 40 digits", commit)
}

func (g *Git) setPath() error {
	p := path.Clean(strings.Trim(g.opts.Path, "/"))
	if !fs.ValidPath(p) {
		return g.fail(nil, "it starts at the top of the repository", "the path %q leads out of the repository", g.opts.Path)
	}
	g.opts.Path = p
	return nil
}

// Fetch returns the manifests at the commit where the branch or tag now stands.
// As long as that hasn't moved, which one request shows, it returns the same
// *Snapshot again, or the same error if that commit can't be used. A commit that
// is followed by its hash is read once.
//
// It may be called again after an error. Failures of the network are retried
// within Timeout. Calls are made one after another. But for ctx's own, errors are
// in this package's words, of one of its kinds, and hold no secret.
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
// within the timeout.
func attempt[T any](ctx context.Context, g *Git, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.opts.Timeout, errTimeout)
	defer cancel()
	done, err := do(ctx)
	if refused := g.opts.Auth.Refused; refused != nil && errors.Is(err, errUnauthorized) {
		g.log.WarnContext(ctx, "git: trying again with a new token", "error", err.Error())
		refused(g.password)
		done, err = do(ctx)
	}
	pauses := g.pauses()
	for try := 1; try < maxTries && errors.Is(err, errTransient); try++ {
		pause := pauses.NextBackOff()
		g.log.WarnContext(ctx, "git: trying again", "error", err.Error(), "in", pause)
		if web.Sleep(ctx, pause) != nil {
			break
		}
		done, err = do(ctx)
	}
	switch cause := context.Cause(ctx); {
	case err == nil || cause == nil:
		return done, err
	case errors.Is(cause, errTimeout):
		return done, g.fail(ErrUnreachable, "is the server reachable from here, and the repository not too large?",
			"not done within %s", g.opts.Timeout)
	default:
		return done, fmt.Errorf("git %q: %w", g.opts.URL, cause)
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

// fail returns a failure that names the repository, without a secret.
func (g *Git) fail(kind error, hint, format string, args ...any) error {
	msg := g.scrub(fmt.Sprintf("git %q: ", g.opts.URL) + fmt.Sprintf(format, args...))
	return fail(msg, g.scrub(hint), kind)
}

// transient is fail for what may work when it is tried again at once.
func (g *Git) transient(hint, format string, args ...any) error {
	return reclassify(g.fail(nil, hint, format, args...), ErrUnreachable, errTransient)
}

// keepSecret notes what must not appear in an error, ours or others'.
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

// noRef returns the error for a branch or tag that isn't there, with a hint at
// those that are. It takes the full names of all refs.
func (g *Git) noRef(refs []string) error {
	heads, tags := shortNames(refs, "refs/heads/"), shortNames(refs, "refs/tags/")
	if len(heads)+len(tags) == 0 {
		return g.fail(ErrNotFound, "push a first commit", "the repository is empty")
	}
	same := heads
	if g.ref.IsTag() {
		same = tags
	}
	hint := fmt.Sprintf("branches: %s; tags: %s", cmp.Or(listed(heads), "none"), cmp.Or(listed(tags), "none"))
	return g.fail(ErrNotFound, hint, "there is no %s%s", g.what(), strictyaml.DidYouMean(g.ref.Short(), same))
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
