package forgetest

import (
	"cmp"
	"fmt"
	"net/http"
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
	g.commentURL = func(iid int, id int64) string { return fmt.Sprintf("%s#note_%d", g.webURL(iid), id) }
	unparsed := gitlabMessage(http.StatusBadRequest, "400 Bad request - Invalid JSON")
	mux := http.NewServeMux()
	const at = "/api/v4/projects/{project}"
	for pattern, h := range map[string]func(request, GitLabToken) *answer{
		"GET " + at + "/merge_requests/{iid}":              g.mergeRequest,
		"GET " + at + "/merge_requests/{iid}/notes":        g.listNotes,
		"POST " + at + "/merge_requests/{iid}/notes":       g.createNote,
		"PUT " + at + "/merge_requests/{iid}/notes/{id}":   g.updateNote,
		"POST " + at + "/statuses/{sha}":                   g.setStatus,
		"GET " + at + "/repository/commits/{sha}/statuses": g.listStatuses,
		"GET /api/v4/user":                                 g.user,
	} {
		mux.Handle(pattern, guarded(g.enter, unparsed, h))
	}
	mux.Handle("/", handler(func(r request) *answer {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			return &answer{http.StatusOK, page("<!DOCTYPE html><title>Sign in</title>")}
		}
		return gitlabError(http.StatusNotFound, "404 Not Found")
	}))
	g.start(t, mux)
	return g
}

// AddToken adds a token.
func (g *GitLab) AddToken(value string, t GitLabToken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[value] = t
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
func (g *GitLab) enter(r *request) (GitLabToken, *answer) {
	value, scope := r.Header.Get("PRIVATE-TOKEN"), "api"
	if scheme, bearer, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		value = bearer
	}
	if r.Method == http.MethodGet {
		scope = "read_api"
	}
	t, known := g.tokens[value]
	switch project := r.PathValue("project"); {
	case !known || t.Job:
		return t, gitlabMessage(http.StatusUnauthorized, "401 Unauthorized")
	case !slices.Contains(t.Scopes, "api") && !slices.Contains(t.Scopes, scope):
		return t, &answer{http.StatusForbidden, object{
			"error": "insufficient_scope", "scope": scope,
			"error_description": "The request requires higher privileges than provided by the access token.",
		}}
	case project != "" && (t.NoAccess || project != g.project && project != strconv.Itoa(g.number)):
		return t, gitlabMessage(http.StatusNotFound, "404 Project Not Found")
	}
	if iid := r.PathValue("iid"); iid != "" {
		var err error
		if r.number, err = strconv.Atoi(iid); err != nil {
			return t, gitlabError(http.StatusBadRequest, "merge_request_iid is invalid")
		}
		if g.comments[r.number] == nil {
			return t, gitlabMessage(http.StatusNotFound, "404 Not found")
		}
	}
	return t, nil
}

func gitlabMessage(code int, message any) *answer { return &answer{code, object{"message": message}} }

func gitlabError(code int, message string) *answer { return &answer{code, object{"error": message}} }

func (g *GitLab) webURL(iid int) string {
	return fmt.Sprintf("%s/%s/-/merge_requests/%d", strings.TrimSuffix(g.URL, g.root), g.project, iid)
}

func (g *GitLab) wire(c *Comment) object {
	return object{
		"id": c.ID, "body": c.Body, "system": false, "noteable_type": "MergeRequest",
		"author": object{"id": g.userID(c.Author), "username": c.Author},
	}
}

func (g *GitLab) mergeRequest(r request, _ GitLabToken) *answer {
	return &answer{http.StatusOK, object{"iid": r.number, "web_url": g.webURL(r.number)}}
}

func (g *GitLab) listNotes(r request, _ GitLabToken) *answer {
	q := r.URL.Query()
	switch {
	case !slices.Contains([]string{"", "asc", "desc"}, q.Get("sort")):
		return gitlabError(http.StatusBadRequest, "sort does not have a valid value")
	case !slices.Contains([]string{"", "created_at", "updated_at"}, q.Get("order_by")):
		return gitlabError(http.StatusBadRequest, "order_by does not have a valid value")
	}
	all := slices.Clone(g.comments[r.number])
	if q.Get("sort") != "asc" {
		slices.Reverse(all)
	}
	return gitlabPaged(r, all, g.wire)
}

// gitlabPaged: https://docs.gitlab.com/api/rest/#pagination
func gitlabPaged[T any](r request, all []T, wire func(T) object) *answer {
	part, number, last := paged(r, all, gitlabPage, wire)
	r.header.Set("X-Page", strconv.Itoa(number))
	r.header.Set("X-Next-Page", "")
	if number < last {
		r.header.Set("X-Next-Page", strconv.Itoa(number+1))
	}
	return &answer{http.StatusOK, part}
}

func (g *GitLab) createNote(r request, t GitLabToken) *answer {
	body, refusal := g.noteBody(r)
	switch {
	case refusal != nil:
		return refusal
	case body == "":
		return &answer{http.StatusAccepted, object{"commands_changes": object{}, "summary": []string{"Applied commands."}}}
	}
	return &answer{http.StatusCreated, g.wire(g.comment(r.number, t.Login, body))}
}

// updateNote lets a token change anybody's note, as GitLab lets maintainers.
func (g *GitLab) updateNote(r request, _ GitLabToken) *answer {
	c := find(g.comments[r.number], r.PathValue("id"))
	if c == nil {
		return gitlabMessage(http.StatusNotFound, "404 Not found")
	}
	body, refusal := g.noteBody(r)
	if refusal != nil {
		return refusal
	}
	c.Body = body
	c.Edits++
	return &answer{http.StatusOK, g.wire(c)}
}

// noteBody reads the text of a note and executes its quick actions.
func (g *GitLab) noteBody(r request) (string, *answer) {
	body, ok := r.in["body"].(string)
	switch {
	case !ok:
		return "", gitlabError(http.StatusBadRequest, "body is missing")
	case utf8.RuneCountInString(body) > gitlabMaxNote:
		return "", gitlabMessage(http.StatusBadRequest, `400 Bad request - Note {:note=>["is too long (maximum is 1000000 characters)"]}`)
	case strings.TrimSpace(body) == "":
		return "", gitlabMessage(http.StatusBadRequest, `400 Bad request - Note {:note=>["can't be blank"]}`)
	}
	rest, commands := quickActions(body)
	g.commands = append(g.commands, commands...)
	return rest, nil
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
func (g *GitLab) setStatus(r request, t GitLabToken) *answer {
	sha := r.PathValue("sha")
	s := Status{
		State: r.text("state"), Context: cmp.Or(r.text("name"), r.text("context"), "default"),
		Description: r.text("description"), TargetURL: r.text("target_url"), Creator: t.Login,
	}
	switch {
	case !t.Developer:
		return gitlabMessage(http.StatusForbidden, "403 Forbidden")
	case !slices.Contains([]string{"pending", "running", "success", "failed", "canceled", "skipped"}, s.State):
		return gitlabError(http.StatusBadRequest, "state does not have a valid value")
	case g.statuses[sha] == nil:
		return gitlabMessage(http.StatusNotFound, "404 Commit Not Found")
	case utf8.RuneCountInString(s.Description) > gitlabMaxText:
		return gitlabMessage(http.StatusBadRequest, object{"description": []string{"is too long (maximum is 255 characters)"}})
	case len(s.TargetURL) > gitlabMaxText:
		return gitlabMessage(http.StatusBadRequest, object{"target_url": []string{"is too long (maximum is 255 characters)"}})
	}
	return g.step(sha, s)
}

func (g *GitLab) step(sha string, s Status) *answer {
	var open *Status
	for _, old := range g.statuses[sha] {
		if old.Context == s.Context && (old.State == "pending" || old.State == "running") {
			open = old
		}
	}
	event := map[string]string{"pending": "enqueue", "running": "run"}[s.State]
	switch {
	case open == nil:
		open = &Status{ID: g.nextID()}
		g.statuses[sha] = append(g.statuses[sha], open)
	case event != "" && !(s.State == "running" && open.State == "pending"):
		return gitlabMessage(http.StatusBadRequest, fmt.Sprintf(
			"Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, open.State, event))
	}
	s.ID = open.ID
	*open = s
	return &answer{http.StatusCreated, gitlabStatus(open)}
}

func gitlabStatus(s *Status) object {
	out := githubStatus(s)
	delete(out, "state")
	delete(out, "context")
	out["status"], out["name"] = s.State, s.Context
	return out
}

// listStatuses returns the newest status of each name, or all if the query has
// all=true.
func (g *GitLab) listStatuses(r request, _ GitLabToken) *answer {
	all, ok := g.statuses[r.PathValue("sha")]
	if !ok {
		return gitlabMessage(http.StatusNotFound, "404 Commit Not Found")
	}
	q := r.URL.Query()
	var listed []*Status
	for i, s := range all {
		newer := slices.ContainsFunc(all[i+1:], func(n *Status) bool { return n.Context == s.Context })
		if name := q.Get("name"); (name == "" || name == s.Context) && (q.Get("all") == "true" || !newer) {
			listed = append(listed, s)
		}
	}
	return gitlabPaged(r, listed, gitlabStatus)
}

func (g *GitLab) user(_ request, t GitLabToken) *answer {
	return &answer{http.StatusOK, object{"id": g.userID(t.Login), "username": t.Login}}
}
