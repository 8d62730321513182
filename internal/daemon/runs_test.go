package daemon

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
)

// Only programs on this machine, and pages of the daemon itself, may ask for a run.
func TestAskForARun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		local  bool
		header map[string]string
		body   string
		leader *api.Process
		stop   bool
		want   int
		says   string
	}{
		{name: "a program", local: true, header: map[string]string{"Content-Type": "application/json"}, body: `{"by": "ada@host"}`, want: http.StatusAccepted, says: `"id": "`},
		{name: "without a body", local: true, header: map[string]string{"Content-Type": "application/json; charset=utf-8"}, want: http.StatusAccepted, says: `"id": "`},
		{name: "nothing at all", local: true, want: http.StatusAccepted, says: `"id": "`},
		{name: "nothing, from another page", local: true, header: map[string]string{"Origin": "https://evil.example"}, want: http.StatusForbidden},
		{name: "a misspelled field", local: true, header: map[string]string{"Content-Type": "application/json"}, body: `{"reasn": "x"}`, want: http.StatusBadRequest, says: `unknown key \"reasn\"`},
		{name: "its own page", local: true, header: map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"}, body: "{}", want: http.StatusAccepted},
		{name: "not on loopback", header: map[string]string{"Content-Type": "application/json"}, body: "{}", want: http.StatusForbidden, says: "localhost"},
		{name: "a form", local: true, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: "by=x", want: http.StatusUnsupportedMediaType},
		{name: "a form of plain text", local: true, header: map[string]string{"Content-Type": "text/plain"}, body: `{"by": "x"}`, want: http.StatusUnsupportedMediaType},
		{name: "no type", local: true, body: "{}", want: http.StatusUnsupportedMediaType},
		{name: "a page of another site", local: true, header: map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, body: "{}", want: http.StatusForbidden, says: "another origin"},
		{name: "a page of another port", local: true, header: map[string]string{"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, body: "{}", want: http.StatusForbidden},
		{name: "an old browser", local: true, header: map[string]string{"Content-Type": "application/json", "Origin": "https://evil.example"}, body: "{}", want: http.StatusForbidden},
		{name: "no JSON", local: true, header: map[string]string{"Content-Type": "application/json"}, body: "{", want: http.StatusBadRequest},
		{name: "too long", local: true, header: map[string]string{"Content-Type": "application/json"}, body: `{"by": "` + strings.Repeat("a", maxRequest) + `"}`, want: http.StatusBadRequest},
		{name: "standing by", local: true, header: map[string]string{"Content-Type": "application/json"}, body: "{}", leader: &api.Process{PID: 12, Host: "h", Since: noon}, want: http.StatusServiceUnavailable, says: `process 12 on \"h\" since 2026-11-21T12:00:00Z: ask that one`},
		{name: "stopping", local: true, header: map[string]string{"Content-Type": "application/json"}, body: "{}", stop: true, want: http.StatusServiceUnavailable, says: "being stopped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newStatusTracker(api.Status{StandingBy: tt.leader}, every10)
			if tt.stop {
				b.stop()
			}
			q := newRequests()
			address := "127.0.0.1:8080"
			if !tt.local {
				address = ":8080"
			}
			h, err := newHandler(handlerOptions{
				reader:  &reader{tracker: b, requests: q, now: func() time.Time { return noon }},
				metrics: newMetrics("v1"), log: slog.New(slog.DiscardHandler), gate: openGate(t, address),
			})
			if err != nil {
				t.Fatal(err)
			}
			req := httptest.NewRequest(http.MethodPost, "http://localhost:8080/api/v1/runs", strings.NewReader(tt.body))
			for name, value := range tt.header {
				req.Header.Set(name, value)
			}
			resp := httptest.NewRecorder()
			h.ServeHTTP(resp, req)
			if resp.Code != tt.want || !strings.Contains(resp.Body.String(), tt.says) || resp.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %s", resp.Code, resp.Body)
			}
			if asked := q.pending(); asked != (tt.want == http.StatusAccepted) {
				t.Errorf("asked: %v", asked)
			}
			var e api.Error
			if err := json.Unmarshal(resp.Body.Bytes(), &e); err != nil || (e.Error == "") != (tt.want == http.StatusAccepted) {
				t.Errorf("%v, %s", err, resp.Body)
			}
		})
	}
}

// A run that was asked for can be followed from there to its record.
func TestFollowARun(t *testing.T) {
	b := newStatusTracker(api.Status{}, every10)
	q := newRequests()
	served := &runs{&reader{tracker: b, requests: q, now: time.Now}}
	get := func(id string) (int, api.RunInfo) {
		t.Helper()
		req := httptest.NewRequest(http.MethodGet, "/api/v1/runs/"+id, nil)
		req.SetPathValue("id", id)
		resp := httptest.NewRecorder()
		served.one(resp, req)
		var info api.RunInfo
		if err := json.Unmarshal(resp.Body.Bytes(), &info); err != nil {
			t.Fatal(err)
		}
		return resp.Code, info
	}
	want := func(id string, code int, state api.RunState) api.RunInfo {
		t.Helper()
		actual, info := get(id)
		if actual != code || info.State != state || code == http.StatusOK && info.ID != id {
			t.Errorf("%d, %+v", actual, info)
		}
		return info
	}
	want("nothing", http.StatusNotFound, "")
	id := q.add("ada@host")
	if again := q.add("bob@host"); again != id {
		t.Errorf("not joined: %s and %s", id, again)
	}
	want(id, http.StatusOK, api.RunQueued)
	asked := q.take()
	if asked == nil || asked.id != id || asked.by != "ada@host" || q.pending() || q.take() != nil || len(q.wake) > 0 {
		t.Errorf("%+v", asked)
	}
	want(id, http.StatusOK, api.RunRunning) // before the status knows it
	b.begin(api.Running{ID: id, Trigger: api.TriggerRequest, Started: noon})
	want(id, http.StatusOK, api.RunRunning)
	next := q.add("")
	if next == id {
		t.Error("joined to a run that has begun")
	}
	want(next, http.StatusOK, api.RunQueued)
	b.end(api.RunRecord{ID: id, Result: ResultPartial, RequestedBy: asked.by}, nil)
	if info := want(id, http.StatusOK, api.RunEnded); info.RunRecord == nil || info.Result != ResultPartial || info.RequestedBy != "ada@host" {
		t.Errorf("%+v", info)
	}
	// Runs that nobody asked for can be followed as well.
	b.begin(api.Running{ID: "other", Started: noon})
	want("other", http.StatusOK, api.RunRunning)
	// Another daemon leads.
	q.drop()
	want(next, http.StatusNotFound, "")
}
