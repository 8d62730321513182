// Package systemlog reads Okta's System Log, and finds out of its events who caused a
// drift.
//
// # Reading
//
// A [Log] is the log of one org. Events come up to an hour late, more than once, and in
// another order than they happened in, and some never come. A [Feed] therefore reads the
// last hour again each time, keeps each event once, and returns them in the order in which
// they happened.
//
// # Attribution
//
// [Attribute] answers who caused a drift: the newest event that can have caused it, and
// only if no write of ours came after it. It has three other answers: that the last to
// write were we, that nobody is known yet, because an event may still come, and that
// nobody will be known. What is in doubt about an answer is said with it.
package systemlog
