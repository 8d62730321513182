// Package forge speaks to the place where a repository lives, GitHub or GitLab,
// about two things only: the one comment on a pull or merge request that says
// what the change means, and the status of a commit.
//
// The comment is sticky: it carries a hidden marker with a name in its first
// line, and each call with this name makes it say something else. Anybody can
// paste the marker into a comment of their own, and a token that may write can
// edit what others wrote; so only what was written by the token's own user is
// ever changed. GitHub and GitLab tell who that is. A proxy may keep it back:
// then a comment is tried that may be ours, rather than written anew each time.
//
// A call is repeated when that can do no harm. A new comment can't be sent
// again blindly: when its outcome is unknown, the comments are read first.
//
// Words of a server pass through clean before they reach an error: one line,
// printable, short, and without anything that looks like a token.
package forge
