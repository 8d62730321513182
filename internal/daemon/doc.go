// Package daemon runs a [reconcile.Reconciler] on a schedule and shows what it
// finds: logs, status, metrics, a page, and statuses of commits.
//
// A run is one pass: read the desired state, read the actual state, compare,
// and in apply mode carry out the plan. Run repeats it: at start, then at each
// slot of the schedule, never two at a time. Slots that pass while a run takes
// long, or while the machine sleeps, become one run right after.
//
// Two things may fail without stopping the watch. When git can't be read or a
// commit is refused, the last good desired state stays in force and everything
// that reports (log, status, metrics, page) says so. When the API fails, nothing
// is written and the next slot tries again.
package daemon
