package api

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"reconciler/internal/git/source"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/text"
)

// State is the worst that is to be said of a daemon, in one word.
type State string

// The states that are not the Result of the last run, which comes after them.
const (
	// StateStarting: no run has ended yet.
	StateStarting State = "starting"
	// StateStandby: another daemon leads.
	StateStandby State = "standby"
	// StateNotReady: /readyz says no, as for a success that is long ago.
	StateNotReady State = "not-ready"
	// StateAlarm: there is an alarm that nobody has acknowledged.
	StateAlarm State = "alarm"
	// StateStale: the desired state in force is not the newest.
	StateStale State = "stale"
)

// Trouble is something that is not as it should be.
type Trouble struct {
	// Severe is set if somebody has to act. Otherwise it is a difference, something
	// that somebody decided, or a config that is not in force.
	Severe  bool   `json:"severe"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// AlarmPrefix begins the message of a Trouble that is an alarm.
const AlarmPrefix = "alarm: "

const notReadyPrefix = "not ready: "

// differing returns in words that n fields differ.
func differing(n int) string {
	if n == 1 {
		return "1 field of an org differs"
	}
	return text.Plural(n, "field") + " of orgs differ"
}

// Assess sets State, Problems and Outdated by all the rest.
func (s *Status) Assess() {
	s.State, s.Problems, s.Outdated = "", []Trouble{}, s.outdated()
	add := func(state State, t Trouble) {
		s.State = cmp.Or(s.State, state)
		s.Problems = append(s.Problems, t)
	}
	last := State("")
	if s.LastRun != nil {
		last = State(s.LastRun.Result)
	}
	switch {
	case s.StandingBy != nil:
		add(StateStandby, Trouble{false, s.Standby(), "it takes over within 15 seconds when that one ends"})
		if why := s.NotReady; why != "" && why != s.Standby() {
			add(StateStandby, Trouble{true, notReadyPrefix + why, ""})
		}
	case s.LastRun == nil && !s.Ready:
		s.State = StateStarting
	case !s.Ready:
		add(StateNotReady, Trouble{true, notReadyPrefix + s.NotReady, ""})
	}
	for _, a := range s.Alarms {
		add(StateAlarm, Trouble{true, AlarmPrefix + strings.TrimPrefix(a.Org+": ", ": ") + a.Message, a.Hint})
	}
	if r := s.LastRun; r != nil && r.Problem != nil {
		add(last, Trouble{true, "the last run failed: " + r.Problem.Error, r.Problem.Hint})
	}
	if d := s.Desired; d != nil && d.Stale != nil {
		add(StateStale, Trouble{true, "the desired state in force is not the newest: " + d.Stale.Error, d.Stale.Hint})
	}
	if s.LastRun == nil || s.LastRun.Problem == nil {
		for _, r := range s.Refusals {
			add(last, Trouble{true, "the guard " + r.Guard + " refuses the plan: " + r.Message, ""})
		}
	}
	if c := s.Config.Refused; c != nil {
		add(last, Trouble{false, "the config that was read last is refused, and the one before is in force: " + c.Error, c.Hint})
	}
	if s.Clock != "" {
		add(last, Trouble{false, s.Clock, "set it (NTP)"})
	}
	if s.WaitingFor != nil {
		add(last, Trouble{false, fmt.Sprintf("the next run waits for %v", s.WaitingFor), ""})
	}
	if s.Outdated != "" {
		add(last, Trouble{false, s.Outdated, ""})
	}
	configurations := s.Totals.UnknownConfigurations
	if n := max(s.Totals.Unknown, len(s.Unknown)) - configurations; n > 0 {
		add(last, Trouble{false, text.Plural(n, "org") + " could not be read", ""})
	}
	if configurations > 0 {
		add(last, Trouble{false, "the configuration of " + text.Plural(configurations, "org") + " could not be read", ""})
	}
	for i := range s.Receivers {
		if why := s.Receivers[i].Trouble(); why != "" {
			add(last, Trouble{false, why, ""})
		}
	}
	if n := max(s.Totals.Drift, len(s.Drift)); n > 0 {
		add(last, Trouble{false, differing(n), ""})
	}
	for i := range s.Suspensions {
		writes := "writes"
		if h := &s.Suspensions[i]; len(h.Orgs) > 0 {
			writes += " to " + h.Scope()
		}
		add(last, Trouble{false, writes + " are " + s.Suspensions[i].String(), ""})
	}
	s.State = cmp.Or(s.State, last, StateStarting)
}

// Trouble returns why a receiver does not get all that it should; "" if it does.
func (r *Receiver) Trouble() string {
	switch {
	case r.Problem != "" && r.Since != nil:
		return fmt.Sprintf("notifications to %s are not delivered since %s: %s", r.Name, r.Since.Format(time.RFC3339), r.Problem)
	case r.Lost > 0:
		return text.Plural(r.Lost, "notification") + " to " + r.Name + " were given up or dropped since the start; the log has them"
	}
	return ""
}

// Headline returns the state in words, and the reason for it.
func (s *Status) Headline() (state, why string) {
	state = strings.ReplaceAll(string(s.State), "-", " ")
	switch {
	case len(s.Problems) > 0:
		why = s.Problems[0].Message
		for _, word := range []string{AlarmPrefix, notReadyPrefix} { // the state says so
			why = strings.TrimPrefix(why, word)
		}
	case s.LastRun == nil:
		why = "no run has ended yet"
	default:
		why = "all declared orgs are as the manifests want them"
	}
	return state, why
}

// outdated returns what Outdated says.
func (s *Status) outdated() string {
	if s.Compared == nil {
		return ""
	}
	at := "compared at " + s.Compared.UTC().Format(time.RFC3339)
	switch r, d := s.LastRun, s.Desired; {
	case r != nil && s.Compared.Before(r.Started):
		return at + ": no run since then could"
	case !s.Ready:
		return at
	case d != nil && d.Stale != nil && d.Commit != "":
		return fmt.Sprintf("%s, with commit %s, which is not the newest", at, source.Short(d.Commit))
	case d != nil && d.Stale != nil:
		return at + ", with manifests that are not the newest"
	}
	return ""
}

// Standby returns which daemon leads in place of this one, which stands by.
func (s *Status) Standby() string {
	return fmt.Sprintf("standing by: the daemon that leads is %v", s.StandingBy)
}

// Severe reports whether somebody has to act.
func (s *Status) Severe() bool { return len(s.Problems) > 0 && s.Problems[0].Severe }

// WhyNotRepaired returns why a drift is still there, or that the next run repairs it.
func (s *Status) WhyNotRepaired(d *reconcile.Drift) string {
	switch {
	case d.Old:
		return "the org can't be read since"
	case d.Blocked != "":
		return d.Blocked
	case d.Error != "":
		return "the repair failed: " + d.Error
	case s.Mode == state.Report:
		return "mode report: nothing is written"
	case len(s.Refusals) > 0:
		return "the guard " + s.Refusals[0].Guard + " refuses the plan"
	}
	return "the next run repairs it"
}

// Process is another process that uses the same state folder.
type Process struct {
	PID  int    `json:"pid"`
	Host string `json:"host"`
	// Since is when it began to hold what this daemon waits for.
	Since time.Time `json:"since"`
	// Command is what it does; left out if that isn't known.
	Command string `json:"command,omitempty"`
}
