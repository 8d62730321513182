package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// policyRules are the rules of policies. A policy has a set of its own.
var policyRules = &kind{
	name: "policyRules", path: "/api/v1/policies/{policy}/rules", scope: "okta.policies", prefix: "0pr", entity: "PolicyRule", target: "PolicyRule",
	events: events{"policy.rule.add", "policy.rule.update", "policy.rule.activate", "policy.rule.deactivate", "policy.rule.delete"},
	born:   active, silent: true, ordered: true, activate: true,
	shape: func(m *orgCall, body doc) *shape { return ruleShape(digText(body, "type"), m.st.org.classic()) },
	check: checkRule, fill: fillRule, view: viewRule,
	removable:  notSystem,
	switchable: func(m *orgCall, it *item, _ string) *answer { return notSystem(m, nil, it) },
}

// ruleType returns the type of the rules of policies of a type.
func ruleType(class string) string {
	if class == signOnPolicy {
		return "SIGN_ON"
	}
	return class
}

// ofPolicy returns the rules of the policy that the path names.
func ofPolicy(m *orgCall) (*set, *answer) {
	id := m.c.args["policy"]
	p := m.st.set("policies").byID(id)
	if p == nil || m.power() == powerless {
		return nil, m.notFound(id, policies.entity)
	}
	return p.rules, nil
}

// ruleShape leaves out the conditions that need a feature that no org here has:
// riskScore and identityProvider.
func ruleShape(class string, classic bool) *shape {
	network := fields("connection", map[string]*shape{"connection": oneOf("ANYWHERE", "ZONE"), "include": ids(0), "exclude": ids(0)})
	conditions := fields("", map[string]*shape{
		"people":  fields("", map[string]*shape{"users": fields("", map[string]*shape{"include": ids(0), "exclude": ids(0)}), "groups": fields("", map[string]*shape{"include": ids(0), "exclude": ids(0)})}),
		"network": network,
	})
	access := fields("access", map[string]*shape{"access": oneOf("ALLOW", "DENY")})
	rule := fields("type name actions", map[string]*shape{
		"type": oneOf("SIGN_ON", passwordPolicy, enrollPolicy), "name": text(1, 255), "priority": number(1, 0).orNull(),
		"conditions": conditions.orNull(), "actions": fields("", map[string]*shape{}),
	})
	switch class {
	case "SIGN_ON":
		return rule.with("", map[string]*shape{
			"conditions": conditions.with("", map[string]*shape{
				"authContext": fields("authType", map[string]*shape{"authType": oneOf("ANY", "RADIUS", "LDAP_INTERFACE")}),
				"risk":        fields("behaviors", map[string]*shape{"behaviors": ids(0)}),
			}).orNull(),
			"actions": fields("signon", map[string]*shape{"signon": fields("access", map[string]*shape{
				"access": oneOf("ALLOW", "DENY"), "requireFactor": flag(), "factorPromptMode": oneOf("ALWAYS", "DEVICE", "SESSION").orNull(),
				"factorLifetime": number(0, 1<<31-1), "rememberDeviceByDefault": flag(), "primaryFactor": oneOf("PASSWORD_IDP", "PASSWORD_IDP_ANY_FACTOR"),
				"session": fields("", map[string]*shape{
					"maxSessionIdleMinutes": number(1, 1<<31-1), "maxSessionLifetimeMinutes": number(0, 1<<31-1), "usePersistentCookie": flag(),
				}),
			})}),
		})
	case passwordPolicy:
		reset := access
		if !classic {
			reset = access.with("", map[string]*shape{"type": oneOf("selfServicePasswordReset"), "requirement": fields("", map[string]*shape{
				"accessControl": oneOf("LEGACY", "AUTH_POLICY"),
				"primary":       fields("methods", map[string]*shape{"methods": list(oneOf("push", "sms", "voice", "email", "otp"), 1, 0), "methodConstraints": list(&shape{}, 0, 0)}),
				"stepUp":        fields("required", map[string]*shape{"required": flag(), "methods": list(oneOf("security_question"), 0, 0)}),
			})})
		}
		return rule.with("", map[string]*shape{"actions": fields("", map[string]*shape{
			"passwordChange": access, "selfServicePasswordReset": reset, "selfServiceUnlock": access,
		})})
	case enrollPolicy:
		app := list(fields("type", map[string]*shape{"type": oneOf("APP", "APP_TYPE"), "id": text(1, 0), "name": text(1, 0)}), 0, 0)
		return rule.with("", map[string]*shape{"conditions": conditions.with("", map[string]*shape{
			"app": fields("", map[string]*shape{"include": app, "exclude": app}),
		}).orNull(), "actions": fields("enroll", map[string]*shape{
			"enroll": fields("self", map[string]*shape{"self": oneOf("CHALLENGE", "LOGIN", "NEVER", "NEVER_INCLUDING_RECOVERY")}),
		})})
	}
	return rule
}

func checkRule(m *orgCall, t *set, it *item, body doc) *answer {
	if want := ruleType(t.owner.class); body["type"] != want {
		return m.invalid("type", "type: The type of the policy's rules is "+want)
	}
	if it != nil && it.system {
		if refusal := m.checkSystem(t, it, body, false); refusal != nil {
			return refusal
		}
		if conditions, has := body["conditions"].(doc); has && !same(filledConditions(body["type"], conditions), it.body["conditions"]) {
			return m.fail(http.StatusBadRequest, codeReadOnly, "Cannot modify the conditions attribute because it is read-only.")
		}
	}
	var p problems
	m.checkNetwork(&p, dig(body, "conditions", "network"))
	m.knowsAll(&p, m.st.set("groups"), "conditions.people.groups", dig(body, "conditions", "people", "groups"))
	for _, id := range digTexts(body, "conditions", "risk", "behaviors") {
		if m.st.set("behaviors").byID(id) == nil {
			p.add("conditions.risk.behaviors", "There is no behavior '%s'", id)
		}
	}
	signon := dig(body, "actions", "signon")
	if mode := digText(signon, "factorPromptMode"); dig(signon, "factorLifetime") != nil && mode != "SESSION" {
		p.add("actions.signon.factorLifetime", "The field goes with the factorPromptMode SESSION only")
	}
	if dig(signon, "requireFactor") == true && digText(signon, "factorPromptMode") == "" {
		p.add("actions.signon.factorPromptMode", "The field cannot be left blank when a factor is required")
	}
	checkReset(&p, dig(body, "actions", "selfServicePasswordReset", "requirement"))
	if refusal := m.bad(p); refusal != nil {
		return refusal
	}
	if t.duplicate(it, "", digText(body, "name")) {
		return m.fail(http.StatusConflict, codeValidation, "Api validation failed: name", "name: Policy rule name already in use")
	}
	return nil
}

// checkNetwork checks a network condition: zones with ZONE, and only with it.
func (m *orgCall) checkNetwork(p *problems, network any) {
	const at = "conditions.network"
	include, exclude := digTexts(network, "include"), digTexts(network, "exclude")
	switch listed := len(include) + len(exclude); {
	case network == nil:
	case digText(network, "connection") == "ANYWHERE" && listed > 0:
		p.add(at, "Network zones go with the connection ZONE only")
	case digText(network, "connection") == "ZONE" && (len(include) == 0) == (len(exclude) == 0):
		p.add(at, "You should either include or exclude network zones when you use zones in the policy rule.")
	}
	for _, id := range slices.Concat(include, exclude) {
		if id != "ALL_ZONES" && m.st.set("networkZones").byID(id) == nil {
			p.add(at, "There is no network zone '%s'", id)
		}
	}
}

// checkReset checks the requirement of a password reset, which either has both
// steps or leaves them to the authentication policy.
func checkReset(p *problems, requirement any) {
	const at = "actions.selfServicePasswordReset.requirement"
	first, second := dig(requirement, "primary") != nil, dig(requirement, "stepUp") != nil
	switch {
	case requirement == nil:
	case digText(requirement, "accessControl") == "AUTH_POLICY":
		if first || second {
			p.add(at, "primary and stepUp can't be set with the accessControl AUTH_POLICY")
		}
	case !first || !second:
		p.add(at, "primary and stepUp must be set unless the accessControl is AUTH_POLICY")
	}
}

func filledConditions(class any, conditions doc) doc {
	out := filled(conditions, doc{"people": doc{"users": doc{"exclude": []any{}}}, "network": doc{"connection": "ANYWHERE"}})
	if class == "SIGN_ON" {
		out = filled(out, doc{"authContext": doc{"authType": "ANY"}})
	}
	return out
}

var sessionDefaults = doc{
	"usePersistentCookie": false, "maxSessionIdleMinutes": json.Number("120"), "maxSessionLifetimeMinutes": json.Number("0"),
}

func fillRule(m *orgCall, it *item, body doc) doc {
	out := filled(body, doc{})
	conditions, _ := body["conditions"].(doc)
	out["conditions"] = filledConditions(body["type"], conditions)
	if it.system && it.body != nil {
		out["conditions"] = it.body["conditions"]
	}
	actions, _ := body["actions"].(doc)
	switch body["type"] {
	case "SIGN_ON":
		actions = filled(actions, doc{"signon": doc{
			"requireFactor": false, "primaryFactor": "PASSWORD_IDP", "rememberDeviceByDefault": false, "session": sessionDefaults,
		}})
	case passwordPolicy:
		deny := doc{"access": "DENY"}
		actions = filled(actions, doc{"passwordChange": deny, "selfServicePasswordReset": deny, "selfServiceUnlock": deny})
		if !m.st.org.classic() {
			actions["selfServicePasswordReset"] = filled(actions["selfServicePasswordReset"].(doc), doc{"requirement": doc{
				"primary": doc{"methods": []any{"email"}}, "stepUp": doc{"required": false},
			}})
		}
	}
	out["actions"] = actions
	return out
}

func viewRule(m *orgCall, t *set, it *item, out doc) {
	self := m.base + strings.Replace(t.kind.path, "{policy}", t.owner.id, 1) + "/" + it.id
	out["system"], out["priority"] = it.system, t.priority(it)
	allow := []string{"GET", "PUT", "DELETE"}
	if it.system {
		allow = []string{"GET", "PUT"}
	}
	l := m.links(self, it, allow...)
	if it.system {
		delete(l, "deactivate")
	}
	out["_links"] = l
}
