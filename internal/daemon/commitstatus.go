package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/git/forge"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// tellTimeout is how long the git server may take to hear of a run, and
// lookTimeout how long of that to say what it was told before.
const (
	tellTimeout = 30 * time.Second
	lookTimeout = 10 * time.Second
)

// teller reports on commits where they live, each time that there is something
// else to say of one. Nil tells nobody.
type teller struct {
	forge *forge.Client
	cfg   *config.GitStatus
	log   *slog.Logger
	// commit is the one that was spoken of last, and said what was said of it.
	commit string
	said   verdict
	failed string // the last failure, which is not told twice
}

// newTeller makes the teller of the config, nil where it has none. It sends
// through send; nil for what the config says of its git server.
func newTeller(cfg *config.Config, version string, log *slog.Logger, send http.RoundTripper) (*teller, error) {
	if cfg.Git == nil || cfg.Git.Status == nil {
		return nil, nil
	}
	if send == nil {
		send = web.Transport(cfg.Git.Auth.CAFile)
	}
	s := cfg.Git.Status
	token := secretText(s.Token)
	if token == nil {
		var err error
		if token, err = appToken(cfg.Git, send, log); err != nil {
			return nil, err
		}
	}
	client, err := forge.New(forge.Options{
		Provider:   s.Provider,
		URL:        s.URL,
		Repository: s.Repository,
		Token:      token,
		HTTP:       send,
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
	commit, v := verdictOf(rec)
	if commit == "" || commit == t.commit && v.same(t.said) {
		return
	}
	within, stop := context.WithTimeout(ctx, tellTimeout)
	defer stop()
	err := t.report(within, commit, v)
	switch {
	case err == nil:
		t.commit, t.said, t.failed = commit, v, ""
	case ctx.Err() != nil: // the daemon ends; the next one reports
	default:
		if why := text.JoinLines(err.Error()); why != t.failed {
			t.failed = why
			t.log.Warn("the commit's status could not be reported; the next run tries again", "of", commit, "error", why, "hint", text.Hint(err))
		}
	}
}

// report sets a commit's status, unless an earlier process has said the same.
func (t *teller) report(ctx context.Context, commit string, v verdict) error {
	status := t.forge.Shown(forge.Status{State: v.state, Context: t.cfg.Name, Description: v.String(), TargetURL: t.cfg.TargetURL})
	if commit != t.commit && t.reported(ctx, commit, status, v) {
		return nil
	}
	return t.forge.SetStatus(ctx, commit, status)
}

// reported says whether an earlier process has said the same. Where that can't
// be found out, such as with a token that may write and not read, it is taken
// for unsaid: to say it twice does less harm than not to say it.
func (t *teller) reported(ctx context.Context, commit string, status forge.Status, v verdict) bool {
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	last, err := t.forge.LastStatus(ctx, commit, status.Context)
	if err != nil {
		t.log.Debug("the commit's status could not be read, and is reported all the same", "of", commit, "error", text.JoinLines(err.Error()))
		return false
	}
	return last != nil && last.State == status.State && last.TargetURL == status.TargetURL && v.saidBy(last.Description, status.Description)
}

// verdict is what a run says of a commit.
type verdict struct {
	state forge.State
	what  string
	// why says more; of an error it may be in other words each time.
	why string
}

func (v verdict) String() string {
	if v.why == "" {
		return v.what
	}
	return v.what + ": " + v.why
}

// same says whether there is nothing new in v. An error has ids and times in it
// that differ from run to run, so of an error the first words stand: GitHub
// takes a thousand statuses of a commit and no more.
func (v verdict) same(said verdict) bool {
	return v == said || v.state == forge.Errored && v.state == said.state && v.what == said.what
}

// saidBy does the same for the description of an earlier process; shown is v's
// own as the forge shows it.
func (v verdict) saidBy(description, shown string) bool {
	return description == shown || v.state == forge.Errored && (description == v.what || strings.HasPrefix(description, v.what+": "))
}

// verdictOf gives what a run says of which commit; no commit when it says nothing
// of any.
func verdictOf(rec *RunRecord) (commit string, v verdict) {
	if s := rec.Stale; s != nil {
		if !s.Refused {
			return "", verdict{} // the newest commit isn't known
		}
		return s.Commit, verdict{forge.Errored, "refused, the last good commit stays in force", s.Error}
	}
	switch rec.Result {
	case ResultInSync, ResultApplied, ResultDrift:
		// What was applied is in sync, unless something was left undone.
		if rec.Left() {
			return rec.Commit, verdict{forge.Failure, "drift", differences(rec)}
		}
		return rec.Commit, verdict{forge.Success, "in sync", ""}
	case ResultPartial:
		return rec.Commit, verdict{forge.Errored, "partly done", shortfall(rec)}
	case ResultInterrupted:
		return "", verdict{}
	}
	v = verdict{forge.Errored, "error", ""}
	if rec.Result == ResultRefused {
		v.what = "not applied" // why begins with "refused"
	}
	if rec.Problem != nil {
		v.why = rec.Problem.Error
	}
	return rec.Commit, v
}

// differences counts those that a run left.
func differences(rec *RunRecord) string {
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
func shortfall(rec *RunRecord) string {
	var parts []string
	if n := rec.Changes.Failed; n > 0 {
		parts = append(parts, text.Plural(n, "change")+" failed")
	}
	if n := rec.Changes.Skipped; n > 0 {
		parts = append(parts, text.Plural(n, "change")+" skipped")
	}
	if s := rec.Summary; s != nil && s.Unknown > 0 {
		parts = append(parts, text.Plural(s.Unknown, "org")+" not readable")
	}
	return strings.Join(parts, ", ")
}
