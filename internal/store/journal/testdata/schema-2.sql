-- A journal of schema 2, with something in each table. It is never changed.
CREATE TABLE creations (
	id              INTEGER PRIMARY KEY,
	account         TEXT NOT NULL CHECK (account <> ''),
	domain          TEXT NOT NULL CHECK (domain <> '' AND domain = lower(domain)),
	parent          TEXT NOT NULL CHECK (parent <> ''),
	cell            TEXT NOT NULL,
	subdomain       TEXT NOT NULL,
	step            TEXT NOT NULL CHECK (step IN ('intent', 'sent', 'refused', 'created', 'linked', 'done')),
	org_id          TEXT NOT NULL,
	begun_at        TEXT NOT NULL CHECK (begun_at <> ''),
	changed_at      TEXT NOT NULL CHECK (changed_at <> ''),
	created_at      TEXT NOT NULL,
	token           TEXT NOT NULL CHECK (token IN ('', 'stored', 'lost')),
	token_at        TEXT NOT NULL,
	lost_since      TEXT NOT NULL,
	lost_reason     TEXT NOT NULL,
	acknowledged_at TEXT NOT NULL,
	acknowledged_by TEXT NOT NULL,
	last_error      TEXT NOT NULL,
	forgotten_at    TEXT NOT NULL DEFAULT '',
	forgotten_by    TEXT NOT NULL DEFAULT '',
	CHECK (step NOT IN ('linked', 'done') OR (org_id <> '' AND token <> '')),
	CHECK ((token = 'lost') = (lost_since <> ''))
) STRICT;

-- One creation for each org, but for those that a person had forgotten.
CREATE UNIQUE INDEX creations_key ON creations (account, domain) WHERE forgotten_at = '';

-- Each call that was sent to make an org, for the parent's limit and for what
-- is known of its outcome; '' while it is under way.
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

CREATE TABLE runs (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE CHECK (id <> ''),
	started_at  TEXT NOT NULL CHECK (started_at <> ''),
	finished_at TEXT NOT NULL,
	result      TEXT NOT NULL,
	record      TEXT NOT NULL
) STRICT;

-- What was forgotten with a file that could not be read.
CREATE TABLE amnesia (
	id              INTEGER PRIMARY KEY,
	since           TEXT NOT NULL CHECK (since <> ''),
	set_aside       TEXT NOT NULL,
	acknowledged_at TEXT NOT NULL DEFAULT '',
	acknowledged_by TEXT NOT NULL DEFAULT ''
) STRICT;

-- The last commit of each source whose signatures were good.
CREATE TABLE acceptances (
	source      TEXT PRIMARY KEY CHECK (source <> ''),
	revision    TEXT NOT NULL CHECK (revision <> ''),
	signer      TEXT NOT NULL,
	tag         BLOB,
	accepted_at TEXT NOT NULL CHECK (accepted_at <> '')
) STRICT;

-- Commits that were accepted once, and that an accepted rewrite took away.
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
	announced_at TEXT NOT NULL CHECK (announced_at <> ''),
	PRIMARY KEY (account, org_id, action)
) STRICT;

PRAGMA user_version = 2;
PRAGMA application_id = 1382238828;

INSERT INTO creations VALUES (1, '0200acc', 'intent.okta.com', 'acme', 'ok1', 'intent', 'intent', '', '2026-11-20T10:00:01.000000000Z', '2026-11-20T10:00:01.000000000Z', '', '', '', '', '', '', '', '', '', '');
INSERT INTO creations VALUES (2, '0200acc', 'sent.okta.com', 'acme', 'ok1', 'sent', 'sent', '', '2026-11-20T10:00:02.000000000Z', '2026-11-20T10:00:02.000000000Z', '', '', '', '', '', '', '', '', '', '');
INSERT INTO creations VALUES (3, '0200acc', 'lost.okta.com', 'acme', 'ok1', 'lost', 'linked', '00o3', '2026-11-20T10:00:03.000000000Z', '2026-11-20T10:00:03.000000000Z', '2026-11-20T10:00:05.000000000Z', 'lost', '', '2026-11-20T10:00:06.000000000Z', 'no room', '', '', '', '', '');
INSERT INTO creations VALUES (4, '0200acc', 'done.okta.com', 'acme', 'ok1', 'done', 'done', '00o4', '2026-11-20T10:00:04.000000000Z', '2026-11-20T10:00:04.000000000Z', '2026-11-20T10:00:05.000000000Z', 'stored', '/tokens/done', '', '', '', '', '', '', '');
INSERT INTO creations VALUES (5, '0200acc', 'intent.okta.com', 'acme', 'ok1', 'intent', 'refused', '', '2026-11-20T10:00:05.000000000Z', '2026-11-20T10:00:05.000000000Z', '', '', '', '', '', '', '', '', '2026-11-20T10:00:07.000000000Z', 'ada');
INSERT INTO attempts VALUES (1, 2, 'acme', '2026-11-20T10:00:01.000000000Z', '');
INSERT INTO attempts VALUES (2, 3, 'acme', '2026-11-20T10:00:02.000000000Z', 'unanswered');
INSERT INTO attempts VALUES (3, 4, 'acme', '2026-11-20T10:00:03.000000000Z', 'created');
INSERT INTO deletions VALUES ('0200acc', '00o9', 'old.okta.com', 'asked', '2026-11-20T10:00:08.000000000Z', '');
INSERT INTO runs VALUES (1, 'r1', '2026-11-20T10:00:01.000000000Z', '2026-11-20T10:00:02.000000000Z', 'applied', '{"id":"r1"}');
INSERT INTO amnesia VALUES (1, '2026-11-20T10:00:00.000000000Z', '/state/journal.db.corrupt-20261120T000000Z', '', '');
INSERT INTO acceptances VALUES ('https://git.example/orgs.git main', '0123456789abcdef0123456789abcdef01234567', 'ada@acme.example', CAST('object 0123' AS BLOB), '2026-11-20T10:00:09.000000000Z');
INSERT INTO rewritten VALUES ('https://git.example/orgs.git main', '76543210fedcba9876543210fedcba9876543210');
INSERT INTO announcements VALUES ('0200acc', '00o8', 'set-status', 'leaving.okta.com', '0123456789abcdef0123456789abcdef01234567', '2026-11-20T10:00:10.000000000Z');
