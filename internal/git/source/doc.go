// Package source reads manifests: a folder or file on disk, or one commit of a
// git repository, each as a file system and, for git, the commit it was read
// from. It needs no git program and no checkout.
//
// A Fetch from a server goes like this:
//
//  1. git.go tries up to three times, within a timeout.
//  2. remote.go connects, by http.go or by ssh.go and knownhosts.go, and asks
//     for the list of refs. If the ref that is followed has not moved, the last
//     Snapshot is returned: that is the only request.
//  3. It asks for the one commit, without history where the server can do that.
//  4. pack.go receives the objects, into memory or a file (spool.go). It checks
//     the sizes that the pack declares before anything is unpacked, and notes
//     where each object is and which hash it has.
//  5. copy.go walks the tree of the commit once and copies the manifests. An
//     object is unpacked when it is read; go-git decodes it.
//  6. The copies become a Snapshot (snapshot.go), which no later fetch or push
//     can change, and the objects are dropped.
//
// A repository on disk is read through disk.go instead of steps 2 to 4. What goes
// wrong with a server, explain.go words.
//
// What git can put in a tree but not in a manifest is an error that names the
// place: submodules, symbolic links and Git LFS pointers stand for content that
// isn't there, and a run without some of the orgs is worse than none. In a folder
// on disk (local.go), which may hold uncommitted files, links are shown as
// links for the loader to warn of, and never followed.
//
// A commit's signature covers what its hash covers, so every object that is read
// is checked against its hash, also on disk. History returns the commits since one
// that is known, and trusts no server as to which these are.
//
// A Repository is a clone on disk whose revisions are compared. It is often one
// that a CI system made, with a single commit in it, so what it lacks
// (ErrIncomplete) is not the same as what doesn't exist (ErrNotFound).
//
// Credentials go to the configured host and nowhere else, an SSH host must be
// in known_hosts, and neither errors nor logs hold a password or a token.
package source
