package forgetest

import (
	"crypto/rsa"
	"fmt"
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

func (t GitHubToken) bot() bool { return strings.HasSuffix(t.Login, "[bot]") }

// GitHub stands in for an Enterprise Server with one repository.
type GitHub struct {
	*Server

	// All of it is guarded by mu.
	repo      string
	former    []string
	tokens    map[string]GitHubToken
	apps      []githubApp
	remaining int // requests until the rate limit; negative is no limit
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
	mux := http.NewServeMux()
	const repo = "/api/v3/repos/{owner}/{repo}"
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request, GitHubToken)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if t, ok := g.enter(w, r); ok {
				h(w, r, t)
			}
		})
	}
	handle("GET "+repo+"/issues/{number}/comments", g.listComments)
	handle("POST "+repo+"/issues/{number}/comments", g.createComment)
	handle("PATCH "+repo+"/issues/comments/{id}", g.updateComment)
	handle("POST "+repo+"/statuses/{sha}", g.createStatus)
	handle("GET "+repo+"/commits/{sha}/status", g.combinedStatus)
	handle("GET /api/v3/user", g.user)
	handle("POST /api/graphql", g.graphQL)
	mux.HandleFunc("POST /api/v3/app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.accessToken(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<!DOCTYPE html><title>Page not found</title>")
			return
		}
		githubError(w, http.StatusNotFound, "Not Found")
	})
	g.start(t, g.edge(mux))
	return g
}

// AddToken adds a token.
func (g *GitHub) AddToken(value string, t GitHubToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[value] = t
}

// AddComment adds a comment of a user, and returns its id.
func (g *GitHub) AddComment(number int, login, body string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.comment(number, login, body).ID
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
		if r.Header.Get("User-Agent") == "" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.")
			return
		}
		if v := r.Header.Get("X-GitHub-Api-Version"); v != "" && v != "2022-11-28" {
			githubError(w, http.StatusBadRequest, fmt.Sprintf("%q is not a supported version of the GitHub API.", v))
			return
		}
		g.mu.Lock()
		repo, former := g.repo, slices.Clone(g.former)
		g.mu.Unlock()
		path := r.URL.Path
		for _, f := range former {
			if rest, ok := strings.CutPrefix(path, "/api/v3/repos/"+f+"/"); ok {
				w.Header().Set("Location", "http://"+r.Host+"/api/v3/repositories/"+githubRepoID+"/"+rest+"?"+r.URL.RawQuery)
				code := http.StatusTemporaryRedirect
				if r.Method == http.MethodGet {
					code = http.StatusMovedPermanently
				}
				githubError(w, code, "Moved Permanently")
				return
			}
		}
		if rest, ok := strings.CutPrefix(path, "/api/v3/repositories/"+githubRepoID+"/"); ok {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/api/v3/repos/"+repo+"/"+rest, ""
		}
		next.ServeHTTP(w, r)
	})
}

// enter checks credentials, limits and the repository.
func (g *GitHub) enter(w http.ResponseWriter, r *http.Request) (GitHubToken, bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, known := g.tokens[value]
	scheme = strings.ToLower(scheme)
	if !known || scheme != "bearer" && scheme != "token" {
		message := "Bad credentials"
		if value == "" {
			message = "Requires authentication"
		}
		githubError(w, http.StatusUnauthorized, message)
		return t, false
	}
	if g.remaining >= 0 {
		w.Header().Set("X-RateLimit-Limit", "5000")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(g.reset.Unix(), 10))
		w.Header().Set("Date", g.now().UTC().Format(http.TimeFormat))
		switch {
		case !g.now().Before(g.reset):
			g.remaining = -1
		case g.remaining == 0:
			w.Header().Set("X-RateLimit-Remaining", "0")
			githubError(w, http.StatusForbidden, "API rate limit exceeded for user ID "+strconv.FormatInt(g.userID(t.Login), 10)+".")
			return t, false
		default:
			g.remaining--
			w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(g.remaining))
		}
	}
	if owner := r.PathValue("owner"); owner != "" && (t.NoAccess || !strings.EqualFold(owner+"/"+r.PathValue("repo"), g.repo)) {
		githubError(w, http.StatusNotFound, "Not Found")
		return t, false
	}
	return t, true
}

func (g *GitHub) comment(number int, login, body string) *Comment {
	c := &Comment{ID: g.nextID(), Author: login, Body: body}
	c.URL = fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", strings.TrimSuffix(g.URL, "/api/v3"), g.repo, number, c.ID)
	g.comments[number] = append(g.comments[number], c)
	return c
}

func (g *GitHub) wire(c *Comment) map[string]any {
	kind := "User"
	if strings.HasSuffix(c.Author, "[bot]") {
		kind = "Bot"
	}
	return map[string]any{
		"id": c.ID, "html_url": c.URL, "body": c.Body,
		"user": map[string]any{"login": c.Author, "id": g.userID(c.Author), "type": kind},
	}
}

func (g *GitHub) listComments(w http.ResponseWriter, r *http.Request, _ GitHubToken) {
	number, _ := strconv.Atoi(r.PathValue("number"))
	all, ok := g.comments[number]
	if !ok {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	part := githubPaged(w, r, all)
	out := []any{}
	for _, c := range part {
		out = append(out, g.wire(c))
	}
	writeJSON(w, http.StatusOK, out)
}

func githubPaged[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	part, number, _, last := page(all, r.URL.Query(), githubPage)
	if link := links("http://"+r.Host+r.URL.Path, r.URL.Query(), number, last); link != "" {
		w.Header().Set("Link", link)
	}
	return part
}

func (g *GitHub) createComment(w http.ResponseWriter, r *http.Request, t GitHubToken) {
	number, _ := strconv.Atoi(r.PathValue("number"))
	if _, ok := g.comments[number]; !ok {
		githubError(w, http.StatusNotFound, "Not Found")
		return
	}
	if body, ok := githubCommentBody(w, r, t); ok {
		c := g.comment(number, t.Login, body)
		w.Header().Set("Location", g.URL+"/repos/"+g.repo+"/issues/comments/"+strconv.FormatInt(c.ID, 10))
		writeJSON(w, http.StatusCreated, g.wire(c))
	}
}

// updateComment lets a token that may write change anybody's comment, as
// GitHub does.
func (g *GitHub) updateComment(w http.ResponseWriter, r *http.Request, t GitHubToken) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	for _, list := range g.comments {
		for _, c := range list {
			if c.ID != id {
				continue
			}
			if body, ok := githubCommentBody(w, r, t); ok {
				c.Body = body
				c.Edits++
				writeJSON(w, http.StatusOK, g.wire(c))
			}
			return
		}
	}
	githubError(w, http.StatusNotFound, "Not Found")
}

func githubCommentBody(w http.ResponseWriter, r *http.Request, t GitHubToken) (string, bool) {
	if !t.Comments {
		w.Header().Set("X-Accepted-GitHub-Permissions", "issues=write; pull_requests=write")
		githubDenied(w, t)
		return "", false
	}
	in, err := readJSON(r)
	if err != nil {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return "", false
	}
	body, ok := in["body"].(string)
	switch {
	case !ok && in["body"] != nil:
		githubError(w, http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'properties/body', the value is not a string.")
	case strings.TrimSpace(body) == "":
		githubError(w, http.StatusUnprocessableEntity, "Validation Failed", map[string]any{"resource": "IssueComment", "code": "missing_field", "field": "body"})
	case utf8.RuneCountInString(body) > githubMaxBody:
		githubError(w, http.StatusUnprocessableEntity, "Validation Failed", map[string]any{
			"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long (maximum is 65536 characters)"})
	default:
		return body, true
	}
	return "", false
}

func githubDenied(w http.ResponseWriter, t GitHubToken) {
	if t.bot() {
		githubError(w, http.StatusForbidden, "Resource not accessible by integration")
		return
	}
	githubError(w, http.StatusForbidden, "Resource not accessible by personal access token")
}

func githubError(w http.ResponseWriter, code int, message string, errs ...any) {
	body := map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(code)}
	if len(errs) > 0 {
		body["errors"] = errs
	}
	writeJSON(w, code, body)
}

func (g *GitHub) createStatus(w http.ResponseWriter, r *http.Request, t GitHubToken) {
	sha := r.PathValue("sha")
	if !t.Statuses {
		githubDenied(w, t)
		return
	}
	in, err := readJSON(r)
	if err != nil {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	text := func(key string) string { s, _ := in[key].(string); return s }
	st := Status{State: text("state"), Context: text("context"), Description: text("description"), TargetURL: text("target_url"), Creator: t.Login}
	if st.Context == "" {
		st.Context = "default"
	}
	count := 0
	for _, old := range g.statuses[sha] {
		if old.Context == st.Context {
			count++
		}
	}
	target, _ := url.Parse(st.TargetURL)
	invalid := func(field, message string) {
		githubError(w, http.StatusUnprocessableEntity, "Validation Failed", map[string]any{"resource": "Status", "code": "custom", "field": field, "message": message})
	}
	switch {
	case g.statuses[sha] == nil:
		githubError(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, st.State):
		invalid("state", "state is not included in the list")
	case utf8.RuneCountInString(st.Description) > githubMaxDescription:
		invalid("description", "description is too long (maximum is 140 characters)")
	case st.TargetURL != "" && (target == nil || target.Scheme != "http" && target.Scheme != "https"):
		invalid("target_url", "target_url must use http(s) scheme")
	case count >= githubMaxStatuses:
		invalid("", "This SHA and context has reached the maximum number of statuses.")
	default:
		st.ID = g.nextID()
		g.statuses[sha] = append(g.statuses[sha], &st)
		writeJSON(w, http.StatusCreated, githubStatus(&st))
	}
}

func githubStatus(s *Status) map[string]any {
	optional := func(v string) any {
		if v == "" {
			return nil
		}
		return v
	}
	return map[string]any{
		"id": s.ID, "state": s.State, "context": s.Context,
		"description": optional(s.Description), "target_url": optional(s.TargetURL),
	}
}

// combinedStatus returns the newest status of each context.
func (g *GitHub) combinedStatus(w http.ResponseWriter, r *http.Request, _ GitHubToken) {
	sha := r.PathValue("sha")
	all, ok := g.statuses[sha]
	if !ok {
		githubError(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
		return
	}
	var newest []*Status
	for _, s := range slices.Backward(all) {
		if !slices.ContainsFunc(newest, func(n *Status) bool { return n.Context == s.Context }) {
			newest = append(newest, s)
		}
	}
	state := "success"
	for _, s := range newest {
		switch {
		case s.State == "failure" || s.State == "error":
			state = "failure"
		case s.State == "pending" && state == "success":
			state = "pending"
		}
	}
	if len(newest) == 0 {
		state = "pending"
	}
	out := []any{}
	for _, s := range githubPaged(w, r, newest) {
		out = append(out, githubStatus(s))
	}
	writeJSON(w, http.StatusOK, map[string]any{"state": state, "sha": sha, "total_count": len(newest), "statuses": out})
}

// user is denied to apps.
func (g *GitHub) user(w http.ResponseWriter, _ *http.Request, t GitHubToken) {
	if t.bot() {
		githubDenied(w, t)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"login": t.Login, "id": g.userID(t.Login), "type": "User"})
}

var viewerQuery = regexp.MustCompile(`^\s*(?:query\s*)?\{\s*viewer\s*\{([\sa-zA-Z]+)\}\s*\}\s*$`)

// graphQL knows the query for the viewer, which returns the user of any token.
func (g *GitHub) graphQL(w http.ResponseWriter, r *http.Request, t GitHubToken) {
	in, err := readJSON(r)
	if err != nil {
		githubError(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	text, _ := in["query"].(string)
	m := viewerQuery.FindStringSubmatch(text)
	if m == nil {
		writeJSON(w, http.StatusOK, map[string]any{"errors": []any{map[string]any{"message": "Parse error on the query"}}})
		return
	}
	viewer := map[string]any{}
	for _, field := range strings.Fields(m[1]) {
		switch field {
		case "login":
			viewer[field] = t.Login
		case "databaseId":
			viewer[field] = g.userID(t.Login)
		default:
			writeJSON(w, http.StatusOK, map[string]any{"errors": []any{map[string]any{"message": "Field '" + field + "' doesn't exist on type 'User'"}}})
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"viewer": viewer}})
}
