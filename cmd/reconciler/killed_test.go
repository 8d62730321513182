package main

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
)

// everything has an object of each kind, and changed has all of it changed, deleted and
// put into another order.
const (
	everything = `
    networkZones:
      - {name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}]}
      - {name: Old VPN, type: IP, gateways: [{type: CIDR, value: 203.0.113.0/24}]}
    groups: [{profile: {name: Staff}}, {profile: {name: Contractors}}]
    trustedOrigins: [{name: Portal, origin: "https://portal.acme.example", scopes: [{type: CORS}]}]
    behaviors: [{name: New device, type: ANOMALOUS_DEVICE, settings: {maxEventsUsedForEvaluation: 20}}]
    policies:
      - {type: OKTA_SIGN_ON, name: A, conditions: {people: {groups: {include: [Staff]}}}, rules: [
          {name: One, conditions: {network: {connection: ZONE, include: [Offices]}}, actions: {signon: {access: ALLOW}}},
          {name: Two, actions: {signon: {access: ALLOW}}}]}
      - {type: OKTA_SIGN_ON, name: B, conditions: {people: {groups: {include: [Contractors]}}}}
    groupRules:
      - {name: By type, conditions: {expression: {value: "true", type: "urn:okta:expression:1.0"}}, actions: {assignUserToGroups: {groupIds: [Staff]}}}
      - {name: Old, conditions: {expression: {value: "true", type: "urn:okta:expression:1.0"}}, actions: {assignUserToGroups: {groupIds: [Staff]}}}
    settings: {threatInsight: {action: audit, excludeZones: [Offices]}}
`
	changed = `
    networkZones:
      - {name: Offices, type: IP, gateways: [{type: CIDR, value: 198.51.100.0/24}, {type: CIDR, value: 192.0.2.0/24}]}
      - {name: Old VPN, absent: true}
    groups: [{profile: {name: Staff, description: All of us}}, {profile: {name: Contractors}}]
    trustedOrigins: [{origin: "https://portal.acme.example", absent: true}]
    behaviors: [{name: New device, absent: true}]
    policies:
      - {type: OKTA_SIGN_ON, name: B, conditions: {people: {groups: {include: [Contractors]}}}, rules: [{name: New, actions: {signon: {access: ALLOW}}}]}
      - {type: OKTA_SIGN_ON, name: A, status: INACTIVE, rules: [{name: Two, actions: {signon: {access: ALLOW}}}, {name: One}, {name: Three, actions: {signon: {access: DENY}}}]}
    groupRules:
      - {name: By type, conditions: {expression: {value: "false", type: "urn:okta:expression:1.0"}}, actions: {assignUserToGroups: {groupIds: [Staff, Contractors]}}}
      - {name: Old, absent: true}
    settings: {threatInsight: {action: block}}
`
)

// everyWrite is how many of the writes the process is killed at: one in so many.
const everyWrite = 4

// Whatever write is in flight when the process is killed, whether or not it takes
// effect, the next run finishes what it began, and makes nothing twice.
func TestConfigurationKilledAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts the program for each of many writes")
	}
	for from, to := range map[string]string{"": everything, everything: changed} {
		for i, fault := range []string{"POST hang", "POST hang after", "PUT hang", "PUT hang after", "DELETE hang", "DELETE hang after"} {
			if from == "" && !strings.HasPrefix(fault, "POST") {
				continue // there are hardly any
			}
			name := "changing, "
			if from == "" {
				name = "making, "
			}
			t.Run(name+fault, func(t *testing.T) {
				t.Parallel()
				killed := 0
				for n := 1 + i%everyWrite; killAt(t, from, to, fault, n); n += everyWrite {
					killed++
				}
				if killed == 0 {
					t.Error("there is no such write")
				}
			})
		}
	}
}

// killAt kills the process that leads an org from one baseline to another at the nth
// write of a kind, lets the next one finish, and reports whether there are so many
// writes.
func killAt(t *testing.T, from, to, fault string, n int) bool {
	t.Helper()
	r := newOrgsRig(t)
	r.configure("guards: {maxDestructivePercent: 100}\n")
	if from != "" {
		r.manifest(from, nil, "")
		r.do(exitOK, "apply", "--yes", "--org", alpha)
	}
	r.manifest(to, nil, "")
	method, effect, _ := strings.Cut(fault, " ")
	f, err := simulator.ParseFault(fmt.Sprintf("%s /org/%s/api/** %s nth=%d", method, alpha, effect, n))
	if err != nil {
		t.Fatal(err)
	}
	called := r.event(t, f)
	p := startProcess(t, nil, "apply --yes --org "+alpha+" --config "+r.config)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Wait()
	}()
	select {
	case <-called:
		_ = p.Process.Kill()
		<-ended
	case <-ended:
		return false
	}
	r.sim.ClearFaults()
	out, _ := r.do(exitOK, "apply", "--yes", "--org", alpha)
	if plan := r.plan(exitOK, "--org", alpha); len(plan.Notes) > 0 {
		t.Errorf("%s, write %d: left: %v\n%s", fault, n, plan.Notes, out)
	}
	if rule := r.get(alpha, "groupRules", "By type"); rule["status"] != "ACTIVE" {
		t.Errorf("%s, write %d: %v", fault, n, rule)
	}
	for _, kind := range []string{"networkZones", "groups", "trustedOrigins", "behaviors", "policies/OKTA_SIGN_ON", "groupRules"} {
		all, err := r.sim.Objects(alpha).List(kind)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, o := range all {
			name := fmt.Sprint(o["name"], o["profile"])
			if seen[name] {
				t.Errorf("%s, write %d: two %s called %s", fault, n, kind, name)
			}
			seen[name] = true
		}
	}
	return true
}
