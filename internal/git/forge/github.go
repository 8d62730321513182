package forge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/go-github/v84/github"

	"reconciler/internal/text"
)

const (
	githubURL = "https://api.github.com"

	githubBody        = 65536 // characters of a comment
	githubDescription = 140   // characters of a status
	githubPage        = 100
)

type gitHub struct {
	*caller
	owner, repo string
}

var githubRepository = regexp.MustCompile(`^[\w.-]+/[\w.-]+$`)

func newGitHub(opts Options) (*gitHub, error) {
	c, err := githubCaller(opts)
	if err != nil {
		return nil, err
	}
	owner, repo, _ := strings.Cut(opts.Repository, "/")
	if !githubRepository.MatchString(opts.Repository) || dots(owner) || dots(repo) {
		return nil, fmt.Errorf("a repository on GitHub is OWNER/NAME, not %q", opts.Repository)
	}
	return &gitHub{c, owner, repo}, nil
}

func dots(segment string) bool { return segment == "." || segment == ".." }

// githubCaller returns a caller of GitHub's API.
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
func githubCaller(opts Options) (*caller, error) {
	c := &caller{Options: opts, name: "GitHub", header: "Authorization", scheme: "Bearer ", hints: githubHints}
	if err := c.setDefaults(githubURL); err != nil {
		return nil, err
	}
	if host := c.base.Hostname(); host == "github.com" || host == "www.github.com" {
		return nil, text.WithHint(fmt.Errorf("%q is not GitHub's API", opts.URL), "its API is "+githubURL)
	}
	// Only Enterprise Server has its API below a path.
	if c.base.Hostname() != "api.github.com" && !strings.Contains(c.base.Path, "/api/v3") {
		c.pageHint = "this is not an answer of the API: add /api/v3 to its URL"
	}
	return c, nil
}

// githubClient returns a client of the library. It is made for each call, because
// a client remembers rate limits, and because a field of its type, in a struct
// that is in an interface, would link all methods of the library, which are 3 MB.
func githubClient(c *caller) *github.Client {
	api := github.NewClient(c.httpClient())
	api.BaseURL = c.base
	return api
}

func githubNote(c *github.IssueComment) note {
	return note{c.GetID(), c.GetUser().GetID(), c.GetBody(), c.GetHTMLURL(), c.GetUser().GetType() == "Bot"}
}

// comments: https://docs.github.com/en/rest/issues/comments#list-issue-comments
func (g *gitHub) comments(ctx context.Context, number int) iter.Seq2[note, error] {
	return paged("comments on the pull request", githubPage, func(page int) ([]*github.IssueComment, bool, error) {
		ctx, call := g.begin(ctx, aboutComments)
		opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{Page: page, PerPage: githubPage}}
		all, resp, err := githubClient(g.caller).Issues.ListComments(ctx, g.owner, g.repo, number, opts)
		return all, err == nil && resp.NextPage > 0, call.end(err)
	}, githubNote)
}

// newestFirst is false, as GitHub has no other order than oldest first.
func (g *gitHub) newestFirst() bool { return false }

// me returns the token's user. GET /user is refused to the tokens of apps, and so to
// the GITHUB_TOKEN of a workflow, but the GraphQL API returns the user of any token.
// The error is a denial only where both are denied, such as by a proxy.
// https://docs.github.com/en/graphql/reference/queries#viewer
// https://docs.github.com/en/rest/users/users#get-the-authenticated-user
func (g *gitHub) me(ctx context.Context) (int64, error) {
	id, first := g.viewer(ctx)
	if first == nil {
		return id, nil
	}
	ctx, call := g.begin(ctx, aboutUser)
	user, _, err := githubClient(g.caller).Users.Get(ctx, "")
	err = call.end(err)
	switch {
	case denied(err) && !denied(first):
		return 0, first // which may succeed later
	case err == nil && user.GetID() == 0:
		err = errors.New("GitHub: the token's user has no id")
	}
	return user.GetID(), err
}

func (g *gitHub) viewer(ctx context.Context) (int64, error) {
	var answer struct {
		Data struct{ Viewer struct{ DatabaseID int64 } }
	}
	query := map[string]string{"query": "query { viewer { databaseId } }"}
	api := githubClient(g.caller)
	req, err := api.NewRequest(http.MethodPost, g.graphQL().String(), query)
	if err != nil {
		return 0, err
	}
	ctx, call := g.begin(ctx, aboutUser)
	_, err = api.Do(ctx, req, &answer)
	err = call.end(err)
	if err == nil && answer.Data.Viewer.DatabaseID == 0 { // a limit, for one, is answered with 200
		err = errors.New("GitHub: the GraphQL API does not return the user of the token")
	}
	return answer.Data.Viewer.DatabaseID, err
}

// graphQL returns the address of the GraphQL API, which on Enterprise Server is
// not below that of the REST API:
// https://docs.github.com/en/enterprise-server/graphql/guides/managing-enterprise-accounts
func (g *gitHub) graphQL() *url.URL {
	if strings.HasSuffix(g.base.Path, "/api/v3/") {
		return g.base.JoinPath("../graphql")
	}
	return g.base.JoinPath("graphql")
}

// create: https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
func (g *gitHub) create(ctx context.Context, number int, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	call.once = true
	c, _, err := githubClient(g.caller).Issues.CreateComment(ctx, g.owner, g.repo, number, &github.IssueComment{Body: &text})
	return githubNote(c), call.end(err)
}

// update: https://docs.github.com/en/rest/issues/comments#update-an-issue-comment
func (g *gitHub) update(ctx context.Context, _ int, id int64, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	c, _, err := githubClient(g.caller).Issues.EditComment(ctx, g.owner, g.repo, id, &github.IssueComment{Body: &text})
	return githubNote(c), call.end(err)
}

func (g *gitHub) link(_ context.Context, _ int, n note) string { return n.url }

func (g *gitHub) prepare(text string) string { return fit(text, githubBody) }

func (g *gitHub) shown(s Status) Status {
	s.Description = text.OneLine(s.Description, githubDescription)
	return s
}

// setStatus: https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
func (g *gitHub) setStatus(ctx context.Context, commit string, s Status) error {
	ctx, call := g.begin(ctx, aboutStatus)
	_, _, err := githubClient(g.caller).Repositories.CreateStatus(ctx, g.owner, g.repo, commit, github.RepoStatus{
		State: (*string)(&s.State), Context: &s.Context, Description: unlessEmpty(s.Description), TargetURL: unlessEmpty(s.TargetURL),
	})
	return call.end(err)
}

// unlessEmpty returns a pointer to s; nil, which is not sent, if s is empty.
func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// statuses reads the combined status, which has the newest of each context:
// https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference
func (g *gitHub) statuses(ctx context.Context, commit, _ string) iter.Seq2[posted, error] {
	return paged("statuses of the commit", githubPage, func(page int) ([]*github.RepoStatus, bool, error) {
		ctx, call := g.begin(ctx, aboutStatus)
		combined, resp, err := githubClient(g.caller).Repositories.GetCombinedStatus(ctx, g.owner, g.repo, commit, &github.ListOptions{Page: page, PerPage: githubPage})
		if err != nil {
			return nil, false, call.end(err)
		}
		return combined.Statuses, resp.NextPage > 0, nil
	}, func(s *github.RepoStatus) posted {
		return posted{s.GetID(), Status{State(s.GetState()), s.GetContext(), s.GetDescription(), s.GetTargetURL()}}
	})
}

const githubUnseen = ", and that the token has access: GitHub doesn't show private repositories to those without"

var githubHints = map[situation]string{
	{http.StatusUnauthorized, anyTopic}:           "GitHub doesn't know the token: it is wrong, expired or revoked, or of another GitHub than the URL's",
	{http.StatusUnauthorized, aboutApp}:           "check the app's id and private key, and this machine's clock: a signed request is valid for minutes",
	{http.StatusForbidden, aboutComments}:         "the token may not comment: the job needs \"permissions: pull-requests: write\", an app or fine-grained token pull requests: write; a pull request from a fork gets a read-only token",
	{http.StatusForbidden, aboutStatus}:           "the token may not report statuses: it needs \"statuses: write\", called commit statuses in an app's permissions",
	{http.StatusForbidden, aboutApp}:              "was the app suspended?",
	{http.StatusNotFound, aboutComments}:          "check the repository, the number" + githubUnseen,
	{http.StatusGone, aboutComments}:              "check the repository, the number" + githubUnseen,
	{http.StatusNotFound, aboutStatus}:            "check the repository, the commit" + githubUnseen,
	{http.StatusNotFound, aboutApp}:               "check the installation's id, and that it is one of this app",
	{http.StatusUnprocessableEntity, aboutStatus}: "is the commit in this repository?",
}
