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
)

var _ apply.Creator = (*Onboarder)(nil)

// rate is Okta's limit: ten creations a minute for a parent. The journal counts
// from when a call is about to be sent and Okta from when it arrives, so there
// is some room between the two.
var rate = journal.Rate{Limit: 10, Per: time.Minute + 5*time.Second}

// creation is one org on its way into being.
type creation struct {
	*Onboarder
	parent *creator
	key    journal.Key
	change diff.Change
	link   func(context.Context) error
}

// Create makes the org that c declares, or goes on with what an earlier attempt
// began; see apply.Creator, and the package comment for the order of things.
func (o *Onboarder) Create(ctx context.Context, c diff.Change, link func(context.Context) error) (apply.Created, error) {
	if c.Create == nil {
		return apply.Created{}, errors.New("the plan doesn't say how to create the org")
	}
	p, err := o.ready(c.Org, c.Create.Parent)
	if err != nil {
		return apply.Created{}, err
	}
	n := &creation{Onboarder: o, parent: p, key: o.key(c.Org), change: c, link: link}
	made, err := n.create(ctx)
	if err != nil && ctx.Err() == nil {
		n.note(err)
	}
	return made, err
}

// create reads the journal and goes on from there.
func (n *creation) create(ctx context.Context) (apply.Created, error) {
	rec, err := n.journal.Creation(n.key)
	if err != nil {
		return apply.Created{}, err
	}
	loss, err := n.journal.Loss()
	if err != nil {
		return apply.Created{}, err
	}
	if exists(rec) {
		return n.resume(ctx, rec)
	}
	token, err := n.held(n.key.Domain, "")
	if err != nil {
		return apply.Created{}, err
	}
	if token.has && rec != nil && rec.Step == journal.Sent {
		return n.adopt(ctx, rec, token)
	}
	if token.has || possible(rec, loss) {
		made, there, err := n.look(ctx, rec, loss, token)
		if there || err != nil {
			return made, err
		}
	}
	return n.build(ctx)
}

// exists says whether the journal knows that the org is there.
func exists(rec *journal.Creation) bool {
	return rec != nil && (rec.Step == journal.Created || rec.Step == journal.Linked || rec.Step == journal.Done)
}

// possible says of an org that isn't known to exist whether a call may have
// created it all the same.
func possible(rec *journal.Creation, loss *journal.Loss) bool {
	return loss != nil || rec != nil && (rec.Step == journal.Sent || rec.Unanswered > 0)
}

func (n *creation) subdomain() string {
	sub, _, _ := strings.Cut(n.key.Domain, ".")
	return sub
}

// begin writes down that the org is to be created.
func (n *creation) begin() error {
	return n.journal.Begin(journal.Creation{
		Key: n.key, Parent: n.change.Create.Parent, Cell: n.change.Cell, Subdomain: n.subdomain(),
	})
}

// note keeps what went wrong where a person will look. That it can't be kept
// is no reason to forget err.
func (n *creation) note(err error) {
	var none *journal.StepError // nothing was begun
	if noteErr := n.journal.Note(n.key, err.Error()); noteErr != nil && !errors.As(noteErr, &none) {
		n.log.Error("the journal can't be written", "org", n.key.Domain, "error", noteErr)
	}
}

// build creates an org that isn't there, as far as anybody knows.
func (n *creation) build(ctx context.Context) (apply.Created, error) {
	made, settle, err := n.send(ctx)
	if err == nil && settle {
		err = n.settle(ctx)
	}
	return made, err
}

// send is the part of the way that one org at a time of a parent goes. settle
// says whether the org has to be left alone now.
func (n *creation) send(ctx context.Context) (made apply.Created, settle bool, err error) {
	if err := n.parent.take(ctx); err != nil {
		return apply.Created{}, false, fmt.Errorf("waiting for other orgs of the parent %q: %w", n.parent.name, err)
	}
	defer n.parent.release()
	if err := n.parent.API.CheckConsent(ctx, n.account); err != nil {
		return apply.Created{}, false, err
	}
	if err := n.prepare(ctx); err != nil {
		return apply.Created{}, false, err
	}
	n.log.Info("writing", "org", n.key.Domain, "action", string(diff.CreateOrg), "parent", n.parent.name)
	answer, err := n.parent.API.CreateOrg(ctx, n.subdomain(), *n.change.Create)
	var uncertain *rest.UncertainError
	switch {
	case err == nil:
		made, err := n.keep(ctx, answer)
		return made, true, err
	case errors.As(err, &uncertain):
		if markErr := n.journal.MarkUnanswered(n.key, err.Error()); markErr != nil {
			err = errors.Join(err, markErr)
		}
		return apply.Created{}, false, text.WithHint(text.Flat(err),
			"the next run finds out whether the org is there, and goes on with it; no second one is made")
	}
	if markErr := n.journal.MarkRefused(n.key, err.Error()); markErr != nil {
		err = text.Flat(errors.Join(err, markErr))
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
	"if that org is yours, see that it is in the declared cell and that it, or its parent, has granted consent; if not, declare another domain")

// prepare does all that has to be done before the call may be sent, and writes
// down that it is sent now. The sink is tried right before that, also after a
// wait: a disk that had room a minute ago may be full by then.
func (n *creation) prepare(ctx context.Context) error {
	for begun := false; ; begun = true {
		if err := n.sink.Probe(ctx); err != nil {
			return text.WithHint(fmt.Errorf("the token sink doesn't work, so nothing was sent: %w", err), text.Hint(err))
		}
		if !begun {
			if err := n.begin(); err != nil {
				return err
			}
		}
		wait, err := n.journal.Send(n.key, rate)
		if err != nil || wait == 0 {
			return err
		}
		n.log.Info("waiting for the parent's limit", "org", n.key.Domain, "parent", n.parent.name, "wait", wait.Round(time.Second))
		if err := n.sleep(ctx, wait); err != nil {
			return fmt.Errorf("waiting for the limit of %d orgs a minute of the parent %q: %w", rate.Limit, n.parent.name, err)
		}
	}
}

// settle waits until a new org may be called. When ctx ends first, that is no
// error: whoever wants to go on sees it.
func (n *creation) settle(ctx context.Context) error {
	rec, err := n.journal.Creation(n.key)
	if err != nil || rec == nil {
		return err
	}
	n.pause(ctx, rec.Unsettled(n.now(), n.parent.Settle))
	return nil
}

// pause waits, and says whether it was to the end.
func (n *creation) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	n.log.Info("waiting for the new org to settle", "org", n.key.Domain, "wait", d.Round(time.Millisecond))
	return n.sleep(ctx, d) == nil
}
