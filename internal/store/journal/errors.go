package journal

import (
	"cmp"
	"errors"
	"fmt"

	"reconciler/internal/store/sqlitefile"
	"reconciler/internal/text"
)

var (
	// ErrDamaged is the error of a journal.db that is no database, or a broken
	// one. Lock sets such a file aside.
	ErrDamaged = sqlitefile.ErrDamaged
	// ErrGone is the error of a journal that was there before and is not there any
	// more.
	ErrGone = errors.New("the file is gone")

	// errNone is the error of a journal that doesn't exist yet.
	errNone = errors.New("there is no journal")
	// errOlder is the error of a file that has to be migrated first.
	errOlder = errors.New("it has an older schema")
)

// StepError means that a creation can't go from the step at which it is to
// another one. Nothing was written.
type StepError struct {
	Key Key
	// Step is where the creation is; empty if there is none.
	Step Step
	// Problem says what can't be done, and why.
	Problem string
}

// Error names org, step and problem.
func (e *StepError) Error() string {
	if e.Step == "" {
		return fmt.Sprintf("creation of %q: %s: the journal knows of no such creation", e.Key.Domain, e.Problem)
	}
	return fmt.Sprintf("creation of %q is at step %q: %s", e.Key.Domain, e.Step, e.Problem)
}

// failed returns an error that names the journal and what was to be done, with a
// hint. It returns errors about a creation, a commit, a limit or a lost lock as they
// are.
func (j *Journal) failed(doing string, err error) error {
	if err == nil || errors.Is(err, errNone) || errors.As(err, new(*StepError)) || errors.As(err, new(*OvertakenError)) || errors.As(err, new(*LimitError)) ||
		errors.As(err, new(*LostError)) {
		return err
	}
	other, err := j.home.explain(err)
	hint := cmp.Or(text.Hint(err), other)
	switch {
	case errors.Is(err, ErrDamaged):
		hint = "apply or run sets it aside, and all writes are held until that is acknowledged: see docs/recovery.md"
	case errors.Is(err, ErrGone):
		hint = fmt.Sprintf("everything is held until it is back: is the volume mounted? If it is lost, %q begins a new one", j.cmds.Acknowledge)
	}
	return text.WithHint(fmt.Errorf("journal %v: %s: %w", j.home, doing, err), hint)
}

// clean makes foreign text fit for one line of a journal or an error.
func clean(s string) string { return text.OneLine(s, 500) }
