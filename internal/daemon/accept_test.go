package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// accepted returns the last accepted commit in the journal.
func accepted(t *testing.T, w *world, state string) (journal.Acceptance, bool) {
	t.Helper()
	j := journal.New(location.Folder(state), journal.Options{})
	defer j.Close()
	a, known, err := j.Accepted(w.repo.Dir() + " refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	return a, known
}

// A rewrite is let pass once it is acknowledged; what is left of that in the
// config lets no other pass.
func TestVerifyAcceptsRewrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		extra := "state: {dir: DIR/state}\n"
		s, old := newSigners(t, worldOptions{mode: "apply", extra: extra})
		s.expectFresh(ResultInSync)
		rewrite := func() string {
			s.git("update-ref", "-d", "HEAD")
			time.Sleep(time.Minute) // or it would be the same commit
			return s.signed(inSync, s.ssh("ada")...)
		}
		second := rewrite()
		st := s.expectStale(ResultInSync, "the history was rewritten: it no longer contains the last accepted commit "+old)
		if hint := st.Desired.Stale.Hint; !strings.Contains(hint, "git.verify.acceptRewriteOf") {
			t.Errorf("hint %q", hint)
		}
		o := worldOptions{
			mode: "apply", git: verifying(s.keys, "acceptRewriteOf: "+old),
			extra: strings.ReplaceAll(extra, "DIR", s.keys),
		}
		s.reload(o)
		s.expectInForce(s.expectFresh(ResultInSync), second, signedByAda)
		third := s.signed(inSync, s.ssh("ada")...)
		s.expectInForce(s.expectFresh(ResultInSync), third, signedByAda)

		rewrite()
		s.expectStale(ResultInSync, "last accepted commit "+third)
		s.reload(o)
		s.expectInForce(s.expectStale(ResultInSync, "last accepted commit "+third), third, signedByAda)
		// Not even back to where it was acknowledged.
		s.git("update-ref", "refs/heads/main", old)
		s.expectStale(ResultInSync, "a rewrite of the history had taken it out")
	})
}

// An acknowledged rewrite stands for itself alone: what it took out does not come
// back, below another commit or by itself, and no second rewrite passes. That
// stays so when the config no longer says it.
func TestVerifyRewriteCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		extra := "state: {dir: DIR/state}\n"
		s, good := newSigners(t, worldOptions{mode: "apply", extra: extra})
		s.expectFresh(ResultInSync)
		bad := s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
		s.expectFresh(ResultApplied)
		verify := func(more string) {
			s.reload(worldOptions{mode: "apply", git: verifying(s.keys, more), extra: strings.ReplaceAll(extra, "DIR", s.keys)})
		}
		verify("acceptRewriteOf: " + bad)
		s.expectInForce(s.expectFresh(ResultInSync), bad, signedByAda) // not yet rewritten
		s.git("reset", "-q", "--hard", good)
		s.expectInForce(s.expectFresh(ResultApplied), good, signedByAda)

		s.git("reset", "-q", "--hard", bad)
		below := s.signed(inSync, s.ssh("ada")...)
		s.git("checkout", "-q", "--orphan", "other")
		another := s.signed(inSync+"# another\n", s.ssh("ada")...)
		s.git("symbolic-ref", "HEAD", "refs/heads/main")
		for _, more := range []string{"acceptRewriteOf: " + bad, "", "acceptRewriteOf: " + bad} {
			verify(more)
			for _, tc := range []struct{ tip, why string }{
				{bad, "a rewrite of the history had taken it out"},
				{below, "it contains the commit " + bad[:12] + ", which a rewrite of the history had taken out"},
				{another, "the history was rewritten: it no longer contains the last accepted commit " + good},
			} {
				s.git("update-ref", "refs/heads/main", tc.tip)
				st := s.expectStale(ResultInSync, tc.why)
				s.expectInForce(st, good, signedByAda)
				if err := s.lastRefusal(); err.Reason != reconcile.ReasonRewritten || text.Hint(err) == "" {
					t.Errorf("%+v", err)
				}
			}
		}
		// The second rewrite, acknowledged in its turn, opens no way back either.
		verify("acceptRewriteOf: " + good)
		s.git("update-ref", "refs/heads/main", below)
		s.expectStale(ResultInSync, "it contains the commit "+bad[:12])
		s.git("update-ref", "refs/heads/main", another)
		s.expectInForce(s.expectFresh(ResultInSync), another, signedByAda)
		s.git("update-ref", "refs/heads/main", good)
		verify("")
		s.expectStale(ResultInSync, "a rewrite of the history had taken it out")
	})
}

// A rewrite that the journal could not take down at once is not forgotten.
func TestVerifyRewriteIsKeptLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"}
		s, old := newSigners(t, o)
		s.expectFresh(ResultInSync)
		s.git("update-ref", "-d", "HEAD")
		s.signed(inSync+"# rewritten\n", s.ssh("ada")...)
		state := filepath.Join(s.keys, "state")
		s.reload(worldOptions{mode: "apply", git: verifying(s.keys, "acceptRewriteOf: "+old), extra: "state: {dir: " + state + "}\n"})
		held, err := journal.New(location.Folder(state), journal.Options{}).Lock()
		if err != nil {
			t.Fatal(err)
		}
		s.expectFresh(ResultInSync)
		tip := s.signed(inSync, s.ssh("ada")...)
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		s.expectInForce(s.expectFresh(ResultInSync), tip, signedByAda)
		if a, _ := accepted(t, s.world, state); a.Commit != tip {
			t.Errorf("accepted %+v", a)
		}
		j := journal.New(location.Folder(state), journal.Options{})
		defer j.Close()
		out, err := j.Rewritten(s.cfg.Git.URL + " " + s.cfg.Git.Ref())
		if err != nil {
			t.Fatal(err)
		}
		expectLines(t, "rewritten", out, old)
	})
}

// A commit that came into force stays so over a restart, if there is a place to
// remember it.
func TestVerifyRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, good := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		since := s.expectFresh(ResultInSync).Desired.Since
		bad := s.signed(manifest(t, "[sso, mfa]", "[sso]"))
		time.Sleep(time.Hour)
		s.restart()
		s.tamper(emea, sso)
		st := s.expect(ResultApplied)
		expectLines(t, emea, s.products(emea), sso, mfa)
		s.expectInForce(st, good, signedByAda)
		if stale := st.Desired.Stale; stale == nil || stale.Commit != bad || stale.Error != "it is not signed" || !st.Desired.Since.Equal(since) || !st.Ready {
			t.Errorf("desired %+v, stale %+v; in force since %v", st.Desired, stale, since)
		}
		page := ask(s.handler, "GET", "/").Body.String()
		for _, words := range []string{bad[:12] + "</code> is refused: it is not signed", "<dt>Signed by</dt><dd>ada@acme.example (ssh "} {
			if !strings.Contains(page, words) {
				t.Errorf("the page lacks %q", words)
			}
		}
		if a, _ := accepted(t, s.world, filepath.Join(s.keys, "state")); a.Commit != good {
			t.Errorf("the journal has %+v", a)
		}

		// Its key is taken away: then nothing is in force.
		s.allow(s.line("bob", ""))
		s.restart()
		s.log.reset()
		for range 2 {
			st = s.expect(ResultError)
			if p := st.LastRun.Problem; st.Desired != nil || st.LastRun.Commit != bad || p.Error != "commit "+bad[:12]+" is refused: it is not signed" || p.Hint == "" {
				t.Errorf("desired %+v, run %+v", st.Desired, st.LastRun)
			}
		}
		if lost := s.log.lines(t, "the last verified commit can't be read again"); len(lost) != 1 || !strings.Contains(fmt.Sprint(lost[0]["error"]), good[:12]) {
			t.Errorf("said: %v", lost)
		}
		expectLines(t, "writes", s.writes()[1:])
	})
}

func TestVerifyRestartWithoutState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{mode: "apply"})
		s.expectFresh(ResultInSync)
		s.signed(inSync)
		s.expectStale(ResultInSync, "it is not signed")
		s.restart()
		if st := s.expect(ResultError); st.Desired != nil || st.LastRun.Stale != nil {
			t.Errorf("desired %+v, run %+v", st.Desired, st.LastRun)
		}
		// The next one that is signed counts as the first, rewritten or not.
		s.git("update-ref", "-d", "HEAD")
		first := s.signed(inSync, s.ssh("ada")...)
		s.expectInForce(s.expectFresh(ResultInSync), first, signedByAda)
	})
}

// What another process has accepted meanwhile is the last accepted commit here
// too.
func TestVerifyTwoProcesses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, old := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		s.expectFresh(ResultInSync)
		newer := s.signed(inSync, s.ssh("ada")...)
		s.accepting()
		s.git("update-ref", "refs/heads/main", old)
		s.expectStale(ResultInSync, "last accepted commit "+newer)
		if a, _ := accepted(t, s.world, filepath.Join(s.keys, "state")); a.Commit != newer {
			t.Errorf("the journal has %+v", a)
		}
	})
}

// accepting does all that another process does to accept the newest commit.
func (s *signers) accepting() {
	s.t.Helper()
	r, err := reconcile.New(s.cfg, reconcile.Options{Transport: s.base})
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	plan, desired, err := r.Plan(context.Background(), reconcile.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Note(plan, desired, reconcile.Filter{}); err != nil {
		s.t.Fatal(err)
	}
}

// While the newest commit can't be used, that one stays in force which another
// process has accepted, and not the older one which this process knows.
func TestVerifyGoesOnWithTheNewest(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(s *signers)
		ends  Result
	}{
		"not signed": {func(s *signers) { s.signed(inSync) }, ResultApplied},
		"mistakes":   {func(s *signers) { s.signed("version: 1\n", s.ssh("ada")...) }, ResultApplied},
		"doesn't fit": {func(s *signers) {
			s.signed(strings.Replace(inSync, "version: 1", otherAccount, 1), s.ssh("ada")...)
		}, ResultApplied},
		"git is away": {func(s *signers) {
			if err := os.Rename(s.repo.Dir(), s.repo.Dir()+".away"); err != nil {
				s.t.Fatal(err)
			}
		}, ResultError},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, _ := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
				s.expectFresh(ResultInSync)
				newer := s.signed(manifest(t, "[sso, mfa]", "[sso, mfa, lcm]"), s.ssh("ada")...)
				s.accepting()
				tc.spoil(s)
				st := s.expect(tc.ends)
				if tc.ends == ResultError {
					expectLines(t, "writes", s.writes())
					return
				}
				s.expectInForce(st, newer, signedByAda)
				expectLines(t, emea, s.products(emea), sso, mfa, lcm)
			})
		})
	}
}

// A plan that was made before another process accepted a newer commit is not
// applied after it, and takes nothing back.
func TestVerifyOvertaken(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, old := newSigners(t, worldOptions{mode: "apply", extra: "guards: {deactivationCooloff: 1h}\nstate: {dir: DIR/state}\n"})
				if known {
					s.expectFresh(ResultInSync)
				}
				r := s.runner.r
				plan, desired, err := r.Plan(t.Context(), reconcile.Filter{})
				if err != nil {
					t.Fatal(err)
				}
				newer := s.signed(inSync, s.ssh("ada")...)
				s.accepting()
				var no *journal.OvertakenError
				if err := r.Note(plan, desired, reconcile.Filter{}); !errors.As(err, &no) || no.Commit != old || no.By != newer {
					t.Errorf("noted: %v", err)
				}
				if a, _ := accepted(t, s.world, filepath.Join(s.keys, "state")); a.Commit != newer {
					t.Errorf("accepted %+v", a)
				}
				s.expectInForce(s.expectFresh(ResultInSync), newer, signedByAda)
			})
		})
	}
}

// The same of a run of the daemon: it writes nothing, and the next one goes on.
func TestVerifyRunOvertaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		s.expectFresh(ResultInSync)
		s.tamper(emea, sso)
		desired := s.runner.desired
		s.runner.desired = func(ctx context.Context) (*reconcile.Desired, error) {
			defer func() { // when the commit was read and checked
				s.signed(inSync+"# newer\n", s.ssh("ada")...)
				s.accepting()
			}()
			return desired(ctx)
		}
		s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
		st := s.expect(ResultError)
		if p := st.LastRun.Problem; p == nil || !strings.Contains(p.Error, "was checked before another process accepted commit ") || p.Hint == "" {
			t.Errorf("problem %+v", p)
		}
		expectLines(t, "writes", s.writes())
		s.runner.desired = desired
		s.expectFresh(ResultApplied)
		expectLines(t, emea, s.products(emea), sso, mfa)
	})
}

// A commit that came into force while the journal could not take it down counts
// all the same.
func TestVerifyMemoryIsNewer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, old := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		s.expectFresh(ResultInSync)
		held, err := journal.New(location.Folder(filepath.Join(s.keys, "state")), journal.Options{}).Lock()
		if err != nil {
			t.Fatal(err)
		}
		newer := s.signed(inSync+"# newer\n", s.ssh("ada")...)
		s.expectFresh(ResultInSync)
		s.git("reset", "-q", "--hard", old)
		s.signed(inSync+"# fork\n", s.ssh("ada")...)
		for range 2 {
			s.expectInForce(s.expectStale(ResultInSync, "last accepted commit "+newer), newer, signedByAda)
			_ = held.Close()
		}
		s.restart()
		s.expectInForce(s.expectStale(ResultInSync, "last accepted commit "+newer), newer, signedByAda)
	})
}

// A journal that can't be written to at the moment gets what it missed later.
func TestVerifyAcceptsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, good := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		state := filepath.Join(s.keys, "state")
		held, err := journal.New(location.Folder(state), journal.Options{}).Lock()
		if err != nil {
			t.Fatal(err)
		}
		s.expectFresh(ResultInSync)
		if said := s.log.lines(t, "the journal could not record what this run means for the next"); len(said) != 1 || said[0]["hint"] == "" {
			t.Errorf("said %v", said)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		s.expectFresh(ResultInSync)
		if a, _ := accepted(t, s.world, state); a.Commit != good || !strings.HasPrefix(a.Signer, signedByAda) {
			t.Errorf("the journal has %+v", a)
		}
	})
}

// damage makes the journal unreadable.
func (s *signers) damage(state string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(state, "journal.db"), []byte(strings.Repeat("not a journal ", 1000)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// When the journal is damaged and nobody remembers what was accepted last, even
// a good commit has to wait until somebody has looked.
func TestVerifyDamagedJournal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, old := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		s.expectFresh(ResultInSync)
		newer := s.signed(inSync, s.ssh("ada")...)
		s.expectFresh(ResultInSync)
		state := filepath.Join(s.keys, "state")
		s.damage(state)
		s.tamper(emea, sso)
		s.expectInForce(s.expectFresh(ResultDrift), newer, signedByAda) // this process remembers
		if a, _ := accepted(t, s.world, state); a.Commit != newer {
			t.Errorf("accepted %+v", a)
		}
		expectLines(t, "writes", s.writes())
		other := journal.New(location.Folder(state), journal.Options{})
		defer other.Close()
		if err := other.AcknowledgeLoss("ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(heldFor)
		s.expectInForce(s.expectFresh(ResultApplied), newer, signedByAda)
		writes := len(s.writes())

		s.damage(state)
		s.git("update-ref", "refs/heads/main", old)
		s.restart()
		s.tamper(emea, sso)
		for _, when := range []string{"damaged", "set aside", "still"} {
			st := s.expect(ResultError)
			if p := st.LastRun.Problem; st.Desired != nil || p == nil || !strings.Contains(p.Error, "it is not known which commit was accepted last") ||
				!strings.Contains(p.Hint, testCommands.Acknowledge) {
				t.Errorf("%s: desired %+v, problem %+v", when, st.Desired, p)
			}
			if _, known := accepted(t, s.world, state); known {
				t.Errorf("%s: something was accepted", when)
			}
		}
		expectLines(t, "writes", s.writes()[writes:])

		// A commit that the config names needs nothing before it.
		extra := "state: {dir: " + state + "}\n"
		s.reload(worldOptions{mode: "report", git: "commit: " + old + ", " + verifying(s.keys, ""), extra: extra})
		s.expectInForce(s.expectFresh(ResultDrift), old, signedByAda)
		s.reload(worldOptions{mode: "apply", git: verifying(s.keys, ""), extra: extra})
		s.expect(ResultError)

		if err := other.AcknowledgeLoss("ada"); err != nil {
			t.Fatal(err)
		}
		s.expectInForce(s.expectFresh(ResultApplied), old, signedByAda)
		s.restart()
		s.expectInForce(s.expectFresh(ResultInSync), old, signedByAda)
	})
}
