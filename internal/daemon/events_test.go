package daemon

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/diff"
	"reconciler/internal/freeze"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
)

// lookedAt returns findings of a run that found nothing.
func lookedAt(change func(*findings)) *findings {
	f := &findings{
		at: noon, commit: "c1", run: &api.RunRecord{ID: "r1", Result: ResultInSync, Finished: noon},
		compared: &compared{}, unverified: &unverified{}, alarms: &[]reconcile.Alarm{}, suspensions: &[]freeze.Suspension{},
		actor: func(action, id string) string { return action + "er of " + id },
		declared: func(domain string) *state.DesiredOrg {
			if domain == "" || domain == "gone" {
				return nil
			}
			return &state.DesiredOrg{Domain: domain, Owner: domain + "@acme.example", Labels: map[string]string{"tier": "1"}}
		},
		link: func(e *notify.Event) string { return "link of " + e.Org },
	}
	if change != nil {
		change(f)
	}
	return f
}

// line returns an event in one line.
func line(e *notify.Event) string {
	parts := []string{string(e.Type)}
	add := func(name, value string) {
		if value != "" && value != "null" {
			parts = append(parts, name+"="+value)
		}
	}
	add("org", e.Org)
	add("field", e.Field)
	if e.Before != nil || e.After != nil {
		parts = append(parts, orNull(e.Before)+"→"+orNull(e.After))
	}
	if e.Since != nil {
		add("since", fmt.Sprint(e.Since.Sub(noon)))
	}
	add("by", e.By)
	if e.Commit != "c1" {
		add("commit", e.Commit)
	}
	return strings.Join(parts, " ")
}

func orNull(v json.RawMessage) string {
	if v == nil {
		return "null"
	}
	return string(v)
}

func drifting(org, field, desired, actual string, since time.Duration) Drift {
	return Drift{Org: org, Field: field, Desired: diff.Text(desired), Actual: diff.Text(actual), Since: noon.Add(since)}
}

func TestEvents(t *testing.T) {
	const hour = time.Hour
	drift := func(all ...Drift) func(*findings) { return func(f *findings) { f.compared.drift = all } }
	ended := func(rec api.RunRecord) func(*findings) {
		return func(f *findings) { rec.ID, rec.Finished, f.run = "r1", noon, &rec }
	}
	failed := func(f *findings) {
		ended(api.RunRecord{Result: ResultError, Problem: &reconcile.Problem{Error: "no token", Hint: "see the key"}})(f)
		f.compared = nil
	}
	mallory := drifting("a", "status", "ACTIVE", "INACTIVE", -hour)
	mallory.Cause = &history.Cause{Actor: "mallory@acme.example", Provisional: true}
	known := mallory
	known.Cause = &history.Cause{Actor: "mallory@acme.example"}
	made := func(m reconcile.Made) func(*findings) {
		return func(f *findings) { f.compared.made, f.compared.newest = []reconcile.Made{m}, 7 }
	}
	undone := reconcile.Made{
		Entry:    history.Entry{Org: "a", Action: string(diff.SetStatus), Run: "r1", By: "root@ops1", Commit: "c1", Time: noon, Cause: &history.Cause{Actor: "eve", Time: noon.Add(-time.Minute)}},
		Fields:   []Drift{drifting("a", "status", "ACTIVE", "INACTIVE", 0)},
		Repaired: true,
	}
	ours := undone
	ours.Repaired, ours.Cause = false, nil
	suspension := freeze.Suspension{ID: "s1", Owner: "ada", Reason: "migration", Since: noon.Add(-3 * hour), Until: noon.Add(2 * hour)}
	held := func(at time.Duration, all ...freeze.Suspension) func(*findings) {
		return func(f *findings) { f.at, f.suspensions = noon.Add(at), &all }
	}
	limit := func(declared, live int) func(*findings) {
		return func(f *findings) {
			f.compared.limits = []reconcile.ProductLimit{{ID: "P000131", Name: "mfa", Max: 2, Declared: declared, Live: live}}
		}
	}
	refuses := func(guards ...string) func(*findings) {
		return func(f *findings) {
			for _, g := range guards {
				f.compared.refusals = append(f.compared.refusals, diff.Refusal{Guard: g, Message: "too many"})
			}
		}
	}
	stale := func(key string, refused bool) func(*findings) {
		return func(f *findings) {
			s := &api.Stale{Problem: reconcile.Problem{Error: "orgs.yaml:3:1: " + key}, Refused: refused, Since: noon.Add(-hour), Key: key}
			if refused {
				s.Commit = "c2"
			}
			f.run = &api.RunRecord{ID: "r1", Result: ResultInSync, Finished: noon, Stale: s}
		}
	}
	alarm := func(orgs ...string) func(*findings) {
		return func(f *findings) {
			for _, org := range orgs {
				*f.alarms = append(*f.alarms, reconcile.Alarm{Org: org, Message: "the token of " + org + " is lost", Hint: "make another"})
			}
		}
	}
	type step struct {
		found func(*findings)
		want  []string
	}
	for name, steps := range map[string][]step{
		"drift, its end and again": {
			{drift(mallory), []string{`drift org=a field=status "ACTIVE"→"INACTIVE" since=-1h0m0s by=mallory@acme.example (so far)`}},
			{drift(known), nil}, // a late cause is no event
			{drift(drifting("a", "status", "ACTIVE", "DELETED", -hour)), []string{`drift org=a field=status "ACTIVE"→"DELETED" since=-1h0m0s`}},
			{failed, []string{`failed null→"error" since=0s`}}, // nothing says that it is gone
			{nil, []string{`recovered "error"→"in-sync" since=0s`, `repaired org=a field=status "DELETED"→"ACTIVE" since=-1h0m0s`}},
			{nil, nil},
			{drift(mallory), []string{`drift org=a field=status "ACTIVE"→"INACTIVE" since=-1h0m0s by=mallory@acme.example (so far)`}},
		},
		"why it isn't repaired is no event": {
			{drift(drifting("a", "status", "x", "y", 0)), []string{`drift org=a field=status "x"→"y" since=0s`}},
			{func(f *findings) {
				d := drifting("a", "status", "x", "y", 0)
				d.Blocked, d.Error = "mode: report", "429"
				f.compared.drift = []Drift{d}
			}, nil},
		},
		"repaired by us, known before": {
			{drift(known), []string{`drift org=a field=status "ACTIVE"→"INACTIVE" since=-1h0m0s by=mallory@acme.example`}},
			{made(undone), []string{`repaired org=a field=status "INACTIVE"→"ACTIVE" since=-1h0m0s by=reconciler (run r1 by root@ops1)`}},
			{nil, nil},
		},
		"repaired in the run that found it": {
			{made(undone), []string{
				`drift org=a field=status "ACTIVE"→"INACTIVE" since=-1m0s by=eve`,
				`repaired org=a field=status "INACTIVE"→"ACTIVE" since=-1m0s by=reconciler (run r1 by root@ops1)`,
			}},
		},
		"what the manifests changed is no drift": {{made(ours), nil}},
		"the org is no longer declared": {
			{drift(drifting("gone", "status", "x", "y", 0)), []string{`drift org=gone field=status "x"→"y" since=0s`}},
			{nil, []string{`repaired org=gone field=status "y"→"x" since=0s`}},
		},
		"failures": {
			{failed, []string{`failed null→"error" since=0s`}},
			{failed, nil},
			{ended(api.RunRecord{Result: ResultPartial, Changes: api.Changes{Failed: 2}}), []string{`failed "error"→"partial" since=0s`}},
			{ended(api.RunRecord{Result: ResultPartial, Summary: &diff.Summary{Unknown: 1}}), nil},
			{ended(api.RunRecord{Result: ResultPartial, Summary: &diff.Summary{}}), []string{`recovered "partial"→"partial" since=0s`}}, // what no call can change
			{ended(api.RunRecord{Result: ResultRefused}), nil},
		},
		"guards": {
			{refuses("maxNewOrgs"), []string{"refused field=maxNewOrgs"}},
			{refuses("maxNewOrgs", "lockout"), []string{"refused field=lockout"}},
			{refuses("lockout"), nil},
			{refuses(), []string{"recovered field=lockout"}},
			{refuses("lockout"), []string{"refused field=lockout"}},
		},
		"staleness": {
			{stale("timeout", false), []string{"stale field=manifests since=-1h0m0s"}},
			{stale("another timeout", false), nil},
			{stale("unknown key", true), []string{"stale field=manifests since=-1h0m0s commit=c2"}},
			{stale("unknown key", true), nil},
			{nil, []string{"recovered field=manifests"}},
		},
		"signatures": {
			{func(f *findings) { f.unverified = &unverified{"c3", "unsigned", "it is not signed"} }, []string{"signature commit=c3"}},
			{func(f *findings) { f.unverified = nil }, nil}, // git could not be read
			{func(f *findings) { f.unverified = &unverified{"c3", "unsigned", "it is not signed"} }, nil},
			{func(f *findings) { f.unverified = &unverified{"c4", "unsigned", "it is not signed"} }, []string{"signature commit=c4"}},
			{nil, nil},
			{func(f *findings) { f.unverified = &unverified{"c4", "unsigned", "it is not signed"} }, []string{"signature commit=c4"}},
		},
		"alarms": {
			{alarm("a"), []string{"token-lost org=a"}},
			{alarm("a", "b"), []string{"token-lost org=b"}},
			{func(f *findings) { f.alarms = nil }, nil}, // they can't be read
			{alarm("b"), nil},
			{alarm("a"), []string{"token-lost org=a"}},
		},
		"limits": {
			{limit(2, 2), nil},
			{limit(3, 2), []string{"limit field=P000131 2→3"}},
			{limit(4, 4), nil},
			{limit(1, 4), nil},
			{limit(1, 1), []string{"limit field=P000131 2→1"}},
			{limit(1, 3), []string{"limit field=P000131 2→3"}},
			{nil, []string{"limit field=P000131"}},
		},
		"suspensions": {
			{held(0, suspension), []string{`suspension field=s1 null→` + string(raw(suspension)) + ` since=-3h0m0s by=suspender of s1`}},
			{held(30*time.Minute, suspension), nil},
			{held(hour, suspension), []string{`suspension field=s1 ` + string(raw(suspension)) + `→` + string(raw(suspension)) + ` since=-3h0m0s by=ada`}},
			{held(hour+time.Minute, suspension), nil},
			{func(f *findings) { f.suspensions = nil }, nil},
			{held(2 * hour), []string{`suspension field=s1 ` + string(raw(suspension)) + `→null since=-3h0m0s`}},
		},
		"a suspension that is taken back": {
			{held(0, suspension), []string{`suspension field=s1 null→` + string(raw(suspension)) + ` since=-3h0m0s by=suspender of s1`}},
			{held(hour / 2), []string{`suspension field=s1 ` + string(raw(suspension)) + `→null since=-3h0m0s by=resumeer of s1`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			known := &told{}
			for i, s := range steps {
				events, next := eventsOf(known, lookedAt(s.found))
				var got []string
				for k := range events {
					got = append(got, line(&events[k]))
				}
				if d := cmp.Diff(s.want, got); d != "" {
					t.Errorf("step %d (-want +got):\n%s", i, d)
				}
				known = reopened(t, next)
			}
		})
	}
}

// reopened returns what is known after a restart.
func reopened(t interface{ Fatal(...any) }, known *told) *told {
	data, err := json.Marshal(known)
	again := &told{}
	if err == nil {
		err = json.Unmarshal(data, again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// An event has what its org has, and words without what Okta or a person could hide in
// them.
func TestEventsAreWhole(t *testing.T) {
	d := drifting("a", "status", "ACTIVE", "IN\x1b[31m\u202eACTIVE", -time.Hour)
	d.Cause = &history.Cause{Actor: "mallory"}
	events, _ := eventsOf(&told{}, lookedAt(func(f *findings) { f.compared.drift = []Drift{d} }))
	at := noon.Add(-time.Hour)
	want := []notify.Event{{
		Type: notify.Drift, Org: "a", Field: "status", Before: raw(d.Desired), After: raw(d.Actual), Since: &at, By: "mallory", Commit: "c1", Link: "link of a",
		Message: `status differs; repair: IN\x1b[31m\u202eACTIVE → ACTIVE`, Owner: "a@acme.example", Labels: map[string]string{"tier": "1"},
	}}
	if d := cmp.Diff(want, events); d != "" {
		t.Error(d)
	}

	// The token of a new org is named by its place alone, and not if it is lost.
	created := reconcile.Made{Entry: history.Entry{Org: "a", OrgID: "00oa", Action: string(diff.CreateOrg), Run: "r1", By: "ada", Time: noon}}
	message := func(change func(*findings)) string {
		events, _ := eventsOf(&told{}, lookedAt(func(f *findings) {
			f.compared.made, f.compared.tokens = []reconcile.Made{created}, "/var/lib/tokens"
			f.declared = func(string) *state.DesiredOrg {
				return &state.DesiredOrg{Create: &state.Create{Name: "Acme New"}}
			}
			change(f)
		}))
		return events[len(events)-1].Message
	}
	if got := message(func(*findings) {}); got != `the org was created: "Acme New", 00oa; its token is in /var/lib/tokens` {
		t.Error(got)
	}
	if got := message(func(f *findings) { f.alarms = &[]reconcile.Alarm{{Org: "a", Message: "lost"}} }); got != `the org was created: "Acme New", 00oa` {
		t.Error(got)
	}
}

// A suspension of named orgs is for these orgs; one of patterns for everybody.
func TestSuspendedOrgs(t *testing.T) {
	orgs := func(globs ...string) (all []string) {
		s := freeze.Suspension{ID: "s1", Orgs: globs, Owner: "ada", Reason: "x", Since: noon}
		events, _ := eventsOf(&told{}, lookedAt(func(f *findings) { f.suspensions = &[]freeze.Suspension{s} }))
		for _, e := range events {
			all = append(all, e.Org)
		}
		return all
	}
	if got := orgs("a", "b"); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
	if got := orgs("a", "b-*"); !slices.Equal(got, []string{""}) {
		t.Error(got)
	}
	if got := orgs(); !slices.Equal(got, []string{""}) {
		t.Error(got)
	}
}

// believed is what a receiver believes who was told of all events so far.
type believed struct {
	drift                 map[fieldKey]string
	failing, unverified   string
	stale                 bool
	refused, limits, held map[string]bool
	pairs                 map[string]int
}

// hear takes an event, and fails if it says nothing new.
func (b *believed) hear(t *rapid.T, e *notify.Event) {
	switch e.Type {
	case notify.Drift:
		key, now := fieldKey{e.Org, e.Field}, string(e.Before)+string(e.After)
		if b.drift[key] == now {
			t.Fatalf("told again: %s", line(e))
		}
		b.drift[key] = now
	case notify.Repaired:
		key := fieldKey{e.Org, e.Field}
		if b.drift[key] == "" {
			t.Fatalf("nobody knew that it differed: %s", line(e))
		}
		delete(b.drift, key)
		if e.By != "" {
			b.pairs[e.Field]++
		}
	case notify.Failed:
		if b.failing == string(e.After) {
			t.Fatalf("told again: %s", line(e))
		}
		b.failing = string(e.After)
	case notify.Recovered:
		switch {
		case e.Field == "manifests" && b.stale:
			b.stale = false
		case e.Field == "" && b.failing != "":
			b.failing = ""
		case e.Field != "" && e.Field != "manifests" && len(b.refused) > 0:
			clear(b.refused)
		default:
			t.Fatalf("nothing was wrong: %s", line(e))
		}
	case notify.Stale:
		b.stale = true
	case notify.Signature:
		if b.unverified == e.Commit {
			t.Fatalf("told again: %s", line(e))
		}
		b.unverified = e.Commit
	case notify.Refused:
		b.refused[e.Field] = true
	case notify.Limit:
		if past := string(e.After) > string(e.Before); past == b.limits[e.Field] {
			t.Fatalf("told again: %s", line(e))
		}
		b.limits[e.Field] = !b.limits[e.Field]
	case notify.Suspension:
		if begun := string(e.After) != ""; begun == b.held[e.Field] {
			t.Fatalf("told again: %s", line(e))
		}
		b.held[e.Field] = !b.held[e.Field]
	}
}

// Whatever runs find, whenever the process ends, and whether or not what is to be told can
// be kept: who hears all events knows how things are, and no event says what is known.
func TestEventsTellEachTransitionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &believed{
			drift: map[fieldKey]string{}, refused: map[string]bool{}, limits: map[string]bool{}, held: map[string]bool{}, pairs: map[string]int{},
		}
		known := &told{}
		var all []reconcile.Made // of the history, newest first
		some := func(label string, of ...string) []string {
			return slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, len(of), rapid.ID).Draw(t, label)))
		}
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			drift := map[fieldKey]string{}
			f := lookedAt(func(f *findings) {
				f.run.Result = rapid.SampledFrom([]Result{ResultInSync, ResultError, ResultPartial}).Draw(t, "result")
				f.run.Changes.Failed = 1
				for _, org := range some("orgs", "a", "b", "gone") {
					for _, field := range some("fields", "products", "status") {
						d := drifting(org, field, "x", rapid.SampledFrom([]string{"y", "z"}).Draw(t, "actual"), 0)
						f.compared.drift = append(f.compared.drift, d)
						drift[fieldKey{org, field}] = string(raw(d.Desired)) + string(raw(d.Actual))
					}
				}
				for range rapid.IntRange(0, 2).Draw(t, "made") {
					seq := int64(len(all) + 1)
					m := reconcile.Made{
						Entry:    history.Entry{Seq: seq, Org: "a", Action: string(diff.UpdateObject), Run: "r1"},
						Fields:   []Drift{drifting("a", fmt.Sprintf("groups/%d", seq), "x", "y", 0)},
						Repaired: true,
					}
					all = slices.Insert(all, 0, m)
				}
				for _, g := range some("guards", "lockout", "maxNewOrgs") {
					f.compared.refusals = append(f.compared.refusals, diff.Refusal{Guard: g})
				}
				for _, id := range []string{"P1", "P2"} {
					f.compared.limits = append(f.compared.limits, reconcile.ProductLimit{ID: id, Max: 2, Live: rapid.IntRange(1, 4).Draw(t, "live")})
				}
				held := []freeze.Suspension{}
				for _, id := range some("suspensions", "s1", "s2") {
					held = append(held, freeze.Suspension{ID: id, Owner: "ada", Reason: "x", Since: noon})
				}
				f.suspensions = &held
				if rapid.Bool().Draw(t, "stale") {
					f.run.Stale = &api.Stale{Refused: true, Commit: "c2"}
				}
				if commit := rapid.SampledFrom([]string{"", "c3", "c4"}).Draw(t, "unverified"); commit != "" {
					f.unverified = &unverified{commit, "unsigned", ""}
				}
			})
			f.compared.newest = int64(len(all))
			for _, m := range all {
				if m.Seq > known.Change {
					f.compared.made = append(f.compared.made, m)
				}
			}
			if f.run.Result == ResultError {
				f.compared = nil
			}
			events, next := eventsOf(known, f)
			if rapid.IntRange(0, 3).Draw(t, "outcome") == 0 { // they could not be queued, or the process was killed before
				known = reopened(t, known)
				continue
			}
			if known = next; rapid.Bool().Draw(t, "restart") {
				known = reopened(t, known)
			}
			for i := range events {
				b.hear(t, &events[i])
			}
			if f.unverified.commit == "" {
				b.unverified = ""
			}
			if want := string(raw(failing(f.run))); (b.failing == "") != (want == `""`) || b.failing != "" && b.failing != want {
				t.Fatalf("failing %s, want %s", b.failing, want)
			}
			held := map[string]bool{}
			for _, s := range *f.suspensions {
				held[s.ID] = true
			}
			maps.DeleteFunc(b.held, func(_ string, is bool) bool { return !is })
			if d := cmp.Diff(held, b.held); d != "" {
				t.Fatalf("suspensions %s", d)
			}
			if f.compared == nil {
				continue
			}
			if d := cmp.Diff(drift, b.drift, cmp.AllowUnexported(fieldKey{})); d != "" {
				t.Fatalf("drift (-is +believed):\n%s", d)
			}
			if b.stale != (f.run.Stale != nil) || (len(b.refused) > 0) != (len(f.compared.refusals) > 0) {
				t.Fatalf("stale %v, refused %v", b.stale, b.refused)
			}
			for _, l := range f.compared.limits {
				if b.limits[l.ID] != l.Past() {
					t.Fatalf("limits %v", b.limits)
				}
			}
			for _, m := range all {
				if n := b.pairs[m.Fields[0].Field]; n != 1 {
					t.Fatalf("the repair of %s was told %d times", m.Fields[0].Field, n)
				}
			}
		}
	})
}
