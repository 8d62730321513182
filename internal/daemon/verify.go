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

// unverified is about the tip; where, if not empty, says which part of its
// history is to blame.
func unverified(tip, where string, err error) error {
	e := &UnverifiedError{Commit: tip, Reason: string(verify.Malformed), err: err, hint: hintOf(err)}
	var no *verify.Error
	if errors.As(err, &no) {
		e.Reason = string(no.Reason)
	}
	if where != "" {
		e.err = fmt.Errorf("%s: %w", where, err)
	}
	return e
}

// verifier lets only those commits pass that are signed as the config wants it.
// The zero verifier lets all pass, as does one of a config that wants nothing.
type verifier struct {
	cfg     *config.Config
	git     source.GitOptions
	history func(ctx context.Context, tip, since string) ([]source.Commit, bool, error)
	log     *slog.Logger
	// last is what was accepted last, if this process knows.
	last journal.Acceptance
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
	keys, err := readKeys(rules.KeysFile)
	if err != nil {
		return "", err
	}
	last, err := v.accepted()
	if err != nil {
		return "", err
	}
	// What was accepted while its key was valid stays so when the key expires:
	// nothing about it has changed since.
	at := time.Now()
	if last.Commit == snap.Commit {
		at = last.At
	}
	signer, err := v.signer(keys, snap, at)
	if err != nil {
		return "", unverified(snap.Commit, "", err)
	}
	// A commit that the config itself names need not build on anything.
	if last.Commit != "" && last.Commit != snap.Commit && v.cfg.Git.Commit == "" {
		if err := v.checkHistory(ctx, keys, snap.Commit, last.Commit, at); err != nil {
			return "", err
		}
	}
	return signer.String(), nil
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
		return verify.Signer{}, &hinted{
			fmt.Errorf("tag %q is a bare name, which can't be signed", name),
			fmt.Sprintf("make it with \"git tag -s %s\"", name),
		}
	}
	signer, err := keys.Tag(snap.Tag, at)
	if err != nil {
		return verify.Signer{}, err
	}
	// A good signature on another tag, or for another commit, proves nothing
	// about this one.
	if header(snap.Tag, "tag") != name || header(snap.Tag, "object") != snap.Commit {
		return verify.Signer{}, &hinted{
			fmt.Errorf("the object behind tag %q was signed as tag %q of %s", name, header(snap.Tag, "tag"), shortCommit(header(snap.Tag, "object"))),
			"somebody has put another tag in its place, or it is a tag of a tag: sign the commit itself",
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
			err:    fmt.Errorf("the history was rewritten, and no longer contains the last applied commit %s", since),
			hint:   "find out who rewrote it, and why; if it is meant, set git.verify.acceptRewriteOf to that last applied commit",
		}
	}
	if !rules.History {
		return nil
	}
	for i := range commits {
		if c := &commits[i]; c.Hash != tip || rules.Object == config.VerifyTag {
			if _, err := keys.Commit(c.Raw, at); err != nil {
				return unverified(tip, "it builds on commit "+shortCommit(c.Hash), err)
			}
		}
	}
	return nil
}

// key names what is followed, for the journal.
func (v *verifier) key() string { return v.cfg.Git.URL + " " + followed(v.cfg.Git) }

// accepted gives what was accepted last: what this process remembers, else what
// the journal does.
func (v *verifier) accepted() (journal.Acceptance, error) {
	dir := v.cfg.State.Dir
	if v.last.Commit != "" || dir == "" {
		return v.last, nil
	}
	view, err := journal.Look(dir, journal.Options{Logger: v.log})
	if errors.Is(err, journal.ErrDamaged) {
		return journal.Acceptance{}, nil // an alarm tells of it
	}
	if err != nil {
		return journal.Acceptance{}, err
	}
	defer view.Close()
	v.last, _, err = view.Accepted(v.key())
	return v.last, err
}

// accept takes down that a verified commit came into force.
func (v *verifier) accept(d *Desired) error {
	if v.rules() == nil || d.Commit == v.last.Commit {
		return nil
	}
	v.last = journal.Acceptance{Source: v.key(), Commit: d.Commit, Signer: d.Signer, At: time.Now()}
	if v.cfg.State.Dir == "" {
		return nil
	}
	books, err := journal.Open(v.cfg.State.Dir, journal.Options{Logger: v.log})
	if err != nil {
		return err
	}
	defer books.Close()
	return books.Accept(v.last)
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
	// A signed tag isn't there any more to be checked again; the journal knows
	// that it was, and the commit is what its hash says.
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
