// Package history keeps what happened: the runs of every command that writes, each
// change with its outcome, drift with who caused it, and what operators did. It
// answers who, what, when and from which commit, and what an org looked like at some
// time. Tokens and secrets are never in it: callers pass only what plans hold.
//
// # Entries
//
// What happened is a chain of entries that are only ever added. Each has the hash of
// its content chained to that of the entry before, so that one that is altered,
// removed, inserted or moved is found ([Store.Verify]). The hash of the newest entry,
// the head, is told to others; a copy of it outside of the machine proves that what
// came before was not rewritten since.
//
// Entries older than the retention are pruned. Their hashes are kept in a checkpoint,
// so that the chain can be computed from its beginning all the same.
//
// Beside the entries is what is true now and may change: runs that go on, changes that
// are under way, the drift that is open, and how many runs found nothing to tell.
//
// # The place
//
// In a state folder, the history is an SQLite database in one file, history.db, beside the journal and
// apart from it: it grows, nothing is decided by it, and damage to it must not hold
// writes. It uses a write-ahead log, so that a long export holds up nobody.
//
// In PostgreSQL, it is tables of the same schema. If others alter it, that is an
// error, and no new history is begun. A process that has runs is known by an advisory
// lock of a session, as it is by a locked file in a folder: the lock ends with the process.
package history
