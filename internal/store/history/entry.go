package history

import (
	"encoding/json"
	"time"
)

// Type is what an entry is about.
type Type string

const (
	// TypeChange is a change of a plan that was attempted, and its outcome.
	TypeChange Type = "change"
	// TypeOperator is what a person did or a process was told: suspend, resume,
	// acknowledge, config, start, stop.
	TypeOperator Type = "operator"
	// TypeDrift is a field that began to differ, or differs in another way.
	TypeDrift Type = "drift"
	// TypeDriftEnded is a field that differs no more.
	TypeDriftEnded Type = "drift-ended"
	// TypeCause is who caused a drift or what a change repaired, where that came to
	// be known after the entry that it is about.
	TypeCause Type = "cause"
	// TypeRun is a run that has ended and in which something happened.
	TypeRun Type = "run"
	// TypeState is what is declared and live in an org, once one of them has changed.
	TypeState Type = "state"
	// TypeCheckpoint says which entries were pruned.
	TypeCheckpoint Type = "checkpoint"
)

// Outcomes of changes beside those of apply.
const (
	// OutcomeUnknown is that of a change whose process ended before the answer came.
	OutcomeUnknown = "unknown"
	// ResultInterrupted is that of a run whose process ended before it did.
	ResultInterrupted = "interrupted"
)

// Actions of the entry that a history begins with if there was one before it.
const (
	// ActionDamaged means that it was damaged and set aside.
	ActionDamaged = "history-damaged"
	// ActionLost means that its file was missing.
	ActionLost = "history-lost"
)

// Entry is one entry of the history. Which fields are set depends on its type. Its JSON
// form is a public interface.
type Entry struct {
	// Seq counts the entries from 1, without a gap.
	Seq  int64     `json:"seq"`
	Type Type      `json:"type"`
	Time time.Time `json:"time"`

	// Run is the id of the run that it belongs to, and Commit, Signer, Digest and By
	// are those of the run: the commit that it applied, who signed it, the digest of
	// its plan, and who ran it: USER@HOST, or the URL of a CI run.
	Run    string `json:"run,omitempty"`
	Commit string `json:"commit,omitempty"`
	Signer string `json:"signer,omitempty"`
	Digest string `json:"digest,omitempty"`
	By     string `json:"by,omitempty"`

	// Org is the org's domain; empty for the account.
	Org   string `json:"org"`
	OrgID string `json:"orgID,omitempty"`
	// Action is that of the change in the plan, what the operator did, or the type.
	Action string `json:"action"`
	// Before and After are the values of the change, or of a drift what is declared
	// (After) and what was live instead (Before), as JSON.
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	// Kind, Object and ObjectType name the Okta object; Parent is the policy of a
	// rule. Fields are the fields that change, as in the plan.
	Kind       string          `json:"kind,omitempty"`
	Object     string          `json:"object,omitempty"`
	ObjectType string          `json:"objectType,omitempty"`
	Parent     string          `json:"parent,omitempty"`
	Fields     json.RawMessage `json:"fields,omitempty"`

	// Outcome is how the change ended: applied, failed, skipped, blocked or unknown.
	Outcome string `json:"outcome"`
	// RequestID is Okta's id of the (last) write, RequestIDs those of all writes of
	// the change if there were several. ErrorID is the id of Okta's error.
	RequestID  string   `json:"requestID,omitempty"`
	RequestIDs []string `json:"requestIDs,omitempty"`
	ErrorID    string   `json:"errorID,omitempty"`
	Error      string   `json:"error,omitempty"`
	// Seconds is how long the change or the run took.
	Seconds float64 `json:"seconds,omitempty"`

	// Field is the field that drifts; Since when it was first seen, LastSeen when it
	// was seen last, and Times how many runs saw it.
	Field    string     `json:"field,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
	LastSeen *time.Time `json:"lastSeen,omitempty"`
	Times    int        `json:"times,omitempty"`
	// Cause is who caused the drift, or what a change repaired; nil while that is not
	// known.
	Cause *Cause `json:"cause,omitempty"`
	// Unknown is why it will never be known.
	Unknown string `json:"unknown,omitempty"`
	// About is the entry that a cause is about, or of a drift that ended its own.
	About int64 `json:"about,omitempty"`

	// Reason is what the operator gave.
	Reason string `json:"reason,omitempty"`
	// Record is what else the type has: of a run its [Run], of a state the digests of
	// what is declared and live, of a checkpoint its [Checkpoint].
	Record json.RawMessage `json:"record,omitempty"`

	// Hash is chained to that of the entry before; see [Store.Verify].
	Hash string `json:"hash"`
}

// Cause is an event of Okta's System Log that caused a drift.
type Cause struct {
	// Actor is who did it: a name or an address of mail as Okta shows it, with its
	// type: User, PublicClientApp, SystemPrincipal.
	Actor     string    `json:"actor"`
	ActorID   string    `json:"actorID,omitempty"`
	ActorType string    `json:"actorType,omitempty"`
	Time      time.Time `json:"time"`
	// Client is the program and Address the network address that it came from.
	Client  string `json:"client,omitempty"`
	Address string `json:"address,omitempty"`
	// Event is the type of the event, and EventID its uuid.
	Event   string `json:"event"`
	EventID string `json:"eventID"`
	// By says in words what it was if it was no person's change in this org: Okta's
	// support, or a push from the parent.
	By string `json:"by,omitempty"`
	// Doubt says in words why it may have been another, and Provisional is set while a
	// later event may still come, which would be the cause instead.
	Doubt       string `json:"doubt,omitempty"`
	Provisional bool   `json:"provisional,omitempty"`
}

// Drift is a field of an org, or of the account, that differs from what is declared.
type Drift struct {
	Org, OrgID      string
	Field           string
	Kind, Object    string
	Desired, Actual json.RawMessage
	Destructive     bool
	Blocked         string
	Error, Hint     string
	// Since is when it was first seen, LastSeen when last; Times is how many runs saw
	// it. Run is the run that saw it first.
	Since, LastSeen time.Time
	Times           int
	Run             string
	// Seq is that of the entry of type drift.
	Seq int64
	// Cause is nil while nobody is known to have caused it. Unknown is why that is so
	// for good: such as that the last to write it were we.
	Cause   *Cause
	Unknown string
}

// OrgState is what is declared and what is live in an org at a time.
type OrgState struct {
	Org   string    `json:"org"`
	OrgID string    `json:"orgID,omitempty"`
	At    time.Time `json:"at"`
	// Declared and Live hold products, status and name, and where known the
	// configuration, as JSON objects; null where nothing is declared, or the org was
	// not live.
	Declared json.RawMessage `json:"declared"`
	Live     json.RawMessage `json:"live"`
	Commit   string          `json:"commit,omitempty"`
}
