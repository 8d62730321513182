package simulator

import (
	"maps"
	"net/http"
	"strings"
)

// setting is a setting that an org has one of.
type setting struct {
	name, path, scope string
	// method is how it is written: POST keeps what the body leaves out, PUT sets
	// it to its default. Without one the setting is switched by actions.
	method   string
	both     bool // PUT as well
	actions  map[string]doc
	shape    *shape
	defaults doc
	check    func(m *orgCall, body doc) *answer
	view     func(m *orgCall, out doc)
	event    string
	// times are the form of created and lastUpdated; empty for none.
	times string
}

const generalKeys = "companyName website phoneNumber endUserSupportHelpURL supportPhoneNumber address1 address2 city state country postalCode"

var settings = func() []*setting {
	one := func(key string, s *shape) *shape { return fields(key, map[string]*shape{key: s}) }
	mode := oneOf("ENFORCE", "DISABLE", "PREVIEW")
	general := fields("", map[string]*shape{"expiresAt": text(0, 0).orNull(), "subdomain": text(0, 0)})
	for _, key := range strings.Fields(generalKeys) {
		general.keys[key] = text(0, 1024).orNull()
	}
	general.keys["companyName"] = text(1, 255)
	return []*setting{
		{
			name: "threatInsight", path: "/api/v1/threats/configuration", scope: "okta.threatInsights", method: http.MethodPost,
			shape:    fields("action", map[string]*shape{"action": oneOf("none", "audit", "block"), "excludeZones": ids(0)}),
			defaults: doc{"action": "none", "excludeZones": []any{}}, event: "security.threat.configuration.update",
			times: "2006-01-02 15:04:05",
			check: func(m *orgCall, body doc) *answer {
				var p problems
				for _, id := range digTexts(body, "excludeZones") {
					if z := m.st.set("networkZones").byID(id); z == nil || z.body["type"] != "IP" {
						p.add("excludeZones", "There is no network zone '%s' of the type IP", id)
					}
				}
				return m.bad(p)
			},
			view: func(m *orgCall, out doc) {
				out["_links"] = doc{"self": doc{"href": m.base + "/api/v1/threats/configuration", "hints": doc{"allow": []string{"GET", "POST"}}}}
			},
		},
		{
			name: "general", path: "/api/v1/org", scope: "okta.orgs", method: http.MethodPost, both: true, shape: general,
			defaults: doc{
				"website": nil, "phoneNumber": "", "endUserSupportHelpURL": "", "supportPhoneNumber": "",
				"address1": nil, "address2": nil, "city": nil, "state": nil, "country": nil, "postalCode": nil,
			},
			times: oktaTime, view: viewGeneral,
		},
		{
			name: "thirdPartyAdmin", path: "/api/v1/org/orgSettings/thirdPartyAdminSetting", scope: "okta.orgs", method: http.MethodPost,
			shape: one("thirdPartyAdmin", flag()), defaults: doc{"thirdPartyAdmin": false},
		},
		{
			name: "autoAssignAdminApp", path: "/api/v1/org/settings/autoAssignAdminAppSetting", scope: "okta.orgs", method: http.MethodPost,
			shape: one("autoAssignAdminAppSetting", flag()), defaults: doc{"autoAssignAdminAppSetting": true},
		},
		{
			name: "clientPrivileges", path: "/api/v1/org/settings/clientPrivilegesSetting", scope: "okta.orgs", method: http.MethodPut,
			shape: one("clientPrivilegesSetting", flag()), defaults: doc{"clientPrivilegesSetting": false},
		},
		{
			name: "adminConsoleSession", path: "/api/v1/first-party-app-settings/admin-console", scope: "okta.apps", method: http.MethodPut,
			shape: fields("", map[string]*shape{
				"sessionIdleTimeoutMinutes": number(5, 720), "sessionMaxLifetimeMinutes": number(5, 10080),
			}),
			defaults: literalDoc(`{"sessionIdleTimeoutMinutes": 15, "sessionMaxLifetimeMinutes": 720}`),
		},
		{
			name: "userLockout", path: "/attack-protection/api/v1/user-lockout-settings", scope: "okta.orgs", method: http.MethodPut,
			shape:    fields("", map[string]*shape{"preventBruteForceLockoutFromUnknownDevices": flag()}),
			defaults: doc{"preventBruteForceLockoutFromUnknownDevices": false},
		},
		{
			name: "endUserFooter", path: "/api/v1/org/preferences", scope: "okta.orgs", defaults: doc{"showEndUserFooter": true},
			shape: one("showEndUserFooter", flag()),
			actions: map[string]doc{
				"showEndUserFooter": {"showEndUserFooter": true}, "hideEndUserFooter": {"showEndUserFooter": false},
			},
			view: otherAction("/api/v1/org/preferences/", "showEndUserFooter", "hideEndUserFooter", "showEndUserFooter"),
		},
		{
			name: "communication", path: "/api/v1/org/privacy/oktaCommunication", scope: "okta.orgs", defaults: doc{"optOutEmailUsers": false},
			shape:   one("optOutEmailUsers", flag()),
			actions: map[string]doc{"optIn": {"optOutEmailUsers": false}, "optOut": {"optOutEmailUsers": true}},
			view:    otherAction("/api/v1/org/privacy/oktaCommunication/", "optOutEmailUsers", "optIn", "optOut"),
		},
		{
			name: "rateLimitNotifications", path: "/api/v1/rate-limit-settings/admin-notifications", scope: "okta.rateLimits", method: http.MethodPut,
			shape: one("notificationsEnabled", flag()), defaults: doc{"notificationsEnabled": true}, event: "system.rate_limit.configuration.update",
		},
		{
			name: "rateLimitWarning", path: "/api/v1/rate-limit-settings/warning-threshold", scope: "okta.rateLimits", method: http.MethodPut,
			shape: one("warningThreshold", number(30, 90)), defaults: literalDoc(`{"warningThreshold": 60}`), event: "system.rate_limit.configuration.update",
		},
		{
			name: "rateLimitPerClient", path: "/api/v1/rate-limit-settings/per-client", scope: "okta.rateLimits", method: http.MethodPut,
			shape: one("defaultMode", mode).with("", map[string]*shape{"useCaseModeOverrides": fields("", map[string]*shape{
				"LOGIN_PAGE": mode, "OAUTH2_AUTHORIZE": mode, "OIE_APP_INTENT": mode,
			})}),
			defaults: doc{"defaultMode": "ENFORCE"}, event: "system.rate_limit.configuration.update",
		},
	}
}()

// otherAction returns a view with a link to the action that changes the setting: on
// if the key is true, off otherwise.
func otherAction(path, key, ifTrue, ifFalse string) func(*orgCall, doc) {
	return func(m *orgCall, out doc) {
		action := ifFalse
		if out[key] == true {
			action = ifTrue
		}
		out["_links"] = doc{action: doc{"href": m.base + path + action, "hints": doc{"allow": []string{"POST"}}}}
	}
}

func viewGeneral(m *orgCall, out doc) {
	o := m.st.org
	out["id"], out["subdomain"], out["status"], out["expiresAt"] = o.ID, o.subdomain(), o.Status, nil
	at := func(path string) doc { return doc{"href": m.base + "/api/v1/org/" + path} }
	out["_links"] = doc{
		"preferences": at("preferences"), "oktaCommunication": at("privacy/oktaCommunication"), "oktaSupport": at("privacy/oktaSupport"),
		"contacts": at("contacts"), "logo": doc{"href": "https://static.acme.example/logo"},
		"uploadLogo": doc{"href": m.base + "/api/v1/org/logo", "hints": doc{"allow": []string{"POST"}}},
	}
}

// routes returns the endpoints of a setting.
func (g *setting) routes() []route {
	write := func(handle func(*orgCall) *answer) handler {
		return orgRoute(func(m *orgCall) *answer {
			if refusal := firstOf(m.mayWrite(editor), m.query()); refusal != nil {
				return refusal
			}
			return handle(m)
		})
	}
	all := []route{orgEndpoint("GET", g.path, g.scope+".read", orgRoute(func(m *orgCall) *answer {
		if refusal := firstOf(m.mayWrite(reader), m.query()); refusal != nil {
			return refusal
		}
		return m.getSetting(g)
	}))}
	if g.method != "" {
		all = append(all, orgEndpoint(g.method, g.path, g.scope+".manage", write(func(m *orgCall) *answer { return m.writeSetting(g) })))
	}
	if g.both {
		all = append(all, orgEndpoint(http.MethodPut, g.path, g.scope+".manage", write(func(m *orgCall) *answer { return m.writeSetting(g) })))
	}
	for action, value := range g.actions {
		r := orgEndpoint("POST", g.path+"/"+action, g.scope+".manage", write(func(m *orgCall) *answer {
			m.setSetting(g, value)
			return m.getSetting(g)
		}))
		r.body = false
		all = append(all, r)
	}
	return all
}

func (m *orgCall) getSetting(g *setting) *answer {
	out := filled(m.st.settings[g.name], g.defaults)
	changed := m.st.changed[g.name]
	if changed.IsZero() {
		changed = m.st.since
	}
	if g.times != "" {
		out["created"], out["lastUpdated"] = m.st.since.UTC().Format(g.times), changed.UTC().Format(g.times)
	}
	if g.view != nil {
		g.view(m, out)
	}
	return jsonAnswer(http.StatusOK, out)
}

func (m *orgCall) writeSetting(g *setting) *answer {
	body, _, refusal := m.read(m.c.body)
	if refusal != nil {
		return refusal
	}
	partial := m.c.r.Method == http.MethodPost
	if refusal := m.checkSetting(g, body, partial); refusal != nil {
		return refusal
	}
	value := filled(body, g.defaults)
	if partial {
		value = filled(body, m.st.settings[g.name])
	}
	m.setSetting(g, value)
	return m.getSetting(g)
}

// checkSetting checks the body of a setting.
func (m *orgCall) checkSetting(g *setting, body doc, partial bool) *answer {
	var p problems
	var stored any = m.st.settings[g.name]
	if m.c == nil {
		stored = body
	}
	p.check("", body, stored, g.shape)
	if g.name == "general" && !partial && body["companyName"] == nil {
		p.add("companyName", "The field cannot be left blank")
	}
	if refusal := m.bad(p); refusal != nil {
		return refusal
	}
	if g.check != nil {
		return g.check(m, body)
	}
	return nil
}

func (m *orgCall) setSetting(g *setting, value doc) {
	value = maps.Clone(value)
	delete(value, "expiresAt")
	delete(value, "subdomain")
	if same(filled(m.st.settings[g.name], g.defaults), filled(value, g.defaults)) {
		return
	}
	m.st.settings[g.name] = value
	m.st.changed[g.name] = m.now()
	m.log(g.event, entity{ID: m.st.org.ID, Type: "Org", AlternateID: m.st.org.Domain, DisplayName: g.name})
}

// settingNamed returns a setting, or nil.
func settingNamed(name string) *setting {
	for _, g := range settings {
		if g.name == name {
			return g
		}
	}
	return nil
}
