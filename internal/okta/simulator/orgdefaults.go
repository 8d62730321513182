package simulator

import "time"

// orgBirth is when the default objects of an org were made if the seed doesn't
// know better.
var orgBirth = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// defaults makes the objects that Okta makes in every org.
func (s *Simulator) defaults(st *orgState) {
	st.since = orgBirth
	if t, err := time.Parse(oktaTime, st.org.CreatedDate); err == nil {
		st.since = t
	}
	m := &orgCall{Simulator: s, st: st, quiet: true, base: "https://" + st.org.Domain, who: &caller{actor: entity{ID: userID("system@okta.com"), Type: "SystemPrincipal", DisplayName: "Okta System"}}}
	add := func(k *kind, t *set, class string, body doc) *item {
		it := &item{
			id: st.newID(k.prefix), by: m.who.actor.ID, created: st.since, updated: st.since,
			status: k.born, system: true, class: class,
		}
		it.seq = st.last
		it.body = k.fill(m, it, body)
		t.items = append(t.items, it)
		return it
	}
	everyone := add(groups, st.set("groups"), builtInGroup, doc{"profile": doc{"name": "Everyone", "description": "All users in your organization"}})
	add(groups, st.set("groups"), builtInGroup, doc{"profile": doc{
		"name": "Okta Administrators", "description": "Okta manages this group, which contains all administrators in your organization.",
	}})
	add(zones, st.set("networkZones"), "", doc{"type": "IP", "name": "LegacyIpZone", "usage": "POLICY"})
	add(zones, st.set("networkZones"), "", doc{"type": "IP", "name": "BlockedIpZone", "usage": "BLOCKLIST"})
	add(zones, st.set("networkZones"), "", doc{
		"type": "DYNAMIC_V2", "name": "DefaultEnhancedDynamicZone", "usage": "BLOCKLIST",
		"ipServiceCategories": doc{"include": []any{"ALL_ANONYMIZERS"}, "exclude": []any{}},
	}).status = inactive

	policy := func(class, name, provider string) {
		conditions := doc{"people": doc{"groups": doc{"include": []any{everyone.id}}}}
		if provider != "" {
			conditions["authProvider"] = doc{"provider": provider}
		}
		p := add(policies, st.set("policies"), class, doc{
			"type": class, "name": name, "conditions": conditions,
			"description": "The default policy applies in all situations if no other policy applies.",
		})
		add(policyRules, p.rules, "", doc{"type": ruleType(class), "name": "Default Rule", "actions": defaultActions[class]})
	}
	policy(signOnPolicy, "Default Policy", "")
	policy(passwordPolicy, "Active Directory Policy", "ACTIVE_DIRECTORY")
	policy(passwordPolicy, "Default Policy", "OKTA")
	policy(enrollPolicy, "Default Policy", "")

	st.settings["general"] = doc{"companyName": st.org.Name}
	offered := s.seed.Features
	if len(offered) == 0 {
		offered = defaultFeatures
	}
	m.addFeatures(offered)
	st.broken = m.configure()
}

// defaultActions are those of the default rules.
var defaultActions = map[string]doc{
	signOnPolicy: {"signon": doc{"access": "ALLOW"}},
	passwordPolicy: {
		"passwordChange": doc{"access": "ALLOW"}, "selfServicePasswordReset": doc{"access": "ALLOW"}, "selfServiceUnlock": doc{"access": "DENY"},
	},
	enrollPolicy: {"enroll": doc{"self": "CHALLENGE"}},
}
