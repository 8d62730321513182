// Package diff compares desired with actual and returns a Plan: the calls that
// would make them agree, and the refusals of the guards.
//
// It also compares two revisions of desired, to review a change: CompareDeclared
// returns what the change declares, from the manifests alone, and
// CompareThreeWay which differences of the new revision's plan the change causes,
// which are existing drift, and which are conflicts. All three share one
// comparison, so that a review shows what a plan does.
//
// It is pure: no network, clock, files or log. The same input returns the same
// bytes.
package diff
