// Package journal keeps what cannot be repeated, undone or looked up again: that
// an org is about to be created, that the call was sent, what its answer was,
// where the new org's token went, and that an org's deletion was requested. It
// also keeps the service apps that were made in orgs, the records of runs, the last
// accepted commit, announced deactivations, what is suspended, which orgs lost
// something lately, which objects a change has made INACTIVE, and what Okta has said of
// orgs. Tokens are never in it.
//
// Callers write first and act afterwards. A method that writes has synced what it
// wrote when it returns nil. When it returns an error, the write may or may not
// have happened, and the caller must not act on it.
//
// # A creation
//
// There is one creation for each account and domain. It goes through these
// steps:
//
//	         Begin        Send         MarkCreated          MarkLinked    MarkDone
//	(none) ───────▶ Intent ────▶ Sent ─────────────▶ Created ────────▶ Linked ────▶ Done
//	                  ▲          │ │                MarkTokenStored
//	                  └──────────┘ │                MarkTokenLost
//	               MarkAbsent      ▼
//	                            Refused ───▶ Intent (Begin)
//
// A process that dies at Intent has sent nothing. One that dies at Sent leaves
// open whether there is a new org: the next process has to find out, and must
// not simply send again. An org is only linked when it is known whether its token
// is stored or lost, because nothing looks at the token after that.
//
// # The file
//
// In a folder, the journal is an SQLite database in one file, journal.db. A process opens and
// checks it once and keeps it open ([Journal]); several processes may do so at the
// same time. One of them at a time holds the lock on journal.lock, which ends with
// the process, and may do what the lock protects: create orgs, apply plans, and
// write all that is not decided by a person ([Writer]).
//
// A damaged file is set aside under another name, and never deleted. The journal
// that replaces it has a [Loss], until that is acknowledged: an org without a
// creation may have been created all the same. It also begins with a suspension of
// everything, which ends when it is taken back or the loss is acknowledged.
//
// The folder has to be on a local disk: SQLite's locks and ours can't be trusted
// on network file systems.
//
// # The tables
//
// In a PostgreSQL database the journal is a few tables, and the locks are those of
// [lease.SessionLock]. A transaction that writes waits for the one before it, and compares
// the epoch of what its process holds. Nothing is set aside there: an error of the
// database is an error, and holds all writes.
package journal
