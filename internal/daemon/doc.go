// Package daemon runs a [reconcile.Reconciler] on a schedule and reports what it
// finds: logs, status, metrics, pages, and commit statuses.
//
// A run is one pass: read the desired state, read the actual state, compare,
// and in apply mode apply the plan. Run repeats it: at start, then at each
// slot of the schedule, never two at a time. Slots that pass during a long run,
// or while the machine sleeps, become one run right after.
//
// Two failures don't stop the daemon. When git can't be read or a commit is
// refused, the last good desired state stays in force, and log, status, metrics
// and page say so. When the API fails, nothing is written and the next slot
// tries again.
package daemon
