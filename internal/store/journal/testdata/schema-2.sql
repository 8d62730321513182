BEGIN TRANSACTION;
CREATE TABLE acceptances (
	source      TEXT PRIMARY KEY CHECK (source <> ''),
	revision    TEXT NOT NULL CHECK (revision <> ''),
	signer      TEXT NOT NULL,
	tag         BLOB,
	accepted_at TEXT NOT NULL CHECK (accepted_at <> '')
) STRICT;
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
INSERT INTO "access" VALUES('0200acc','00o1','org-00o1.okta.com','begun','ORG_ADMIN','','','2026-11-21T12:00:00.123456789Z','2026-11-21T12:00:00.123456789Z','','');
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
CREATE TABLE attempts (
	id       INTEGER PRIMARY KEY,
	creation INTEGER NOT NULL REFERENCES creations (id),
	parent   TEXT NOT NULL,
	sent_at  TEXT NOT NULL CHECK (sent_at <> ''),
	outcome  TEXT NOT NULL CHECK (outcome IN ('', 'created', 'refused', 'unanswered'))
) STRICT;
INSERT INTO "attempts" VALUES(1,1,'acme','2026-11-21T12:00:00.123456789Z','created');
INSERT INTO "attempts" VALUES(2,2,'acme','2026-11-21T12:00:00.123456789Z','');
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
INSERT INTO "creations" VALUES(1,'0200acc','acme-new.okta.com','acme','ok1','acme-new','created','00o1','2026-11-21T12:00:00.123456789Z','2026-11-21T12:00:00.123456789Z','2026-11-21T12:00:01.123456789Z','','','','','','','','','');
INSERT INTO "creations" VALUES(2,'0200acc','acme-two.okta.com','acme','ok1','acme-two','sent','','2026-11-21T12:00:00.123456789Z','2026-11-21T12:00:00.123456789Z','','','','','','','','','','');
CREATE TABLE deletions (
	account    TEXT NOT NULL CHECK (account <> ''),
	org_id     TEXT NOT NULL CHECK (org_id <> ''),
	domain     TEXT NOT NULL,
	state      TEXT NOT NULL CHECK (state IN ('asking', 'asked', 'refused')),
	changed_at TEXT NOT NULL CHECK (changed_at <> ''),
	last_error TEXT NOT NULL,
	PRIMARY KEY (account, org_id)
) STRICT;
CREATE TABLE losses (
	id              INTEGER PRIMARY KEY,
	since           TEXT NOT NULL CHECK (since <> ''),
	set_aside       TEXT NOT NULL,
	acknowledged_at TEXT NOT NULL DEFAULT '',
	acknowledged_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE orgs (
	account TEXT NOT NULL CHECK (account <> ''),
	org_id  TEXT NOT NULL CHECK (org_id <> ''),
	domain  TEXT NOT NULL,
	aerial  INTEGER NOT NULL,
	PRIMARY KEY (account, org_id, domain)
) STRICT;
INSERT INTO "orgs" VALUES('0200acc','00o1','acme-new.okta.com',0);
CREATE TABLE removals (
	id      INTEGER PRIMARY KEY,
	account TEXT NOT NULL CHECK (account <> ''),
	org_id  TEXT NOT NULL CHECK (org_id <> ''),
	domain  TEXT NOT NULL,
	sent_at TEXT NOT NULL CHECK (sent_at <> '')
) STRICT;
INSERT INTO "removals" VALUES(1,'0200acc','00o9','old.okta.com','2026-11-21T12:00:00.123456789Z');
CREATE TABLE rewritten (
	source   TEXT NOT NULL CHECK (source <> ''),
	revision TEXT NOT NULL CHECK (revision <> ''),
	PRIMARY KEY (source, revision)
) STRICT;
CREATE TABLE runs (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE CHECK (id <> ''),
	started_at  TEXT NOT NULL CHECK (started_at <> ''),
	finished_at TEXT NOT NULL,
	result      TEXT NOT NULL,
	record      TEXT NOT NULL
) STRICT;
CREATE TABLE suspensions (
	id     TEXT PRIMARY KEY CHECK (id <> ''),
	orgs   TEXT NOT NULL,
	reason TEXT NOT NULL,
	owner  TEXT NOT NULL,
	since  TEXT NOT NULL CHECK (since <> ''),
	until  TEXT NOT NULL
) STRICT;
INSERT INTO "suspensions" VALUES('ihhta3p7','[]','holidays','ada','2026-11-21T12:00:00.000000000Z','');
CREATE UNIQUE INDEX creations_key ON creations (account, domain) WHERE forgotten_at = '';
CREATE INDEX attempts_creation ON attempts (creation);
CREATE INDEX attempts_parent ON attempts (parent, sent_at);
CREATE INDEX removals_account ON removals (account, sent_at);
COMMIT;
PRAGMA application_id = 1382238828;
PRAGMA user_version = 2;
