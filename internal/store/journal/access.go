package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"reconciler/internal/store/sqlitefile"
)

// AccessStep is how far the way from an org's token to a service app in it got.
type AccessStep string

const (
	// AccessBegun: an app is to be made, and no call is under way.
	AccessBegun AccessStep = "begun"
	// AccessSent: the call to make it was sent, or is just about to be; whether there
	// is an app is not known.
	AccessSent AccessStep = "sent"
	// AccessMade: the app is there.
	AccessMade AccessStep = "made"
	// AccessGranted: it has its scopes.
	AccessGranted AccessStep = "granted"
	// AccessAssigned: it has its role.
	AccessAssigned AccessStep = "assigned"
	// AccessDone: it has read something. Nothing is left to do.
	AccessDone AccessStep = "done"
)

// accessSteps returns the steps in their order.
func accessSteps() []AccessStep {
	return []AccessStep{AccessBegun, AccessSent, AccessMade, AccessGranted, AccessAssigned, AccessDone}
}

// Access is the service app of this program in an org, or the way there.
type Access struct {
	Account, OrgID, Domain string
	Step                   AccessStep
	// Role is the app's administrator role.
	Role string
	// AppID and ClientID are known from AccessMade on.
	AppID, ClientID string
	// Begun is when it was begun, and Changed when it was written last.
	Begun, Changed time.Time
	// SentAt is when the last call to make an app was sent; zero if none was.
	SentAt time.Time
	// LastError is what went wrong last; empty when nothing did.
	LastError string
}

// Open reports whether something is left to be done.
func (a *Access) Open() bool { return a.Step != AccessDone }

// check returns the column that contradicts others.
func (a *Access) check() (column, problem string) {
	switch made := a.Step != AccessBegun && a.Step != AccessSent; {
	case a.Begun.IsZero():
		return "begun_at", "it is empty"
	case made && (a.AppID == "" || a.ClientID == ""):
		return "step", fmt.Sprintf("it is %q, but app_id or client_id is empty", a.Step)
	case !made && a.ClientID != "":
		return "client_id", fmt.Sprintf("it doesn't fit step, which is %q", a.Step)
	}
	return "", ""
}

func (a *Access) fields() []any {
	return []any{&a.Account, &a.OrgID, &a.Domain, word[AccessStep]{&a.Step, accessSteps()}, &a.Role, &a.AppID, &a.ClientID,
		sqlitefile.Moment(&a.Begun), sqlitefile.Moment(&a.Changed), sqlitefile.Moment(&a.SentAt), &a.LastError}
}

const accessRows = `SELECT account, org_id, domain, step, role, app_id, client_id, begun_at, changed_at, sent_at, last_error FROM access`

// Access returns what is known of the service app in an org; nil if nothing is.
func (j *Journal) Access(account, orgID string) (a *Access, err error) {
	err = j.read("reading the access to an org", func(q sqlitefile.Querier) error {
		a, err = findAccess(q, account, orgID)
		return err
	})
	return a, err
}

func findAccess(q sqlitefile.Querier, account, orgID string) (*Access, error) {
	return one(q, (*Access).fields, accessRows+` WHERE account = ? AND org_id = ?`, account, orgID)
}

// Accesses returns what is known of the service apps in the orgs of an account, sorted
// by domain, then id. Those that can't be read are missing, and the error is a
// *RowsError.
func (j *Journal) Accesses(account string) ([]Access, error) {
	return list(j, "reading the access to orgs", (*Access).fields, accessRows+` WHERE account = ? ORDER BY domain, org_id`, account)
}

// BeginAccess records that there is to be a service app with this role in an org. Of a,
// Account, OrgID, Domain and Role count. It may be repeated, at any step, which stays
// as it is.
func (w *Writer) BeginAccess(a Access) error {
	if a.Account == "" || a.OrgID == "" || a.Domain == "" {
		return errors.New("beginning the access to an org: account, org id and domain must be given")
	}
	now := sqlitefile.Stamp(w.now())
	return w.write("beginning the access to an org", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO access (account, org_id, domain, step, role, begun_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (account, org_id) DO UPDATE SET domain = excluded.domain, role = excluded.role, changed_at = excluded.changed_at`,
			a.Account, a.OrgID, Key{Domain: a.Domain}.normal().Domain, AccessBegun, a.Role, now, now)
		return err
	})
}

// SendAccess records that the call to make an app is sent now. From any step: an app
// that was there may be gone.
func (w *Writer) SendAccess(account, orgID string) error {
	return w.changeAccess(account, orgID, "sending for a service app", func(a *Access) error {
		a.Step, a.AppID, a.ClientID, a.SentAt = AccessSent, "", "", w.now()
		return nil
	})
}

// MarkAccessRefused records that the call was answered, and no app was made. From
// AccessSent.
func (w *Writer) MarkAccessRefused(account, orgID string) error {
	return w.changeAccess(account, orgID, "marking a service app as refused", func(a *Access) error {
		if a.Step != AccessSent {
			return fmt.Errorf("access to %q: it is at step %q, and no call is under way", a.Domain, a.Step)
		}
		a.Step = AccessBegun
		return nil
	})
}

// MarkAccess records that an app is at a step, from AccessMade on. A step behind the
// one that it is at changes nothing, unless it is another app.
func (w *Writer) MarkAccess(account, orgID string, step AccessStep, appID, clientID string) error {
	if appID, clientID = clean(appID), clean(clientID); appID == "" || clientID == "" {
		return errors.New("noting the service app of an org: its ids must be given")
	}
	return w.changeAccess(account, orgID, "noting the service app of an org", func(a *Access) error {
		rank := func(s AccessStep) int { return slices.Index(accessSteps(), s) }
		if a.AppID != appID || a.ClientID != clientID || rank(step) > rank(a.Step) {
			a.Step, a.AppID, a.ClientID = step, appID, clientID
		}
		a.LastError = ""
		return nil
	})
}

// NoteAccess records what went wrong, without going to another step.
func (w *Writer) NoteAccess(account, orgID, problem string) error {
	return w.changeAccess(account, orgID, "noting a problem", func(a *Access) error {
		a.LastError = clean(problem)
		return nil
	})
}

// changeAccess reads a row, lets f change it, and writes it back, in one transaction.
// When f returns an error, nothing is written.
func (w *Writer) changeAccess(account, orgID, doing string, f func(*Access) error) error {
	return w.write(doing, func(tx *sql.Tx) error {
		a, err := findAccess(tx, account, orgID)
		if err != nil {
			return err
		}
		if a == nil {
			return fmt.Errorf("the access to the org %q was not begun", clean(orgID))
		}
		if err := f(a); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE access SET step = ?, app_id = ?, client_id = ?, changed_at = ?, sent_at = ?, last_error = ?
			WHERE account = ? AND org_id = ?`, a.Step, a.AppID, a.ClientID, sqlitefile.Stamp(w.now()), sqlitefile.Stamp(a.SentAt), a.LastError, account, orgID)
		return err
	})
}
