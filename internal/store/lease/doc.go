// Package lease has locks that one process holds at a time, even if it crashes or freezes:
// locks on files of a folder, and locks in a PostgreSQL database.
//
// # Files
//
// The lock is the system's, on an open file: it ends with the process, and a file that
// was left behind locks nothing. But a process that is frozen, as by SIGSTOP, keeps it.
// So the holder also writes a number into the file that grows, every [Timing.Beat]. Who
// tries to lock the file, again and again, and sees the number stand still for
// [Timing.Stale], puts a new file in the place of the old one, and holds that. Each
// measures with its own monotonic clock, and nobody compares clocks.
//
// A frozen process that goes on finds out by [Hold.Check], which compares the file that
// it has locked with the one that has the name. What is to be done by one process
// alone is done right after Check. A process that is frozen between Check and what
// follows it does that when it goes on: nothing can prevent this.
//
// Who holds a lock changes only under a second lock, of a file that all locks of a
// folder share, which takes no longer than a few calls of the system. A process that is
// frozen there keeps the others from taking over until it goes on or ends. Then nobody
// writes, and never two.
//
// The folder has to be on a local disk.
//
// # PostgreSQL
//
// The lock is an advisory lock of a session, which ends with it. The session has a limit
// of idle time, [Timing.Stale], so that the server ends it when the holder is frozen or
// can't be reached; the holder runs a query in it every [Timing.Beat]. [Hold.Check] does so
// as well: only a session that still exists answers, and an answer counts as long as the
// server can't have ended the session since.
//
// Each holder has an epoch, a number that grows. [Hold.Fence] compares it in a transaction
// and locks its row, for which the next epoch waits. So what is written under a lock is
// written before anybody else has it, or not at all.
package lease
