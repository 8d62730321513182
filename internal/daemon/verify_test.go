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
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/git/signature"
	"reconciler/internal/reconcile"
	"reconciler/internal/text"
)

const signedByAda = "ada@acme.example (ssh SHA256:"

// verifyCase is a commit on top of one that is in force.
type verifyCase struct {
	name   string
	git    string // more of git.verify
	keys   func(s *signers) []string
	commit func(s *signers) string
	reason signature.Reason // empty for a commit that comes into force
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
			commit: func(s *signers) string { return s.signed(inSync) }, reason: signature.Unsigned, why: "it is not signed",
		},
		{
			name:   "unknown key",
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("eve")...) }, reason: signature.UnknownKey, why: "is not among the allowed keys",
		},
		{
			name:   "unknown key of OpenPGP",
			commit: func(s *signers) string { return s.signed(inSync, s.pgp("eve")...) }, reason: signature.UnknownKey, why: "is not among the allowed keys",
		},
		{
			name: "expired key",
			keys: func(s *signers) []string {
				return []string{s.line("ada", ""), s.line("bob", `valid-before="19991231Z"`)}
			},
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("bob")...) }, reason: signature.Expired, why: "2000-01-01T00:",
		},
		{
			name: "expired key of OpenPGP",
			keys: func(s *signers) []string {
				s.program(s.gpgNow(), "--quick-gen-key", "bob@acme.example", "ed25519", "sign", "seconds=60")
				return []string{s.line("ada", ""), s.armored("bob")}
			},
			commit: func(s *signers) string { return s.signed(inSync, s.pgp("bob")...) }, reason: signature.Expired, why: "was valid until 2000-01-01T00:01:00Z",
		},
		{
			name:   "tampered",
			commit: func(s *signers) string { return s.tampered() }, reason: signature.BadSignature, why: "doesn't fit its content",
		},
		{
			name:   "wrong namespace",
			keys:   func(s *signers) []string { return []string{s.line("ada", ""), s.line("bob", `namespaces="file"`)} },
			commit: func(s *signers) string { return s.signed(inSync, s.ssh("bob")...) }, reason: signature.WrongNamespace, why: `not allowed to sign for "git"`,
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
			commit: func(s *signers) string { return s.merged() }, reason: signature.Unsigned, why: "it contains the commit ",
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
			reason: signature.Unsigned, why: "it contains the commit ",
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
			reason: reconcile.ReasonRewritten, why: "it no longer contains the last accepted commit ",
		},
		{
			name: "rolled back",
			commit: func(s *signers) string {
				s.git("reset", "-q", "--hard", "HEAD~1")
				return s.git("rev-parse", "HEAD")
			},
			reason: reconcile.ReasonRewritten, why: "it no longer contains the last accepted commit ",
		},
	}
}

// A commit that is not signed as it has to be is refused; it is said once and
// counted once, and what was in force before repairs drift all the same.
func TestVerifyCommits(t *testing.T) {
	cases := append(signatures(), histories()...)
	if testing.Short() {
		cases = cases[:3] // both kinds of signature, and none: the others differ in what one goroutine finds
	}
	for _, tc := range cases {
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
func (s *signers) expectInForce(st api.Status, commit, signer string) {
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
	for _, r := range append(signature.Reasons(), reconcile.ReasonRewritten) {
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

// tampered returns a commit whose message was changed after it was signed.
func (s *signers) tampered() string {
	s.t.Helper()
	s.signed(inSync, s.ssh("ada")...)
	raw, err := s.try("", "git", "cat-file", "commit", "HEAD")
	if err != nil || !strings.HasSuffix(raw, "\n\nchange\n") {
		s.t.Fatalf("%v: %q", err, raw)
	}
	return s.object(strings.TrimSuffix(raw, "change\n") + "chance\n")
}

// merged returns a signed merge of an unsigned commit.
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
		plan, desired, err := s.runner.r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || !strings.HasPrefix(plan.Signer, signedByAda) || desired.Signer != plan.Signer {
			t.Errorf("plan by %q, desired state by %q, %v", plan.Signer, desired.Signer, err)
		}
		bad := s.signed(inSync)
		_, _, err = s.runner.r.Plan(t.Context(), reconcile.Filter{})
		var refused *reconcile.RefusedError
		var no *reconcile.UnverifiedError
		if !errors.As(err, &refused) || refused.Commit != bad || !errors.As(err, &no) || no.Reason != string(signature.Unsigned) || text.Hint(err) == "" {
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
		if body := ask(w.handler, "GET", "/").Body.String(); strings.Contains(body, "Signed by") {
			t.Error("the page names a signer")
		}
		if _, known := accepted(t, w, state); known {
			t.Error("the journal knows of an accepted commit")
		}
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
			s.runner.desired = func(context.Context) (*reconcile.Desired, error) { return nil, errors.New("git is away") }
		},
		"a newer commit": func(s *signers) { s.signed(inSync) },
		"mistakes in a new": func(s *signers) {
			s.allow(s.line("bob", ""), s.line("ada", ""))
			s.signed("version: 1\n", s.ssh("bob")...)
		},
		"a new one that doesn't fit": func(s *signers) {
			s.allow(s.line("bob", ""), s.line("ada", ""))
			s.signed(strings.Replace(inSync, "version: 1", otherAccount, 1), s.ssh("bob")...)
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
				s.expectToldOnce(late, string(signature.Expired))
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
			reason signature.Reason
		}{
			{"a mere name", func() { tag("live") }, `the tag "live" is a mere name for it, which can't be signed`, signature.Unsigned},
			{"not signed", func() { tag("live", "-a", "-m", "third") }, `the tag "live": it is not signed`, signature.Unsigned},
			{"another tag", func() {
				tag("test", "-s", "-m", "a test")
				s.git("update-ref", "refs/tags/live", "refs/tags/test")
			}, `what stands behind the tag "live" was signed as the tag "test" of `, signature.BadSignature},
			{"a tag of a tag", func() {
				tag("inner", "-s", "-m", "inner")
				s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", "outer", "live", "inner")...)
			}, `was signed as the tag "live" of `, signature.BadSignature},
			{"moved back", func() {
				s.git(append(s.ssh("ada"), "tag", "-f", "-s", "-m", "back", "live", first)...)
			}, "it no longer contains the last accepted commit " + second, reconcile.ReasonRewritten},
		}
		for _, tc := range tests {
			tc.move()
			st := s.expectStale(ResultInSync, tc.why)
			s.expectInForce(st, second, signedByAda)
			if st.Desired.Stale.Hint == "" {
				t.Errorf("%s: no hint", tc.name)
			}
			if err := s.lastRefusal(); err.Reason != string(tc.reason) {
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

// lastRefusal returns why the newest commit is refused.
func (s *signers) lastRefusal() *reconcile.UnverifiedError {
	s.t.Helper()
	_, err := s.runner.r.Desired(s.t.Context())
	var no *reconcile.UnverifiedError
	if !errors.As(err, &no) {
		s.t.Fatalf("not refused: %v", err)
	}
	return no
}

// Where commits must be signed, a saved plan is applied when it is of the newest
// one, which is signed, and does what that declares.
func TestVerifySavedPlan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := newSigners(t, worldOptions{mode: "apply", extra: "state: {dir: DIR/state}\n"})
		good := s.signed(manifest(t, "[sso, mfa]", "[sso]"), s.ssh("ada")...)
		saver := func(rules *config.Verify) *reconcile.Reconciler { // perhaps of somebody who asks for less
			cfg, git := *s.cfg, *s.cfg.Git
			git.Verify, cfg.Git = rules, &git
			r, err := reconcile.New(&cfg, reconcile.Options{NoManifests: rules != nil, Transport: s.base})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			return r
		}
		save := func() *diff.Plan {
			r := saver(nil)
			plan, _, err := r.Plan(t.Context(), reconcile.Filter{})
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
		usurped := *saved
		usurped.Signer = "eve@acme.example"
		review := *saved
		review.Review = &diff.Review{Kind: diff.ThreeWay, Base: good, Head: good}

		if _, err := saver(s.cfg.Git.Verify).Recheck(t.Context(), unsigned); !errors.As(err, new(*reconcile.UnverifiedError)) {
			t.Errorf("while the newest is not signed: %v", err)
		}
		s.git("reset", "-q", "--hard", good)
		for name, tc := range map[string]struct {
			plan *diff.Plan
			why  string
		}{
			"of another commit": {unsigned, "git.verify wants signed commits, and this plan is of commit " + unsigned.Revision[:12] + ", not of the newest, " + good[:12]},
			"of another signer": {&usurped, `this plan names "eve@acme.example" for who signed it, not "ada@acme.example (ssh `},
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
		r, err := reconcile.New(s.cfg, reconcile.Options{Manifests: dir, Transport: s.base})
		if err != nil {
			t.Fatal(err)
		}
		plan, _, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || len(plan.Changes) != 1 {
			t.Fatalf("%+v, %v", plan, err)
		}
		result, err := r.Apply(t.Context(), plan, nil)
		if result != nil || err == nil || !strings.Contains(err.Error(), "git.verify wants signed commits, and ") || text.Hint(err) == "" {
			t.Errorf("applied %+v, %v", result, err)
		}
		expectLines(t, "writes", s.writes())
	})
}
