package daemon

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/daemon/signin"
	"reconciler/internal/store/history"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// guarded is a world with a state folder, in which a token is needed.
func guarded(t *testing.T) (w *world, tokens map[signin.Role]string) {
	t.Helper()
	tokens = map[signin.Role]string{}
	var lines []string
	for _, role := range []signin.Role{signin.Viewer, signin.Operator} {
		token, entry, err := signin.NewToken("ci-"+string(role), role)
		if err != nil {
			t.Fatal(err)
		}
		tokens[role] = token
		lines = append(lines, entry.String())
	}
	w = newWorld(t, stateIn(filepath.Join(t.TempDir(), "state")))
	file := filepath.Join(w.dir, "tokens.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg.HTTP.Auth = config.HTTPAuth{TokensFile: file}
	w.restart()
	return w, tokens
}

// call sends a request with a body as JSON, as whoever has the token.
func (w *world) call(method, path, body, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp := httptest.NewRecorder()
	w.handler.ServeHTTP(resp, r)
	return resp
}

func expectCode(t *testing.T, what string, resp *httptest.ResponseRecorder, code int, says string) {
	t.Helper()
	if resp.Code != code || !strings.Contains(resp.Body.String(), says) {
		t.Errorf("%s: %d %s, want %d with %q", what, resp.Code, resp.Body, code, says)
	}
}

// acts are what operators did, newest first.
func (w *world) acts(action string) []history.Entry {
	w.t.Helper()
	all, err := w.runner.r.History().Entries(history.Query{Types: []history.Type{history.TypeOperator}, Action: action})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// What operators do takes effect, stands in the status at once, and in the history under
// their name.
func TestOperatorsActions(t *testing.T) {
	w, tokens := guarded(t)
	operator, viewer := tokens[signin.Operator], tokens[signin.Viewer]
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "/api/v1/runs", "{}"},
		{"POST", "/api/v1/suspensions", `{"reason": "audit"}`},
		{"DELETE", "/api/v1/suspensions/x?reason=y", ""},
		{"POST", "/api/v1/alarms/journal/acknowledge", `{"reason": "seen"}`},
		{"POST", "/actions/run", ""},
		{"POST", "/api/v1/orgs", "{}"},
	} {
		expectCode(t, "a viewer, "+tt.path, w.call(tt.method, tt.path, tt.body, viewer), 403, "a viewer can't change anything")
		expectCode(t, "nobody, "+tt.path, w.call(tt.method, tt.path, tt.body, ""), 401, "wants to know who asks")
	}
	if w.requests.pending() || len(w.acts("")) > 0 {
		t.Fatalf("somebody did something: %+v", w.acts(""))
	}

	expectCode(t, "a run", w.call("POST", "/api/v1/runs", `{"by": "mallory", "reason": "after the merge"}`, operator), 202, `"id": "`)
	acts := w.acts("run")
	if len(acts) != 1 || acts[0].By != "token ci-operator" || acts[0].Reason != "after the merge" || acts[0].Outcome == "" {
		t.Errorf("%+v", acts)
	}
	if asked := w.requests.take(); asked == nil || asked.by != "token ci-operator" || asked.id != acts[0].Outcome {
		t.Errorf("%+v", asked)
	}

	made := w.call("POST", "/api/v1/suspensions", `{"orgs": ["acme-*.okta.com"], "reason": "audit", "for": "2h", "owner": "ada"}`, operator)
	expectCode(t, "suspending", made, 201, `"owner": "ada"`)
	var s struct{ ID string }
	if err := json.Unmarshal(made.Body.Bytes(), &s); err != nil || s.ID == "" {
		t.Fatal(err, made.Body)
	}
	if st := w.tracker.read(time.Now()); len(st.Suspensions) != 1 || st.Suspensions[0].ID != s.ID || st.Suspensions[0].Until.IsZero() {
		t.Errorf("the status has %+v", st.Suspensions)
	}
	if acts := w.acts("suspend"); len(acts) != 1 || acts[0].By != "token ci-operator" || acts[0].Outcome != s.ID || !strings.Contains(acts[0].Reason, "audit") {
		t.Errorf("%+v", acts)
	}
	if held, err := w.runner.r.Suspensions(); err != nil || len(held) != 1 {
		t.Errorf("%+v %v", held, err)
	}
	expectCode(t, "no reason", w.call("DELETE", "/api/v1/suspensions/"+s.ID, "", operator), 400, "the reason is missing")
	expectCode(t, "another id", w.call("DELETE", "/api/v1/suspensions/nothing?reason=y", "", operator), 404, `no suspension has the ID \"nothing\"`)
	expectCode(t, "resuming", w.call("DELETE", "/api/v1/suspensions/"+s.ID+"?reason=audit+is+over", "", operator), 200, s.ID)
	expectCode(t, "again", w.call("DELETE", "/api/v1/suspensions/"+s.ID, `{"reason": "y"}`, operator), 404, "")
	if acts := w.acts("resume"); len(acts) != 1 || !strings.HasSuffix(acts[0].Reason, ": audit is over") {
		t.Errorf("%+v", acts)
	}
	if st := w.tracker.read(time.Now()); len(st.Suspensions) != 0 {
		t.Errorf("the status has %+v", st.Suspensions)
	}

	for body, says := range map[string]string{
		`{}`:                 "the reason is missing",
		`{"reason": "a\nb"}`: "can't be printed",
		`{"reason": "` + strings.Repeat("a", 201) + `"}`:                "more than 200 characters",
		`{"reason": "x", "for": "-1h"}`:                                 "for must be a duration",
		`{"reason": "x", "for": "1h", "until": "2030-01-01T00:00:00Z"}`: "exclude each other",
		`{"reason": "x", "until": "2001-01-01T00:00:00Z"}`:              "would have expired already",
		`{"reason": "x", "org": ["acme.okta.com"]}`:                     `unknown key \"org\"`,
		`{"reason": "x", "orgs": ["acme"]}`:                             "must be a full domain",
		`{"reason": "x", "until": "soon"}`:                              "until must be a date and time with zone, such as 2026-11-30T06:00:00Z, not soon",
		`{"reason": "x", "until": "2030-01-01"}`:                        "until must be a date and time with zone",
		`{"reason": "x", "org": ["*.oktapreview.com"]}`:                 `unknown key \"org\"`,
		`{"reason": "x", "orgs": "*.oktapreview.com"}`:                  "orgs can't be a JSON string",
		`{"reason": 5}`:                  "reason can't be a JSON number",
		`{"reason": "x"}{"reason": "y"}`: "no JSON body",
		`{"reason": "` + strings.Repeat("a", maxRequest) + `"}`: "no JSON body of at most 4 kB",
		`[`: "no JSON body",
	} {
		expectCode(t, body, w.call("POST", "/api/v1/suspensions", body, operator), 400, says)
	}

	key := journal.Key{Account: w.cfg.Aerial.AccountID, Domain: "acme-new.okta.com"}
	loseToken(t, w.cfg.State.Dir, key)
	w.refresh(w.runner.r)
	if st := w.tracker.read(time.Now()); len(st.Alarms) != 1 {
		t.Fatalf("%+v", st.Alarms)
	}
	expectCode(t, "another alarm", w.call("POST", "/api/v1/alarms/journal/acknowledge", `{"reason": "x"}`, operator), 404, "there are alarms of: acme-new.okta.com")
	expectCode(t, "no reason", w.call("POST", "/api/v1/alarms/acme-new.okta.com/acknowledge", `{}`, operator), 400, "the reason is missing")
	expectCode(t, "acknowledging", w.call("POST", "/api/v1/alarms/acme-new.okta.com/acknowledge", `{"reason": "made another"}`, operator), 200, `"by": "token ci-operator"`)
	expectCode(t, "again", w.call("POST", "/api/v1/alarms/acme-new.okta.com/acknowledge", `{"reason": "x"}`, operator), 404, "there is no alarm")
	if st := w.tracker.read(time.Now()); len(st.Alarms) != 0 {
		t.Errorf("%+v", st.Alarms)
	}
	if acts := w.acts("acknowledge"); len(acts) != 1 || acts[0].Org != key.Domain || !strings.HasSuffix(acts[0].Reason, ": made another") {
		t.Errorf("%+v", acts)
	}
	for _, token := range tokens {
		if strings.Contains(w.log.String(), token) {
			t.Error("a token is in the log")
		}
	}
}

// loseToken has the journal say that the token of a new org was lost.
func loseToken(t *testing.T, dir string, key journal.Key) {
	t.Helper()
	j, err := journal.New(location.Folder(dir), journal.Options{}).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Begin(journal.Creation{Key: key, Parent: "acme", Cell: "ok1", Subdomain: "acme-new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Send(key, journal.Rate{Limit: 10, Per: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if err := j.MarkCreated(key, "00o1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.MarkTokenLost(key, "the answer was cut off"); err != nil {
		t.Fatal(err)
	}
}

// The forms of pages do the same, and lead back to the page.
func TestOperatorsForms(t *testing.T) {
	w := newWorld(t, stateIn(filepath.Join(t.TempDir(), "state")))
	// The token is what a page would have: here it is taken from the gate.
	token := ""
	w.gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { token = signin.CSRF(r.Context()) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/", nil))
	post := func(path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		resp := httptest.NewRecorder()
		w.handler.ServeHTTP(resp, r)
		return resp
	}
	expectCode(t, "without the token", post(api.ActionRun, url.Values{"reason": {"x"}}), 403, "not sent by a page of the daemon")
	resp := post(api.ActionRun, url.Values{"csrf": {token}, "return": {"/runs?limit=5"}})
	at, err := url.Parse(resp.Header().Get("Location"))
	if err != nil || resp.Code != http.StatusSeeOther || at.Path != "/runs" || at.Query().Get("limit") != "5" || !strings.HasPrefix(api.Done(at.Query()), "A run was asked for: 2") {
		t.Fatalf("%d %v", resp.Code, resp.Header())
	}
	if acts := w.acts("run"); len(acts) != 1 || acts[0].By != anonymous {
		t.Errorf("%+v", acts)
	}
	resp = post(api.ActionSuspend, url.Values{"csrf": {token}, "reason": {"audit"}, "orgs": {"acme-emea.okta.com, *.oktapreview.com\r\n"}, "until": {"2100-01-02T03:04"}, "return": {"//evil.example"}})
	at, err = url.Parse(resp.Header().Get("Location"))
	if err != nil || resp.Code != http.StatusSeeOther || at.Path != "/" || at.Host != "" {
		t.Fatalf("%d %v %s", resp.Code, resp.Header(), resp.Body)
	}
	st := w.tracker.read(time.Now())
	if len(st.Suspensions) != 1 || len(st.Suspensions[0].Orgs) != 2 || st.Suspensions[0].Until.Format(time.RFC3339) != "2100-01-02T03:04:00Z" || st.Suspensions[0].ID != at.Query().Get("id") {
		t.Fatalf("%+v", st.Suspensions)
	}
	expectCode(t, "no reason", post(api.ActionResume, url.Values{"csrf": {token}, "id": {at.Query().Get("id")}}), 400, "the reason is missing")
	expectCode(t, "no such", post(api.ActionResume, url.Values{"csrf": {token}, "id": {"<script>"}, "reason": {"x"}}), 404, "&lt;script&gt;")
	expectCode(t, "resuming", post(api.ActionResume, url.Values{"csrf": {token}, "id": {at.Query().Get("id")}, "reason": {"over"}}), 303, "")
	expectCode(t, "no alarm", post(api.ActionAcknowledge, url.Values{"csrf": {token}, "id": {"journal"}, "reason": {"x"}}), 404, "there is no alarm")
	expectCode(t, "too long", post(api.ActionRun, url.Values{"csrf": {token}, "reason": {strings.Repeat("x", 201)}}), 400, "more than 200")
	if said := api.Done(url.Values{"done": {"<b>"}, "id": {"x"}}); said != "" {
		t.Errorf("says %q", said)
	}
}

// Without a state folder nothing can be suspended, and a daemon that stands by changes
// nothing.
func TestActionsThatCant(t *testing.T) {
	w := newWorld(t, worldOptions{})
	expectCode(t, "without a state folder", w.call("POST", "/api/v1/suspensions", `{"reason": "x"}`, ""), 500, "the config has no state.dir, in which suspensions are kept")
	w.standingBy(&api.Process{PID: 12, Host: "h", Since: noon})
	for path, method := range map[string]string{
		"/api/v1/suspensions": "POST", "/api/v1/runs": "POST", "/api/v1/alarms/journal/acknowledge": "POST", "/api/v1/suspensions/x": "DELETE",
	} {
		expectCode(t, path, w.call(method, path, `{"reason": "x"}`, ""), 503, `the daemon that leads is process 12 on \"h\"`)
	}
	w.standingBy(nil)
	w.tracker.stop()
	expectCode(t, "stopping", w.call("POST", "/api/v1/suspensions", `{"reason": "x"}`, ""), 503, "being stopped")
}

// Off loopback the daemon doesn't start unless the config says who may use it.
func TestNoStartWithoutSignIn(t *testing.T) {
	w := newWorld(t, worldOptions{})
	cfg := w.load(w.sim.URL, worldOptions{})
	cfg.HTTP = config.HTTP{Address: ":0"}
	err := Run(t.Context(), cfg, RunOptions{})
	if err == nil || !strings.Contains(err.Error(), `http.address ":0" is not on loopback, and http.auth is not set`) || !strings.Contains(text.Hint(err), "http.auth.tokensFile") {
		t.Errorf("%v", err)
	}
	if len(w.sim.Requests()) > 0 {
		t.Error("Okta was called")
	}
}

// A tokens file that is broken while the daemon runs is said in the status.
func TestBrokenTokensInStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, tokens := guarded(t)
		get := func() (s api.Status) {
			t.Helper()
			resp := w.call("GET", "/api/v1/status", "", tokens[signin.Viewer])
			if err := json.Unmarshal(resp.Body.Bytes(), &s); err != nil {
				t.Fatal(err, resp.Body)
			}
			return s
		}
		if s := get(); s.Config.Refused != nil {
			t.Fatalf("%+v", s.Config.Refused)
		}
		good, err := os.ReadFile(w.cfg.HTTP.Auth.TokensFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			data    string
			refused bool
		}{{"- broken", true}, {string(good), false}} {
			if err := os.WriteFile(w.cfg.HTTP.Auth.TokensFile, []byte(tt.data), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			s := get()
			if (s.Config.Refused != nil) != tt.refused || tt.refused && !strings.Contains(s.Config.Refused.Error, "tokens.yaml:1:3: ") {
				t.Errorf("%+v", s.Config.Refused)
			}
		}
	})
}
