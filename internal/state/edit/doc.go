// Package edit changes what manifests declare by the smallest edit of their text, and
// finds what has to be edited to take back a run ([Revert]) or to declare what is live
// ([Adopt]).
//
// [Apply] is the engine. An org's own lists and values are edited. Where a value comes
// from a place that several orgs share (a product set, the defaults of a file, a
// baseline, a YAML anchor), that place is edited only if all orgs that share it are to
// change in the same way; otherwise the org says itself what it declares, and the result
// has a note. What an edit can't say is left and named.
//
// Every edit is tried: the changed text is loaded, and must declare what is wanted of the
// orgs that are to change and exactly what it declared before of all others. An edit that
// fails is dropped.
package edit
