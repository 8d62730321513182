package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"reconciler/internal/text"
)

const (
	githubURL = "https://api.github.com"
	// githubVersion is the version of the API that is spoken
	// (https://docs.github.com/en/rest/about-the-rest-api/api-versions).
	githubVersion = "2022-11-28"

	githubBody        = 65536 // characters of a comment
	githubDescription = 140   // characters of a status
	githubPage        = 100
)

type github struct {
	*caller
	owner, repo string
}

var githubRepository = regexp.MustCompile(`^[\w.-]+/[\w.-]+$`)

func newGitHub(c *caller, opts Options) (*github, error) {
	if err := c.github(opts.URL); err != nil {
		return nil, err
	}
	owner, repo, _ := strings.Cut(opts.Repository, "/")
	if !githubRepository.MatchString(opts.Repository) || owner == "." || owner == ".." || repo == "." || repo == ".." {
		return nil, fmt.Errorf("a repository on GitHub is OWNER/NAME, not %q", opts.Repository)
	}
	c.authorize = bearer(opts.Token)
	return &github{c, owner, repo}, nil
}

// github makes c a caller of GitHub's API.
func (c *caller) github(raw string) error {
	base, err := baseURL(raw, githubURL)
	if err != nil {
		return err
	}
	if base.Hostname() == "github.com" || base.Hostname() == "www.github.com" {
		return text.WithHint(fmt.Errorf("%q is not GitHub's API", raw), "its API is "+githubURL)
	}
	c.name, c.base, c.hint = "GitHub", base, c.githubHint
	return nil
}

// bearer puts a token on as GitHub wants it, together with what else it wants.
// https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
func bearer(token func(context.Context) (string, error)) func(context.Context, http.Header) (string, error) {
	return func(ctx context.Context, h http.Header) (string, error) {
		t, err := checkedToken(ctx, token)
		if err != nil {
			return "", err
		}
		h.Set("Authorization", "Bearer "+t)
		h.Set("Accept", "application/vnd.github+json")
		h.Set("X-GitHub-Api-Version", githubVersion)
		return t, nil
	}
}

// checkedToken refuses what can't be a token before it reaches a header, where
// it would be refused with less clear words.
func checkedToken(ctx context.Context, token func(context.Context) (string, error)) (string, error) {
	t, err := token(ctx)
	if err != nil {
		return "", err
	}
	t = strings.TrimSpace(t)
	if t == "" {
		return "", errors.New("the token is empty")
	}
	if strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the token has characters that no token has, such as a line break")
	}
	return t, nil
}

func (g *github) endpoint(segments ...string) *url.URL {
	return g.path(append([]string{"repos", g.owner, g.repo}, segments...)...)
}

type githubUser struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
}

type githubComment struct {
	ID   int64      `json:"id"`
	Body string     `json:"body"`
	URL  string     `json:"html_url"`
	User githubUser `json:"user"`
}

func (c *githubComment) note() *note { return &note{c.ID, c.Body, c.URL, c.User.Type == "Bot"} }

// find reads all comments, which come oldest first and in no other order:
// https://docs.github.com/en/rest/issues/comments#list-issue-comments
func (g *github) find(ctx context.Context, number int, marker string) ([]note, bool, error) {
	var marks []githubComment
	for page := 1; ; page++ {
		if page > maxPages {
			return nil, false, fmt.Errorf("GitHub: the pull request has more than %d comments", maxPages*githubPage)
		}
		u := query(g.endpoint("issues", strconv.Itoa(number), "comments"), "per_page", strconv.Itoa(githubPage), "page", strconv.Itoa(page))
		var comments []githubComment
		header, err := g.do(ctx, request{method: http.MethodGet, url: u}, &comments)
		if err != nil {
			return nil, false, err
		}
		for _, c := range comments {
			if marked(c.Body, marker) {
				marks = append(marks, c)
			}
		}
		if !hasNext(header) {
			break
		}
	}
	if len(marks) == 0 {
		return nil, false, nil
	}
	me, err := g.viewer(ctx)
	guessed := denied(err)
	if err != nil && !guessed {
		return nil, false, err
	}
	var found []note
	for _, c := range marks {
		if guessed || c.User.ID == me {
			found = append(found, *c.note())
		}
	}
	byLikelihood(found)
	if !guessed {
		found = found[:min(len(found), 1)]
	}
	return found, guessed, nil
}

// hasNext says whether a list goes on. The page is counted rather than taken
// from the link, which comes from outside.
// https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
func hasNext(h http.Header) bool { return strings.Contains(h.Get("Link"), `rel="next"`) }

// viewer gives who we are. GET /user is refused to the tokens of apps, and so
// to the GITHUB_TOKEN of a workflow, whereas the GraphQL API tells any token who
// it is. The error is a denial where both are denied, such as behind a proxy
// that passes little.
// https://docs.github.com/en/graphql/reference/queries#viewer
// https://docs.github.com/en/rest/users/users#get-the-authenticated-user
func (g *github) viewer(ctx context.Context) (int64, error) {
	var answer struct {
		Data struct {
			Viewer struct {
				ID int64 `json:"databaseId"`
			} `json:"viewer"`
		} `json:"data"`
	}
	ask := map[string]string{"query": "query { viewer { databaseId } }"}
	_, first := g.do(ctx, request{what: aboutUser, method: http.MethodPost, url: g.graphQL(), body: ask}, &answer)
	switch {
	case first == nil && answer.Data.Viewer.ID != 0:
		return answer.Data.Viewer.ID, nil
	case first == nil: // a limit, for one, is answered with 200
		first = errors.New("GitHub: the GraphQL API doesn't tell who the token belongs to")
	}
	var user githubUser
	_, err := g.do(ctx, request{what: aboutUser, method: http.MethodGet, url: g.path("user")}, &user)
	switch {
	case denied(err) && !denied(first):
		return 0, first // which may well tell later
	case err == nil && user.ID == 0:
		err = errors.New("GitHub: the token's user has no id")
	}
	return user.ID, err
}

// graphQL gives the address of the GraphQL API, which on Enterprise Server is
// not below that of the REST API:
// https://docs.github.com/en/enterprise-server/graphql/guides/managing-enterprise-accounts
func (g *github) graphQL() *url.URL {
	if base, ok := strings.CutSuffix(strings.TrimRight(g.base.Path, "/"), "/api/v3"); ok {
		u := *g.base
		u.Path, u.RawPath = base+"/api/graphql", ""
		return &u
	}
	return g.path("graphql")
}

// create: https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
func (g *github) create(ctx context.Context, number int, text string) (*note, error) {
	var c githubComment
	_, err := g.do(ctx, request{
		method: http.MethodPost, url: g.endpoint("issues", strconv.Itoa(number), "comments"),
		body: map[string]string{"body": text}, once: true,
	}, &c)
	return c.note(), err
}

// update: https://docs.github.com/en/rest/issues/comments#update-an-issue-comment
func (g *github) update(ctx context.Context, _ int, id int64, text string) (*note, error) {
	var c githubComment
	_, err := g.do(ctx, request{
		method: http.MethodPatch, url: g.endpoint("issues", "comments", strconv.FormatInt(id, 10)),
		body: map[string]string{"body": text},
	}, &c)
	return c.note(), err
}

func (g *github) link(_ context.Context, _ int, n *note) string { return n.url }

func (g *github) prepare(text string) string { return fit(text, githubBody) }

type githubStatus struct {
	State       State   `json:"state"`
	Context     string  `json:"context"`
	Description *string `json:"description,omitempty"`
	TargetURL   *string `json:"target_url,omitempty"`
}

func (g *github) shown(s Status) Status {
	s.Description = text.OneLine(s.Description, githubDescription)
	return s
}

// setStatus: https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
func (g *github) setStatus(ctx context.Context, commit string, s Status) error {
	wire := githubStatus{State: s.State, Context: s.Context}
	if s.Description != "" {
		wire.Description = &s.Description
	}
	if s.TargetURL != "" {
		wire.TargetURL = &s.TargetURL
	}
	_, err := g.do(ctx, request{what: aboutStatus, method: http.MethodPost, url: g.endpoint("statuses", commit), body: wire}, nil)
	return err
}

// lastStatus reads the combined status, which has the newest of each context:
// https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference
func (g *github) lastStatus(ctx context.Context, commit, name string) (*Status, error) {
	for page := 1; page <= maxPages; page++ {
		u := query(g.endpoint("commits", commit, "status"), "per_page", strconv.Itoa(githubPage), "page", strconv.Itoa(page))
		var combined struct {
			Statuses []githubStatus `json:"statuses"`
		}
		header, err := g.do(ctx, request{what: aboutStatus, method: http.MethodGet, url: u}, &combined)
		if err != nil {
			return nil, err
		}
		for _, s := range combined.Statuses {
			if s.Context == name {
				return &Status{s.State, s.Context, deref(s.Description), deref(s.TargetURL)}, nil
			}
		}
		if !hasNext(header) {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("GitHub: the commit has more than %d statuses", maxPages*githubPage)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// githubHint gives advice on a refusal of GitHub.
func (c *caller) githubHint(e *Error) string {
	// Only Enterprise Server has its API below a path.
	if e.page && c.base.Hostname() != "api.github.com" && !strings.Contains(c.base.Path, "/api/v3") {
		return "this is no answer of the API: add /api/v3 to its URL"
	}
	switch e.Status {
	case http.StatusUnauthorized:
		if e.topic == aboutApp {
			return "check the app's id and private key, and this machine's clock: a signed request is good for minutes"
		}
		return "GitHub doesn't know the token: it is wrong, expired or revoked, or of another GitHub than the URL's"
	case http.StatusForbidden:
		return githubForbidden[e.topic]
	case http.StatusNotFound, http.StatusGone:
		return githubNotFound[e.topic]
	case http.StatusUnprocessableEntity:
		if e.topic == aboutStatus {
			return "is the commit in this repository?"
		}
	}
	return ""
}

var (
	githubForbidden = map[topic]string{
		aboutComments: "the token may not comment: the job needs \"permissions: pull-requests: write\", an app or fine-grained token pull requests: write; a pull request from a fork gets a read-only token",
		aboutStatus:   "the token may not report statuses: it needs \"statuses: write\", called commit statuses in an app's permissions",
		aboutApp:      "was the app suspended?",
	}
	githubNotFound = map[topic]string{
		aboutComments: "check the repository, the number, and that the token has access: GitHub doesn't show private repositories to those without",
		aboutStatus:   "check the repository, the commit, and that the token has access: GitHub doesn't show private repositories to those without",
		aboutApp:      "check the installation's id, and that it is one of this app",
	}
)
