package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	err    error
	hint   string
}

// ReasonRewritten is the reason of a commit that doesn't build on the last
// accepted one, or brings back what a rewrite took out.
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

// Error says which commit it is, and what is wrong with it.
func (e *UnverifiedError) Error() string {
	return fmt.Sprintf("commit %s is refused: %v", source.Short(e.Commit), e.err)
}

// Unwrap gives what is wrong with it.
func (e *UnverifiedError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *UnverifiedError) Hint() string { return e.hint }

// Why says what is wrong without naming the commit, for whoever named it.
func (e *UnverifiedError) Why() string { return e.err.Error() }

// unverified refuses the tip because of a signature.
func unverified(tip string, err error) *UnverifiedError {
	e := &UnverifiedError{Commit: tip, Reason: string(signature.Malformed), err: err, hint: text.Hint(err)}
	var no *signature.Error
	var tag *tagError
	switch {
	case errors.As(err, &no):
		e.Reason = string(no.Reason)
	case errors.As(err, &tag):
		e.Reason = string(tag.reason)
	}
	return e
}

// tagError is a tag of which no signature would help.
type tagError struct {
	reason    signature.Reason
	msg, hint string
}

func (e *tagError) Error() string { return e.msg }

// Hint says what to do about it.
func (e *tagError) Hint() string { return e.hint }

// verifier lets only those commits pass that are signed as the config wants it.
// The zero verifier lets all pass, as does one of a config that wants nothing.
type verifier struct {
	cfg     *config.Config
	git     source.GitOptions
	history func(ctx context.Context, tip, since string) ([]source.Commit, bool, error)
	log     *slog.Logger
	// passed is what the last check let pass; zero when it let nothing.
	passed candidate
	// last is what was accepted last, as far as this process knows.
	last journal.Acceptance
	// kept is the commit that the journal had when it was looked at last, "" for
	// none. When it is not that of last, the journal could not be written to
	// since; rewrote says that last doesn't build on it.
	kept    string
	rewrote bool
}

// rules are those of the config; nil where there are none.
func (v *verifier) rules() *config.Verify {
	if v.cfg == nil {
		return nil
	}
	return v.cfg.Git.Verify
}

// check gives who signed a snapshot, "" where nobody has to. The error is an
// *UnverifiedError, or says why it could not be found out. Keys are read anew
// each time, so that one that was taken away or added counts at once.
func (v *verifier) check(ctx context.Context, snap *source.Snapshot) (string, error) {
	rules := v.rules()
	if rules == nil {
		return "", nil
	}
	v.passed = candidate{}
	keys, err := readKeys(rules.KeysFile)
	if err != nil {
		return "", err
	}
	before, err := v.precedent()
	if err != nil {
		return "", err
	}
	last := before.last
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
		if found.rewrote, err = v.checkHistory(ctx, keys, snap.Commit, &before, now); err != nil {
			return "", err
		}
	}
	found.Signer = signer.String()
	v.passed = found
	return found.Signer, nil
}

// revoked says why what came into force at that time must not stay so, although
// nothing newer can be had: somebody has taken its signer's key away. It is nil
// when nothing speaks against it, and when that can't be found out: keys that
// can't be read say nothing of the commit.
func (v *verifier) revoked(d *Desired, at time.Time) error {
	rules := v.rules()
	if rules == nil {
		return nil
	}
	keys, err := readKeys(rules.KeysFile)
	if err != nil {
		return nil
	}
	if v.last.Commit == d.Commit {
		at = v.last.At // by an earlier process, perhaps
	}
	if _, err := v.signer(keys, d.snap, at); err != nil {
		return unverified(d.Commit, err)
	}
	return nil
}

func readKeys(file string) (*signature.Keys, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("git.verify.keysFile: %w", err), "without the keys no commit can be verified, so none is used")
	}
	keys, err := signature.Parse(file, data)
	if err != nil {
		return nil, text.WithHint(fmt.Errorf("git.verify.keysFile: %w", err), text.Hint(err))
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
		return signature.Signer{}, &tagError{
			signature.Unsigned,
			fmt.Sprintf("the tag %q is a mere name for it, which can't be signed", name),
			fmt.Sprintf("make the tag with: git tag -s %s", name),
		}
	}
	signer, err := keys.Tag(snap.Tag, at)
	if err != nil {
		return signature.Signer{}, fmt.Errorf("the tag %q: %w", name, err)
	}
	// A good signature on another tag, or for another commit, proves nothing
	// about this one.
	if header(snap.Tag, "tag") != name || header(snap.Tag, "object") != snap.Commit {
		return signature.Signer{}, &tagError{
			signature.BadSignature,
			fmt.Sprintf("what stands behind the tag %q was signed as the tag %q of %s", name, header(snap.Tag, "tag"), source.Short(header(snap.Tag, "object"))),
			"somebody has put another tag in its place, or it is a tag of a tag: tag the commit itself, under that name",
		}
	}
	return signer, nil
}

// header gives a header of a git object; the signature was found good, so its
// form is right.
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

// checkHistory holds what lies between the last accepted commit and the tip to
// the config: the one must still be an ancestor of the other, unless the config
// says that it may be missing, which is what rewrote tells. No commit that was
// missing before may have come back, and, where the config wants it, each commit
// must be signed.
func (v *verifier) checkHistory(ctx context.Context, keys *signature.Keys, tip string, before *precedent, at time.Time) (rewrote bool, err error) {
	if before.out[tip] {
		return false, cameBack(tip, errors.New("a rewrite of the history had taken it out"))
	}
	since := before.last.Commit
	switch {
	case before.forgot:
		return false, text.WithHint(
			errors.New("it is not known which commit was accepted last: the journal that knew it is damaged, or was set aside"),
			"look whether the branch was rewritten meanwhile, see docs/recovery.md, then: reconciler acknowledge --journal",
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
		return false, &UnverifiedError{
			Commit: tip,
			Reason: ReasonRewritten,
			err:    fmt.Errorf("the history was rewritten: it no longer contains the last accepted commit %s", since),
			hint:   "find out who rewrote it, and why; if it was on purpose, set git.verify.acceptRewriteOf to that last accepted commit",
		}
	}
	for i := range commits {
		c := &commits[i]
		if before.out[c.Hash] {
			return false, cameBack(tip, fmt.Errorf("it contains the commit %s, which a rewrite of the history had taken out", source.Short(c.Hash)))
		}
		// What a new history begins with, the tip's signer vouches for.
		if ancestor && rules.History && (c.Hash != tip || rules.Object == config.VerifyTag) {
			if _, err := keys.Commit(c.Raw, at); err != nil {
				return false, unverified(tip, fmt.Errorf("it contains the commit %s: %w", source.Short(c.Hash), err))
			}
		}
	}
	return !ancestor, nil
}

// cameBack refuses a tip that would undo a rewrite.
func cameBack(tip string, err error) *UnverifiedError {
	return &UnverifiedError{
		Commit: tip, Reason: ReasonRewritten, err: err,
		hint: "find out who pushed it again; if its content is wanted after all, make a new commit with it",
	}
}
