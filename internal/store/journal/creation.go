package journal

import (
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Step is how far a creation got. See the package comment for the order.
type Step string

const (
	// Intent: the org is to be created, and no call is under way.
	Intent Step = "intent"
	// Sent: a call to create it was sent, or is just about to be; whether
	// there is a new org is not known.
	Sent Step = "sent"
	// Refused: the creation was refused before or by the call; nothing was
	// created, and it may begin again.
	Refused Step = "refused"
	// Created: the org is there.
	Created Step = "created"
	// Linked: the org was added to the account.
	Linked Step = "linked"
	// Done: the org is as declared; nothing of its creation is left to do.
	Done Step = "done"
)

// TokenState is what became of the token that a new org comes with.
type TokenState string

const (
	// TokenUnknown: there is no token yet, or nobody has said where it went.
	TokenUnknown TokenState = ""
	// TokenStored: it is where Creation.TokenAt says.
	TokenStored TokenState = "stored"
	// TokenLost: it never reached us, or could not be stored. A super admin of
	// the org has to make another one by hand.
	TokenLost TokenState = "lost"
)

// Key names a creation. The domain counts without case.
type Key struct {
	// Account is the id of the Aerial account.
	Account string
	Domain  string
}

func (k Key) normal() Key {
	return Key{strings.TrimSpace(k.Account), strings.ToLower(strings.TrimSpace(k.Domain))}
}

// Creation is what is known of the creation of one org. Times that are zero
// mean "never".
type Creation struct {
	Key
	// Parent is the name of the parent in the config; the limit of creations is
	// counted by it.
	Parent string
	// Cell and Subdomain are what the org was asked for with.
	Cell, Subdomain string
	Step            Step
	// OrgID is empty until it is known.
	OrgID string
	// Begun is when it was begun for the first time, and Changed when the
	// journal last heard of it.
	Begun, Changed time.Time
	// CreatedAt is the time of the answer that told of the org, from which
	// Okta's 30 seconds count.
	CreatedAt time.Time
	Token     TokenState
	// TokenAt is where the token was stored, in the words of the sink.
	TokenAt string
	// LostSince and LostReason tell of a lost token; Acknowledged and
	// AcknowledgedBy of the person who took note of it.
	LostSince      time.Time
	LostReason     string
	Acknowledged   time.Time
	AcknowledgedBy string
	// LastError is what went wrong last; empty when nothing did.
	LastError string
	// Attempts counts the calls that were sent, Unanswered those whose outcome
	// was never learned: the org may have come from one of them, even if a
	// later one was refused because its subdomain is taken. SentAt is when the
	// last one was sent.
	Attempts, Unanswered int
	SentAt               time.Time
}

// Open says whether something is left to be done.
func (c *Creation) Open() bool { return c.Step != Done && c.Step != Refused }

// Alarm says whether the token is lost and nobody has taken note of it yet.
func (c *Creation) Alarm() bool { return c.Token == TokenLost && c.Acknowledged.IsZero() }

// Unsettled gives how much of the settle time, which counts from CreatedAt, is
// left: never less than 0, and never more than settle, not even when the clock
// was set back in between.
func (c *Creation) Unsettled(now time.Time, settle time.Duration) time.Duration {
	return max(0, min(settle, c.CreatedAt.Add(settle).Sub(now)))
}

const creationColumns = `c.id, c.account, c.domain, c.parent, c.cell, c.subdomain, c.step, c.org_id, c.begun_at, c.changed_at,
	c.created_at, c.token, c.token_at, c.lost_since, c.lost_reason, c.acknowledged_at, c.acknowledged_by, c.last_error,
	(SELECT count(*) FROM attempts a WHERE a.creation = c.id),
	(SELECT count(*) FROM attempts a WHERE a.creation = c.id AND a.outcome = 'unanswered'),
	(SELECT coalesce(max(a.sent_at), '') FROM attempts a WHERE a.creation = c.id)`

// row is a creation and its place in the table.
type row struct {
	id int64
	Creation
}

func (r *row) scan(scan func(...any) error) error {
	return scan(&r.id, &r.Account, &r.Domain, &r.Parent, &r.Cell, &r.Subdomain, &r.Step, &r.OrgID, moment{&r.Begun}, moment{&r.Changed},
		moment{&r.CreatedAt}, &r.Token, &r.TokenAt, moment{&r.LostSince}, &r.LostReason, moment{&r.Acknowledged}, &r.AcknowledgedBy,
		&r.LastError, &r.Attempts, &r.Unanswered, moment{&r.SentAt})
}

// querier is a database or a transaction.
type querier interface {
	QueryRow(query string, args ...any) *sql.Row
}

// find gives nil when there is no such creation.
func find(q querier, k Key) (*row, error) {
	var r row
	err := r.scan(q.QueryRow(`SELECT `+creationColumns+` FROM creations c
		WHERE c.account = ? AND c.domain = ? AND c.forgotten_at = ''`, k.Account, k.Domain).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Creation gives what is known of the creation of an org; nil when nothing is.
func (v *View) Creation(k Key) (*Creation, error) {
	r, err := find(v.db, k.normal())
	if err != nil {
		return nil, failed(v.file, "reading a creation", err)
	}
	if r == nil {
		return nil, nil
	}
	return &r.Creation, nil
}

// Creations gives all creations of an account, sorted by domain.
func (v *View) Creations(account string) ([]Creation, error) {
	rows, err := v.db.Query(`SELECT `+creationColumns+` FROM creations c
		WHERE c.account = ? AND c.forgotten_at = '' ORDER BY c.domain`, Key{Account: account}.normal().Account)
	if err != nil {
		return nil, failed(v.file, "reading creations", err)
	}
	defer rows.Close()
	var all []Creation
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return nil, failed(v.file, "reading creations", err)
		}
		all = append(all, r.Creation)
	}
	return all, failed(v.file, "reading creations", rows.Err())
}

// Acknowledge takes down that a person, by, has taken note of a lost token. Of
// a token that was acknowledged already, the first time stands.
func (v *View) Acknowledge(k Key, by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return v.change(k, "acknowledging a lost token", func(_ *sql.Tx, r *row) error {
		if r.Token != TokenLost {
			return r.refuse("there is no lost token to acknowledge")
		}
		if r.Acknowledged.IsZero() {
			r.Acknowledged, r.AcknowledgedBy = v.now(), by
		}
		return nil
	})
}

// change reads a creation, lets f change it, and writes it back, in one
// transaction. When f gives an error, nothing is written.
func (v *View) change(k Key, doing string, f func(tx *sql.Tx, r *row) error) error {
	k = k.normal()
	return v.write(doing, func(tx *sql.Tx) error {
		r, err := find(tx, k)
		if err != nil {
			return err
		}
		if r == nil {
			return &StepError{Key: k, Problem: doing}
		}
		if err := f(tx, r); err != nil {
			return err
		}
		return v.update(tx, r)
	})
}

func (v *View) update(tx *sql.Tx, r *row) error {
	_, err := tx.Exec(`UPDATE creations SET parent = ?, cell = ?, subdomain = ?, step = ?, org_id = ?, changed_at = ?, created_at = ?,
		token = ?, token_at = ?, lost_since = ?, lost_reason = ?, acknowledged_at = ?, acknowledged_by = ?, last_error = ?
		WHERE id = ?`,
		r.Parent, r.Cell, r.Subdomain, r.Step, r.OrgID, stamp(v.now()), stamp(r.CreatedAt),
		r.Token, r.TokenAt, stamp(r.LostSince), r.LostReason, stamp(r.Acknowledged), r.AcknowledgedBy, r.LastError, r.id)
	return err
}

func (r *row) refuse(problem string) error {
	return &StepError{Key: r.Key, Step: r.Step, Problem: problem}
}
