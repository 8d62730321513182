package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fake is a Source of an account whose size tests choose.
type fake struct {
	status   api.Status
	orgs     []reconcile.OrgItem
	drift    []reconcile.DriftItem
	products []reconcile.ProductItem
	runs     []reconcile.RunItem
	changes  []history.Entry
	err      error
}

func (f *fake) Status() api.Status {
	s := f.status
	s.Assess()
	return s
}

// pageOf returns the page of a list that a query asks for. Its items are as many as the
// reader's; what it selects is the reader's to test.
func pageOf[T any](f *fake, all []T, q *reconcile.InventoryQuery, key func(*T) string) (*reconcile.Page[T], error) {
	if f.err != nil {
		return nil, f.err
	}
	total := len(all)
	if q.After != "" {
		all = all[1+slices.IndexFunc(all, func(item T) bool { return key(&item) == q.After }):]
	}
	p := &reconcile.Page[T]{Items: all, Total: &total, Account: f.status.Account, AsOf: f.status.Compared, ProductNames: f.status.Products}
	if q.Limit > 0 && len(all) > q.Limit {
		p.Items = all[:q.Limit]
		p.Next = key(&p.Items[q.Limit-1])
	}
	return p, nil
}

func (f *fake) Orgs(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.OrgItem], error) {
	return pageOf(f, f.orgs, q, func(o *reconcile.OrgItem) string { return o.Domain })
}

func (f *fake) Org(domain string) (*reconcile.OrgDetail, error) {
	for i := range f.orgs {
		if f.orgs[i].Domain == domain {
			return &reconcile.OrgDetail{OrgItem: f.orgs[i]}, nil
		}
	}
	return nil, nil
}

func (f *fake) Products(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.ProductItem], error) {
	return pageOf(f, f.products, q, func(p *reconcile.ProductItem) string { return p.ID })
}

func (f *fake) Drift(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.DriftItem], error) {
	return pageOf(f, f.drift, q, func(d *reconcile.DriftItem) string { return d.Org + " " + d.Field })
}

func (f *fake) Runs(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.RunItem], error) {
	p, err := pageOf(f, f.runs, q, func(r *reconcile.RunItem) string { return r.ID })
	if err == nil {
		p.Quiet = &history.Quiet{Runs: 137, Since: noon.Add(-90 * 24 * time.Hour)}
	}
	return p, err
}

func (f *fake) Changes(q *reconcile.InventoryQuery) (*reconcile.Page[history.Entry], error) {
	return pageOf(f, f.changes, q, func(e *history.Entry) string { return fmt.Sprint(e.Seq) })
}

func (f *fake) Objects(*reconcile.InventoryQuery) (*reconcile.Page[reconcile.ObjectItem], error) {
	return &reconcile.Page[reconcile.ObjectItem]{}, f.err
}

func (f *fake) Kinds(*reconcile.InventoryQuery) (*reconcile.Page[reconcile.KindItem], error) {
	return &reconcile.Page[reconcile.KindItem]{}, f.err
}

func (f *fake) Features(*reconcile.InventoryQuery) (*reconcile.Page[report.FeatureColumn], error) {
	return &reconcile.Page[report.FeatureColumn]{}, f.err
}

func (f *fake) History(q *reconcile.InventoryQuery) (*reconcile.Page[history.Entry], error) {
	return f.Changes(q)
}

func (f *fake) Run(id string) (*api.RunInfo, error) {
	for i := range f.status.RecentRuns {
		if r := &f.status.RecentRuns[i]; r.ID == id {
			return &api.RunInfo{ID: id, State: api.RunEnded, RunRecord: r}, nil
		}
	}
	return nil, nil
}

var products = map[string]string{"P000052": "sso", "P000131": "mfa", "P000139": "lcm"}

// calm is an account in which all is well.
func calm() *fake {
	compared, next := noon.Add(-3*time.Minute), noon.Add(7*time.Minute)
	rec := api.RunRecord{
		ID: "20261121T115655Z-cccccc", Trigger: api.TriggerSchedule, Started: compared.Add(-5 * time.Second), Finished: compared, Seconds: 5, Mode: state.Apply,
		Commit: "abc1234abc1234abc1234abc1234abc1234abc12", Signer: "ada@acme.example (ssh SHA256:AbC)", Result: reconcile.ResultInSync,
	}
	applied := rec
	applied.ID, applied.Result, applied.Trigger, applied.Changes = "20261121T104655Z-bbbbbb", reconcile.ResultApplied, api.TriggerWebhook, api.Changes{Applied: 12}
	applied.Started, applied.Finished = noon.Add(-74*time.Minute), noon.Add(-73*time.Minute)
	f := &fake{status: api.Status{
		Version: 1, Reconciler: "v1.2.3", Account: "0200bs0617vvhv2v675mch1cukp", Mode: state.Apply, Schedule: "*/10 * * * *",
		Source: "https://git.example/okta-orgs.git, branch main", Now: noon, Started: noon.Add(-26 * time.Hour), Ready: true,
		Config: api.ConfigInForce{File: "reconciler.yaml", Since: noon.Add(-26 * time.Hour)}, NextRun: &next, LastRun: &rec,
		LastSuccess: &api.Success{ID: rec.ID, Finished: rec.Finished, Seconds: 5},
		Desired:     &api.InForce{Commit: rec.Commit, Signer: rec.Signer, Since: noon.Add(-73 * time.Minute)},
		Compared:    &compared, Summary: &diff.Summary{Declared: 4, Orgs: 4, Writable: 4, InSync: 4}, Fleet: &api.Fleet{InSync: 4},
		Products: products, RecentRuns: []api.RunRecord{rec, applied},
	}}
	for i, name := range []string{"emea", "apac", "labs", "shop"} {
		f.orgs = append(f.orgs, org("acme-"+name+".okta.com", i))
	}
	for id, name := range products {
		f.products = append(f.products, reconcile.ProductItem{ID: id, Name: name, Have: 3, Want: 3, WantActive: 3})
	}
	slices.SortFunc(f.products, func(a, b reconcile.ProductItem) int { return cmp.Compare(a.ID, b.ID) })
	for _, r := range f.status.RecentRuns {
		f.runs = append(f.runs, reconcile.RunItem{
			ID: r.ID, Command: "run", Trigger: string(r.Trigger), Mode: string(r.Mode), By: "reconciler@prod-1", Started: r.Started, Finished: &r.Finished,
			Commit: r.Commit, Signer: r.Signer, Result: string(r.Result), Changes: &reconcile.RunChanges{Applied: r.Changes.Applied},
		})
	}
	for i := range 3 {
		f.changes = append(f.changes, history.Entry{
			Seq: int64(42 - i), Type: history.TypeChange, Time: noon.Add(-73 * time.Minute), Run: applied.ID, Commit: applied.Commit, By: "reconciler@prod-1",
			Org: f.orgs[i].Domain, Action: string(diff.UpdateProducts), Before: []byte(`["P000052"]`), After: []byte(`["P000052","P000131"]`), Outcome: "applied",
		})
	}
	return f
}

func org(domain string, i int) reconcile.OrgItem {
	return reconcile.OrgItem{
		Domain: domain, ID: fmt.Sprintf("00o%017d", i), Cell: "ok1", Name: "Acme " + strings.ToUpper(domain[5:6]) + domain[6:strings.Index(domain, ".")],
		Status: state.Active, Products: []string{"P000052", "P000131"}, Managed: true, DeclaredStatus: state.Active, DeclaredProducts: []string{"P000052", "P000131"},
		ProductPolicy: state.Exact, State: reconcile.InSync, Labels: map[string]string{"tier": "production", "region": "emea"}, Owner: "identity@acme.example", Mode: state.Apply,
		Changed: noon.Add(-73 * time.Minute),
	}
}

// troubled is an account with one of each trouble.
func troubled() *fake {
	f := calm()
	s := &f.status
	s.Fleet, s.LastRun.Result = &api.Fleet{InSync: 34, Drifted: 3, Unknown: 1, Unmanaged: 2}, reconcile.ResultPartial
	s.Summary.Objects = &diff.ObjectSummary{Declared: 214}
	cause := &history.Cause{Actor: "mallory@acme.example", ActorType: "User", Time: noon.Add(-2 * time.Hour), Address: "203.0.113.7", Event: "org.product.update"}
	s.Drift = []reconcile.Drift{
		{Org: "acme-apac.okta.com", Field: "products", Desired: diff.List([]string{"P000052"}), Actual: diff.List([]string{"P000052", "P000131"}), Since: noon.Add(-2 * time.Hour), Cause: cause, Destructive: true, Blocked: "protected"},
		{Org: "acme-emea.okta.com", Field: "networkZones/Offices: gateways", Kind: "networkZones", Object: "Offices", Desired: diff.Text("198.51.100.0/24"), Actual: diff.Text("198.51.100.0/24, 203.0.113.0/24"), Since: noon.Add(-26 * time.Hour), Blocked: "freeze window until 2026-11-22T06:00:00Z"},
		{Org: "acme-emea.okta.com", Field: "products", Desired: diff.List([]string{"P000052", "P000131"}), Actual: diff.List([]string{"P000052"}), Since: noon.Add(-10 * time.Minute), Error: "500 E0000009 <b>Internal</b>", Hint: "try again"},
		{Org: "acme-labs.okta.com", Field: "status", Desired: diff.Text("INACTIVE"), Actual: diff.Text("ACTIVE"), Since: noon.Add(-10 * time.Minute), Destructive: true, Cause: cause},
	}
	s.Unknown = []diff.Unknown{{Org: "acme-shop.okta.com", OrgID: "00o3", Error: "403 E0000006 You do not have permission (errorId oae1)"}}
	s.Totals = api.Totals{Drift: 4, Unknown: 1, Unmanaged: 2, Alarms: 1}
	s.Alarms = []reconcile.Alarm{{Org: "acme-new.okta.com", Message: "its token was lost", Hint: `make one by hand, then "reconciler acknowledge acme-new.okta.com"`}}
	s.Suspensions = []freeze.Suspension{
		{Orgs: []string{"*.oktapreview.com", "acme-x.okta.com"}, Reason: "load <test>", Owner: "ada@acme.example"},
		{ID: "k3j2m5x7", Reason: "audit", Owner: "bob", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)},
	}
	s.Desired.Stale = &api.Stale{
		Problem: reconcile.Problem{Error: `orgs/emea.yaml:3:5: unknown key "domian" (and 1 more)`}, Refused: true,
		Commit: "def4567def4567def4567def4567def4567def45", Since: noon.Add(-30 * time.Minute),
	}
	f.fill()
	return f
}

// fill makes the lists agree with the status.
func (f *fake) fill() {
	f.drift = nil
	for i := range f.status.Drift {
		d := &f.status.Drift[i]
		f.drift = append(f.drift, reconcile.DriftItem{Drift: *d, LastSeen: noon, Times: 3, Run: f.status.LastRun.ID})
		for k := range f.orgs {
			if o := &f.orgs[k]; o.Domain == d.Org {
				o.Drifted++
				o.State = reconcile.Drifted
				o.Since = &d.Since
			}
		}
	}
}

// large is an account of n orgs, all of which drift in what an attacker made long.
func large(n int) *fake {
	f := calm()
	f.orgs, f.runs, f.changes = nil, nil, nil
	s := &f.status
	s.Fleet = &api.Fleet{Drifted: n}
	s.Totals.Drift = n
	for i := range n {
		o := org(fmt.Sprintf("acme-%04d.okta.com", i), i)
		f.orgs = append(f.orgs, o)
		d := reconcile.Drift{
			Org: o.Domain, OrgID: o.ID, Field: "products", Desired: diff.List([]string{"P000052"}), Actual: diff.List([]string{"P000052", "P000131"}), Since: noon.Add(-time.Hour),
			Blocked: "protected", Destructive: true,
		}
		f.drift = append(f.drift, reconcile.DriftItem{Drift: d, LastSeen: noon, Times: 3, Run: s.LastRun.ID})
		if len(s.Drift) < 1000 {
			s.Drift = append(s.Drift, d)
			s.Unknown = append(s.Unknown, diff.Unknown{Org: o.Domain, OrgID: o.ID, Error: "403 E0000006 You do not have permission (errorId oae1)"})
			s.Alarms = append(s.Alarms, reconcile.Alarm{Org: o.Domain, Message: "its token was lost", Hint: "acknowledge it"})
			s.Refusals = append(s.Refusals, diff.Refusal{Guard: "maxDestructiveOrgs", Message: strings.Repeat(o.Domain+", ", 30)})
			s.Suspensions = append(s.Suspensions, freeze.Suspension{ID: fmt.Sprintf("id%06d", i), Orgs: []string{o.Domain}, Reason: "audit", Owner: "bob", Until: noon.Add(time.Hour)})
		}
		f.runs = append(f.runs, reconcile.RunItem{
			ID: fmt.Sprintf("20261121T115655Z-%06d", i), Command: "run", Trigger: "schedule", Mode: "apply", By: "reconciler@prod-1", Started: noon, Finished: &noon,
			Commit: s.LastRun.Commit, Result: "applied", Changes: &reconcile.RunChanges{Applied: 1}, Error: strings.Repeat("long ", 100),
		})
		f.changes = append(f.changes, history.Entry{
			Seq: int64(n - i), Type: history.TypeChange, Time: noon, Run: "20261121T115655Z-000000", Commit: s.LastRun.Commit, By: "reconciler@prod-1",
			Org: o.Domain, Action: string(diff.UpdateProducts), Before: []byte(`["P000052"]`), After: []byte(`["P000052","P000131"]`), Outcome: "failed", Error: strings.Repeat("long ", 100),
		})
	}
	s.Totals.Unknown, s.Totals.Alarms, s.Totals.Refusals = n, n, n
	s.Fleet.Unknown = n
	return f
}
