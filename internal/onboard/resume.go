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

// resume continues with an org that exists according to the journal.
func (n *creation) resume(ctx context.Context, rec *journal.Creation) (apply.Created, error) {
	if err := n.madeAsAnother(rec); err != nil {
		return apply.Created{}, err
	}
	created := apply.Created{
		OrgID: rec.OrgID,
		Note:  "an earlier run created it at " + rec.CreatedAt.UTC().Format(time.RFC3339),
	}
	switch {
	case rec.OrgID == "":
		created.Doubt = text.WithHint(
			errors.New("the org was created, but it can't be linked by its domain"),
			"check which orgs the parent has: Okta may have created it under another name")
	case rec.Step != journal.Created:
		created.Doubt = text.WithHint(
			errors.New("the journal knows the org as created and linked, but the account doesn't list it, and it can't be linked"),
			"if it was deleted since and is to be created again, let the journal forget it: "+n.journal.Commands().Forget+" "+n.key.Domain)
	}
	note, err := n.findToken(rec, nil)
	if err != nil {
		return apply.Created{}, err
	}
	if note != "" {
		created.Note += "; " + note
	}
	n.pause(ctx, rec.Unsettled(time.Now(), n.parent.Settle))
	return created, nil
}

// madeAsAnother returns an error if Okta made the org under another name than the
// declared one, so that the journal has no id of it while its token's file does. The
// org that has the declared name is somebody else's then, and must not be linked.
func (n *creation) madeAsAnother(rec *journal.Creation) error {
	if rec.OrgID != "" {
		return nil
	}
	token, err := n.lookUp(n.key.Domain, "")
	if err != nil || !token.found || token.OrgID == "" {
		return err
	}
	return text.WithHint(
		fmt.Errorf("an earlier run created the org, and Okta made it under another name, with the id %q: it is not linked by the declared one", token.OrgID),
		"declare it under the name that it has in Okta, with this id; its token is stored as "+token.Where)
}

// renamed returns an error if the org whose token is stored is in the account under
// another name than the declared one. The journal doesn't know it, or no plan would
// create it; and the org that has the declared name by now is another one.
func (n *creation) renamed(ctx context.Context, token lookup) error {
	if !token.found || token.OrgID == "" {
		return nil
	}
	org, err := n.find(ctx, token.OrgID, "")
	if err != nil || org == nil || org.Domain == "" || org.Domain == n.key.Domain {
		return err
	}
	return text.WithHint(
		fmt.Errorf("the org was created before, and was renamed: its token is stored (%s), and the org with that id is %q now", token.Where, org.Domain),
		fmt.Sprintf("change the domain in the manifest to %s, and add `id: %s`; if another org is meant, move the token away first", org.Domain, org.ID))
}

// adopt continues with an org whose token is in the sink while the last entry in
// the journal is that the call was sent: the process ended between the two.
func (n *creation) adopt(ctx context.Context, rec *journal.Creation, token lookup) (apply.Created, error) {
	if err := n.journal.MarkCreated(n.key, token.OrgID, n.latestCreation(rec)); err != nil {
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

// latestCreation returns the latest time at which the call in rec can have created
// an org: the process waited no longer for its answer.
func (n *creation) latestCreation(rec *journal.Creation) time.Time {
	now := time.Now()
	if rec == nil || rec.SentAt.IsZero() {
		return now
	}
	if at := rec.SentAt.Add(n.parent.API.Timeout()); at.Before(now) {
		return at
	}
	return now
}

// resolve finds out whether an org exists that an unanswered call may have created,
// or of which the sink holds a token that the journal doesn't know. If the org can
// be linked, it exists. If Okta refuses, it doesn't exist or isn't ours, and the
// call may be sent again, which tells; but not while there is a token that could be
// taken for the new one.
func (n *creation) resolve(ctx context.Context, rec *journal.Creation, loss *journal.Loss, token lookup) (_ apply.Created, exists bool, err error) {
	if rec == nil {
		if err := n.begin(); err != nil {
			return apply.Created{}, false, err
		}
	}
	c := journal.Creation{CreatedAt: n.latestCreation(rec)}
	if loss != nil && !token.found && (rec == nil || rec.SentAt.IsZero()) {
		c.CreatedAt = loss.Since
	}
	if !n.pause(ctx, c.Unsettled(time.Now(), n.parent.Settle)) {
		return apply.Created{}, false, fmt.Errorf("before finding out whether the org exists: %w", ctx.Err())
	}
	err = n.link(ctx)
	var refusal interface{ Refused() bool }
	switch {
	case err == nil:
		return apply.Created{Note: "it was there already; an earlier call, of which not all is known, may have created it"}, true, nil
	case !errors.As(err, &refusal) || !refusal.Refused():
		return apply.Created{}, false, text.WithHint(
			fmt.Errorf("an earlier call may have created the org, and it could not be found out: %w", err), text.Hint(err))
	case token.found:
		return apply.Created{}, false, text.WithHint(
			fmt.Errorf("there is a token of this org already (%s), but the org can't be linked: %w", token.Where, err),
			"if that org was deleted since, move its token away, and the next run creates the org again; if not, check that it has consent and is in the declared cell")
	}
	n.log.Info("the org doesn't exist, or can't be linked", "org", n.key.Domain, "error", err)
	if rec != nil && rec.Step == journal.Sent {
		err = n.journal.MarkAbsent(n.key, err.Error())
		return apply.Created{}, false, err
	}
	return apply.Created{}, false, nil
}
