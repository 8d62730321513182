package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/git/links"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/rest"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
	"reconciler/internal/web/trace"
)

// Options is what a Reconciler needs beside the config.
type Options struct {
	// Manifests, where not empty, is a local file or folder to read the desired
	// state from, instead of what the config says.
	Manifests string
	// NoManifests means that no desired state is read, because the plan to apply
	// was saved. Where the config wants signed commits, Recheck still reads it.
	NoManifests bool
	// Environ, in the form of os.Environ, is the environment of a command that
	// keeps tokens; our own variables are removed from it.
	Environ []string
	// Logger logs fetches, retries and writes; nil is silent.
	Logger *slog.Logger
	// Commands are the command lines that hints about the journal name.
	Commands journal.Commands
	// Observer observes the calls of the Aerial API, and OrgObserver those of the orgs'
	// own APIs, each with those for its tokens; nil is allowed.
	Observer    aerial.Observer
	OrgObserver rest.Observer
	// Every is for how long the configuration of an org counts once it was read; 0
	// reads it for each plan.
	Every time.Duration
	// After, where not nil, is the Reconciler that this one takes the place of, for
	// another config with the same account and the same state folder. What only that
	// one knows is taken over, and the journal with it.
	After *Reconciler
	// Transport sends all that goes to Okta; nil is a transport of its own.
	Transport http.RoundTripper
}

// Reconciler is one Aerial account and one source of desired state. At most
// aerial.concurrency calls are in flight, whichever of its two clients makes
// them. Its methods are called one at a time, except for Alarms, Suspensions and
// Runs.
type Reconciler struct {
	cfg     *config.Config
	environ []string
	log     *slog.Logger
	guards  diff.Guards

	// source is zero where no manifests are read.
	source Source
	// last is what the last snapshot holds: while the branch doesn't move, the
	// snapshot is the same and isn't loaded again.
	last loaded

	// journal is that of the state folder; one without a folder if there is none.
	journal *journal.Journal
	// rules reads what is held.
	rules func() *freeze.Rules
	// removals are what orgs lost lately, and known is what Okta has said of them.
	removals removals
	known    known
	// contested is what was written lately that a parent org may set back.
	contested *contested
	// refused are the refusals of creations that the journal didn't take.
	refused *sync.Map
	// live is the actual state that was read last.
	live *state.Actual
	// declared are the orgs that the last plan was made for, by their domains, and
	// filter is what selected them. Both are zero for a saved plan.
	declared map[string]*state.DesiredOrg
	filter   Filter
	// desired is the desired state that the last plan was made for; nil for a saved plan.
	desired *state.Desired
	// configured returns what came of reading the configuration of an org for the last
	// plan; nil for a saved plan.
	configured func(domain string) *diff.Configuration
	// history is that of the state folder, and record the run that goes on, if any.
	history *history.Store
	record  *Record
	// quiet are the orgs that were as declared when they were recorded last.
	quiet map[string]quiet
	// memory is what runs have found; used where there is no state folder.
	memory *memory
	// latest is what Inventory has read last.
	latest *latest
	// places are where what the last plan was made for is declared, and repository is that
	// of the manifests at its forge.
	places     *places
	repository links.Repository
	// seen are the orgs that were declared or live in the last run, sorted; nil before it.
	seen []string

	base http.RoundTripper
	// read makes the calls that change nothing, with tokens that can change
	// nothing.
	read reader
	// writer returns the client that can write. Only Apply calls it.
	writer func() writer
	// access is the way into the orgs, and configurations reads by it what they are
	// configured with.
	access         *Access
	configurations configurations
	// culprits finds out who caused drift.
	culprits *culprits
}

// loaded is a snapshot and the result of loading it.
type loaded struct {
	snap    *source.Snapshot
	desired *Desired
	err     error
}

// Desired is a desired state and where it was read from.
type Desired struct {
	State *state.Desired
	// Commit is the git commit that it was read from; empty for a local folder.
	Commit string
	// Signer is who signed it; empty where the config asks for no signature.
	Signer string
	// Warnings are for the author of the manifests, one line each.
	Warnings []string
	// Stale, where not empty, is why this isn't the newest desired state: then
	// nothing destructive is done.
	Stale string

	snap *source.Snapshot
}

// Same reports whether two desired states are one and the same.
func (d *Desired) Same(e *Desired) bool {
	return d.Commit == e.Commit && (d.Commit != "" || d.State == e.State || reflect.DeepEqual(d.State, e.State))
}

// RefusedError is a desired state that was found but can't be used: mistakes
// in manifests, manifests that don't fit the account, or a commit that is not
// verified.
type RefusedError struct {
	// Commit is where it was found; empty for a local folder.
	Commit string
	Err    error
}

// Error returns the reason alone, one line for each mistake.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the reason, such as strictyaml.Errors.
func (e *RefusedError) Unwrap() error { return e.Err }

// Filter selects orgs by their domains and labels.
type Filter = diff.Filter

func (r *Reconciler) openSource(manifests string) error {
	s, err := OpenSource(r.cfg, manifests, r.journal, r.log)
	if err == nil {
		r.source = *s
	}
	return err
}

// Desired reads the newest desired state. An error is a *RefusedError when it
// was found but has mistakes. No credentials for Okta are needed.
func (r *Reconciler) Desired(ctx context.Context) (_ *Desired, err error) {
	ctx, span := trace.Start(ctx, "manifests")
	defer func() { span.End(err) }()
	snap, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	span.Set("vcs.ref.head.revision", snap.Commit)
	signer, err := r.source.verifier.check(ctx, snap)
	var no *UnverifiedError
	if errors.As(err, &no) {
		return nil, &RefusedError{snap.Commit, err}
	}
	if err != nil {
		return nil, err
	}
	if snap != r.last.snap {
		d, err := LoadDesired(snap, LoadOptions(r.cfg))
		if last := r.last.desired; err == nil && last != nil && reflect.DeepEqual(d.State, last.State) {
			d.State = last.State // once in memory, and found to be the same at once
		}
		r.last = loaded{snap, d, err}
	}
	if r.last.err != nil {
		return nil, r.last.err
	}
	r.last.desired.Signer = signer
	return r.last.desired, nil
}

// fetch reads what is at the source now.
func (r *Reconciler) fetch(ctx context.Context) (_ *source.Snapshot, err error) {
	ctx, span := trace.Start(ctx, "git fetch")
	defer func() { span.End(err) }()
	return r.source.Fetch(ctx)
}

// Actual reads the whole actual state, the products of all orgs included. It
// can't write.
func (r *Reconciler) Actual(ctx context.Context) (*state.Actual, error) {
	return r.read.Observe(ctx, nil)
}

// Plan reads desired and actual state and compares them. It can't write.
// Mistakes in the manifests outrank whatever else goes wrong.
func (r *Reconciler) Plan(ctx context.Context, f Filter) (*diff.Plan, *Desired, error) {
	return r.plan(ctx, f, nil, r.Desired)
}

// PlanFor is Plan for all orgs with the desired state that find returns. Reading
// the actual state begins before find has returned.
func (r *Reconciler) PlanFor(ctx context.Context, find func(context.Context) (*Desired, error)) (*diff.Plan, *Desired, error) {
	return r.plan(ctx, Filter{}, nil, find)
}

// Source describes where the manifests come from, without credentials.
func (r *Reconciler) Source() string { return r.source.Name }

// Review compares the desired states at two revisions with the actual state;
// see diff.CompareThreeWay. It can't write.
func (r *Reconciler) Review(ctx context.Context, base, head *Desired, f Filter) (*diff.Plan, error) {
	plan, _, err := r.plan(ctx, f, base, func(context.Context) (*Desired, error) { return head, nil })
	return plan, err
}

// plan is Plan with the desired state that find returns, or Review if there is a
// base. It reads the actual state while find runs.
func (r *Reconciler) plan(ctx context.Context, f Filter, base *Desired, find func(context.Context) (*Desired, error)) (_ *diff.Plan, _ *Desired, err error) {
	began := time.Now()
	r.configured = nil // two of them are too much to hold
	reading, span := trace.Start(ctx, "read")
	defer func() { span.End(err) }() // unless it has ended by then
	observing, stop := context.WithCancel(reading)
	defer stop()
	o := &observation{found: make(chan struct{}), done: make(chan struct{})}
	go o.observe(observing, r.read)

	desired, err := find(ctx)
	if err != nil {
		stop()
		o.wait()
		return nil, nil, err
	}
	f = f.For(desired.State)
	o.wants = wanted(desired.State, f)
	close(o.found)
	opts, err := r.options(desired) // while the API is being read
	o.wait()
	if err != nil {
		return nil, nil, err
	}
	if o.err != nil {
		return nil, nil, o.err
	}
	if err := r.checkWhole(reading, desired.State, o.actual); err != nil {
		return nil, nil, err
	}
	r.learn(o.actual)
	opts.Filter = f
	r.live = o.actual
	r.declared, r.filter, r.desired = declaredOrgs(desired.State, f), f, desired.State
	r.places.set(desired, r.repository)
	if err := r.creations(desired.State, o.actual, &opts); err != nil {
		return nil, nil, err
	}
	if err := r.configurations.compare(reading, stateOf(base), desired.State, o.actual, &opts); err != nil {
		return nil, nil, err
	}
	r.configured = opts.Configuration
	span.SetInt("reconciler.orgs", len(o.actual.Orgs))
	span.End(nil)
	ctx, span = trace.Start(ctx, "plan")
	compute := func() (*diff.Plan, error) { return diff.Compute(desired.State, o.actual, opts) }
	if base != nil {
		opts.Base, opts.BaseNote = base.Commit, strings.Join(base.Warnings, "; ")
		compute = func() (*diff.Plan, error) { return diff.CompareThreeWay(base.State, desired.State, o.actual, opts) }
	}
	plan, err := compute()
	if err == nil && r.identify(ctx, plan, o.actual, &opts.Guards) {
		plan, err = compute()
	}
	if err != nil {
		return nil, nil, &RefusedError{desired.Commit, err}
	}
	span.SetInt("reconciler.changes", len(plan.Changes))
	r.saw(plan, began)
	r.setCauses(plan)
	return plan, desired, nil
}

// setCauses sets who caused the drift in a plan, as far as the history knows it.
func (r *Reconciler) setCauses(plan *diff.Plan) {
	open, err := r.history.Drifts()
	if err != nil {
		r.log.Debug("the history can't say who caused drift", "error", err)
		return
	}
	cause := CauseOf(open)
	for i := range plan.Changes {
		c := &plan.Changes[i]
		if who := cause(c.Org, c.Field()); who != nil && c.Origin != diff.ThisChange {
			c.Cause = who.Who()
		}
	}
}

// stateOf returns the state of d, nil for nil.
func stateOf(d *Desired) *state.Desired {
	if d == nil {
		return nil
	}
	return d.State
}

// options returns what limits a plan for d.
func (r *Reconciler) options(d *Desired) (diff.Options, error) {
	opts := diff.Options{
		Account:  r.cfg.Aerial.AccountID,
		Revision: d.Commit,
		Signer:   d.Signer,
		Guards:   r.guards,
		Held:     r.rules().At(time.Now()),
		Stale:    d.Stale,
		Parents:  parentDomains(r.cfg),
	}
	if err := r.recall(); err != nil {
		return opts, err
	}
	r.known.guard(&opts.Guards)
	opts.Guards.Made = r.made()
	var err error
	if opts.Guards.Begun, err = r.begun(); err != nil {
		return opts, err
	}
	if opts.Guards.Day, err = r.removals.lost(); err != nil {
		return opts, err
	}
	if opts.Contested, err = r.contested.why(); err != nil {
		return opts, err
	}
	if err := r.deletions(d.State, &opts); err != nil {
		return opts, err
	}
	cooloff, err := r.cooloff(d)
	opts.CoolingOff = cooloff.why
	return opts, err
}

// Recheck checks a saved plan against the account and the guards as they are now,
// and returns a plan that may be applied; see diff.Revalidate. Where the config
// wants signed commits, the newest must be signed, and the plan must be of it and
// do nothing that it doesn't declare, because a file of a plan isn't signed. It
// can't write.
func (r *Reconciler) Recheck(ctx context.Context, saved *diff.Plan) (*diff.Plan, error) {
	if err := saved.For(r.cfg.Aerial.AccountID); err != nil {
		return nil, err
	}
	desired := &state.Desired{}
	signed := r.wantsSigned()
	if signed {
		newest, err := r.signedFor(ctx, saved)
		if err != nil {
			return nil, err
		}
		desired = newest.State
	}
	products := map[string]bool{}
	for i := range saved.Changes {
		if c := &saved.Changes[i]; c.Action == diff.UpdateProducts && c.Blocked == "" {
			products[c.OrgID] = true
		}
	}
	declared := wanted(desired, Filter{})
	actual, err := r.read.Observe(ctx, func(org state.Org) bool { return products[org.ID] || declared(org) })
	if err != nil {
		return nil, err
	}
	// Without a commit, so that for its cooling off only time counts: a plan can
	// be of a commit that is long gone.
	opts, err := r.options(&Desired{State: desired})
	if err != nil {
		return nil, err
	}
	r.learn(actual)
	r.live, r.declared, r.filter, r.desired, r.configured = actual, nil, Filter{}, nil, nil
	if err := r.creations(desired, actual, &opts); err != nil {
		return nil, err
	}
	if opts.Configuration, err = r.configurations.recheck(ctx, saved); err != nil {
		return nil, err
	}
	plan, err := diff.Revalidate(saved, actual, opts)
	if err == nil && r.identify(ctx, plan, actual, &opts.Guards) {
		plan, err = diff.Revalidate(saved, actual, opts)
	}
	if err != nil || !signed {
		return plan, err
	}
	if err := r.configurations.compare(ctx, nil, desired, actual, &opts); err != nil {
		return nil, err
	}
	whole, err := diff.Compute(desired, actual, opts)
	if err != nil {
		return nil, &RefusedError{saved.Revision, err}
	}
	if err := saved.Within(whole); err != nil {
		return nil, err
	}
	return plan, nil
}

// signedFor reads the newest desired state, which must be verified, for a saved
// plan, which must be of its commit.
func (r *Reconciler) signedFor(ctx context.Context, saved *diff.Plan) (*Desired, error) {
	const wants = config.KeyGitVerify + " wants signed commits, and "
	switch {
	case saved.Review != nil:
		return nil, &diff.StaleError{Reasons: []string{wants + "this is a review of a change, whose signatures nobody has looked at"}}
	case saved.Revision == "":
		return nil, &diff.StaleError{Reasons: []string{wants + "this plan is of none"}}
	}
	if r.source.Fetch == nil {
		if err := r.openSource(""); err != nil {
			return nil, err
		}
	}
	if err := r.MayApply(); err != nil {
		return nil, err
	}
	newest, err := r.Desired(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case newest.Commit != saved.Revision:
		return nil, &diff.StaleError{Reasons: []string{fmt.Sprintf("%sthis plan is of commit %s, not of the newest, %s",
			wants, source.Short(saved.Revision), source.Short(newest.Commit))}}
	case saved.Signer != "" && saved.Signer != newest.Signer:
		return nil, &diff.StaleError{Reasons: []string{fmt.Sprintf("%sthis plan names %q for who signed it, not %q", wants, saved.Signer, newest.Signer)}}
	}
	return newest, nil
}

// MayApply returns why no plan of this Reconciler may be applied, whatever is in
// it: the config wants signed commits, and the manifests are read from files. It is
// nil otherwise.
func (r *Reconciler) MayApply() error {
	if !r.wantsSigned() || r.source.Fetch == nil || r.source.verifier.rules() != nil {
		return nil
	}
	return text.WithHint(
		fmt.Errorf(config.KeyGitVerify+" wants signed commits, and %q is read as it is", r.source.Name),
		"commit and sign it, and apply what git has; diff shows what it would do",
	)
}

// wantsSigned reports whether only what is signed may be applied.
func (r *Reconciler) wantsSigned() bool { return r.cfg.Git != nil && r.cfg.Git.Verify != nil }

// observation is the actual state being read while the desired state is still
// being found.
type observation struct {
	found chan struct{} // closed when wants is set
	wants func(state.Org) bool

	done     chan struct{} // closed when what follows is set
	actual   *state.Actual
	err      error
	panicked string
}

func (o *observation) observe(ctx context.Context, api reader) {
	defer close(o.done)
	defer func() {
		if v := recover(); v != nil {
			o.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
		}
	}()
	o.actual, o.err = api.Observe(ctx, func(org state.Org) bool {
		select {
		case <-o.found:
			return o.wants(org)
		case <-ctx.Done():
			return false // the result is not used
		}
	})
}

// wait waits for the end, and passes a panic on to the caller.
func (o *observation) wait() {
	<-o.done
	if o.panicked != "" {
		panic(o.panicked)
	}
}

// wanted reports for which live orgs the products need to be read: those of
// declared orgs that manage products and that the filter has.
func wanted(desired *state.Desired, f Filter) func(state.Org) bool {
	keys := map[string]bool{} // ids and domains; an id has no dot
	for i := range desired.Orgs {
		o := &desired.Orgs[i]
		if !o.ManagesProducts() || !f.Has(o.Domain) {
			continue
		}
		keys[o.Domain] = true
		if o.ID != "" {
			keys[o.ID] = true
		}
	}
	return func(org state.Org) bool { return keys[org.ID] || keys[org.Domain] }
}

// Apply carries out a plan, and calls done, where not nil, for each change as
// soon as its outcome is known, by one goroutine at a time. The client that can
// write is created here and nowhere else. The error is apply.ErrRefused when a
// guard refuses the plan; nothing was written then. A plan may be applied again:
// changes that are made already are left alone.
//
// While a plan is applied, the journal is locked. If another process holds it, the plan
// is not applied at all. If another one takes it over, because this one has stood still,
// nothing more is sent.
func (r *Reconciler) Apply(ctx context.Context, plan *diff.Plan, done func(diff.Change, apply.Outcome)) (_ *apply.Result, err error) {
	ctx, span := trace.Start(ctx, "apply")
	defer func() { span.End(err) }()
	span.SetInt("reconciler.changes", len(plan.Changes))
	if len(plan.Refusals) > 0 {
		return nil, apply.ErrRefused
	}
	if err := r.MayApply(); err != nil {
		return nil, err
	}
	opts := apply.Options{
		Concurrency: r.cfg.Aerial.Concurrency,
		Removals:    &r.removals,
		Held:        (&holder{rules: r.rules, mayWrite: r.journal.MayWrite}).why,
		Configurer:  configurer{r.configurations.client, r.contested, r.log},
		Done:        done,
		Logger:      r.log,
	}
	if hasObjects(plan) {
		opts.Concurrency = r.configurations.concurrency
		opts.Done = func(c diff.Change, o apply.Outcome) {
			if c.Kind != "" && o.Result != apply.Blocked { // of one that was skipped, a part may be made
				r.configurations.forget(c.OrgID)
			}
			if o.Result == apply.Applied {
				r.access.inactive.made(&c)
			}
			if done != nil {
				done(c, o)
			}
		}
	}
	guards := r.guards
	r.known.guard(&guards)
	if r.record != nil {
		opts.Recorder = r.record
	}
	never := &opts.NeverDeactivated
	never.IDs, never.Domains, never.All = guards.NeverDeactivated()
	unreadable := r.rules().Unreadable
	needed := r.needsJournal(plan)
	var w *journal.Writer
	if (needed || mayChange(plan)) && r.cfg.State.IsSet() {
		w, err = r.journal.Lock() // which sets a damaged journal aside
		if err == nil {
			defer w.Unlock()
		}
	}
	switch {
	case errors.As(err, new(*journal.HeldError)), errors.As(err, new(*journal.LostError)):
		return nil, err
	case unreadable != nil && len(plan.Changes) > 0:
		return nil, unreadable // and not "blocked", which somebody would have decided
	case err != nil && !errors.Is(err, errors.ErrUnsupported):
		return nil, err // another process may be writing
	}
	if needed {
		r.setCreator(ctx, plan, w, err, &opts)
	}
	return apply.Apply(ctx, plan, api{r.read, r.writer()}, opts)
}

// mayChange reports whether applying the plan may write anything.
func mayChange(plan *diff.Plan) bool {
	return slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return c.Blocked == "" })
}

// Turn waits until it is this process' turn to write.
func (r *Reconciler) Turn(ctx context.Context, opts journal.WaitOptions) (*journal.Turn, error) {
	return r.journal.Turn(ctx, opts)
}

// Lead makes this process the one daemon of the state folder, which others may be:
// then the error is a *journal.HeldError. LeadEvery returns how often to try.
func (r *Reconciler) Lead() (*journal.Lead, error) { return r.journal.Lead() }

// LeadEvery returns how often Lead is to be called by who waits.
func (r *Reconciler) LeadEvery() time.Duration { return r.journal.LeadEvery() }

// MayWrite returns why this process may not write any more, because another one has
// taken over; nil if it may.
func (r *Reconciler) MayWrite() error { return r.journal.MayWrite() }

// Replaced closes what another Reconciler, which was made with this one as After,
// doesn't use. It may be called instead of Close.
func (r *Reconciler) Replaced() { (&http.Client{Transport: r.base}).CloseIdleConnections() }

// Close closes the journal and idle connections. The Reconciler may still be used.
func (r *Reconciler) Close() {
	r.Replaced()
	if err := r.history.Close(); err != nil {
		r.log.Warn("the history could not be closed", "error", err, "hint", text.Hint(err))
	}
	if err := r.journal.Close(); err != nil {
		r.log.Warn("the journal could not be closed", "error", err, "hint", text.Hint(err))
	}
}
