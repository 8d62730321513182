package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/text"
)

// Operator does what people do while the program runs: suspend, resume and acknowledge.
// Each act is in the journal, under which it takes effect, and in the history.
type Operator struct {
	Config  *config.Config
	Journal *journal.Journal
	// By is who acts, for the journal.
	By string
	// Newer returns an error if a newer version of the program has used the history: then
	// nothing is done, as nothing would be in it.
	Newer func() error
	// Record adds an entry to the history. What was done stays done if it can't.
	Record func(history.Entry)
}

// Operator returns an Operator for somebody; unrecorded is called with why the history
// doesn't take an act.
func (r *Reconciler) Operator(by string, unrecorded func(error)) *Operator {
	return &Operator{Config: r.cfg, Journal: r.journal, By: by, Newer: r.history.Newer, Record: func(e history.Entry) {
		e.Type, e.By = history.TypeOperator, by
		if _, err := r.history.Add(e); err != nil {
			unrecorded(err)
		}
	}}
}

// NotFoundError means that there is nothing to act on.
type NotFoundError struct{ Problem, What string }

// Error returns what there isn't.
func (e *NotFoundError) Error() string { return e.Problem }

// Hint returns what there is instead.
func (e *NotFoundError) Hint() string { return e.What }

// InvalidError means that an act is not described as it must be.
type InvalidError struct{ Err error }

// Error returns what is wrong.
func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *InvalidError) Unwrap() error { return e.Err }

// mayNote returns why nothing can be noted; nil if it can.
func (o *Operator) mayNote(what string) error {
	if o.Config.State.IsSet() {
		return o.Newer()
	}
	return text.WithHint(errors.New("the config has no "+config.KeyStateDir+", in which "+what), "set it; see docs/config.md")
}

// Suspend holds writes, and returns the suspension as it was made.
func (o *Operator) Suspend(s freeze.Suspension) (freeze.Suspension, error) {
	if err := o.mayNote("suspensions are kept"); err != nil {
		return s, err
	}
	if err := s.Check(); err != nil {
		return s, &InvalidError{fmt.Errorf("can't suspend: %w", err)}
	}
	if s.Expired(time.Now()) {
		return s, &InvalidError{fmt.Errorf("can't suspend: it would have expired already, at %s", s.Until.UTC().Format(time.RFC3339))}
	}
	made, err := o.Journal.Suspend(s)
	if err == nil {
		o.Record(history.Entry{Action: "suspend", Outcome: made.ID, Reason: made.Scope() + ", " + made.String()})
	}
	return made, err
}

// Suspensions returns what is suspended in the journal, also what can't be understood and
// can be resumed nevertheless.
func (o *Operator) Suspensions() ([]freeze.Suspension, error) {
	kept, err := o.Journal.Suspensions()
	var bad *journal.SuspensionsError
	if errors.As(err, &bad) {
		return append(kept, bad.Rows...), nil
	}
	return kept, err
}

// Resume ends the suspensions that match reports true for, and returns them. reason may
// be empty.
func (o *Operator) Resume(match func(freeze.Suspension) bool, reason string) ([]freeze.Suspension, error) {
	if err := o.mayNote("suspensions are kept"); err != nil {
		return nil, err
	}
	removed, err := o.Journal.Resume(match)
	for i := range removed {
		o.Record(history.Entry{Action: "resume", Outcome: removed[i].ID, Reason: because(removed[i].Scope()+", "+removed[i].String(), reason)})
	}
	return removed, err
}

// ResumeID ends the suspension with an ID. One that the config declares has none.
func (o *Operator) ResumeID(id, reason string) (*freeze.Suspension, error) {
	removed, err := o.Resume(func(s freeze.Suspension) bool { return s.ID == id }, reason)
	if err != nil {
		return nil, err
	}
	if len(removed) == 0 {
		return nil, &NotFoundError{fmt.Sprintf("no suspension has the ID %q", text.OneLine(id, 40)), "it may have ended; a suspension in the config can only be ended there"}
	}
	return &removed[0], nil
}

// Acknowledge ends the alarm that the token of an org was lost. reason may be empty.
func (o *Operator) Acknowledge(domain, reason string) error {
	if err := o.mayNote("alarms are kept"); err != nil {
		return err
	}
	key := journal.Key{Account: o.Config.Aerial.AccountID, Domain: strings.ToLower(domain)}
	if err := o.Journal.Acknowledge(key, o.By); err != nil {
		return err
	}
	o.Record(history.Entry{Action: "acknowledge", Org: key.Domain, Reason: because("the lost token of the org", reason)})
	return nil
}

// AcknowledgeLoss records that acknowledge has ended the alarm that the journal was set
// aside, if it reports so. reason may be empty.
func (o *Operator) AcknowledgeLoss(reason string, acknowledge func() (bool, error)) error {
	if err := o.Newer(); err != nil {
		return err
	}
	ended, err := acknowledge()
	if ended {
		o.Record(history.Entry{Action: "acknowledge", Reason: because("the loss of the journal", reason)})
	}
	return err
}

// Forget records that forget has made the journal forget that it created an org. reason may
// be empty.
func (o *Operator) Forget(domain, reason string, forget func() error) error {
	if err := o.Newer(); err != nil {
		return err
	}
	err := forget()
	if err == nil {
		o.Record(history.Entry{Action: "acknowledge", Org: domain, Reason: because("the creation of the org is forgotten", reason)})
	}
	return err
}

// JournalAlarm is the id of the alarm that the journal was set aside. That of any other
// alarm is the org's domain.
const JournalAlarm = "journal"

// AcknowledgeAlarm ends the alarm with an id.
func (o *Operator) AcknowledgeAlarm(id, reason string) error {
	if id != JournalAlarm {
		creation, err := o.Journal.Creation(journal.Key{Account: o.Config.Aerial.AccountID, Domain: strings.ToLower(id)})
		if err != nil {
			return err
		}
		if creation == nil || !creation.Alarm() {
			return &NotFoundError{fmt.Sprintf("there is no alarm that the token of %q was lost", text.OneLine(id, 100)), o.alarms()}
		}
		return o.Acknowledge(id, reason)
	}
	loss, err := o.Journal.Loss()
	switch {
	case errors.Is(err, journal.ErrDamaged):
		return text.WithHint(err, "the next run sets it aside; then it can be acknowledged. At once: "+o.Journal.Commands().Acknowledge)
	case err != nil:
		return err
	case loss == nil:
		return &NotFoundError{"there is no alarm that the journal was lost", o.alarms()}
	}
	return o.AcknowledgeLoss(reason, func() (bool, error) {
		err := o.Journal.AcknowledgeLoss(o.By)
		return err == nil, err
	})
}

// alarms returns which alarms there are, as a hint.
func (o *Operator) alarms() string {
	all, err := Alarms(o.Journal, o.Config.Aerial.AccountID)
	if err != nil || len(all) == 0 {
		return "there is no alarm"
	}
	var ids []string
	for i := range all {
		if id := all[i].Org; id != "" {
			ids = append(ids, id)
		} else {
			ids = append(ids, JournalAlarm)
		}
	}
	slices.Sort(ids)
	return "there are alarms of: " + strings.Join(slices.Compact(ids), ", ")
}

// because adds a reason to what was done.
func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
