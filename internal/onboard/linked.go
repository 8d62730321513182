package onboard

import (
	"context"
	"errors"

	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Linked is told that an org is in the account, and notes what that means for
// its creation, if there was one; see apply.Creator.
func (o *Onboarder) Linked(_ context.Context, domain, orgID string) (note string) {
	if o.journal == nil {
		return ""
	}
	note, err := o.noteLinked(domain, orgID)
	if err != nil {
		o.log.Error("the journal could not note that an org is linked; the next run does", "org", domain, "error", err)
		return "the journal could not note that the org is linked: " + err.Error()
	}
	return note
}

// noteLinked brings the journal up to date with an org that is in the account.
// It may be repeated, and does the rest of what was done in part.
func (o *Onboarder) noteLinked(domain, orgID string) (note string, err error) {
	key := o.key(domain)
	rec, err := o.journal.Creation(key)
	if err != nil || rec == nil || rec.Step == journal.Linked || rec.Step == journal.Done {
		return "", err
	}
	loss, err := o.journal.Loss()
	if err != nil {
		return "", err
	}
	if rec.Step != journal.Created {
		ours := possible(rec, loss)
		if !ours {
			// The sink may know what the journal doesn't.
			token, err := o.held(domain, orgID)
			if err != nil {
				return "", err
			}
			ours = token.has
		}
		if !ours {
			return "", o.notOurs(rec)
		}
		if err := o.journal.MarkCreated(key, orgID, o.now()); err != nil {
			return "", err
		}
	}
	rec.OrgID = orgID
	if note, err = o.findToken(rec, loss); err != nil {
		return note, err
	}
	return note, o.journal.MarkLinked(key, orgID)
}

// notOurs closes the record of an org that somebody else made: its token was
// never to come to us.
func (o *Onboarder) notOurs(rec *journal.Creation) error {
	if rec.Step != journal.Intent {
		return nil
	}
	return o.journal.MarkRefused(rec.Key, "the org was made by somebody else")
}

// findToken finds out what became of the token of an org that is there, if
// that isn't known, and writes it down. The process may have ended after the
// sink took it and before the journal knew.
func (o *Onboarder) findToken(rec *journal.Creation, loss *journal.Loss) (note string, err error) {
	if rec.Token != journal.TokenUnknown {
		return "", nil
	}
	token, err := o.held(rec.Domain, rec.OrgID)
	if err != nil {
		return "", err
	}
	if token.has {
		return "", o.journal.MarkTokenStored(rec.Key, token.Where)
	}
	reason := o.reason(rec, loss, token.untold)
	return noteLost(rec.Domain, reason), o.lost(rec.Key, reason)
}

// lost writes down that a token is lost, and says so.
func (o *Onboarder) lost(key journal.Key, reason string) error {
	o.log.Error("the token of a new org is lost", "org", key.Domain, "reason", reason, "hint", hintLost(key.Domain))
	return o.journal.MarkTokenLost(key, reason)
}

// Done is told that a created org is as declared; see apply.Creator.
func (o *Onboarder) Done(domain string) {
	if err := o.noteDone(domain); err != nil {
		o.log.Error("the journal could not note that an org is done; the next run does", "org", domain, "error", err)
	}
}

func (o *Onboarder) noteDone(domain string) error {
	rec, err := o.journal.Creation(o.key(domain))
	if err != nil || rec == nil || rec.Step != journal.Linked {
		return err
	}
	return o.journal.MarkDone(rec.Key)
}

// Unfinished says whether CatchUp may have something to do for a creation, so
// that the journal has to be at hand even for a plan that creates nothing.
func Unfinished(c *journal.Creation) bool {
	return c.Open() || c.Step == journal.Refused && c.Unanswered > 0
}

// CatchUp brings the journal up to date with the account, before plan is
// applied: of an org that was linked just before the process ended, the plan
// has nothing to link any more. find looks among the managed orgs for one with
// this id or, where id is empty, this domain, and gives nil when there is none;
// it is called only for orgs whose creation is Unfinished. CatchUp may be called
// again. Its error concerns the journal or find, and nothing that was to be
// done.
func (o *Onboarder) CatchUp(ctx context.Context, plan *diff.Plan, find func(ctx context.Context, id, domain string) (*state.Org, error)) error {
	if o.journal == nil {
		return nil
	}
	all, err := o.journal.Creations(o.account)
	if err != nil {
		return err
	}
	linking, changing := map[string]bool{}, map[string]bool{}
	for _, c := range plan.Changes {
		changing[c.Org] = true
		if c.Action == diff.LinkOrg {
			linking[c.Org] = true
		}
	}
	var errs []error
	for i := range all {
		if rec := &all[i]; Unfinished(rec) && !linking[rec.Domain] {
			errs = append(errs, o.catchUp(ctx, rec, changing[rec.Domain], find))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return text.Flat(err)
	}
	return nil
}

func (o *Onboarder) catchUp(ctx context.Context, rec *journal.Creation, changing bool, find func(ctx context.Context, id, domain string) (*state.Org, error)) error {
	if rec.Step != journal.Linked {
		org, err := find(ctx, rec.OrgID, rec.Domain)
		if err != nil || org == nil {
			return err
		}
		if _, err := o.noteLinked(rec.Domain, org.ID); err != nil {
			return err
		}
	}
	if changing {
		return nil
	}
	return o.noteDone(rec.Domain)
}
