package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator/simulatortest"
)

// group creates a group and returns its id.
func (o *orgFixture) group(name string) string {
	o.t.Helper()
	return o.want(200, "POST", "/api/v1/groups", fmt.Sprintf(`{"profile":{"name":%q}}`, name))["id"].(string)
}

func TestGroups(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	if err := o.Objects(o.domain).Put("groups", `{"type":"APP_GROUP","profile":{"name":"Contractors","dn":"CN=Contractors"}}`, "ad@acme.example"); err != nil {
		t.Fatal(err)
	}
	id := o.group("Contractors") // as an APP_GROUP is called
	made := o.want(200, "GET", "/api/v1/groups/"+id, "")
	wantEqual(t, made["profile"], "map[description:<nil> name:Contractors]")
	wantEqual(t, made["objectClass"], "[okta:user_group]")
	o.group("Contracts")

	wantEqual(t, len(o.list("/api/v1/groups?q=contr")), 3)
	wantEqual(t, len(o.list("/api/v1/groups?q=tractors")), 0)
	wantEqual(t, names(o.list("/api/v1/groups?filter=type+eq+%22OKTA_GROUP%22"), "id")[0], id)
	wantEqual(t, len(o.list("/api/v1/groups?filter=type+eq+%22OKTA_GROUP%22")), 2)
	wantEqual(t, len(o.list("/api/v1/groups?search=profile.name+eq+%22Contractors%22")), 2)
	wantEqual(t, len(o.list("/api/v1/groups?limit=3")), 3)

	put := o.want(200, "PUT", "/api/v1/groups/"+id, `{"profile":{"name":"Externals","description":"x"}}`)
	wantEqual(t, put["profile"], "map[description:x name:Externals]")
	everyone := o.list("/api/v1/groups?q=Everyone")[0]["id"].(string)
	appGroup := o.list("/api/v1/groups?filter=type+eq+%22APP_GROUP%22")[0]["id"].(string)
	o.refuses(
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"name":"externals"}}`, 400, "E0000001", "name: An object with this field already exists"},
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"name":"Everyone"}}`, 400, "E0000001", "name: An object"},
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"name":""}}`, 400, "E0000001", "profile.name"},
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"description":"x"}}`, 400, "E0000001", "profile.name"},
		wrongCall{"POST", "/api/v1/groups", `{"name":"x"}`, 400, "E0000001", "name: The field is unknown"},
		wrongCall{"POST", "/api/v1/groups", `{"type":"APP_GROUP","profile":{"name":"y"}}`, 400, "E0000001", "type"},
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"name":"x","owner":"me"}}`, 400, "E0000001", "profile.owner: The field is unknown"},
		wrongCall{"POST", "/api/v1/groups", `{"profile":{"name":"` + strings.Repeat("x", 256) + `"}}`, 400, "E0000001", "1 to 255"},
		wrongCall{"PUT", "/api/v1/groups/" + id, `{"type":"BUILT_IN","profile":{"name":"Externals"}}`, 400, "E0000001", "type"},
		wrongCall{"PUT", "/api/v1/groups/" + everyone, `{"profile":{"name":"All"}}`, 403, "E0000006", "BUILT_IN"},
		wrongCall{"PUT", "/api/v1/groups/" + appGroup, `{"profile":{"name":"All"}}`, 403, "E0000006", "APP_GROUP"},
		wrongCall{"DELETE", "/api/v1/groups/" + everyone, "", 403, "E0000006", "BUILT_IN"},
		wrongCall{"POST", "/api/v1/groups/" + id + "/lifecycle/deactivate", "", 404, "E0000007", "lifecycle"},
		wrongCall{"GET", "/api/v1/groups?limit=10001", "", 400, "E0000001", "limit"},
		wrongCall{"GET", "/api/v1/groups?filter=profile.name+eq+%22x%22", "", 400, "E0000031", "profile.name"},
	)
	// A field that was there before may be sent back, and is lost if it isn't.
	if err := o.Objects(o.domain).Patch("groups", "Externals", `{"profile":{"costCenter":"7"}}`, "eve@acme.example"); err != nil {
		t.Fatal(err)
	}
	o.want(200, "PUT", "/api/v1/groups/"+id, `{"profile":{"name":"Externals","costCenter":"8"}}`)
	o.want(200, "PUT", "/api/v1/groups/"+id, `{"profile":{"name":"Externals"}}`)
	o.refuses(wrongCall{"PUT", "/api/v1/groups/" + id, `{"profile":{"name":"Externals","costCenter":"8"}}`, 400, "E0000001", "costCenter"})
	o.want(204, "DELETE", "/api/v1/groups/"+id, "")
	wantEqual(t, o.events(), "[group.lifecycle.create Contractors group.lifecycle.create Contractors group.lifecycle.create Contracts group.profile.update Externals "+
		"group.profile.update Externals group.profile.update Externals group.profile.update Externals group.lifecycle.delete Externals]")
}

func TestGroupRules(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	id, other := o.group("Contractors"), o.group("Others")
	rule := func(name, expression, group string) string {
		return fmt.Sprintf(`{"type":"group_rule","name":%q,"status":"ACTIVE","conditions":{"expression":{"value":%q,"type":"urn:okta:expression:1.0"}},"actions":{"assignUserToGroups":{"groupIds":[%q]}}}`, name, expression, group)
	}
	const rules = "/api/v1/groups/rules"
	made := o.want(200, "POST", rules, rule("By type", `user.userType=="contractor"`, id))
	if made["status"] != "INACTIVE" || made["_links"] != nil {
		t.Errorf("got %v", made)
	}
	at := rules + "/" + made["id"].(string)
	o.want(204, "POST", at+"/lifecycle/activate", "")
	everyone := o.list("/api/v1/groups?q=Everyone")[0]["id"].(string)
	o.refuses(
		wrongCall{"PUT", at, rule("By type", "true", id), 400, "E0000001", "INACTIVE"},
		wrongCall{"DELETE", at, "", 400, "E0000001", "must be deactivated"},
		wrongCall{"POST", rules, rule("by TYPE", "true", id), 400, "E0000001", "name: An object"},
		wrongCall{"POST", rules, rule(strings.Repeat("x", 51), "true", id), 400, "E0000001", "1 to 50"},
		wrongCall{"POST", rules, rule("x", `isMemberOfGroupName("x"`, id), 400, "E0000001", "conditions.expression.value"},
		wrongCall{"POST", rules, rule("x", "", id), 400, "E0000001", "conditions.expression.value"},
		wrongCall{"POST", rules, rule("x", "true", "Contractors"), 400, "E0000001", "There is no group 'Contractors'"},
		wrongCall{"POST", rules, rule("x", "true", everyone), 400, "E0000001", "BUILT_IN"},
		wrongCall{"POST", rules, strings.Replace(rule("x", "true", id), `"type":"group_rule",`, "", 1), 400, "E0000001", "type"},
		wrongCall{"POST", rules, strings.Replace(rule("x", "true", id), `[`, `["`+id+`",`, 1), 400, "E0000001", "there twice"},
		wrongCall{"GET", rules + "?limit=201", "", 400, "E0000001", "limit"},
		wrongCall{"DELETE", at + "?removeUsers=yes", "", 400, "E0000001", "must be deactivated"},
	)
	o.want(204, "POST", at+"/lifecycle/deactivate", "")
	o.refuses(wrongCall{"DELETE", at + "?removeUsers=yes", "", 400, "E0000001", "removeUsers"})
	o.want(200, "PUT", at, rule("By type", "true", other))
	o.want(204, "POST", at+"/lifecycle/activate", "")

	// Without its group the rule is good for nothing but to be deleted.
	o.want(204, "DELETE", "/api/v1/groups/"+other, "")
	wantEqual(t, o.want(200, "GET", at, "")["status"], "INVALID")
	o.refuses(
		wrongCall{"POST", at + "/lifecycle/deactivate", "", 400, "E0000001", "Cannot activate or deactivate a Group Rule with the status INVALID"},
		wrongCall{"PUT", at, rule("By type", "true", id), 400, "E0000001", "INACTIVE"},
	)
	r := o.call("DELETE", at+"?removeUsers=true", "")
	wantStatus(t, r, 202)
	wantEqual(t, r.body, "{}")
	wantEqual(t, len(o.list(rules)), 0)
	wantEqual(t, o.events()[2:], "[policy.rule.add By type policy.rule.activate By type policy.rule.deactivate By type policy.rule.update By type "+
		"policy.rule.activate By type group.lifecycle.delete Others policy.rule.invalidate By type policy.rule.delete By type]")

	// The machinery of priorities is shared, and busy now and then.
	o.Fault(t, "* /api/v1/groups/rules/** status=423 times=1")
	wantError(t, o.call("POST", rules+"/x/lifecycle/activate", ""), 423, "E0000239", "Policy priorities are being reconciled")
}
