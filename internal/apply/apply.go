package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/text"
	"reconciler/internal/web"
	"reconciler/internal/web/trace"
)

// API is what apply needs of the Aerial API. All methods are called concurrently.
// Errors may carry a hint; see text.Hint.
//
// Each write takes a function maySend that must be asked right before the write is
// sent, each time that it is sent, when nothing is left to wait for. It looks, with
// reads of this API and the context that it is given, whether the write may still
// be made. Its error forbids the send, ends the call, and is in the chain of the
// call's own. So no write, and no retry, undoes what somebody did meanwhile.
//
// Reads end at once when ctx is cancelled. A write that has been sent must be waited
// for nevertheless, because its outcome has to be known. Cancellation only prevents
// that it is sent, or sent again.
type API interface {
	// Account reads the account.
	Account(ctx context.Context) (state.Account, error)
	// RenameAccount sets the account's name. It may be repeated.
	RenameAccount(ctx context.Context, name string, maySend func(context.Context) error) (state.Account, error)

	// Org reads one managed org, without its products.
	Org(ctx context.Context, id string) (state.Org, error)
	// FindOrg returns the managed org with this id or, where id is empty, this
	// domain; nil if there is none.
	FindOrg(ctx context.Context, id, domain string) (*state.Org, error)
	// LinkOrg adds an org to the account, by id where there is one, else by
	// domain. This can't be undone, and it is never sent again when its
	// outcome is unknown.
	LinkOrg(ctx context.Context, id, domain, cell string, maySend func(context.Context) error) (state.Org, error)

	// OrgProducts reads the ids of the org's enabled products, sorted.
	OrgProducts(ctx context.Context, id string) ([]string, error)
	// SetOrgProducts replaces all of the org's products by those that maySend
	// returns. It may be repeated.
	SetOrgProducts(ctx context.Context, id string, maySend func(context.Context) (products []string, err error)) ([]string, error)
	// SetOrgStatus activates or deactivates the org. It may be repeated.
	SetOrgStatus(ctx context.Context, id string, status state.Status, maySend func(context.Context) error) (state.Org, error)
	// RequestDeletion asks Okta to delete an INACTIVE org. It is never sent
	// again when its outcome is unknown.
	RequestDeletion(ctx context.Context, id string, maySend func(context.Context) error) error
}

// Options configures Apply.
type Options struct {
	// Concurrency is how many orgs are worked on at the same time; at least 1.
	// Orgs that are to be created don't count: they mostly wait.
	Concurrency int
	// NeverDeactivated are the orgs that are never deactivated or deleted, whatever
	// the plan says. One that Okta marks as the Aerial org need not be listed.
	NeverDeactivated Protected
	// Creator creates orgs; where nil, create-org fails for its org.
	Creator Creator
	// Deletions records which deletions were requested; nil records none.
	Deletions Deletions
	// Configurer writes the configuration of orgs; where nil, changes of objects fail
	// for their org.
	Configurer Configurer
	// Removals, where not nil, is called right before a destructive change is sent.
	Removals Removals
	// Held, where not nil, is called before each change, and again right before
	// each write is sent. It returns why writes to an org ("" is the account) are
	// held by now, or nothing if they are not. It is called concurrently.
	Held func(org string) string
	// Recorder, where not nil, records each change that is attempted.
	Recorder Recorder
	// Done, where not nil, is called for each change as soon as its outcome is
	// known. The calls are serialized, in no particular order of orgs.
	Done func(diff.Change, Outcome)
	// Logger logs each write; nil is silent.
	Logger *slog.Logger
}

// Protected are orgs that are never deactivated.
type Protected struct {
	IDs, Domains []string
	// All is set if the ids are those of all of them, so that an org without a
	// domain can be told from them.
	All bool
}

// Removals records which orgs lose something, and limits how many. Its method is
// called concurrently.
type Removals interface {
	// Begin is called before something is taken from an org. After an error nothing
	// is taken. The function that it returns is called if it is certain that nothing
	// was taken: Okta refused the write, or it was not sent.
	Begin(orgID, domain string) (takeBack func(), err error)
}

// Recorder records changes. Its method is called concurrently.
type Recorder interface {
	// Begin is called right before a change is attempted. After an error it isn't. The
	// function that it returns is called with the outcome.
	Begin(c *diff.Change) (end func(Outcome, Attempt), err error)
}

// Attempt is what is known of how a change was attempted.
type Attempt struct {
	// RequestIDs are Okta's ids of the requests that wrote, or tried to, in the order
	// of their answers; ErrorID is that of Okta's error.
	RequestIDs []string
	ErrorID    string
	Took       time.Duration
}

// Deletions records which deletions were requested, because no field of an org
// shows it. Its methods are called concurrently.
type Deletions interface {
	// Begin is called right before Okta is asked to delete an org, each time that
	// the request is sent. After an error Okta is not asked.
	Begin(orgID, domain string) error
	// End is called with the answer; an empty refusal means that Okta accepted the
	// request. It is not called if there was no answer, unless the request was
	// certainly not made.
	End(orgID, refusal string) error
}

// ErrRefused is returned if a guard refuses the plan. Nothing was written then.
var ErrRefused = errors.New("refused by a guard")

// Apply carries out the plan and returns the outcome of each change. When ctx is
// cancelled it finishes the calls in flight, starts no new ones, and marks the
// rest as skipped. The only error is ErrRefused.
func Apply(ctx context.Context, plan *diff.Plan, api API, opts Options) (*Result, error) {
	if len(plan.Refusals) > 0 {
		return nil, ErrRefused
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &applier{api: api, opts: opts}
	outcomes := make([]Outcome, len(plan.Changes))

	var working, creating errgroup.Group // their functions return no errors
	working.SetLimit(max(1, opts.Concurrency))
	for start := 0; start < len(plan.Changes); {
		end := start + 1
		for end < len(plan.Changes) && plan.Changes[end].Org == plan.Changes[start].Org {
			end++
		}
		changes, results := plan.Changes[start:end], outcomes[start:end]
		g := &working
		if changes[0].Action == diff.CreateOrg {
			g = &creating
		}
		g.Go(func() error {
			a.org(ctx, changes, results)
			return nil
		})
		start = end
	}
	_ = working.Wait()
	_ = creating.Wait()
	return &Result{Outcomes: outcomes, Interrupted: ctx.Err() != nil}, nil
}

type applier struct {
	api  API
	opts Options
	mu   sync.Mutex // serializes opts.Done
}

// org carries out the changes of one org, in order. The first failure ends it,
// because later changes depend on earlier ones.
func (a *applier) org(ctx context.Context, changes []diff.Change, outcomes []Outcome) {
	w := &worker{
		api: a.api, creator: a.opts.Creator, deletions: a.opts.Deletions, removals: a.opts.Removals,
		configuration: newConfiguration(a.opts.Configurer, changes),
		orgID:         changes[0].OrgID, neverDeactivated: a.opts.NeverDeactivated, held: a.opts.Held, log: a.opts.Logger,
	}
	var failed string
	var held *heldError
	applied := 0
	for i, c := range changes {
		o := Outcome{Org: c.Org, Action: c.Action, Kind: c.Kind, Object: c.Object, Result: Applied}
		if held == nil {
			errors.As(w.mayWrite(c.Org), &held)
		}
		switch {
		case c.Blocked != "":
			o.Result = Blocked
		case failed != "":
			o.Result = Skipped
			o.Error = fmt.Sprintf("%s failed before it", failed)
		case ctx.Err() != nil:
			o.Result = Skipped
			o.Error = "the run was stopped"
		case held != nil:
			o.Result, o.Error = Skipped, held.Error()
		default:
			err := a.attempt(ctx, w, &c, &o)
			switch {
			case err == nil:
			case !uncertain(err) && errors.As(err, &held):
			case o.Result == Failed:
				failed = name(&c)
			}
		}
		o.OrgID = w.orgID
		outcomes[i] = o
		if o.Result == Applied {
			applied++
		}
		if a.opts.Done != nil {
			a.mu.Lock()
			a.opts.Done(c, o)
			a.mu.Unlock()
		}
	}
	if changes[0].Action == diff.CreateOrg && applied == len(changes) {
		w.creator.Done(changes[0].Org)
	}
}

// attempt makes a change, and sets its outcome. The error is why it was not made.
func (a *applier) attempt(ctx context.Context, w *worker, c *diff.Change, o *Outcome) (err error) {
	end := func(Outcome, Attempt) {}
	if a.opts.Recorder != nil {
		if end, err = a.opts.Recorder.Begin(c); err != nil {
			err = text.WithHint(fmt.Errorf("left alone, because it could not be recorded: %w", err), text.Hint(err))
			o.Result, o.Error, o.Hint = Failed, err.Error(), text.Hint(err)
			return err
		}
	}
	start, requests := time.Now(), &web.Requests{}
	within, span := trace.Start(web.WithRequests(ctx, requests), "change")
	note, err := w.changeOrRecover(within, *c)
	endSpan(span, c, w.orgID, err)
	done := Attempt{RequestIDs: requests.IDs(), ErrorID: errorID(err), Took: time.Since(start)}
	var held *heldError
	switch {
	case err == nil:
		o.Hint = note
	case !uncertain(err) && errors.As(err, &held):
		o.Result, o.Error = Skipped, held.Error()
	case stopped(ctx, err):
		o.Result, o.Error = Skipped, "the run was stopped"
	default:
		o.Result, o.Error, o.Hint = Failed, err.Error(), text.Hint(err)
	}
	o.OrgID = w.orgID
	end(*o, done)
	return err
}

// endSpan ends the span of a change. What it changes from and to is left out.
func endSpan(span trace.Span, c *diff.Change, orgID string, err error) {
	span.Set("okta.org.domain", c.Org)
	span.Set("okta.org.id", orgID)
	span.Set("reconciler.action", string(c.Action))
	if span.On() {
		span.Set("reconciler.field", c.Field())
	}
	span.End(err)
}

// errorID returns the id that Okta gave an error.
func errorID(err error) string {
	var e interface{ ErrorID() string }
	if errors.As(err, &e) {
		return e.ErrorID()
	}
	return ""
}

// stopped reports whether err means that the run was stopped before the change was
// sent. An error after which the outcome of a write is unknown does not.
func stopped(ctx context.Context, err error) bool {
	return err != nil && !uncertain(err) && ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// uncertain reports whether err is that of a write that may have taken effect.
func uncertain(err error) bool {
	var unknown interface{ Uncertain() bool }
	return errors.As(err, &unknown) && unknown.Uncertain()
}
