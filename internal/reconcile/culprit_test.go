package reconcile

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/store/history"
	"reconciler/internal/web"
)

// watched is a fleet whose runs are recorded in a history.
type watched struct {
	*fleet
	r *Reconciler
	h *history.Store
}

// watch calls f with a fleet that is as declared, and was seen so.
func watch(t *testing.T, c simulatortest.Config, f func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if c.Orgs == 0 {
			c.Orgs, c.OrgScopes = 8, simulator.OrgScopes()
		}
		w := &watched{fleet: newFleetOf(t, "\nguards: {maxDestructiveOrgs: 10, maxDestructivePercent: 100}\n", c)}
		slices.Sort(w.orgs)
		text := "version: 1\nproducts: {sso: P000052, mfa: P000131}\norgs:\n"
		for _, domain := range w.orgs {
			text += fmt.Sprintf(`  - domain: %s
    products: [sso]
    status: ACTIVE
    access: {clientID: %s}
    configuration:
      networkZones: [{name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}]
      settings: {threatInsight: {action: audit}}
`, domain, w.sim.OrgCredentials.ClientID)
		}
		if err := os.WriteFile(w.manifests, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start()
		defer func() { w.r.Close() }()
		w.run(true)
		time.Sleep(10 * time.Minute)
		w.run(false)
		time.Sleep(5 * time.Minute)
		w.sim.ResetRequests()
		f(w)
	})
}

// start starts a process.
func (w *watched) start() {
	w.r = w.open(nil)
	w.h = w.r.History()
}

// run does a run as commands do, and finds out who caused what it found.
func (w *watched) run(write bool) Attribution {
	w.t.Helper()
	w.record(write)
	return w.attribute()
}

// record does a run as commands do.
func (w *watched) record(write bool) {
	w.t.Helper()
	run := history.Run{ID: web.NewRunID(time.Now()), Command: "run", By: "test", Started: time.Now()}
	ctx := web.WithRun(w.t.Context(), run.ID)
	rec, err := w.r.Record(run)
	w.must(err)
	plan, _, err := w.r.Plan(ctx, Filter{})
	w.must(err)
	rec.Planned(plan)
	time.Sleep(time.Second)
	var result *apply.Result
	if write {
		result, err = w.r.Apply(ctx, plan, nil)
		w.must(err)
		for _, o := range result.Outcomes {
			if o.Result != apply.Applied {
				w.t.Fatalf("%+v", o)
			}
		}
		time.Sleep(time.Second)
	}
	_, err = rec.Compared(result)
	w.must(err)
	run.Finished, run.Result = time.Now(), string(ResultOf(plan, result, nil))
	_, err = rec.End(run)
	w.must(err)
}

func (w *watched) attribute() Attribution {
	w.t.Helper()
	found, err := w.r.Attribute(w.t.Context(), w.h)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// culprits returns who caused the open drift, one line each.
func (w *watched) culprits() string {
	w.t.Helper()
	all, err := w.h.Drifts()
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for _, d := range all {
		who := "?"
		switch {
		case d.Cause != nil:
			who = d.Cause.Who()
			if d.Cause.Provisional {
				who += "?"
			}
		case d.Unknown != "":
			who = d.Unknown
		}
		lines = append(lines, fmt.Sprintf("%d %s: %s", slices.Index(w.orgs, d.Org), d.Field, who))
	}
	return strings.Join(lines, "\n")
}

func (w *watched) want(lines ...string) {
	w.t.Helper()
	if got, want := w.culprits(), strings.Join(lines, "\n"); got != want {
		w.t.Errorf("got\n%s\nwant\n%s\nlog: %s", got, want, w.log.String())
	}
}

// logCalls returns how many calls of logs there were, since they were counted last.
func (w *watched) logCalls() int {
	n := 0
	for _, r := range w.sim.Requests() {
		if strings.HasSuffix(r.Path, "/logs") || strings.HasSuffix(r.Path, "/token") {
			n++
		}
	}
	w.sim.ResetRequests()
	return n
}

func (w *watched) must(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestCulprits: who changed what is found out at once, and is sure an hour later; nothing
// is read if there is nothing to find out.
func TestCulprits(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		if n := w.logCalls(); n > 0 {
			t.Errorf("%d calls without drift", n)
		}
		zones := func(org int) *simulator.Objects { return w.sim.Objects(w.orgs[org]) }
		w.must(
			w.sim.SetOrgProducts(w.orgs[0], []string{"P000052", "P000131"}, "eve@acme.example"),
			w.sim.SetOrgProducts(w.orgs[1], []string{"P000131"}, "ada@acme.example"),
		)
		time.Sleep(time.Second)
		w.must(
			w.sim.SetOrgProducts(w.orgs[1], []string{"P000131", "P000139"}, simulator.OktaSystem),
			zones(0).Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, "bob@acme.example"),
			zones(1).Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, simulator.OktaSupport),
			zones(2).Put("settings/threatInsight", `{"action": "none"}`, "cat@acme.example"),
			zones(2).Put("networkZones", `{"name": "Others", "type": "IP", "gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, "dan@acme.example"),
		)
		time.Sleep(5 * time.Minute)
		if found := w.run(false); found != (Attribution{People: 3, Okta: 1, Unknown: 0}) {
			t.Errorf("found %+v", found)
		}
		provisional := []string{
			"0 networkZones/Offices: gateways: bob@acme.example?", "0 products: eve@acme.example?",
			"1 networkZones/Offices: gateways: ?", "1 products: Okta itself (Okta System)?", "2 settings/threatInsight: action: cat@acme.example?",
		}
		w.want(provisional...)
		all, _ := w.h.Drifts()
		c := all[1].Cause
		if c.ActorType != "User" || c.Event != "account.org.product.update" || c.Address != "203.0.113.7" || !strings.Contains(c.Client, "Firefox") || c.EventID == "" {
			t.Errorf("got %+v", c)
		}
		if got := c.String(); !strings.HasPrefix(got, "eve@acme.example from 203.0.113.7 at 2000-01-01T00:15:") || !strings.HasSuffix(got, "Z, so far") || c.Doubt != "a later event may still come" {
			t.Error(got, c.Doubt)
		}
		if n := w.logCalls(); n == 0 {
			t.Error("nothing was asked")
		}
		time.Sleep(80 * time.Minute)
		w.run(false)
		final := strings.Split(strings.ReplaceAll(strings.Join(provisional, "\n"), "example?", "example"), "\n")
		final[2], final[3] = "1 networkZones/Offices: gateways: no event of the System Log can have caused it", "1 products: Okta itself (Okta System)"
		w.want(final...)
		all, _ = w.h.Drifts()
		if doubt := all[3].Cause.Doubt; doubt != "one other has changed it in the same time" {
			t.Error(doubt)
		}
		w.sim.ResetRequests()
		w.attribute()
		if n := w.logCalls(); n > 0 {
			t.Errorf("%d calls with all found out", n)
		}
		causes := CauseOf(all)
		if got := causes(w.orgs[0], "products"); got == nil || got.Actor != "eve@acme.example" {
			t.Errorf("got %+v", got)
		}
		if got := causes(w.orgs[1], "networkZones/Offices"); got != nil {
			t.Errorf("got %+v", got)
		}
		if entries, err := w.h.Entries(history.Query{Types: []history.Type{history.TypeCause}}); err != nil || len(entries) != 9 {
			t.Errorf("%d entries, %v", len(entries), err)
		}
	})
}

// TestCulpritComesLate: events that come late are joined when they do, also by another
// process; until then nobody is blamed.
func TestCulpritComesLate(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		w.must(w.sim.SetOrgStatus(w.orgs[0], "INACTIVE", "eve@acme.example")) // then as declared again
		w.must(w.sim.SetOrgStatus(w.orgs[0], "ACTIVE", "eve@acme.example"))
		w.must(w.sim.SetOrgProducts(w.orgs[1], nil, "bob@acme.example"))
		w.must(w.sim.SetOrgProducts(w.orgs[1], []string{"P000052"}, "bob@acme.example"))
		time.Sleep(5 * time.Minute)
		w.run(false)
		time.Sleep(5 * time.Minute)
		w.sim.SetLogFaults(simulator.LogFaults{Late: time.Hour, Repeat: 1})
		w.must(w.sim.SetOrgProducts(w.orgs[1], []string{"P000131"}, "ada@acme.example"))
		time.Sleep(5 * time.Minute)
		w.run(false)
		if got := w.culprits(); got != "1 products: ?" && got != "1 products: ada@acme.example?" {
			t.Error(got)
		}
		w.r.Close()
		w.start()
		time.Sleep(75 * time.Minute)
		w.run(false)
		w.want("1 products: ada@acme.example")
	})
}

// TestCulpritNeverComes: nobody is blamed for what the log doesn't have.
func TestCulpritNeverComes(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		w.must(w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "bob@acme.example"))
		time.Sleep(5 * time.Minute)
		w.run(true) // repairs it
		time.Sleep(5 * time.Minute)
		w.sim.SetLogFaults(simulator.LogFaults{Lose: 1})
		w.must(w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "eve@acme.example"))
		time.Sleep(5 * time.Minute)
		w.run(false)
		w.want("0 products: ?")
		time.Sleep(80 * time.Minute)
		w.run(false)
		w.want("0 products: the last to write it were we")
	})
}

// TestRepaired: what a run repairs at once is somebody's as well.
func TestRepaired(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		w.must(w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "eve@acme.example"))
		time.Sleep(5 * time.Minute)
		w.run(true)
		w.want("")
		repaired := func() *history.Entry {
			entries, err := w.h.Entries(history.Query{Types: []history.Type{history.TypeChange}, Org: w.orgs[0], Limit: 1})
			if err != nil || len(entries) != 1 {
				t.Fatal(entries, err)
			}
			return &entries[0]
		}
		if c := repaired().Cause; c == nil || c.Actor != "eve@acme.example" || !c.Provisional {
			t.Errorf("got %+v", c)
		}
		time.Sleep(80 * time.Minute)
		w.run(false)
		if c := repaired().Cause; c == nil || c.Actor != "eve@acme.example" || c.Provisional {
			t.Errorf("got %+v", c)
		}
	})
}

// TestManifestsChanged: where the org is as it was, and something else is declared, nobody
// of the log is asked.
func TestManifestsChanged(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		text, err := os.ReadFile(w.manifests)
		w.must(err)
		w.must(os.WriteFile(w.manifests, []byte(strings.Replace(string(text), "products: [sso]", "products: [sso, mfa]", 1)), 0o600))
		w.run(false)
		w.want("0 products: the org is as it was, and what is declared has changed")
		if n := w.logCalls(); n > 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestNoScopeForLogs: without the scope, nobody is known, it is said once, and all else
// works. Once it is granted, who it was is found out after all.
func TestNoScopeForLogs(t *testing.T) {
	for _, without := range []string{"Aerial org", "an org"} {
		t.Run(without, func(t *testing.T) {
			c := simulatortest.Config{Orgs: 8, OrgScopes: simulator.OrgScopes()}
			if without == "an org" {
				c.OrgScopes = slices.DeleteFunc(slices.Clone(c.OrgScopes), func(s string) bool { return s == ScopeLogs })
			} else {
				c.Scopes = []string{ScopeRead, ScopeManage}
			}
			watch(t, c, func(w *watched) {
				w.must(
					w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "eve@acme.example"),
					w.sim.Objects(w.orgs[0]).Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, "bob@acme.example"),
				)
				time.Sleep(5 * time.Minute)
				w.run(false)
				if without == "an org" {
					w.want("0 networkZones/Offices: gateways: ?", "0 products: eve@acme.example?")
				} else {
					w.want("0 networkZones/Offices: gateways: bob@acme.example?", "0 products: ?")
				}
				said := func() int { return strings.Count(w.log.String(), "who caused drift ") }
				if said() != 1 || !strings.Contains(w.log.String(), "grant okta.logs.read to the app") {
					t.Errorf("said %d times: %s", said(), w.log.String())
				}
				time.Sleep(90 * time.Minute)
				w.run(false)
				w.logCalls()
				w.attribute()
				if n := w.logCalls(); n > 0 {
					t.Errorf("%d calls", n)
				}
				time.Sleep(6 * time.Hour)
				w.attribute()
				if n := w.logCalls(); n == 0 || said() != 1 {
					t.Errorf("%d calls, said %d times", n, said())
				}
			})
		})
	}
}

// counting counts how often a history is asked for changes of one org.
type counting struct {
	Ledger
	asked int
}

func (c *counting) Entries(q history.Query) ([]history.Entry, error) {
	if q.Org != "" {
		c.asked++
	}
	return c.Ledger.Entries(q)
}

// While a log may not be read, the history isn't searched for what is held against it.
func TestNoScopeCostsNothing(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		w.must(w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "eve@acme.example"))
		time.Sleep(5 * time.Minute)
		w.sim.Fault(t, "GET /api/v1/logs status=403")
		for range 3 {
			w.record(false)
			h := &counting{Ledger: w.h}
			if _, err := w.r.Attribute(w.t.Context(), h); err != nil || h.asked > 0 {
				t.Errorf("asked %d times, %v", h.asked, err)
			}
			time.Sleep(10 * time.Minute)
		}
		w.sim.ClearFaults()
		time.Sleep(refusedFor)
		w.record(false)
		h := &counting{Ledger: w.h}
		if _, err := w.r.Attribute(w.t.Context(), h); err != nil || h.asked != 1 {
			t.Errorf("asked %d times, %v", h.asked, err)
		}
		w.want("0 products: eve@acme.example")
	})
}

// TestLogsFail: a log that can't be read is an error, and soon; the next run finds out.
func TestLogsFail(t *testing.T) {
	for _, fault := range []string{"GET /api/v1/logs status=500", "GET /api/v1/logs hang", "GET /api/v1/logs garbage", "GET /api/v1/logs loop", "GET /api/v1/logs status=429 reset=50s"} {
		t.Run(fault, func(t *testing.T) {
			watch(t, simulatortest.Config{}, func(w *watched) {
				w.must(w.sim.SetOrgProducts(w.orgs[0], []string{"P000131"}, "eve@acme.example"))
				time.Sleep(5 * time.Minute)
				w.record(false)
				w.sim.Fault(t, fault)
				start := time.Now()
				if _, err := w.r.Attribute(w.t.Context(), w.h); err == nil || time.Since(start) > attributing {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				w.want("0 products: ?")
				w.sim.ClearFaults()
				w.attribute()
				w.want("0 products: eve@acme.example?")
			})
		})
	}
}

// TestCulpritsOfANewProcess: a process that has just begun knows from the history how an
// object was before, so that it can say who changed it, or that nobody did.
func TestCulpritsOfANewProcess(t *testing.T) {
	watch(t, simulatortest.Config{}, func(w *watched) {
		zone := w.sim.Objects(w.orgs[0])
		w.must(zone.Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, "bob@acme.example"))
		time.Sleep(2 * time.Hour)
		w.run(false)
		w.must(zone.Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "198.51.100.0/24"}]}`, "bob@acme.example"))
		time.Sleep(2 * time.Hour)
		w.run(false)
		time.Sleep(2 * time.Hour)
		w.must(zone.Patch("networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`, "ada@acme.example"))
		text, err := os.ReadFile(w.manifests)
		w.must(err)
		w.must(os.WriteFile(w.manifests, []byte(strings.Replace(string(text), "action: audit", "action: block", 1)), 0o600))
		time.Sleep(5 * time.Minute)
		restart := func() {
			w.r.Close()
			w.start()
			w.run(false)
		}
		restart()
		w.want("0 networkZones/Offices: gateways: ada@acme.example?", "0 settings/threatInsight: action: the org is as it was, and what is declared has changed")
		time.Sleep(75 * time.Minute)
		restart()
		all, err := w.h.Drifts()
		w.must(err)
		if c := all[0].Cause; c == nil || c.Actor != "ada@acme.example" || c.Provisional || c.Doubt != "" {
			t.Errorf("got %+v", all[0])
		}
	})
}
