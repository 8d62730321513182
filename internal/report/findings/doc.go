// Package findings writes mistakes in files as GitHub's workflow commands, which
// annotate the lines of a pull request, as SARIF 2.1.0 for code scanning, as JSON
// or as text.
//
// File names and messages are untrusted, since a pull request brings its own
// files: each format escapes them, so that none of them ends a line or begins a
// command.
//
// The program need not run at the top of the repository, but the paths of GitHub
// and SARIF begin there; see Report.Top and Report.Dir.
package findings
