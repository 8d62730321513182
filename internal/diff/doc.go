// Package diff compares desired with actual and says, as a Plan, which calls
// would make them agree, and what the guards think of that.
//
// It also compares two revisions of desired, for those who review a change:
// CompareDeclared says what the change declares, from the manifests alone, and
// CompareThreeWay what of the plan for the new revision is this change's, what is
// drift that was there before, and where the two meet. All three are one
// comparison, so that a review can't promise what a plan doesn't do.
//
// It is pure: no network, no clock, no files, no log. The same input gives the
// same bytes.
package diff
