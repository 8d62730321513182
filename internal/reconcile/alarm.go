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

// Alarms returns the losses of an account that nobody has acknowledged. A damaged
// journal is an alarm itself. Another process may hold the journal.
func Alarms(j *journal.Journal, account string) ([]Alarm, error) {
	loss, err := j.Loss()
	if errors.Is(err, journal.ErrDamaged) {
		return []Alarm{{Message: err.Error(), Hint: text.Hint(err)}}, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := j.Creations(account)
	if err != nil {
		return nil, err
	}
	var alarms []Alarm
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

// unknowable reports whether err is that of a journal that is damaged or gone.
// Where that is, callers that would only read treat it as one that knows nothing:
// everything is held anyway, and drift is still reported.
func unknowable(err error) bool {
	return errors.Is(err, journal.ErrDamaged) || errors.Is(err, journal.ErrGone)
}
