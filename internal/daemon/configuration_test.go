package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/daemon/api"
)

// offices declares a zone and a group for all orgs of inSync.
const offices = `baselines: {workforce: {networkZones: [{name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}], groups: [{profile: {name: Contractors}}]}}
defaults: {baselines: [workforce]}
orgs:`

// newConfiguredWorld is a world whose orgs declare offices, with a service app in each.
// every is that of the config's orgs.
func newConfiguredWorld(t *testing.T, every string, o worldOptions) *world {
	t.Helper()
	o.orgScopes = []string{"okta.networkZones.read", "okta.networkZones.manage", "okta.groups.read", "okta.groups.manage"}
	extra := o.extra
	o.prepare = func(w *world) {
		key, err := w.sim.OrgCredentials.PEM()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(w.dir, "orgs.pem")
		if err := os.WriteFile(file, key, 0o600); err != nil {
			t.Fatal(err)
		}
		o.extra = fmt.Sprintf("%sorgs: {url: %q, every: %s, auth: {privateKeyFile: %s, keyID: %s}}\n",
			extra, w.sim.URL+"/org/{domain}", every, file, w.sim.OrgCredentials.KeyID)
	}
	w := newWorld(t, o)
	w.reload(o)
	w.declare(offices)
	return w
}

// declare makes inSync the manifest with configuration in place of its key orgs.
func (w *world) declare(configuration string) {
	w.t.Helper()
	w.commit(w.configured(configuration))
}

// configured returns inSync with configuration in place of its key orgs.
func (w *world) configured(configuration string) string {
	w.t.Helper()
	text := manifest(w.t, "orgs:", configuration)
	return strings.ReplaceAll(text, ", cell: ok1", ", cell: ok1, access: {clientID: "+w.sim.OrgCredentials.ClientID+"}")
}

// orgCalls is how many calls the orgs' own APIs got, but for tokens.
func (w *world) orgCalls() int {
	n := 0
	for _, domain := range []string{emea, labs, shop} {
		for call, times := range w.sim.OrgRequests(domain) {
			if !strings.Contains(call, "token") {
				n += times
			}
		}
	}
	return n
}

// change changes an object of an org behind git's back.
func (w *world) change(domain, kind, key, patch string) {
	w.t.Helper()
	if err := w.sim.Objects(domain).Patch(kind, key, patch, "mallory@acme.example"); err != nil {
		w.t.Fatal(err)
	}
}

// Objects are repaired, and what is known of them is in status, metrics and log.
func TestConfigurationConverges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply"})
		s := w.expect(ResultApplied)
		if n := s.Summary.Objects; n == nil || n.Declared != 6 || s.ConfigurationRead != nil {
			t.Errorf("objects %+v, read %v", n, s.ConfigurationRead)
		}
		w.expectMetrics(map[string]string{
			`reconciler_objects{kind="networkZones",state="in_sync"}`: "3",
			`reconciler_objects{kind="networkZones",state="drifted"}`: "0",
			`reconciler_objects{kind="groups",state="in_sync"}`:       "3",
			`reconciler_objects{kind="groups",state="unknown"}`:       "0",
			`reconciler_objects{kind="settings",state="in_sync"}`:     "",
			`reconciler_orgs{state="in_sync"}`:                        "3",
			`reconciler_api_in_flight`:                                "0",
			`reconciler_org_api_in_flight`:                            "0",
			// Three orgs, to read and to write.
			`reconciler_org_api_requests_total{code="200",endpoint="token",method="POST"}`: "6",
		})
		applied := w.log.lines(t, "change applied")
		if len(applied) != 6 || applied[0]["field"] == nil || applied[0]["paths"] == nil {
			t.Errorf("%v", applied)
		}
		w.expect(ResultInSync)
		metrics := ask(w.handler, "GET", "/metrics").Body.String()
		for _, domain := range []string{emea, labs, shop} {
			if strings.Contains(metrics, domain) {
				t.Errorf("there are series of %s", domain)
			}
		}
		if _, ok := w.metric(`reconciler_org_api_requests_total{code="200",endpoint="/api/v1/zones",method="GET"}`); !ok {
			t.Errorf("the calls of the orgs' APIs are not counted:\n%s", metrics)
		}
		if strings.Contains(metrics, `reconciler_api_requests_total{code="200",endpoint="/api/v1/zones"`) {
			t.Error("calls of the orgs' APIs count as those of the Aerial API")
		}
	})
}

// In report mode objects drift by field; an org whose configuration can't be read any
// more keeps the drift of its objects as old, and that of its products goes on.
func TestConfigurationUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply"})
		w.expect(ResultApplied)
		w.runner.mode = "report"
		w.change(emea, "networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "203.0.113.0/24"}]}`)
		w.tamper(emea, sso)
		w.tamper(labs)
		s := w.expect(ResultDrift)
		zone := emea + ` networkZones/Offices: gateways: [{"type":"CIDR","value":"203.0.113.0/24"}] -> [{"type":"CIDR","value":"198.51.100.0/24"}]`
		expectLines(t, "drift", driftLines(s), zone, emea+" products: P000052 -> P000052, P000131", labs+" products: none -> P000052")
		w.expectMetrics(map[string]string{
			`reconciler_objects{kind="networkZones",state="in_sync"}`:   "2",
			`reconciler_objects{kind="networkZones",state="drifted"}`:   "1",
			`reconciler_drift{field="networkZones",org="` + emea + `"}`: "1",
		})

		w.fault("GET /org/" + emea + "/api/v1/zones status=403")
		w.tamper(emea, sso, mfa)
		w.log.reset()
		s = w.expect(ResultPartial)
		expectLines(t, "drift", driftLines(s), zone, labs+" products: none -> P000052")
		if !s.Drift[0].Old || s.Drift[1].Old {
			t.Errorf("%+v", s.Drift)
		}
		if len(s.Unknown) != 1 || s.Unknown[0].Part != "configuration" || s.Totals.UnknownConfigurations != 1 || s.LastRun.Problem != nil {
			t.Errorf("unknown %+v, totals %+v, problem %+v", s.Unknown, s.Totals, s.LastRun.Problem)
		}
		if p := s.Problems; len(p) == 0 || p[0].Message != "the configuration of 1 org could not be read" {
			t.Errorf("problems %+v", p)
		}
		if _, v := commitStateOf(s.LastRun); v.why != "configuration of 1 org not readable" {
			t.Errorf("commit status %q", v)
		}
		w.expectMetrics(map[string]string{
			`reconciler_objects{kind="networkZones",state="in_sync"}`: "2",
			`reconciler_objects{kind="networkZones",state="drifted"}`: "0",
			`reconciler_objects{kind="networkZones",state="unknown"}`: "1",
			`reconciler_orgs{state="unknown"}`:                        "1",
		})
		if lines := w.log.lines(t, "the org's configuration can't be read, and is left alone"); len(lines) != 1 || lines[0]["org"] != emea || !strings.Contains(fmt.Sprint(lines[0]["hint"]), "okta.networkZones.read") {
			t.Errorf("%v", lines)
		}
		// It is logged again only if it fails for another reason.
		w.expect(ResultPartial)
		w.sim.ClearFaults()
		w.fault("GET /org/" + emea + "/.well-known/okta-organization wrong-org")
		w.expect(ResultPartial)
		w.expect(ResultPartial)
		if lines := w.log.lines(t, "the org's configuration can't be read, and is left alone"); len(lines) != 2 || !strings.Contains(fmt.Sprint(lines[1]["error"]), "it is the org ") {
			t.Errorf("%v", lines)
		}
		if page := ask(w.handler, "GET", "/").Body.String(); !strings.Contains(page, "its configuration can't be read") {
			t.Errorf("the page doesn't say what is unknown:\n%s", page)
		}

		// An org whose products can't be read keeps all of it.
		w.fault("GET /api/v1/orgs/00o00000000000000003/products status=403")
		s = w.expect(ResultPartial)
		expectLines(t, "drift", driftLines(s), zone, labs+" products: none -> P000052")
		if !s.Drift[0].Old || s.Totals.UnknownConfigurations != 0 {
			t.Errorf("%+v %+v", s.Drift, s.Totals)
		}
		w.sim.ClearFaults()
		s = w.expect(ResultDrift)
		if s.Drift[0].Old || s.Drift[0].Field != "networkZones/Offices: gateways" {
			t.Errorf("%+v", s.Drift)
		}
	})
}

// If nothing can be read of any org's configuration, the rest goes on.
func TestNoConfigurationKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newConfiguredWorld(t, "0s", worldOptions{mode: "apply"})
		w.fault("GET /org/*/.well-known/okta-organization status=403")
		w.tamper(labs)
		s := w.expect(ResultPartial)
		if s.LastRun.Problem != nil || s.LastRun.Changes.Applied != 1 || !s.Ready || s.Totals.UnknownConfigurations != 3 {
			t.Errorf("%+v", s.LastRun)
		}
	})
}

// Configuration is read every orgs.every, and sooner where it was declared anew, could
// not be read or was written to.
func TestConfigurationEvery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newConfiguredWorld(t, "1h", worldOptions{mode: "apply"})
		reads := func(what string, want bool) api.Status {
			t.Helper()
			before := w.orgCalls()
			_, s := w.run()
			if got := w.orgCalls() > before; got != want {
				t.Errorf("%s: read %v, want %v", what, got, want)
			}
			return s
		}
		reads("first", true)
		reads("after writing", true)
		first := time.Now()
		time.Sleep(10 * time.Minute)
		s := reads("in between", false)
		if s.ConfigurationRead == nil || s.ConfigurationRead.After(first) || s.ConfigurationRead.Before(first.Add(-time.Minute)) || s.Outdated != "" {
			t.Errorf("read %v, outdated %q; want %v", s.ConfigurationRead, s.Outdated, first)
		}
		if page := ask(w.handler, "GET", "/").Body.String(); !strings.Contains(page, "configuration of the orgs as of") {
			t.Errorf("the page doesn't say how old the configuration is:\n%s", page)
		}
		w.change(labs, "networkZones", "Offices", `{"gateways": [{"type": "CIDR", "value": "198.51.100.0/24"}, {"type": "CIDR", "value": "203.0.113.0/24"}]}`)
		if s := reads("what an admin did", false); s.LastRun.Result != ResultInSync {
			t.Errorf("%s", s.LastRun.Result)
		}
		wider := func(more string) string {
			return strings.Replace(offices, "198.51.100.0/24}", "198.51.100.0/24}, {type: CIDR, value: 203.0.113.0/24}"+more, 1)
		}
		w.declare(wider(""))
		if s := reads("another declaration", true); s.LastRun.Changes.Applied != 2 || s.ConfigurationRead != nil {
			t.Errorf("%+v, read %v", s.LastRun.Changes, s.ConfigurationRead)
		}
		reads("after writing", true)
		w.commit(manifest(t, "orgs:", "# another commit\norgs:"))
		s = reads("none declared", false)
		if s.Summary.Objects != nil || s.ConfigurationRead != nil {
			t.Errorf("%+v, read %v", s.Summary.Objects, s.ConfigurationRead)
		}
		w.expectMetrics(map[string]string{`reconciler_objects{kind="groups",state="in_sync"}`: ""})
		w.declare(wider(", {type: CIDR, value: 192.0.2.0/24}"))
		w.fault("GET /org/" + emea + "/api/v1/zones status=403")
		reads("declared again", true)
		reads("an org could not be read", true)
		w.sim.ClearFaults()
		reads("again", true)
		reads("written to", true)
		reads("all known", false)
		time.Sleep(58 * time.Minute)
		reads("a run that comes seconds too early", true)
	})
}
