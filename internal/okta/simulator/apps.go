package simulator

import (
	"encoding/base32"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// apps are the apps of an org: bookmarks and API service apps.
var apps = &kind{
	name: "apps", path: "/api/v1/apps", scope: "okta.apps", prefix: "0oa", entity: "AppInstance", target: "AppInstance",
	events: events{
		"application.lifecycle.create", "application.lifecycle.update", "application.lifecycle.activate",
		"application.lifecycle.deactivate", "application.lifecycle.delete",
	},
	born: active, activate: true, bare: true,
	called: func(body doc) string { return digText(body, "label") },
	page:   20, most: 200,
	parameters: []string{"q", "filter"},
	filter: &grammar{attributes: map[string]attribute{
		"id": {kind: textual, ops: []string{"eq"}}, "status": {kind: textual, ops: []string{"eq"}}, "name": {kind: textual, ops: []string{"eq"}},
	}},
	shape: appShape, check: checkApp, fill: fillApp, view: viewApp,
	removable: func(m *orgCall, _ *set, it *item) *answer {
		if it.status == active {
			return m.fail(http.StatusForbidden, codeActiveApp, "Delete application forbidden.", "The application must be deactivated before deletion.")
		}
		return nil
	},
	removed: func(m *orgCall, it *item) {
		delete(m.clients, it.id)
		delete(m.st.grants, it.id)
		delete(m.st.roles, it.id)
	},
}

func appShape(_ *orgCall, body doc) *shape {
	vpn := fields("network", map[string]*shape{
		"network": fields("connection", map[string]*shape{"connection": oneOf("DISABLED")}), "message": text(0, 0).orNull(), "helpUrl": text(0, 0).orNull(),
	})
	common := map[string]*shape{
		"notifications":      fields("", map[string]*shape{"vpn": vpn}),
		"manualProvisioning": flag(), "implicitAssignment": flag(), "emOptInStatus": oneOf("NONE"),
		"notes": fields("", map[string]*shape{"admin": text(0, 0).orNull(), "enduser": text(0, 0).orNull()}),
	}
	template := fields("template type", map[string]*shape{"template": text(1, 1024), "type": oneOf("NONE", "BUILT_IN", "CUSTOM")})
	credentials := fields("", map[string]*shape{"userNameTemplate": template, "signing": fields("", map[string]*shape{"kid": text(1, 0)})})
	need := "label signOnMode"
	if body["name"] == "bookmark" {
		need = "label"
	}
	s := fields(need, map[string]*shape{
		"name": oneOf("bookmark", "oidc_client"), "label": text(1, 100), "signOnMode": oneOf("BOOKMARK", "OPENID_CONNECT"),
		"accessibility": fields("", map[string]*shape{"selfService": flag(), "errorRedirectUrl": text(0, 0).orNull(), "loginRedirectUrl": text(0, 0).orNull()}),
		"visibility": fields("", map[string]*shape{
			"autoLaunch": flag(), "autoSubmitToolbar": flag(), "appLinks": {},
			"hide": fields("", map[string]*shape{"iOS": flag(), "web": flag()}),
		}),
		"credentials": credentials, "settings": fields("", common),
		"features": list(text(1, 0), 0, 0), "orn": text(1, 0), "universalLogout": {},
	})
	if body["signOnMode"] != "OPENID_CONNECT" {
		app := fields("url", map[string]*shape{"url": text(1, 1024).like(isURL, "a URL"), "requestIntegration": flag()})
		return s.with("settings", map[string]*shape{"settings": fields("app", common).with("", map[string]*shape{"app": app})})
	}
	key := fields("kty kid", map[string]*shape{
		"kty": oneOf("RSA", "EC"), "kid": text(1, 0), "use": oneOf("sig"), "alg": text(1, 0), "status": oneOf(active, inactive),
		"n": text(1, 0), "e": text(1, 0), "crv": text(1, 0), "x": text(1, 0), "y": text(1, 0),
	})
	return s.with("name credentials settings", map[string]*shape{
		"credentials": credentials.with("oauthClient", map[string]*shape{"oauthClient": fields("token_endpoint_auth_method", map[string]*shape{
			"client_id": text(6, 100), "autoKeyRotation": flag(), "token_endpoint_auth_method": oneOf("private_key_jwt"), "pkce_required": flag(),
		})}),
		"settings": fields("oauthClient", common).with("", map[string]*shape{
			"app": fields("", nil),
			"oauthClient": fields("application_type grant_types response_types jwks", map[string]*shape{
				"application_type": oneOf("service"), "grant_types": list(oneOf("client_credentials"), 1, 1), "response_types": list(oneOf("token"), 1, 1),
				"jwks": fields("keys", map[string]*shape{"keys": list(key, 1, 50)}), "dpop_bound_access_tokens": flag(),
				"client_uri": text(0, 0).orNull(), "logo_uri": text(0, 0).orNull(), "redirect_uris": list(text(1, 0), 0, 0),
				"issuer_mode": oneOf("ORG_URL", "DYNAMIC"), "consent_method": oneOf("REQUIRED", "TRUSTED"), "wildcard_redirect": oneOf("DISABLED"),
			}),
		}),
	})
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func checkApp(m *orgCall, _ *set, it *item, body doc) *answer {
	want := map[any]string{nil: "bookmark", "BOOKMARK": "bookmark", "OPENID_CONNECT": "oidc_client"}[body["signOnMode"]]
	if name, has := body["name"]; has && name != want {
		return m.invalid("name", "name: The name of the app must be "+want)
	}
	if mode, has := body["signOnMode"]; it != nil && has && mode != it.body["signOnMode"] {
		return m.invalid("signOnMode", "signOnMode: The field can't be changed")
	}
	var p problems
	for _, key := range appKeys(body) {
		if _, err := key.public(); err != nil {
			p.add("settings.oauthClient.jwks", "The key '%s': %v", key.ID, err)
		}
	}
	if id := digText(body, "credentials", "oauthClient", "client_id"); it != nil && id != "" && id != it.id || it == nil && id != "" && m.clients[id] != nil {
		p.add("credentials.oauthClient.client_id", sayExists)
	}
	return m.bad(p)
}

// appKeys returns the public keys of an app.
func appKeys(body doc) []Key {
	var keys []Key
	text, _ := json.Marshal(dig(body, "settings", "oauthClient", "jwks", "keys"))
	json.Unmarshal(text, &keys) // its shape was checked
	return keys
}

// fillApp adds the defaults. Tokens are issued to the keys of the app as it is now.
func fillApp(m *orgCall, it *item, body doc) doc {
	out := filled(body, doc{
		"accessibility":   doc{"selfService": false, "errorRedirectUrl": nil, "loginRedirectUrl": nil},
		"visibility":      doc{"autoLaunch": false, "autoSubmitToolbar": false, "hide": doc{"iOS": false, "web": false}, "appLinks": doc{"login": true}},
		"features":        []any{},
		"credentials":     doc{"userNameTemplate": doc{"template": "${source.login}", "type": "BUILT_IN"}, "signing": doc{}},
		"universalLogout": doc{"status": "UNSUPPORTED"},
		"settings": doc{
			"notifications":      doc{"vpn": doc{"network": doc{"connection": "DISABLED"}, "message": nil, "helpUrl": nil}},
			"manualProvisioning": false, "implicitAssignment": false, "emOptInStatus": "NONE", "notes": doc{"admin": nil, "enduser": nil},
		},
	})
	if body["signOnMode"] != "OPENID_CONNECT" {
		return filled(out, doc{"name": "bookmark", "signOnMode": "BOOKMARK", "settings": doc{"app": doc{"requestIntegration": false}}})
	}
	id := digText(body, "credentials", "oauthClient", "client_id")
	if id != "" {
		it.id = id
	}
	out = filled(out, doc{
		"credentials": doc{"oauthClient": doc{"client_id": it.id, "autoKeyRotation": true, "pkce_required": false}},
		"settings":    doc{"app": doc{}, "oauthClient": doc{"dpop_bound_access_tokens": false, "issuer_mode": "ORG_URL"}},
	})
	m.register(it, out)
	return out
}

// register makes the app a client with its present keys and grants. A client that
// is in use for a token request never changes.
func (m *orgCall) register(it *item, body doc) {
	c := newClient(&Client{
		ID: it.id, Name: digText(body, "label"), Org: m.st.org.Domain, Keys: appKeys(body),
		DPoP: dig(body, "settings", "oauthClient", "dpop_bound_access_tokens") == true, Scopes: m.granted(it.id),
	})
	c.made = it
	m.clients[it.id] = c
}

func viewApp(m *orgCall, t *set, it *item, out doc) {
	self := m.base + t.kind.path + "/" + it.id
	out["orn"] = "orn:okta:idp:" + m.st.org.ID + ":apps:" + digText(out, "name") + ":" + it.id
	change := "deactivate"
	if it.status == inactive {
		change = "activate"
	}
	to := func(path string) doc { return doc{"href": self + path} }
	out["_links"] = doc{
		change: to("/lifecycle/" + change), "groups": to("/groups"), "users": to("/users"),
		"policies":          doc{"href": self + "/policies", "hints": doc{"allow": []string{"PUT"}}},
		"uploadLogo":        doc{"href": self + "/logo", "hints": doc{"allow": []string{"POST"}}},
		"logo":              []doc{{"name": "medium", "href": "https://static.acme.example/assets/img/logos/default.png", "type": "image/png"}},
		"appLinks":          []doc{},
		"accessPolicy":      doc{"href": m.base + "/api/v1/policies/" + fixedID("rst", m.st.org.Domain, "access")},
		"profileEnrollment": doc{"href": m.base + "/api/v1/policies/" + fixedID("rst", m.st.org.Domain, "enrollment")},
	}
}

// inApp returns a handler of the app that the path names.
func inApp(needed power, handle func(*orgCall, *item) *answer) handler {
	return orgRoute(func(m *orgCall) *answer {
		if refusal := firstOf(m.mayWrite(needed), m.query()); refusal != nil {
			return refusal
		}
		id := m.c.args["app"]
		it := m.st.set("apps").byID(id)
		if it == nil {
			return m.notFound(id, apps.entity)
		}
		return handle(m, it)
	})
}

func (m *orgCall) granted(app string) []string {
	var scopes []string
	for _, g := range m.st.grants[app] {
		scopes = append(scopes, digText(g, "scopeId"))
	}
	return scopes
}

func (m *orgCall) listGrants(it *item) *answer {
	out := m.st.grants[it.id]
	if out == nil {
		out = []doc{}
	}
	return jsonAnswer(http.StatusOK, out)
}

// addGrant grants a scope. What Okta answers to the same grant again is
// unconfirmed.
func (m *orgCall) addGrant(it *item) *answer {
	body, _, refusal := m.read(m.c.body)
	if refusal != nil {
		return refusal
	}
	var p problems
	p.check("", body, nil, fields("issuer scopeId", map[string]*shape{"issuer": text(1, 0), "scopeId": text(1, 0)}))
	scope, issuer := digText(body, "scopeId"), digText(body, "issuer")
	switch {
	case len(p) > 0:
	case issuer != "https://"+m.st.org.Domain && issuer != m.base:
		p.add("issuer", "The issuer must be https://%s", m.st.org.Domain)
	case !slices.Contains(knownScopes, scope):
		p.add("scopeId", "There is no scope '%s'", scope)
	case slices.Contains(m.granted(it.id), scope):
		p.add("scopeId", "The scope has already been granted to the app")
	}
	if m.clients[it.id] == nil && len(p) == 0 {
		p.add("id", "The app is not an OAuth client")
	}
	if refusal := m.bad(p); refusal != nil {
		return refusal
	}
	now := formatTime(m.opts.Now())
	id := m.st.newID("oag")
	g := doc{
		"id": id, "status": active, "created": now, "lastUpdated": now, "issuer": issuer, "clientId": it.id, "scopeId": scope, "source": "ADMIN",
		"createdBy": doc{"id": m.who.actor.ID, "type": m.who.actor.Type},
		"_links": doc{
			"self": doc{"href": m.base + "/api/v1/apps/" + it.id + "/grants/" + id, "hints": doc{"allow": []string{"GET", "DELETE"}}},
			"app":  doc{"href": m.base + "/api/v1/apps/" + it.id},
		},
	}
	m.st.grants[it.id] = append(m.st.grants[it.id], g)
	m.register(it, it.body)
	return jsonAnswer(http.StatusCreated, g)
}

// standardRoles are the roles that Okta made, with what it calls them.
var standardRoles = map[string]string{
	"ACCESS_CERTIFICATIONS_ADMIN": "Access Certifications Administrator", "ACCESS_REQUESTS_ADMIN": "Access Requests Administrator",
	"API_ACCESS_MANAGEMENT_ADMIN": "API Access Management Administrator", "APP_ADMIN": "Application Administrator",
	"GROUP_MEMBERSHIP_ADMIN": "Group Membership Administrator", "HELP_DESK_ADMIN": "Help Desk Administrator",
	"ORG_ADMIN": "Organization Administrator", "READ_ONLY_ADMIN": "Read-Only Administrator", "REPORT_ADMIN": "Report Administrator",
	"SUPER_ADMIN": "Super Administrator", "USER_ADMIN": "Group Administrator", "WORKFLOWS_ADMIN": "Workflows Administrator",
}

// ofClient returns a handler of the roles of the client that the path names.
func ofClient(handle func(*orgCall, string) *answer) handler {
	return orgRoute(func(m *orgCall) *answer {
		if refusal := firstOf(m.mayWrite(super), m.query()); refusal != nil {
			return refusal
		}
		id := m.c.args["client"]
		if m.st.set("apps").byID(id) == nil {
			return m.notFound(id, "PublicClientApp")
		}
		return handle(m, id)
	})
}

func (m *orgCall) roleBody(client, role string) doc {
	return doc{
		"id": strings.TrimRight(base32.StdEncoding.EncodeToString([]byte(role)), "="), "label": standardRoles[role], "type": role, "status": active,
		"created": formatTime(m.st.since), "lastUpdated": formatTime(m.st.since), "assignmentType": "CLIENT",
		"_links": doc{"assignee": doc{"href": m.base + "/oauth2/v1/clients/" + client}},
	}
}

func (m *orgCall) listRoles(client string) *answer {
	out := []doc{}
	for _, role := range m.st.roles[client] {
		out = append(out, m.roleBody(client, role))
	}
	return jsonAnswer(http.StatusOK, out)
}

func (m *orgCall) assignRole(client string) *answer {
	body, _, refusal := m.read(m.c.body)
	if refusal != nil {
		return refusal
	}
	var p problems
	p.check("", body, nil, fields("type", map[string]*shape{"type": text(1, 0)}))
	role := digText(body, "type")
	if len(p) == 0 && standardRoles[role] == "" {
		p.add("type", "There is no role '%s'", role)
	}
	if refusal := m.bad(p); refusal != nil {
		return refusal
	}
	if slices.Contains(m.st.roles[client], role) {
		return m.fail(http.StatusConflict, codeRoleTwice, "The role specified is already assigned to the client.")
	}
	m.st.roles[client] = append(m.st.roles[client], role)
	m.log("app.oauth2.client.privilege.grant", apps.entityOf(m.st.set("apps").byID(client)))
	return jsonAnswer(http.StatusOK, m.roleBody(client, role))
}

// revokeToken revokes the SSWS token of the call.
func (m *orgCall) revokeToken() *answer {
	if m.who.ssws == "" {
		return m.forbidden("Only an API token can be revoked")
	}
	delete(m.ssws, m.who.ssws)
	m.st.org.Tokens = slices.DeleteFunc(m.st.org.Tokens, func(t string) bool { return t == m.who.ssws })
	m.log("system.api_token.revoke", entity{ID: fixedID("00T", m.who.ssws), Type: "Token", AlternateID: "Org Creator API token", DisplayName: "Org Creator API token"})
	return noContent()
}
