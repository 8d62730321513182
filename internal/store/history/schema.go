package history

import "reconciler/internal/store/sqlitefile"

const (
	dbFile = "history.db"
	// applicationID marks our databases; in ASCII it is "RcHi".
	applicationID = 0x52634869
)

// file describes history.db. A commit returns when the write-ahead log is synced.
// Readers see what was committed when they began, and wait for nobody.
func file() *sqlitefile.Kind {
	return &sqlitefile.Kind{
		Name: dbFile, ApplicationID: applicationID, Beside: []string{"-wal", "-shm"},
		Pragmas:     []string{"busy_timeout(20000)", "synchronous(FULL)", "journal_size_limit(16777216)"},
		Connections: 5, // one of them for Version alone
	}
}

// schema returns the steps that lead to the schema of this version, as that of the
// journal does: once released, a step is never changed.
func schema() []string { return []string{schema1} }

const schema1 = `
-- What happened. content is the entry as JSON, and hash is chained to that of the
-- entry before; the columns between are copies out of content, to find entries by.
CREATE TABLE entries (
	seq     INTEGER PRIMARY KEY CHECK (seq > 0),
	time    TEXT NOT NULL,
	type    TEXT NOT NULL,
	run     TEXT NOT NULL,
	org     TEXT NOT NULL,
	action  TEXT NOT NULL,
	about   INTEGER NOT NULL,
	content TEXT NOT NULL,
	hash    BLOB NOT NULL
) STRICT;

CREATE INDEX entries_time ON entries (time);
CREATE INDEX entries_type ON entries (type);
CREATE INDEX entries_type_org ON entries (type, org);
CREATE INDEX entries_org ON entries (org);
CREATE INDEX entries_run ON entries (run, type);
CREATE INDEX entries_action ON entries (action);
CREATE INDEX entries_about ON entries (about) WHERE about > 0;

-- The ids of Okta's requests that entries name.
CREATE TABLE requests (
	seq INTEGER NOT NULL,
	id  TEXT NOT NULL,
	PRIMARY KEY (seq, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_id ON requests (id);

-- The newest entry, so that one that is removed from the end is missed.
CREATE TABLE chain (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	seq  INTEGER NOT NULL,
	hash BLOB NOT NULL
) STRICT;

-- The digests of entries that were pruned, 32 bytes each, from the entry first on.
CREATE TABLE checkpoints (
	first   INTEGER PRIMARY KEY,
	digests BLOB NOT NULL
) STRICT;

-- Entries that were pruned from the chain and are needed still: what is known of an
-- org when the retention begins, and drift that is open.
CREATE TABLE kept (
	seq     INTEGER PRIMARY KEY,
	time    TEXT NOT NULL,
	type    TEXT NOT NULL,
	org     TEXT NOT NULL,
	about   INTEGER NOT NULL,
	content TEXT NOT NULL
) STRICT;

CREATE INDEX kept_type ON kept (type, org);
CREATE INDEX kept_about ON kept (about) WHERE about > 0;

-- What was declared or live in an org: each distinct value once, compressed. The
-- digest is that of the value.
CREATE TABLE states (
	digest TEXT PRIMARY KEY,
	data   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Runs that go on, and the lock file of the process that they go on in.
CREATE TABLE running (
	id      TEXT PRIMARY KEY,
	process TEXT NOT NULL,
	begun   TEXT NOT NULL,
	run     TEXT NOT NULL
) STRICT;

-- Changes that are under way.
CREATE TABLE pending (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	run   TEXT NOT NULL,
	begun TEXT NOT NULL,
	entry TEXT NOT NULL
) STRICT;

CREATE INDEX pending_run ON pending (run);

-- The drift that is open, with the seq of its entry.
CREATE TABLE drifts (
	org       TEXT NOT NULL,
	kind      TEXT NOT NULL,
	object    TEXT NOT NULL,
	field     TEXT NOT NULL,
	seq       INTEGER NOT NULL,
	since     TEXT NOT NULL,
	last_seen TEXT NOT NULL,
	times     INTEGER NOT NULL,
	run       TEXT NOT NULL,
	detail    TEXT NOT NULL,
	PRIMARY KEY (org, kind, object, field)
) STRICT;

CREATE INDEX drifts_seq ON drifts (seq);

-- How many runs of a day found nothing to tell.
CREATE TABLE quiet (
	day   TEXT PRIMARY KEY,
	runs  INTEGER NOT NULL,
	first TEXT NOT NULL,
	last  TEXT NOT NULL
) STRICT;

-- When entries were pruned last.
CREATE TABLE pruned (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	at TEXT NOT NULL
) STRICT;
`
