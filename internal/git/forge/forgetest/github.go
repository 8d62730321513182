package forgetest

import (
	"cmp"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// GitHub's limits.
const (
	githubMaxBody        = 65536
	githubMaxDescription = 140
	githubMaxStatuses    = 1000 // for each commit and context
	githubPage           = 30   // where per_page isn't given
)

// GitHubToken has the permissions of a token.
type GitHubToken struct {
	// Login is the token's user; one that ends with [bot] is an app's, such as
	// github-actions[bot], whose token is the GITHUB_TOKEN of workflows.
	Login string
	// Comments and Statuses allow to write them. All tokens may read.
	Comments, Statuses bool
	// NoAccess is a token for which the repository does not exist.
	NoAccess bool
}

func (t GitHubToken) bot() bool { return githubBot(t.Login) }

func githubBot(login string) bool { return strings.HasSuffix(login, "[bot]") }

// GitHub stands in for an Enterprise Server with one repository.
type GitHub struct {
	*Server

	// All of it is guarded by mu.
	repo      string
	former    []string
	tokens    map[string]GitHubToken
	apps      []githubApp
	forgetful bool // tokens of apps are refused
	remaining int  // requests until the rate limit; negative is no limit
	reset     time.Time
}

type githubApp struct {
	id, installation string
	key              *rsa.PublicKey
	as               GitHubToken
}

const githubRepoID = "4711"

// NewGitHub starts a GitHub with one repository, such as "acme/orgs", until the
// test ends.
func NewGitHub(t Test, repository string) *GitHub {
	g := &GitHub{
		Server: newServer("/api/v3"), repo: repository, tokens: map[string]GitHubToken{}, remaining: -1,
	}
	g.commentURL = func(number int, id int64) string {
		return fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", strings.TrimSuffix(g.URL, g.root), g.repo, number, id)
	}
	mux := http.NewServeMux()
	const repo = "/api/v3/repos/{owner}/{repo}"
	for pattern, h := range map[string]func(request, GitHubToken) *answer{
		"GET " + repo + "/issues/{number}/comments":  g.listComments,
		"POST " + repo + "/issues/{number}/comments": g.createComment,
		"PATCH " + repo + "/issues/comments/{id}":    g.updateComment,
		"POST " + repo + "/statuses/{sha}":           g.createStatus,
		"GET " + repo + "/commits/{sha}/status":      g.combinedStatus,
		"GET /api/v3/user":                           g.user,
		"POST /api/graphql":                          g.graphQL,
	} {
		mux.Handle(pattern, guarded(g.enter, githubUnparsed, h))
	}
	mux.Handle("POST /api/v3/app/installations/{id}/access_tokens", handler(g.accessToken))
	mux.Handle("/", handler(func(r request) *answer {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return &answer{http.StatusNotFound, page("<!DOCTYPE html><title>Page not found</title>")}
		}
		return githubNotFound
	}))
	g.start(t, g.edge(mux))
	return g
}

// AddToken adds a token.
func (g *GitHub) AddToken(value string, t GitHubToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[value] = t
}

// Rename renames the repository. Its former name is redirected.
func (g *GitHub) Rename(repository string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.former = append(g.former, g.repo)
	g.repo = repository
}

// Limit sets how many requests pass before the rate limit, which ends at reset.
func (g *GitHub) Limit(remaining int, reset time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remaining, g.reset = remaining, reset
}

// edge does what GitHub does before it handles a request: it requires a
// User-Agent and a version that it knows, and redirects renamed repositories.
// https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
func (g *GitHub) edge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := g.precheck(request{Request: r, header: w.Header()}); refusal != nil {
			handler(func(request) *answer { return refusal }).ServeHTTP(w, r)
			return
		}
		if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v3/repositories/"+githubRepoID+"/"); ok {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/api/v3/repos/"+g.repo+"/"+rest, ""
		}
		next.ServeHTTP(w, r)
	})
}

func (g *GitHub) precheck(r request) *answer {
	if r.Header.Get("User-Agent") == "" {
		return &answer{http.StatusForbidden, page("Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")}
	}
	if v := r.Header.Get("X-GitHub-Api-Version"); v != "" && v != "2022-11-28" {
		return githubError(http.StatusBadRequest, fmt.Sprintf("%q is not a supported version of the GitHub API.", v))
	}
	for _, f := range g.former {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v3/repos/"+f+"/"); ok {
			r.header.Set("Location", "http://"+r.Host+"/api/v3/repositories/"+githubRepoID+"/"+rest+"?"+r.URL.RawQuery)
			code := http.StatusTemporaryRedirect
			if r.Method == http.MethodGet {
				code = http.StatusMovedPermanently
			}
			return githubError(code, "Moved Permanently")
		}
	}
	return nil
}

// enter checks credentials, limits and the repository.
func (g *GitHub) enter(r *request) (GitHubToken, *answer) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, known := g.tokens[value]
	switch scheme = strings.ToLower(scheme); {
	case value == "":
		return t, githubError(http.StatusUnauthorized, "Requires authentication")
	case !known || scheme != "bearer" && scheme != "token":
		return t, githubError(http.StatusUnauthorized, "Bad credentials")
	case g.limited(r.header):
		return t, githubError(http.StatusForbidden, fmt.Sprintf("API rate limit exceeded for user ID %d.", g.userID(t.Login)))
	}
	if owner := r.PathValue("owner"); owner != "" && (t.NoAccess || !strings.EqualFold(owner+"/"+r.PathValue("repo"), g.repo)) {
		return t, githubNotFound
	}
	r.number, _ = strconv.Atoi(r.PathValue("number"))
	if r.PathValue("number") != "" && g.comments[r.number] == nil {
		return t, githubNotFound
	}
	return t, nil
}

// limited counts a request, and reports whether the rate limit rejects it.
func (g *GitHub) limited(h http.Header) bool {
	if g.remaining < 0 {
		return false
	}
	h.Set("X-RateLimit-Limit", "5000")
	h.Set("X-RateLimit-Reset", strconv.FormatInt(g.reset.Unix(), 10))
	h.Set("Date", g.now().UTC().Format(http.TimeFormat))
	if !g.now().Before(g.reset) {
		g.remaining = -1
		return false
	}
	exhausted := g.remaining == 0
	g.remaining = max(g.remaining-1, 0)
	h.Set("X-RateLimit-Remaining", strconv.Itoa(g.remaining))
	return exhausted
}

func (g *GitHub) wire(c *Comment) object {
	kind := "User"
	if githubBot(c.Author) {
		kind = "Bot"
	}
	return object{
		"id": c.ID, "html_url": c.URL, "body": c.Body,
		"user": object{"login": c.Author, "id": g.userID(c.Author), "type": kind},
	}
}

func (g *GitHub) listComments(r request, _ GitHubToken) *answer {
	part, _, _ := paged(r, g.comments[r.number], githubPage, g.wire)
	return &answer{http.StatusOK, part}
}

func (g *GitHub) createComment(r request, t GitHubToken) *answer {
	body, refusal := githubCommentBody(r, t)
	if refusal != nil {
		return refusal
	}
	c := g.comment(r.number, t.Login, body)
	r.header.Set("Location", fmt.Sprintf("%s/repos/%s/issues/comments/%d", g.URL, g.repo, c.ID))
	return &answer{http.StatusCreated, g.wire(c)}
}

// updateComment lets a token that may write change anybody's comment, as
// GitHub does.
func (g *GitHub) updateComment(r request, t GitHubToken) *answer {
	c := find(slices.Concat(slices.Collect(maps.Values(g.comments))...), r.PathValue("id"))
	if c == nil {
		return githubNotFound
	}
	body, refusal := githubCommentBody(r, t)
	if refusal != nil {
		return refusal
	}
	c.Body = body
	c.Edits++
	return &answer{http.StatusOK, g.wire(c)}
}

func githubCommentBody(r request, t GitHubToken) (string, *answer) {
	if !t.Comments {
		return "", githubDenied(t)
	}
	body, ok := r.in["body"].(string)
	switch {
	case !ok && r.in["body"] != nil:
		return "", githubError(http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'properties/body', the value is not a string.")
	case strings.TrimSpace(body) == "":
		return "", githubInvalid(object{"resource": "IssueComment", "code": "missing_field", "field": "body"})
	case utf8.RuneCountInString(body) > githubMaxBody:
		return "", githubInvalid(object{
			"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long (maximum is 65536 characters)"})
	}
	return body, nil
}

func githubDenied(t GitHubToken) *answer {
	if t.bot() {
		return githubError(http.StatusForbidden, "Resource not accessible by integration")
	}
	return githubError(http.StatusForbidden, "Resource not accessible by personal access token")
}

var (
	githubNotFound = githubError(http.StatusNotFound, "Not Found")
	githubUnparsed = githubError(http.StatusBadRequest, "Problems parsing JSON")
)

func githubInvalid(why object) *answer {
	return githubError(http.StatusUnprocessableEntity, "Validation Failed", why)
}

func githubError(code int, message string, errs ...object) *answer {
	body := object{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(code)}
	if len(errs) > 0 {
		body["errors"] = errs
	}
	return &answer{code, body}
}

func (g *GitHub) createStatus(r request, t GitHubToken) *answer {
	if !t.Statuses {
		return githubDenied(t)
	}
	sha := r.PathValue("sha")
	st := Status{
		State: r.text("state"), Context: cmp.Or(r.text("context"), "default"),
		Description: r.text("description"), TargetURL: r.text("target_url"), Creator: t.Login,
	}
	count := 0
	for _, old := range g.statuses[sha] {
		if old.Context == st.Context {
			count++
		}
	}
	target, _ := url.Parse(st.TargetURL)
	invalid := func(field, message string) *answer {
		return githubInvalid(object{"resource": "Status", "code": "custom", "field": field, "message": message})
	}
	switch {
	case g.statuses[sha] == nil:
		return githubError(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, st.State):
		return invalid("state", "state is not included in the list")
	case utf8.RuneCountInString(st.Description) > githubMaxDescription:
		return invalid("description", "description is too long (maximum is 140 characters)")
	case st.TargetURL != "" && (target == nil || target.Scheme != "http" && target.Scheme != "https"):
		return invalid("target_url", "target_url must use http(s) scheme")
	case count >= githubMaxStatuses:
		return invalid("", "This SHA and context has reached the maximum number of statuses.")
	}
	st.ID = g.nextID()
	g.statuses[sha] = append(g.statuses[sha], &st)
	return &answer{http.StatusCreated, githubStatus(&st)}
}

func githubStatus(s *Status) object {
	out := object{"id": s.ID, "state": s.State, "context": s.Context, "description": nil, "target_url": nil}
	for key, value := range map[string]string{"description": s.Description, "target_url": s.TargetURL} {
		if value != "" {
			out[key] = value
		}
	}
	return out
}

// combinedStatus returns the newest status of each context.
func (g *GitHub) combinedStatus(r request, _ GitHubToken) *answer {
	sha := r.PathValue("sha")
	all, ok := g.statuses[sha]
	if !ok {
		return githubError(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	var newest []*Status
	for _, s := range slices.Backward(all) {
		if !slices.ContainsFunc(newest, func(n *Status) bool { return n.Context == s.Context }) {
			newest = append(newest, s)
		}
	}
	has := func(state string) bool {
		return slices.ContainsFunc(newest, func(s *Status) bool { return s.State == state })
	}
	state := "success"
	switch {
	case has("failure") || has("error"):
		state = "failure"
	case has("pending") || len(newest) == 0:
		state = "pending"
	}
	part, _, _ := paged(r, newest, githubPage, githubStatus)
	return &answer{http.StatusOK, object{"state": state, "sha": sha, "total_count": len(newest), "statuses": part}}
}

// user is denied to apps.
func (g *GitHub) user(_ request, t GitHubToken) *answer {
	if t.bot() {
		return githubDenied(t)
	}
	return &answer{http.StatusOK, object{"login": t.Login, "id": g.userID(t.Login), "type": "User"}}
}

var viewerQuery = regexp.MustCompile(`^\s*(?:query\s*)?\{\s*viewer\s*\{([\sa-zA-Z]+)\}\s*\}\s*$`)

// graphQL knows the query for the viewer, which returns the user of any token.
func (g *GitHub) graphQL(r request, t GitHubToken) *answer {
	failed := func(message string) *answer {
		return &answer{http.StatusOK, object{"errors": []object{{"message": message}}}}
	}
	m := viewerQuery.FindStringSubmatch(r.text("query"))
	if m == nil {
		return failed("Parse error on the query")
	}
	fields, viewer := object{"login": t.Login, "databaseId": g.userID(t.Login)}, object{}
	for _, name := range strings.Fields(m[1]) {
		if fields[name] == nil {
			return failed("Field '" + name + "' doesn't exist on type 'User'")
		}
		viewer[name] = fields[name]
	}
	return &answer{http.StatusOK, object{"data": object{"viewer": viewer}}}
}
