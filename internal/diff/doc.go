// Package diff compares desired with actual and says, as a Plan, which calls
// would make them agree, and what the guards think of that.
//
// It is pure: no network, no clock, no files, no log. The same input gives the
// same bytes.
package diff
