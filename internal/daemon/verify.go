package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/journal"
	"reconciler/internal/source"
	"reconciler/internal/verify"
)

// UnverifiedError is a commit that must not be used: it is not signed as the
// config wants it, or the branch was rewritten. What was in force before it
// stays in force.
type UnverifiedError struct {
	Commit string
	// Reason is a word for metrics: one of verify.Reasons, or "rewritten".
	Reason string
	err    error
	hint   string
}

// reasonRewritten is the reason of a commit that doesn't build on the last
// accepted one.
const reasonRewritten = "rewritten"

// Error says which commit it is, and what is wrong with it.
func (e *UnverifiedError) Error() string {
	return fmt.Sprintf("commit %s is refused: %v", shortCommit(e.Commit), e.err)
}

// Unwrap gives what is wrong with it.
func (e *UnverifiedError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *UnverifiedError) Hint() string { return e.hint }

// Why says what is wrong without naming the commit, for whoever named it.
func (e *UnverifiedError) Why() string { return e.err.Error() }

// unverified refuses the tip because of a signature.
func unverified(tip string, err error) *UnverifiedError {
	e := &UnverifiedError{Commit: tip, Reason: string(verify.Malformed), err: err, hint: hintOf(err)}
	var no *verify.Error
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
	reason    verify.Reason
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
	// passed is the commit that the last check let pass; "" when it let none.
	passed string
	// last is what was accepted last, as far as this process knows, and kept
	// says that the journal knows it too.
	last journal.Acceptance
	kept bool
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
	v.passed = ""
	keys, err := readKeys(rules.KeysFile)
	if err != nil {
		return "", err
	}
	last, err := v.accepted()
	if err != nil {
		return "", err
	}
	now := time.Now()
	signer, err := v.signer(keys, snap, now)
	if err != nil && snap.Commit == last.Commit {
		// What was accepted while its key was valid stays so when the key
		// expires: nothing about it has changed since.
		signer, err = v.signer(keys, snap, last.At)
	}
	if err != nil {
		return "", unverified(snap.Commit, err)
	}
	// A commit that the config itself names need not build on anything.
	if last.Commit != "" && last.Commit != snap.Commit && v.cfg.Git.Commit == "" {
		if err := v.checkHistory(ctx, keys, snap.Commit, last.Commit, now); err != nil {
			return "", err
		}
	}
	v.passed = snap.Commit
	return signer.String(), nil
}

// doubt says why what came into force at that time must not stay so, although
// nothing newer can be had: somebody has taken its signer's key away. It is nil
// when nothing speaks against it, and when that can't be found out: keys that
// can't be read say nothing of the commit.
func (v *verifier) doubt(d *Desired, at time.Time) error {
	rules := v.rules()
	if rules == nil || rules.Object == config.VerifyTag && d.snap.Tag == nil {
		return nil // of a commit that was read again by its hash, the tag is gone
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

func readKeys(file string) (*verify.Keys, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &hinted{fmt.Errorf("git.verify.keysFile: %w", err), "without the keys no commit can be verified, so none is used"}
	}
	keys, err := verify.Parse(file, data)
	if err != nil {
		return nil, &hinted{fmt.Errorf("git.verify.keysFile: %w", err), hintOf(err)}
	}
	return keys, nil
}

// signer checks the one object that has to be signed.
func (v *verifier) signer(keys *verify.Keys, snap *source.Snapshot, at time.Time) (verify.Signer, error) {
	if v.rules().Object != config.VerifyTag {
		return keys.Commit(snap.Raw, at)
	}
	name := v.cfg.Git.Tag
	if snap.Tag == nil {
		return verify.Signer{}, &tagError{
			verify.Unsigned,
			fmt.Sprintf("the tag %q is a mere name for it, which can't be signed", name),
			fmt.Sprintf("make the tag with: git tag -s %s", name),
		}
	}
	signer, err := keys.Tag(snap.Tag, at)
	if err != nil {
		return verify.Signer{}, err
	}
	// A good signature on another tag, or for another commit, proves nothing
	// about this one.
	if header(snap.Tag, "tag") != name || header(snap.Tag, "object") != snap.Commit {
		return verify.Signer{}, &tagError{
			verify.BadSignature,
			fmt.Sprintf("what stands behind the tag %q was signed as the tag %q of %s", name, header(snap.Tag, "tag"), shortCommit(header(snap.Tag, "object"))),
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
// the config: the one must still be an ancestor of the other, and, where the
// config wants it, each commit must be signed.
func (v *verifier) checkHistory(ctx context.Context, keys *verify.Keys, tip, since string, at time.Time) error {
	commits, ancestor, err := v.history(ctx, tip, since)
	if err != nil {
		return &hinted{fmt.Errorf("the history since commit %s can't be verified: %w", shortCommit(since), err), hintOf(err)}
	}
	rules := v.rules()
	if !ancestor {
		if rules.AcceptRewriteOf == since {
			return nil // what a new history begins with, the tip's signer vouches for
		}
		return &UnverifiedError{
			Commit: tip,
			Reason: reasonRewritten,
			err:    fmt.Errorf("the history was rewritten: it no longer contains the last accepted commit %s", since),
			hint:   "find out who rewrote it, and why; if it was on purpose, set git.verify.acceptRewriteOf to that last accepted commit",
		}
	}
	if !rules.History {
		return nil
	}
	for i := range commits {
		if c := &commits[i]; c.Hash != tip || rules.Object == config.VerifyTag {
			if _, err := keys.Commit(c.Raw, at); err != nil {
				return unverified(tip, fmt.Errorf("it contains the commit %s: %w", shortCommit(c.Hash), err))
			}
		}
	}
	return nil
}

// key names what is followed, for the journal.
func (v *verifier) key() string { return v.cfg.Git.URL + " " + followed(v.cfg.Git) }

// accepted gives what was accepted last: what the journal says, which another
// process may have written, and where it knows nothing, what this process
// remembers.
func (v *verifier) accepted() (journal.Acceptance, error) {
	dir := v.cfg.State.Dir
	if dir == "" {
		return v.last, nil
	}
	v.kept = false
	view, err := journal.Look(dir, journal.Options{Logger: v.log})
	if errors.Is(err, journal.ErrDamaged) {
		return v.last, nil // an alarm tells of it
	}
	if err != nil {
		return journal.Acceptance{}, err
	}
	defer view.Close()
	last, known, err := view.Accepted(v.key())
	if err != nil {
		return journal.Acceptance{}, err
	}
	if known {
		v.last, v.kept = last, true
	}
	return v.last, nil
}

// accept takes down that a commit came into force, if it is the one that the
// last check let pass: an older one that stays in force was taken down when it
// came.
func (v *verifier) accept(d *Desired) error {
	if v.rules() == nil || d.Commit != v.passed {
		return nil
	}
	if d.Commit != v.last.Commit {
		v.last, v.kept = journal.Acceptance{Source: v.key(), Commit: d.Commit, Signer: d.Signer, At: time.Now()}, false
	}
	if v.kept || v.cfg.State.Dir == "" {
		return nil
	}
	books, err := journal.Open(v.cfg.State.Dir, journal.Options{Logger: v.log})
	if err != nil {
		return err
	}
	defer books.Close()
	if err := books.Accept(v.last); err != nil {
		return err
	}
	v.kept = true
	return nil
}

// LastVerified reads the commit again that was accepted last, by an earlier
// process: it stays in force while the newest one is refused. It gives nil where
// there is none.
func (r *Reconciler) LastVerified(ctx context.Context) (*Desired, time.Time, error) {
	v := &r.verifier
	if v.rules() == nil {
		return nil, time.Time{}, nil
	}
	last, err := v.accepted()
	if err != nil || last.Commit == "" {
		return nil, time.Time{}, err
	}
	opts := v.git
	opts.Branch, opts.Tag, opts.Commit = "", "", last.Commit
	git, err := source.NewGit(opts)
	if err != nil {
		return nil, time.Time{}, err
	}
	snap, err := git.Fetch(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	// The signed tag isn't there any more to be checked again: the journal knows
	// that it was good, and the commit is what its hash says.
	if v.rules().Object != config.VerifyTag {
		if _, err := v.check(ctx, snap); err != nil {
			return nil, time.Time{}, err
		}
	}
	d, err := loadDesired(snap, parentsOf(r.cfg))
	if err != nil {
		return nil, time.Time{}, err
	}
	d.Signer = last.Signer
	return d, last.At, nil
}
