package reconcile

import (
	"encoding/json"
	"slices"
	"time"

	"reconciler/internal/freeze"
	"reconciler/internal/store/history"
)

// OrgDetail is all that is known of one org. Its JSON form is a public interface.
type OrgDetail struct {
	OrgItem
	Drift []DriftItem `json:"drift"`
	// Blocked are the reasons for which drift of the org is not repaired, each once.
	Blocked []string `json:"blocked"`
	// Suspensions are those in effect that hold writes to the org, as of the last run of
	// the daemon; empty where no daemon answers.
	Suspensions []freeze.Suspension `json:"suspensions"`
	// Declared and Live are both sides, as "history org" has them; null where there is
	// none.
	Declared json.RawMessage `json:"declared"`
	Live     json.RawMessage `json:"live"`
	Commit   string          `json:"commit"`
	// CommitLink is the web address of Commit; left out if it has none.
	CommitLink string `json:"commitLink,omitempty"`
	// Places are where fields are declared, by their names; those that aren't here are
	// where the org is.
	Places map[string]*Place `json:"places,omitempty"`
	// Objects are those of its configuration, sorted by field.
	Objects []ObjectItem `json:"objects"`
	// History is what happened last, newest first, as History returns it; empty without
	// a state folder.
	History []history.Entry `json:"history"`
}

// lastOfOrg is how much of an org's history OrgDetail has.
const lastOfOrg = 20

// Org returns what is known of an org; nil if nothing is.
func (r *InventoryReader) Org(domain string) (*OrgDetail, error) {
	now, err := r.read()
	if err != nil {
		return nil, err
	}
	q := &InventoryQuery{Orgs: []string{domain}}
	o := now.inv.org(domain)
	if o == nil {
		return nil, nil
	}
	drift, err := now.inv.ListDrift(now.drift, q)
	if err != nil {
		return nil, err
	}
	detail := &OrgDetail{
		OrgItem: *o, Drift: drift.Items, Objects: now.inv.ListObjects(q).Items,
		Blocked: []string{}, Suspensions: []freeze.Suspension{}, History: []history.Entry{}, Places: r.places.inside(domain),
	}
	detail.DeclaredAt = r.places.of(domain)
	for i := range detail.Drift {
		if why := detail.Drift[i].Blocked; why != "" && !slices.Contains(detail.Blocked, why) {
			detail.Blocked = append(detail.Blocked, why)
		}
	}
	s, err := r.state(domain)
	if err != nil {
		return nil, err
	}
	if s != nil {
		detail.Declared, detail.Live, detail.Commit, detail.CommitLink = s.Declared, s.Live, s.Commit, r.CommitLink(s.Commit)
	}
	if r.memory != nil {
		return detail, nil
	}
	q.Limit = lastOfOrg
	page, err := r.entries(now.inv, q)
	if err != nil {
		return nil, err
	}
	detail.History = page.Items
	return detail, nil
}

// state returns the newest state of an org; nil if there is none.
func (r *InventoryReader) state(domain string) (*history.OrgState, error) {
	if r.memory == nil {
		return r.history.At(domain, time.Time{})
	}
	return r.memory.state(domain), nil
}

// Run returns a run; nil if there is none.
func (r *InventoryReader) Run(id string) (*history.Run, error) {
	if r.memory != nil {
		return nil, nil
	}
	return r.history.FindRun(id)
}
