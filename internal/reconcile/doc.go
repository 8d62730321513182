// Package reconcile is the wiring that every command uses: it combines source,
// signatures, state, the clients of Okta, diff and apply as the config says.
//
// A [Reconciler] stands for one Aerial account and one source of desired state.
// [Reconciler.Plan] and [Reconciler.Review] read with a token that can only read;
// only [Reconciler.Apply] creates the client that can write, so that making a plan
// can't change an org. [Reconciler.Recheck] checks a saved plan against the account
// as it is now, and [Reconciler.Note] records what a plan means for later runs:
// which commit came into force, and which deactivations it announces.
//
// A Reconciler keeps one journal open until Close, and locks it only while it
// writes to it or applies a plan that needs it.
//
// These decisions are made here and nowhere else: which commits may be used
// (verify.go, accepted.go), when a deactivation has cooled off (cooloff.go), when
// writes are held (hold.go), and which two revisions a review compares (review.go).
package reconcile
