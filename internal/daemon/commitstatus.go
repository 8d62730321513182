package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/git/forge"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
)

// reportTimeout limits how long reporting a run to the git server may take, and
// readTimeout how much of that reading the current status may take.
const (
	reportTimeout = 30 * time.Second
	readTimeout   = 10 * time.Second
)

// commitReporter sets the statuses of commits at the git server, whenever they
// change. A nil commitReporter does nothing.
type commitReporter struct {
	forge *forge.Client
	cfg   *config.GitStatus
	log   *slog.Logger
	// commit and reported are what was set last.
	commit   string
	reported commitState
	failed   string // the last failure, which is not logged twice
}

// newCommitReporter returns the commitReporter of the config, nil where it has
// none; send is nil for the transport that the config asks for.
func newCommitReporter(cfg *config.Config, log *slog.Logger, send http.RoundTripper) (*commitReporter, error) {
	if cfg.Git == nil || cfg.Git.Status == nil {
		return nil, nil
	}
	client, err := reconcile.OpenForge(cfg, log, send)
	if err != nil {
		return nil, err
	}
	return &commitReporter{forge: client, cfg: cfg.Git.Status, log: log}, nil
}

// report reports how a run ended. A failure is logged; the next run retries.
func (t *commitReporter) report(ctx context.Context, rec *api.RunRecord) {
	if t == nil {
		return
	}
	commit, v := commitStateOf(rec)
	if commit == "" || commit == t.commit && v.same(t.reported) {
		return
	}
	within, stop := context.WithTimeout(ctx, reportTimeout)
	defer stop()
	err := t.set(within, commit, v, rec.Head)
	switch {
	case err == nil:
		t.commit, t.reported, t.failed = commit, v, ""
	case ctx.Err() != nil: // the daemon stops
	default:
		if why := text.JoinLines(err.Error()); why != t.failed {
			t.failed = why
			t.log.Warn("the commit's status could not be reported; the next run tries again", append(errorAttrs(err), "of", commit)...)
		}
	}
}

// set sets a commit's status, unless an earlier process has set the same. head is that of
// the history, of which the status holds the beginning.
func (t *commitReporter) set(ctx context.Context, commit string, v commitState, head string) error {
	status := t.forge.Shown(forge.Status{State: v.state, Context: t.cfg.Name, Description: v.String(), TargetURL: t.cfg.TargetURL})
	if commit != t.commit && t.alreadySet(ctx, commit, status, v) {
		return nil
	}
	status.Description = withHead(status.Description, head)
	return t.forge.SetStatus(ctx, commit, status)
}

const (
	// shortHead is how much of a head a status holds: enough to look for it.
	shortHead = 12
	// maxDescription is how long a description may be: GitHub's limit.
	maxDescription = 140
	beforeHead     = " · head "
)

// withHead returns a description that ends with the beginning of a head.
func withHead(description, head string) string {
	if head == "" {
		return description
	}
	end := beforeHead + head[:min(len(head), shortHead)]
	return text.OneLine(description, maxDescription-utf8.RuneCountInString(end)) + end
}

// withoutHead takes off what withHead added.
func withoutHead(description string) string {
	description, _, _ = strings.Cut(description, beforeHead)
	return description
}

// alreadySet reports whether an earlier process has set the same status. It is
// false if the status can't be read, such as with a write-only token.
func (t *commitReporter) alreadySet(ctx context.Context, commit string, status forge.Status, v commitState) bool {
	ctx, stop := context.WithTimeout(ctx, readTimeout)
	defer stop()
	last, err := t.forge.LastStatus(ctx, commit, status.Context)
	if err != nil {
		t.log.Debug("the commit's status could not be read, and is reported all the same", "of", commit, "error", text.JoinLines(err.Error()))
		return false
	}
	return last != nil && last.State == status.State && last.TargetURL == status.TargetURL && v.matches(withoutHead(last.Description), status.Description)
}

// commitState is the state of a commit after a run.
type commitState struct {
	state forge.State
	what  string
	// why is the detail; an error's may be worded differently each time.
	why string
}

func (v commitState) String() string {
	if v.why == "" {
		return v.what
	}
	return v.what + ": " + v.why
}

// same reports whether v needs no new status after the reported one. An error's
// ids and times differ from run to run, so its first text stays: GitHub accepts a
// thousand statuses of a commit.
func (v commitState) same(reported commitState) bool {
	return v == reported || v.state == forge.Errored && v.state == reported.state && v.what == reported.what
}

// matches is like same, for the description that an earlier process set; shown
// is v's own as the forge shows it.
func (v commitState) matches(description, shown string) bool {
	return description == shown || v.state == forge.Errored && (description == v.what || strings.HasPrefix(description, v.what+": "))
}

// commitStateOf returns a commit and its state after a run; no commit when there is
// nothing to report.
func commitStateOf(rec *api.RunRecord) (commit string, v commitState) {
	if s := rec.Stale; s != nil {
		if !s.Refused {
			return "", commitState{} // the newest commit isn't known
		}
		return s.Commit, commitState{forge.Errored, "refused, the last good commit stays in force", s.Error}
	}
	switch rec.Result {
	case ResultInSync, ResultApplied, ResultDrift:
		// What was applied is in sync, unless something was left undone.
		if rec.Left() {
			return rec.Commit, commitState{forge.Failure, "drift", differences(rec)}
		}
		return rec.Commit, commitState{forge.Success, "in sync", ""}
	case ResultPartial:
		return rec.Commit, commitState{forge.Errored, "partly done", shortfall(rec)}
	case ResultInterrupted:
		return "", commitState{}
	}
	v = commitState{forge.Errored, "error", ""}
	if rec.Result == ResultRefused {
		v.what = "not applied" // why begins with "refused"
	}
	if rec.Problem != nil {
		v.why = rec.Problem.Error
	}
	return rec.Commit, v
}

// differences counts those that a run left.
func differences(rec *api.RunRecord) string {
	s := rec.Summary
	var parts []string
	if n := s.Changes - rec.Changes.Applied; n > 0 {
		parts = append(parts, text.Plural(n, "change"))
	}
	if s.Blocked > 0 {
		parts = append(parts, fmt.Sprintf("%d of them blocked", s.Blocked))
	}
	if s.Unfixable > 0 {
		parts = append(parts, fmt.Sprintf("%d unfixable", s.Unfixable))
	}
	return strings.Join(parts, ", ")
}

// shortfall counts what a run could not do.
func shortfall(rec *api.RunRecord) string {
	var parts []string
	if n := rec.Changes.Failed; n > 0 {
		parts = append(parts, text.Plural(n, "change")+" failed")
	}
	if n := rec.Changes.Skipped; n > 0 {
		parts = append(parts, text.Plural(n, "change")+" skipped")
	}
	if s := rec.Summary; s != nil && s.Unknown > rec.UnknownConfigurations {
		parts = append(parts, text.Plural(s.Unknown-rec.UnknownConfigurations, "org")+" not readable")
	}
	if n := rec.UnknownConfigurations; n > 0 {
		parts = append(parts, "configuration of "+text.Plural(n, "org")+" not readable")
	}
	if s := rec.Summary; s != nil && s.Unfixable > 0 {
		parts = append(parts, fmt.Sprintf("%d unfixable", s.Unfixable))
	}
	return strings.Join(parts, ", ")
}
