package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/cenkalti/backoff/v5"
)

// The providers.
const (
	GitHub  = "github"  // github.com and GitHub Enterprise Server
	GitLab  = "gitlab"  // gitlab.com and self-managed
	Gitea   = "gitea"   // any server
	Forgejo = "forgejo" // any server, such as codeberg.org; the same API as Gitea's
)

// Providers returns the providers that New knows.
func Providers() []string { return []string{GitHub, GitLab, Gitea, Forgejo} }

// Options configure a Client.
type Options struct {
	Provider string // one of Providers
	// URL is the root of the REST API; empty means https://api.github.com or
	// https://gitlab.com/api/v4. On GitHub Enterprise Server it ends with
	// /api/v3; on a self-managed GitLab it ends with /api/v4, which may be left
	// out. Gitea and Forgejo have none of their own: it ends with /api/v1, which
	// may be left out. It must be https, unless it is on loopback.
	URL string
	// Repository is owner/name; on GitLab the project's full path,
	// such as group/subgroup/name, or its number.
	Repository string
	// Token returns the token; it is called before each attempt. On GitHub any
	// kind will do, on GitLab a personal, group or project access token with
	// the scope api, on Gitea one with the scopes write:issue, write:repository
	// and read:user.
	Token func(context.Context) (string, error)
	// Refused, unless it is nil, is called with a token that the provider answers
	// 401 to. The request is then repeated once, with what Token returns next.
	Refused func(token string)
	// HTTP sends the requests; web.Default if nil.
	HTTP http.RoundTripper
	// Logger gets a line for each attempt (debug) and each retry (warn); nil
	// discards them.
	Logger *slog.Logger
}

// Client comments on the requests of one repository and reports on its commits.
// Its methods may be called from many goroutines. Their errors are one line and
// hold no secrets; text.Hint returns what to do about them.
type Client struct{ provider }

// provider is what differs between the providers.
type provider interface {
	// comments returns the comments on a request; where newestFirst reports
	// true, the newest first.
	comments(ctx context.Context, number int) iter.Seq2[note, error]
	newestFirst() bool
	// me returns the id of the token's user. A denied error means that the
	// provider does not return it.
	me(ctx context.Context) (int64, error)
	// create is not repeated where its outcome is unknown; the error is an
	// *uncertainError then.
	create(ctx context.Context, number int, text string) (note, error)
	update(ctx context.Context, number int, id int64, text string) (note, error)
	// link returns where people read a comment; empty if that isn't known.
	link(ctx context.Context, number int, n note) string
	// prepare makes a text fit to be sent as a comment.
	prepare(text string) string

	// shown returns a status as the provider returns it once it is set.
	shown(s Status) Status
	setStatus(ctx context.Context, commit string, s Status) error
	// statuses returns the newest statuses of a commit, with others between
	// those that have this name.
	statuses(ctx context.Context, commit, name string) iter.Seq2[posted, error]
}

// note is a comment as the provider has it.
type note struct {
	id, author int64
	body, url  string
	bot        bool // the author looks like a program
}

// New returns a client. It checks the options and sends nothing.
func New(opts Options) (*Client, error) {
	if opts.Token == nil {
		return nil, errors.New("a client of a forge needs a token")
	}
	var p provider
	var err error
	switch opts.Provider {
	case GitHub:
		p, err = newGitHub(opts)
	case GitLab:
		p, err = newGitLab(opts)
	case Gitea:
		p, err = newGitea(opts, "Gitea")
	case Forgejo:
		p, err = newGitea(opts, "Forgejo")
	default:
		err = fmt.Errorf("provider %q: must be one of %s", opts.Provider, strings.Join(Providers(), ", "))
	}
	if err != nil {
		return nil, err
	}
	return &Client{p}, nil
}

// Outcome is what Comment did.
type Outcome string

// The outcomes of Comment.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged" // its text was the same already
)

// Comment is a comment on a pull or merge request.
type Comment struct {
	URL     string // where people read it; empty if the provider doesn't return it
	Outcome Outcome
	// Guessed is set if there were comments of this name and the provider did not
	// return the token's user, so it is not known which was ours.
	Guessed bool
}

const (
	// maxRounds bounds how often the comments are read and one is created, when
	// the outcome of creating it is unknown.
	maxRounds = 4
	// maxGuesses bounds how many comments are tried when it is not known which is
	// ours: anybody can make any number of them.
	maxGuesses = 10
)

// Comment makes body, which is markdown, the text of the one comment of this name
// on a pull or merge request: it updates the newest comment of the token's user that
// has the name, unless it has this text, or creates one. Comments of others are
// never changed. A name is letters and digits, with single dots, dashes and
// underscores between them. A body that is too long for the provider is cut at a
// line. Comment may be repeated at any time; where a race made several comments, all
// callers update the same one.
//
// Where a proxy blocks the request for the token's user, Comment updates the newest
// comment of the name that it may, those of apps before those of people, and creates
// a new one if it may update none.
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
	text := c.prepare(mark + "\n" + body)

	var lost error // of a creation whose outcome is unknown
	done, err := backoff.Retry(ctx, func() (Comment, error) {
		done, err := c.comment(ctx, number, mark, text, lost != nil)
		var open *uncertainError
		if errors.As(err, &open) {
			lost = err
			return done, err
		}
		return done, backoff.Permanent(err)
	}, backoff.WithBackOff(growing()), backoff.WithMaxTries(maxRounds), backoff.WithMaxElapsedTime(patience))
	if err != nil && lost != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w, and now: %w", lost, err)
	}
	return done, err
}

// comment reads the comments and then writes. After a creation whose outcome is
// unknown, a comment with this text means that it was created.
func (c *Client) comment(ctx context.Context, number int, mark, text string, lost bool) (Comment, error) {
	found, guessed, err := c.find(ctx, number, mark)
	if err != nil {
		return Comment{}, err
	}
	done := func(n note, o Outcome) (Comment, error) {
		return Comment{URL: c.link(ctx, number, n), Outcome: o, Guessed: guessed}, nil
	}
	same := slices.IndexFunc(found, func(n note) bool { return normal(n.body) == text })
	switch {
	case same >= 0 && lost:
		return done(found[same], Created)
	case same >= 0:
		return done(found[same], Unchanged)
	}
	for _, f := range found[:min(len(found), maxGuesses)] {
		n, err := c.update(ctx, number, f.id, text)
		if err == nil {
			return done(n, Updated)
		}
		if !guessed || !denied(err) {
			return Comment{}, err
		}
	}
	n, err := c.create(ctx, number, text)
	if err != nil {
		return Comment{}, err
	}
	return done(n, Created)
}

// find returns the newest comment that begins with the marker and that we wrote;
// none if there is none. Where the provider does not return the token's user, it
// returns all that begin with the marker, the likeliest to be ours first, and
// reports that it guessed.
func (c *Client) find(ctx context.Context, number int, mark string) (found []note, guessed bool, err error) {
	var me int64 // asked for when it is needed first
	for n, err := range c.comments(ctx, number) {
		if err != nil {
			return nil, false, err
		}
		if !marked(n.body, mark) {
			continue
		}
		if me == 0 && !guessed {
			me, err = c.me(ctx)
			guessed = denied(err)
			if err != nil && !guessed {
				return nil, false, err
			}
		}
		if guessed || n.author == me {
			found = append(found, n)
		}
		if !guessed && len(found) > 0 && c.newestFirst() {
			break
		}
	}
	slices.SortFunc(found, byLikelihood)
	if !guessed {
		found = found[:min(len(found), 1)]
	}
	return found, guessed, nil
}

// byLikelihood sorts comments whose authors are not known: those of programs
// before those of people, and then the newest first.
func byLikelihood(a, b note) int {
	switch {
	case a.bot && !b.bot:
		return -1
	case b.bot && !a.bot:
		return 1
	}
	return cmp.Compare(b.id, a.id)
}
