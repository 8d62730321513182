package simulator_test

import (
	"testing"

	"reconciler/internal/okta/simulator/simulatortest"
)

func TestSettings(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const (
		threats  = "/api/v1/threats/configuration"
		lockout  = "/attack-protection/api/v1/user-lockout-settings"
		session  = "/api/v1/first-party-app-settings/admin-console"
		third    = "/api/v1/org/orgSettings/thirdPartyAdminSetting"
		assign   = "/api/v1/org/settings/autoAssignAdminAppSetting"
		clients  = "/api/v1/org/settings/clientPrivilegesSetting"
		footer   = "/api/v1/org/preferences"
		mail     = "/api/v1/org/privacy/oktaCommunication"
		limits   = "/api/v1/rate-limit-settings/"
		dynamic  = `{"type":"DYNAMIC","name":"Far","asns":["1"]}`
		excludes = `{"action":"block","excludeZones":["`
	)
	zone := o.list("/api/v1/zones")[0]["id"].(string)
	far := o.want(200, "POST", "/api/v1/zones", dynamic)["id"].(string)
	for _, c := range []struct{ method, path, body, key, want string }{
		{"GET", threats, "", "action", "none"},
		{"POST", threats, excludes + zone + `"]}`, "excludeZones", "[" + zone + "]"},
		{"POST", threats, `{"action":"audit"}`, "excludeZones", "[" + zone + "]"},
		{"POST", threats, `{"action":"audit","excludeZones":[]}`, "lastUpdated", "2026-03-01 12:00:00"},
		{"GET", lockout, "", "preventBruteForceLockoutFromUnknownDevices", "false"},
		{"PUT", lockout, `{"preventBruteForceLockoutFromUnknownDevices":true}`, "preventBruteForceLockoutFromUnknownDevices", "true"},
		{"PUT", session, `{"sessionIdleTimeoutMinutes":30}`, "sessionIdleTimeoutMinutes", "30"},
		{"PUT", session, `{"sessionMaxLifetimeMinutes":60}`, "sessionIdleTimeoutMinutes", "15"},
		{"POST", third, `{"thirdPartyAdmin":true}`, "thirdPartyAdmin", "true"},
		{"POST", assign, `{"autoAssignAdminAppSetting":false}`, "autoAssignAdminAppSetting", "false"},
		{"PUT", clients, `{"clientPrivilegesSetting":true}`, "clientPrivilegesSetting", "true"},
		{"GET", footer, "", "showEndUserFooter", "true"},
		{"POST", footer + "/hideEndUserFooter", "", "showEndUserFooter", "false"},
		{"POST", mail + "/optOut", "", "optOutEmailUsers", "true"},
		{"PUT", limits + "admin-notifications", `{"notificationsEnabled":false}`, "notificationsEnabled", "false"},
		{"PUT", limits + "warning-threshold", `{"warningThreshold":90}`, "warningThreshold", "90"},
		{"PUT", limits + "per-client", `{"defaultMode":"PREVIEW","useCaseModeOverrides":{"LOGIN_PAGE":"DISABLE"}}`, "useCaseModeOverrides", "map[LOGIN_PAGE:DISABLE]"},
		{"PUT", limits + "per-client", `{"defaultMode":"PREVIEW"}`, "useCaseModeOverrides", "<nil>"},
		{"POST", "/api/v1/org", `{"supportPhoneNumber":"555-0100"}`, "companyName", "Acme Emea Retail"},
		{"PUT", "/api/v1/org", `{"companyName":"Acme"}`, "supportPhoneNumber", ""},
	} {
		got := o.want(200, c.method, c.path, c.body)
		wantEqual(t, got[c.key], c.want)
		if c.method != "GET" && c.body != "" {
			wantEqual(t, o.want(200, "GET", c.path, "")[c.key], c.want)
		}
	}
	o.refuses(
		wrongCall{"POST", threats, `{"excludeZones":[]}`, 400, "E0000001", "action"},
		wrongCall{"POST", threats, `{"action":"deny"}`, 400, "E0000001", "action"},
		wrongCall{"POST", threats, excludes + far + `"]}`, 400, "E0000001", "of the type IP"},
		wrongCall{"PUT", threats, `{"action":"none"}`, 405, "E0000022", "method"},
		wrongCall{"POST", lockout, `{"preventBruteForceLockoutFromUnknownDevices":true}`, 405, "E0000022", "method"},
		wrongCall{"PUT", lockout, `{"preventBruteForceLockoutFromUnknownDevices":"true"}`, 400, "E0000001", "boolean"},
		wrongCall{"PUT", session, `{"sessionIdleTimeoutMinutes":4}`, 400, "E0000001", "from 5 to 720"},
		wrongCall{"PUT", session, `{"idle":5}`, 400, "E0000001", "unknown"},
		wrongCall{"POST", third, `{}`, 400, "E0000001", "thirdPartyAdmin"},
		wrongCall{"POST", footer, `{"showEndUserFooter":true}`, 405, "E0000022", "method"},
		wrongCall{"PUT", limits + "warning-threshold", `{"warningThreshold":91}`, 400, "E0000001", "from 30 to 90"},
		wrongCall{"PUT", limits + "per-client", `{"useCaseModeOverrides":{}}`, 400, "E0000001", "defaultMode"},
		wrongCall{"PUT", limits + "per-client", `{"defaultMode":"ENFORCE","useCaseModeOverrides":{"OTHER":"DISABLE"}}`, 400, "E0000001", "OTHER"},
		wrongCall{"PUT", "/api/v1/org", `{"city":"Bonn"}`, 400, "E0000001", "companyName"},
		wrongCall{"POST", "/api/v1/org", `{"town":"Bonn"}`, 400, "E0000001", "town"},
	)
	wantError(t, o.call("PUT", lockout, `{}`, "Content-Type", "text/plain"), 415, "E0000021", "Content-Type")
}
