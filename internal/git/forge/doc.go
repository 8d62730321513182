// Package forge is a client of GitHub, GitLab, Gitea and Forgejo for two purposes:
// one comment on a pull or merge request that shows what the change does, and the
// status of a commit.
//
// The comment is sticky: its first line is a hidden marker with a name, and each
// call with this name updates the same comment. Anybody can paste the marker into
// a comment, and a token with write access can edit the comments of others, so
// only comments by the token's own user are changed. The servers return that user.
// Where a proxy blocks that request, the comment most likely to be
// ours is updated rather than a new one created each time.
//
// The types, paths and pages are those of client libraries. They send through a
// caller, which adds the credentials, bounds answers and waits, retries, and
// turns failures into errors. A call is repeated where that can do no harm. The
// creation of a comment whose outcome is unknown is not: the comments are read
// first.
//
// Text from a server passes through text.Clean before it reaches an error: one
// line, printable, short, and without anything that looks like a token.
package forge
