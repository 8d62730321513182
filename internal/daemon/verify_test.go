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

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/journal"
	"reconciler/internal/source"
	"reconciler/internal/verify"
)

const signedByAda = "ada@acme.example (ssh SHA256:"

// verifyCase is a commit on top of one that is in force.
type verifyCase struct {
	name   string
	git    string // more of git.verify
	keys   func(s *signers) []string
	commit func(s *signers) string
	reason verify.Reason // empty for a commit that comes into force
	signer string
	why    string // part of what is said
}

// signatures are about the commit itself.
func signatures() []verifyCase {
	return []verifyCase{
		{name: "good", commit: func(s *signers) string { return s.signed(inSync, s.ssh("ada")...) }, signer: signedByAda},
		{
			name:   "good of OpenPGP",
			keys:   func(s *signers) []string { return []string{s.line("ada", ""), s.armored("bob")} },
			commit: func(s *signers) string { return s.signed(inSync, s.pgp("bob")...) }, signer: "bob@acme.example (pgp ",
		},
		{
			name:   "unsigned",
			commit: func(s *signers) string { return s.signed(inSync) }, reason: verify.Unsigned, why: "it is not signed",
		},
		{
			name:   "unknown key",
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("eve")...) }, reason: verify.UnknownKey, why: "is not among the allowed keys",
		},
		{
			name:   "unknown key of OpenPGP",
			commit: func(s *signers) string { return s.signed(inSync, s.pgp("eve")...) }, reason: verify.UnknownKey, why: "is not among the allowed keys",
		},
		{
			name: "expired key",
			keys: func(s *signers) []string {
				return []string{s.line("ada", ""), s.line("bob", `valid-before="19991231Z"`)}
			},
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("bob")...) }, reason: verify.Expired, why: "2000-01-01T00:",
		},
		{
			name: "expired key of OpenPGP",
			keys: func(s *signers) []string {
				s.program(s.gpgNow(), "--quick-gen-key", "bob@acme.example", "ed25519", "sign", "seconds=60")
				return []string{s.line("ada", ""), s.armored("bob")}
			},
			commit: func(s *signers) string { return s.signed(inSync, s.pgp("bob")...) }, reason: verify.Expired, why: "was valid until 2000-01-01T00:01:00Z",
		},
		{
			name:   "tampered",
			commit: func(s *signers) string { return s.tampered() }, reason: verify.BadSignature, why: "doesn't fit its content",
		},
		{
			name:   "wrong namespace",
			keys:   func(s *signers) []string { return []string{s.line("ada", ""), s.line("bob", `namespaces="file"`)} },
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("bob")...) }, reason: verify.WrongNamespace, why: `not allowed to sign for "git"`,
		},
	}
}

// histories are about what leads to it.
func histories() []verifyCase {
	return []verifyCase{
		{
			name:   "signed merge of what nobody signed",
			commit: func(s *signers) string { return s.merged() }, signer: signedByAda,
		},
		{
			name: "signed merge of what nobody signed with history", git: "history: true",
			commit: func(s *signers) string { return s.merged() }, reason: verify.Unsigned, why: "it contains the commit ",
		},
		{
			name: "signed on top of what nobody signed",
			commit: func(s *signers) string {
				s.signed(inSync)
				return s.signed(inSync, s.ssh("ada")...)
			},
			signer: signedByAda,
		},
		{
			name: "signed on top of what nobody signed with history", git: "history: true",
			commit: func(s *signers) string {
				s.signed(inSync)
				return s.signed(inSync, s.ssh("ada")...)
			},
			reason: verify.Unsigned, why: "it contains the commit ",
		},
		{
			name: "all signed with history", git: "history: true",
			commit: func(s *signers) string {
				s.signed(inSync, s.ssh("ada")...)
				return s.signed(inSync, s.ssh("ada")...)
			},
			signer: signedByAda,
		},
		{
			name: "rewritten",
			commit: func(s *signers) string {
				s.git("update-ref", "-d", "HEAD")
				return s.signed(inSync, s.ssh("ada")...)
			},
			reason: reasonRewritten, why: "it no longer contains the last accepted commit ",
		},
		{
			name: "rolled back",
			commit: func(s *signers) string {
				s.git("reset", "-q", "--hard", "HEAD~1")
				return s.git("rev-parse", "HEAD")
			},
			reason: reasonRewritten, why: "it no longer contains the last accepted commit ",
		},
	}
}

// A commit that is not signed as it has to be is refused; it is said once and
// counted once, and what was in force before repairs drift all the same.
func TestVerifyCommits(t *testing.T) {
	for _, tc := range append(signatures(), histories()...) {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				dir := t.TempDir()
				s, _ := newSigners(t, worldOptions{mode: "apply", git: verifying("DIR", tc.git), extra: "state: {dir: " + filepath.Join(dir, "state") + "}\n"})
				good := s.signed(inSync, s.ssh("ada")...)
				first := s.expect(ResultInSync)
				if first.Desired.Commit != good || !strings.HasPrefix(first.Desired.Signer, signedByAda) || first.LastRun.Signer != first.Desired.Signer {
					t.Fatalf("desired %+v, run %+v", first.Desired, first.LastRun)
				}
				if tc.keys != nil {
					s.allow(tc.keys(s)...)
				}
				commit := tc.commit(s)
				s.log.reset()
				for range 2 { // drift is repaired, whichever commit is in force
					time.Sleep(10 * time.Minute)
					s.tamper(emea, sso)
					st := s.expect(ResultApplied)
					expectLines(t, emea, s.products(emea), sso, mfa)
					if tc.reason == "" {
						s.expectInForce(st, commit, tc.signer)
						continue
					}
					s.expectInForce(st, good, signedByAda)
					stale := st.Desired.Stale
					if stale == nil || !stale.Refused || stale.Commit != commit || !strings.Contains(stale.Error, tc.why) || stale.Hint == "" || st.LastRun.Stale != stale {
						t.Errorf("stale %+v", stale)
					}
				}
				s.expectToldOnce(commit, string(tc.reason))
			})
		})
	}
}

// expectInForce checks which commit is in force, in status and record, and who
// signed it, by the beginning.
func (s *signers) expectInForce(st Status, commit, signer string) {
	s.t.Helper()
	if st.Desired == nil || st.Desired.Commit != commit || st.LastRun.Commit != commit {
		s.t.Errorf("in force: %+v, run: %+v; want %s", st.Desired, st.LastRun, commit)
		return
	}
	if !strings.HasPrefix(st.Desired.Signer, signer) || st.LastRun.Signer != st.Desired.Signer {
		s.t.Errorf("signed by %q, and the run says %q; want %q", st.Desired.Signer, st.LastRun.Signer, signer)
	}
}

// expectToldOnce checks what log and metrics say of a refused commit; without a
// reason, that they say nothing.
func (s *signers) expectToldOnce(commit, reason string) {
	s.t.Helper()
	said := s.log.lines(s.t, "the newest manifests are refused; the last good desired state stays in force")
	counted := 0
	for _, r := range append(verify.Reasons(), reasonRewritten) {
		n, ok := s.metric(fmt.Sprintf(`reconciler_unverified_commits_total{reason=%q}`, r))
		if !ok || n != "0" && (n != "1" || string(r) != reason) {
			s.t.Errorf("%s was counted %s times", r, n)
		}
		if n == "1" {
			counted++
		}
	}
	if reason == "" {
		if len(said) > 0 || counted > 0 {
			s.t.Errorf("refused: %v", said)
		}
		return
	}
	if len(said) != 1 || said[0]["refused"] != commit || said[0]["hint"] == "" || counted != 1 {
		s.t.Errorf("counted %d times, said %v", counted, said)
	}
}

// tampered gives a commit whose message was changed after it was signed.
func (s *signers) tampered() string {
	s.t.Helper()
	s.signed(inSync, s.ssh("ada")...)
	raw, err := s.try("", "git", "cat-file", "commit", "HEAD")
	if err != nil || !strings.HasSuffix(raw, "\n\nchange\n") {
		s.t.Fatalf("%v: %q", err, raw)
	}
	return s.object(strings.TrimSuffix(raw, "change\n") + "chance\n")
}

// merged gives a signed merge of an unsigned commit.
func (s *signers) merged() string {
	s.t.Helper()
	s.git("checkout", "-q", "-b", "side")
	s.signed(inSync + "# on the side\n")
	s.git("checkout", "-q", "main")
	s.git(append(s.ssh("ada"), "merge", "-q", "--no-ff", "-S", "-m", "merge", "side")...)
	return s.git("rev-parse", "HEAD")
}

// A plan says who signed what it is made from, and is another plan for another
// signer.
func TestVerifySignerOfPlan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{})
		plan, desired, err := s.runner.r.Plan(t.Context(), Filter{})
		if err != nil || !strings.HasPrefix(plan.Signer, signedByAda) || desired.Signer != plan.Signer {
			t.Errorf("plan by %q, desired state by %q, %v", plan.Signer, desired.Signer, err)
		}
		bad := s.signed(inSync)
		_, _, err = s.runner.r.Plan(t.Context(), Filter{})
		var refused *RefusedError
		var no *UnverifiedError
		if !errors.As(err, &refused) || refused.Commit != bad || !errors.As(err, &no) || no.Reason != string(verify.Unsigned) || hintOf(err) == "" {
			t.Errorf("an unsigned commit: %v", err)
		}
		if want := "commit " + bad[:12] + " is refused: it is not signed"; err != nil && err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	})
}

// Where no signatures are wanted, nobody is told of any, and nothing is kept.
func TestWithoutVerify(t *testing.T) {
	bubble(t, func(t *testing.T) {
		state := filepath.Join(t.TempDir(), "state")
		w := newWorld(t, worldOptions{mode: "apply", extra: "state: {dir: " + state + "}\n"})
		w.tamper(emea, sso)
		w.expect(ResultApplied)
		w.commit(inSync)
		w.expect(ResultInSync)
		if body := ask(w.handler, "GET", "/api/v1/status").Body.String(); strings.Contains(body, "signer") {
			t.Errorf("status: %s", body)
		}
		if body := ask(w.handler, "GET", "/").Body.String(); strings.Contains(body, "signed by") {
			t.Error("the dashboard names a signer")
		}
		if _, known := accepted(t, w, state); known {
			t.Error("the journal knows of an accepted commit")
		}
	})
}

// accepted gives the last accepted commit in the journal.
func accepted(t *testing.T, w *world, state string) (journal.Acceptance, bool) {
	t.Helper()
	view, err := journal.Look(state, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	a, known, err := view.Accepted(w.repo.Dir() + " refs/heads/main")
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
				if err := s.runner.r.lastRefusal(t); err.Reason != reasonRewritten || err.Hint() == "" {
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
		held, err := journal.Open(state, journal.Options{})
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
		view, err := journal.Look(state, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		out, err := view.Rewritten(s.runner.r.verifier.key())
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
		s.tamper(emea, sso, mfa, lcm)
		st := s.expect(ResultApplied)
		expectLines(t, emea, s.products(emea), sso, mfa)
		s.expectInForce(st, good, signedByAda)
		if stale := st.Desired.Stale; stale == nil || stale.Commit != bad || stale.Error != "it is not signed" || !st.Desired.Since.Equal(since) || !st.Ready {
			t.Errorf("desired %+v, stale %+v; in force since %v", st.Desired, stale, since)
		}
		page := ask(s.handler, "GET", "/").Body.String()
		for _, words := range []string{"Commit <code>" + bad[:12] + "</code> is refused: it is not signed", ", signed by ada@acme.example (ssh "} {
			if !strings.Contains(page, words) {
				t.Errorf("the dashboard lacks %q", words)
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

// The file of keys is read for each run.
func TestVerifyKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, good := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		s.expectFresh(ResultInSync)

		// A key that is added counts without a new commit.
		byBob := s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("bob")...)
		s.expectInForce(s.expectStale(ResultInSync, "is not among the allowed keys"), good, signedByAda)
		s.allow(s.line("ada", ""), s.line("bob", ""))
		s.expectInForce(s.expectFresh(ResultApplied), byBob, "bob@acme.example (ssh SHA256:")

		// A file that can't be used says nothing against what is in force.
		for content, why := range map[string]string{"nonsense\n": "allowed_signers:1: the line has no key", "": "allowed_signers: there is no key in it"} {
			s.allow(content)
			if st := s.expectStale(ResultInSync, why).Desired.Stale; st.Refused || !strings.HasPrefix(st.Error, "git.verify.keysFile: ") {
				t.Errorf("stale %+v", st)
			}
		}
		if err := os.Remove(keysFile(s.keys)); err != nil {
			t.Fatal(err)
		}
		s.expectInForce(s.expectStale(ResultInSync, "no such file"), byBob, "bob@acme.example")

		// A key that is taken away counts no longer, not even for what is in force.
		s.allow(s.line("ada", ""))
		s.tamper(emea, sso, mfa)
		for range 2 {
			st := s.expect(ResultError)
			if st.Desired != nil || st.LastRun.Stale != nil || !strings.Contains(st.LastRun.Problem.Error, "is not among the allowed keys") || st.LastRun.Commit != byBob {
				t.Errorf("desired %+v, run %+v", st.Desired, st.LastRun)
			}
		}
		expectLines(t, "products that nobody repairs", s.products(emea), sso, mfa)
		if n := len(s.log.lines(t, "the last good desired state is not verified any more, so none is in force")); n != 1 {
			t.Errorf("said %d times that it is dropped", n)
		}
		byAda := s.signed(inSync, s.ssh("ada")...)
		s.expectInForce(s.expectFresh(ResultInSync), byAda, signedByAda)
		if n := len(s.log.lines(t, "the newest desired state is in force again")); n == 0 {
			t.Error("not said that it is in force again")
		}
	})
}

// The same holds while git can't be reached, or its newest commit is refused for
// something else.
func TestVerifyKeyTakenAwayWhileStale(t *testing.T) {
	for name, spoil := range map[string]func(s *signers){
		"git is away": func(s *signers) {
			s.runner.r.fetch = func(context.Context) (*source.Snapshot, error) { return nil, errors.New("git is away") }
		},
		"a newer commit": func(s *signers) { s.signed(inSync) },
		"mistakes in a new": func(s *signers) {
			s.allow(s.line("bob", ""), s.line("ada", ""))
			s.signed("version: 1\n", s.ssh("bob")...)
		},
		"a new one that doesn't fit": func(s *signers) {
			s.allow(s.line("bob", ""), s.line("ada", ""))
			s.signed(strings.Replace(inSync, "[sso, mfa]", "[sso, itp]", 1), s.ssh("bob")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, good := newSigners(t, worldOptions{mode: "apply"})
				s.expectFresh(ResultInSync)
				spoil(s)
				s.expectInForce(s.expectStale(ResultInSync, ""), good, signedByAda)
				s.allow(s.line("bob", ""))
				s.tamper(emea, sso)
				for range 2 {
					if st := s.expect(ResultError); st.Desired != nil {
						t.Errorf("desired %+v", st.Desired)
					}
				}
				expectLines(t, "writes", s.writes())
			})
		})
	}
}

// A key that expires says nothing against what it signed before.
func TestVerifyKeyExpiresLater(t *testing.T) {
	for name, extra := range map[string]string{"with a journal": "state: {dir: DIR/state}\n", "without": ""} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, good := newSigners(t, worldOptions{mode: "apply", extra: extra})
				s.allow(s.line("ada", `valid-before="20000102Z"`))
				s.expectFresh(ResultInSync)
				for range 2 {
					time.Sleep(48 * time.Hour)
					s.expectInForce(s.expectFresh(ResultInSync), good, signedByAda)
				}
				if extra != "" {
					s.restart()
					s.expectInForce(s.expectFresh(ResultInSync), good, signedByAda)
				}
				late := s.signed(inSync, s.ssh("ada")...)
				s.log.reset()
				for range 3 {
					time.Sleep(time.Hour)
					s.expectInForce(s.expectStale(ResultInSync, "valid"), good, signedByAda)
				}
				s.expectToldOnce(late, string(verify.Expired))
			})
		})
	}
}

// A tag that is made anew for the same commit is another signature, for which its
// key must be valid.
func TestVerifyTagAgainWithExpiredKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, commit := newSigners(t, worldOptions{mode: "apply", git: "tag: live, " + verifying("DIR", "object: tag"), extra: "state: {dir: DIR/state}\n"})
		s.allow(s.line("ada", `valid-before="20000103Z"`))
		tag := func(words string) {
			t.Helper()
			s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", words, "live")...)
		}
		tag("first")
		s.expectInForce(s.expectFresh(ResultInSync), commit, signedByAda)
		time.Sleep(24 * time.Hour)
		tag("in time") // so that it is not refused for its date
		time.Sleep(25 * time.Hour)
		s.expectInForce(s.expectStale(ResultInSync, "valid"), commit, signedByAda)
	})
}

// With object: tag it is the tag that has to be signed, under its own name.
func TestVerifyTag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := worldOptions{mode: "apply", git: "tag: live, " + verifying("DIR", "object: tag"), extra: "state: {dir: DIR/state}\n"}
		s, _ := newSigners(t, o)
		tag := func(name string, args ...string) {
			t.Helper()
			s.git(append(s.ssh("ada"), append([]string{"tag", "-f"}, append(args, name)...)...)...)
		}
		first := s.signed(inSync) // the commit itself need not be signed
		tag("live", "-s", "-m", "first")
		s.expectInForce(s.expectFresh(ResultInSync), first, signedByAda)

		second := s.signed(inSync)
		tag("live", "-s", "-m", "second")
		s.expectInForce(s.expectFresh(ResultInSync), second, signedByAda)

		s.signed(manifest(t, "[sso, mfa]", "[sso]"))
		tests := []struct {
			name   string
			move   func()
			why    string
			reason verify.Reason
		}{
			{"a mere name", func() { tag("live") }, `the tag "live" is a mere name for it, which can't be signed`, verify.Unsigned},
			{"not signed", func() { tag("live", "-a", "-m", "third") }, `the tag "live": it is not signed`, verify.Unsigned},
			{"another tag", func() {
				tag("test", "-s", "-m", "a test")
				s.git("update-ref", "refs/tags/live", "refs/tags/test")
			}, `what stands behind the tag "live" was signed as the tag "test" of `, verify.BadSignature},
			{"a tag of a tag", func() {
				tag("inner", "-s", "-m", "inner")
				s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", "outer", "live", "inner")...)
			}, `was signed as the tag "live" of `, verify.BadSignature},
			{"moved back", func() {
				s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", "back", "live", first)...)
			}, "it no longer contains the last accepted commit " + second, reasonRewritten},
		}
		for _, tc := range tests {
			tc.move()
			st := s.expectStale(ResultInSync, tc.why)
			s.expectInForce(st, second, signedByAda)
			if st.Desired.Stale.Hint == "" {
				t.Errorf("%s: no hint", tc.name)
			}
			if err := s.runner.r.lastRefusal(t); err.Reason != string(tc.reason) {
				t.Errorf("%s: reason %q", tc.name, err.Reason)
			}
			// The tag is gone after a restart; the journal has it.
			s.restart()
			s.expectInForce(s.expectStale(ResultInSync, tc.why), second, signedByAda)
		}
	})
}

// The key of a tag that is gone can be taken away like any other, before a
// restart and after it.
func TestVerifyTagKeyTakenAway(t *testing.T) {
	for name, restart := range map[string]func(*signers){
		"same process":    func(*signers) {},
		"another process": func(s *signers) { s.restart() },
		"one that has it from the journal": func(s *signers) {
			s.restart()
			s.expectStale(ResultInSync, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, good := newSigners(t, worldOptions{
					mode: "apply", git: "tag: live, " + verifying("DIR", "object: tag"), extra: "state: {dir: DIR/state}\n",
				})
				s.git(append(s.ssh("ada"), "tag", "-s", "-m", "first", "live")...)
				s.expectInForce(s.expectFresh(ResultInSync), good, signedByAda)
				s.signed(inSync)
				s.git("tag", "-f", "live")
				s.expectStale(ResultInSync, "")
				restart(s)
				s.allow(s.line("bob", ""))
				s.tamper(emea, sso)
				for range 2 {
					if st := s.expect(ResultError); st.Desired != nil {
						t.Errorf("desired %+v", st.Desired)
					}
				}
				expectLines(t, "writes", s.writes())
			})
		})
	}
}

// An acceptance without its tag, as of another object, can't be checked again.
func TestVerifyTagIsNotKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		extra := "state: {dir: DIR/state}\n"
		s, commit := newSigners(t, worldOptions{mode: "apply", git: "tag: live, " + verifying("DIR", ""), extra: extra})
		s.git("tag", "live")
		s.expectFresh(ResultInSync) // by the signature of the commit
		s.reload(worldOptions{
			mode: "apply", git: "tag: live, " + verifying(s.keys, "object: tag"), extra: strings.ReplaceAll(extra, "DIR", s.keys),
		})
		s.log.reset()
		if st := s.expect(ResultError); st.Desired != nil {
			t.Errorf("desired %+v", st.Desired)
		}
		lost := s.log.lines(t, "the last verified commit can't be read again")
		if len(lost) != 1 || lost[0]["error"] != "the journal has no tag of the last accepted commit "+commit[:12] || lost[0]["hint"] == "" {
			t.Errorf("said %v", lost)
		}
		// A good tag of the same commit is taken down, and is enough from then on.
		s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", "first", "live")...)
		s.expectInForce(s.expectFresh(ResultInSync), commit, signedByAda)
		s.git("tag", "-f", "live")
		s.restart()
		s.expectInForce(s.expectStale(ResultInSync, "a mere name"), commit, signedByAda)
	})
}

// lastRefusal gives why the newest commit is refused.
func (r *Reconciler) lastRefusal(t *testing.T) *UnverifiedError {
	t.Helper()
	_, err := r.Desired(t.Context())
	var no *UnverifiedError
	if !errors.As(err, &no) {
		t.Fatalf("not refused: %v", err)
	}
	return no
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
	r, err := build(s.cfg, Options{}, s.base)
	if err != nil {
		s.t.Fatal(err)
	}
	plan, _, err := r.Plan(context.Background(), Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Note(plan, Filter{}); err != nil {
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
			s.signed(strings.Replace(inSync, "[sso, mfa]", "[sso, itp]", 1), s.ssh("ada")...)
		}, ResultApplied},
		"git is away": {func(s *signers) {
			s.runner.r.fetch = func(context.Context) (*source.Snapshot, error) { return nil, errors.New("git is away") }
			if err := os.Rename(s.repo.Dir(), s.repo.Dir()+".away"); err != nil {
				s.t.Fatal(err)
			}
		}, ResultError},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, _ := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
				s.expectFresh(ResultInSync)
				newer := s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
				s.accepting()
				tc.spoil(s)
				st := s.expect(tc.ends)
				if tc.ends == ResultError {
					expectLines(t, "writes", s.writes())
					return
				}
				s.expectInForce(st, newer, signedByAda)
				expectLines(t, emea, s.products(emea), sso)
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
				plan, _, err := r.Plan(t.Context(), Filter{})
				if err != nil {
					t.Fatal(err)
				}
				newer := s.signed(inSync, s.ssh("ada")...)
				s.accepting()
				var no *journal.OvertakenError
				if err := r.Note(plan, Filter{}); !errors.As(err, &no) || no.Commit != old || no.By != newer {
					t.Errorf("noted: %v", err)
				}
				if a, _ := accepted(t, s.world, filepath.Join(s.keys, "state")); a.Commit != newer {
					t.Errorf("accepted %+v", a)
				}
				if last := r.verifier.last.Commit; (last == old) != known {
					t.Errorf("remembered %q", last)
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
		history := s.runner.r.verifier.history
		s.runner.r.verifier.history = func(ctx context.Context, tip, since string) ([]source.Commit, bool, error) {
			defer func() { // when the commit was read, and is being checked
				s.signed(inSync+"# newer\n", s.ssh("ada")...)
				s.accepting()
			}()
			return history(ctx, tip, since)
		}
		s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
		st := s.expect(ResultError)
		if p := st.LastRun.Problem; p == nil || !strings.Contains(p.Error, "was checked before another process accepted commit ") || p.Hint == "" {
			t.Errorf("problem %+v", p)
		}
		expectLines(t, "writes", s.writes())
		s.runner.r.verifier.history = history
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
		held, err := journal.Open(filepath.Join(s.keys, "state"), journal.Options{})
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

// Where commits must be signed, a saved plan is applied when it is of the newest
// one, which is signed, and does what that declares.
func TestVerifySavedPlan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		good := s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
		saver := func(rules *config.Verify) *Reconciler { // perhaps of somebody who asks for less
			cfg, git := *s.cfg, *s.cfg.Git
			git.Verify, cfg.Git = rules, &git
			r, err := build(&cfg, Options{NoManifests: rules != nil}, s.base)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		save := func() *diff.Plan {
			r := saver(nil)
			if err := r.setSource(""); err != nil {
				t.Fatal(err)
			}
			plan, _, err := r.Plan(t.Context(), Filter{})
			if err != nil || len(plan.Changes) != 1 {
				t.Fatalf("%+v, %v", plan, err)
			}
			return plan
		}
		saved := save()
		s.signed(manifest(t, "[sso, mfa]", "[sso, lcm]"))
		unsigned := save()
		forged := *unsigned
		forged.Revision = good
		nothing := *saved
		nothing.Revision = ""
		review := *saved
		review.Review = &diff.Review{Kind: diff.ThreeWay, Base: good, Head: good}

		if _, err := saver(s.cfg.Git.Verify).Recheck(t.Context(), unsigned); !errors.As(err, new(*UnverifiedError)) {
			t.Errorf("while the newest is not signed: %v", err)
		}
		s.git("reset", "-q", "--hard", good)
		for name, tc := range map[string]struct {
			plan *diff.Plan
			why  string
		}{
			"of another commit": {unsigned, "git.verify wants signed commits, and this plan is of commit " + unsigned.Revision[:12] + ", not of the newest, " + good[:12]},
			"of none":           {&nothing, "git.verify wants signed commits, and this plan is of none"},
			"forged":            {&forged, emea + ": update-products: the manifests don't ask for it"},
			"a review":          {&review, "this is a review of a change, whose signatures nobody has looked at"},
		} {
			var no *diff.StaleError
			if _, err := saver(s.cfg.Git.Verify).Recheck(t.Context(), tc.plan); !errors.As(err, &no) || !strings.Contains(err.Error(), tc.why) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r := saver(s.cfg.Git.Verify)
		plan, err := r.Recheck(t.Context(), saved)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Accept(plan); err != nil {
			t.Fatal(err)
		}
		if result, err := r.Apply(t.Context(), plan, nil); err != nil || result.Counts().Applied != 1 {
			t.Errorf("applied %+v, %v", result, err)
		}
		if a, _ := accepted(t, s.world, filepath.Join(s.keys, "state")); a.Commit != good || !strings.HasPrefix(a.Signer, signedByAda) {
			t.Errorf("accepted %+v", a)
		}
	})
}

// Files are signed by nobody. They can be compared, and never applied.
func TestVerifyManifestsFromFiles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{mode: "apply"})
		s.tamper(emea, sso)
		dir := filepath.Join(s.repo.Dir(), "orgs")
		r, err := build(s.cfg, Options{Manifests: dir}, s.base)
		if err != nil {
			t.Fatal(err)
		}
		plan, _, err := r.Plan(t.Context(), Filter{})
		if err != nil || len(plan.Changes) != 1 {
			t.Fatalf("%+v, %v", plan, err)
		}
		result, err := r.Apply(t.Context(), plan, nil)
		if result != nil || err == nil || !strings.Contains(err.Error(), "git.verify wants signed commits, and ") || hintOf(err) == "" {
			t.Errorf("applied %+v, %v", result, err)
		}
		expectLines(t, "writes", s.writes())
	})
}

// damage makes the journal unreadable.
func (s *signers) damage(state string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "journal.db*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no journal: %v", err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte(strings.Repeat("not a journal ", 1000)), 0o600); err != nil {
			s.t.Fatal(err)
		}
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
		s.expectInForce(s.expectFresh(ResultApplied), newer, signedByAda) // this process remembers
		if a, _ := accepted(t, s.world, state); a.Commit != newer {
			t.Errorf("accepted %+v", a)
		}
		writes := len(s.writes())

		s.damage(state)
		s.git("update-ref", "refs/heads/main", old)
		s.restart()
		s.tamper(emea, sso)
		for _, when := range []string{"damaged", "set aside", "still"} {
			st := s.expect(ResultError)
			if p := st.LastRun.Problem; st.Desired != nil || p == nil || !strings.Contains(p.Error, "it is not known which commit was accepted last") ||
				!strings.Contains(p.Hint, "reconciler acknowledge --journal") {
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

		view, err := journal.Look(state, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		if err := view.AcknowledgeAmnesia("ada"); err != nil {
			t.Fatal(err)
		}
		s.expectInForce(s.expectFresh(ResultApplied), old, signedByAda)
		s.restart()
		s.expectInForce(s.expectFresh(ResultInSync), old, signedByAda)
	})
}

// A journal that can't be written to at the moment gets what it missed later.
func TestVerifyAcceptsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, good := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		state := filepath.Join(s.keys, "state")
		held, err := journal.Open(state, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.expectFresh(ResultInSync)
		if said := s.log.lines(t, "the journal did not take down what this run means for the next"); len(said) != 1 || said[0]["hint"] == "" {
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
