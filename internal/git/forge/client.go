package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reconciler/internal/web"

	"github.com/cenkalti/backoff/v5"
)

// The forges.
const (
	GitHub = "github" // github.com and GitHub Enterprise Server
	GitLab = "gitlab" // gitlab.com and self-managed
)

// Providers gives the forges that New knows.
func Providers() []string { return []string{GitHub, GitLab} }

// Options is what a Client needs to know.
type Options struct {
	// Provider is GitHub or GitLab.
	Provider string
	// URL is the root of the REST API; empty means https://api.github.com or
	// https://gitlab.com/api/v4. On GitHub Enterprise Server it ends with
	// /api/v3, on a GitLab of one's own with /api/v4. It must be https, unless
	// it is on loopback.
	URL string
	// Repository is owner/name on GitHub; on GitLab the project's full path,
	// such as group/subgroup/name, or its number.
	Repository string
	// Token gives the token; it is asked before each attempt. On GitHub any
	// kind will do, on GitLab a personal, group or project access token with
	// the scope api.
	Token func(context.Context) (string, error)
	// HTTP sends the requests; http.DefaultTransport if nil.
	HTTP http.RoundTripper
	// UserAgent says who asks; "reconciler" if empty. GitHub refuses requests
	// without one.
	UserAgent string
	// Logger gets a line for each call (debug) and each repetition (warn); nil
	// is silent.
	Logger *slog.Logger
}

// Client comments on the requests of one repository and reports on its commits.
// Its methods may be called from many goroutines. Their errors are one line and
// hold no secrets; a refusal is an *Error in the chain, and most errors have a
// method Hint() string that says what to do.
type Client struct {
	forge forge
	name  string
}

// forge is what differs between the two.
type forge interface {
	// find gives the newest comment that begins with the marker and that we
	// wrote; none if there is none. Where the forge doesn't tell who we are, it
	// gives all that begin with the marker, those first that are the likeliest
	// to be ours, and says that it guessed.
	find(ctx context.Context, number int, marker string) (found []note, guessed bool, err error)
	// create isn't repeated where its outcome is unknown; the error is an
	// *uncertainError then.
	create(ctx context.Context, number int, text string) (*note, error)
	update(ctx context.Context, number int, id int64, text string) (*note, error)
	// link gives where people read a comment; empty if that isn't known.
	link(ctx context.Context, number int, n *note) string
	// prepare makes a text fit to be sent as a comment.
	prepare(text string) string
	// shown gives a status as lastStatus will give it back.
	shown(s Status) Status
	setStatus(ctx context.Context, commit string, s Status) error
	lastStatus(ctx context.Context, commit, context string) (*Status, error)
}

// note is a comment as the forge has it.
type note struct {
	id        int64
	body, url string
	bot       bool // by a program, as far as can be seen
}

// byLikelihood sorts comments of which nobody knows whose they are: what a
// program wrote before what a person did, and then the newest first.
func byLikelihood(notes []note) {
	slices.SortFunc(notes, func(a, b note) int {
		switch {
		case a.bot == b.bot:
			return cmp.Compare(b.id, a.id)
		case a.bot:
			return -1
		default:
			return 1
		}
	})
}

// New checks the options and gives a client. It sends nothing.
func New(opts Options) (*Client, error) {
	if opts.Token == nil {
		return nil, errors.New("a client of a forge needs a token")
	}
	c := &caller{transport: opts.HTTP, userAgent: opts.UserAgent, log: opts.Logger}
	var f forge
	var err error
	switch opts.Provider {
	case GitHub:
		f, err = newGitHub(c, opts)
	case GitLab:
		f, err = newGitLab(c, opts)
	default:
		err = fmt.Errorf("provider %q: must be %q or %q", opts.Provider, GitHub, GitLab)
	}
	if err != nil {
		return nil, err
	}
	c.defaults()
	return &Client{forge: f, name: c.name}, nil
}

// baseURL reads the root of an API. A token must not cross a network in the
// clear.
func baseURL(raw, fallback string) (*url.URL, error) {
	if raw == "" {
		raw = fallback
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the URL of the API is not a URL") // err quotes it, credentials and all
	}
	switch {
	case u.User != nil:
		return nil, errors.New("the URL of the API must not hold credentials")
	case u.Host == "":
		return nil, fmt.Errorf("the URL of the API must be a whole URL such as %s, not %q", fallback, raw)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL of the API must have neither query nor fragment: %q", raw)
	case u.Scheme != "https" && (u.Scheme != "http" || !web.IsLoopback(u.Hostname())):
		return nil, fmt.Errorf("the URL of the API must start with https://, not %q: a token goes with each request", u.Scheme+":")
	}
	if u.Path == "" {
		u.Path = "/" // else JoinPath gives a path without a slash before it
	}
	return u, nil
}

// Outcome is what Comment did.
type Outcome string

// What Comment can have done.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged" // it said so already
)

// Comment is a comment on a pull or merge request.
type Comment struct {
	// URL is where people read it; empty if the forge doesn't say.
	URL string
	// Outcome is what was done to make it say what it says.
	Outcome Outcome
	// Guessed says that there were comments of this name, and that the forge
	// doesn't tell who the token belongs to: whose they are was guessed.
	Guessed bool
}

const (
	// lookRounds bounds how often a comment is looked for and sent, when sending
	// it leaves its outcome open.
	lookRounds = 4
	// maxGuesses bounds how many comments are tried when nobody knows which is
	// ours: anybody can make any number of them.
	maxGuesses = 10
)

// Comment makes the one comment of this name on a pull or merge request say
// body, which is markdown: it changes the newest comment of ours that has the
// name, or creates one; one that says so already is left alone. Comments of
// others are never changed, whatever they begin with. A name is letters, digits
// and single dots, dashes and underscores between them. A body longer than the
// forge takes is cut at a line. It may be called again at any time; of several
// comments that a race made, all callers go on with the same one.
//
// GitHub and GitLab tell who a token belongs to. Where something between them
// and us keeps that back, any comment of the name may be ours: the newest one
// that may be changed is, those of apps before those of people, and a new one is
// created when none may be. The Comment says that it was guessed.
func (c *Client) Comment(ctx context.Context, number int, name, body string) (Comment, error) {
	if number < 1 {
		return Comment{}, fmt.Errorf("%d is no number of a pull or merge request", number)
	}
	mark, err := marker(name)
	if err != nil {
		return Comment{}, err
	}
	body = normal(body)
	if strings.TrimSpace(body) == "" {
		return Comment{}, errors.New("the comment is empty")
	}
	text := c.forge.prepare(mark + "\n" + body)

	var lost error // of a creation whose outcome is unknown
	done, err := backoff.Retry(ctx, func() (Comment, error) {
		done, err := c.comment(ctx, number, mark, text, lost != nil)
		var open *uncertainError
		if errors.As(err, &open) {
			lost = err
			return done, err
		}
		return done, backoff.Permanent(err)
	}, backoff.WithBackOff(growing()), backoff.WithMaxTries(lookRounds), backoff.WithMaxElapsedTime(patience))
	if err != nil && lost != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w, and now: %w", lost, err)
	}
	return done, err
}

// comment looks and then writes. After a creation whose outcome is unknown,
// finding the comment means that it was created.
func (c *Client) comment(ctx context.Context, number int, mark, text string, lost bool) (Comment, error) {
	found, guessed, err := c.forge.find(ctx, number, mark)
	if err != nil {
		return Comment{}, err
	}
	done := func(n *note, o Outcome) (Comment, error) {
		return Comment{URL: c.forge.link(ctx, number, n), Outcome: o, Guessed: guessed}, nil
	}
	for i := range found {
		if normal(found[i].body) != text {
			continue
		}
		if lost {
			return done(&found[i], Created)
		}
		return done(&found[i], Unchanged)
	}
	for _, f := range found[:min(len(found), maxGuesses)] {
		n, err := c.forge.update(ctx, number, f.id, text)
		if err == nil {
			return done(n, Updated)
		}
		if !guessed || !denied(err) {
			return Comment{}, err
		}
	}
	n, err := c.forge.create(ctx, number, text)
	if err != nil {
		return Comment{}, err
	}
	return done(n, Created)
}

// growing gives the waits between attempts where the server asked for none.
func growing() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = time.Second
	b.MaxInterval = 20 * time.Second
	b.Multiplier = 2
	return b
}
