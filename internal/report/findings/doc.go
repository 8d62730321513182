// Package findings shows what is wrong with files in the forms that other
// programs read: GitHub's workflow commands, which become remarks at the lines
// of a pull request, SARIF 2.1.0 for code scanning, JSON for scripts, and text.
//
// It gets findings and a place, and decides nothing: what is an error, and which
// exit code follows from it, is settled before. File names and messages may be
// anybody's, since a pull request brings its own files; so each format escapes
// them in its own way, and none of them lets a name end a line or begin a
// command.
//
// People run the program where their config is, which need not be the top of
// the repository, while GitHub and SARIF count paths from there. Report.Top and
// Report.Dir bridge the two.
package findings
