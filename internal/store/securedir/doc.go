// Package securedir makes and checks folders that belong to this program alone:
// the one that remembers which orgs were asked for, and the one that holds
// tokens of super administrators.
//
// A folder that others may write to is no safe place even for files that
// nobody else may read, because whoever may write to it can put other files in
// their place. So such a folder is refused, with a word on how to mend it,
// rather than silently used or silently changed. Processes that share a folder
// keep out of each other's way by locking a file in it.
package securedir
