package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// Scopes that tokens for the Aerial API are asked for with.
const (
	scopeRead   = "okta.accounts.read"
	scopeManage = "okta.accounts.manage"
)

// Options is what a Reconciler needs beside the config.
type Options struct {
	// Manifests, where not empty, names a local file or folder to read the
	// desired state from, instead of what the config says.
	Manifests string
	// NoManifests says that no desired state is read, because the plan to apply
	// was saved. Where the config wants signed commits, Recheck still reads what
	// it names.
	NoManifests bool
	// Environ, in the form of os.Environ, is what a command that keeps tokens
	// may know of the environment; our own variables are taken out of it.
	Environ []string
	// Logger is told of fetches, retries and writes; nil is silent.
	Logger *slog.Logger
	// Observer is told of the calls of the Aerial API; nil is allowed.
	Observer aerial.Observer
	// Transport sends all that goes to Okta; nil is a transport of its own.
	Transport http.RoundTripper
}

// Reconciler is one Aerial account and one source of desired state. At most
// aerial.concurrency calls are in flight, whichever of its two clients makes
// them. Its methods are called one at a time.
type Reconciler struct {
	cfg     *config.Config
	environ []string
	log     *slog.Logger
	guards  diff.Guards

	// fetch reads the manifests, and source names where it does so.
	fetch  func(context.Context) (*source.Snapshot, error)
	source string
	// verifier lets only those commits pass that the config wants.
	verifier verifier
	// last is what the last snapshot holds: an unmoved branch gives the same
	// snapshot, which needs no second look.
	last loaded

	// asked are the deletions that were asked for, where there is no journal.
	asked memory
	// held says what may not be written now.
	held *holder

	base http.RoundTripper
	// read makes the calls that change nothing, with tokens that can change
	// nothing.
	read reader
	// writer gives the client that can write. It is called by Apply alone.
	writer func() writer
}

// reader is the part of the Aerial API that changes nothing. It is all that
// making a plan can reach.
type reader interface {
	Observe(ctx context.Context, want func(state.Org) bool) (*state.Actual, error)
	Account(ctx context.Context) (state.Account, error)
	Org(ctx context.Context, id string) (state.Org, error)
	FindOrg(ctx context.Context, id, domain string) (*state.Org, error)
	OrgProducts(ctx context.Context, id string) ([]string, error)
}

// writer is the part of the Aerial API that changes something.
type writer interface {
	RenameAccount(ctx context.Context, name string, again func(context.Context) error) (state.Account, error)
	LinkOrg(ctx context.Context, id, domain, cell string) (state.Org, error)
	SetOrgProducts(ctx context.Context, id string, products []string, again func(context.Context) error) ([]string, error)
	SetOrgStatus(ctx context.Context, id string, status state.Status, again func(context.Context) error) (state.Org, error)
	RequestDeletion(ctx context.Context, id string) error
}

// api is what apply works with: it reads with the one token and writes with
// the other.
type api struct {
	reader
	writer
}

var _ apply.API = api{}

// loaded is a snapshot and what came of reading it.
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
	// Warnings are what the author of the manifests should know, one line each.
	Warnings []string

	snap *source.Snapshot
}

// Same reports whether two desired states are one and the same.
func (d *Desired) Same(e *Desired) bool {
	return d.State == e.State || d.Commit == e.Commit && (d.Commit != "" || reflect.DeepEqual(d.State, e.State))
}

// RefusedError is a desired state that was found but can't be used: mistakes
// in manifests, manifests that don't go with the account, or a commit that is
// not verified.
type RefusedError struct {
	// Commit is where it was found; empty for a local folder.
	Commit string
	Err    error
}

// Error gives the reason alone, one line for each mistake.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap gives the reason, such as strictyaml.Errors.
func (e *RefusedError) Unwrap() error { return e.Err }

// Filter picks orgs by their domains.
type Filter struct {
	// Only, where not empty, names the only orgs to look at.
	Only []string
	// Exclude names orgs to leave out.
	Exclude []string
}

// Desired reads the newest desired state. An error is a *RefusedError when it
// was found but has mistakes. No credentials for Okta are needed.
func (r *Reconciler) Desired(ctx context.Context) (*Desired, error) {
	snap, err := r.fetch(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := r.verifier.check(ctx, snap)
	var no *UnverifiedError
	if errors.As(err, &no) {
		return nil, &RefusedError{snap.Commit, err}
	}
	if err != nil {
		return nil, err
	}
	if snap != r.last.snap {
		d, err := loadDesired(snap, parentsOf(r.cfg))
		r.last = loaded{snap, d, err}
	}
	if r.last.err != nil {
		return nil, r.last.err
	}
	r.last.desired.Signer = signer
	return r.last.desired, nil
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

// Source names where the manifests come from, without credentials.
func (r *Reconciler) Source() string { return r.source }

// Review compares the desired states at two revisions with the actual state;
// see diff.CompareThreeWay. It can't write.
func (r *Reconciler) Review(ctx context.Context, base, head *Desired, f Filter) (*diff.Plan, error) {
	plan, _, err := r.plan(ctx, f, base, func(context.Context) (*Desired, error) { return head, nil })
	return plan, err
}

// plan is Plan with a desired state of the caller's, or Review where there is a
// base. It begins to read the actual state while the desired one is still being
// found.
func (r *Reconciler) plan(ctx context.Context, f Filter, base *Desired, find func(context.Context) (*Desired, error)) (*diff.Plan, *Desired, error) {
	observing, stop := context.WithCancel(ctx)
	defer stop()
	o := &observation{found: make(chan struct{}), done: make(chan struct{})}
	go o.observe(observing, r.read)

	desired, err := find(ctx)
	if err != nil {
		stop()
		o.wait()
		return nil, nil, err
	}
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
	opts.Only, opts.Exclude = f.Only, f.Exclude
	var plan *diff.Plan
	if base == nil {
		plan, err = diff.Compute(desired.State, o.actual, opts)
	} else {
		opts.Base, opts.BaseNote = base.Commit, strings.Join(base.Warnings, "; ")
		plan, err = diff.CompareThreeWay(base.State, desired.State, o.actual, opts)
	}
	if err != nil {
		return nil, nil, &RefusedError{desired.Commit, err}
	}
	return plan, desired, nil
}

// options gives what a plan for d has to keep to.
func (r *Reconciler) options(d *Desired) (diff.Options, error) {
	opts := diff.Options{
		Account:  r.cfg.Aerial.AccountID,
		Revision: d.Commit,
		Signer:   d.Signer,
		Guards:   r.guards,
		Held:     r.held.now(),
	}
	var err error
	if opts.DeletionRequested, err = r.deletionRequested(d.State); err != nil {
		return opts, err
	}
	cooling, err := r.cooling(d.Commit)
	opts.CoolingOff = cooling.why
	return opts, err
}

// Recheck holds a saved plan to the account and the guards as they are now, and
// gives a plan that may be applied; see diff.Revalidate. Where the config wants
// signed commits, the newest must be one, and the plan must be of it and do
// nothing that it doesn't declare: a file can say what it likes. It can't write.
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
	plan, err := diff.Revalidate(saved, actual, opts)
	if err != nil || !signed {
		return plan, err
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
	const wants = "git.verify wants signed commits, and "
	switch {
	case saved.Review != nil:
		return nil, &diff.StaleError{Reasons: []string{wants + "this is a review of a change, whose signatures nobody has looked at"}}
	case saved.Revision == "":
		return nil, &diff.StaleError{Reasons: []string{wants + "this plan is of none"}}
	}
	if r.fetch == nil {
		if err := r.setSource(""); err != nil {
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

// MayApply says why no plan of this Reconciler may be applied, whatever is in it:
// the config wants signed commits, and the manifests are read from files. It is
// nil otherwise, and asks nobody.
func (r *Reconciler) MayApply() error {
	if !r.wantsSigned() || r.fetch == nil || r.verifier.rules() != nil {
		return nil
	}
	return text.WithHint(
		fmt.Errorf("git.verify wants signed commits, and %q is read as it is", r.source),
		"commit and sign it, and apply what git has; diff shows what it would do",
	)
}

// wantsSigned says whether only what is signed may be applied.
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
			return false // nobody will look at the answer
		}
	})
}

// wait waits for the end. A panic goes on where somebody can recover it.
func (o *observation) wait() {
	<-o.done
	if o.panicked != "" {
		panic(o.panicked)
	}
}

// wanted says of which live orgs the products need to be read: those of
// declared orgs that manage products and that the filter leaves.
func wanted(desired *state.Desired, f Filter) func(state.Org) bool {
	only, exclude := domains(f.Only), domains(f.Exclude)
	keys := map[string]bool{} // ids and domains; an id has no dot
	for i := range desired.Orgs {
		o := &desired.Orgs[i]
		if !o.ManagesProducts() || len(only) > 0 && !only[o.Domain] || exclude[o.Domain] {
			continue
		}
		keys[o.Domain] = true
		if o.ID != "" {
			keys[o.ID] = true
		}
	}
	return func(org state.Org) bool { return keys[org.ID] || keys[org.Domain] }
}

func domains(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}

// Apply carries out a plan and tells done, where not nil, of each change as
// soon as its outcome is known; done is called by one goroutine at a time. The
// client that can write is made here and nowhere else. The error is
// apply.ErrRefused when a guard refuses the plan; nothing was written then. A
// plan may be applied again: what is done already is left alone.
func (r *Reconciler) Apply(ctx context.Context, plan *diff.Plan, done func(diff.Change, apply.Outcome)) (*apply.Result, error) {
	if len(plan.Refusals) > 0 {
		return nil, apply.ErrRefused
	}
	if err := r.held.rules().Unreadable; err != nil && len(plan.Changes) > 0 {
		return nil, err // all of it is blocked, by nobody's decision
	}
	if err := r.MayApply(); err != nil {
		return nil, err
	}
	opts := apply.Options{
		Concurrency:      r.cfg.Aerial.Concurrency,
		NeverDeactivated: append([]string{r.guards.AerialDomain}, r.guards.ParentDomains...),
		Held:             r.held.why,
		Done:             done,
		Logger:           r.log,
	}
	closeBooks, err := r.openBooks(ctx, plan, &opts)
	if err != nil {
		return nil, err
	}
	defer closeBooks()
	return apply.Apply(ctx, plan, api{r.read, r.writer()}, opts)
}

// Close gives back idle connections. The Reconciler may still be used.
func (r *Reconciler) Close() { (&http.Client{Transport: r.base}).CloseIdleConnections() }
