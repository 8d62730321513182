// Package securedir creates, checks and locks folders that belong to this
// program alone: the one with the journal, and the one with tokens of super
// administrators.
//
// A folder that others may write to is unsafe even for files that nobody else
// may read, because others can replace those files. Such a folder is rejected,
// with a hint on how to fix it, rather than used or changed silently.
package securedir
