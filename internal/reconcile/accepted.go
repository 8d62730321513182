package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// candidate is a commit that may be accepted. When rewrote is set, it doesn't
// build on the one that was accepted before it, and need not.
type candidate struct {
	journal.Acceptance
	rewrote bool
}

// baseline is what a commit is compared with.
type baseline struct {
	// last is what was accepted last; zero if nothing was.
	last journal.Acceptance
	// removed are the commits that accepted rewrites removed from the history.
	removed map[string]bool
	// lost reports that something may have been accepted, and that the journal
	// with it is damaged or was set aside.
	lost bool
}

// key names what is followed, for the journal.
func (v *verifier) key() string { return v.cfg.Git.URL + " " + v.cfg.Git.Ref() }

// follow takes over what an earlier verifier of the same source has accepted, which
// may not have been written to the journal.
func (v *verifier) follow(earlier *verifier) {
	if v.rules() != nil && earlier.rules() != nil && v.key() == earlier.key() {
		v.last, v.recorded, v.rewrote = earlier.last, earlier.recorded, earlier.rewrote
	}
}

// baseline returns what was accepted before: what the journal says, which another
// process may have written, unless this process has accepted something since that
// could not be written to the journal.
func (v *verifier) baseline() (baseline, error) {
	b := baseline{last: v.last, removed: map[string]bool{}}
	if commit := v.rules().AcceptRewriteOf; commit != "" {
		b.removed[commit] = true
	}
	recorded, known, err := v.journal.Accepted(v.key())
	if unknowable(err) {
		b.lost = v.last.Commit == ""
		return b, nil // it is an alarm
	}
	if err != nil {
		return b, err
	}
	rewritten, err := v.journal.Rewritten(v.key())
	if err != nil {
		return b, err
	}
	for _, commit := range rewritten {
		b.removed[commit] = true
	}
	if known && (recorded.Commit != v.recorded || recorded.Commit == v.last.Commit) {
		v.last, v.rewrote = recorded, false
	}
	b.last, v.recorded = v.last, recorded.Commit
	if b.last.Commit == "" {
		loss, err := v.journal.Loss()
		if err != nil && !unreadable(err) {
			return b, err
		}
		b.lost = loss != nil || err != nil
	}
	return b, nil
}

// accept records that a commit came into force, if it is the one that the last
// check passed, or the one before it, which the journal may lack. The error is a
// *journal.OvertakenError when another process has accepted another one since
// that check; the commit must not be used then.
func (v *verifier) accept(commit string) error {
	if v.rules() == nil || commit == "" {
		return nil
	}
	a := v.checked
	if commit != a.Commit {
		a = candidate{Acceptance: v.last}
	}
	if commit != a.Commit {
		return nil
	}
	a.rewrote = a.rewrote || v.rewrote
	var err error
	if v.cfg.State.IsSet() {
		err = v.record(&a)
	}
	switch {
	case err == nil:
		v.recorded, a.rewrote = a.Commit, false
	case errors.As(err, new(*journal.OvertakenError)):
		return err
	}
	v.last, v.rewrote = a.Acceptance, a.rewrote
	return err
}

// record writes to the journal what was accepted. It doesn't lock the journal for
// what an earlier run has recorded, which is so in most runs.
func (v *verifier) record(a *candidate) error {
	recorded, _, err := v.journal.Accepted(a.Source)
	if err == nil && recorded.Commit == a.Commit && recorded.Signer == a.Signer && bytes.Equal(recorded.Tag, a.Tag) {
		return nil
	}
	w, err := v.journal.Lock()
	if err != nil {
		return err
	}
	defer w.Unlock()
	return w.Accept(a.Acceptance, v.recorded, a.rewrote)
}

// Overtaken reports whether another process has accepted a commit since d came
// into force here; false if that isn't known.
func (r *Reconciler) Overtaken(d *Desired) bool {
	v := &r.source.verifier
	if v.rules() == nil {
		return false
	}
	b, err := v.baseline()
	return err == nil && b.last.Commit != "" && b.last.Commit != d.Commit
}

// Revoked returns why d, which came into force at that time, must not stay so
// although nothing newer can be read: its signer's key was removed. It is nil
// otherwise, and while the keys can't be read.
func (r *Reconciler) Revoked(d *Desired, at time.Time) error {
	v := &r.source.verifier
	if v.rules() == nil {
		return nil
	}
	keys, err := readKeys(v.rules().KeysFile)
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

// LastVerified reads the commit again that was accepted last, by an earlier
// process or another one: it stays in force while the newest one is refused. It
// returns nil if there is none.
func (r *Reconciler) LastVerified(ctx context.Context) (*Desired, time.Time, error) {
	v := &r.source.verifier
	if v.rules() == nil {
		return nil, time.Time{}, nil
	}
	b, err := v.baseline()
	last := b.last
	if err != nil || last.Commit == "" {
		return nil, time.Time{}, err
	}
	if v.rules().Object == config.VerifyTag && last.Tag == nil {
		return nil, time.Time{}, text.WithHint(
			fmt.Errorf("the journal has no tag of the last accepted commit %s", source.Short(last.Commit)),
			"the next tag with a good signature is recorded together with its commit",
		)
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
	tagged := *snap
	tagged.Tag = last.Tag // git may have another by now, or none
	signer, err := v.check(ctx, &tagged)
	if err != nil {
		return nil, time.Time{}, err
	}
	d, err := LoadDesired(&tagged, LoadOptions(r.cfg))
	if err != nil {
		return nil, time.Time{}, err
	}
	d.Signer = signer
	return d, last.At, nil
}
