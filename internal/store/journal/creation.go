package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/store/sqlitefile"
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

func steps() []Step { return []Step{Intent, Sent, Refused, Created, Linked, Done} }

// TokenState is what became of the token that a new org comes with.
type TokenState string

const (
	// TokenUnknown: there is no token yet, or it isn't known where it went.
	TokenUnknown TokenState = ""
	// TokenStored: it is where Creation.TokenAt says.
	TokenStored TokenState = "stored"
	// TokenLost: it never reached us, or could not be stored. A super admin of
	// the org has to create another one by hand.
	TokenLost TokenState = "lost"
)

func tokenStates() []TokenState { return []TokenState{TokenUnknown, TokenStored, TokenLost} }

// Key names a creation. The domain counts without case.
type Key struct {
	// Account is the id of the Aerial account.
	Account string
	Domain  string
}

func (k Key) normal() Key {
	return Key{strings.TrimSpace(k.Account), strings.ToLower(strings.TrimSpace(k.Domain))}
}

// Creation is the state of the creation of one org. Zero times mean "never".
type Creation struct {
	Key
	// Parent is the name of the parent in the config; the limit of creations is
	// counted by it.
	Parent string
	// Cell and Subdomain are those of the call.
	Cell, Subdomain string
	Step            Step
	// OrgID is empty until it is known.
	OrgID string
	// Begun is when it was begun for the first time, and Changed when it was
	// written last.
	Begun, Changed time.Time
	// CreatedAt is the time of the answer with the org, from which Okta's 30
	// seconds count.
	CreatedAt time.Time
	Token     TokenState
	// TokenAt is where the token was stored, in the words of the sink.
	TokenAt string
	// LostSince and LostReason are those of a lost token; Acknowledged and
	// AcknowledgedBy those of the acknowledgment.
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

// Open reports whether something is left to be done.
func (c *Creation) Open() bool { return c.Step != Done && c.Step != Refused }

// Alarm reports whether the token is lost and nobody has acknowledged it.
func (c *Creation) Alarm() bool { return c.Token == TokenLost && c.Acknowledged.IsZero() }

// Unsettled returns how much of the settle time, which counts from CreatedAt, is
// left: never less than 0, and never more than settle, even if the clock was set
// back in between.
func (c *Creation) Unsettled(now time.Time, settle time.Duration) time.Duration {
	return max(0, min(settle, c.CreatedAt.Add(settle).Sub(now)))
}

const creationColumns = `c.id, c.account, c.domain, c.parent, c.cell, c.subdomain, c.step, c.org_id, c.begun_at, c.changed_at,
	c.created_at, c.token, c.token_at, c.lost_since, c.lost_reason, c.acknowledged_at, c.acknowledged_by, c.last_error,
	(SELECT count(*) FROM attempts a WHERE a.creation = c.id),
	(SELECT count(*) FROM attempts a WHERE a.creation = c.id AND a.outcome NOT IN ('', 'created', 'refused')),
	(SELECT coalesce(max(a.sent_at), '') FROM attempts a WHERE a.creation = c.id) AS "attempts.sent_at"`

// row is a creation, its place in the table, and what is being done to it.
type row struct {
	id    int64
	doing string
	Creation
}

// fields returns where the columns go.
func (r *row) fields() []any {
	return []any{&r.id, &r.Account, &r.Domain, &r.Parent, &r.Cell, &r.Subdomain, word[Step]{&r.Step, steps()}, &r.OrgID, sqlitefile.Moment(&r.Begun), sqlitefile.Moment(&r.Changed),
		sqlitefile.Moment(&r.CreatedAt), word[TokenState]{&r.Token, tokenStates()}, &r.TokenAt, sqlitefile.Moment(&r.LostSince), &r.LostReason, sqlitefile.Moment(&r.Acknowledged), &r.AcknowledgedBy,
		&r.LastError, &r.Attempts, &r.Unanswered, sqlitefile.Moment(&r.SentAt)}
}

// check returns the column that contradicts others.
func (r *row) check() (column, problem string) {
	switch {
	case r.Begun.IsZero():
		return "begun_at", "it is empty"
	case (r.Step == Linked || r.Step == Done) && (r.OrgID == "" || r.Token == TokenUnknown):
		return "step", fmt.Sprintf("it is %q, but org_id or token is empty", r.Step)
	case (r.Token == TokenLost) == r.LostSince.IsZero():
		return "lost_since", fmt.Sprintf("it doesn't fit token, which is %q", r.Token)
	}
	return "", ""
}

// find returns nil if there is no such creation.
func find(q sqlitefile.Querier, k Key) (*row, error) {
	return one(q, (*row).fields, `SELECT `+creationColumns+` FROM creations c
		WHERE c.account = ? AND c.domain = ? AND c.forgotten_at = ''`, k.Account, k.Domain)
}

// Creation returns the creation of an org; nil if there is none.
func (j *Journal) Creation(k Key) (c *Creation, err error) {
	err = j.read("reading a creation", func(q sqlitefile.Querier) error {
		r, err := find(q, k.normal())
		if r != nil {
			c = &r.Creation
		}
		return err
	})
	return c, err
}

// Creations returns all creations of an account, sorted by domain. Those that can't
// be read are missing from them, and the error is a *RowsError.
func (j *Journal) Creations(account string) ([]Creation, error) {
	rows, err := list(j, "reading creations", (*row).fields, `SELECT `+creationColumns+` FROM creations c
		WHERE c.account = ? AND c.forgotten_at = '' ORDER BY c.domain`, Key{Account: account}.normal().Account)
	var all []Creation
	for i := range rows {
		all = append(all, rows[i].Creation)
	}
	return all, err
}

// Acknowledge records that a person, by, has acknowledged a lost token. A token
// that was acknowledged already keeps its first acknowledgment.
func (j *Journal) Acknowledge(k Key, by string) error {
	by, err := person(by)
	if err != nil {
		return err
	}
	return j.change(k, "acknowledging a lost token", func(_ *sql.Tx, r *row) error {
		if r.Token != TokenLost {
			return r.reject("there is no lost token to acknowledge")
		}
		if r.Acknowledged.IsZero() {
			r.Acknowledged, r.AcknowledgedBy = j.now(), by
		}
		return nil
	})
}

// change reads a creation, lets f change it, and writes it back, in one
// transaction. When f returns an error, nothing is written.
func (j *Journal) change(k Key, doing string, f func(tx *sql.Tx, r *row) error) error {
	k = k.normal()
	err := j.write(doing, func(tx *sql.Tx) error {
		r, err := find(tx, k)
		if err != nil {
			return err
		}
		if r == nil {
			return errNone
		}
		r.doing = doing
		if err := f(tx, r); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE creations SET parent = ?, cell = ?, subdomain = ?, step = ?, org_id = ?, changed_at = ?, created_at = ?,
			token = ?, token_at = ?, lost_since = ?, lost_reason = ?, acknowledged_at = ?, acknowledged_by = ?, last_error = ?
			WHERE id = ?`,
			r.Parent, r.Cell, r.Subdomain, r.Step, r.OrgID, sqlitefile.Stamp(j.now()), sqlitefile.Stamp(r.CreatedAt),
			r.Token, r.TokenAt, sqlitefile.Stamp(r.LostSince), r.LostReason, sqlitefile.Stamp(r.Acknowledged), r.AcknowledgedBy, r.LastError, r.id)
		return err
	})
	if errors.Is(err, errNone) {
		return &StepError{Key: k, Problem: doing}
	}
	return err
}

func (r *row) reject(problem string) error {
	return &StepError{r.Key, r.Step, r.doing + ": " + problem}
}
