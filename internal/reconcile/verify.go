package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/git/signature"
	"reconciler/internal/git/source"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// UnverifiedError is a commit that must not be used: it is not signed as the
// config wants it, or the branch was rewritten. What was in force before it
// stays in force.
type UnverifiedError struct {
	Commit string
	// Reason is a word for metrics: one of signature.Reasons, or "rewritten".
	Reason string
	err    error // with a hint
}

// ReasonRewritten is the reason of a commit that doesn't build on the last
// accepted one, or brings back what a rewrite removed.
const ReasonRewritten = "rewritten"

// Reasons returns all values of UnverifiedError.Reason, for metrics that exist
// before anything happened.
func Reasons() []string {
	all := []string{ReasonRewritten}
	for _, r := range signature.Reasons() {
		all = append(all, string(r))
	}
	return all
}

// Error names the commit, and says what is wrong with it.
func (e *UnverifiedError) Error() string {
	return fmt.Sprintf("commit %s is refused: %v", source.Short(e.Commit), e.err)
}

// Unwrap returns what is wrong with it.
func (e *UnverifiedError) Unwrap() error { return e.err }

// Why returns what is wrong without naming the commit.
func (e *UnverifiedError) Why() string { return e.err.Error() }

// unverified refuses the tip because of a signature.
func unverified(tip string, err error) *UnverifiedError {
	var known *UnverifiedError
	var no *signature.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &no):
		return &UnverifiedError{tip, string(no.Reason), err}
	}
	return &UnverifiedError{tip, string(signature.Malformed), err}
}

// verifier passes only commits that are signed as the config wants it. The zero
// verifier passes all, as does one of a config that wants nothing.
type verifier struct {
	cfg     *config.Config
	journal *journal.Journal
	git     source.GitOptions
	history func(ctx context.Context, tip, since string) ([]source.Commit, bool, error)
	// checked is the commit that the last check passed; zero if it failed.
	checked candidate
	// last is what was accepted last, as far as this process knows.
	last journal.Acceptance
	// recorded is the commit that the journal had when it was read last, "" for
	// none. When it is not that of last, the journal could not be written to
	// since; rewrote reports that last doesn't build on it.
	recorded string
	rewrote  bool
}

// rules returns those of the config; nil if there are none.
func (v *verifier) rules() *config.Verify {
	if v.cfg == nil {
		return nil
	}
	return v.cfg.Git.Verify
}

// check returns who signed a snapshot, "" where nobody has to. The error is an
// *UnverifiedError, or says why the check could not be made. Keys are read anew
// each time, so that adding or removing one has an effect at once.
func (v *verifier) check(ctx context.Context, snap *source.Snapshot) (string, error) {
	rules := v.rules()
	if rules == nil {
		return "", nil
	}
	v.checked = candidate{}
	keys, err := readKeys(rules.KeysFile)
	if err != nil {
		return "", err
	}
	base, err := v.baseline()
	if err != nil {
		return "", err
	}
	last := base.last
	now := time.Now()
	found := candidate{Acceptance: journal.Acceptance{Source: v.key(), Commit: snap.Commit, At: now}}
	if rules.Object == config.VerifyTag {
		found.Tag = snap.Tag
	}
	signer, err := v.signer(keys, snap, now)
	if found.Commit == last.Commit && bytes.Equal(found.Tag, last.Tag) {
		// What was accepted while its key was valid stays so when the key
		// expires: nothing about it has changed since.
		found.At = last.At
		if err != nil {
			signer, err = v.signer(keys, snap, last.At)
		}
	}
	if err != nil {
		return "", unverified(snap.Commit, err)
	}
	// A commit that the config itself names need not build on anything.
	if last.Commit != snap.Commit && v.cfg.Git.Commit == "" {
		if found.rewrote, err = v.checkHistory(ctx, keys, snap.Commit, &base, now); err != nil {
			return "", err
		}
	}
	found.Signer = signer.String()
	v.checked = found
	return found.Signer, nil
}

func readKeys(file string) (*signature.Keys, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf(config.KeyGitVerifyKeys+": %w", err), "without the keys no commit can be verified, so none is used")
	}
	keys, err := signature.Parse(file, data)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf(config.KeyGitVerifyKeys+": %w", err), text.Hint(err))
	}
	return keys, nil
}

// signer checks the one object that has to be signed.
func (v *verifier) signer(keys *signature.Keys, snap *source.Snapshot, at time.Time) (signature.Signer, error) {
	if v.rules().Object != config.VerifyTag {
		return keys.Commit(snap.Raw, at)
	}
	name := v.cfg.Git.Tag
	if snap.Tag == nil {
		return signature.Signer{}, &UnverifiedError{snap.Commit, string(signature.Unsigned), text.WithHint(
			fmt.Errorf("the tag %q is a mere name for it, which can't be signed", name),
			fmt.Sprintf("make the tag with: git tag -s %s", name),
		)}
	}
	signer, err := keys.Tag(snap.Tag, at)
	if err != nil {
		return signature.Signer{}, fmt.Errorf("the tag %q: %w", name, err)
	}
	// A good signature on another tag, or for another commit, proves nothing
	// about this one.
	if tag, commit := header(snap.Tag, "tag"), header(snap.Tag, "object"); tag != name || commit != snap.Commit {
		return signature.Signer{}, &UnverifiedError{snap.Commit, string(signature.BadSignature), text.WithHint(
			fmt.Errorf("what stands behind the tag %q was signed as the tag %q of %s", name, tag, source.Short(commit)),
			"somebody has put another tag in its place, or it is a tag of a tag: tag the commit itself, under that name",
		)}
	}
	return signer, nil
}

// header returns a header of a git object, whose signature was found good, so
// that its form is right.
func header(raw []byte, name string) string {
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return ""
		}
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// checkHistory checks what lies between the last accepted commit and the tip: the
// one must still be an ancestor of the other, unless the config says that it may
// be missing, which is what rewrote reports. No commit that a rewrite removed may
// have come back, and, where the config wants it, each commit must be signed.
func (v *verifier) checkHistory(ctx context.Context, keys *signature.Keys, tip string, base *baseline, at time.Time) (rewrote bool, err error) {
	if base.removed[tip] {
		return false, cameBack(tip, "a rewrite of the history had taken it out")
	}
	since := base.last.Commit
	switch {
	case base.lost:
		return false, text.WithHint(
			errors.New("it is not known which commit was accepted last: the journal that knew it is damaged, or was set aside"),
			"look whether the branch was rewritten meanwhile, see docs/recovery.md, then: "+v.journal.Commands().Acknowledge,
		)
	case since == "":
		return false, nil
	}
	commits, ancestor, err := v.history(ctx, tip, since)
	if err != nil {
		return false, text.WithHint(fmt.Errorf("the history since commit %s can't be verified: %w", source.Short(since), err), text.Hint(err))
	}
	rules := v.rules()
	if !ancestor && rules.AcceptRewriteOf != since {
		return false, &UnverifiedError{tip, ReasonRewritten, text.WithHint(
			fmt.Errorf("the history was rewritten: it no longer contains the last accepted commit %s", since),
			"find out who rewrote it, and why; if it was on purpose, set "+config.KeyGitAcceptRewrite+" to that last accepted commit",
		)}
	}
	for i := range commits {
		c := &commits[i]
		if base.removed[c.Hash] {
			return false, cameBack(tip, fmt.Sprintf("it contains the commit %s, which a rewrite of the history had taken out", source.Short(c.Hash)))
		}
		// For what a new history begins with, the tip's signature counts.
		if ancestor && rules.History && (c.Hash != tip || rules.Object == config.VerifyTag) {
			if _, err := keys.Commit(c.Raw, at); err != nil {
				return false, unverified(tip, fmt.Errorf("it contains the commit %s: %w", source.Short(c.Hash), err))
			}
		}
	}
	return !ancestor, nil
}

// cameBack refuses a tip that would undo a rewrite.
func cameBack(tip, why string) *UnverifiedError {
	return &UnverifiedError{tip, ReasonRewritten, text.WithHint(errors.New(why),
		"find out who pushed it again; if its content is wanted after all, make a new commit with it")}
}
