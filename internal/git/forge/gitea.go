package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"reconciler/internal/text"
)

const (
	giteaBody        = 65536 // characters of a comment; Gitea itself takes more
	giteaDescription = 255   // characters of a status
	// giteaPage is the longest page that Gitea returns unless it is configured
	// otherwise: https://docs.gitea.com/development/api-usage#pagination
	giteaPage = 50
)

// gitea is Gitea's API, and Forgejo's, which is the same. It resembles GitHub's in
// its paths; pages, states and credentials differ, so GitHub's library reads no
// status of it.
type gitea struct {
	*caller
	repo *url.URL
}

// newGitea returns the provider; name is what it calls itself.
func newGitea(opts Options, name string) (*gitea, error) {
	if opts.URL == "" {
		return nil, fmt.Errorf("%s needs the URL of its API, such as https://git.example/api/v1", name)
	}
	// https://docs.gitea.com/development/api-usage#authentication
	c := &caller{
		Options: opts, name: name, header: "Authorization", scheme: "token ", hints: giteaHints,
		pageHint: "this is not an answer of the API: its URL ends with /api/v1",
	}
	if err := c.setDefaults(""); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(c.base.Path, "/api/v1/") {
		c.base = c.base.JoinPath("api/v1/")
	}
	owner, repo, _ := strings.Cut(opts.Repository, "/")
	if !githubRepository.MatchString(opts.Repository) || dots(owner) || dots(repo) {
		return nil, fmt.Errorf("a repository on %s is OWNER/NAME, not %q", name, opts.Repository)
	}
	return &gitea{c, c.base.JoinPath("repos", owner, repo)}, nil
}

// send makes a call: in is sent and out read as JSON; either may be nil.
func (g *gitea) send(ctx context.Context, method string, u *url.URL, in, out any) (http.Header, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := g.httpClient().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if out == nil {
		return resp.Header, nil
	}
	return resp.Header, json.NewDecoder(resp.Body).Decode(out)
}

// pages reads a list, some pages of which may have the entries of the one before:
// comments come all at once, whatever page is asked for.
func pages[T, U any](g *gitea, what string, read func(query url.Values) ([]T, http.Header, error), id func(T) int64, convert func(T) U) iter.Seq2[U, error] {
	seen, first := 0, int64(0)
	return paged(what, giteaPage, func(page int) ([]T, bool, error) {
		all, header, err := read(url.Values{"page": {strconv.Itoa(page)}, "limit": {strconv.Itoa(giteaPage)}})
		if err != nil || len(all) == 0 || page > 1 && id(all[0]) == first {
			return nil, false, err
		}
		first = id(all[0])
		seen += len(all)
		more := len(all) == giteaPage
		if total, err := strconv.Atoi(header.Get("X-Total-Count")); err == nil {
			more = seen < total
		}
		return all, more, nil
	}, convert)
}

// giteaComment is a comment in answers.
type giteaComment struct {
	ID      int64     `json:"id"`
	HTMLURL string    `json:"html_url"`
	Body    string    `json:"body"`
	User    giteaUser `json:"user"`
}

// giteaUser is a user. Programs of Gitea itself, such as the user of the tokens of
// its Actions, have negative ids.
type giteaUser struct {
	ID int64 `json:"id"`
}

func (c giteaComment) note() note {
	return note{id: c.ID, author: c.User.ID, body: c.Body, url: c.HTMLURL, bot: c.User.ID < 0}
}

// comments: https://docs.gitea.com/api#tag/issue/operation/issueGetComments
func (g *gitea) comments(ctx context.Context, number int) iter.Seq2[note, error] {
	return pages(g, "comments on the pull request", func(query url.Values) (all []giteaComment, h http.Header, err error) {
		ctx, call := g.begin(ctx, aboutComments)
		u := g.repo.JoinPath("issues", strconv.Itoa(number), "comments")
		u.RawQuery = query.Encode()
		h, err = g.send(ctx, http.MethodGet, u, nil, &all)
		return all, h, call.end(err)
	}, func(c giteaComment) int64 { return c.ID }, giteaComment.note)
}

// newestFirst is false: comments come in the order in which they were made.
func (g *gitea) newestFirst() bool { return false }

// me returns the token's user, unless the token lacks the scope read:user.
// https://docs.gitea.com/api#tag/user/operation/userGetCurrent
func (g *gitea) me(ctx context.Context) (int64, error) {
	ctx, call := g.begin(ctx, aboutUser)
	var user giteaUser
	_, err := g.send(ctx, http.MethodGet, g.base.JoinPath("user"), nil, &user)
	if err = call.end(err); err == nil && user.ID == 0 {
		err = errors.New(g.name + ": the token's user has no id")
	}
	return user.ID, err
}

func (g *gitea) link(_ context.Context, _ int, n note) string { return n.url }

// create: https://docs.gitea.com/api#tag/issue/operation/issueCreateComment
func (g *gitea) create(ctx context.Context, number int, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	call.once = true
	var c giteaComment
	_, err := g.send(ctx, http.MethodPost, g.repo.JoinPath("issues", strconv.Itoa(number), "comments"), map[string]string{"body": text}, &c)
	return c.note(), call.end(err)
}

// update: https://docs.gitea.com/api#tag/issue/operation/issueEditComment
func (g *gitea) update(ctx context.Context, _ int, id int64, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	var c giteaComment
	_, err := g.send(ctx, http.MethodPatch, g.repo.JoinPath("issues/comments", strconv.FormatInt(id, 10)), map[string]string{"body": text}, &c)
	return c.note(), call.end(err)
}

func (g *gitea) prepare(text string) string { return fit(text, giteaBody) }

func (g *gitea) shown(s Status) Status {
	s.Description = text.OneLine(s.Description, giteaDescription)
	return s
}

// giteaStatus is a status in answers: its state has another name there than in
// requests.
type giteaStatus struct {
	ID          int64  `json:"id"`
	Status      string `json:"status"`
	State       string `json:"state"`
	Context     string `json:"context"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

// posted returns the status with a state of ours; other programs may have set it.
func (s giteaStatus) posted() posted {
	state := State(cmp.Or(s.Status, s.State))
	switch state {
	case Success, Failure, Pending, Errored:
	case "warning":
		state = Failure
	default:
		state = Pending
	}
	return posted{s.ID, Status{state, s.Context, s.Description, s.TargetURL}}
}

// setStatus: https://docs.gitea.com/api#tag/repository/operation/repoCreateStatus
func (g *gitea) setStatus(ctx context.Context, commit string, s Status) error {
	ctx, call := g.begin(ctx, aboutStatus)
	_, err := g.send(ctx, http.MethodPost, g.repo.JoinPath("statuses", commit), map[string]string{
		"state": string(s.State), "context": s.Context, "description": s.Description, "target_url": s.TargetURL,
	}, nil)
	return call.end(err)
}

// statuses reads the combined status, which has the newest of each context:
// https://docs.gitea.com/api#tag/repository/operation/repoGetCombinedStatusByRef
func (g *gitea) statuses(ctx context.Context, commit, _ string) iter.Seq2[posted, error] {
	return pages(g, "statuses of the commit", func(query url.Values) ([]giteaStatus, http.Header, error) {
		ctx, call := g.begin(ctx, aboutStatus)
		u := g.repo.JoinPath("commits", commit, "status")
		u.RawQuery = query.Encode()
		var combined struct {
			Statuses []giteaStatus `json:"statuses"`
		}
		h, err := g.send(ctx, http.MethodGet, u, nil, &combined)
		return combined.Statuses, h, call.end(err)
	}, func(s giteaStatus) int64 { return s.ID }, giteaStatus.posted)
}

const giteaUnseen = ", and that the token's user has access: private repositories are not shown to those without"

var giteaHints = map[situation]string{
	{http.StatusUnauthorized, anyTopic}: "the server doesn't know the token: it is wrong or was deleted, or of another server than the URL's",
	{http.StatusForbidden, anyTopic}:    "the token may not comment: it needs the scope write:issue, and read:user to know its own comment; its user has to be one who may write to the repository's pull requests",
	{http.StatusForbidden, aboutStatus}: "the token may not report statuses: it needs the scope write:repository, and its user has to be one who may write to the repository",
	{http.StatusNotFound, anyTopic}:     "check the repository, the number" + giteaUnseen,
	{http.StatusNotFound, aboutStatus}:  "check the repository, the commit" + giteaUnseen,
}
