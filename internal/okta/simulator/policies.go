package simulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// policyTypes are the types of policies that Okta has. Those without a shape here
// are not simulated.
var policyTypes = []string{
	"ACCESS_POLICY", "CLIENT_UPDATE", "DEVICE_SIGNAL_COLLECTION", "ENTITY_RISK", "IDENTITY_CLAIM_SOURCING", "IDP_DISCOVERY",
	"MFA_ENROLL", "OKTA_SIGN_ON", "PASSWORD", "POST_AUTH_SESSION", "PROFILE_ENROLLMENT", "SESSION_VIOLATION_DETECTION",
}

const (
	signOnPolicy   = "OKTA_SIGN_ON"
	passwordPolicy = "PASSWORD"
	enrollPolicy   = "MFA_ENROLL"
)

var simulatedPolicies = []string{signOnPolicy, passwordPolicy, enrollPolicy}

var policies = &kind{
	name: "policies", path: "/api/v1/policies", scope: "okta.policies", prefix: "00p", entity: "Policy", target: "PolicyEntity",
	events: events{
		"policy.lifecycle.create", "policy.lifecycle.update", "policy.lifecycle.activate", "policy.lifecycle.deactivate", "policy.lifecycle.delete",
	},
	born: active, silent: true, ordered: true, activate: true,
	class:      func(body doc) string { return digText(body, "type") },
	shape:      policyShape,
	check:      checkPolicy,
	fill:       fillPolicy,
	view:       viewPolicy,
	removable:  notSystem,
	switchable: func(m *orgCall, it *item, _ string) *answer { return notSystem(m, nil, it) },
}

// notSystem refuses to delete, or to change the status of, what Okta made.
func notSystem(m *orgCall, _ *set, it *item) *answer {
	if it.system {
		return m.forbidden("A default policy or rule can be neither deleted nor deactivated")
	}
	return nil
}

func policyShape(m *orgCall, body doc) *shape {
	people := fields("groups", map[string]*shape{"groups": fields("", map[string]*shape{"include": ids(0), "exclude": ids(0)})})
	s := fields("type name", map[string]*shape{
		"type": oneOf(policyTypes...), "name": text(1, 255), "description": text(0, 1024).orNull(), "priority": number(1, 0).orNull(),
		"conditions": fields("", map[string]*shape{"people": people}).orNull(),
	})
	switch body["type"] {
	case passwordPolicy:
		provider := fields("provider", map[string]*shape{"provider": oneOf("OKTA", "ACTIVE_DIRECTORY", "LDAP", "ANY"), "include": ids(0)})
		return s.with("", map[string]*shape{
			"conditions": fields("", map[string]*shape{"people": people, "authProvider": provider}).orNull(),
			"settings":   passwordSettings,
		})
	case enrollPolicy:
		return s.with("", map[string]*shape{"settings": enrollSettings(m.st.org.classic())})
	}
	return s
}

// passwordSettings leaves out what needs a feature that no org here has:
// breachedProtection and oelStatement.
var passwordSettings = func() *shape {
	days := number(0, 100_000)
	channel := map[string]*shape{"status": oneOf(active, inactive)}
	factor := fields("", channel)
	return fields("", map[string]*shape{
		"password": fields("", map[string]*shape{
			"complexity": fields("", map[string]*shape{
				"minLength": number(4, 72), "minLowerCase": number(0, 72), "minUpperCase": number(0, 72), "minNumber": number(0, 72), "minSymbol": number(0, 72),
				"excludeUsername": flag(), "excludeAttributes": list(text(1, 0), 0, 0), "maxConsecutiveCharacters": number(1, 72),
				"dictionary": fields("", map[string]*shape{"common": fields("", map[string]*shape{"exclude": flag()})}),
			}),
			"age": fields("", map[string]*shape{"maxAgeDays": days, "expireWarnDays": days, "minAgeMinutes": days, "historyCount": number(0, 30)}),
			"lockout": fields("", map[string]*shape{
				"maxAttempts": number(0, 100), "autoUnlockMinutes": days, "showLockoutFailures": flag(),
				"userLockoutNotificationChannels": list(oneOf("EMAIL"), 0, 0),
			}),
		}),
		"recovery": fields("", map[string]*shape{"factors": fields("", map[string]*shape{
			"recovery_question": factor.with("", map[string]*shape{"properties": fields("", map[string]*shape{
				"complexity": fields("", map[string]*shape{"minLength": number(1, 100)}),
			})}),
			"okta_email": factor.with("", map[string]*shape{"properties": fields("", map[string]*shape{
				"recoveryToken": fields("", map[string]*shape{"tokenLifetimeMinutes": number(1, 1_000_000)}),
			})}),
			"okta_sms": factor, "okta_call": factor,
		})}),
		"delegation": fields("", map[string]*shape{"options": fields("", map[string]*shape{"skipUnlock": flag()})}),
	})
}()

var passwordDefaults = literalDoc(`{
	"password": {
		"complexity": {"minLength": 8, "minLowerCase": 1, "minUpperCase": 1, "minNumber": 1, "minSymbol": 0, "excludeUsername": true,
			"dictionary": {"common": {"exclude": false}}, "excludeAttributes": []},
		"age": {"maxAgeDays": 0, "expireWarnDays": 0, "minAgeMinutes": 0, "historyCount": 4},
		"lockout": {"maxAttempts": 10, "autoUnlockMinutes": 0, "userLockoutNotificationChannels": [], "showLockoutFailures": false}},
	"recovery": {"factors": {
		"recovery_question": {"status": "ACTIVE", "properties": {"complexity": {"minLength": 4}}},
		"okta_email": {"status": "ACTIVE", "properties": {"recoveryToken": {"tokenLifetimeMinutes": 60}}},
		"okta_sms": {"status": "INACTIVE"}, "okta_call": {"status": "INACTIVE"}}},
	"delegation": {"options": {"skipUnlock": false}}}`)

// authenticators are the keys of the authenticators that every org has.
var authenticators = []string{
	"google_otp", "okta_email", "okta_password", "okta_verify", "phone_number", "security_question", "webauthn",
}

// enrollSettings returns the shape of the settings of MFA_ENROLL, which Identity
// Engine and Classic Engine have each in their own form.
func enrollSettings(classic bool) *shape {
	self := fields("self", map[string]*shape{"self": oneOf("NOT_ALLOWED", "OPTIONAL", "REQUIRED")})
	if classic {
		factors := map[string]*shape{}
		for _, key := range []string{"duo", "fido_u2f", "fido_webauthn", "google_otp", "okta_call", "okta_email", "okta_otp", "okta_password", "okta_push", "okta_question", "okta_sms", "rsa_token", "symantec_vip", "yubikey_token"} {
			factors[key] = fields("enroll", map[string]*shape{
				"enroll": self, "consent": fields("type", map[string]*shape{"type": oneOf("NONE", "TERMS_OF_SERVICE")}),
			})
		}
		return fields("factors", map[string]*shape{"type": oneOf("FACTORS"), "factors": fields("", factors)})
	}
	grace := fields("type", map[string]*shape{"type": oneOf("BY_DATE_TIME", "BY_SKIP_COUNT"), "expiry": text(1, 0), "skipCount": number(1, 100)})
	return fields("type authenticators", map[string]*shape{
		"type": oneOf("AUTHENTICATORS"),
		"authenticators": list(fields("key enroll", map[string]*shape{
			"key": oneOf(authenticators...), "id": text(1, 0),
			"enroll":      self.with("", map[string]*shape{"gracePeriod": grace, "autoEnroll": flag().orNull()}),
			"constraints": fields("", map[string]*shape{"aaguidGroups": ids(0)}).orNull(),
		}), 1, 0),
	})
}

var (
	enrollDefaults = literalDoc(`{"type": "AUTHENTICATORS", "authenticators": [
		{"key": "okta_password", "enroll": {"self": "REQUIRED"}}, {"key": "okta_email", "enroll": {"self": "REQUIRED"}},
		{"key": "okta_verify", "enroll": {"self": "OPTIONAL"}}]}`)
	factorDefaults = literalDoc(`{"type": "FACTORS", "factors": {"okta_password": {"enroll": {"self": "REQUIRED"}}}}`)
)

func (o *Org) classic() bool { return o.Pipeline == "v1" }

// checkPolicy checks what a shape can't say. Of a default policy only conditions,
// settings and description can be changed, and a PUT must have its conditions and
// its present priority.
func checkPolicy(m *orgCall, t *set, it *item, body doc) *answer {
	class := digText(body, "type")
	if !slices.Contains(simulatedPolicies, class) {
		return m.invalid("type", "type: Policies of the type "+class+" are not simulated")
	}
	if it != nil && class != it.class {
		return m.invalid("type", "type: The type of a policy can't be changed")
	}
	if it != nil && it.system {
		if refusal := m.checkSystem(t, it, body, true); refusal != nil {
			return refusal
		}
	}
	var p problems
	include := digTexts(body, "conditions", "people", "groups", "include")
	if len(include) == 0 && (it == nil || !it.system) {
		p.add("conditions.people.groups.include", "The policy must be for at least one group")
	}
	m.knowsAll(&p, m.st.set("groups"), "conditions.people.groups", dig(body, "conditions", "people", "groups"))
	if class == enrollPolicy {
		checkAuthenticators(&p, body)
	}
	return firstOf(m.bad(p), m.newName(t, it, "name", class, body))
}

func checkAuthenticators(p *problems, body doc) {
	items, _ := dig(body, "settings", "authenticators").([]any)
	seen := map[string]bool{}
	for _, item := range items {
		if key := digText(item, "key"); seenBefore(seen, key) {
			p.add("settings.authenticators", "The authenticator %s is there twice", key)
		}
	}
}

// knowsAll adds a problem for each id in include and exclude of a condition that
// is none of the set.
func (m *orgCall) knowsAll(p *problems, t *set, at string, condition any) {
	for _, side := range []string{"include", "exclude"} {
		for _, id := range digTexts(condition, side) {
			if t.byID(id) == nil {
				p.add(at+"."+side, "There is no %s '%s'", t.kind.entity, id)
			}
		}
	}
}

// checkSystem refuses to rename or reorder a default policy or rule. For a policy
// the conditions are required, and stay as they are: that Okta rejects other ones is
// unconfirmed.
func (m *orgCall) checkSystem(t *set, it *item, body doc, conditions bool) *answer {
	readOnly := func(field string) *answer {
		return m.fail(http.StatusBadRequest, codeReadOnly, "Cannot modify the "+field+" attribute because it is read-only.")
	}
	_, has := body["conditions"]
	n, _ := body["priority"].(json.Number)
	switch {
	case body["name"] != it.body["name"]:
		return readOnly("name")
	case n.String() != json.Number(itoa(t.priority(it))).String():
		return readOnly("priority")
	case conditions && (!has || body["conditions"] == nil || m.c != nil && !same(dig(body, "conditions", "people"), dig(it.body, "conditions", "people"))):
		return readOnly("conditions")
	}
	return nil
}

func fillPolicy(m *orgCall, it *item, body doc) doc {
	out := filled(body, doc{"description": ""})
	if body["description"] == nil {
		out["description"] = ""
	}
	switch body["type"] {
	case passwordPolicy:
		out = filled(out, doc{"settings": passwordDefaults, "conditions": doc{"authProvider": doc{"provider": "OKTA"}}})
		// A default policy keeps the provider that it is for.
		if provider := dig(it.body, "conditions", "authProvider"); it.system && provider != nil {
			conditions := maps.Clone(out["conditions"].(doc))
			conditions["authProvider"] = provider
			out["conditions"] = conditions
		}
	case enrollPolicy:
		settings := enrollDefaults
		if m.st.org.classic() {
			settings = factorDefaults
		}
		if out["settings"] == nil {
			out["settings"] = settings
		}
	}
	if it.rules == nil {
		it.rules = &set{kind: policyRules, owner: it}
	}
	return out
}

func viewPolicy(m *orgCall, t *set, it *item, out doc) {
	self := m.base + t.kind.path + "/" + it.id
	out["system"], out["priority"] = it.system, t.priority(it)
	allow := []string{"GET", "PUT", "DELETE"}
	if it.system {
		allow = []string{"GET", "PUT"}
	}
	l := m.links(self, it, allow...)
	if it.system {
		delete(l, "deactivate")
	}
	l["rules"] = doc{"href": self + "/rules", "hints": doc{"allow": []string{"GET", "POST"}}}
	out["_links"] = l
}

// listPolicies answers all policies of a type on one page.
func (m *orgCall) listPolicies() *answer {
	if refusal := m.query("type", "status", "q", "expand", "limit", "after"); refusal != nil {
		return refusal
	}
	var p problems
	class := m.param("type")
	switch {
	case class == "":
		p.add("type", "The parameter is required")
	case !slices.Contains(policyTypes, class):
		p.add("type", "The parameter must be one of %s", strings.Join(policyTypes, ", "))
	case !slices.Contains(simulatedPolicies, class):
		p.add("type", "Policies of the type %s are not simulated", class)
	}
	if status := m.param("status"); status != "" && status != active && status != inactive {
		p.add("status", "The parameter must be %s or %s", active, inactive)
	}
	if refusal := firstOf(m.bad(p), m.checkExpand()); refusal != nil {
		return refusal
	}
	t := m.st.set("policies")
	out := []any{}
	for _, it := range t.class(class) {
		if status := m.param("status"); m.power() == powerless || status != "" && status != it.status ||
			!strings.HasPrefix(strings.ToLower(digText(it.body, "name")), strings.ToLower(m.param("q"))) {
			continue
		}
		out = append(out, m.expanded(t, it))
	}
	a := jsonAnswer(http.StatusOK, out)
	link(a, "self", m.c.url, m.c.r.URL.Query())
	return a
}

// checkExpand returns the error about an expand that policies don't have.
func (m *orgCall) checkExpand() *answer {
	if e := m.param("expand"); e != "" && e != "rules" {
		return m.invalid("expand", "expand: The parameter must be rules")
	}
	return nil
}

// expanded returns a policy, with its rules if the call asks for them.
func (m *orgCall) expanded(t *set, it *item) any {
	if m.param("expand") != "rules" {
		return m.encode(t, it)
	}
	out := m.view(t, it)
	rules := []json.RawMessage{}
	for _, rule := range it.rules.items {
		rules = append(rules, m.encode(it.rules, rule))
	}
	out["_embedded"] = doc{"rules": rules}
	return out
}
