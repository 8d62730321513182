package forgetest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// GitLab's limits.
const (
	gitlabMaxNote = 1_000_000
	gitlabMaxText = 255 // of descriptions and target URLs
	gitlabPage    = 20  // where per_page isn't given
)

// GitLabToken has the permissions of a token.
type GitLabToken struct {
	// Login is the token's user; tokens of projects have a user of their own, such
	// as project_42_bot_1.
	Login string
	// Scopes are "api" or "read_api".
	Scopes []string
	// Developer allows to report statuses; else the role is Reporter.
	Developer bool
	// Job is a CI_JOB_TOKEN, which is sent in another header and allowed at few
	// endpoints, none of them here.
	Job bool
	// NoAccess is a token for which the project does not exist.
	NoAccess bool
}

// GitLab stands in for a self-managed GitLab with one project.
type GitLab struct {
	*Server

	// All of it is guarded by mu.
	project  string
	number   int
	tokens   map[string]GitLabToken
	commands []string
}

// NewGitLab starts a GitLab with one project, such as "acme/okta/orgs", of this
// number, until the test ends.
func NewGitLab(t Test, project string, number int) *GitLab {
	g := &GitLab{
		Server: newServer("/api/v4"), project: project, number: number, tokens: map[string]GitLabToken{},
	}
	mux := http.NewServeMux()
	const at = "/api/v4/projects/{project}"
	handle := func(pattern, scope string, h func(http.ResponseWriter, *http.Request, GitLabToken)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if t, ok := g.enter(w, r, scope); ok {
				h(w, r, t)
			}
		})
	}
	handle("GET "+at+"/merge_requests/{iid}", "read_api", g.mergeRequest)
	handle("GET "+at+"/merge_requests/{iid}/notes", "read_api", g.listNotes)
	handle("POST "+at+"/merge_requests/{iid}/notes", "api", g.createNote)
	handle("PUT "+at+"/merge_requests/{iid}/notes/{id}", "api", g.updateNote)
	handle("POST "+at+"/statuses/{sha}", "api", g.setStatus)
	handle("GET "+at+"/repository/commits/{sha}/statuses", "read_api", g.listStatuses)
	handle("GET /api/v4/user", "read_api", g.user)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<!DOCTYPE html><title>Sign in</title>")
			return
		}
		writeJSON(w, http.StatusNotFound, map[string]any{"error": "404 Not Found"})
	})
	g.start(t, mux)
	return g
}

// AddToken adds a token.
func (g *GitLab) AddToken(value string, t GitLabToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[value] = t
}

// AddComment adds a note of a user, and returns its id.
func (g *GitLab) AddComment(number int, login, body string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.note(number, login, body).ID
}

// Commands returns the quick actions that notes have executed.
func (g *GitLab) Commands() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.commands)
}

// SetState adds a status with a state as another program would, such as a
// runner.
func (g *GitLab) SetState(commit, name, state string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.statuses[commit] = append(g.statuses[commit], &Status{ID: g.nextID(), State: state, Context: name, Creator: "runner"})
}

// enter checks credentials, scope and the project.
// https://docs.gitlab.com/api/rest/authentication/
func (g *GitLab) enter(w http.ResponseWriter, r *http.Request, scope string) (GitLabToken, bool) {
	value := r.Header.Get("PRIVATE-TOKEN")
	if scheme, bearer, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		value = bearer
	}
	t, known := g.tokens[value]
	switch project := r.PathValue("project"); {
	case !known || t.Job:
		gitlabMessage(w, http.StatusUnauthorized, "401 Unauthorized")
	case !slices.Contains(t.Scopes, "api") && !slices.Contains(t.Scopes, scope):
		writeJSON(w, http.StatusForbidden, map[string]any{
			"error": "insufficient_scope", "scope": scope,
			"error_description": "The request requires higher privileges than provided by the access token.",
		})
	case project != "" && (t.NoAccess || project != g.project && project != strconv.Itoa(g.number)):
		gitlabMessage(w, http.StatusNotFound, "404 Project Not Found")
	default:
		return t, true
	}
	return t, false
}

func gitlabMessage(w http.ResponseWriter, code int, message any) {
	writeJSON(w, code, map[string]any{"message": message})
}

func (g *GitLab) webURL(iid int) string {
	return fmt.Sprintf("%s/%s/-/merge_requests/%d", strings.TrimSuffix(g.URL, "/api/v4"), g.project, iid)
}

func (g *GitLab) note(iid int, login, body string) *Comment {
	c := &Comment{ID: g.nextID(), Author: login, Body: body}
	c.URL = g.webURL(iid) + "#note_" + strconv.FormatInt(c.ID, 10)
	g.comments[iid] = append(g.comments[iid], c)
	return c
}

func (g *GitLab) wire(c *Comment) map[string]any {
	return map[string]any{
		"id": c.ID, "body": c.Body, "system": false, "noteable_type": "MergeRequest",
		"author": map[string]any{"id": g.userID(c.Author), "username": c.Author},
	}
}

// request returns the merge request's number, if there is one.
func (g *GitLab) request(w http.ResponseWriter, r *http.Request) (int, bool) {
	iid, err := strconv.Atoi(r.PathValue("iid"))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "merge_request_iid is invalid"})
		return 0, false
	}
	if _, ok := g.comments[iid]; !ok {
		gitlabMessage(w, http.StatusNotFound, "404 Not found")
		return 0, false
	}
	return iid, true
}

func (g *GitLab) mergeRequest(w http.ResponseWriter, r *http.Request, _ GitLabToken) {
	if iid, ok := g.request(w, r); ok {
		writeJSON(w, http.StatusOK, map[string]any{"iid": iid, "web_url": g.webURL(iid)})
	}
}

func (g *GitLab) listNotes(w http.ResponseWriter, r *http.Request, _ GitLabToken) {
	iid, ok := g.request(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	all := slices.Clone(g.comments[iid])
	switch sort := q.Get("sort"); sort {
	case "", "desc": // GitLab's default
		slices.Reverse(all)
	case "asc":
	default:
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "sort does not have a valid value"})
		return
	}
	if by := q.Get("order_by"); by != "" && by != "created_at" && by != "updated_at" {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "order_by does not have a valid value"})
		return
	}
	out := []any{}
	for _, c := range gitlabPaged(w, r, q, all) {
		out = append(out, g.wire(c))
	}
	writeJSON(w, http.StatusOK, out)
}

// gitlabPaged: https://docs.gitlab.com/api/rest/#pagination
func gitlabPaged[T any](w http.ResponseWriter, r *http.Request, q url.Values, all []T) []T {
	part, number, size, last := page(all, q, gitlabPage)
	next := ""
	if number < last {
		next = strconv.Itoa(number + 1)
	}
	w.Header().Set("X-Next-Page", next)
	w.Header().Set("X-Page", strconv.Itoa(number))
	w.Header().Set("X-Per-Page", strconv.Itoa(size))
	if link := links("http://"+r.Host+r.URL.EscapedPath(), q, number, last); link != "" {
		w.Header().Set("Link", link)
	}
	return part
}

func (g *GitLab) createNote(w http.ResponseWriter, r *http.Request, t GitLabToken) {
	iid, ok := g.request(w, r)
	if !ok {
		return
	}
	body, ok := g.noteBody(w, r)
	switch {
	case !ok:
	case body == "":
		writeJSON(w, http.StatusAccepted, map[string]any{"commands_changes": map[string]any{}, "summary": []string{"Applied commands."}})
	default:
		writeJSON(w, http.StatusCreated, g.wire(g.note(iid, t.Login, body)))
	}
}

// updateNote lets a token change anybody's note, as GitLab lets maintainers.
func (g *GitLab) updateNote(w http.ResponseWriter, r *http.Request, _ GitLabToken) {
	iid, ok := g.request(w, r)
	if !ok {
		return
	}
	for _, c := range g.comments[iid] {
		if strconv.FormatInt(c.ID, 10) != r.PathValue("id") {
			continue
		}
		if body, ok := g.noteBody(w, r); ok {
			c.Body = body
			c.Edits++
			writeJSON(w, http.StatusOK, g.wire(c))
		}
		return
	}
	gitlabMessage(w, http.StatusNotFound, "404 Not found")
}

// noteBody reads the text of a note and executes its quick actions.
func (g *GitLab) noteBody(w http.ResponseWriter, r *http.Request) (string, bool) {
	in, err := readJSON(r)
	if err != nil {
		gitlabMessage(w, http.StatusBadRequest, "400 Bad request - Invalid JSON")
		return "", false
	}
	body, ok := in["body"].(string)
	if !ok {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "body is missing"})
		return "", false
	}
	if utf8.RuneCountInString(body) > gitlabMaxNote {
		gitlabMessage(w, http.StatusBadRequest, `400 Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]}`)
		return "", false
	}
	if strings.TrimSpace(body) == "" {
		gitlabMessage(w, http.StatusBadRequest, `400 Bad request - Note {:note=>["can't be blank"]}`)
		return "", false
	}
	rest, commands := quickActions(body)
	g.commands = append(g.commands, commands...)
	return rest, true
}

var quickAction = regexp.MustCompile("(?ms)^```.+?^```$|^/(?:approve|assign|close|label|merge|reopen)\\b[^\n]*\n?")

// quickActions removes the lines from a note that are commands, but not those
// between fences of backticks.
// https://docs.gitlab.com/user/project/quick_actions/
func quickActions(body string) (rest string, commands []string) {
	rest = quickAction.ReplaceAllStringFunc(body, func(m string) string {
		if strings.HasPrefix(m, "`") {
			return m
		}
		commands = append(commands, strings.TrimSpace(m))
		return ""
	})
	return strings.TrimSpace(rest), commands
}

// setStatus is a transition of GitLab's state machine for jobs: a status that is
// not finished is changed, and after one that is, another is added.
// https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
func (g *GitLab) setStatus(w http.ResponseWriter, r *http.Request, t GitLabToken) {
	sha := r.PathValue("sha")
	in, err := readJSON(r)
	if err != nil {
		gitlabMessage(w, http.StatusBadRequest, "400 Bad request - Invalid JSON")
		return
	}
	text := func(key string) string { s, _ := in[key].(string); return s }
	name := text("name")
	if name == "" {
		name = text("context")
	}
	if name == "" {
		name = "default"
	}
	state, description, target := text("state"), text("description"), text("target_url")
	switch {
	case !t.Developer:
		gitlabMessage(w, http.StatusForbidden, "403 Forbidden")
	case !slices.Contains([]string{"pending", "running", "success", "failed", "canceled", "skipped"}, state):
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "state does not have a valid value"})
	case g.statuses[sha] == nil:
		gitlabMessage(w, http.StatusNotFound, "404 Commit Not Found")
	case utf8.RuneCountInString(description) > gitlabMaxText:
		gitlabMessage(w, http.StatusBadRequest, map[string]any{"description": []string{"is too long (maximum is 255 characters)"}})
	case len(target) > gitlabMaxText:
		gitlabMessage(w, http.StatusBadRequest, map[string]any{"target_url": []string{"is too long (maximum is 255 characters)"}})
	default:
		g.step(w, sha, Status{State: state, Context: name, Description: description, TargetURL: target, Creator: t.Login})
	}
}

func (g *GitLab) step(w http.ResponseWriter, sha string, s Status) {
	var open *Status
	for _, old := range g.statuses[sha] {
		if old.Context == s.Context && (old.State == "pending" || old.State == "running") {
			open = old
		}
	}
	if open == nil {
		s.ID = g.nextID()
		g.statuses[sha] = append(g.statuses[sha], &s)
		writeJSON(w, http.StatusCreated, gitlabStatus(&s))
		return
	}
	event := map[string]string{"pending": "enqueue", "running": "run"}[s.State]
	if event != "" && !(s.State == "running" && open.State == "pending") {
		gitlabMessage(w, http.StatusBadRequest, fmt.Sprintf(
			"Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, open.State, event))
		return
	}
	s.ID = open.ID
	*open = s
	writeJSON(w, http.StatusCreated, gitlabStatus(open))
}

func gitlabStatus(s *Status) map[string]any {
	out := githubStatus(s)
	delete(out, "state")
	delete(out, "context")
	out["status"], out["name"] = s.State, s.Context
	return out
}

// listStatuses returns the newest status of each name, or all if the query says
// so.
func (g *GitLab) listStatuses(w http.ResponseWriter, r *http.Request, _ GitLabToken) {
	all, ok := g.statuses[r.PathValue("sha")]
	if !ok {
		gitlabMessage(w, http.StatusNotFound, "404 Commit Not Found")
		return
	}
	q := r.URL.Query()
	var listed []*Status
	for i, s := range all {
		newer := slices.ContainsFunc(all[i+1:], func(n *Status) bool { return n.Context == s.Context })
		if name := q.Get("name"); (name == "" || name == s.Context) && (q.Get("all") == "true" || !newer) {
			listed = append(listed, s)
		}
	}
	out := []any{}
	for _, s := range gitlabPaged(w, r, q, listed) {
		out = append(out, gitlabStatus(s))
	}
	writeJSON(w, http.StatusOK, out)
}

func (g *GitLab) user(w http.ResponseWriter, _ *http.Request, t GitLabToken) {
	writeJSON(w, http.StatusOK, map[string]any{"id": g.userID(t.Login), "username": t.Login})
}
