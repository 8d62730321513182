// Package reconcile is the wiring that every command uses: it puts source,
// signatures, state, the clients of Okta, diff and apply together as the config
// says.
//
// A [Reconciler] stands for one Aerial account and one source of desired state.
// [Reconciler.Plan] and [Reconciler.Review] read with a token that can only read;
// the client that can write is made by [Reconciler.Apply] and by nothing else, so
// that no way of asking for a plan can change an org. [Reconciler.Recheck] holds a
// saved plan to the account as it is now, and [Reconciler.Note] records what a
// plan means for later runs: which commit came into force, and which deactivations
// it announces.
//
// What is decided here and nowhere else: which commits may be used (verify.go,
// accept.go), when a deactivation has cooled off (cooloff.go), when writes are
// held (hold.go), and which two revisions a review compares (review.go).
package reconcile
