package simulator_test

import (
	"fmt"
	"slices"
	"testing"

	"reconciler/internal/okta/simulator/simulatortest"
)

func TestTrustedOrigins(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const path = "/api/v1/trustedOrigins"
	made := o.want(200, "POST", path, `{"name":"Portal","origin":"https://portal.acme.example","scopes":[{"type":"CORS"},{"type":"IFRAME_EMBED"}],"status":"INACTIVE"}`)
	if made["status"] != "INACTIVE" || made["createdBy"] != o.OrgCredentials.ClientID {
		t.Errorf("got %v", made)
	}
	wantEqual(t, made["scopes"], "[map[type:CORS] map[allowedOktaApps:[OKTA_ENDUSER] type:IFRAME_EMBED]]")
	at := path + "/" + made["id"].(string)
	wantEqual(t, o.want(200, "POST", at+"/lifecycle/activate", "")["status"], "ACTIVE")
	put := o.want(200, "PUT", at, `{"name":"Portal","origin":"https://portal.acme.example/","scopes":[{"type":"REDIRECT"}],"status":"INACTIVE"}`)
	wantEqual(t, put["status"], "INACTIVE")
	wantEqual(t, names(o.list(path+"?filter=name+eq+%22Portal%22"), "origin"), "[https://portal.acme.example/]")
	body := func(name, origin, scopes string) string {
		return fmt.Sprintf(`{"name":%q,"origin":%q,"scopes":[%s]}`, name, origin, scopes)
	}
	cors := `{"type":"CORS"}`
	o.refuses(
		wrongCall{"POST", path, body("portal", "https://b.example", cors), 400, "E0000001", "name"},
		wrongCall{"POST", path, body("B", "HTTPS://Portal.acme.example", cors), 400, "E0000001", "origin"},
		wrongCall{"POST", path, body("B", "portal.acme.example", cors), 400, "E0000001", "origin: The field must be an origin"},
		wrongCall{"POST", path, body("B", "https://b.example/path", cors), 400, "E0000001", "origin"},
		wrongCall{"POST", path, body("B", "https://b.example", ""), 400, "E0000001", "scopes"},
		wrongCall{"POST", path, body("B", "https://b.example", cors+","+cors), 400, "E0000001", "there twice"},
		wrongCall{"POST", path, body("B", "https://b.example", `{"type":"CORS","allowedOktaApps":[]}`), 400, "E0000001", "IFRAME_EMBED"},
		wrongCall{"POST", path, body("B", "https://b.example", `{"type":"cors"}`), 400, "E0000001", "scopes[0].type"},
		wrongCall{"GET", path + "?limit=201", "", 400, "E0000001", "limit"},
	)
	o.want(204, "DELETE", at, "")
	wantEqual(t, o.events(), "[security.trusted_origin.create Portal security.trusted_origin.activate Portal security.trusted_origin.update Portal security.trusted_origin.delete Portal]")
}

func TestBehaviors(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const path = "/api/v1/behaviors"
	made := o.want(200, "POST", path, `{"name":"Fast","type":"VELOCITY","status":"INACTIVE","settings":{"velocityKph":805}}`)
	if made["status"] != "ACTIVE" || made["created"] != "2026-03-01 12:00:00.0" {
		t.Errorf("got %v", made)
	}
	at := path + "/" + made["id"].(string)
	wantEqual(t, o.want(200, "PUT", at, `{"name":"Faster","type":"VELOCITY","status":"INACTIVE","settings":{"velocityKph":1000}}`)["status"], "ACTIVE")
	device := o.want(200, "POST", path, `{"name":"Device","type":"ANOMALOUS_DEVICE"}`)
	wantEqual(t, device["settings"], "map[maxEventsUsedForEvaluation:20 minEventsNeededForEvaluation:0]")
	o.want(200, "POST", path, `{"name":"City","type":"ANOMALOUS_LOCATION","settings":{"granularity":"LAT_LONG","radiusKilometers":5}}`)
	o.refuses(
		wrongCall{"POST", path, `{"name":"x","type":"VELOCITY"}`, 400, "E0000001", "settings"},
		wrongCall{"POST", path, `{"name":"x","type":"VELOCITY","settings":{"velocityKph":"805"}}`, 400, "E0000001", "settings.velocityKph: The field must be a number"},
		wrongCall{"POST", path, `{"name":"x","type":"VELOCITY","settings":{"velocityKph":0}}`, 400, "E0000001", "from 1"},
		wrongCall{"POST", path, `{"name":"x","type":"ANOMALOUS_IP","settings":{"velocityKph":1}}`, 400, "E0000001", "unknown"},
		wrongCall{"POST", path, `{"name":"x","type":"ANOMALOUS_IP","settings":{"maxEventsUsedForEvaluation":101}}`, 400, "E0000001", "from 1 to 100"},
		wrongCall{"POST", path, `{"name":"x","type":"ANOMALOUS_LOCATION","settings":{"granularity":"LAT_LONG"}}`, 400, "E0000001", "radiusKilometers"},
		wrongCall{"POST", path, `{"name":"x","type":"ANOMALOUS_LOCATION","settings":{"granularity":"CITY","radiusKilometers":1}}`, 400, "E0000001", "radiusKilometers"},
		wrongCall{"POST", path, `{"name":"device","type":"ANOMALOUS_IP"}`, 400, "E0000001", "name"},
		wrongCall{"PUT", at, `{"name":"Faster","type":"ANOMALOUS_IP"}`, 400, "E0000001", "can't be changed"},
		wrongCall{"DELETE", at, "", 400, "E0000001", "must be deactivated"},
	)
	o.want(200, "POST", at+"/lifecycle/deactivate", "")
	o.want(204, "DELETE", at, "")

	// Ten on a page; the last page has a link to one that is empty.
	for i := range 8 {
		o.want(200, "POST", path, fmt.Sprintf(`{"name":"IP %d","type":"ANOMALOUS_IP"}`, i))
	}
	var all []string
	var sizes []int
	for next := path; next != ""; {
		r := o.call("GET", next, "")
		wantStatus(t, r, 200)
		var page []map[string]any
		r.decode(t, &page)
		all, sizes = append(all, names(page, "name")...), append(sizes, len(page))
		next = linkOf(r, "next")
	}
	wantEqual(t, sizes, "[10 0]")
	if len(all) != 10 || !slices.IsSorted(all) {
		t.Errorf("got %q", all)
	}
}
