package onboard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// resume goes on with an org that the journal knows to be there.
func (n *creation) resume(ctx context.Context, rec *journal.Creation) (apply.Created, error) {
	made := apply.Created{
		OrgID: rec.OrgID,
		Note:  "an earlier run created it at " + rec.CreatedAt.UTC().Format(time.RFC3339),
	}
	switch {
	case rec.OrgID == "":
		made.Doubt = text.WithHint(
			errors.New("the org was created, but it can't be linked by its domain"),
			"look which orgs the parent has: Okta may have made it under another name")
	case rec.Step != journal.Created:
		made.Doubt = text.WithHint(
			errors.New("the journal knows the org as created and linked, but the account doesn't list it, and it can't be linked"),
			"if it was deleted since and is to be created again, let the journal forget it: reconciler acknowledge --forget "+n.key.Domain)
	}
	note, err := n.findToken(rec, nil)
	if err != nil {
		return apply.Created{}, err
	}
	if note != "" {
		made.Note += "; " + note
	}
	n.pause(ctx, rec.Unsettled(n.now(), n.parent.Settle))
	return made, nil
}

// adopt goes on with an org whose token is in the sink, though the journal
// knows no more than that the call was sent: the process ended between the two.
func (n *creation) adopt(ctx context.Context, rec *journal.Creation, token held) (apply.Created, error) {
	if err := n.journal.MarkCreated(n.key, token.OrgID, n.latest(rec)); err != nil {
		return apply.Created{}, err
	}
	if err := n.journal.MarkTokenStored(n.key, token.Where); err != nil {
		return apply.Created{}, err
	}
	return apply.Created{
		OrgID: token.OrgID,
		Note:  "an earlier run created it, and stored its token: " + token.Where,
	}, n.settle(ctx)
}

// latest is the latest time at which the call that rec knows of can have made
// an org: the process waited no longer for its answer.
func (n *creation) latest(rec *journal.Creation) time.Time {
	now := n.now()
	if rec == nil || rec.SentAt.IsZero() {
		return now
	}
	if at := rec.SentAt.Add(n.parent.API.Timeout()); at.Before(now) {
		return at
	}
	return now
}

// look finds out whether there is an org that nobody can be sure of: a call may
// have made it whose answer nobody has, or the sink holds a token of it and the
// journal is another one. If it can be linked, it is there. If Okta refuses, it
// isn't there, or isn't ours, and sending the call again will tell which; but
// not as long as there is a token that a new one could be mixed up with.
func (n *creation) look(ctx context.Context, rec *journal.Creation, loss *journal.Loss, token held) (_ apply.Created, there bool, err error) {
	if rec == nil {
		if err := n.begin(); err != nil {
			return apply.Created{}, false, err
		}
	}
	c := journal.Creation{CreatedAt: n.latest(rec)}
	if loss != nil && !token.has && (rec == nil || rec.SentAt.IsZero()) {
		c.CreatedAt = loss.Since
	}
	if !n.pause(ctx, c.Unsettled(n.now(), n.parent.Settle)) {
		return apply.Created{}, false, fmt.Errorf("before finding out whether the org is there: %w", ctx.Err())
	}
	err = n.link(ctx)
	var refusal interface{ Refused() bool }
	switch {
	case err == nil:
		return apply.Created{Note: "it was there already; an earlier call, of which not all is known, may have created it"}, true, nil
	case !errors.As(err, &refusal) || !refusal.Refused():
		return apply.Created{}, false, text.WithHint(
			fmt.Errorf("an earlier call may have created the org, and it could not be found out: %w", err), text.Hint(err))
	case token.has:
		return apply.Created{}, false, text.WithHint(
			fmt.Errorf("there is a token of this org already (%s), but the org can't be linked: %w", token.Where, err),
			"if that org was deleted since, move its token away, and the next run creates the org anew; if not, see that it has consent and is in the declared cell")
	}
	n.log.Info("the org isn't there, or can't be linked", "org", n.key.Domain, "error", err)
	if rec != nil && rec.Step == journal.Sent {
		err = n.journal.MarkAbsent(n.key, err.Error())
		return apply.Created{}, false, err
	}
	return apply.Created{}, false, nil
}
