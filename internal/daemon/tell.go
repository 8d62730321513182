package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"strings"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/store/history"
)

// teller queues messages for receivers, and keeps what they know then; *notify.Sender is
// one.
type teller interface {
	// Told returns what was kept last, by whichever process; nothing if that was never.
	Told() ([]byte, error)
	// Add queues the messages of a report, which may have no events, and keeps told with
	// them: both or nothing.
	Add(report notify.Report, told []byte) error
}

// telling is what the runner needs to tell receivers of changes.
type telling struct {
	// to is nil where nobody is to be told.
	to teller
	// known is what receivers know, and kept its stored form; nil until it is read.
	known *told
	kept  []byte

	account string
	// page is where people reach the daemon's page; empty if the config doesn't say so.
	page string
	// target is the page that commit statuses lead to; it may be empty.
	target string
	// tokens is where tokens of new orgs are.
	tokens string

	// found and unverified are of the run that goes on; nil if it didn't come to that.
	// quiet is set if the history only counts it.
	found      *compared
	unverified *unverified
	quiet      bool
}

// use takes what a config says. to is for its receivers, if there are any.
func (t *telling) use(cfg *config.Config, to teller) {
	t.to = nil
	if len(cfg.Notify) > 0 {
		t.to = to
	}
	t.account, t.page, t.target, t.tokens = cfg.Aerial.AccountID, "", "", cfg.Tokens.Dir
	if cfg.Tokens.Command != "" {
		t.tokens = "the keeping of " + cfg.Tokens.Command
	}
	if cfg.HTTP.URL != nil {
		t.page = strings.TrimSuffix(cfg.HTTP.URL.String(), "/")
	}
	if cfg.Git != nil && cfg.Git.Status != nil {
		t.target = cfg.Git.Status.TargetURL
	}
}

// begin forgets the run before.
func (t *telling) begin() { t.found, t.unverified, t.quiet = nil, nil, false }

// read reads what receivers know: another process may have told them more since. If that
// can't be understood, they are told once more of all that is open.
func (t *telling) read(log *slog.Logger) error {
	kept, err := t.to.Told()
	if err != nil {
		return err
	}
	if t.known != nil && bytes.Equal(kept, t.kept) {
		return nil
	}
	known := &told{}
	if len(kept) > 0 {
		if err := json.Unmarshal(kept, known); err != nil {
			log.Warn("what receivers of notifications know can't be read; they are told again of all that is open", "error", err.Error())
			known = &told{}
		}
	}
	t.known, t.kept = known, kept
	return nil
}

// tell tells receivers what has changed; rec is nil between runs. It queues messages, and
// sends none. What can't be queued is told after the next run. A panic is a bug, but must
// not end the daemon.
func (u *runner) tell(rec *api.RunRecord) {
	if u.telling.to == nil || rec != nil && rec.Result == ResultInterrupted || u.replaced() {
		return // who has taken over may know better
	}
	defer func() {
		if v := recover(); v != nil {
			u.log.Error("telling receivers of changes panicked: this is a bug, please report it", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	err := u.queue(rec)
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if u.logged.changed("telling", problem) && err != nil {
		u.log.Error("notifications can't be queued; the next run tries again", errorAttrs(err)...)
	}
}

func (u *runner) queue(rec *api.RunRecord) error {
	t := &u.telling
	if err := t.read(u.log); err != nil {
		return err
	}
	now := u.findings(rec)
	events, known := eventsOf(t.known, now)
	kept, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if len(events) == 0 && bytes.Equal(kept, t.kept) {
		return nil
	}
	r := notify.Report{Account: t.account, Time: now.at, Link: t.link(&notify.Event{Type: notify.Failed, Commit: now.commit}, t.pageOf(rec), u.r.CommitLink), Events: events}
	if rec != nil {
		r.Run = rec.ID
	}
	return t.to.Add(r, kept)
}

// pageOf returns the id of a run that has a page; "" if there is none.
func (t *telling) pageOf(rec *api.RunRecord) string {
	if rec == nil || t.quiet {
		return ""
	}
	return rec.ID
}

// findings returns what there is to tell of.
func (u *runner) findings(rec *api.RunRecord) *findings {
	t := &u.telling
	f := &findings{at: u.now().UTC(), run: rec, declared: u.r.Declared, actor: u.actor}
	if u.inForce != nil {
		f.commit = u.inForce.Commit
	}
	if rec != nil {
		f.unverified = t.unverified
		if rec.Commit != "" {
			f.commit = rec.Commit
		}
		f.compared = u.compared(rec)
	}
	f.link = func(e *notify.Event) string { return t.link(e, t.pageOf(rec), u.r.CommitLink) }
	if alarms, err := u.r.Alarms(); err == nil {
		f.alarms = &alarms
	}
	if active, err := u.r.Suspensions(); err == nil {
		f.suspensions = &active
	}
	return f
}

// compared returns what came of the comparison of a run, once it is known who caused
// what; nil if there was none.
func (u *runner) compared(rec *api.RunRecord) *compared {
	t := &u.telling
	if t.found == nil {
		return nil
	}
	c := *t.found
	c.drift, c.limits, c.tokens = u.logged.drift, u.r.ProductLimits(), t.tokens
	var err error
	if c.made, c.newest, err = u.r.MadeSince(t.known.Change, rec.ID); err != nil {
		u.log.Warn("the history can't say what was changed; receivers are told of it after the next run", errorAttrs(err)...)
		c.newest = t.known.Change
	}
	return &c
}

// actor returns who did something about a suspension, as the history has it; "" if it
// doesn't.
func (u *runner) actor(action, id string) string {
	const recent = 100
	if id == "" {
		return ""
	}
	entries, err := u.r.History().Entries(history.Query{Types: []history.Type{history.TypeOperator}, Action: action, Limit: recent})
	if err != nil {
		return ""
	}
	for i := range entries {
		if entries[i].Outcome == id {
			return entries[i].By
		}
	}
	return ""
}

// link returns where to read more about an event. run is that of the event, if it has a
// page; commits returns the address of a commit at the forge.
func (t *telling) link(e *notify.Event, run string, commits func(string) string) string {
	ofRun := e.Type == notify.Failed || e.Type == notify.Recovered || e.Type == notify.Refused
	commit := commits(e.Commit)
	switch {
	case t.page != "" && e.Org != "":
		return t.page + "/orgs/" + url.PathEscape(e.Org)
	case t.page != "" && run != "" && ofRun:
		return t.page + "/runs/" + url.PathEscape(run)
	case commit != "":
		return commit
	case t.page != "":
		return t.page + "/"
	}
	return t.target
}
