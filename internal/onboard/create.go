package onboard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/parent"
	"reconciler/internal/okta/rest"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

var _ apply.Creator = (*Onboarder)(nil)

// rate is Okta's limit of ten creations a minute for a parent. The journal counts
// from before a call is sent and Okta from its arrival, hence the margin.
var rate = journal.Rate{Limit: 10, Per: time.Minute + 5*time.Second}

// creation is the work on one org.
type creation struct {
	*Onboarder
	parent *creator
	key    journal.Key
	change diff.Change
	// maySend and link are as in apply.Creator.
	maySend func() error
	link    func(context.Context) error
	// sent reports whether the journal says that the call is sent, because this
	// process is about to send it, or has sent it.
	sent bool
}

// Create creates the org that c declares, or continues an earlier attempt; see
// apply.Creator, and the package comment for the order of steps.
func (o *Onboarder) Create(ctx context.Context, c diff.Change, maySend func() error, link func(context.Context) error) (apply.Created, error) {
	if c.Create == nil {
		return apply.Created{}, errors.New("the plan doesn't say how to create the org")
	}
	p, err := o.ready(c.Org, c.Create.Parent)
	if err != nil {
		return apply.Created{}, err
	}
	n := &creation{Onboarder: o, parent: p, key: o.key(c.Org), change: c, maySend: maySend, link: link}
	created, err := n.create(ctx)
	if err != nil && ctx.Err() == nil {
		n.note(err)
	}
	return created, err
}

// create reads journal and sink, and continues from there.
func (n *creation) create(ctx context.Context) (apply.Created, error) {
	rec, err := n.creation(n.key)
	if err != nil {
		return apply.Created{}, err
	}
	loss, err := n.journal.Loss()
	if err != nil {
		return apply.Created{}, err
	}
	if recordedAsCreated(rec) {
		return n.resume(ctx, rec)
	}
	token, err := n.lookUp(n.key.Domain, "")
	if err != nil {
		return apply.Created{}, err
	}
	if err := n.renamed(ctx, token); err != nil {
		return apply.Created{}, err
	}
	if token.found && rec != nil && rec.Step == journal.Sent {
		return n.adopt(ctx, rec, token)
	}
	if token.found || mayExist(rec, loss) {
		created, exists, err := n.resolve(ctx, rec, loss, token)
		if exists || err != nil {
			return created, err
		}
	}
	return n.sendAndSettle(ctx)
}

// recordedAsCreated reports whether the journal says that the org exists.
func recordedAsCreated(rec *journal.Creation) bool {
	return rec != nil && (rec.Step == journal.Created || rec.Step == journal.Linked || rec.Step == journal.Done)
}

// mayExist reports whether a call may have created an org that the journal doesn't
// say exists.
func mayExist(rec *journal.Creation, loss *journal.Loss) bool {
	return loss != nil || rec != nil && (rec.Step == journal.Sent || rec.Unanswered > 0)
}

func (n *creation) subdomain() string {
	sub, _, _ := strings.Cut(n.key.Domain, ".")
	return sub
}

// begin records that the org is to be created.
func (n *creation) begin() error {
	return n.journal.Begin(journal.Creation{
		Key: n.key, Parent: n.change.Create.Parent, Cell: n.change.Cell, Subdomain: n.subdomain(),
	})
}

// note records what went wrong. A journal that can't be written is logged, and
// doesn't replace err.
func (n *creation) note(err error) {
	var none *journal.StepError // no creation was begun
	if noteErr := n.journal.Note(n.key, err.Error()); noteErr != nil && !errors.As(noteErr, &none) {
		n.log.Error("the journal can't be written", "org", n.key.Domain, "error", noteErr)
	}
}

// sendAndSettle creates an org that doesn't exist as far as is known.
func (n *creation) sendAndSettle(ctx context.Context) (apply.Created, error) {
	created, isNew, err := n.send(ctx)
	if err == nil && isNew {
		err = n.settle(ctx)
	}
	return created, err
}

// send sends the call and records its outcome. Only one org of a parent is in here
// at a time. isNew reports whether the call created the org.
func (n *creation) send(ctx context.Context) (created apply.Created, isNew bool, err error) {
	if err := n.parent.acquire(ctx); err != nil {
		return apply.Created{}, false, fmt.Errorf("waiting for other orgs of the parent %q: %w", n.parent.name, err)
	}
	defer n.parent.release()
	var refusal error
	times := 0
	answer, err := n.parent.API.CreateOrg(ctx, n.subdomain(), *n.change.Create, func(ctx context.Context) error {
		if refusal = n.prepare(ctx); refusal == nil {
			times++
		}
		return refusal
	})
	if refusal != nil && times == 0 {
		return apply.Created{}, false, refusal // which says more than that the call failed
	}
	var uncertain *rest.UncertainError
	switch {
	case err == nil:
		created, err := n.record(ctx, answer)
		return created, true, err
	case errors.As(err, &uncertain):
		if markErr := n.journal.MarkUnanswered(n.key, err.Error()); markErr != nil {
			err = errors.Join(err, markErr)
		}
		return apply.Created{}, false, text.WithHint(text.Flat(err),
			"the next run finds out whether the org exists, and continues with it; no second one is created")
	case !n.sent:
		return apply.Created{}, false, err
	}
	if markErr := n.journal.MarkRefused(n.key, err.Error()); markErr != nil {
		// The journal says that the org may be ours now. If it is there, it must
		// not be linked as that.
		n.refused.Store(n.key.Domain, err.Error())
		return apply.Created{}, false, text.Flat(errors.Join(err, markErr))
	}
	if parent.Taken(err) {
		return apply.Created{
			Note:  "the subdomain is taken, so the org was there already",
			Doubt: errTaken,
		}, false, nil
	}
	return apply.Created{}, false, err
}

var errTaken = text.WithHint(
	errors.New("the subdomain is taken, and the org that has it can't be linked"),
	"if that org is yours, check that it is in the declared cell and that it, or its parent, has granted consent; if not, declare another domain")

// prepare does what has to be done right before each time that the call is sent, and
// records that it is sent now. What takes time comes first, again after each wait: a
// disk that had room a minute ago may be full by then, and writes may be held.
func (n *creation) prepare(ctx context.Context) error {
	if n.sent { // an earlier time, which did nothing
		if err := n.journal.MarkTurnedAway(n.key); err != nil {
			return err
		}
		n.sent = false
	}
	for begun := false; ; begun = true {
		if err := n.parent.API.CheckConsent(ctx, n.account); err != nil {
			return err
		}
		if err := n.sink.Probe(ctx); err != nil {
			return text.WithHint(fmt.Errorf("the token sink doesn't work, so nothing was sent: %w", err), text.Hint(err))
		}
		if err := n.maySend(); err != nil {
			return err
		}
		if !begun {
			if err := n.begin(); err != nil {
				return err
			}
		}
		wait, err := n.journal.Send(n.key, rate)
		if err != nil {
			return err
		}
		if wait == 0 {
			n.sent = true
			n.log.Info("writing", "org", n.key.Domain, "action", string(diff.CreateOrg), "parent", n.parent.name)
			return nil
		}
		n.log.Info("waiting for the parent's limit", "org", n.key.Domain, "parent", n.parent.name, "wait", wait.Round(time.Second))
		if err := web.Sleep(ctx, wait); err != nil {
			return fmt.Errorf("waiting for the limit of %d orgs a minute of the parent %q: %w", rate.Limit, n.parent.name, err)
		}
	}
}

// settle waits until a new org may be called. It is no error if ctx ends first:
// the caller checks ctx before it does anything else.
func (n *creation) settle(ctx context.Context) error {
	rec, err := n.journal.Creation(n.key)
	if err != nil || rec == nil {
		return err
	}
	n.pause(ctx, rec.Unsettled(time.Now(), n.parent.Settle))
	return nil
}

// pause waits for d, and reports whether it did before ctx ended.
func (n *creation) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	n.log.Info("waiting for the new org to settle", "org", n.key.Domain, "wait", d.Round(time.Millisecond))
	return web.Sleep(ctx, d) == nil
}
