package api

import (
	"time"

	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
)

// String names the process.
func (p *Process) String() string {
	return journal.Holder{PID: p.PID, Host: p.Host, Started: p.Since, Command: p.Command}.String()
}

// StatusVersion is the version of the status' JSON form. A new field doesn't
// increase it.
const StatusVersion = 1

// Status is the response of GET /api/v1/status: what the daemon is, what it did
// last, and what differs. It holds no secrets. Lists are never null; times are
// UTC.
type Status struct {
	// Version is StatusVersion.
	Version int `json:"version"`
	// State is the worst that is to be said, in one word: one of State….
	State State `json:"state"`
	// Problems are the reasons for State, the worst first.
	Problems []Trouble `json:"problems"`
	// Outdated is how old the comparison is, and why there is no newer one, or that
	// it was not with the newest manifests; empty if the last run compared the
	// account with the newest. It is about Summary, Drift and all that follows.
	Outdated string `json:"outdated,omitempty"`
	// Reconciler is the version of the program.
	Reconciler string     `json:"reconciler"`
	Account    string     `json:"account"`
	Mode       state.Mode `json:"mode"`
	// Schedule is as in the config.
	Schedule string `json:"schedule"`
	// Source names where the manifests come from, without credentials.
	Source string `json:"source"`
	// Now is when the status was read.
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	// Clock describes by how much the clock of this machine and that of the database
	// differ; empty if they agree to a minute, or there is no database.
	Clock string `json:"clock,omitempty"`
	// Config is the config in force, and why a newer one is not.
	Config ConfigInForce `json:"config"`
	// Ready and NotReady are the result of /readyz and its reason.
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady,omitempty"`
	// Head is the head of the history: the hash of its newest entry, as of the last run;
	// empty where there is no history.
	Head string `json:"head"`
	// StandingBy is the daemon that leads while this one stands by; null if this one
	// leads.
	StandingBy *Process `json:"standingBy"`
	// WaitingFor is the process that the next run waits for, because that one writes;
	// null if it waits for none.
	WaitingFor *Process `json:"waitingFor"`
	// Running is the current run, or null.
	Running *Running `json:"running"`
	// NextRun is null during a run.
	NextRun *time.Time `json:"nextRun"`
	// LastRun is null before the first run has ended.
	LastRun *RunRecord `json:"lastRun"`
	// LastSuccess is null before the first successful run; see Result.Success.
	LastSuccess *Success `json:"lastSuccess"`
	// Desired is the desired state in force; null while there is none.
	Desired *InForce `json:"desired"`
	// Compared is when the account was last compared with the desired state:
	// all below is as of then. Null before the first time.
	Compared *time.Time `json:"compared"`
	// ConfigurationRead is when the configuration of orgs was read that this
	// comparison is about, of several times the first, if an earlier run did so; null
	// if that run read all of it.
	ConfigurationRead *time.Time `json:"configurationRead"`
	// Summary is that of the plan of that run, before anything was applied.
	Summary *diff.Summary `json:"summary"`
	// Fleet counts the orgs by their state after that run; null before the first.
	Fleet *Fleet `json:"fleet"`
	// Totals counts the lists that follow, which have at most 1,000 items each.
	Totals Totals `json:"totals"`
	// Drift is what still differed after that run, sorted by org and field.
	Drift     []reconcile.Drift `json:"drift"`
	Unknown   []diff.Unknown    `json:"unknown"`
	Unmanaged []diff.Unmanaged  `json:"unmanaged"`
	Refusals  []diff.Refusal    `json:"refusals"`
	// Notes ask for something about orgs, and hold nothing up.
	Notes []diff.Note `json:"notes"`
	// Alarms are lost tokens of new orgs and a lost journal, until somebody
	// acknowledges them.
	Alarms []reconcile.Alarm `json:"alarms"`
	// Suspensions are those in effect, as of the last run. One by "reconciler"
	// stands for suspensions that can't be read.
	Suspensions []freeze.Suspension `json:"suspensions"`
	// Windows are what windows of the config hold, as of the last run.
	Windows []freeze.Hold `json:"windows"`
	// Receivers are those of notifications.
	Receivers []Receiver `json:"receivers"`
	// Products maps the ids of the products in Drift to their names.
	Products map[string]string `json:"products"`
	// RecentRuns are the last 20 runs of this daemon, and before its start those
	// that the journal kept, newest first, without their outcomes.
	RecentRuns []RunRecord `json:"recentRuns"`
}

// Fleet counts orgs by their state. InSync, Drifted and Unknown add up to the declared ones.
type Fleet struct {
	InSync    int `json:"inSync"`
	Drifted   int `json:"drifted"`
	Unknown   int `json:"unknown"`
	Unmanaged int `json:"unmanaged"`
}

// Receiver is a receiver of notifications, and how it does.
type Receiver struct {
	// Name is its type, and where its URL stands.
	Name string `json:"name"`
	Type string `json:"type"`
	// Queued is how many messages it has not got yet, and Lost how many it never will,
	// as they were given up or dropped since the daemon started.
	Queued int `json:"queued"`
	Lost   int `json:"lost"`
	// Problem is why the last message was not delivered; empty if it was. Since is when
	// such failures began, and Sent when a message was delivered last.
	Problem string     `json:"problem,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Sent    *time.Time `json:"sent,omitempty"`
}

// Totals are the lengths of lists before they were cut.
type Totals struct {
	Drift   int `json:"drift"`
	Unknown int `json:"unknown"`
	// UnknownConfigurations are those of Unknown of which only the configuration could
	// not be read.
	UnknownConfigurations int `json:"unknownConfigurations"`
	Unmanaged             int `json:"unmanaged"`
	Refusals              int `json:"refusals"`
	Notes                 int `json:"notes"`
	Alarms                int `json:"alarms"`
}

// ConfigInForce describes the config that the daemon runs with.
type ConfigInForce struct {
	// File is empty if everything came from the environment.
	File string `json:"file"`
	// Since is when it was read.
	Since time.Time `json:"since"`
	// Refused is why the one that was read last is not in force; null if it is.
	Refused *ConfigRefused `json:"refused"`
}

// ConfigRefused is a config that was read again and is not used.
type ConfigRefused struct {
	reconcile.Problem
	At time.Time `json:"at"`
}

// Running is a run in progress.
type Running struct {
	ID      string    `json:"id"`
	Trigger Trigger   `json:"trigger"`
	Started time.Time `json:"started"`
}

// Success is a successful run.
type Success struct {
	ID       string    `json:"id"`
	Finished time.Time `json:"finished"`
	Seconds  float64   `json:"seconds"`
}

// InForce is the desired state that runs compare with.
type InForce struct {
	// Commit is what it was read from; empty for a local folder.
	Commit string `json:"commit"`
	// Signer is who signed it; left out where the config asks for no signature.
	Signer string `json:"signer,omitempty"`
	// Since is when it came into force.
	Since time.Time `json:"since"`
	// Stale is why it isn't the newest; null when it is.
	Stale *Stale `json:"stale"`
}
