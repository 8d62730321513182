// Package journal remembers what cannot be repeated, taken back or looked up
// again: that an org is about to be created, that the call was sent, what its
// answer was, where the new org's token went, and that an org's deletion was
// asked for. It also keeps the records of runs, the last commit that was
// accepted, and which orgs are announced to be deactivated. Tokens themselves
// are never in it.
//
// The rule is: write first, act afterwards. A method that writes has synced
// what it wrote when it returns nil. When it returns an error, what it was to
// write may or may not be there, and the caller must not act on it.
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
// not simply send again. An org is only linked when the fate of its token is
// known, because that is the last moment at which anybody looks.
//
// # What the journal survives
//
// It is an SQLite database in one file, journal.db, with a write-ahead log that
// is copied into it after each write, so that a copy of the one file is a copy
// of the journal.
//
// A file that can't be read is set aside under a name that tells so, and never
// deleted. The journal that takes its place knows that it has forgotten
// something, and says so through Amnesia until somebody acknowledges it:
// until then, an org of which it knows nothing may have been asked for all the
// same.
//
// One process at a time holds the journal, by a lock on the file journal.lock
// that ends with the process, however it ends. A process that only wants to
// look (Look) needs no lock.
//
// The folder has to be on a local disk: neither SQLite's log nor the lock can
// be trusted on network file systems.
package journal
