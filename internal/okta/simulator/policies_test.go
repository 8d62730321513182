package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

// policy creates a policy for everyone; more is what its body has besides.
func (o *orgFixture) policy(class, name, more string) string {
	o.t.Helper()
	return o.want(200, "POST", "/api/v1/policies", o.policyBody(class, name, more))["id"].(string)
}

func (o *orgFixture) policyBody(class, name, more string) string {
	everyone := o.list("/api/v1/groups?q=Everyone")[0]["id"]
	return fmt.Sprintf(`{"type":%q,"name":%q,"conditions":{"people":{"groups":{"include":[%q]}}}%s}`, class, name, everyone, more)
}

// order returns names and priorities of a list.
func order(objects []map[string]any) string {
	var all []string
	for _, object := range objects {
		all = append(all, fmt.Sprintf("%v %s", object["priority"], object["name"]))
	}
	return strings.Join(all, ", ")
}

func TestPolicyPriorities(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const list = "/api/v1/policies?type=PASSWORD"
	wantEqual(t, order(o.list(list)), "1 Active Directory Policy, 2 Default Policy")
	a := o.policy("PASSWORD", "A", "")
	o.policy("PASSWORD", "B", `,"priority":99`)
	wantEqual(t, order(o.list(list)), "1 A, 2 B, 3 Active Directory Policy, 4 Default Policy")
	o.policy("PASSWORD", "C", `,"priority":1`)
	wantEqual(t, order(o.list(list)), "1 C, 2 A, 3 B, 4 Active Directory Policy, 5 Default Policy")
	o.want(200, "PUT", "/api/v1/policies/"+a, o.policyBody("PASSWORD", "A", `,"priority":3`))
	wantEqual(t, order(o.list(list)), "1 C, 2 B, 3 A, 4 Active Directory Policy, 5 Default Policy")
	o.want(204, "DELETE", "/api/v1/policies/"+o.list(list + "&q=B")[0]["id"].(string), "")
	wantEqual(t, order(o.list(list)), "1 C, 2 A, 3 Active Directory Policy, 4 Default Policy")
	wantEqual(t, order(o.list("/api/v1/policies?type=MFA_ENROLL")), "1 Default Policy")
	wantEqual(t, o.list(list+"&status=INACTIVE"), "[]")
}

func TestPolicies(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const path = "/api/v1/policies"
	id := o.policy("PASSWORD", "Long", `,"settings":{"password":{"complexity":{"minLength":14}}}`)
	made := o.want(200, "GET", path+"/"+id, "")
	complexity := made["settings"].(map[string]any)["password"].(map[string]any)["complexity"].(map[string]any)
	if complexity["minLength"] != 14.0 || complexity["minNumber"] != 1.0 || made["description"] != "" || made["system"] != false {
		t.Errorf("got %v", made)
	}
	wantEqual(t, made["conditions"].(map[string]any)["authProvider"], "map[provider:OKTA]")
	o.want(204, "POST", path+"/"+id+"/lifecycle/deactivate", "")
	put := o.want(200, "PUT", path+"/"+id, o.policyBody("PASSWORD", "Long", `,"status":"ACTIVE"`))
	wantEqual(t, put["status"], "INACTIVE")
	if strings.Contains(fmt.Sprint(put["settings"]), "minLength:14") {
		t.Error("a setting that was left out is still there")
	}
	o.refuses(
		wrongCall{"GET", path, "", 400, "E0000001", "type: The parameter is required"},
		wrongCall{"GET", path + "?type=PASS", "", 400, "E0000001", "type"},
		wrongCall{"GET", path + "?type=ACCESS_POLICY", "", 400, "E0000001", "not simulated"},
		wrongCall{"GET", path + "?type=PASSWORD&expand=all", "", 400, "E0000001", "expand"},
		wrongCall{"POST", path, o.policyBody("PASSWORD", "long", ""), 400, "E0000001", "name"},
		wrongCall{"POST", path, o.policyBody("PASSWORD", "Default Policy", ""), 400, "E0000001", "name"},
		wrongCall{"POST", path, `{"type":"PASSWORD","name":"x"}`, 400, "E0000001", "at least one group"},
		wrongCall{"POST", path, `{"name":"x"}`, 400, "E0000001", "type"},
		wrongCall{"POST", path, `{"type":"PASSWORD","name":"x","conditions":{"people":{"groups":{"include":["Everyone"]}}}}`, 400, "E0000001", "There is no UserGroup 'Everyone'"},
		wrongCall{"POST", path, o.policyBody("PASSWORD", "x", `,"priority":0`), 400, "E0000001", "priority"},
		wrongCall{"POST", path, o.policyBody("PASSWORD", "x", `,"settings":{"password":{"breachedProtection":{}}}`), 400, "E0000001", "breachedProtection"},
		wrongCall{"POST", path, o.policyBody("PASSWORD", "x", `,"settings":{"password":{"complexity":{"minLength":"8"}}}`), 400, "E0000001", "minLength: The field must be a number"},
		wrongCall{"POST", path, o.policyBody("OKTA_SIGN_ON", "x", `,"settings":{}`), 400, "E0000001", "settings: The field is unknown"},
		wrongCall{"POST", path, o.policyBody("MFA_ENROLL", "x", `,"settings":{"type":"FACTORS","factors":{}}`), 400, "E0000001", "settings"},
		wrongCall{"POST", path, o.policyBody("MFA_ENROLL", "x", `,"settings":{"type":"AUTHENTICATORS","authenticators":[{"key":"duo","enroll":{"self":"REQUIRED"}}]}`), 400, "E0000001", "key"},
		wrongCall{"POST", path, o.policyBody("MFA_ENROLL", "x", `,"settings":{"type":"AUTHENTICATORS","authenticators":[]}`), 400, "E0000001", "authenticators"},
		wrongCall{"PUT", path + "/" + id, strings.Replace(o.policyBody("PASSWORD", "Long", ""), `"PASSWORD"`, `"OKTA_SIGN_ON"`, 1), 400, "E0000001", "type"},
		wrongCall{"GET", path + "/00p0", "", 404, "E0000007", "00p0 (Policy)"},
		wrongCall{"GET", path + "/00p0/rules", "", 404, "E0000007", "00p0 (Policy)"},
	)
	o.want(200, "POST", path, o.policyBody("OKTA_SIGN_ON", "Long", "")) // of another type
	o.want(200, "POST", path, o.policyBody("MFA_ENROLL", "MFA", `,"settings":{"type":"AUTHENTICATORS","authenticators":[{"key":"okta_verify","enroll":{"self":"REQUIRED"}}]}`))
	inactive := o.want(200, "POST", path+"?activate=false", o.policyBody("PASSWORD", "Later", ""))
	wantEqual(t, inactive["status"], "INACTIVE")

	// Deleting a policy deletes its rules.
	rule := o.rule(id, "PASSWORD", "R", "", `{"passwordChange":{"access":"ALLOW"}}`)
	o.want(204, "DELETE", path+"/"+id, "")
	o.refuses(wrongCall{"GET", path + "/" + id + "/rules/" + rule, "", 404, "E0000007", "Policy"})
}

// Okta's own policies and rules stay where they are.
func TestDefaultPolicies(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const path = "/api/v1/policies"
	def := o.list(path + "?type=OKTA_SIGN_ON&expand=rules")[0]
	at := path + "/" + def["id"].(string)
	rule := def["_embedded"].(map[string]any)["rules"].([]any)[0].(map[string]any)
	ruleAt := at + "/rules/" + rule["id"].(string)
	o.policy("OKTA_SIGN_ON", "Mine", "")
	body := func(name, priority string) string {
		return o.policyBody("OKTA_SIGN_ON", name, `,"priority":`+priority)
	}
	o.want(200, "PUT", at, body("Default Policy", "2"))
	o.refuses(
		wrongCall{"PUT", at, body("Default Policy", "1"), 400, "E0000077", "priority"},
		wrongCall{"PUT", at, o.policyBody("OKTA_SIGN_ON", "Default Policy", ""), 400, "E0000077", "priority"},
		wrongCall{"PUT", at, body("Standard", "2"), 400, "E0000077", "name"},
		wrongCall{"PUT", at, `{"type":"OKTA_SIGN_ON","name":"Default Policy","priority":2}`, 400, "E0000077", "conditions"},
		wrongCall{"PUT", at, `{"type":"OKTA_SIGN_ON","name":"Default Policy","priority":2,"conditions":{"people":{"groups":{"include":[]}}}}`, 400, "E0000077", "conditions"},
		wrongCall{"DELETE", at, "", 403, "E0000006", "default policy"},
		wrongCall{"POST", at + "/lifecycle/deactivate", "", 403, "E0000006", "default policy"},
		wrongCall{"DELETE", ruleAt, "", 403, "E0000006", "default policy or rule"},
		wrongCall{"POST", ruleAt + "/lifecycle/deactivate", "", 403, "E0000006", "default policy or rule"},
		wrongCall{"PUT", ruleAt, `{"type":"SIGN_ON","name":"Rule","priority":1,"actions":{"signon":{"access":"DENY"}}}`, 400, "E0000077", "name"},
		wrongCall{"PUT", ruleAt, `{"type":"SIGN_ON","name":"Default Rule","priority":2,"actions":{"signon":{"access":"DENY"}}}`, 400, "E0000077", "priority"},
		wrongCall{"PUT", ruleAt, `{"type":"SIGN_ON","name":"Default Rule","priority":1,"conditions":{"authContext":{"authType":"RADIUS"}},"actions":{"signon":{"access":"DENY"}}}`, 400, "E0000077", "conditions"},
	)
	put := o.want(200, "PUT", ruleAt, `{"type":"SIGN_ON","name":"Default Rule","priority":1,"actions":{"signon":{"access":"DENY"}}}`)
	wantEqual(t, put["actions"].(map[string]any)["signon"].(map[string]any)["access"], "DENY")
	wantEqual(t, put["conditions"], fmt.Sprint(rule["conditions"]))
}

// rule creates a rule of a policy and returns its id.
func (o *orgFixture) rule(policy, class, name, more, actions string) string {
	o.t.Helper()
	return o.want(200, "POST", "/api/v1/policies/"+policy+"/rules", ruleBody(class, name, more, actions))["id"].(string)
}

func ruleBody(class, name, more, actions string) string {
	return fmt.Sprintf(`{"type":%q,"name":%q,"actions":%s%s}`, class, name, actions, more)
}

func TestPolicyRules(t *testing.T) {
	o := startOrg(t, simulatortest.Config{})
	const allow = `{"signon":{"access":"ALLOW"}}`
	def := o.list("/api/v1/policies?type=OKTA_SIGN_ON")[0]["id"].(string)
	at := "/api/v1/policies/" + def + "/rules"
	a := o.rule(def, "SIGN_ON", "A", "", allow)
	o.rule(def, "SIGN_ON", "B", `,"priority":1`, allow)
	wantEqual(t, order(o.list(at)), "1 B, 2 A, 3 Default Rule")
	o.want(200, "PUT", at+"/"+a, ruleBody("SIGN_ON", "A2", `,"priority":1`, allow))
	wantEqual(t, order(o.list(at)), "1 A2, 2 B, 3 Default Rule")
	late := o.want(200, "POST", at+"?activate=false", ruleBody("SIGN_ON", "C", "", allow))
	wantEqual(t, late["status"], "INACTIVE")
	o.want(204, "POST", at+"/"+late["id"].(string)+"/lifecycle/activate", "")
	wantEqual(t, o.want(200, "GET", at+"/"+late["id"].(string), "")["actions"],
		"map[signon:map[access:ALLOW primaryFactor:PASSWORD_IDP rememberDeviceByDefault:false requireFactor:false "+
			"session:map[maxSessionIdleMinutes:120 maxSessionLifetimeMinutes:0 usePersistentCookie:false]]]")
	network := func(condition string) string { return `,"conditions":{"network":` + condition + `}` }
	zone := o.list("/api/v1/zones")[0]["id"].(string)
	o.refuses(
		wrongCall{"POST", at, ruleBody("SIGN_ON", "b", "", allow), 409, "E0000001", "already in use"},
		wrongCall{"POST", at, ruleBody("PASSWORD", "x", "", "{}"), 400, "E0000001", "type"},
		wrongCall{"POST", at, `{"name":"x","actions":` + allow + `}`, 400, "E0000001", "type"},
		wrongCall{"POST", at, `{"type":"SIGN_ON","name":"x"}`, 400, "E0000001", "actions"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", "", `{"signon":{"access":"MAYBE"}}`), 400, "E0000001", "actions.signon.access"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", "", `{"signon":{"access":"ALLOW","factorLifetime":5,"factorPromptMode":"ALWAYS"}}`), 400, "E0000001", "SESSION"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", "", `{"signon":{"access":"ALLOW","requireFactor":true}}`), 400, "E0000001", "factorPromptMode"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", network(`{"connection":"ZONE","include":["Office"]}`), allow), 400, "E0000001", "There is no network zone 'Office'"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", network(`{"connection":"ZONE"}`), allow), 400, "E0000001", "You should either include or exclude"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", network(`{"connection":"ZONE","include":["`+zone+`"],"exclude":["`+zone+`"]}`), allow), 400, "E0000001", "You should either"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", network(`{"connection":"ANYWHERE","include":["`+zone+`"]}`), allow), 400, "E0000001", "ZONE only"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", `,"conditions":{"riskScore":{"level":"ANY"}}`, allow), 400, "E0000001", "riskScore"},
		wrongCall{"POST", at, ruleBody("SIGN_ON", "x", `,"conditions":{"risk":{"behaviors":["x"]}}`, allow), 400, "E0000001", "There is no behavior"},
		wrongCall{"POST", at + "?activate=no", ruleBody("SIGN_ON", "x", "", allow), 400, "E0000001", "activate"},
		wrongCall{"GET", at + "/0pr0", "", 404, "E0000007", "0pr0 (PolicyRule)"},
	)

	password := o.list("/api/v1/policies?type=PASSWORD&q=Default")[0]["id"].(string)
	at = "/api/v1/policies/" + password + "/rules"
	reset := func(requirement string) string {
		return ruleBody("PASSWORD", "x", "", `{"selfServicePasswordReset":{"access":"ALLOW","requirement":`+requirement+`}}`)
	}
	o.refuses(
		wrongCall{"POST", at, reset(`{"accessControl":"AUTH_POLICY","stepUp":{"required":false}}`), 400, "E0000001", "AUTH_POLICY"},
		wrongCall{"POST", at, reset(`{"primary":{"methods":["email"]}}`), 400, "E0000001", "stepUp must be set"},
		wrongCall{"POST", at, reset(`{"primary":{"methods":["carrier pigeon"]},"stepUp":{"required":false}}`), 400, "E0000001", "methods"},
	)
	o.want(200, "POST", at, reset(`{"primary":{"methods":["otp"]},"stepUp":{"required":true}}`))
	enroll := o.list("/api/v1/policies?type=MFA_ENROLL")[0]["id"].(string)
	o.rule(enroll, "MFA_ENROLL", "R", "", `{"enroll":{"self":"LOGIN"}}`)
	o.refuses(wrongCall{"POST", "/api/v1/policies/" + enroll + "/rules", ruleBody("MFA_ENROLL", "y", "", `{"enroll":{"self":"SOON"}}`), 400, "E0000001", "actions.enroll.self"})
}

// Classic Engine has factors instead of authenticators.
func TestClassicPolicies(t *testing.T) {
	seed := simulator.DefaultSeed(10)
	for i := range seed.Orgs {
		seed.Orgs[i].Pipeline = "v1"
	}
	o := startOrg(t, simulatortest.Config{Seed: seed})
	wantEqual(t, o.want(200, "GET", "/.well-known/okta-organization", "")["pipeline"], "v1")
	o.policy("MFA_ENROLL", "MFA", `,"settings":{"type":"FACTORS","factors":{"okta_otp":{"enroll":{"self":"OPTIONAL"},"consent":{"type":"NONE"}}}}`)
	o.refuses(
		wrongCall{"POST", "/api/v1/policies", o.policyBody("MFA_ENROLL", "x", `,"settings":{"type":"AUTHENTICATORS","authenticators":[]}`), 400, "E0000001", "settings"},
	)
	password := o.list("/api/v1/policies?type=PASSWORD")[0]["id"].(string)
	rule := o.rule(password, "PASSWORD", "R", "", `{"selfServicePasswordReset":{"access":"ALLOW"}}`)
	if text := fmt.Sprint(o.want(200, "GET", "/api/v1/policies/"+password+"/rules/"+rule, "")); strings.Contains(text, "requirement") {
		t.Errorf("got %s", text)
	}
}
