package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Begin takes down that an org is to be created. Of c, the key, Parent, Cell
// and Subdomain count. It may be called again while nothing was sent, and
// after a refusal, and then takes up what c says now.
func (j *Journal) Begin(c Creation) error {
	c.Key = c.Key.normal()
	if c.Account == "" || c.Domain == "" || c.Parent == "" {
		return misused("beginning a creation: account, domain and parent must be given")
	}
	const doing = "beginning a creation"
	return j.write(doing, func(tx *sql.Tx) error {
		r, err := find(tx, c.Key)
		if err != nil {
			return err
		}
		if r == nil {
			now := stamp(j.now())
			_, err := tx.Exec(`INSERT INTO creations (account, domain, parent, cell, subdomain, step, org_id, begun_at, changed_at,
				created_at, token, token_at, lost_since, lost_reason, acknowledged_at, acknowledged_by, last_error)
				VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, '', '', '', '', '', '', '', '')`,
				c.Account, c.Domain, c.Parent, c.Cell, c.Subdomain, Intent, now, now)
			return err
		}
		if err := r.from(doing, Intent, Refused); err != nil {
			return err
		}
		r.Parent, r.Cell, r.Subdomain, r.Step = c.Parent, c.Cell, c.Subdomain, Intent
		return j.update(tx, r)
	})
}

// Rate is a limit: at most Limit calls in any span of Per.
type Rate struct {
	Limit int
	Per   time.Duration
}

// Send takes down that the call to create the org is sent now, if the rate
// allows its parent another one: then wait is 0, and the call is to be sent at
// once. Otherwise the creation stays at Intent, no call must be sent, and Send
// is to be tried again after wait. Calls of earlier processes count too. From
// Intent only.
func (j *Journal) Send(k Key, rate Rate) (wait time.Duration, err error) {
	if rate.Limit < 1 || rate.Per <= 0 {
		return 0, misused("sending a creation: %d in %v is no limit to keep to", rate.Limit, rate.Per)
	}
	const doing = "sending a creation"
	err = j.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Intent); err != nil {
			return err
		}
		now := j.now()
		// After the clock was set back, earlier calls lie in the future. They
		// count as sent now, once, so that the limit holds and the wait ends.
		if _, err := tx.Exec(`UPDATE attempts SET sent_at = ? WHERE parent = ? AND sent_at > ?`,
			stamp(now), r.Parent, stamp(now)); err != nil {
			return err
		}
		var oldest time.Time // of the last Limit calls
		err := tx.QueryRow(`SELECT sent_at FROM attempts WHERE parent = ? ORDER BY sent_at DESC LIMIT 1 OFFSET ?`,
			r.Parent, rate.Limit-1).Scan(moment{&oldest})
		switch {
		case errors.Is(err, sql.ErrNoRows): // there were fewer
		case err != nil:
			return err
		default:
			if wait = rate.Per - now.Sub(oldest); wait > 0 {
				return nil
			}
		}
		r.Step = Sent
		_, err = tx.Exec(`INSERT INTO attempts (creation, parent, sent_at, outcome) VALUES (?, ?, ?, '')`, r.id, r.Parent, stamp(now))
		return err
	})
	if err != nil {
		return 0, err
	}
	return max(0, wait), nil
}

// MarkUnanswered takes down that the call's answer was lost, so that nobody
// knows whether there is a new org. From Sent, where it stays.
func (j *Journal) MarkUnanswered(k Key, reason string) error {
	const doing = "marking a call as unanswered"
	return j.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Sent); err != nil {
			return err
		}
		r.LastError = clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkAbsent takes down that somebody looked, after a call without an answer,
// and that the org isn't there: it may be sent again. From Sent to Intent.
func (j *Journal) MarkAbsent(k Key, reason string) error {
	const doing = "marking an org as absent"
	return j.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Sent); err != nil {
			return err
		}
		r.Step, r.LastError = Intent, clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkRefused takes down a definite refusal: nothing was created, and Begin may
// follow. From Intent, for what is found out before the call, and from Sent.
func (j *Journal) MarkRefused(k Key, reason string) error {
	const doing = "marking as refused"
	return j.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Intent, Sent); err != nil {
			return err
		}
		r.Step, r.LastError = Refused, clean(reason)
		return r.answer(tx, "refused")
	})
}

// MarkCreated takes down that the org is there, as at says since when. The id
// may be empty if the answer was cut off before it. From Sent; from Intent and
// Refused for an org that was found to be there after all. It may be repeated,
// for an id that was found out later; at then changes nothing.
func (j *Journal) MarkCreated(k Key, orgID string, at time.Time) error {
	const doing = "marking as created"
	orgID = clean(orgID)
	return j.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Intent, Sent, Refused, Created); err != nil {
			return err
		}
		if err := r.identify(doing, orgID); err != nil {
			return err
		}
		if r.Step != Created {
			r.Step, r.CreatedAt, r.LastError = Created, at, ""
		}
		return r.answer(tx, "created")
	})
}

// MarkTokenStored takes down where the token is. From Created on; also after
// MarkTokenLost, if it was found. It may be repeated; the last place stands.
func (j *Journal) MarkTokenStored(k Key, where string) error {
	const doing = "marking the token as stored"
	return j.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created, Linked, Done); err != nil {
			return err
		}
		r.Token, r.TokenAt = TokenStored, clean(where)
		r.LostSince, r.LostReason = time.Time{}, ""
		r.Acknowledged, r.AcknowledgedBy = time.Time{}, ""
		return nil
	})
}

// MarkTokenLost takes down that there is an org whose token nobody has. It is
// an alarm until Acknowledge. From Created, as long as no place of the token is
// known. It may be repeated; the first time stands.
func (j *Journal) MarkTokenLost(k Key, reason string) error {
	const doing = "marking the token as lost"
	return j.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created); err != nil {
			return err
		}
		switch r.Token {
		case TokenStored:
			return r.refuse(fmt.Sprintf("%s: it is stored: %s", doing, r.TokenAt))
		case TokenUnknown:
			r.Token, r.LostSince, r.LostReason = TokenLost, j.now(), clean(reason)
		}
		return nil
	})
}

// MarkLinked takes down that the org was added to the account, and its id,
// which must not be another one than before. From Created, once the fate of the
// token is known. It may be repeated.
func (j *Journal) MarkLinked(k Key, orgID string) error {
	const doing = "marking as linked"
	orgID = clean(orgID)
	return j.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created, Linked); err != nil {
			return err
		}
		if r.Token == TokenUnknown {
			return r.refuse(doing + ": it is not known what became of its token")
		}
		if err := r.identify(doing, orgID); err != nil {
			return err
		}
		if r.OrgID == "" {
			return r.refuse(doing + ": its id is not known")
		}
		r.Step, r.LastError = Linked, ""
		return nil
	})
}

// MarkDone takes down that nothing is left to be done. From Linked. It may be
// repeated.
func (j *Journal) MarkDone(k Key) error {
	const doing = "marking as done"
	return j.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Linked, Done); err != nil {
			return err
		}
		r.Step, r.LastError = Done, ""
		return nil
	})
}

// Note takes down what went wrong, without going to another step; "" takes it
// away.
func (j *Journal) Note(k Key, problem string) error {
	return j.change(k, "noting a problem", func(_ *sql.Tx, r *row) error {
		r.LastError = clean(problem)
		return nil
	})
}

// Forget lets a creation begin from nothing, because a person, by, says so: the
// org was deleted since, or never came to be. What was known stays in the file,
// out of sight.
func (j *Journal) Forget(k Key, by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return j.change(k, "forgetting a creation", func(tx *sql.Tx, r *row) error {
		_, err := tx.Exec(`UPDATE creations SET forgotten_at = ?, forgotten_by = ? WHERE id = ?`, stamp(j.now()), by, r.id)
		return err
	})
}

// from refuses a creation that is at none of the steps.
func (r *row) from(doing string, steps ...Step) error {
	if slices.Contains(steps, r.Step) {
		return nil
	}
	var names []string
	for _, s := range steps {
		names = append(names, fmt.Sprintf("%q", s))
	}
	return r.refuse(fmt.Sprintf("%s goes from %s only", doing, strings.Join(names, ", ")))
}

// identify takes down the org's id, and refuses a second one.
func (r *row) identify(doing, orgID string) error {
	if orgID != "" && r.OrgID != "" && orgID != r.OrgID {
		return r.refuse(fmt.Sprintf("%s: its id is %q, not %q", doing, r.OrgID, orgID))
	}
	if orgID != "" {
		r.OrgID = orgID
	}
	return nil
}

// answer takes down what became of the call that is under way, if there is one.
func (r *row) answer(tx *sql.Tx, outcome string) error {
	_, err := tx.Exec(`UPDATE attempts SET outcome = ? WHERE creation = ? AND outcome = ''`, outcome, r.id)
	return err
}
