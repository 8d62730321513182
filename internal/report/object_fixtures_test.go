package report

import (
	"fmt"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
)

func object(org, id string, action diff.Action, kind, name string, fields ...diff.Field) diff.Change {
	return diff.Change{Org: org, OrgID: id, Action: action, Kind: kind, Object: name, ObjectID: "nzo1", Fields: fields}
}

func field(path string, before, after any) diff.Field {
	return diff.Field{FieldChange: objects.FieldChange{Path: path, Before: before, After: after}}
}

func address(value string) any { return map[string]any{"type": "CIDR", "value": value} }

func withOrigin(o diff.Origin, c diff.Change) diff.Change {
	c.Origin = o
	for i := range c.Fields {
		if c.Fields[i].Origin == "" {
			c.Fields[i].Origin = o
		}
	}
	return c
}

const (
	emea   = "acme-emea.okta.com"
	emeaID = "00oy0itaI2Yi7XGGE0g3"
	bank   = "acme-bank.okta.com"
	bankID = "00o1bank00000000000g"
	shop   = "acme-shop.okta.com"
	shopID = "00o1shop00000000000g"
)

// blocklist is a change that may lock people out.
func blocklist(org, id string) diff.Change {
	c := object(org, id, diff.CreateObject, "networkZones", "Bad",
		field("gateways", nil, []any{address("203.0.113.0/24")}), field("name", nil, "Bad"), field("status", nil, "ACTIVE"),
		field("type", nil, "IP"), field("usage", nil, "BLOCKLIST"))
	c.ObjectID, c.Risks = "", []string{"nobody can reach the org from this active blocklist zone"}
	return c
}

// offices adds one address to a zone and takes another one out.
func offices(org, id string) diff.Change {
	c := object(org, id, diff.UpdateObject, "networkZones", "Offices",
		field("gateways", []any{address("192.0.2.0/24"), address("198.51.100.0/24")}, []any{address("198.51.100.0/24"), address("203.0.113.0/24")}))
	c.Destructive = true
	c.Risks = []string{"rules that let people in from this zone no longer do from what is taken out"}
	return c
}

func withObjects(p *diff.Plan, declared, inSync, unmanaged, unknown int) *diff.Plan {
	p.Summary.Objects = &diff.ObjectSummary{Declared: declared, InSync: inSync, Unmanaged: unmanaged, Unknown: unknown}
	return p
}

// configured is a plan with changes of objects of all sorts.
func configured() *diff.Plan {
	order := object(bank, bankID, diff.ReorderObjects, "policies", "OKTA_SIGN_ON", field("order", []any{"A", "B, or C", "Default Policy"}, []any{"B, or C", "A", "Default Policy"}))
	order.ObjectID, order.Type = "", "OKTA_SIGN_ON"
	order.Risks = []string{"people for whom more than one of these policies is may come under another one"}
	rule := object(bank, bankID, diff.UpdateObject, "policyRules", "Contractors/From offices",
		field("actions.signon.session.maxSessionIdleMinutes", 120.0, 30.0), field("status", "ACTIVE", "INACTIVE"))
	rule.Type, rule.Parent, rule.ParentID, rule.Destructive = "OKTA_SIGN_ON", "Contractors", "00p1", true
	rule.Risks = []string{"people whom this rule let in depend on the rules behind it"}
	threat := object(emea, emeaID, diff.UpdateObject, "settings", "threatInsight", field("action", "none", "block"), field("excludeZones", nil, []any{"Offices"}))
	threat.ObjectID, threat.Risks = "", []string{"sign-ins from addresses that Okta holds for malicious are blocked, but for excludeZones"}
	old := object(emea, emeaID, diff.DeleteObject, "networkZones", "Old VPN")
	old.Destructive = true
	p := newPlan(9, 4, diff.Plan{
		Products: productNames,
		Changes: []diff.Change{
			rule, order, blocked(offices(bank, bankID), "protected"),
			update(emea, emeaID, []string{"P000139"}, nil),
			offices(emea, emeaID), blocklist(emea, emeaID), threat, old,
			object(shop, shopID, diff.UpdateObject, "groups", "Contractors", field("profile.description", "External\nstaff", "External staff, \u202eall")),
		},
		Unfixable: []diff.Unfixable{{Org: shop, Field: "networkZones/Offices: type", Desired: `"IP"`, Actual: `"DYNAMIC"`, Reason: "Okta doesn't change the type of a zone"}},
		Unknown: []diff.Unknown{
			{Org: "acme-dark.okta.com", OrgID: "00o1dark00000000000g", Error: "403 E0000006: You do not have permission to perform the requested action"},
			{Org: "acme-labs.okta.com", OrgID: "00o1labs00000000000g", Error: "no client and no token is known for it", Hint: "run reconciler access for it", Part: diff.PartConfiguration, MayLose: true},
		},
		Refusals: []diff.Refusal{{Guard: diff.GuardLockout, Message: "1 org would lock people out (acme-emea.okta.com): all of it"}},
	})
	for i := range 12 {
		p.Notes = append(p.Notes, diff.Note{Org: fmt.Sprintf("new-%02d.okta.com", i), Message: "its configuration comes in the run after the one that links it"})
	}
	return withObjects(p, 120, 90, 35, 20)
}

func configuredApplied() Data {
	p := configured()
	p.Refusals = []diff.Refusal{}
	r := outcomes(p, done, failure("423 E0000239: Policy priorities are being reconciled", "run it again"), wasBlocked,
		done, done, done, done, skipped("a change before it failed"),
		apply.Outcome{Result: apply.Applied, Hint: "it was so already"})
	return Data{Plan: p, Result: r}
}

// baselined is a plan in which one change of a baseline concerns n orgs, of which some
// differ in other ways.
func baselined(n int) *diff.Plan {
	p := diff.Plan{Products: productNames}
	for i := range n {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		if i%100 == 7 {
			p.Changes = append(p.Changes, update(org, id, []string{"P000139"}, nil))
		}
		p.Changes = append(p.Changes, offices(org, id))
		if i%2 == 0 {
			p.Changes = append(p.Changes, blocklist(org, id))
		}
		if i%100 == 9 {
			p.Changes = append(p.Changes, object(org, id, diff.DeleteObject, "groups", org))
		}
	}
	return withObjects(newPlan(n+10, 10, p), 20*n, 20*n-3*n/2, 0, 0)
}

func baselinedApplied(n int) Data {
	p := baselined(n)
	all := make([]apply.Outcome, len(p.Changes))
	for i := range all {
		all[i] = done
		if i%40 == 3 {
			all[i] = failure("500 E0000009: Internal Server Error", "")
		}
	}
	return Data{Plan: p, Result: outcomes(p, all...)}
}

// manyObjects is a plan with more changes of some orgs than a comment has room for.
func manyObjects() *diff.Plan {
	var p diff.Plan
	for i := range 8 {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		for k := range 600 {
			p.Changes = append(p.Changes, object(org, id, diff.UpdateObject, "groups", fmt.Sprintf("Group %d", k), field("profile.description", "", "A group that is described at some length")))
		}
		p.Changes = append(p.Changes, object(org, id, diff.UpdateObject, "groups", "Own", field("profile.description", "", org)))
	}
	return withObjects(newPlan(8, 0, p), 8*601, 0, 0, 0)
}

// objectReview is a three-way review.
func objectReview() *diff.Plan {
	conflict := object(bank, bankID, diff.UpdateObject, "networkZones", "Offices",
		field("gateways", []any{address("192.0.2.0/24")}, []any{address("198.51.100.0/24")}), field("usage", "BLOCKLIST", "POLICY"))
	conflict.Destructive, conflict.Fields[1].Origin = true, diff.ExistingDrift
	changes := []diff.Change{withOrigin(diff.Conflict, conflict)}
	for i := range 12 {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		changes = append(changes, withOrigin(diff.ThisChange, offices(org, id)))
		if i == 4 {
			changes = append(changes, withOrigin(diff.ExistingDrift, object(org, id, diff.UpdateObject, "groups", "Contractors", field("profile.description", "by hand", "External"))))
		}
	}
	return withObjects(newPlan(13, 0, diff.Plan{
		Changes: changes,
		Review: &diff.Review{
			Kind: diff.ThreeWay, Base: "ba5e", Head: "4ead", ThisChange: 12, Conflicts: 1, ExistingDrift: 1,
			Settings: []diff.Setting{
				{Org: bank, Field: "labels", Head: `tier="production"`},
				{Org: bank, Field: "groups/Contractors", Base: "", Head: diff.FieldDeclared},
				{Org: bank, Field: "groups/Old", Base: diff.FieldDeclared},
				{Org: bank, Field: "groups/Older", Head: "absent"},
				{Org: bank, Field: "networkZones/Offices: proxies", Base: `[]`},
			},
			Settled: []diff.Settled{{Org: bank, Field: "settings/threatInsight: action", Base: diff.Text(`"none"`), Head: diff.Text(`"block"`)}},
		},
	}), 26, 10, 3, 0)
}

// objectsDeclared is a review from the manifests alone.
func objectsDeclared() *diff.Plan {
	var changes []diff.Change
	for i := range 30 {
		org := fmt.Sprintf("acme-%05d.okta.com", i)
		changes = append(changes, withOrigin(diff.ThisChange, blocklist(org, "")))
		old := object(org, "", diff.DeleteObject, "networkZones", "Old VPN")
		old.Destructive = true
		changes = append(changes, withOrigin(diff.ThisChange, old),
			withOrigin(diff.ThisChange, object(org, "", diff.UpdateObject, "groups", "Contractors", field("profile.description", nil, "External"))))
	}
	return withObjects(newPlan(30, 0, diff.Plan{
		Changes: changes,
		Review:  &diff.Review{Kind: diff.Declared, Base: "ba5e", Head: "4ead", ThisChange: 90},
	}), 90, 0, 0, 0)
}
