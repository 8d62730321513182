package journal

// applicationID marks our databases, as SQLite's PRAGMA application_id wants
// it; in ASCII it is "RcJl".
const applicationID = 0x52634a6c

// schema returns the steps that lead to the schema of this version: step n leads
// from schema n to n+1. Once released, a step is never changed: a migration is a
// new step at the end.
//
// Times are text, in UTC and of fixed width, so that they sort, and so that a
// person who opens the file with sqlite3 in an emergency can read them. An
// empty text is "never".
func schema() []string { return []string{schema1, schema2, schema3, schema4} }

const schema1 = `
CREATE TABLE creations (
	id              INTEGER PRIMARY KEY,
	account         TEXT NOT NULL CHECK (account <> ''),
	domain          TEXT NOT NULL CHECK (domain <> '' AND domain = lower(domain)),
	parent          TEXT NOT NULL CHECK (parent <> ''),
	cell            TEXT NOT NULL,
	subdomain       TEXT NOT NULL,
	step            TEXT NOT NULL CHECK (step IN ('intent', 'sent', 'refused', 'created', 'linked', 'done')),
	org_id          TEXT NOT NULL DEFAULT '',
	begun_at        TEXT NOT NULL CHECK (begun_at <> ''),
	changed_at      TEXT NOT NULL CHECK (changed_at <> ''),
	created_at      TEXT NOT NULL DEFAULT '',
	token           TEXT NOT NULL DEFAULT '' CHECK (token IN ('', 'stored', 'lost')),
	token_at        TEXT NOT NULL DEFAULT '',
	lost_since      TEXT NOT NULL DEFAULT '',
	lost_reason     TEXT NOT NULL DEFAULT '',
	acknowledged_at TEXT NOT NULL DEFAULT '',
	acknowledged_by TEXT NOT NULL DEFAULT '',
	last_error      TEXT NOT NULL DEFAULT '',
	forgotten_at    TEXT NOT NULL DEFAULT '',
	forgotten_by    TEXT NOT NULL DEFAULT '',
	CHECK (step NOT IN ('linked', 'done') OR (org_id <> '' AND token <> '')),
	CHECK ((token = 'lost') = (lost_since <> ''))
) STRICT;

-- One creation for each org, except for those that a person had forgotten.
CREATE UNIQUE INDEX creations_key ON creations (account, domain) WHERE forgotten_at = '';

-- Each call that was sent to create an org, for the parent's limit and for its
-- outcome; '' while it is under way.
CREATE TABLE attempts (
	id       INTEGER PRIMARY KEY,
	creation INTEGER NOT NULL REFERENCES creations (id),
	parent   TEXT NOT NULL,
	sent_at  TEXT NOT NULL CHECK (sent_at <> ''),
	outcome  TEXT NOT NULL CHECK (outcome IN ('', 'created', 'refused', 'unanswered'))
) STRICT;

CREATE INDEX attempts_creation ON attempts (creation);
CREATE INDEX attempts_parent ON attempts (parent, sent_at);

CREATE TABLE deletions (
	account    TEXT NOT NULL CHECK (account <> ''),
	org_id     TEXT NOT NULL CHECK (org_id <> ''),
	domain     TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('asking', 'asked', 'refused')),
	changed_at TEXT NOT NULL CHECK (changed_at <> ''),
	last_error TEXT NOT NULL,
	PRIMARY KEY (account, org_id)
) STRICT;

-- Runs of versions before the history. Nothing reads or writes them any more; they stay
-- for who goes back to such a version.
CREATE TABLE runs (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE CHECK (id <> ''),
	started_at  TEXT NOT NULL CHECK (started_at <> ''),
	finished_at TEXT NOT NULL,
	result      TEXT NOT NULL,
	record      TEXT NOT NULL
) STRICT;

-- The last commit of each source whose signatures were good.
CREATE TABLE acceptances (
	source      TEXT PRIMARY KEY CHECK (source <> ''),
	revision    TEXT NOT NULL CHECK (revision <> ''),
	signer      TEXT NOT NULL,
	tag         BLOB,
	accepted_at TEXT NOT NULL CHECK (accepted_at <> '')
) STRICT;

-- Commits that were accepted once, and that an accepted rewrite removed.
CREATE TABLE rewritten (
	source   TEXT NOT NULL CHECK (source <> ''),
	revision TEXT NOT NULL CHECK (revision <> ''),
	PRIMARY KEY (source, revision)
) STRICT;

-- Deactivations and deletions that wait until they were announced for long enough.
CREATE TABLE announcements (
	account      TEXT NOT NULL CHECK (account <> ''),
	org_id       TEXT NOT NULL CHECK (org_id <> ''),
	action       TEXT NOT NULL CHECK (action <> ''),
	domain       TEXT NOT NULL,
	revision     TEXT NOT NULL,
	declared     TEXT NOT NULL,
	announced_at TEXT NOT NULL CHECK (announced_at <> ''),
	PRIMARY KEY (account, org_id, action)
) STRICT;

-- Each write that was about to take something from an org, for the limit of a day.
CREATE TABLE removals (
	id      INTEGER PRIMARY KEY,
	account TEXT NOT NULL CHECK (account <> ''),
	org_id  TEXT NOT NULL CHECK (org_id <> ''),
	domain  TEXT NOT NULL,
	sent_at TEXT NOT NULL CHECK (sent_at <> '')
) STRICT;

CREATE INDEX removals_account ON removals (account, sent_at);

-- What Okta has said of orgs: each domain that an id ever had, and whether it is
-- the Aerial org.
CREATE TABLE orgs (
	account TEXT NOT NULL CHECK (account <> ''),
	org_id  TEXT NOT NULL CHECK (org_id <> ''),
	domain  TEXT NOT NULL,
	aerial  INTEGER NOT NULL,
	PRIMARY KEY (account, org_id, domain)
) STRICT;

-- What holds writes until it expires or is taken back. The orgs are patterns of
-- domains, as a JSON array; none are all orgs and the account.
CREATE TABLE suspensions (
	id     TEXT PRIMARY KEY CHECK (id <> ''),
	orgs   TEXT NOT NULL,
	reason TEXT NOT NULL,
	owner  TEXT NOT NULL,
	since  TEXT NOT NULL CHECK (since <> ''),
	until  TEXT NOT NULL
) STRICT;

-- What was lost with a file that could not be read.
CREATE TABLE losses (
	id              INTEGER PRIMARY KEY,
	since           TEXT NOT NULL CHECK (since <> ''),
	set_aside       TEXT NOT NULL,
	acknowledged_at TEXT NOT NULL DEFAULT '',
	acknowledged_by TEXT NOT NULL DEFAULT ''
) STRICT;
`

const schema2 = `
-- The service app in each org, or the way from the org's token to it.
CREATE TABLE access (
	account    TEXT NOT NULL CHECK (account <> ''),
	org_id     TEXT NOT NULL CHECK (org_id <> ''),
	domain     TEXT NOT NULL CHECK (domain <> ''),
	step       TEXT NOT NULL CHECK (step IN ('begun', 'sent', 'made', 'granted', 'assigned', 'done')),
	role       TEXT NOT NULL,
	app_id     TEXT NOT NULL DEFAULT '',
	client_id  TEXT NOT NULL DEFAULT '',
	begun_at   TEXT NOT NULL CHECK (begun_at <> ''),
	changed_at TEXT NOT NULL CHECK (changed_at <> ''),
	sent_at    TEXT NOT NULL DEFAULT '',
	last_error TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (account, org_id),
	CHECK ((step IN ('begun', 'sent')) = (client_id = ''))
) STRICT;
`

const schema3 = `
-- Objects in orgs that a change made INACTIVE, or is about to, and that are to be
-- ACTIVE again afterwards.
CREATE TABLE inactive (
	account TEXT NOT NULL CHECK (account <> ''),
	org_id  TEXT NOT NULL CHECK (org_id <> ''),
	kind    TEXT NOT NULL CHECK (kind <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	since   TEXT NOT NULL CHECK (since <> ''),
	PRIMARY KEY (account, org_id, kind, id)
) STRICT;
`

const schema4 = `
-- Fields of objects of orgs that were written and may be set back by others.
CREATE TABLE field_writes (
	account    TEXT NOT NULL CHECK (account <> ''),
	org_id     TEXT NOT NULL CHECK (org_id <> ''),
	domain     TEXT NOT NULL,
	kind       TEXT NOT NULL CHECK (kind <> ''),
	object     TEXT NOT NULL CHECK (object <> ''),
	field      TEXT NOT NULL CHECK (field <> ''),
	value      TEXT NOT NULL,
	times      INTEGER NOT NULL,
	written_at TEXT NOT NULL CHECK (written_at <> ''),
	PRIMARY KEY (account, org_id, kind, object, field)
) STRICT;
`
