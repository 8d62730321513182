// Package importer writes manifests that describe a live account, in the form in
// which people would write them, and so that a diff shows no difference.
//
// There is no difference whatever the account contains. What a manifest can't
// declare of an org is left out, and so not managed; a comment and a warning
// tell why. An org that a manifest can't declare at all is listed in a comment.
//
// Products get short names, and what several orgs share becomes a product set or
// a default wherever that makes the files shorter. The same account results in
// the same bytes.
//
// [Configuration] does the same with what the orgs are configured with. It changes
// manifests that there are: baselines for what several orgs share, and the rest at each
// org.
package importer
