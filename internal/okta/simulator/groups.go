package simulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

const (
	oktaGroup    = "OKTA_GROUP"
	appGroup     = "APP_GROUP"
	builtInGroup = "BUILT_IN"
)

var groups = &kind{
	name: "groups", path: "/api/v1/groups", scope: "okta.groups", prefix: "00g", entity: "UserGroup", target: "UserGroup",
	events: events{create: "group.lifecycle.create", update: "group.profile.update", remove: "group.lifecycle.delete"},
	called: func(body doc) string { return digText(body, "profile", "name") },
	page:   10000, most: 10000,
	parameters: []string{"q", "filter", "search"},
	filter: &grammar{attributes: map[string]attribute{
		"id": {kind: textual, ops: []string{"eq"}}, "type": {kind: textual, ops: []string{"eq"}},
		"lastUpdated":           {kind: textual, ops: []string{"eq", "gt", "ge", "lt", "le"}},
		"lastMembershipUpdated": {kind: textual, ops: []string{"eq", "gt", "ge", "lt", "le"}},
	}},
	search: &grammar{nested: true, attributes: map[string]attribute{
		"id": {kind: textual, ops: []string{"eq"}}, "type": {kind: textual, ops: []string{"eq"}},
		"profile.name":        {kind: textual, ops: []string{"eq", "sw", "co"}},
		"profile.description": {kind: textual, ops: []string{"eq", "sw", "co"}},
	}},
	class: func(body doc) string { return cmp.Or(digText(body, "type"), oktaGroup) },
	shape: func(*orgCall, doc) *shape {
		return fields("profile", map[string]*shape{
			"profile": fields("name", map[string]*shape{"name": text(1, 255), "description": text(0, 1024).orNull()}),
			// These come with every answer and may be sent back.
			"type": oneOf(oktaGroup, appGroup, builtInGroup), "objectClass": list(text(1, 0), 0, 0), "lastMembershipUpdated": text(1, 0),
		})
	},
	check: func(m *orgCall, t *set, it *item, body doc) *answer {
		class := t.kind.class(body)
		if it == nil && m.c != nil && class != oktaGroup {
			return m.invalid("type", "type: Only groups of the type OKTA_GROUP can be created")
		}
		if it != nil && body["type"] != nil && class != it.class {
			return m.invalid("type", "type: The type of a group can't be changed")
		}
		if it != nil && it.class != oktaGroup {
			return m.forbidden("A group of the type " + it.class + " can't be changed")
		}
		if t.duplicate(it, builtInGroup, t.kind.title(body)) {
			return m.invalid("name", "name: "+sayExists)
		}
		return m.newName(t, it, "name", class, body)
	},
	fill: func(_ *orgCall, _ *item, body doc) doc {
		return doc{"profile": filled(body["profile"].(doc), doc{"description": nil})}
	},
	view: viewGroup,
	removable: func(m *orgCall, _ *set, it *item) *answer {
		if it.class != oktaGroup {
			return m.forbidden("A group of the type " + it.class + " can't be deleted")
		}
		return nil
	},
	removed: func(m *orgCall, it *item) {
		rules := m.st.set("groupRules")
		for _, rule := range rules.items {
			if slices.Contains(ruleTargets(rule.body), it.id) && rule.status != invalid {
				rule.status, rule.updated, rule.encoded = invalid, m.now(), nil
				m.log("policy.rule.invalidate", rules.kind.entityOf(rule))
			}
		}
	},
}

func viewGroup(m *orgCall, t *set, it *item, out doc) {
	const logo = "https://static.acme.example/assets/img/logos/groups/okta-"
	self := m.base + t.kind.path + "/" + it.id
	out["type"] = it.class
	out["objectClass"] = []string{"okta:user_group"}
	if it.class == appGroup {
		out["objectClass"] = []string{"okta:windows_security_principal"}
	}
	out["lastMembershipUpdated"] = formatTime(it.created)
	out["_links"] = doc{
		"logo": []doc{
			{"name": "medium", "href": logo + "medium.png", "type": "image/png"},
			{"name": "large", "href": logo + "large.png", "type": "image/png"},
		},
		"users": doc{"href": self + "/users"},
		"apps":  doc{"href": self + "/apps"},
	}
}

const invalid = "INVALID"

// groupRules are the rules of groups.
var groupRules = &kind{
	name: "groupRules", path: "/api/v1/groups/rules", scope: "okta.groups", prefix: "0pr", entity: "GroupRule", target: "Rule",
	events: events{"policy.rule.add", "policy.rule.update", "policy.rule.activate", "policy.rule.deactivate", "policy.rule.delete"},
	born:   inactive, silent: true, removal: http.StatusAccepted,
	page: 50, most: 200,
	parameters: []string{"search"},
	removeWith: []string{"removeUsers"},
	search: &grammar{nested: true, attributes: map[string]attribute{
		"name": {kind: textual, ops: []string{"eq", "sw", "co"}}, "status": {kind: textual, ops: []string{"eq"}},
	}},
	shape: func(*orgCall, doc) *shape {
		return fields("type name conditions actions", map[string]*shape{
			"type": oneOf("group_rule"), "name": text(1, 50),
			"conditions": fields("expression", map[string]*shape{
				"expression": fields("value type", map[string]*shape{
					"value": text(1, 0).like(balanced, "an expression with as many closing as opening parentheses and quotation marks"),
					"type":  oneOf("urn:okta:expression:1.0"),
				}),
				"people": fields("", map[string]*shape{
					"users":  fields("", map[string]*shape{"exclude": ids(0)}),
					"groups": fields("", map[string]*shape{"exclude": ids(0)}),
				}),
			}),
			"actions": fields("assignUserToGroups", map[string]*shape{
				"assignUserToGroups": fields("groupIds", map[string]*shape{"groupIds": ids(1)}),
			}),
		})
	},
	check: checkGroupRule,
	fill:  func(_ *orgCall, _ *item, body doc) doc { return body },
	view:  func(_ *orgCall, _ *set, _ *item, _ doc) {},
	removable: func(m *orgCall, _ *set, it *item) *answer {
		if it.status == active {
			return m.invalid("status", "status: The rule must be deactivated before it is deleted")
		}
		return nil
	},
	switchable: func(m *orgCall, it *item, _ string) *answer {
		if it.status == invalid {
			return m.invalid("status", "status: Cannot activate or deactivate a Group Rule with the status INVALID")
		}
		return nil
	},
}

func ruleTargets(body doc) []string {
	return digTexts(body, "actions", "assignUserToGroups", "groupIds")
}

func checkGroupRule(m *orgCall, t *set, it *item, body doc) *answer {
	if it != nil && it.status != inactive {
		return m.invalid("status", "status: Only a rule with the status INACTIVE can be changed")
	}
	var p problems
	targets := ruleTargets(body)
	for i, id := range targets {
		switch g := m.st.set("groups").byID(id); {
		case g == nil:
			p.add("actions.assignUserToGroups.groupIds", "There is no group '%s'", id)
		case g.class != oktaGroup:
			p.add("actions.assignUserToGroups.groupIds", "The group '%s' is of the type %s", id, g.class)
		case slices.Contains(targets[:i], id):
			p.add("actions.assignUserToGroups.groupIds", "The group '%s' is there twice", id)
		}
	}
	return firstOf(m.bad(p), m.newName(t, it, "name", "", body))
}

// balanced reports whether an expression could be one: its parentheses and quotation
// marks are closed, and it has no control characters.
func balanced(expression string) bool {
	depth, quoted := 0, false
	for _, r := range expression {
		switch {
		case unicode.IsControl(r) && !unicode.IsSpace(r):
			return false
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '(':
			depth++
		case r == ')':
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && !quoted && strings.TrimSpace(expression) != ""
}
