// Package source says where manifests come from: a folder or file on disk, or
// one commit of a git repository, each as a file system and, for git, the
// commit it was read from.
//
// Git is read without a git program and without a checkout: the remote is
// asked where its branch stands, and only when that has moved is the one
// commit fetched (depth 1), its manifests copied out of the objects, and all
// the rest forgotten. So a Snapshot is plain data that no later fetch, push or
// tampering with files can change, and a run applies exactly the commit that
// it names.
//
// What git can put in a tree but not in a manifest is an error that names the
// place: submodules, symbolic links and Git LFS pointers stand for content that
// isn't there, and an org that silently fell out of the desired state is worse
// than no run at all. In a folder on disk, which may hold what nobody committed,
// links are shown as links for the loader to warn of, and never followed.
//
// A commit's signature speaks for what its hash covers, so every object that is
// looked into is held against its hash, also on disk, and a Snapshot carries the
// commit and the tag as they were hashed. History gives the commits since one
// that is known, and trusts no server as to which these are.
//
// A Repository is a clone on disk whose revisions are compared. It is often one
// that a CI system made, with a single commit in it, so that what it lacks is
// told apart (ErrIncomplete) from what isn't there (ErrNotFound): the one can be
// fetched, and the other is an answer.
//
// Credentials go to the configured host and nowhere else, an SSH host must be
// in known_hosts, and neither errors nor logs hold a password or a token.
package source
