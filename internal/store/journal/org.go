package journal

import (
	"database/sql"
	"errors"
)

// Org is what Okta once said of an org.
type Org struct {
	ID string
	// Domain is one that the org had; empty if Okta only said that it is the Aerial
	// org.
	Domain string
	// Aerial is set if Okta once said that it is the Aerial org.
	Aerial bool
}

// Orgs returns what Okta has said of the orgs of an account, sorted by id, then
// domain. An org that was renamed is there with each of its domains. Those that
// can't be read are missing from them, and the error is a *RowsError.
func (j *Journal) Orgs(account string) ([]Org, error) {
	return list(j, "reading what Okta has said of orgs", func(o *Org) []any { return []any{&o.ID, &o.Domain, &o.Aerial} },
		`SELECT org_id, domain, aerial FROM orgs WHERE account = ? ORDER BY org_id, domain`, account)
}

// KnowOrgs adds what Okta says of orgs, all of it or nothing. What it has said
// before stays. It needs no lock, and creates the journal where there is none.
func (j *Journal) KnowOrgs(account string, all ...Org) error {
	for _, o := range all {
		if account == "" || o.ID == "" {
			return errors.New("noting what Okta says of orgs: account and id must be given")
		}
	}
	return j.writeOrCreate("noting what Okta says of orgs", func(tx *sql.Tx) error {
		for _, o := range all {
			if _, err := tx.Exec(`INSERT INTO orgs (account, org_id, domain, aerial) VALUES (?, ?, ?, ?)
				ON CONFLICT (account, org_id, domain) DO UPDATE SET aerial = CASE WHEN excluded.aerial <> 0 THEN 1 ELSE orgs.aerial END`,
				account, o.ID, Key{Domain: o.Domain}.normal().Domain, o.Aerial); err != nil {
				return err
			}
		}
		return nil
	})
}
