package forge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"reconciler/internal/text"
)

const (
	gitlabURL = "https://gitlab.com/api/v4"

	gitlabBody        = 1_000_000 // characters of a note
	gitlabDescription = 255       // characters of a status
	// gitlabNotes is how many notes are read at once; few, because each may be
	// long: see maxAnswer.
	gitlabNotes    = 20
	gitlabStatuses = 100
	// linkTimeout bounds the request for where a note is read.
	linkTimeout = 10 * time.Second
)

type gitLab struct {
	*caller
	api     *gitlab.Client
	project string
}

var gitlabProject = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$`)

func newGitLab(opts Options) (*gitLab, error) {
	// https://docs.gitlab.com/api/rest/authentication/
	c := &caller{Options: opts, name: "GitLab", header: "PRIVATE-TOKEN", hints: gitlabHints, pageHint: "this is not an answer of the API: check its URL"}
	if err := c.setDefaults(gitlabURL); err != nil {
		return nil, err
	}
	number := opts.Repository != "" && strings.Trim(opts.Repository, "0123456789") == ""
	if !number && (!gitlabProject.MatchString(opts.Repository) || slices.ContainsFunc(strings.Split(opts.Repository, "/"), dots)) {
		return nil, fmt.Errorf("a project on GitLab is its full path such as GROUP/NAME, or its number, not %q", opts.Repository)
	}
	api, err := gitlab.NewAuthSourceClient(gitlab.Unauthenticated{},
		gitlab.WithURLWarningLogger(slog.New(slog.DiscardHandler)), gitlab.WithBaseURL(c.base.String()),
		gitlab.WithHTTPClient(c.httpClient()), gitlab.WithoutRetries(), gitlab.WithCustomLimiter(noLimiter{}))
	return &gitLab{c, api, opts.Repository}, err
}

// noLimiter replaces the library's limiter, which waits without a bound.
type noLimiter struct{}

func (noLimiter) Wait(context.Context) error { return nil }

// more reports whether a list has another page.
// https://docs.gitlab.com/api/rest/#pagination
func more(resp *gitlab.Response, err error) bool {
	return err == nil && resp.Header.Get("X-Next-Page") != ""
}

// botUser matches the names of the users of project and group access tokens:
// https://docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects
var botUser = regexp.MustCompile(`^(project|group)_[0-9]+_bot`)

// gitlabNote returns n as a note; an empty one for those of GitLab itself, and
// for nil, which the library returns for null.
func gitlabNote(n *gitlab.Note) note {
	if n == nil || n.System {
		return note{}
	}
	return note{id: n.ID, author: n.Author.ID, body: n.Body, bot: botUser.MatchString(n.Author.Username)}
}

// comments: https://docs.gitlab.com/api/notes/#list-all-merge-request-notes
func (g *gitLab) comments(ctx context.Context, number int) iter.Seq2[note, error] {
	opts := &gitlab.ListMergeRequestNotesOptions{OrderBy: gitlab.Ptr("created_at"), Sort: gitlab.Ptr("desc")}
	return paged("notes on the merge request", gitlabNotes, func(page int) ([]*gitlab.Note, bool, error) {
		ctx, call := g.begin(ctx, aboutComments)
		opts.Page, opts.PerPage = int64(page), gitlabNotes
		notes, resp, err := g.api.Notes.ListMergeRequestNotes(g.project, int64(number), opts, gitlab.WithContext(ctx))
		return notes, more(resp, err), call.end(err)
	}, gitlabNote)
}

func (g *gitLab) newestFirst() bool { return true }

// me returns the token's user; a project or group access token has one of its own.
// https://docs.gitlab.com/api/users/#retrieve-the-current-user
func (g *gitLab) me(ctx context.Context) (int64, error) {
	ctx, call := g.begin(ctx, aboutUser)
	user, _, err := g.api.Users.CurrentUser(gitlab.WithContext(ctx))
	if err != nil {
		return 0, call.end(err)
	}
	if user == nil || user.ID == 0 {
		return 0, errors.New("GitLab: the token's user has no id")
	}
	return user.ID, nil
}

// link reads the merge request's address, as that of a note is not in GitLab's
// answers. The comment is written by then, so link does not wait long, and a
// failure is only logged.
// https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request
func (g *gitLab) link(ctx context.Context, number int, n note) string {
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	ctx, call := g.begin(ctx, aboutComments)
	mr, _, err := g.api.MergeRequests.GetMergeRequest(g.project, int64(number), nil, gitlab.WithContext(ctx))
	if err != nil || mr == nil || mr.WebURL == "" {
		g.Logger.Debug("the merge request's address is not known", "forge", g.name, "error", call.end(err))
		return ""
	}
	return mr.WebURL + "#note_" + strconv.FormatInt(n.id, 10)
}

// create: https://docs.gitlab.com/api/notes/#create-a-merge-request-note
func (g *gitLab) create(ctx context.Context, number int, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	call.once = true
	n, _, err := g.api.Notes.CreateMergeRequestNote(g.project, int64(number),
		&gitlab.CreateMergeRequestNoteOptions{Body: &text}, gitlab.WithContext(ctx))
	return gitlabNote(n), call.end(err)
}

// update: https://docs.gitlab.com/api/notes/#update-a-merge-request-note
func (g *gitLab) update(ctx context.Context, number int, id int64, text string) (note, error) {
	ctx, call := g.begin(ctx, aboutComments)
	n, _, err := g.api.Notes.UpdateMergeRequestNote(g.project, int64(number), id,
		&gitlab.UpdateMergeRequestNoteOptions{Body: &text}, gitlab.WithContext(ctx))
	return gitlabNote(n), call.end(err)
}

func (g *gitLab) prepare(text string) string { return fit(noCommands(text), gitlabBody) }

// gitlabStates are GitLab's names of the states that can be set.
var gitlabStates = map[State]gitlab.BuildStateValue{
	Success: gitlab.Success, Failure: gitlab.Failed, Pending: gitlab.Pending, Errored: gitlab.Failed,
}

// gitlabState returns the state that one of GitLab's stands for; other programs
// may have set it.
func gitlabState(s gitlab.BuildStateValue) State {
	switch s {
	case gitlab.Success:
		return Success
	case gitlab.Failed:
		return Failure
	case gitlab.Canceled, gitlab.Skipped:
		return Errored
	default: // pending, running, and what comes before them
		return Pending
	}
}

func (g *gitLab) shown(s Status) Status {
	s.State = gitlabState(gitlabStates[s.State])
	s.Description = text.OneLine(s.Description, gitlabDescription)
	return s
}

// setStatus: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
// To GitLab a state is a transition of a state machine, which rejects the one
// from pending or running to pending. The status has the wanted state then;
// its description can't be changed.
// https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807
func (g *gitLab) setStatus(ctx context.Context, commit string, s Status) error {
	callCtx, call := g.begin(ctx, aboutStatus)
	_, _, err := g.api.Commits.SetCommitStatus(g.project, commit, &gitlab.SetCommitStatusOptions{
		State: gitlabStates[s.State], Name: &s.Context, Description: unlessEmpty(s.Description), TargetURL: unlessEmpty(s.TargetURL),
	}, gitlab.WithContext(callCtx))
	err = call.end(err)
	var refused *refusal
	if !errors.As(err, &refused) || !strings.Contains(refused.message, "Cannot transition status") {
		return err
	}
	last, readErr := newest(g.statuses(ctx, commit, s.Context), s.Context)
	if readErr == nil && last != nil && last.State == s.State {
		return nil
	}
	return err
}

// statuses reads the newest statuses of this name, of which there is one for each
// pipeline of the commit:
// https://docs.gitlab.com/api/commits/#list-the-statuses-of-a-commit
func (g *gitLab) statuses(ctx context.Context, commit, name string) iter.Seq2[posted, error] {
	opts := &gitlab.GetCommitStatusesOptions{Name: &name}
	return paged("statuses of the commit", gitlabStatuses, func(page int) ([]*gitlab.CommitStatus, bool, error) {
		ctx, call := g.begin(ctx, aboutStatus)
		opts.Page, opts.PerPage = int64(page), gitlabStatuses
		statuses, resp, err := g.api.Commits.GetCommitStatuses(g.project, commit, opts, gitlab.WithContext(ctx))
		return statuses, more(resp, err), call.end(err)
	}, func(s *gitlab.CommitStatus) posted {
		if s == nil {
			return posted{}
		}
		return posted{s.ID, Status{gitlabState(gitlab.BuildStateValue(s.Status)), s.Name, s.Description, s.TargetURL}}
	})
}

var gitlabHints = map[situation]string{
	{http.StatusUnauthorized, anyTopic}: "GitLab doesn't know the token: it is wrong, expired or revoked; a job's own CI_JOB_TOKEN can't be used, make a project access token with the scope api",
	{http.StatusForbidden, anyTopic}:    "the token may not comment: it needs the scope api and at least the role Reporter; a job's own CI_JOB_TOKEN can't be used",
	{http.StatusForbidden, aboutStatus}: "the token may not report statuses: it needs the scope api and the role Developer, on a protected branch one that may push there",
	{http.StatusNotFound, anyTopic}:     "check the project, the number, and that the token has access: GitLab doesn't show private projects to those without",
	{http.StatusNotFound, aboutStatus}:  "check the project, the commit, and that the token has access: GitLab doesn't show private projects to those without",
}
