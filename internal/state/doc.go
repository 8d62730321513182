// Package state is the model that the whole program shares: which orgs and
// products a company wants (Desired, read from manifests) and which it has
// (Actual, read from the Aerial API).
//
// The one rule that everything else leans on: absent is not empty. A field
// that a manifest doesn't mention is not managed and never written; an empty
// list is a wish for nothing. Nil slices and empty strings carry the first
// meaning, non-nil empty slices the second.
//
// Load is the strict manifest reader. It collects every mistake with its place
// instead of stopping at the first.
package state
