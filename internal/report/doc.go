// Package report formats a plan and the result of applying it: as text for a
// terminal, as markdown for a pull request, as an HTML page for an archive, and
// as JSON for programs.
//
// All formats show changes first. Failures and other things that need attention
// come last in a terminal, where they are seen first, and first on a page. Orgs
// in sync are only counted. A review of a change between two revisions shows this
// change, its conflicts, declarations without a write, and last, folded where
// possible, existing drift; orgs with the same changes are merged. Changes of objects
// that several orgs have in common are shown once in plans as well. Once a review
// is applied, it is shown like any plan.
//
// Four signs are the same in all formats: + adds, ~ changes, - removes, and !
// needs attention because it will not be done. Colour only repeats them. Signs and
// words are also those of the daemon's pages, see [Describe] and [Difference].
//
// # Foreign text
//
// Names, domains and error texts come from manifests and from Okta, so from
// anyone who can write there. [visible] escapes everything that isn't printable,
// and each format quotes the rest. Markdown has foreign text in code spans and
// code blocks only, since GitHub and GitLab turn escaped plain text into links and
// mentions too. JSON has every text unchanged; the other formats cut texts that
// are too long.
//
// The same data results in the same bytes.
package report
