package onboard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/onboard"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
)

// stubSink is a sink with functions in place of some of its methods.
type stubSink struct {
	tokens.Sink
	probe func(context.Context) error
	store func(tokens.Meta, tokens.Token) (string, error)
	find  func(string) ([]tokens.Stored, error)
}

func (s *stubSink) Probe(ctx context.Context) error {
	if s.probe != nil {
		return s.probe(ctx)
	}
	return s.Sink.Probe(ctx)
}

func (s *stubSink) Store(m tokens.Meta, t tokens.Token) (string, error) {
	if s.store != nil {
		return s.store(m, t)
	}
	return s.Sink.Store(m, t)
}

func (s *stubSink) Find(domain string) ([]tokens.Stored, error) {
	if s.find != nil {
		return s.find(domain)
	}
	return s.Sink.Find(domain)
}

func (s *stubSink) in(o *onboard.Options) { s.Sink, o.Sink = o.Sink, s }

var errFull = errors.New("no space left on device")

func TestSinkThatDoesNotWork(t *testing.T) {
	w := newWorld(t, nil, fresh)
	s := &stubSink{probe: func(context.Context) error { return errFull }}
	o := outcome(t, w.once(t, s.in), fresh, diff.CreateOrg)
	if o.Result != apply.Failed || o.Error != "the token sink doesn't work, so nothing was sent: no space left on device" || w.creationsSent() != 0 {
		t.Errorf("%+v", o)
	}
	w.once(t)
	w.wantComplete(t, fresh, false)
}

// A token that is not taken at once is offered again.
func TestSinkThatIsSlowToTakeAToken(t *testing.T) {
	w := newWorld(t, nil, fresh)
	tries := 0
	s := &stubSink{}
	s.store = func(m tokens.Meta, token tokens.Token) (string, error) {
		if tries++; tries < 5 {
			return "", errFull
		}
		return s.Sink.Store(m, token)
	}
	if o := outcome(t, w.once(t, s.in), fresh, diff.CreateOrg); o.Result != apply.Applied || tries != 5 {
		t.Errorf("%d tries: %+v", tries, o)
	}
	w.wantComplete(t, fresh, false)
	if !strings.Contains(w.said(), "it is in memory only") {
		t.Error("nobody was told")
	}
}

// A token that is never taken is lost, and told so; sooner when the run is to
// end. The org is there all the same.
func TestSinkThatNeverTakesAToken(t *testing.T) {
	for _, stop := range []bool{false, true} {
		w := newWorld(t, nil, fresh)
		var first, last time.Time
		s := &stubSink{}
		w.with(t, func(t *testing.T, p *program) {
			ctx, cancel := context.WithCancel(t.Context())
			s.store = func(tokens.Meta, tokens.Token) (string, error) {
				last = time.Now()
				if first.IsZero() {
					first = last
				}
				if stop {
					cancel()
				}
				return "", errFull
			}
			o := outcome(t, p.mustRun(ctx, t), fresh, diff.CreateOrg)
			if o.Result != apply.Applied || !strings.Contains(o.Hint, "THE ORG'S TOKEN IS LOST: the token sink did not take it: no space left on device; a super admin of the org creates another one (https://acme-fresh-admin.okta.com: Security, API, Tokens)") {
				t.Errorf("%+v", o)
			}
		}, s.in)
		if took := last.Sub(first); stop && took != 20*time.Second || !stop && took != 5*time.Minute {
			t.Errorf("stopped: %v, tried for %v", stop, took)
		}
		w.once(t)
		w.wantComplete(t, fresh, true)
	}
}

// A sink that can't tell what it holds may have a token that nobody can be sure
// of; that is said.
func TestSinkThatCannotTell(t *testing.T) {
	mute := func() *stubSink {
		return &stubSink{find: func(string) ([]tokens.Stored, error) {
			return nil, fmt.Errorf("can't tell: %w", errors.ErrUnsupported)
		}}
	}
	w := newWorld(t, nil, fresh)
	w.once(t, mute().in)
	w.wantComplete(t, fresh, false)

	w = newWorld(t, nil, fresh)
	w.fault(t, creations(simulator.Fault{Cut: true, After: true, Times: 1}))
	w.once(t, mute().in)
	r := w.once(t, mute().in)
	if o := outcome(t, r, fresh, diff.LinkOrg); !strings.Contains(o.Hint, "the answer to the call that created the org was lost (or the folder") || !strings.Contains(o.Hint, "has it: look there first)") {
		t.Errorf("%+v", o)
	}
	w.wantComplete(t, fresh, true)
}

// A sink that can't be looked into keeps an org from being created: there might
// be a token already.
func TestSinkThatCannotBeRead(t *testing.T) {
	w := newWorld(t, nil, fresh)
	s := &stubSink{find: func(string) ([]tokens.Stored, error) { return nil, errors.New("input/output error") }}
	o := outcome(t, w.once(t, s.in), fresh, diff.CreateOrg)
	if o.Result != apply.Failed || o.Error != "looking for the org's token: input/output error" || w.creationsSent() != 0 {
		t.Errorf("%+v", o)
	}
}

// failingJournal is a journal of which one method fails, once.
type failingJournal struct {
	onboard.Journal
	fails  string
	failed atomic.Bool
}

func (j *failingJournal) in(o *onboard.Options) { j.Journal, o.Journal = o.Journal, j }

func (j *failingJournal) fail(name string) error {
	if j.fails == name && j.failed.CompareAndSwap(false, true) {
		return errFull
	}
	return nil
}

func (j *failingJournal) Begin(c journal.Creation) error {
	return firstError(j.fail("Begin"), func() error { return j.Journal.Begin(c) })
}

func (j *failingJournal) Send(k journal.Key, rate journal.Rate) (time.Duration, error) {
	if err := j.fail("Send"); err != nil {
		return 0, err
	}
	return j.Journal.Send(k, rate)
}

func (j *failingJournal) MarkUnanswered(k journal.Key, reason string) error {
	return firstError(j.fail("MarkUnanswered"), func() error { return j.Journal.MarkUnanswered(k, reason) })
}

func (j *failingJournal) MarkRefused(k journal.Key, reason string) error {
	return firstError(j.fail("MarkRefused"), func() error { return j.Journal.MarkRefused(k, reason) })
}

func (j *failingJournal) MarkCreated(k journal.Key, orgID string, at time.Time) error {
	return firstError(j.fail("MarkCreated"), func() error { return j.Journal.MarkCreated(k, orgID, at) })
}

func (j *failingJournal) MarkTokenStored(k journal.Key, where string) error {
	return firstError(j.fail("MarkTokenStored"), func() error { return j.Journal.MarkTokenStored(k, where) })
}

func (j *failingJournal) MarkTokenLost(k journal.Key, reason string) error {
	return firstError(j.fail("MarkTokenLost"), func() error { return j.Journal.MarkTokenLost(k, reason) })
}

func (j *failingJournal) MarkLinked(k journal.Key, orgID string) error {
	return firstError(j.fail("MarkLinked"), func() error { return j.Journal.MarkLinked(k, orgID) })
}

func (j *failingJournal) MarkDone(k journal.Key) error {
	return firstError(j.fail("MarkDone"), func() error { return j.Journal.MarkDone(k) })
}

func firstError(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

// A journal that can't be written, say because the disk is full, is as good as
// a crash: nothing is lost, and the next run goes on.
func TestJournalThatFails(t *testing.T) {
	cut := creations(simulator.Fault{Cut: true, After: true, Times: 1})
	noToken := creations(simulator.Fault{CutBody: true, Times: 1})
	refused := creations(simulator.Fault{Status: 400, Times: 1})
	for _, tt := range []struct {
		fails  string
		fault  *simulator.Fault
		action diff.Action
		says   string
		lost   bool
	}{
		{"Begin", nil, diff.CreateOrg, "no space left on device", false},
		{"Send", nil, diff.CreateOrg, "no space left on device", false},
		{"MarkCreated", nil, diff.CreateOrg, "the org is created and its token is stored (", false},
		{"MarkTokenStored", nil, diff.CreateOrg, "but the journal could not note it: no space left on device", false},
		{"MarkTokenLost", &noToken, diff.CreateOrg, "the org is created, its token is lost (", true},
		{"MarkUnanswered", &cut, diff.CreateOrg, "it may have taken effect all the same; no space left on device", true},
		{"MarkRefused", &refused, diff.CreateOrg, "fault (errorId", false},
		{"MarkLinked", nil, diff.LinkOrg, "the journal could not note that the org is linked: no space left on device", false},
		{"MarkDone", nil, diff.LinkOrg, "", false},
	} {
		t.Run(tt.fails, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, fresh)
			if tt.fault != nil {
				w.fault(t, *tt.fault)
			}
			j := &failingJournal{fails: tt.fails}
			o := outcome(t, w.once(t, j.in), fresh, tt.action)
			if !j.failed.Load() || !strings.Contains(o.Error+o.Hint, tt.says) || strings.Contains(o.Error, "\n") {
				t.Errorf("%+v", o)
			}
			for range 3 {
				w.once(t)
			}
			w.wantComplete(t, fresh, tt.lost)
			w.wantOrgs(t, 1)
		})
	}
}

// As long as it can't be found out whether there is an org, nothing is sent.
func TestLookThatFails(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.fault(t, creations(simulator.Fault{Cut: true, Times: 1}))
	w.once(t)
	w.fault(t, links(simulator.Fault{Status: 503}))
	for range 2 {
		o := outcome(t, w.once(t), fresh, diff.CreateOrg)
		if o.Result != apply.Failed || !strings.Contains(o.Error, "an earlier call may have created the org, and it could not be found out: ") || o.Hint == "" {
			t.Errorf("%+v", o)
		}
	}
	if n := w.creationsSent(); n != 1 {
		t.Errorf("sent %d times", n)
	}
	w.ClearFaults()
	w.once(t)
	w.wantComplete(t, fresh, false)
}

func TestAlarm(t *testing.T) {
	message, hint := onboard.Alarm(&journal.Creation{Key: journal.Key{Domain: fresh}, OrgID: "00o1", LostReason: "the answer was lost"})
	if message != `the token of the new org "acme-fresh.okta.com" (00o1) is lost: the answer was lost` ||
		!strings.Contains(hint, "https://acme-fresh-admin.okta.com: Security, API, Tokens") || !strings.HasSuffix(hint, "reconciler acknowledge acme-fresh.okta.com") {
		t.Errorf("%s\n%s", message, hint)
	}
}
