// Package private makes and checks folders that belong to this program alone:
// the one that remembers which orgs were asked for, and the one that holds
// tokens of super administrators.
//
// A folder that others may write to is no safe place even for files that
// nobody else may read, because whoever may write to it can put other files in
// their place. So such a folder is refused, with a word on how to mend it,
// rather than silently used or silently changed.
package private
