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

// precedent is what a commit is held to.
type precedent struct {
	// last is what was accepted last; zero when nothing was.
	last journal.Acceptance
	// out are the commits that rewrites took out of what is followed.
	out map[string]bool
	// forgot says that something may have been accepted, and that the journal
	// which knew it is damaged.
	forgot bool
}

// key names what is followed, for the journal.
func (v *verifier) key() string { return v.cfg.Git.URL + " " + v.cfg.Git.Ref() }

// precedent gives what was accepted before: what the journal says, which another
// process may have written, unless this process knows better because the journal
// could not be written to.
func (v *verifier) precedent() (precedent, error) {
	p := precedent{last: v.last, out: map[string]bool{}}
	if commit := v.rules().AcceptRewriteOf; commit != "" {
		p.out[commit] = true
	}
	if v.cfg.State.Dir == "" {
		return p, nil
	}
	view, err := journal.Look(v.cfg.State.Dir, journal.Options{Logger: v.log})
	if errors.Is(err, journal.ErrDamaged) {
		p.forgot = v.last.Commit == ""
		return p, nil // an alarm tells of it
	}
	if err != nil {
		return p, err
	}
	defer view.Close()
	kept, known, err := view.Accepted(v.key())
	if err != nil {
		return p, err
	}
	rewritten, err := view.Rewritten(v.key())
	if err != nil {
		return p, err
	}
	for _, commit := range rewritten {
		p.out[commit] = true
	}
	if known && (kept.Commit != v.kept || kept.Commit == v.last.Commit) {
		v.last, v.rewrote = kept, false
	}
	p.last, v.kept = v.last, kept.Commit
	if p.last.Commit == "" {
		amnesia, err := view.Amnesia()
		if err != nil {
			return p, err
		}
		p.forgot = amnesia != nil
	}
	return p, nil
}

// accept takes down that a commit came into force, if it is the one that the
// last check let pass, or the one before it, which the journal may have missed.
// The error is a *journal.OvertakenError when another process has accepted
// another one since that check; the commit must not be used then.
func (v *verifier) accept(commit string) error {
	if v.rules() == nil || commit == "" {
		return nil
	}
	a := v.passed
	if commit != a.Commit {
		a = candidate{Acceptance: v.last}
	}
	if commit != a.Commit {
		return nil
	}
	a.rewrote = a.rewrote || v.rewrote
	var err error
	if v.cfg.State.Dir != "" {
		err = v.keep(&a)
	}
	switch {
	case err == nil:
		v.kept, a.rewrote = a.Commit, false
	case errors.As(err, new(*journal.OvertakenError)):
		return err
	}
	v.last, v.rewrote = a.Acceptance, a.rewrote
	return err
}

// keep has the journal take down what was accepted, if it doesn't know it yet:
// most runs find what an earlier one has accepted, and need not hold it.
func (v *verifier) keep(a *candidate) error {
	opts := journal.Options{Logger: v.log}
	if view, err := journal.Look(v.cfg.State.Dir, opts); err == nil {
		kept, _, err := view.Accepted(a.Source)
		view.Close()
		if err == nil && kept.Commit == a.Commit && kept.Signer == a.Signer && bytes.Equal(kept.Tag, a.Tag) {
			return nil
		}
	}
	books, err := journal.Open(v.cfg.State.Dir, opts)
	if err != nil {
		return err
	}
	defer books.Close()
	return books.Accept(a.Acceptance, v.kept, a.rewrote)
}

// Overtaken reports whether another process has accepted a commit since d came
// into force here; false when that can't be found out.
func (r *Reconciler) Overtaken(d *Desired) bool { return r.verifier.overtaken(d) }

// Revoked returns why d, which came into force at that time, must not stay so
// although nothing newer can be had: its signer's key was removed. It is nil when
// nothing speaks against d, and when that can't be found out.
func (r *Reconciler) Revoked(d *Desired, at time.Time) error { return r.verifier.revoked(d, at) }

func (v *verifier) overtaken(d *Desired) bool {
	if v.rules() == nil {
		return false
	}
	before, err := v.precedent()
	return err == nil && before.last.Commit != "" && before.last.Commit != d.Commit
}

// LastVerified reads the commit again that was accepted last, by an earlier
// process or another one: it stays in force while the newest one is refused. It
// gives nil where there is none.
func (r *Reconciler) LastVerified(ctx context.Context) (*Desired, time.Time, error) {
	v := &r.verifier
	if v.rules() == nil {
		return nil, time.Time{}, nil
	}
	before, err := v.precedent()
	last := before.last
	if err != nil || last.Commit == "" {
		return nil, time.Time{}, err
	}
	if v.rules().Object == config.VerifyTag && last.Tag == nil {
		return nil, time.Time{}, text.WithHint(
			fmt.Errorf("the journal has no tag of the last accepted commit %s", source.Short(last.Commit)),
			"the next tag with a good signature is taken down together with its commit",
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
	d, err := loadDesired(&tagged, parentsOf(r.cfg))
	if err != nil {
		return nil, time.Time{}, err
	}
	d.Signer = signer
	return d, last.At, nil
}
