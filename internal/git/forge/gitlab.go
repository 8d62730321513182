package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/text"
)

const (
	gitlabURL = "https://gitlab.com/api/v4"

	gitlabBody        = 1_000_000 // characters of a note
	gitlabDescription = 255       // characters of a status
	// gitlabPage is small because each note may be long; see maxAnswer.
	gitlabPage = 20
	// linkTimeout bounds the question where a note is read.
	linkTimeout = 10 * time.Second
)

type gitlab struct {
	*caller
	project string
}

var gitlabProject = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$`)

func newGitLab(c *caller, opts Options) (*gitlab, error) {
	base, err := baseURL(opts.URL, gitlabURL)
	if err != nil {
		return nil, err
	}
	number := opts.Repository != "" && strings.Trim(opts.Repository, "0123456789") == ""
	if !number && (!gitlabProject.MatchString(opts.Repository) || slices.ContainsFunc(strings.Split(opts.Repository, "/"), dots)) {
		return nil, fmt.Errorf("a project on GitLab is its full path such as GROUP/NAME, or its number, not %q", opts.Repository)
	}
	c.name, c.base, c.hint = "GitLab", base, c.gitlabHint
	// https://docs.gitlab.com/api/rest/authentication/
	c.authorize = func(ctx context.Context, h http.Header) (string, error) {
		t, err := checkedToken(ctx, opts.Token)
		if err == nil {
			h.Set("PRIVATE-TOKEN", t)
		}
		return t, err
	}
	return &gitlab{c, opts.Repository}, nil
}

func dots(segment string) bool { return segment == "." || segment == ".." }

func (g *gitlab) endpoint(segments ...string) *url.URL {
	return g.path(append([]string{"projects", g.project}, segments...)...)
}

type gitlabNote struct {
	ID     int64  `json:"id"`
	Body   string `json:"body"`
	System bool   `json:"system"`
	Author struct {
		ID       int64  `json:"id"`
		Username string `json:"username"`
	} `json:"author"`
}

// botUser is what the users of project and group access tokens are called:
// https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
var botUser = regexp.MustCompile(`^(project|group)_[0-9]+_bot`)

func (n *gitlabNote) note() *note {
	return &note{id: n.ID, body: n.Body, bot: botUser.MatchString(n.Author.Username)}
}

// find reads the notes, newest first, up to the first that is ours:
// https://docs.gitlab.com/api/notes/#list-all-merge-request-notes
func (g *gitlab) find(ctx context.Context, number int, marker string) (found []note, guessed bool, err error) {
	me := int64(0) // asked for when it is needed first
	for page := "1"; page != ""; {
		if n, err := strconv.Atoi(page); err != nil || n > 5*maxPages {
			return nil, false, fmt.Errorf("GitLab: the merge request has more than %d notes", 5*maxPages*gitlabPage)
		}
		u := query(g.endpoint("merge_requests", strconv.Itoa(number), "notes"),
			"order_by", "created_at", "sort", "desc", "per_page", strconv.Itoa(gitlabPage), "page", page)
		var notes []gitlabNote
		header, err := g.do(ctx, request{method: http.MethodGet, url: u}, &notes)
		if err != nil {
			return nil, false, err
		}
		for _, n := range notes {
			if n.System || !marked(n.Body, marker) {
				continue
			}
			if me == 0 && !guessed {
				me, err = g.user(ctx)
				guessed = denied(err)
				if err != nil && !guessed {
					return nil, false, err
				}
			}
			switch {
			case guessed:
				found = append(found, *n.note())
			case n.Author.ID == me:
				return []note{*n.note()}, false, nil
			}
		}
		page = header.Get("X-Next-Page")
	}
	byLikelihood(found)
	return found, guessed, nil
}

// user gives who we are; a project or group access token has a user of its own.
// https://docs.gitlab.com/api/users/#retrieve-the-current-user
func (g *gitlab) user(ctx context.Context) (int64, error) {
	var user struct {
		ID int64 `json:"id"`
	}
	if _, err := g.do(ctx, request{what: aboutUser, method: http.MethodGet, url: g.path("user")}, &user); err != nil {
		return 0, err
	}
	if user.ID == 0 {
		return 0, errors.New("GitLab: the token's user has no id")
	}
	return user.ID, nil
}

// link asks for the merge request's address, as GitLab doesn't say where a note
// is read. What was to be done is done by then, so it isn't waited for long, and
// a failure is none.
// https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request
func (g *gitlab) link(ctx context.Context, number int, n *note) string {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	var mr struct {
		URL string `json:"web_url"`
	}
	_, err := g.do(ctx, request{method: http.MethodGet, url: g.endpoint("merge_requests", strconv.Itoa(number))}, &mr)
	if err != nil || mr.URL == "" {
		g.log.Debug("the merge request's address isn't known", "forge", g.name, "error", err)
		return ""
	}
	return mr.URL + "#note_" + strconv.FormatInt(n.id, 10)
}

// create: https://docs.gitlab.com/api/notes/#create-a-merge-request-note
func (g *gitlab) create(ctx context.Context, number int, text string) (*note, error) {
	var n gitlabNote
	_, err := g.do(ctx, request{
		method: http.MethodPost, url: g.endpoint("merge_requests", strconv.Itoa(number), "notes"),
		body: map[string]string{"body": text}, once: true,
	}, &n)
	return n.note(), err
}

// update: https://docs.gitlab.com/api/notes/#update-a-merge-request-note
func (g *gitlab) update(ctx context.Context, number int, id int64, text string) (*note, error) {
	var n gitlabNote
	_, err := g.do(ctx, request{
		method: http.MethodPut, url: g.endpoint("merge_requests", strconv.Itoa(number), "notes", strconv.FormatInt(id, 10)),
		body: map[string]string{"body": text},
	}, &n)
	return n.note(), err
}

func (g *gitlab) prepare(text string) string {
	return fit(noCommands(text), gitlabBody)
}

// gitlabStates are GitLab's names of the states that can be set.
var gitlabStates = map[State]string{
	Success: "success", Failure: "failed", Pending: "pending", Errored: "failed",
}

// gitlabState gives what a status of GitLab's says; other things than this
// program may have set it.
func gitlabState(s string) State {
	switch s {
	case "success":
		return Success
	case "failed":
		return Failure
	case "canceled", "skipped":
		return Errored
	default: // pending, running, and what leads there
		return Pending
	}
}

func (g *gitlab) shown(s Status) Status {
	s.State = gitlabState(gitlabStates[s.State])
	s.Description = text.OneLine(s.Description, gitlabDescription)
	return s
}

// setStatus: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
// GitLab takes a state for a step of a state machine and refuses the step from
// pending or running to pending. The status says what it should then, but for
// the description, which can't be changed.
// https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807
func (g *gitlab) setStatus(ctx context.Context, commit string, s Status) error {
	wire := map[string]string{"state": gitlabStates[s.State], "name": s.Context}
	if s.Description != "" {
		wire["description"] = s.Description
	}
	if s.TargetURL != "" {
		wire["target_url"] = s.TargetURL
	}
	_, err := g.do(ctx, request{what: aboutStatus, method: http.MethodPost, url: g.endpoint("statuses", commit), body: wire}, nil)
	var refused *Error
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "Cannot transition status") {
		return err
	}
	last, lookErr := g.lastStatus(ctx, commit, s.Context)
	if lookErr == nil && last != nil && last.State == s.State {
		return nil
	}
	return err
}

// lastStatus reads the newest statuses of this name, of which there is one for
// each pipeline of the commit:
// https://docs.gitlab.com/api/commits/#list-the-statuses-of-a-commit
func (g *gitlab) lastStatus(ctx context.Context, commit, name string) (*Status, error) {
	type status struct {
		ID          int64   `json:"id"`
		Status      string  `json:"status"`
		Name        string  `json:"name"`
		Description *string `json:"description"`
		TargetURL   *string `json:"target_url"`
	}
	var newest *status
	for page := "1"; page != ""; {
		if n, err := strconv.Atoi(page); err != nil || n > maxPages {
			return nil, fmt.Errorf("GitLab: the commit has more than %d statuses", maxPages*100)
		}
		var statuses []status
		u := query(g.endpoint("repository", "commits", commit, "statuses"), "name", name, "per_page", "100", "page", page)
		header, err := g.do(ctx, request{what: aboutStatus, method: http.MethodGet, url: u}, &statuses)
		if err != nil {
			return nil, err
		}
		for i, s := range statuses {
			if s.Name == name && (newest == nil || s.ID > newest.ID) {
				newest = &statuses[i]
			}
		}
		page = header.Get("X-Next-Page")
	}
	if newest == nil {
		return nil, nil
	}
	return &Status{gitlabState(newest.Status), newest.Name, deref(newest.Description), deref(newest.TargetURL)}, nil
}

// gitlabHint gives advice on a refusal of GitLab.
func (c *caller) gitlabHint(e *Error) string {
	if e.page && !strings.Contains(c.base.Path, "/api/v4") {
		return "this is no answer of the API: add /api/v4 to its URL"
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return "GitLab doesn't know the token: it is wrong, expired or revoked; a job's own CI_JOB_TOKEN can't be used, make a project access token with the scope api"
	case http.StatusForbidden:
		if e.topic == aboutStatus {
			return "the token may not report statuses: it needs the scope api and the role Developer, on a protected branch one that may push there"
		}
		return "the token may not comment: it needs the scope api and at least the role Reporter; a job's own CI_JOB_TOKEN can't be used"
	case http.StatusNotFound:
		if e.topic == aboutStatus {
			return "check the project, the commit, and that the token has access: GitLab doesn't show private projects to those without"
		}
		return "check the project, the number, and that the token has access: GitLab doesn't show private projects to those without"
	default:
		return ""
	}
}
