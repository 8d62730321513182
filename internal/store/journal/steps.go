package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Begin records that an org is to be created. Of c, the key, Parent, Cell and
// Subdomain count. It may be called again while nothing was sent, and after a
// refusal, and then records the new values.
func (w *Writer) Begin(c Creation) error {
	c.Key = c.Key.normal()
	if c.Account == "" || c.Domain == "" || c.Parent == "" {
		return errors.New("beginning a creation: account, domain and parent must be given")
	}
	const doing = "beginning a creation"
	return w.write(doing, func(tx *sql.Tx) error {
		r, err := find(tx, c.Key)
		if err != nil {
			return err
		}
		if r == nil {
			now := stamp(w.now())
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
		return w.update(tx, r)
	})
}

// Rate is a limit: at most Limit calls in any span of Per.
type Rate struct {
	Limit int
	Per   time.Duration
}

// Send records that the call to create the org is sent now, if the rate allows
// its parent another one: then wait is 0, and the call is to be sent at once.
// Otherwise the creation stays at Intent, no call must be sent, and Send is to be
// retried after wait. Calls of earlier processes count too. From Intent only.
func (w *Writer) Send(k Key, rate Rate) (wait time.Duration, err error) {
	if rate.Limit < 1 || rate.Per <= 0 {
		return 0, fmt.Errorf("sending a creation: %d in %v is no limit to keep to", rate.Limit, rate.Per)
	}
	const doing = "sending a creation"
	err = w.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Intent); err != nil {
			return err
		}
		now := w.now()
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

// MarkUnanswered records that the call's answer was lost, so that it isn't known
// whether there is a new org. From Sent, where it stays.
func (w *Writer) MarkUnanswered(k Key, reason string) error {
	const doing = "marking a call as unanswered"
	return w.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Sent); err != nil {
			return err
		}
		r.LastError = clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkAbsent records that the org isn't there after a call without an answer: it
// may be sent again. From Sent to Intent.
func (w *Writer) MarkAbsent(k Key, reason string) error {
	const doing = "marking an org as absent"
	return w.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Sent); err != nil {
			return err
		}
		r.Step, r.LastError = Intent, clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkRefused records a definite refusal: nothing was created, and Begin may
// follow. From Intent, for what is found out before the call, and from Sent.
func (w *Writer) MarkRefused(k Key, reason string) error {
	const doing = "marking as refused"
	return w.change(k, doing, func(tx *sql.Tx, r *row) error {
		if err := r.from(doing, Intent, Sent); err != nil {
			return err
		}
		r.Step, r.LastError = Refused, clean(reason)
		return r.answer(tx, "refused")
	})
}

// MarkCreated records that the org is there, since at. The id may be empty if the
// answer was cut off before it. From Sent; from Intent and Refused for an org
// that was found to be there after all. It may be repeated, for an id that was
// found out later; at then changes nothing.
func (w *Writer) MarkCreated(k Key, orgID string, at time.Time) error {
	const doing = "marking as created"
	orgID = clean(orgID)
	return w.change(k, doing, func(tx *sql.Tx, r *row) error {
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

// MarkTokenStored records where the token is. From Created on; also after
// MarkTokenLost, if it was found. It may be repeated; the last place counts.
func (w *Writer) MarkTokenStored(k Key, where string) error {
	const doing = "marking the token as stored"
	return w.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created, Linked, Done); err != nil {
			return err
		}
		r.Token, r.TokenAt = TokenStored, clean(where)
		r.LostSince, r.LostReason = time.Time{}, ""
		r.Acknowledged, r.AcknowledgedBy = time.Time{}, ""
		return nil
	})
}

// MarkTokenLost records that nobody has the token of an org. It is an alarm until
// Acknowledge. From Created, while no place of the token is known. It may be
// repeated; the first time counts.
func (w *Writer) MarkTokenLost(k Key, reason string) error {
	const doing = "marking the token as lost"
	return w.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created); err != nil {
			return err
		}
		switch r.Token {
		case TokenStored:
			return r.reject(fmt.Sprintf("%s: it is stored: %s", doing, r.TokenAt))
		case TokenUnknown:
			r.Token, r.LostSince, r.LostReason = TokenLost, w.now(), clean(reason)
		}
		return nil
	})
}

// MarkLinked records that the org was added to the account, and its id, which
// must not be another one than before. From Created, once the token is known to
// be stored or lost. It may be repeated.
func (w *Writer) MarkLinked(k Key, orgID string) error {
	const doing = "marking as linked"
	orgID = clean(orgID)
	return w.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Created, Linked); err != nil {
			return err
		}
		if r.Token == TokenUnknown {
			return r.reject(doing + ": it is not known what became of its token")
		}
		if err := r.identify(doing, orgID); err != nil {
			return err
		}
		if r.OrgID == "" {
			return r.reject(doing + ": its id is not known")
		}
		r.Step, r.LastError = Linked, ""
		return nil
	})
}

// MarkDone records that nothing is left to be done. From Linked. It may be
// repeated.
func (w *Writer) MarkDone(k Key) error {
	const doing = "marking as done"
	return w.change(k, doing, func(_ *sql.Tx, r *row) error {
		if err := r.from(doing, Linked, Done); err != nil {
			return err
		}
		r.Step, r.LastError = Done, ""
		return nil
	})
}

// Note records what went wrong, without going to another step; "" clears it.
func (w *Writer) Note(k Key, problem string) error {
	return w.change(k, "noting a problem", func(_ *sql.Tx, r *row) error {
		r.LastError = clean(problem)
		return nil
	})
}

// Forget lets a creation begin from nothing, because a person, by, says so: the
// org was deleted since, or was never created. Its record stays in the file,
// hidden.
func (w *Writer) Forget(k Key, by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return w.change(k, "forgetting a creation", func(tx *sql.Tx, r *row) error {
		_, err := tx.Exec(`UPDATE creations SET forgotten_at = ?, forgotten_by = ? WHERE id = ?`, stamp(w.now()), by, r.id)
		return err
	})
}

// from rejects a creation that is at none of the steps.
func (r *row) from(doing string, steps ...Step) error {
	if slices.Contains(steps, r.Step) {
		return nil
	}
	var names []string
	for _, s := range steps {
		names = append(names, fmt.Sprintf("%q", s))
	}
	return r.reject(fmt.Sprintf("%s goes from %s only", doing, strings.Join(names, ", ")))
}

// identify sets the org's id, and rejects a second one.
func (r *row) identify(doing, orgID string) error {
	if orgID != "" && r.OrgID != "" && orgID != r.OrgID {
		return r.reject(fmt.Sprintf("%s: its id is %q, not %q", doing, r.OrgID, orgID))
	}
	if orgID != "" {
		r.OrgID = orgID
	}
	return nil
}

// answer records the outcome of the call that is under way, if there is one.
func (r *row) answer(tx *sql.Tx, outcome string) error {
	_, err := tx.Exec(`UPDATE attempts SET outcome = ? WHERE creation = ? AND outcome = ''`, outcome, r.id)
	return err
}
