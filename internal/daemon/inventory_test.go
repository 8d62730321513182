package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/history"
	"reconciler/internal/store/location"
)

// inventoryHandler serves a history of two orgs, with a run that gave one of them a
// product, and an interrupted one.
func inventoryHandler(t *testing.T) http.Handler {
	t.Helper()
	h := history.New(location.Folder(t.TempDir()), history.Options{Now: func() time.Time { return noon }})
	t.Cleanup(func() { h.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := history.Run{ID: "r1", Command: "run", Trigger: "schedule", By: "root@ops1", Started: noon, Mode: "apply"}
	rec, err := h.Begin(run)
	must(err)
	pending, err := rec.Change(history.Entry{Type: history.TypeChange, Org: "a.okta.com", Action: "update-products", Before: json.RawMessage(`[]`), After: json.RawMessage(`["P000052"]`)})
	must(err)
	must(pending.End(history.Entry{Type: history.TypeChange, Org: "a.okta.com", Action: "update-products", Before: json.RawMessage(`[]`), After: json.RawMessage(`["P000052"]`), Outcome: "applied", RequestID: "q1"}))
	_, err = rec.Drift([]history.Drift{{Org: "b.okta.com", Field: "products", Desired: json.RawMessage(`["P000052"]`), Actual: json.RawMessage(`[]`)}}, func(*history.Drift) bool { return true })
	must(err)
	must(rec.States([]history.OrgState{
		{At: noon, Declared: json.RawMessage(`{"products": {"sso": "P000052"}, "limits": {"P000052": 1}}`), Live: json.RawMessage(`{"id": "0200"}`)},
		{At: noon, Org: "a.okta.com", OrgID: "00oa", Declared: json.RawMessage(`{"products": ["P000052"], "labels": {"tier": "one"}}`), Live: json.RawMessage(`{"id": "00oa", "products": ["P000052"], "status": "ACTIVE"}`)},
		{At: noon, Org: "b.okta.com", OrgID: "00ob", Declared: json.RawMessage("null"), Live: json.RawMessage(`{"id": "00ob", "products": [], "status": "ACTIVE"}`)},
	}))
	run.Finished, run.Result = noon.Add(time.Second), "applied"
	run.Record, err = json.Marshal(api.RunRecord{ID: "r1", Trigger: api.TriggerSchedule, Result: ResultApplied, Changes: api.Changes{Applied: 1}, Agreeing: 1})
	must(err)
	_, err = rec.Finish(run)
	must(err)
	rec, err = h.Begin(history.Run{ID: "r2", Command: "apply", By: "ada@ops1", Started: noon, Mode: "apply"})
	must(err)
	_, err = rec.Finish(history.Run{ID: "r2", Command: "apply", By: "ada@ops1", Started: noon, Finished: noon, Result: "error", Error: "no network"})
	must(err)

	b := newStatusTracker(api.Status{}, every10)
	handler, err := newHandler(handlerOptions{
		reader: &reader{
			InventoryReader: reconcile.NewInventoryReader(h, "0200"), tracker: b, requests: newRequests(), now: func() time.Time { return noon },
		},
		metrics: newMetrics("v1"), log: slog.New(slog.DiscardHandler), gate: openGate(t, "127.0.0.1:8080"),
	})
	must(err)
	return handler
}

func TestInventoryAPI(t *testing.T) {
	h := inventoryHandler(t)
	for _, tt := range []struct {
		method, path string
		code         int
		says         string
		not          string
	}{
		{"GET", "/api/v1/orgs", 200, `"domain": "b.okta.com"`, ""},
		{"HEAD", "/api/v1/orgs", 200, "", "a.okta.com"},
		{"GET", "/api/v1/orgs?limit=1", 200, `"next": "a.okta.com"`, "b.okta.com"},
		{"GET", "/api/v1/orgs?limit=1&after=a.okta.com", 200, `"next": ""`, `"a.okta.com"`},
		{"GET", "/api/v1/orgs?org=B.okta.com", 200, `"managed": false`, "a.okta.com"},
		{"GET", "/api/v1/orgs?product=sso", 200, "a.okta.com", "b.okta.com"},
		{"GET", "/api/v1/orgs?label=tier%3Done", 200, "a.okta.com", "b.okta.com"},
		{"GET", "/api/v1/orgs?drifted=true", 200, "b.okta.com", "a.okta.com"},
		{"GET", "/api/v1/orgs?since=2026-11-22", 200, `"items": []`, ""},
		{"GET", "/api/v1/orgs/A.okta.com", 200, `"declared": {`, ""},
		{"GET", "/api/v1/orgs/b.okta.com", 200, `"field": "products"`, ""},
		{"GET", "/api/v1/orgs/c.okta.com", 404, `"hint": "/api/v1/orgs lists all"`, ""},
		{"GET", "/api/v1/products", 200, `"limit": 1`, ""},
		{"GET", "/api/v1/drift", 200, `"times": 1`, ""},
		{"GET", "/api/v1/runs", 200, `"result": "error"`, ""},
		{"GET", "/api/v1/runs?limit=1", 200, `"next": "r2"`, `"r1"`},
		{"GET", "/api/v1/runs?org=a.okta.com", 200, `"r1"`, `"r2"`},
		{"GET", "/api/v1/runs/r1", 200, `"agreeing": 1`, ""},
		{"GET", "/api/v1/runs/r2", 200, `"error": "no network"`, ""},
		{"GET", "/api/v1/runs/r3", 404, `"hint": "/api/v1/runs lists them`, ""},
		{"GET", "/api/v1/changes", 200, `"requestID": "q1"`, ""},
		{"GET", "/api/v1/changes?run=r2", 200, `"items": []`, ""},
		{"GET", "/api/v1/changes?outcome=failed", 200, `"items": []`, ""},
		{"GET", "/api/v1/runs?outcome=applied", 200, `"r1"`, `"r2"`},
		{"GET", "/api/v1/changes?after=x", 400, `"error": "\"x\" is not the end of a page of changes"`, ""},
		{"GET", "/api/v1/orgs?product=nothing", 400, `"error": "no product is called \"nothing\""`, ""},
		{"GET", "/api/v1/orgs?limit=0", 400, `"error": "limit=0: must be 1 to 1000"`, ""},
		{"GET", "/api/v1/orgs?limit=1001", 400, "must be 1 to 1000", ""},
		{"GET", "/api/v1/orgs?since=yesterday", 400, `"error": "since=yesterday: must be a date such as 2026-11-21`, ""},
		{"GET", "/api/v1/orgs?drifted=maybe", 400, "must be true or false", ""},
		{"GET", "/api/v1/orgs?status=ACTIV", 400, `"error": "status=ACTIV: must be \"ACTIVE\" or \"INACTIVE\": did you mean \"ACTIVE\"?"`, ""},
		{"GET", "/api/v1/orgs?label=a+b", 400, `\"a b\" must be KEY=VALUE`, ""},
		{"GET", "/api/v1/orgs?limt=1", 400, `"error": "unknown parameter \"limt\": did you mean \"limit\"?"`, ""},
		{"GET", "/api/v1/orgs?limit=1&limit=2", 400, "limit is given 2 times", ""},
		{"GET", "/api/v1/orgs?%zz", 400, "the query can't be read", ""},
		{"GET", "/api/v1/nothing", 404, `"error": "there is no endpoint \"/api/v1/nothing\""`, ""},
		{"POST", "/api/v1/orgs", 405, "answers GET, HEAD only", ""},
		{"DELETE", "/api/v1/runs", 405, "answers GET, HEAD, POST only", ""},
		{"PUT", "/api/v1/runs/r1", 405, "answers GET, HEAD only", ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, "http://localhost:8080"+tt.path, nil))
		body := w.Body.String()
		if tt.method == http.MethodHead {
			body = "" // which the server leaves out
		}
		if w.Code != tt.code || !strings.Contains(body, tt.says) || tt.not != "" && strings.Contains(body, tt.not) {
			t.Errorf("%s %s: %d\n%s", tt.method, tt.path, w.Code, body)
		}
		if kind := w.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, kind)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be cached", tt.method, tt.path)
		}
		if tt.method == http.MethodGet && !json.Valid([]byte(body)) {
			t.Errorf("%s %s: no JSON: %s", tt.method, tt.path, body)
		}
	}
}

func TestFetchPage(t *testing.T) {
	srv := httptest.NewServer(inventoryHandler(t))
	defer srv.Close()
	page, err := api.FetchPage[reconcile.OrgItem](t.Context(), srv.URL, "orgs", url.Values{"product": {"sso"}})
	if err != nil || len(page.Items) != 1 || page.Items[0].Domain != "a.okta.com" || page.Account != "0200" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err = api.FetchPage[reconcile.OrgItem](t.Context(), srv.URL, "orgs", url.Values{"limit": {"x"}}); err == nil || !strings.Contains(err.Error(), "limit=x: must be 1 to 1000") {
		t.Errorf("%v", err)
	}
}

// What a run finds can be asked for after it, with a state folder and without one: then
// there is no history, and the API says so.
func TestInventoryOfADaemon(t *testing.T) {
	for name, withState := range map[string]bool{"without a state folder": false, "with one": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o := worldOptions{}
				if withState {
					o.extra = "state: {dir: " + t.TempDir() + "}"
				}
				w := newWorld(t, o)
				w.commit(manifest(t, "mfa: P000131", "mfa: {id: P000131, limit: 1}"))
				w.tamper(labs, sso, mfa)
				w.expect(ResultDrift)
				get := func(path string) string {
					t.Helper()
					answer := ask(w.handler, http.MethodGet, path)
					if answer.Code != http.StatusOK {
						t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
					}
					return answer.Body.String()
				}
				calls := len(w.sim.Requests())
				var orgs reconcile.Page[reconcile.OrgItem]
				if err := json.Unmarshal([]byte(get("/api/v1/orgs?product=mfa")), &orgs); err != nil {
					t.Fatal(err)
				}
				if len(orgs.Items) != 2 || orgs.Items[1].Domain != labs || orgs.Items[1].Drifted != 1 || orgs.Items[1].Since == nil || orgs.AsOf == nil || orgs.Unread != 2 {
					t.Errorf("%+v", orgs)
				}
				if all := get("/api/v1/orgs"); strings.Count(all, `"managed": false`) != 2 {
					t.Errorf("unmanaged orgs are missing: %s", all)
				}
				if products := get("/api/v1/products?product=mfa"); !strings.Contains(products, `"have": 2`) || !strings.Contains(products, `"want": 1`) || !strings.Contains(products, `"limit": 1`) {
					t.Errorf("%s", products)
				}
				if drift := get("/api/v1/drift"); !strings.Contains(drift, `"org": "acme-labs.okta.com"`) {
					t.Errorf("%s", drift)
				}
				if n := len(w.sim.Requests()); n != calls {
					t.Errorf("Okta was called %d times for it", n-calls)
				}
				// What was taken back is as it was.
				w.tamper(labs, sso)
				w.expect(ResultInSync)
				if drift := get("/api/v1/drift"); !strings.Contains(drift, `"items": []`) {
					t.Errorf("%s", drift)
				}
				one := get("/api/v1/orgs/" + labs)
				var detail reconcile.OrgDetail
				if err := json.Unmarshal([]byte(one), &detail); err != nil || detail.State != reconcile.InSync || strings.Contains(string(detail.Live), mfa) || len(detail.Drift) > 0 ||
					withState && (len(detail.History) != 1 || detail.History[0].Outcome != history.OutcomeEnded) {
					t.Errorf("%v\n%s", err, one)
				}
				answer := ask(w.handler, http.MethodGet, "/api/v1/runs")
				if withState && !strings.Contains(answer.Body.String(), `"result": "drift"`) || !withState && (answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "there is no history")) {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
			})
		})
	}
}

// read asks an endpoint, whose response must be as described, for a T.
func read[T any](d *description, h http.Handler, path string) (v T) {
	d.t.Helper()
	w := d.ask(h, http.MethodGet, apiPath+path, "")
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		d.t.Fatalf("%s: %d, %v", path, w.Code, err)
	}
	return v
}

// Objects are in a state of their own, and an org that can't be read is unknown, also for
// the next process, until it can be read.
func TestInventoryOfConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := readDescription(t)
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply", extra: "state: {dir: " + t.TempDir() + "}\n"})
		w.expect(ResultApplied)
		w.runner.mode = "report"
		w.change(emea, "networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`)
		if err := w.sim.Objects(emea).Put("groups", `{"profile": {"name": "By hand"}}`, "mallory@acme.example"); err != nil {
			t.Fatal(err)
		}
		w.fault("GET /org/" + shop + "/api/v1/zones status=403")
		w.fault("GET /api/v1/orgs/00o00000000000000004/products status=403")
		w.expect(ResultPartial)
		states := func(query string) string {
			t.Helper()
			var all []string
			for _, o := range read[reconcile.Page[reconcile.OrgItem]](d, w.handler, "orgs"+query).Items {
				all = append(all, strings.TrimPrefix(strings.TrimSuffix(o.Domain, ".okta.com"), "acme-")+" "+string(o.State)+" "+o.UnknownPart)
			}
			return strings.Join(all, ", ")
		}
		objects := func(query string) string {
			t.Helper()
			var all []string
			for _, o := range read[reconcile.Page[reconcile.ObjectItem]](d, w.handler, "objects"+query).Items {
				all = append(all, fmt.Sprintf("%s %s %v %v %s %d", strings.TrimSuffix(o.Org, ".okta.com"), o.Object, o.Declared, o.Live, o.State, o.Fields))
			}
			return strings.Join(all, ", ")
		}
		check := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
			}
		}
		unread := "aerial unmanaged , emea drifted , labs unknown , shop unknown configuration, acme unmanaged "
		check("orgs", states(""), unread)
		check("unknown orgs", states("?state=unknown&sort=-domain"), "shop unknown configuration, labs unknown ")
		check("worst first", states("?sort=state&limit=2"), "emea drifted , labs unknown ")
		zones := "acme-emea Offices true true drifted 1, acme-labs Offices true true unknown 0, acme-shop Offices true false unknown 0"
		check("zones", objects("?kind=networkZones&state=drifted&state=unknown"), zones)
		check("search", objects("?q=contract&org="+emea), "acme-emea Contractors true true in-sync 0")
		check("unmanaged", objects("?kind=groups&state=unmanaged"), "acme-emea By hand false true unmanaged 0")
		kinds := read[reconcile.Page[reconcile.KindItem]](d, w.handler, "kinds").Items
		if len(kinds) != 2 || kinds[1].Kind != "networkZones" || kinds[1].Orgs != 3 || kinds[1].Declared != 3 || kinds[1].Drifted != 1 || kinds[1].Unknown != 2 {
			t.Errorf("%+v", kinds)
		}
		one := read[reconcile.OrgDetail](d, w.handler, "orgs/"+labs)
		if !strings.Contains(one.Unknown, "403") || len(one.Objects) == 0 || one.Live == nil {
			t.Errorf("%+v", one)
		}
		if run := read[api.RunInfo](d, w.handler, "runs/"+w.tracker.read(time.Now()).LastRun.ID); run.Plan == nil || len(run.Plan.Changes) != 1 ||
			!slices.ContainsFunc(run.Log, func(l api.LogLine) bool { return l.Message == "run finished" }) || run.Head == "" || run.Entries == nil {
			t.Errorf("%+v", run)
		}
		w.restart()
		check("orgs after a restart", states(""), unread)
		check("zones after a restart", objects("?kind=networkZones&state=drifted&state=unknown"), zones)
		w.runner.mode = "report"
		w.sim.ClearFaults()
		w.expect(ResultDrift)
		check("orgs when all can be read", states("?declared=true"), "emea drifted , labs in-sync , shop in-sync ")
		if first := w.tracker.read(time.Now()).RecentRuns; len(first) != 3 {
			t.Errorf("%d runs", len(first))
		} else if run := read[api.RunInfo](d, w.handler, "runs/"+first[2].ID); run.Plan != nil || run.Log != nil || len(run.Entries) != 6 || run.Head == "" || len(run.Outcomes) != 6 {
			t.Errorf("the run of another process: %+v", run)
		}
	})
}
