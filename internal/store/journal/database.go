package journal

import "reconciler/internal/store/sqlitefile"

const (
	dbFile = "journal.db"
	// rollbackFile is what SQLite writes beside the database while a transaction
	// is under way. A killed process leaves it behind, and the next one undoes
	// the transaction.
	rollbackFile = dbFile + "-journal"
)

// file describes journal.db.
//
// It uses SQLite's rollback journal, and not a write-ahead log: there is one file,
// and what a log or its index holds can't get lost or mixed up when the file is
// replaced while a process has it open. A commit returns when file and folder are
// synced. Readers and writers wait for each other, which takes milliseconds, so that
// more than one connection would only wait.
func file() *sqlitefile.Kind {
	return &sqlitefile.Kind{
		Name: dbFile, ApplicationID: applicationID, Beside: []string{"-journal"},
		Pragmas: []string{"busy_timeout(5000)", "synchronous(EXTRA)"}, Connections: 1,
	}
}
