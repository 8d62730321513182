// Package report shows a plan, and what became of it, to people and machines:
// as text for a terminal, as markdown for a pull request, as a page of HTML for
// an archive, as JSON for everything else.
//
// It decides nothing. What it says stands in the plan and the result; it only
// chooses the order in which that is read. The order is the same everywhere:
// what changes comes first, what needs somebody comes last in a terminal (where
// the eye is when the output ends) and first on a page, and what is in sync is
// only counted.
//
// A review of a change between two revisions has an order of its own: what this
// change does, what it is in conflict with, what it declares without a write,
// and last what differs without it, which is folded away where that can be. Orgs
// that have the same to expect are told once. Once it was applied, it is told
// like any plan.
//
// Four signs run through all formats: + adds, ~ changes, - takes away, and !
// needs attention because it will not be done. Colour repeats what the signs
// and words say and never says anything alone.
//
// # Foreign text
//
// Names, domains and error texts come from manifests and from Okta, and so from
// whoever could write there. They are shown, never interpreted: [visible] turns
// everything that isn't a printable character into an escape one can read, and
// each format then quotes the rest in its own way. Markdown puts foreign text
// into code spans and code blocks only, since GitHub and GitLab make links and
// mentions out of plain text whatever is escaped. JSON holds every text as it
// is, and whole; the other formats cut what is absurdly long and say so.
//
// The same data results in the same bytes.
package report
