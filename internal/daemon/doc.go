// Package daemon is the wiring: it puts source, state, aerial, diff and apply
// together, for the commands that work once and for the daemon that works on a
// schedule.
//
// A Reconciler stands for one Aerial account and one source of desired state.
// It reads with a token that can only read; the client that can write is made
// by Apply and by nothing else, so that no way of asking for a plan can change
// an org.
//
// A run is one pass: read the desired state, read the actual state, compare,
// and in apply mode carry out the plan. Run repeats it: at start, then at each
// slot of the schedule, never two at a time. Slots that pass while a run takes
// long, or while the machine sleeps, become one run right after.
//
// Two things may fail without stopping the watch. When git can't be read or a
// commit is refused, the last good desired state stays in force and everything
// that is told (log, status, metrics, dashboard) says so. When the API fails,
// nothing is written and the next slot tries again.
package daemon
