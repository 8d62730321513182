// Package importer writes manifests that describe a live account: such as
// people would have written, and such that comparing them with the account
// shows no difference.
//
// The second half of that is a promise for any account, however odd. Whatever a
// manifest can't say of an org is left unsaid, because what is not mentioned is
// not managed, and a comment and a warning tell why. An org that a manifest
// can't even name is listed in a comment.
//
// The first half is a matter of taste, made measurable: products get short
// names, and what many orgs have in common is said once, in product sets and
// defaults, wherever that takes fewer bytes. The same account gives the same
// bytes.
package importer
