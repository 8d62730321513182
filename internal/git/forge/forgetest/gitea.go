package forgetest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Gitea's pages: https://docs.gitea.com/administration/config-cheat-sheet#api-api
const (
	giteaPage    = 30 // where limit isn't given
	giteaMaxPage = 50
)

// GiteaToken has the permissions of a token.
type GiteaToken struct {
	// Login is the token's user. The one of Gitea's Actions is gitea-actions.
	Login string
	// Scopes are the token's, such as write:issue. The one to write includes the
	// one to read.
	Scopes []string
	// Writer is a user who may write to the repository, and Admin one who may
	// also change the comments of others.
	Writer, Admin bool
	// NoAccess is a user to whom the repository is not shown.
	NoAccess bool
}

func (t GiteaToken) has(scope string) bool {
	return slices.Contains(t.Scopes, "all") || slices.Contains(t.Scopes, scope) ||
		strings.HasPrefix(scope, "read:") && slices.Contains(t.Scopes, "write:"+strings.TrimPrefix(scope, "read:"))
}

// Gitea stands in for a Gitea, or a Forgejo, with one repository.
type Gitea struct {
	*Server

	// All of it is guarded by mu.
	repo   string
	tokens map[string]GiteaToken
}

// NewGitea starts a Gitea with one repository, such as "acme/orgs", until the test
// ends.
func NewGitea(t Test, repository string) *Gitea {
	g := &Gitea{Server: newServer("/api/v1"), repo: repository, tokens: map[string]GiteaToken{}}
	g.commentURL = func(number int, id int64) string {
		return fmt.Sprintf("%s/%s/pulls/%d#issuecomment-%d", strings.TrimSuffix(g.URL, g.root), g.repo, number, id)
	}
	mux := http.NewServeMux()
	const repo = "/api/v1/repos/{owner}/{repo}"
	for pattern, h := range map[string]struct {
		scope  string
		answer func(request, GiteaToken) *answer
	}{
		"GET " + repo + "/issues/{number}/comments":  {"read:issue", g.listComments},
		"POST " + repo + "/issues/{number}/comments": {"write:issue", g.createComment},
		"PATCH " + repo + "/issues/comments/{id}":    {"write:issue", g.updateComment},
		"POST " + repo + "/statuses/{sha}":           {"write:repository", g.createStatus},
		"GET " + repo + "/commits/{sha}/status":      {"read:repository", g.combinedStatus},
		"GET /api/v1/user":                           {"read:user", g.user},
	} {
		enter := func(r *request) (GiteaToken, *answer) { return g.enter(r, h.scope) }
		mux.Handle(pattern, guarded(enter, giteaError(http.StatusUnprocessableEntity, "invalid JSON"), h.answer))
	}
	mux.Handle("/", handler(func(r request) *answer {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return &answer{http.StatusNotFound, page("<!DOCTYPE html><title>Page Not Found - Gitea</title>")}
		}
		return giteaNotFound
	}))
	g.start(t, mux)
	return g
}

// AddToken adds a token.
func (g *Gitea) AddToken(value string, t GiteaToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[value] = t
}

var giteaNotFound = giteaError(http.StatusNotFound, "The target couldn't be found.")

func giteaError(code int, message string) *answer {
	return &answer{code, object{"message": message, "url": "https://git.example/api/swagger"}}
}

// enter checks credentials, scope and the repository.
func (g *Gitea) enter(r *request, scope string) (GiteaToken, *answer) {
	kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, known := g.tokens[value]
	switch {
	case value == "" || kind != "token":
		return t, giteaError(http.StatusUnauthorized, "token is required")
	case !known:
		return t, giteaError(http.StatusUnauthorized, "user does not exist [uid: 0, name: ]")
	case !t.has(scope):
		return t, giteaError(http.StatusForbidden, fmt.Sprintf("token does not have at least one of required scope(s), required=[%s], token scope=%s", scope, strings.Join(t.Scopes, ",")))
	}
	if owner := r.PathValue("owner"); owner != "" && (t.NoAccess || !strings.EqualFold(owner+"/"+r.PathValue("repo"), g.repo)) {
		return t, giteaNotFound
	}
	r.number, _ = strconv.Atoi(r.PathValue("number"))
	if r.PathValue("number") != "" && g.comments[r.number] == nil {
		return t, giteaNotFound
	}
	return t, nil
}

// id returns the id of a user; that of Gitea's own is negative.
func (g *Gitea) id(login string) int64 {
	if login == "gitea-actions" {
		return -2
	}
	return g.userID(login)
}

func (g *Gitea) wire(c *Comment) object {
	return object{
		"id": c.ID, "html_url": c.URL, "body": c.Body, "issue_url": "", "assets": []object{},
		"user": object{"login": c.Author, "id": g.id(c.Author), "username": c.Author},
	}
}

// listComments returns all comments: it knows no pages.
func (g *Gitea) listComments(r request, _ GiteaToken) *answer {
	all := []object{}
	for _, c := range g.comments[r.number] {
		all = append(all, g.wire(c))
	}
	r.header.Set("X-Total-Count", strconv.Itoa(len(all)))
	return &answer{http.StatusOK, all}
}

func (g *Gitea) createComment(r request, t GiteaToken) *answer {
	if strings.TrimSpace(r.text("body")) == "" {
		return giteaError(http.StatusUnprocessableEntity, "[Body]: Required")
	}
	return &answer{http.StatusCreated, g.wire(g.comment(r.number, t.Login, r.text("body")))}
}

// updateComment answers who may not change the comment without a word, as Gitea does.
func (g *Gitea) updateComment(r request, t GiteaToken) *answer {
	c := find(slices.Concat(slices.Collect(maps.Values(g.comments))...), r.PathValue("id"))
	switch {
	case c == nil:
		return giteaNotFound
	case c.Author != t.Login && !t.Admin:
		return &answer{http.StatusForbidden, page("")}
	}
	c.Body = r.text("body")
	c.Edits++
	return &answer{http.StatusOK, g.wire(c)}
}

func (g *Gitea) createStatus(r request, t GiteaToken) *answer {
	sha := r.PathValue("sha")
	s := Status{
		State: r.text("state"), Context: cmp.Or(r.text("context"), "default"),
		Description: strings.TrimSpace(r.text("description")), TargetURL: r.text("target_url"), Creator: t.Login,
	}
	switch {
	case !t.Writer:
		return giteaError(http.StatusForbidden, "user should have a permission to write to a repo")
	case g.Server.statuses[sha] == nil:
		return giteaNotFound
	case !slices.Contains([]string{"pending", "success", "error", "failure", "warning"}, s.State):
		return giteaError(http.StatusUnprocessableEntity, "invalid state "+s.State)
	}
	s.ID = g.nextID()
	g.Server.statuses[sha] = append(g.Server.statuses[sha], &s)
	return &answer{http.StatusCreated, giteaStatus(&s)}
}

// giteaStatus names the state of a status otherwise than a request does.
func giteaStatus(s *Status) object {
	return object{"id": s.ID, "status": s.State, "context": s.Context, "description": s.Description, "target_url": s.TargetURL}
}

// combinedStatus returns the newest status of each context, by page.
func (g *Gitea) combinedStatus(r request, _ GiteaToken) *answer {
	sha := r.PathValue("sha")
	all, ok := g.Server.statuses[sha]
	if !ok {
		return giteaNotFound
	}
	var newest []*Status
	for _, s := range slices.Backward(all) {
		if !slices.ContainsFunc(newest, func(n *Status) bool { return n.Context == s.Context }) {
			newest = append(newest, s)
		}
	}
	size := giteaPage
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n > 0 {
		size = min(n, giteaMaxPage)
	}
	part, _, _ := paged(r, newest, size, giteaStatus)
	r.header.Set("X-Total-Count", strconv.Itoa(len(newest)))
	if len(newest) == 0 {
		return &answer{http.StatusOK, object{"state": "pending", "sha": sha, "total_count": 0, "statuses": nil}}
	}
	return &answer{http.StatusOK, object{"state": newest[0].State, "sha": sha, "total_count": len(newest), "statuses": part}}
}

func (g *Gitea) user(_ request, t GiteaToken) *answer {
	return &answer{http.StatusOK, object{"id": g.id(t.Login), "login": t.Login}}
}
