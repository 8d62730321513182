package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/daemon/api"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/okta/objects"
	"reconciler/internal/reconcile"
	"reconciler/internal/report"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// detailed is a Source that knows more of its orgs and runs.
type detailed struct {
	*fake
	details  map[string]*reconcile.OrgDetail
	objects  []reconcile.ObjectItem
	features []report.FeatureColumn
	infos    map[string]*api.RunInfo
}

func (f *detailed) Org(domain string) (*reconcile.OrgDetail, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.details[domain], nil
}

func (f *detailed) Objects(q *reconcile.InventoryQuery) (*reconcile.Page[reconcile.ObjectItem], error) {
	p := &reconcile.Page[reconcile.ObjectItem]{}
	for _, o := range f.objects {
		if (q.Kind == "" || o.Kind == q.Kind) && (len(q.Orgs) == 0 || slices.Contains(q.Orgs, o.Org)) {
			p.Items = append(p.Items, o)
		}
	}
	return p, f.err
}

func (f *detailed) Kinds(*reconcile.InventoryQuery) (*reconcile.Page[reconcile.KindItem], error) {
	p := &reconcile.Page[reconcile.KindItem]{}
	for _, o := range f.objects {
		if !slices.ContainsFunc(p.Items, func(k reconcile.KindItem) bool { return k.Kind == o.Kind }) {
			p.Items = append(p.Items, reconcile.KindItem{Kind: o.Kind})
		}
	}
	return p, f.err
}

func (f *detailed) Features(q *reconcile.InventoryQuery) (*reconcile.Page[report.FeatureColumn], error) {
	return pageOf(f.fake, f.features, q, func(c *report.FeatureColumn) string { return c.Org })
}

func (f *detailed) Run(id string) (*api.RunInfo, error) { return f.infos[id], f.err }

const (
	commitA = "abc1234abc1234abc1234abc1234abc1234abc12"
	forge   = "https://git.example/acme/okta-orgs/blob/" + commitA + "/"
)

func place(file string, line int) *reconcile.Place {
	return &reconcile.Place{File: file, Line: line, Commit: commitA, Link: fmt.Sprintf("%s%s#L%d", forge, file, line)}
}

func object(org, kind, name string, s reconcile.SyncState) reconcile.ObjectItem {
	return reconcile.ObjectItem{
		Org: org, Field: kind + "/" + name, Kind: kind, Object: name, State: s, Declared: s != reconcile.Unmanaged, Live: s != reconcile.Missing,
	}
}

// anAccount is an account with orgs and runs of each state.
func anAccount() *detailed {
	f := &detailed{fake: troubled(), details: map[string]*reconcile.OrgDetail{}, infos: map[string]*api.RunInfo{}}
	cause := &history.Cause{Actor: "mallory@acme.example", ActorType: "User", Time: noon.Add(-2 * time.Hour), Address: "203.0.113.7", Event: "zone.update", Provisional: true}
	sure := *cause
	sure.Provisional = false
	drifts := []reconcile.DriftItem{
		{Drift: reconcile.Drift{
			Org: "acme-emea.okta.com", Field: "networkZones/Offices: gateways", Kind: "networkZones", Object: "Offices", Destructive: true,
			Desired: diff.List([]string{"192.0.2.0/24", "198.51.100.0/24"}), Actual: diff.List([]string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}),
			Since: noon.Add(-2 * time.Hour), Cause: cause, Blocked: `suspended by "bob" until 2026-11-21T13:00:00Z: audit`,
		}, Times: 12, Run: "20261121T095655Z-aaaaaa"},
		{Drift: reconcile.Drift{
			Org: "acme-emea.okta.com", Field: "policies/PASSWORD/Staff: settings.password.age.maxAgeDays", Kind: "policies", Object: "Staff",
			Desired: diff.Text("90"), Actual: diff.Text("365"), Since: noon.Add(-26 * time.Hour), Blocked: "protected",
		}, Times: 150, Run: "20261120T095655Z-aaaaaa", Unknown: "the last to write it were we"},
		{Drift: reconcile.Drift{
			Org: "acme-emea.okta.com", Field: "products", Desired: diff.List([]string{"P000052", "P000131"}), Actual: diff.List([]string{"P000052", "P000139"}),
			Since: noon.Add(-10 * time.Minute), Cause: &sure, Destructive: true, Error: "500 E0000009 Internal Server Error (errorId oae1)", Hint: "the next run tries again",
		}, Times: 1, Run: "20261121T115655Z-cccccc"},
	}
	emea := org("acme-emea.okta.com", 0)
	emea.State, emea.Drifted, emea.Products = reconcile.Drifted, 3, []string{"P000052", "P000139"}
	since := noon.Add(-26 * time.Hour)
	emea.Since, emea.Parent, emea.DeclaredAt, emea.Protected = &since, "acme-parent.okta.com", place("orgs/emea.yaml", 3), true
	before := []byte(`["P000052"]`)
	f.details[emea.Domain] = &reconcile.OrgDetail{
		OrgItem: emea, Drift: drifts, Commit: commitA, CommitLink: "https://git.example/acme/okta-orgs/commit/" + commitA,
		Places:      map[string]*reconcile.Place{"networkZones/Offices": place("baselines/zones.yaml", 17), "policies/PASSWORD/Staff": {File: "baselines/policies.yaml", Line: 4}},
		Suspensions: []freeze.Suspension{{ID: "k3j2m5x7", Reason: "audit", Owner: "bob", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}},
		Objects: []reconcile.ObjectItem{
			object(emea.Domain, "groups", "Staff", reconcile.InSync),
			object(emea.Domain, "networkZones", "Bad", reconcile.InSync), object(emea.Domain, "networkZones", "Offices", reconcile.Drifted),
			object(emea.Domain, "networkZones", "Old VPN", reconcile.Unmanaged),
			{Org: emea.Domain, Field: "policies/PASSWORD/Staff", Kind: "policies", Type: "PASSWORD", Object: "Staff", Declared: true, Live: true, State: reconcile.Drifted, Fields: 1},
		},
		History: []history.Entry{
			{Seq: 44, Type: history.TypeDrift, Time: noon.Add(-10 * time.Minute), Org: emea.Domain, Action: "drift", Field: "products", Before: before, After: []byte(`["P000052","P000131"]`), Cause: &sure, Run: "20261121T115655Z-cccccc", Commit: commitA},
			{Seq: 43, Type: history.TypeOperator, Time: noon.Add(-time.Hour), Action: "suspend", Reason: "audit", By: "bob@ops-1"},
			{Seq: 42, Type: history.TypeChange, Time: noon.Add(-73 * time.Minute), Run: "20261121T104655Z-bbbbbb", Commit: commitA, By: "reconciler@prod-1", Org: emea.Domain, Action: string(diff.UpdateProducts), Before: before, After: []byte(`["P000052","P000131"]`), Outcome: "applied", RequestID: "req1"},
		},
	}
	labs := org("acme-labs.okta.com", 2)
	labs.State, labs.Unknown, labs.UnknownHint, labs.Products, labs.Mode = reconcile.Unknown, "403 E0000006 You do not have permission (errorId oae1)", `give the token the scope that "reconciler doctor" names`, nil, state.Report
	f.details[labs.Domain] = &reconcile.OrgDetail{OrgItem: labs}
	alone := reconcile.OrgItem{Domain: "sso.example.com", ID: "00o9", Cell: "ok1", Name: "Bought last year", Status: state.Inactive, State: reconcile.Unmanaged, Changed: noon.Add(-48 * time.Hour),
		Inactive: &reconcile.Inactive{Since: noon.Add(-72 * time.Hour), OrEarlier: true}}
	f.details[alone.Domain] = &reconcile.OrgDetail{OrgItem: alone}
	missing := org("acme-new.okta.com", 5)
	missing.State, missing.ID, missing.Status, missing.Products, missing.Cell, missing.Name, missing.Owner, missing.Labels = reconcile.Missing, "", "", nil, "", "", "", nil
	f.details[missing.Domain] = &reconcile.OrgDetail{OrgItem: missing}
	f.orgs = []reconcile.OrgItem{emea, labs, missing, alone}
	for i, name := range []string{"apac", "shop"} {
		o := org("acme-"+name+".okta.com", i+7)
		o.State = reconcile.InSync
		f.orgs = append(f.orgs, o)
		f.details[o.Domain] = &reconcile.OrgDetail{OrgItem: o, Objects: []reconcile.ObjectItem{object(o.Domain, "networkZones", "Offices", reconcile.InSync)}}
		f.objects = append(f.objects, f.details[o.Domain].Objects...)
	}
	limit := 2
	f.products[0].Limit, f.products[1].Limit = &limit, nil
	f.objects = append(f.objects, f.details[emea.Domain].Objects...)
	f.objects = append(f.objects, object(labs.Domain, "networkZones", "Offices", reconcile.Unknown), object(missing.Domain, "networkZones", "Offices", reconcile.Missing))
	f.features = []report.FeatureColumn{
		{Org: "acme-apac.okta.com", Parent: "acme-parent.okta.com", Features: []report.FeatureRow{
			{Feature: "Access Requests", Status: "DISABLED", ParentStatus: "ENABLED", State: report.FeatureBehind},
			{Feature: "Log Streaming", Status: "ENABLED", ParentStatus: "ENABLED", State: report.FeatureSame},
			{Feature: "Passkeys", ParentStatus: "ENABLED", State: report.FeatureNotOffered},
		}},
		{Org: "acme-emea.okta.com", Parent: "acme-parent.okta.com", Features: []report.FeatureRow{
			{Feature: "Access Requests", Status: "ENABLED", ParentStatus: "ENABLED", State: report.FeatureSame},
			{Feature: "Log Streaming", Status: "ENABLED", ParentStatus: "ENABLED", State: report.FeatureSame},
			{Feature: "Old Sign-In", Status: "ENABLED", State: report.FeatureGone},
			{Feature: "Workflows", Status: "ENABLED", ParentStatus: "DISABLED", State: report.FeatureAhead},
		}},
		{Org: "acme-labs.okta.com", Parent: "acme-parent.okta.com", Unknown: "403 E0000006 You do not have permission"},
		{Org: "acme-shop.okta.com", Features: []report.FeatureRow{{Feature: "Workflows", Status: "ENABLED"}, {Feature: "Passkeys", Status: "DISABLED"}}},
	}
	f.setRuns()
	return f
}

// setRuns sets a run of each state.
func (f *detailed) setRuns() {
	rec := f.status.RecentRuns[1]
	rec.Result, rec.Changes, rec.Digest = reconcile.ResultPartial, api.Changes{Applied: 1, Failed: 1, Blocked: 1}, "sha256:5f1e0c3b8d"
	rec.Summary, rec.Agreeing, rec.Head, rec.RequestedBy = &diff.Summary{Orgs: 4, InSync: 2, Changes: 3}, 3, strings.Repeat("0f", 32), "ada@acme.example"
	rec.Trigger = api.TriggerRequest
	zone := diff.Change{
		Org: "acme-emea.okta.com", OrgID: "00o1", Action: diff.UpdateObject, Kind: "networkZones", Object: "Offices", Destructive: true,
		Fields: []diff.Field{{FieldChange: objects.FieldChange{Path: "gateways", Before: []any{"192.0.2.0/24", "203.0.113.0/24"}, After: []any{"192.0.2.0/24"}}}},
	}
	plan := &diff.Plan{Account: f.status.Account, Revision: commitA, Digest: rec.Digest, Products: products, Changes: []diff.Change{
		{Org: "acme-apac.okta.com", OrgID: "00o2", Action: diff.UpdateProducts, Before: diff.List([]string{"P000052"}), After: diff.List([]string{"P000052", "P000131"}), Enable: []string{"P000131"}},
		zone,
		{Org: "acme-shop.okta.com", OrgID: "00o3", Action: diff.SetStatus, Before: diff.Text("ACTIVE"), After: diff.Text("INACTIVE"), Destructive: true, Blocked: "protected"},
	}}
	f.infos[rec.ID] = &api.RunInfo{
		ID: rec.ID, State: api.RunEnded, Command: "run", By: "reconciler@prod-1", RunRecord: &rec, Plan: plan,
		Log: []api.LogLine{
			{Time: noon.Add(-74 * time.Minute), Level: "info", Message: "run began", Attributes: map[string]string{"trigger": "request"}},
			{Time: noon.Add(-74 * time.Minute), Level: "error", Message: "change failed", Attributes: map[string]string{"org": "acme-emea.okta.com", "error": "500 E0000009: Internal Server Error"}},
			{Time: noon.Add(-73 * time.Minute), Level: "warn", Message: "run finished", Attributes: map[string]string{"result": "partial"}},
		},
		LogOmitted: 5,
		Entries: []history.Entry{
			{Seq: 41, Type: history.TypeChange, Time: noon.Add(-73 * time.Minute), Org: "acme-apac.okta.com", Action: string(diff.UpdateProducts), Before: []byte(`["P000052"]`), After: []byte(`["P000052","P000131"]`), Outcome: "applied", RequestID: "reqApplied1", Seconds: 0.4},
			{Seq: 40, Type: history.TypeChange, Time: noon.Add(-73 * time.Minute), Org: "acme-emea.okta.com", Action: string(diff.UpdateObject), Kind: "networkZones", Object: "Offices",
				Fields: []byte(`[{"path":"gateways","before":["192.0.2.0/24","203.0.113.0/24"],"after":["192.0.2.0/24"]}]`), Outcome: "failed", Error: "500 E0000009: Internal Server Error", ErrorID: "oaeError1", RequestIDs: []string{"req1", "req2"}, Seconds: 12},
		},
	}
	f.infos["20261121T120000Z-queued"] = &api.RunInfo{ID: "20261121T120000Z-queued", State: api.RunQueued}
	f.infos["20261121T120000Z-running"] = &api.RunInfo{ID: "20261121T120000Z-running", State: api.RunRunning, Log: []api.LogLine{{Time: noon, Level: "info", Message: "run began"}}}
	failed := f.status.RecentRuns[0]
	failed.ID, failed.Result, failed.Problem = "20261121T100000Z-failed", reconcile.ResultError, &reconcile.Problem{Error: "the Aerial API does not answer: timeout", Hint: "see https://status.okta.com"}
	failed.Outcomes = []apply.Outcome{{Org: "acme-emea.okta.com", Action: diff.LinkOrg, Result: apply.Skipped, Error: "the run was stopped"}}
	f.infos[failed.ID] = &api.RunInfo{ID: failed.ID, State: api.RunEnded, Command: "run", By: "reconciler@prod-1", RunRecord: &failed}
}

// aFleet is an account of n orgs, with so many products and objects each.
func aFleet(n, each int) *detailed {
	f := &detailed{fake: large(0), details: map[string]*reconcile.OrgDetail{}, infos: map[string]*api.RunInfo{}}
	f.products = nil
	var ids []string
	for k := range each {
		id := fmt.Sprintf("P%06d", k)
		ids = append(ids, id)
		f.products = append(f.products, reconcile.ProductItem{ID: id, Name: fmt.Sprintf("IT Products - Product number %d", k), Have: n, Want: n})
	}
	plan := &diff.Plan{}
	info := &api.RunInfo{ID: "large", State: api.RunEnded, RunRecord: &api.RunRecord{ID: "large", Result: reconcile.ResultPartial}, Plan: plan}
	for i := range n {
		o := org(fmt.Sprintf("acme-%04d.okta.com", i), i)
		o.Products, o.DeclaredProducts, o.State = ids[:each-i%3], ids[i%2:], reconcile.Drifted
		f.orgs = append(f.orgs, o)
		c := diff.Change{Org: o.Domain, Action: diff.UpdateProducts, Before: diff.List(ids), After: diff.List(ids[:i%each]), Disable: ids[i%each:], Destructive: true}
		if i < 1000 { // which are kept
			plan.Changes = append(plan.Changes, c)
		}
		info.Log = append(info.Log, api.LogLine{Time: noon, Level: "info", Message: "change applied", Attributes: map[string]string{"org": o.Domain, "before": strings.Repeat("long ", 100)}})
		info.Entries = append(info.Entries, history.Entry{Seq: 1, Type: history.TypeChange, Org: o.Domain, Action: string(diff.SetStatus), Before: []byte(`"ACTIVE"`), After: []byte(`"INACTIVE"`), Outcome: "failed", Error: strings.Repeat("long ", 100)})
		column := report.FeatureColumn{Org: o.Domain, Parent: "acme-parent.okta.com"}
		for k := range each {
			f.objects = append(f.objects, object(o.Domain, "networkZones", fmt.Sprintf("Zone number %d", k), reconcile.SyncStates()[(i+k)%5]))
			column.Features = append(column.Features, report.FeatureRow{Feature: fmt.Sprintf("Feature number %d", k), Status: "ENABLED", ParentStatus: "DISABLED", State: report.FeatureAhead})
		}
		f.features = append(f.features, column)
	}
	f.infos[info.ID] = info
	first := f.orgs[0]
	detail := &reconcile.OrgDetail{OrgItem: first}
	for k := range 1000 {
		detail.Drift = append(detail.Drift, reconcile.DriftItem{Drift: reconcile.Drift{
			Org: first.Domain, Field: fmt.Sprintf("networkZones/Zone number %d: gateways", k), Kind: "networkZones", Object: fmt.Sprintf("Zone number %d", k),
			Desired: diff.List(slices.Repeat([]string{"198.51.100.0/24"}, 50)), Actual: diff.List(slices.Repeat([]string{"203.0.113.0/24"}, 50)), Since: noon, Blocked: "protected",
		}})
		detail.Objects = append(detail.Objects, object(first.Domain, "networkZones", fmt.Sprintf("Zone number %d", k), reconcile.Drifted))
	}
	f.details[first.Domain] = detail
	return f
}
