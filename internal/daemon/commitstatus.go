package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/forge"
)

// tellTimeout is how long the git server may take to hear of a run.
const tellTimeout = 30 * time.Second

// teller reports on commits where they live, each time that there is something
// else to say of one. Nil tells nobody.
type teller struct {
	forge *forge.Client
	cfg   *config.GitStatus
	log   *slog.Logger
	// commit is the one that was spoken of last, and said what was said of it.
	commit string
	said   forge.Status
	failed string // the last failure, which is not told twice
}

func newTeller(cfg *config.Config, version string, log *slog.Logger) (*teller, error) {
	if cfg.Git == nil || cfg.Git.Status == nil {
		return nil, nil
	}
	s := cfg.Git.Status
	token := text(s.Token)
	if token == nil {
		var err error
		if token, err = appToken(cfg.Git.Auth.GitHubApp, log); err != nil {
			return nil, err
		}
	}
	client, err := forge.New(forge.Options{
		Provider:   s.Provider,
		URL:        s.URL,
		Repository: s.Repository,
		Token:      token,
		UserAgent:  "reconciler/" + version,
		Logger:     log,
	})
	if err != nil {
		return nil, fmt.Errorf("git.status: %w", err)
	}
	return &teller{forge: client, cfg: s, log: log}, nil
}

// tell reports how a run ended. A failure is told on the log, and no reason for
// a run to have failed; the next run tries again.
func (t *teller) tell(ctx context.Context, rec *RunRecord) {
	if t == nil {
		return
	}
	commit, state, description := verdict(rec)
	if commit == "" {
		return
	}
	status := t.forge.Shown(forge.Status{State: state, Context: t.cfg.Name, Description: description, TargetURL: t.cfg.TargetURL})
	if commit == t.commit && status == t.said {
		return
	}
	ctx, stop := context.WithTimeout(ctx, tellTimeout)
	defer stop()
	if err := t.report(ctx, commit, status); err != nil {
		if why := oneLine(err.Error()); why != t.failed {
			t.failed = why
			t.log.Warn("the commit's status could not be reported", "error", why, "hint", hintOf(err))
		}
		return
	}
	t.commit, t.said, t.failed = commit, status, ""
}

// report sets a commit's status, unless it was set so by an earlier process.
func (t *teller) report(ctx context.Context, commit string, status forge.Status) error {
	if commit != t.commit {
		last, err := t.forge.LastStatus(ctx, commit, status.Context)
		if err != nil {
			return err
		}
		if last != nil && *last == status {
			return nil
		}
	}
	return t.forge.SetStatus(ctx, commit, status)
}

// verdict gives what a run says of which commit; no commit when it says nothing
// of any. It holds no numbers that change while nothing else does.
func verdict(rec *RunRecord) (commit string, state forge.State, description string) {
	if s := rec.Stale; s != nil {
		if !s.Refused || s.Commit == "" {
			return "", "", "" // the newest commit isn't known
		}
		return s.Commit, forge.Errored, "refused, the last good commit stays in force: " + s.Error
	}
	if rec.Commit == "" {
		return "", "", ""
	}
	switch rec.Result {
	case ResultInSync:
		return rec.Commit, forge.Success, "in sync"
	case ResultApplied:
		return rec.Commit, forge.Success, "applied" + left(rec)
	case ResultDrift:
		return rec.Commit, forge.Failure, "drift: " + differences(rec)
	case ResultInterrupted:
		return "", "", ""
	}
	description = string(rec.Result)
	if rec.Problem != nil {
		description += ": " + rec.Problem.Error
	}
	return rec.Commit, forge.Errored, description
}

// differences counts what a plan found.
func differences(rec *RunRecord) string {
	s := rec.Summary
	parts := []string{plural(s.Changes, "change")}
	if s.Unfixable > 0 {
		parts = append(parts, fmt.Sprintf("%d unfixable", s.Unfixable))
	}
	if s.Blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d blocked", s.Blocked))
	}
	return strings.Join(parts, ", ")
}

// left tells what an apply left undone on purpose.
func left(rec *RunRecord) string {
	if n := rec.Changes.Blocked; n > 0 {
		return fmt.Sprintf("; %s blocked", plural(n, "change"))
	}
	return ""
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
