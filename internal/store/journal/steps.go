package journal

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// Begin records that an org is to be created. Of c, the key, Parent, Cell and
// Subdomain count. It may be called again while nothing was sent, and after a
// refusal, and then records the new values.
func (w *Writer) Begin(c Creation) error {
	c.Key = c.Key.normal()
	if c.Account == "" || c.Domain == "" || c.Parent == "" {
		return errors.New("beginning a creation: account, domain and parent must be given")
	}
	now := sqlitefile.Stamp(w.now())
	err := w.write("beginning a creation", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO creations (account, domain, parent, cell, subdomain, step, begun_at, changed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			c.Account, c.Domain, c.Parent, c.Cell, c.Subdomain, Intent, now, now)
		return err
	})
	if err != nil {
		return err
	}
	return w.step(c.Key, "beginning a creation", from(Intent, Refused), func(_ *sql.Tx, r *row) error {
		r.Parent, r.Cell, r.Subdomain, r.Step = c.Parent, c.Cell, c.Subdomain, Intent
		return nil
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
	err = w.step(k, "sending a creation", from(Intent), func(tx *sql.Tx, r *row) error {
		now := w.now()
		// After the clock was set back, earlier calls lie in the future. They
		// count as sent now, once, so that the limit holds and the wait ends. So
		// does one whose time can't be read.
		if _, err := tx.Exec(`UPDATE attempts SET sent_at = ? WHERE parent = ? AND (sent_at > ? OR sent_at `+w.home.unlike()+` ?)`,
			sqlitefile.Stamp(now), r.Parent, sqlitefile.Stamp(now), stampPattern); err != nil {
			return err
		}
		if wait, err = untilAllowed(tx, r.Parent, rate, now); wait > 0 || err != nil {
			return err
		}
		r.Step = Sent
		_, err = tx.Exec(`INSERT INTO attempts (creation, parent, sent_at, outcome) VALUES (?, ?, ?, '')`, r.id, r.Parent, sqlitefile.Stamp(now))
		return err
	})
	if err != nil {
		return 0, err
	}
	return max(0, wait), nil
}

// untilAllowed returns for how long a parent has to wait until the rate allows it
// another call.
func untilAllowed(tx *sql.Tx, parent string, rate Rate, now time.Time) (time.Duration, error) {
	var id int64
	var sent string
	err := tx.QueryRow(`SELECT id, sent_at FROM attempts WHERE parent = ? ORDER BY sent_at DESC LIMIT 1 OFFSET ?`, parent, rate.Limit-1).
		Scan(&id, &sent)
	if errors.Is(err, sql.ErrNoRows) { // there were fewer
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var oldest time.Time // of the last Limit calls
	if (sqlitefile.Moment(&oldest)).Scan(sent) != nil {
		_, err = tx.Exec(`UPDATE attempts SET sent_at = ? WHERE id = ?`, sqlitefile.Stamp(now), id)
		oldest = now
	}
	return max(0, rate.Per-now.Sub(oldest)), err
}

// MarkUnanswered records that the call's answer was lost, so that it isn't known
// whether there is a new org. From Sent, where it stays.
func (w *Writer) MarkUnanswered(k Key, reason string) error {
	return w.step(k, "marking a call as unanswered", from(Sent), func(tx *sql.Tx, r *row) error {
		r.LastError = clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkAbsent records that the org isn't there after a call without an answer: it
// may be sent again. From Sent to Intent.
func (w *Writer) MarkAbsent(k Key, reason string) error {
	return w.step(k, "marking an org as absent", from(Sent), func(tx *sql.Tx, r *row) error {
		r.Step, r.LastError = Intent, clean(reason)
		return r.answer(tx, "unanswered")
	})
}

// MarkTurnedAway records that the call was answered without being looked at, as by
// a rate limit: nothing was created, and it may be sent again. From Sent to Intent.
func (w *Writer) MarkTurnedAway(k Key) error {
	return w.step(k, "marking a call as turned away", from(Sent), func(tx *sql.Tx, r *row) error {
		r.Step = Intent
		return r.answer(tx, "refused")
	})
}

// MarkRefused records a definite refusal: nothing was created, and Begin may
// follow. From Intent, for what is found out before the call, and from Sent.
func (w *Writer) MarkRefused(k Key, reason string) error {
	return w.step(k, "marking as refused", from(Intent, Sent), func(tx *sql.Tx, r *row) error {
		r.Step, r.LastError = Refused, clean(reason)
		return r.answer(tx, "refused")
	})
}

// MarkRefusedLate is MarkRefused for a refusal that could not be recorded when it
// came: the call may count as unanswered since. From Sent only.
func (w *Writer) MarkRefusedLate(k Key, reason string) error {
	return w.step(k, "marking as refused", from(Sent), func(tx *sql.Tx, r *row) error {
		r.Step, r.LastError = Refused, clean(reason)
		_, err := tx.Exec(`UPDATE attempts SET outcome = 'refused' WHERE creation = ? AND outcome IN ('', 'unanswered')
			AND sent_at = (SELECT max(sent_at) FROM attempts WHERE creation = ?)`, r.id, r.id)
		return err
	})
}

// MarkCreated records that the org is there, since at. The id may be empty if the
// answer was cut off before it. From Sent; from Intent and Refused for an org
// that was found to be there after all. It may be repeated, for an id that was
// found out later; at then changes nothing.
func (w *Writer) MarkCreated(k Key, orgID string, at time.Time) error {
	return w.step(k, "marking as created", from(Intent, Sent, Refused, Created), func(tx *sql.Tx, r *row) error {
		if err := r.identify(orgID); err != nil {
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
	return w.step(k, "marking the token as stored", from(Created, Linked, Done), func(_ *sql.Tx, r *row) error {
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
	return w.step(k, "marking the token as lost", from(Created), func(_ *sql.Tx, r *row) error {
		switch r.Token {
		case TokenStored:
			return r.reject("it is stored: " + r.TokenAt)
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
	return w.step(k, "marking as linked", from(Created, Linked), func(_ *sql.Tx, r *row) error {
		if r.Token == TokenUnknown {
			return r.reject("it is not known what became of its token")
		}
		if err := r.identify(orgID); err != nil {
			return err
		}
		if r.OrgID == "" {
			return r.reject("its id is not known")
		}
		r.Step, r.LastError = Linked, ""
		return nil
	})
}

// MarkDone records that nothing is left to be done. From Linked. It may be
// repeated.
func (w *Writer) MarkDone(k Key) error {
	return w.step(k, "marking as done", from(Linked, Done), func(_ *sql.Tx, r *row) error {
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
	k = k.normal()
	none := &StepError{Key: k, Problem: "forgetting a creation"}
	err = w.write("forgetting a creation", func(tx *sql.Tx) error {
		// It isn't read, so that one that can't be read can be forgotten.
		done, err := tx.Exec(`UPDATE creations SET forgotten_at = ?, forgotten_by = ?, changed_at = ?
			WHERE account = ? AND domain = ? AND forgotten_at = ''`, sqlitefile.Stamp(w.now()), by, sqlitefile.Stamp(w.now()), k.Account, k.Domain)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return none
	})
	if errors.Is(err, errNone) {
		return none
	}
	return err
}

// from returns the steps that a method goes from.
func from(steps ...Step) []Step { return steps }

// step is change for a creation that is at one of the steps.
func (w *Writer) step(k Key, doing string, from []Step, f func(tx *sql.Tx, r *row) error) error {
	return w.change(k, doing, func(tx *sql.Tx, r *row) error {
		if !slices.Contains(from, r.Step) {
			var names []string
			for _, s := range from {
				names = append(names, strconv.Quote(string(s)))
			}
			return &StepError{r.Key, r.Step, fmt.Sprintf("%s goes from %s only", doing, strings.Join(names, ", "))}
		}
		return f(tx, r)
	})
}

// identify sets the org's id, and rejects a second one.
func (r *row) identify(orgID string) error {
	orgID = clean(orgID)
	if orgID != "" && r.OrgID != "" && orgID != r.OrgID {
		return r.reject(fmt.Sprintf("its id is %q, not %q", r.OrgID, orgID))
	}
	r.OrgID = cmp.Or(orgID, r.OrgID)
	return nil
}

// answer records the outcome of the call that is under way, if there is one.
func (r *row) answer(tx *sql.Tx, outcome string) error {
	_, err := tx.Exec(`UPDATE attempts SET outcome = ? WHERE creation = ? AND outcome = ''`, outcome, r.id)
	return err
}
