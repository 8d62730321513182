package reconcile

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// past is a history whose time tests set.
type past struct {
	*history.Store
	t   *testing.T
	now time.Time
	n   int
}

func newPast(t *testing.T) *past {
	p := &past{t: t, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	p.Store = history.New(location.Folder(t.TempDir()), history.Options{Now: func() time.Time { return p.now }})
	t.Cleanup(func() { p.Close() })
	return p
}

func (p *past) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// found is what a run found.
type found struct {
	by      string
	changes []history.Entry
	drift   []history.Drift
	states  []history.OrgState
	result  Result
	quiet   bool
}

// run records a run an hour after the last one, and returns its id.
func (p *past) run(f found) string {
	p.t.Helper()
	p.now = p.now.Add(time.Hour)
	p.n++
	run := history.Run{ID: fmt.Sprintf("run%d", p.n), Command: "run", By: f.by, Started: p.now}
	rec, err := p.Begin(run)
	p.must(err)
	counts := RunChanges{}
	for _, e := range f.changes {
		e.Type = history.TypeChange
		pending, err := rec.Change(e)
		p.must(err)
		if e.Outcome == "" {
			e.Outcome = "applied"
		}
		if e.Outcome == "applied" {
			counts.Applied++
		}
		p.must(pending.End(e))
	}
	p.now = p.now.Add(time.Minute)
	_, err = rec.Drift(f.drift, func(*history.Drift) bool { return true })
	p.must(err)
	for i := range f.states {
		f.states[i].At = p.now
	}
	p.must(rec.States(f.states))
	run.Finished, run.Result, run.Quiet = p.now, string(f.result), f.quiet
	run.Record, err = json.Marshal(map[string]any{"changes": counts})
	p.must(err)
	_, err = rec.Finish(run)
	p.must(err)
	return run.ID
}

func raw(v any) json.RawMessage {
	data, err := marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// orgState returns a state of an org; a side that is nil is not there.
func orgState(domain string, declared *declaredState, live *liveState) history.OrgState {
	s := history.OrgState{Org: domain, Declared: null, Live: null}
	if declared != nil {
		s.Declared = raw(declared)
	}
	if live != nil {
		s.Live, s.OrgID = raw(live), live.ID
	}
	return s
}

func live(status state.Status, products ...string) *liveState {
	return &liveState{ID: "00o1", Cell: "ok1", Status: status, Products: append([]string{}, products...)}
}

func declaring(status state.Status, tier string, products ...string) *declaredState {
	return &declaredState{
		Status: status, Products: append([]string{}, products...), ProductPolicy: state.Exact, Mode: state.Apply, Owner: "ada", Labels: map[string]string{"tier": tier},
	}
}

// fleetStates are three declared orgs, an unmanaged one, one that is gone, and the account.
func fleetStates(t *testing.T) []history.OrgState {
	t.Helper()
	account, err := accountState(
		&state.Desired{Products: map[string]string{"sso": "P000052", "mfa": "P000131", "strong": "P000131"}, Limits: map[string]state.Limit{"P000131": {Max: 1}}},
		&state.Actual{Account: state.Account{ID: "0200"}, Catalog: []state.Product{{ID: "P000052", Name: "IT Products - SSO"}, {ID: "P000999", Name: "Workflows"}}}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	ignoring := declaring("", "test", "P000131")
	ignoring.ProductPolicy = state.Ignore
	return []history.OrgState{
		account,
		orgState("a.okta.com", declaring(state.Active, "production", "P000052", "P000131"), live(state.Active, "P000052")),
		orgState("b.okta.com", declaring(state.Inactive, "test", "P000131"), live(state.Inactive, "P000131")),
		orgState("c.okta.com", ignoring, &liveState{ID: "00o3", Status: state.Active}),
		orgState("gone.okta.com", nil, nil),
		orgState("new.okta.com", declaring(state.Active, "test", "P000131"), nil),
		orgState("other.okta.com", nil, live(state.Active, "P000052", "P000131")),
	}
}

// each returns what calls add with each state.
func each(states []history.OrgState) func(add func(*history.OrgState) error) error {
	return func(add func(*history.OrgState) error) error {
		for i := range states {
			if err := add(&states[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func domains(page *Page[OrgItem]) string {
	var all []string
	for _, o := range page.Items {
		all = append(all, strings.TrimSuffix(o.Domain, ".okta.com"))
	}
	return strings.Join(all, " ")
}

func TestListOrgs(t *testing.T) {
	since := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	drift := []history.Drift{{Org: "a.okta.com", Field: "products", Since: since.Add(time.Hour)}, {Org: "a.okta.com", Field: "status", Since: since}, {Org: ""}}
	inv, err := InventoryOf(each(fleetStates(t)), drift, nil)
	if err != nil {
		t.Fatal(err)
	}
	selector := func(s string) state.Selector {
		sel, err := state.ParseSelector(s)
		if err != nil {
			t.Fatal(err)
		}
		return sel
	}
	for name, tt := range map[string]struct {
		q    InventoryQuery
		want string
		next string
	}{
		"all":                 {InventoryQuery{}, "a b c new other", ""},
		"some":                {InventoryQuery{Orgs: []string{"b.okta.com", "other.okta.com", "x"}}, "b other", ""},
		"live product":        {InventoryQuery{Product: "mfa"}, "b other", ""},
		"by id":               {InventoryQuery{Product: "P000131"}, "b other", ""},
		"by Okta's name":      {InventoryQuery{Product: "it products - sso"}, "a other", ""},
		"declared product":    {InventoryQuery{Product: "strong", Declared: true}, "a b new", ""},
		"unheard of id":       {InventoryQuery{Product: "P777777"}, "", ""},
		"status":              {InventoryQuery{Status: state.Inactive}, "b", ""},
		"declared status":     {InventoryQuery{Status: state.Active, Declared: true}, "a new", ""},
		"label":               {InventoryQuery{Labels: selector("tier=test")}, "b c new", ""},
		"no label":            {InventoryQuery{Labels: selector("tier!=test")}, "a other", ""},
		"drifted":             {InventoryQuery{Drifted: new(true)}, "a", ""},
		"not drifted":         {InventoryQuery{Drifted: new(false), Declared: true}, "b c new", ""},
		"first page":          {InventoryQuery{Limit: 2}, "a b", "b.okta.com"},
		"next page":           {InventoryQuery{Limit: 2, After: "b.okta.com"}, "c new", "new.okta.com"},
		"last page":           {InventoryQuery{Limit: 2, After: "new.okta.com"}, "other", ""},
		"after what was lost": {InventoryQuery{Limit: 2, After: "bb.okta.com"}, "c new", "new.okta.com"},
		"full page":           {InventoryQuery{Limit: 5}, "a b c new other", ""},
	} {
		page, err := inv.ListOrgs(&tt.q)
		if err != nil || domains(page) != tt.want || page.Next != tt.next || page.Items == nil {
			t.Errorf("%s: %q, next %q, error %v; want %q, next %q", name, domains(page), page.Next, err, tt.want, tt.next)
		}
	}
	a, other := inv.Orgs[0], inv.Orgs[4]
	if a.Drifted != 2 || !a.Since.Equal(since) || !a.Managed || a.Owner != "ada" || a.Labels["tier"] != "production" {
		t.Errorf("%+v", a)
	}
	if other.Managed || other.ID != "00o1" || other.DeclaredProducts != nil || other.Labels == nil || inv.Orgs[2].Products != nil {
		t.Errorf("%+v", other)
	}
	if n, none := inv.unread(&InventoryQuery{Product: "mfa"}), inv.unread(&InventoryQuery{Drifted: new(true)}); n != 1 || none != 0 {
		t.Errorf("%d and %d orgs whose products are not read, want 1 and 0", n, none)
	}
	_, err = inv.ListOrgs(&InventoryQuery{Product: "storng"})
	if err == nil || err.Error() != `no product is called "storng": did you mean "strong"?` || !strings.Contains(text.Hint(err), "get products") {
		t.Errorf("%v", err)
	}
}

func TestListProducts(t *testing.T) {
	inv, err := InventoryOf(each(fleetStates(t)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	one := 1
	page, err := inv.ListProducts(&InventoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ProductItem{
		{ID: "P000052", Name: "sso", Have: 2, Want: 1, WantActive: 1},
		{ID: "P000131", Name: "mfa", Have: 2, Inactive: 1, Want: 3, WantActive: 2, Limit: &one},
		{ID: "P000999", Name: "Workflows"},
	}, page.Items); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	page, err = inv.ListProducts(&InventoryQuery{Product: "mfa", Orgs: []string{"a.okta.com"}})
	if err != nil || len(page.Items) != 1 || page.Items[0].Want != 1 || page.Items[0].Have != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestListDrift(t *testing.T) {
	inv, err := InventoryOf(each(fleetStates(t)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	open := []history.Drift{
		{Org: "", Field: "name", Desired: raw(diff.Text("Acme")), Actual: raw(diff.Text("acme")), Since: day},
		{Org: "a.okta.com", Field: "products", Desired: raw(diff.List([]string{"P000052", "P000131"})), Actual: raw(diff.List([]string{"P000052"})), Since: day, Times: 3, Cause: &history.Cause{Actor: "eve"}},
		{Org: "b.okta.com", Field: "status", Desired: raw(diff.Text("ACTIVE")), Actual: raw(diff.Text("INACTIVE")), Since: day.Add(time.Hour), Unknown: "too long ago"},
	}
	items, _, err := driftItems(open, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		q    InventoryQuery
		want string
	}{
		"all":             {InventoryQuery{}, " name, a.okta.com products, b.okta.com status"},
		"org":             {InventoryQuery{Orgs: []string{"b.okta.com"}}, "b.okta.com status"},
		"product":         {InventoryQuery{Product: "mfa"}, "a.okta.com products"},
		"another product": {InventoryQuery{Product: "sso"}, ""},
		"since":           {InventoryQuery{Since: day.Add(time.Minute)}, "b.okta.com status"},
		"page":            {InventoryQuery{Limit: 1, After: "a.okta.com products"}, "b.okta.com status"},
		"status":          {InventoryQuery{Status: state.Inactive}, "b.okta.com status"},
	} {
		page, err := inv.ListDrift(items, &tt.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range page.Items {
			got = append(got, driftKey(&page.Items[i]))
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	page, _ := inv.ListDrift(items, &InventoryQuery{})
	if d := page.Items[1]; d.Times != 3 || d.Cause.Actor != "eve" || d.Desired.List()[1] != "P000131" {
		t.Errorf("%+v", d)
	}
}

// Since when an org is INACTIVE, and by whom, is found in changes of ours, in drift with
// its cause, and else in what runs have read.
func TestInactiveSince(t *testing.T) {
	p := newPast(t)
	active := func(domain string) history.OrgState { return orgState(domain, nil, live(state.Active)) }
	inactive := func(domain string, products ...string) history.OrgState {
		return orgState(domain, nil, live(state.Inactive, products...))
	}
	ours := history.Entry{Org: "ours.okta.com", Action: string(diff.SetStatus), Before: raw("ACTIVE"), After: raw("INACTIVE")}
	failed := history.Entry{Org: "hand.okta.com", Action: string(diff.SetStatus), Before: raw("ACTIVE"), After: raw("INACTIVE"), Outcome: "failed"}
	drifts := func(actual string) history.Drift {
		return history.Drift{Org: "drift.okta.com", Field: diff.FieldOf(diff.SetStatus), Desired: raw("ACTIVE"), Actual: raw(actual)}
	}
	p.run(found{states: []history.OrgState{active("ours.okta.com"), active("drift.okta.com"), active("hand.okta.com"), inactive("always.okta.com"), active("again.okta.com")}, result: ResultInSync})
	first := p.now
	run := p.run(found{
		by: "ada@ops1", changes: []history.Entry{ours, failed}, drift: []history.Drift{drifts("INACTIVE")},
		states: []history.OrgState{inactive("ours.okta.com"), inactive("drift.okta.com"), inactive("hand.okta.com"), inactive("again.okta.com")}, result: ResultApplied,
	})
	second := p.now
	p.run(found{drift: []history.Drift{drifts("INACTIVE")}, states: []history.OrgState{inactive("ours.okta.com", "P000052"), inactive("hand.okta.com", "P000052"), active("again.okta.com")}, result: ResultApplied})
	p.run(found{drift: []history.Drift{drifts("INACTIVE")}, states: []history.OrgState{inactive("again.okta.com")}, result: ResultApplied})
	last := p.now

	reader := NewInventoryReader(p.Store, "0200")
	check := func(domain string, want *Inactive) {
		t.Helper()
		page, err := reader.Orgs(&InventoryQuery{Orgs: []string{domain}})
		p.must(err)
		if diff := cmp.Diff(want, page.Items[0].Inactive); diff != "" {
			t.Errorf("%s (-want +got)\n%s", domain, diff)
		}
	}
	check("ours.okta.com", &Inactive{Since: second.Add(-time.Minute), By: "ada@ops1", Run: run})
	check("hand.okta.com", &Inactive{Since: second})
	check("always.okta.com", &Inactive{Since: first, OrEarlier: true})
	check("again.okta.com", &Inactive{Since: last})
	check("drift.okta.com", &Inactive{Since: second})

	open, err := p.Drifts()
	p.must(err)
	at := second.Add(-20 * time.Minute)
	p.must(p.Caused(open[0].Seq, &history.Cause{Actor: "eve@acme.example", Time: at, EventID: "e1"}, ""))
	reader.Changed()
	check("drift.okta.com", &Inactive{Since: at, By: "eve@acme.example"}) // which the head has moved for
}

func TestListRunsAndChanges(t *testing.T) {
	p := newPast(t)
	begin := p.now
	update := func(domain string, before, after []string) history.Entry {
		return history.Entry{Org: domain, Action: string(diff.UpdateProducts), Before: raw(before), After: raw(after)}
	}
	p.run(found{by: "ada", changes: []history.Entry{update("a.okta.com", []string{"P000052"}, []string{"P000052", "P000131"})}, states: fleetStates(t), result: ResultApplied})
	p.run(found{by: "bob", changes: []history.Entry{update("b.okta.com", []string{"P000052"}, []string{}), update("a.okta.com", nil, []string{"P000052"})}, result: ResultApplied})
	p.run(found{result: ResultInSync, quiet: true})
	quietAt := p.now
	reader := NewInventoryReader(p.Store, "0200")
	all := func(q InventoryQuery) string {
		t.Helper()
		var got []string
		for range 10 {
			page, err := reader.Changes(&q)
			p.must(err)
			for _, e := range page.Items {
				got = append(got, fmt.Sprintf("%s/%s", e.Run, strings.TrimSuffix(e.Org, ".okta.com")))
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			got = append(got, "|")
		}
		return strings.Join(got, " ")
	}
	runs := func(q InventoryQuery) string {
		t.Helper()
		var got []string
		for range 10 {
			page, err := reader.Runs(&q)
			p.must(err)
			for _, r := range page.Items {
				got = append(got, fmt.Sprintf("%s by %s: %d", r.ID, r.By, r.Changes.Applied))
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			got = append(got, "|")
		}
		return strings.Join(got, " ")
	}
	tier, _ := state.ParseSelector("tier=production")
	for name, tt := range map[string]struct {
		q             InventoryQuery
		changes, runs string
	}{
		"all":     {InventoryQuery{}, "run2/a run2/b run1/a", "run2 by bob: 2 run1 by ada: 1"},
		"pages":   {InventoryQuery{Limit: 1}, "run2/a | run2/b | run1/a", "run2 by bob: 2 | run1 by ada: 1"},
		"org":     {InventoryQuery{Orgs: []string{"b.okta.com"}}, "run2/b", "run2 by bob: 2"},
		"orgs":    {InventoryQuery{Orgs: []string{"b.okta.com", "a.okta.com"}, Limit: 2}, "run2/a run2/b | run1/a", "run2 by bob: 2 run1 by ada: 1"},
		"product": {InventoryQuery{Product: "mfa"}, "run1/a", "run1 by ada: 1"},
		"label":   {InventoryQuery{Labels: tier}, "run2/a run1/a", "run2 by bob: 2 run1 by ada: 1"},
		"since":   {InventoryQuery{Since: begin.Add(90 * time.Minute)}, "run2/a run2/b", "run2 by bob: 2"},
		"outcome": {InventoryQuery{Outcome: "failed"}, "", ""},
		"run":     {InventoryQuery{Run: "run1"}, "run1/a", "run2 by bob: 2 run1 by ada: 1"},
	} {
		if got := all(tt.q); got != tt.changes {
			t.Errorf("%s: changes %q, want %q", name, got, tt.changes)
		}
		if got := runs(tt.q); got != tt.runs {
			t.Errorf("%s: runs %q, want %q", name, got, tt.runs)
		}
	}
	page, err := reader.Runs(&InventoryQuery{})
	p.must(err)
	if page.Quiet.Runs != 1 || page.AsOf == nil || !page.AsOf.Equal(quietAt) || page.Account != "0200" || page.ProductNames["P000131"] != "mfa" {
		t.Errorf("%+v", page)
	}
	if _, err := reader.Changes(&InventoryQuery{After: "x"}); err == nil || !strings.Contains(err.Error(), `"x" is not the end of a page`) {
		t.Errorf("%v", err)
	}
	// An interrupted run is there at once, and a run that fails is no reading.
	p.now = p.now.Add(time.Hour)
	_, err = p.Begin(history.Run{ID: "going", Command: "apply", By: "eve", Started: p.now})
	p.must(err)
	page, err = reader.Runs(&InventoryQuery{Limit: 1})
	p.must(err)
	if r := page.Items[0]; r.ID != "going" || r.Result != "" || r.Finished != nil || r.Changes != nil || page.Next != "going" {
		t.Errorf("%+v", r)
	}
	p.run(found{result: ResultError})
	asOf, err := reader.AsOf()
	p.must(err)
	if asOf == nil || asOf.After(quietAt) {
		t.Errorf("as of %v, want no later than %v", asOf, quietAt)
	}
}

// Without a state folder, what the last run found is all that is known.
func TestInventoryFromMemory(t *testing.T) {
	r := &Reconciler{memory: &memory{}, history: history.New(location.Folder(""), history.Options{})}
	r.memory.states = map[string]history.OrgState{}
	for _, s := range fleetStates(t) {
		r.memory.states[s.Org] = s
	}
	reader := &InventoryReader{history: r.history, memory: r.memory, latest: &latest{}}
	page, err := reader.Orgs(&InventoryQuery{Product: "sso"})
	if err != nil || domains(page) != "a other" || page.AsOf != nil {
		t.Errorf("%+v, %v", page, err)
	}
	detail, err := reader.Org("a.okta.com")
	if err != nil || detail == nil || !strings.Contains(string(detail.Declared), "P000131") {
		t.Errorf("%+v, %v", detail, err)
	}
	if detail, err := reader.Org("x.okta.com"); err != nil || detail != nil {
		t.Errorf("%+v, %v", detail, err)
	}
	if _, err := reader.Changes(&InventoryQuery{}); err != ErrNoHistory {
		t.Errorf("%v", err)
	}
}

// While what is new is read, others get what was known before; who asks after Changed gets
// what is new. A reader that is made later goes on with it.
func TestInventoryWhileItIsRead(t *testing.T) {
	p := newPast(t)
	p.run(found{states: fleetStates(t), result: ResultInSync})
	r := &Reconciler{cfg: &config.Config{State: config.State{Dir: "x"}}, history: p.Store, latest: &latest{}}
	reader := r.Inventory()
	reader.Changed()
	if reader.moment.Load() != nil {
		t.Error("it was read, and nobody has ever asked")
	}
	before, err := reader.Read()
	p.must(err)
	drift := history.Drift{Org: "a.okta.com", Field: "products", Desired: raw([]string{"P000052"}), Actual: raw([]string{"P000131"})}
	p.run(found{drift: []history.Drift{drift}, result: ResultDrift})
	reader.mu.Lock()
	now, err := reader.Read()
	reader.mu.Unlock()
	p.must(err)
	if now != before {
		t.Error("what is new was waited for")
	}
	later := r.Inventory()
	later.Changed()
	page, err := reader.Drift(&InventoryQuery{})
	p.must(err)
	if len(page.Items) != 1 || page.Items[0].Actual.List()[0] != "P000131" || page.Items[0].Times != 1 {
		t.Errorf("%+v", page.Items)
	}
	// The same drift again: what is decoded is what was, and what is counted isn't.
	p.run(found{drift: []history.Drift{drift}, result: ResultDrift})
	reader.Changed()
	page, err = later.Drift(&InventoryQuery{})
	p.must(err)
	if len(page.Items) != 1 || page.Items[0].Actual.List()[0] != "P000131" || page.Items[0].Times != 2 {
		t.Errorf("%+v", page.Items)
	}
	drift.Actual = raw([]string{"P000052", "P000131"})
	p.run(found{drift: []history.Drift{drift}, result: ResultDrift})
	later.Changed()
	page, err = reader.Drift(&InventoryQuery{})
	p.must(err)
	if len(page.Items) != 1 || len(page.Items[0].Actual.List()) != 2 || page.Items[0].Times != 1 {
		t.Errorf("%+v", page.Items)
	}
}

// The version changes with each run, that of what is new only when a run finds something
// else.
func TestInventoryVersion(t *testing.T) {
	p := newPast(t)
	state := orgState("a.okta.com", declaring(state.Active, "test", "P000052"), live(state.Active, "P000052"))
	p.run(found{states: []history.OrgState{state}, result: ResultInSync})
	reader := NewInventoryReader(p.Store, "0200")
	if _, read, err := reader.Version(true); read || err != nil {
		t.Errorf("read before anybody asked: %v, %v", read, err)
	}
	_, err := reader.Read()
	p.must(err)
	version := func(news bool) InventoryVersion {
		v, read, err := reader.Version(news)
		if !read || err != nil {
			t.Errorf("news %v: read %v, %v", news, read, err)
		}
		return v
	}
	every, news := version(false), version(true)
	p.run(found{result: ResultInSync, quiet: true})
	if _, read, err := reader.Version(false); read || err != nil {
		t.Errorf("read although nobody asked: %v, %v", read, err)
	}
	if version(true) != news {
		t.Error("a quiet run is news")
	}
	if version(false) == every {
		t.Error("a quiet run makes no other version")
	}
	p.run(found{drift: []history.Drift{{Org: "a.okta.com", Field: "products", Desired: json.RawMessage(`["P000052"]`), Actual: json.RawMessage(`[]`)}}, result: ResultDrift})
	if version(true) == news {
		t.Error("drift is no news")
	}
}

// The inventory of the largest account is read once, and a page of it takes no time.
func TestLargeInventory(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 orgs")
	}
	p := newPast(t)
	var states []history.OrgState
	for i := range 5000 {
		states = append(states, orgState(fmt.Sprintf("org-%04d.okta.com", i), declaring(state.Active, "test", "P000052"), live(state.Active, "P000052")))
	}
	p.run(found{states: states, result: ResultApplied})
	reader := NewInventoryReader(p.Store, "0200")
	before := time.Now()
	inv, err := reader.Read()
	p.must(err)
	t.Logf("read within %v", time.Since(before))
	again, err := reader.Read()
	p.must(err)
	if len(inv.Orgs) != 5000 || again != inv {
		t.Errorf("%d orgs, read again: %v", len(inv.Orgs), again != inv)
	}
}
