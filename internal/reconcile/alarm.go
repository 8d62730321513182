package reconcile

import (
	"errors"
	"fmt"

	"reconciler/internal/onboard"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Alarm is a loss that is shown until a person acknowledges it.
type Alarm struct {
	// Org is the domain; empty when it is about the journal itself.
	Org     string `json:"org"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String returns one line.
func (a Alarm) String() string {
	line := a.Message
	if a.Org != "" {
		line = a.Org + ": " + line
	}
	if a.Hint != "" {
		line += " (" + a.Hint + ")"
	}
	return line
}

// Alarms returns the losses that nobody has acknowledged.
func (r *Reconciler) Alarms() ([]Alarm, error) { return Alarms(r.journal, r.cfg.Aerial.AccountID) }

// maxRowAlarms bounds how many rows that can't be read become an alarm each.
const maxRowAlarms = 10

// Alarms returns the losses of an account that nobody has acknowledged. A damaged
// journal is an alarm itself, and so is a row that can't be read. Another process may
// hold the journal.
func Alarms(j *journal.Journal, account string) ([]Alarm, error) {
	loss, err := j.Loss()
	if errors.Is(err, journal.ErrDamaged) {
		return []Alarm{{Message: err.Error(), Hint: text.Hint(err)}}, nil
	}
	if err != nil && !unreadable(err) {
		return nil, err
	}
	all, err := j.Creations(account)
	if err != nil && !unreadable(err) {
		return nil, err
	}
	alarms, err := rowAlarms(j, account)
	if err != nil {
		return nil, err
	}
	if loss != nil {
		alarms = append(alarms, Alarm{
			Message: fmt.Sprintf("the journal could not be read and was set aside as %s: what was begun before %s is forgotten, and so is what was suspended",
				loss.SetAside, loss.Since.Format("2006-01-02 15:04 MST")),
			Hint: "see docs/recovery.md, then: " + j.Commands().Acknowledge,
		})
	}
	for i := range all {
		if c := &all[i]; c.Alarm() {
			message, hint := onboard.Alarm(c)
			alarms = append(alarms, Alarm{Org: c.Domain, Message: message, Hint: hint})
		}
	}
	return alarms, nil
}

// rowAlarms returns the alarms for rows of the journal that can't be read: what they
// say may be that a token is lost.
func rowAlarms(j *journal.Journal, account string) ([]Alarm, error) {
	rows, err := j.Unreadable(account)
	if err != nil {
		return nil, err
	}
	var alarms []Alarm
	for _, row := range rows[:min(len(rows), maxRowAlarms)] {
		alarms = append(alarms, Alarm{Org: row.Keys["domain"], Message: "journal: " + row.Error(), Hint: row.Hint()})
	}
	if n := len(rows) - maxRowAlarms; n > 0 {
		alarms = append(alarms, Alarm{Message: fmt.Sprintf("journal: %s more can't be read", text.Plural(n, "row")), Hint: rows[0].Hint()})
	}
	return alarms, nil
}

// unreadable reports whether err is that of rows of the journal that can't be read,
// while the others were.
func unreadable(err error) bool { return errors.As(err, new(*journal.RowsError)) }

// unknowable reports whether err is that of a journal that is damaged or gone.
// Where that is, callers that would only read treat it as one that knows nothing:
// everything is held anyway, and drift is still reported.
func unknowable(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrGone)
}
