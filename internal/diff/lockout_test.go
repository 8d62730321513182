package diff_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/diff"
	"reconciler/internal/okta/objects"
	"reconciler/internal/state"
)

// rule returns the body of a sign-on rule; more are its conditions.
func rule(access string, more ...body) body {
	conditions := body{"network": body{"connection": "ANYWHERE"}, "authContext": body{"authType": "ANY"}}
	for _, m := range more {
		for k, v := range m {
			conditions[k] = v
		}
	}
	return body{"status": "ACTIVE", "conditions": conditions, "actions": body{"signon": body{"access": access}}}
}

func system(b body) body {
	b["system"] = true
	return b
}

func off(b body) body {
	b["status"] = "INACTIVE"
	return b
}

// forGroups returns the body of a policy for groups.
func forGroups(groups ...any) body {
	return body{"status": "ACTIVE", "conditions": body{"people": body{"groups": body{"include": groups}}}}
}

// ofGroups returns the condition of a rule for groups.
func ofGroups(groups ...any) body {
	return body{"people": body{"groups": body{"include": groups}}}
}

var fromOffices = body{"network": body{"connection": "ZONE", "include": []any{"Offices"}}}

// signOn is an org with a policy for a group and the default policy, each with rules,
// and with the zones and groups that they name.
func signOn(more ...*objects.LiveObject) *objects.Live {
	all := []*objects.LiveObject{
		alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24")),
		alive("groups", "Contractors", body{}), alive("groups", "Everyone", body{}),
		alive("policies", "OKTA_SIGN_ON/Contractors", forGroups("Contractors")),
		alive("policies", "OKTA_SIGN_ON/Default Policy", system(forGroups("Everyone"))),
		alive("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("ALLOW")),
		alive("policyRules", "OKTA_SIGN_ON/Default Policy/In", rule("ALLOW", fromOffices)),
		alive("policyRules", "OKTA_SIGN_ON/Default Policy/Default Rule", system(rule("ALLOW"))),
	}
	for _, o := range more {
		i := slices.IndexFunc(all, func(l *objects.LiveObject) bool { return l.Ref == o.Ref })
		if i >= 0 {
			all[i] = o
			continue
		}
		i = slices.IndexFunc(all, func(l *objects.LiveObject) bool { return l.Ref.Kind == o.Ref.Kind })
		all = slices.Insert(all, max(i, 0), o)
	}
	slices.SortStableFunc(all, func(a, b *objects.LiveObject) int { return kindAt(a) - kindAt(b) })
	return live1(all...)
}

// unread is an org with a policy of which the rules were not read.
func unread() *objects.Live {
	return live1(alive("groups", "Contractors", body{}), alive("groups", "Everyone", body{}),
		alive("policies", "OKTA_SIGN_ON/Contractors", forGroups("Contractors")), alive("policies", "OKTA_SIGN_ON/Default Policy", system(forGroups("Everyone"))),
		alive("policyRules", "OKTA_SIGN_ON/Default Policy/Default Rule", system(rule("ALLOW"))))
}

func prefixes(all []string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range all {
		if !strings.Contains(s, "/") {
			a := netip.MustParseAddr(s)
			ps = append(ps, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func kindAt(o *objects.LiveObject) int { return slices.Index(objects.Kinds(), o.Ref.Kind) }

func TestLockouts(t *testing.T) {
	const (
		lock     = "OKTA_SIGN_ON/Default Policy/Lock"
		in       = "OKTA_SIGN_ON/Default Policy/In"
		byRule   = `the sign-on rule "Default Policy/Lock" denies everyone from everywhere and stands before every rule that allows`
		policy   = "OKTA_SIGN_ON/Default Policy"
		defaults = policy + "/Default Rule"
	)
	type declared = []*objects.Object
	def := declare("policies", policy, system(body{}))
	tests := []struct {
		name string
		live *objects.Live
		head declared
		own  []string
		want []string
	}{
		{"a denial first", signOn(), declared{def, declare("policyRules", lock, rule("DENY")), declare("policyRules", in, rule("ALLOW"))}, nil, []string{byRule}},
		{"a denial behind a permission", signOn(), declared{def, declare("policyRules", in, rule("ALLOW")), declare("policyRules", lock, rule("DENY"))}, nil, nil},
		{"a new one goes behind the others", signOn(), declared{def, declare("policyRules", lock, rule("DENY"))}, nil, nil},
		{"a denial from offices", signOn(), declared{def, declare("policyRules", lock, rule("DENY", fromOffices)), declare("policyRules", in, rule("ALLOW"))}, nil, nil},
		{"a denial through RADIUS", signOn(),
			declared{def, declare("policyRules", lock, rule("DENY", body{"authContext": body{"authType": "RADIUS"}})), declare("policyRules", in, rule("ALLOW"))}, nil, nil},
		{"an INACTIVE denial", signOn(), declared{def, declare("policyRules", lock, off(rule("DENY"))), declare("policyRules", in, rule("ALLOW"))}, nil, nil},
		{"a permission becomes an INACTIVE denial", signOn(alive("policyRules", defaults, system(rule("DENY")))),
			declared{def, declare("policyRules", "OKTA_SIGN_ON/Default Policy/In", off(rule("DENY")))}, nil, nil},
		{"one permission goes before another comes", signOn(alive("policyRules", defaults, system(rule("DENY"))), alive("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("DENY"))),
			declared{def, declare("policyRules", in, off(rule("ALLOW"))), declare("policyRules", "OKTA_SIGN_ON/Default Policy/New", rule("ALLOW"))}, nil,
			[]string{`the sign-on rule "Default Policy/Default Rule" denies everyone from everywhere and stands before every rule that allows, until the changes that come after it are made`}},
		{"the only permission goes", signOn(alive("policyRules", defaults, system(rule("DENY"))), alive("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("DENY"))),
			declared{def, declare("policyRules", in, off(rule("ALLOW")))}, nil,
			[]string{`the sign-on rule "Default Policy/Default Rule" denies everyone from everywhere and stands before every rule that allows`}},
		{"the last rule denies, others allow", signOn(), declared{def, declare("policyRules", defaults, system(body{"actions": body{"signon": body{"access": "DENY"}}}))}, nil, nil},
		{"the last rule denies, another policy allows", signOn(alive("policyRules", in, off(rule("ALLOW")))),
			declared{def, declare("policyRules", defaults, system(body{"actions": body{"signon": body{"access": "DENY"}}}))}, nil, nil},
		{"of one group", signOn(), declared{declare("policies", "OKTA_SIGN_ON/Contractors", body{}),
			declare("policyRules", "OKTA_SIGN_ON/Contractors/Lock", rule("DENY")), declare("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("ALLOW"))}, nil, nil},
		{"of everyone", signOn(alive("policies", "OKTA_SIGN_ON/All", forGroups("Contractors", "Everyone")), alive("policyRules", "OKTA_SIGN_ON/All/In", rule("ALLOW"))),
			declared{declare("policies", "OKTA_SIGN_ON/All", body{}), declare("policyRules", "OKTA_SIGN_ON/All/Lock", rule("DENY")), declare("policyRules", "OKTA_SIGN_ON/All/In", rule("ALLOW"))}, nil,
			[]string{`the sign-on rule "All/Lock" denies everyone from everywhere and stands before every rule that allows`}},
		{"behind a policy that was not read", unread(), declared{declare("policies", "OKTA_SIGN_ON/All", forGroups("Everyone")), declare("policyRules", "OKTA_SIGN_ON/All/Lock", rule("DENY"))}, nil,
			[]string{`the sign-on rule "All/Lock" denies everyone from everywhere and stands before every rule that allows`}},
		{"the last one, behind a policy that was not read", unread(), declared{def, declare("policyRules", defaults, system(body{"actions": body{"signon": body{"access": "DENY"}}}))}, nil, nil},
		{"a denial of the group Everyone", signOn(), declared{def, declare("policyRules", lock, rule("DENY", ofGroups("Everyone", "Contractors"))), declare("policyRules", in, rule("ALLOW"))}, nil, []string{byRule}},
		{"a denial of other groups", signOn(), declared{def, declare("policyRules", lock, rule("DENY", ofGroups("Contractors"))), declare("policyRules", in, rule("ALLOW"))}, nil, nil},
		{"a denial of all but a group", signOn(), declared{def, declare("policyRules", lock, rule("DENY", body{"people": body{"groups": body{"include": []any{"Everyone"}, "exclude": []any{"Contractors"}}}})), declare("policyRules", in, rule("ALLOW"))}, nil, nil},
		{"a denial from anywhere, whatever zones are beside that", signOn(), declared{def, declare("policyRules", lock, rule("DENY", body{"network": body{"connection": "ANYWHERE", "include": []any{"Offices"}}})), declare("policyRules", in, rule("ALLOW"))}, nil, []string{byRule}},
		{"the only permission stands behind a denial in another policy", signOn(alive("policyRules", in, off(rule("ALLOW"))),
			alive("policyRules", "OKTA_SIGN_ON/Contractors/Lock", rule("DENY"))),
			declared{def, declare("policyRules", defaults, system(body{"actions": body{"signon": body{"access": "DENY"}}}))}, nil,
			[]string{`the sign-on rule "Default Policy/Default Rule" denies everyone from everywhere and stands before every rule that allows`}},
		{"it was so before", signOn(alive("policyRules", lock, rule("DENY"))), declared{def, declare("policyRules", in, rule("ALLOW")), declare("groups", "New", body{"description": "x"})}, nil, nil},

		{"all addresses at once", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0/0"))}, nil,
			[]string{`the active blocklist zone "Bad" holds all of IPv4`}},
		{"all addresses of two zones", live1(alive("networkZones", "Worse", zone("BLOCKLIST", "ACTIVE", "128.0.0.0/1"))),
			declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0-64.0.0.0", "64.0.0.0/2"))}, nil,
			[]string{`the active blocklist zones "Worse" and "Bad" together hold all of IPv4`}},
		{"all but one", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0-192.0.2.0", "192.0.2.2-255.255.255.255"))}, nil, nil},
		{"all of IPv6", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "::/1", "8000::/1"))}, nil,
			[]string{`the active blocklist zone "Bad" holds all of IPv6`}},
		{"all, in a new zone that is deactivated at once", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "INACTIVE", "0.0.0.0/0"))}, nil,
			[]string{`the active blocklist zone "Bad" holds all of IPv4, until the changes that come after it are made`}},
		{"all, in a zone that is deactivated before", live1(alive("networkZones", "Bad", zone("POLICY", "ACTIVE", "0.0.0.0/0"))),
			declared{declare("networkZones", "Bad", zone("BLOCKLIST", "INACTIVE", "0.0.0.0/0"))}, nil, nil},
		{"all, until another zone is deleted", live1(alive("networkZones", "Old", zone("BLOCKLIST", "ACTIVE", "128.0.0.0/1"))),
			declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0/1")), gone("networkZones", "Old")}, nil,
			[]string{`the active blocklist zones "Old" and "Bad" together hold all of IPv4, until the changes that come after it are made`}},
		{"all, for policies", live1(), declared{declare("networkZones", "Bad", zone("POLICY", "ACTIVE", "0.0.0.0/0"))}, nil, nil},
		{"becomes a blocklist", live1(alive("networkZones", "Bad", zone("POLICY", "ACTIVE", "0.0.0.0/0"))), declared{declare("networkZones", "Bad", body{"usage": "BLOCKLIST"})}, nil,
			[]string{`the active blocklist zone "Bad" holds all of IPv4`}},
		{"becomes ACTIVE", live1(alive("networkZones", "Bad", zone("BLOCKLIST", "INACTIVE", "0.0.0.0/0"))), declared{declare("networkZones", "Bad", body{"status": "ACTIVE"})}, nil,
			[]string{`the active blocklist zone "Bad" holds all of IPv4`}},
		{"was all before", live1(alive("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0/0"))), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0/0", "::/64"))}, nil, nil},
		{"an address of ours", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "192.0.2.0/24"))}, []string{"198.51.100.1", "192.0.2.9"},
			[]string{`the active blocklist zone "Bad" holds 192.0.2.9, which is among ownAddresses`}},
		{"a part of a network of ours", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "192.0.2.7-192.0.2.7"))}, []string{"192.0.2.0/24"},
			[]string{`the active blocklist zone "Bad" holds 192.0.2.0/24, which is among ownAddresses`}},
		{"beside a network of ours", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "192.0.3.0/24"))}, []string{"192.0.2.0/24", "2001:db8::/32"}, nil},
		{"an IPv6 address of ours", live1(), declared{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "2001:db8::/32"))}, []string{"2001:db8::1"},
			[]string{`the active blocklist zone "Bad" holds 2001:db8::1, which is among ownAddresses`}},

		{"no authenticator", live1(alive("policies", "MFA_ENROLL/Default Policy", system(enroll("okta_email", "OPTIONAL")))),
			declared{declare("policies", "MFA_ENROLL/Default Policy", system(enroll("okta_email", "NOT_ALLOWED")))}, nil,
			[]string{`the authenticator enrollment policy "Default Policy" leaves no authenticator`}},
		{"one authenticator", live1(alive("policies", "MFA_ENROLL/Default Policy", system(enroll("okta_email", "OPTIONAL", "webauthn", "OPTIONAL")))),
			declared{declare("policies", "MFA_ENROLL/Default Policy", system(enroll("okta_email", "NOT_ALLOWED", "webauthn", "OPTIONAL")))}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head := &state.DesiredOrg{Domain: domain(0), Config: &objects.Declared{Objects: tt.head}}
			c := diff.CompareConfiguration(nil, head, tt.live, prefixes(tt.own))
			if c.Unknown != "" {
				t.Fatal(c.Unknown)
			}
			if d := cmp.Diff(tt.want, c.Lockouts); d != "" {
				t.Error(d)
			}
		})
	}
}

// enroll returns the settings of an enrollment policy, by pairs of key and word.
func enroll(pairs ...string) body {
	list := []any{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, body{"key": pairs[i], "enroll": body{"self": pairs[i+1]}})
	}
	return body{"status": "ACTIVE", "settings": body{"type": "AUTHENTICATORS", "authenticators": list}}
}

// A plan that locks people out is refused as a whole, unless nothing of it is written
// or the config lets it through.
func TestLockoutIsRefused(t *testing.T) {
	all := declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "0.0.0.0/0"))
	build := func(edit func(*state.DesiredOrg, *diff.Options)) (*diff.Plan, *state.Actual, diff.Options) {
		desired, actual := fleet(12)
		opts := diff.Options{Account: account, Guards: wide}
		lives := map[string]*objects.Live{}
		for i := range 11 {
			withConfig(&desired.Orgs[i], all)
			edit(&desired.Orgs[i], &opts)
			lives[domain(i)] = live1()
		}
		opts.Configuration = read(t, nil, desired, lives)
		return planOf(t, desired, actual, opts), actual, opts
	}
	for name, tt := range map[string]struct {
		edit    func(*state.DesiredOrg, *diff.Options)
		refused bool
	}{
		"written":  {func(*state.DesiredOrg, *diff.Options) {}, true},
		"reported": {func(o *state.DesiredOrg, _ *diff.Options) { o.Mode = state.Report }, false},
		"held":     {func(_ *state.DesiredOrg, opts *diff.Options) { opts.Held = func(string) string { return "freeze" } }, false},
		"allowed": {func(o *state.DesiredOrg, opts *diff.Options) {
			opts.Guards.AllowLockout = append(opts.Guards.AllowLockout, strings.ToUpper(o.Domain))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			plan, actual, opts := build(tt.edit)
			want := ""
			if tt.refused {
				want = "lockout"
			}
			if got := guardNames(plan); got != want {
				t.Fatalf("refused by %q, not %q", got, want)
			}
			if len(plan.Changes) != 11 {
				t.Errorf("%q", lines(plan))
			}
			if want != "" {
				const message = `11 orgs would lock people out (org-00.okta.com, org-01.okta.com, org-02.okta.com, org-03.okta.com, org-04.okta.com, ` +
					`org-05.okta.com, org-06.okta.com, org-07.okta.com, org-08.okta.com, org-09.okta.com and 1 more): the active blocklist zone "Bad" holds all of IPv4: ` +
					`correct that, or, if it is intended, add the domains to allowLockout`
				if d := cmp.Diff(message, plan.Refusals[0].Message); d != "" {
					t.Error(d)
				}
			}
			// As a saved plan.
			opts.Configuration = func(org string) *diff.Configuration {
				var own []diff.Change
				for _, c := range plan.Changes {
					if c.Org == org {
						own = append(own, c)
					}
				}
				return diff.RecheckConfiguration(own, live1(), nil)
			}
			fresh, err := diff.Revalidate(plan, actual, opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := guardNames(fresh); got != want {
				t.Errorf("as a saved plan: refused by %q, not %q", got, want)
			}
		})
	}
}

// Where what takes something away is blocked, only the rest counts.
func TestLockoutOfWhatIsLeft(t *testing.T) {
	desired, actual := fleet(1)
	// The permission in front goes, which takes something away, and the rest is harmless.
	o := withConfig(&desired.Orgs[0], declare("policies", "OKTA_SIGN_ON/Default Policy", system(body{})),
		declare("policyRules", "OKTA_SIGN_ON/Default Policy/In", off(rule("ALLOW"))), declare("groups", "New", body{"description": "x"}))
	lives := map[string]*objects.Live{domain(0): signOn(
		alive("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("DENY")), alive("policyRules", "OKTA_SIGN_ON/Default Policy/Default Rule", system(rule("DENY"))))}
	opts := diff.Options{Account: account, Guards: wide, Configuration: read(t, nil, desired, lives)}
	if got := guardNames(planOf(t, desired, actual, opts)); got != "lockout" {
		t.Errorf("refused by %q", got)
	}
	o.Protected = true
	plan := planOf(t, desired, actual, opts)
	if got := guardNames(plan); got != "" || len(plan.Changes) != 2 {
		t.Errorf("refused by %q: %q", got, lines(plan))
	}
}

// A review from the manifests alone refuses what is certain: a blocklist of all
// addresses, and not that a declared rule is the only one.
func TestDeclaredLockouts(t *testing.T) {
	for name, tt := range map[string]struct {
		head []*objects.Object
		want string
	}{
		"a blocklist": {[]*objects.Object{declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "192.0.2.0/25"))}, "lockout"},
		"a denial first": {[]*objects.Object{
			declare("policies", "OKTA_SIGN_ON/Default Policy", system(body{})),
			declare("policyRules", "OKTA_SIGN_ON/Default Policy/Lock", rule("DENY")), declare("policyRules", "OKTA_SIGN_ON/Default Policy/In", rule("ALLOW")),
		}, "lockout"},
		"a denial alone": {[]*objects.Object{
			declare("policies", "OKTA_SIGN_ON/Default Policy", system(body{})), declare("policyRules", "OKTA_SIGN_ON/Default Policy/Default Rule", system(body{"actions": body{"signon": body{"access": "DENY"}}})),
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := fleet(1)
			head, _ := fleet(1)
			withConfig(&head.Orgs[0], tt.head...)
			guards := wide
			guards.OwnAddresses = prefixes([]string{"192.0.2.1"})
			plan, err := diff.CompareDeclared(base, head, diff.Options{Account: account, Guards: guards})
			if err != nil {
				t.Fatal(err)
			}
			if got := guardNames(plan); got != tt.want {
				t.Errorf("refused by %q, not %q", got, tt.want)
			}
			if !slices.ContainsFunc(plan.Changes, func(c diff.Change) bool { return len(c.Risks) > 0 }) {
				t.Error("no risk")
			}
		})
	}
}

func TestRisks(t *testing.T) {
	const password = "PASSWORD/Default Policy"
	locks := func(attempts, unlock float64) body {
		return system(body{"status": "ACTIVE", "settings": body{"password": body{"lockout": body{"maxAttempts": attempts, "autoUnlockMinutes": unlock}}}})
	}
	tests := []struct {
		name     string
		live     *objects.Live
		declared *objects.Object
		want     []string
	}{
		{"a blocklist", live1(), declare("networkZones", "Bad", zone("BLOCKLIST", "ACTIVE", "192.0.2.0/24")), []string{"nobody can reach the org from this active blocklist zone"}},
		{"a dynamic one", live1(), declare("networkZones", "Bad", body{"type": "DYNAMIC", "usage": "BLOCKLIST", "asns": []any{"23457"}}),
			[]string{"nobody can reach the org from this active blocklist zone", "Okta decides which addresses are in a dynamic zone, so it can't be checked whether yours are"}},
		{"an INACTIVE one", live1(), declare("networkZones", "Bad", zone("BLOCKLIST", "INACTIVE", "192.0.2.0/24")), nil},
		{"a smaller blocklist", live1(alive("networkZones", "Bad", zone("POLICY", "ACTIVE", "192.0.2.0/24"))), declare("networkZones", "Bad", zone("POLICY", "ACTIVE", "192.0.2.0/24", "192.0.3.0/24")), nil},
		{"a zone goes", live1(alive("networkZones", "Offices", zone("POLICY", "ACTIVE", "192.0.2.0/24"))), gone("networkZones", "Offices"), []string{"rules that let people in from this zone no longer do"}},
		{"a denial", signOn(), declare("policyRules", "OKTA_SIGN_ON/Default Policy/In", rule("DENY", fromOffices)), []string{"the rule denies sign-in to those whom its conditions match"}},
		{"a denial of all", signOn(), declare("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("DENY")), []string{"the rule denies sign-in to everyone under this policy, from everywhere"}},
		{"a permission goes", signOn(), declare("policyRules", "OKTA_SIGN_ON/Default Policy/In", off(rule("ALLOW", fromOffices))), []string{"people whom this rule let in depend on the rules behind it"}},
		{"a permission is deleted", signOn(), gone("policyRules", "OKTA_SIGN_ON/Default Policy/In"), []string{"people whom this rule let in depend on the rules behind it"}},
		{"a narrower permission", signOn(), declare("policyRules", "OKTA_SIGN_ON/Contractors/In", rule("ALLOW", fromOffices)), []string{"the rule lets in other people, or from other places, than before"}},
		{"a second factor", signOn(), declare("policyRules", "OKTA_SIGN_ON/Contractors/In", body{"actions": body{"signon": body{"access": "ALLOW", "requireFactor": true}}}),
			[]string{"a second factor becomes required: who has none must enroll one to get in"}},
		{"a policy goes", signOn(), gone("policies", "OKTA_SIGN_ON/Contractors"), []string{"the people for whom this policy was come under the next one"}},
		{"a policy for no group", signOn(), declare("policies", "OKTA_SIGN_ON/New", body{}), []string{"it names no group, so that Okta refuses it, or it is for Everyone"}},
		{"a policy for an empty list of groups", signOn(), declare("policies", "OKTA_SIGN_ON/New", forGroups()), []string{"it names no group, so that Okta refuses it, or it is for Everyone"}},
		{"a policy for a group", signOn(), declare("policies", "OKTA_SIGN_ON/New", forGroups("Contractors")), nil},
		{"fewer attempts", live1(alive("policies", password, locks(10, 30))), declare("policies", password, locks(3, 0)),
			[]string{"accounts are locked after 3 failed sign-ins, not 10", "locked accounts stay locked until somebody unlocks them"}},
		{"more attempts", live1(alive("policies", password, locks(3, 30))), declare("policies", password, locks(10, 60)), []string{"locked accounts stay locked for 60 minutes, not 30"}},
		{"a required authenticator", live1(alive("policies", "MFA_ENROLL/Default Policy", system(enroll("webauthn", "OPTIONAL", "okta_email", "OPTIONAL")))),
			declare("policies", "MFA_ENROLL/Default Policy", system(enroll("webauthn", "REQUIRED", "okta_email", "NOT_ALLOWED"))),
			[]string{"okta_email can no longer be enrolled", "webauthn becomes required: who has not enrolled it must do so to get in"}},
		{"an authenticator is left out", live1(alive("policies", "MFA_ENROLL/Default Policy", system(enroll("webauthn", "OPTIONAL", "okta_email", "NOT_ALLOWED", "okta_password", "REQUIRED")))),
			declare("policies", "MFA_ENROLL/Default Policy", system(enroll("okta_password", "REQUIRED"))),
			[]string{"webauthn can no longer be enrolled: it is not in the list any more"}},
		{"ThreatInsight", live1(alive("threatInsight", "threatInsight", body{"action": "audit"})), declare("threatInsight", "threatInsight", body{"action": "block"}),
			[]string{"sign-ins from addresses that Okta holds for malicious are blocked, but for excludeZones"}},
		{"short sessions", live1(alive("adminConsoleSession", "adminConsoleSession", body{"sessionIdleTimeoutMinutes": 15.0})),
			declare("adminConsoleSession", "adminConsoleSession", body{"sessionIdleTimeoutMinutes": 5.0}), []string{"admins are signed out of the console after 5 idle minutes, not 15"}},
		{"a group goes", live1(alive("groups", "A", body{})), gone("groups", "A"), []string{"its members lose what they have through it, and policies and rules no longer find it"}},
		{"a group changes", live1(alive("groups", "A", body{})), declare("groups", "A", body{"description": "x"}), nil},
		{"locking by strangers", live1(alive("userLockout", "userLockout", body{"preventBruteForceLockoutFromUnknownDevices": true})),
			declare("userLockout", "userLockout", body{"preventBruteForceLockoutFromUnknownDevices": false}), []string{"failed sign-ins from unknown devices lock accounts: who knows a login can lock it"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head := &state.DesiredOrg{Domain: domain(0), Config: &objects.Declared{Objects: []*objects.Object{tt.declared}}}
			c := diff.CompareConfiguration(nil, head, tt.live, nil)
			if c.Unknown != "" || len(c.Head.Differences) != 1 || len(c.Lockouts) != 0 {
				t.Fatalf("%+v %+v", c, c.Head)
			}
			if d := cmp.Diff(tt.want, c.Risks[0]); d != "" {
				t.Error(d)
			}
		})
	}
}
