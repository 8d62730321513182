package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// API is what apply needs of the Aerial API. All methods are called from many
// goroutines at once. An error may carry a method Hint() string, which says
// what to do about it.
//
// Writes that may be repeated take a function to be asked before they are sent
// another time, some time after the first: its error ends the call, and is in
// the chain of the call's own. So a retry never undoes what somebody did since.
//
// The reads end at once when ctx is cancelled. A write that has been sent must
// be waited for all the same: its outcome has to be known. Cancellation only
// keeps it from being sent, or sent again.
type API interface {
	// Account reads the account.
	Account(ctx context.Context) (state.Account, error)
	// RenameAccount sets the account's name. It may be repeated.
	RenameAccount(ctx context.Context, name string, again func(context.Context) error) (state.Account, error)

	// Org reads one managed org, without its products.
	Org(ctx context.Context, id string) (state.Org, error)
	// FindOrg looks among the managed orgs for one with this id or, where id
	// is empty, this domain; nil when there is none.
	FindOrg(ctx context.Context, id, domain string) (*state.Org, error)
	// LinkOrg adds an org to the account, by id where there is one, else by
	// domain. This can't be undone, and it is never sent again when its
	// outcome is unknown.
	LinkOrg(ctx context.Context, id, domain, cell string) (state.Org, error)

	// OrgProducts reads the ids of the org's enabled products, sorted.
	OrgProducts(ctx context.Context, id string) ([]string, error)
	// SetOrgProducts replaces all of the org's products. It may be repeated.
	SetOrgProducts(ctx context.Context, id string, products []string, again func(context.Context) error) ([]string, error)
	// SetOrgStatus activates or deactivates the org. It may be repeated.
	SetOrgStatus(ctx context.Context, id string, status state.Status, again func(context.Context) error) (state.Org, error)
	// RequestDeletion asks Okta to delete an INACTIVE org. It is never sent
	// again when its outcome is unknown.
	RequestDeletion(ctx context.Context, id string) error
}

// Options is what Apply needs beside the plan.
type Options struct {
	// Concurrency is how many orgs are worked on at the same time; at least 1.
	// Orgs that are to be created don't count: they mostly wait.
	Concurrency int
	// Spared are the domains of orgs that are never deactivated or deleted,
	// whatever the plan says; the Aerial org is known by itself.
	Spared []string
	// Creator makes orgs; where nil, create-org fails for its org.
	Creator Creator
	// Deletions remembers which deletions Okta was asked for; nil remembers none.
	Deletions Deletions
	// Held, where not nil, is asked right before each change whether writes to
	// an org ("" is the account) are held by now, and says why; empty when they
	// are not. It is called from many goroutines at once.
	Held func(org string) string
	// Done, where not nil, is told of each change as soon as its outcome is
	// known. The calls come one at a time, in no particular order of orgs.
	Done func(diff.Change, Outcome)
	// Logger gets a line for each write; nil is silent.
	Logger *slog.Logger
}

// Deletions remembers which deletions Okta was asked for, because no field of an
// org tells. Its methods are called from many goroutines at once.
type Deletions interface {
	// Begin is told that Okta is about to be asked to delete an org. An error
	// keeps that from happening.
	Begin(orgID, domain string) error
	// End is told the answer; an empty refusal means that Okta took the request.
	// It is not called when there was no answer.
	End(orgID, refusal string) error
}

// ErrRefused says that the plan's own guards refuse it. Nothing was written.
var ErrRefused = errors.New("refused by a guard")

// Apply carries out the plan and tells what became of each change. When ctx is
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

	var working, creating errgroup.Group // their functions give no errors
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

// org carries out the changes of one org, in order. The first that fails ends
// it: later ones rest on earlier ones.
func (a *applier) org(ctx context.Context, changes []diff.Change, outcomes []Outcome) {
	w := &worker{
		api: a.api, creator: a.opts.Creator, deletions: a.opts.Deletions,
		orgID: changes[0].OrgID, spared: a.opts.Spared, log: a.opts.Logger,
	}
	var broken diff.Action
	var held string
	applied := 0
	for i, c := range changes {
		o := Outcome{Org: c.Org, Action: c.Action, Result: Applied}
		if held == "" && a.opts.Held != nil {
			held = a.opts.Held(c.Org)
		}
		switch {
		case c.Blocked != "":
			o.Result = Blocked
		case broken != "":
			o.Result = Skipped
			o.Error = fmt.Sprintf("%s failed before it", broken)
		case ctx.Err() != nil:
			o.Result = Skipped
			o.Error = "the run was stopped"
		case held != "":
			o.Result = Skipped
			o.Error = "writes have been held since the plan was made: " + held
		default:
			note, err := w.contain(ctx, c)
			o.Hint = note
			if stopped(ctx, err) {
				o.Result, o.Error = Skipped, "the run was stopped"
			} else if err != nil {
				broken = c.Action
				o.Result, o.Error, o.Hint = Failed, err.Error(), text.Hint(err)
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

// stopped says whether err means that the run was stopped before the change was
// sent. An error that leaves the outcome of a write open is more than that.
func stopped(ctx context.Context, err error) bool {
	var open interface{ Uncertain() bool }
	if errors.As(err, &open) && open.Uncertain() {
		return false
	}
	return err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err())
}
