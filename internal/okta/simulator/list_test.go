package simulator_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
)

var linkForm = regexp.MustCompile(`^<([^>]+)>; rel="(self|next|prev)"$`)

// links returns the Link headers of an answer, by relation.
func links(t testing.TB, r result) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, l := range r.header.Values("Link") {
		m := linkForm.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("odd Link header %q", l)
		}
		all[m[2]] = m[1]
	}
	return all
}

func ids(t testing.TB, r result) []string {
	t.Helper()
	wantStatus(t, r, 200)
	var orgs []struct{ ID string }
	r.decode(t, &orgs)
	all := []string{}
	for _, o := range orgs {
		all = append(all, o.ID)
	}
	return all
}

func TestPages(t *testing.T) {
	const orgs = 53
	f := start(t, simulatortest.Config{Orgs: orgs})
	token := f.token(scopeRead)
	get := func(url string) result { return f.send("GET", url, "", "Authorization", "Bearer "+token) }
	base := f.URL + "/" + f.AccountID + "/api/v1/orgs"
	var all []string
	for _, o := range f.Orgs() {
		if o.Managed {
			all = append(all, o.ID)
		}
	}
	for _, query := range []string{"", "?limit=1", "?limit=10", "?limit=52", "?limit=53", "?limit=100"} {
		t.Run(query, func(t *testing.T) {
			f.t = t
			size := 25
			fmt.Sscanf(query, "?limit=%d", &size)
			var forth, back []string
			at := base + query
			for {
				r := get(at)
				page := ids(t, r)
				forth = append(forth, page...)
				l := links(t, r)
				if l["self"] != at {
					t.Errorf("self is %q, want %q", l["self"], at)
				}
				if _, ok := l["prev"]; ok == (len(forth) == len(page)) {
					t.Errorf("prev after %d orgs: %v", len(forth)-len(page), ok)
				}
				if len(page) > size || len(page) == 0 {
					t.Fatalf("a page of %d", len(page))
				}
				if l["next"] == "" {
					back = page
					at = l["prev"]
					break
				}
				at = l["next"]
			}
			if !slices.Equal(forth, all) {
				t.Errorf("forth: got %v, want %v", forth, all)
			}
			for at != "" {
				r := get(at)
				back = append(ids(t, r), back...)
				at = links(t, r)["prev"]
			}
			if !slices.Equal(back, all) {
				t.Errorf("back: got %v, want %v", back, all)
			}
		})
	}
}

func TestCursors(t *testing.T) {
	f := start(t, simulatortest.Config{Orgs: 30})
	token := f.token(scopeRead)
	get := func(query string) result { return f.aerial(token, "GET", "/api/v1/orgs?"+query, "") }
	next, err := url.Parse(links(t, get("limit=10"))["next"])
	if err != nil {
		t.Fatal(err)
	}
	cursor := next.Query().Get("after")
	if strings.ContainsAny(cursor, "= ") || f.orgID(simulator.DefaultParent) == cursor {
		t.Errorf("cursor %q is not opaque", cursor)
	}
	other := start(t, simulatortest.Config{Orgs: 30})
	foreign, err := url.Parse(links(t, other.aerial(other.token(scopeRead), "GET", "/api/v1/orgs?limit=10", ""))["next"])
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		query, code, says string
	}{
		{"limit=0", "E0000001", "1 to 100"},
		{"limit=101", "E0000001", "1 to 100"},
		{"limit=-1", "E0000001", "1 to 100"},
		{"limit=ten", "E0000001", "1 to 100"},
		{"limit=", "E0000001", "1 to 100"},
		{"after=", "E0000053", "not one of this query"},
		{"after=25", "E0000053", "not one of this query"},
		{"after=MjU6YWJjZGVmZ2hpamts", "E0000053", "not one of this query"},
		{"after=" + f.orgID(simulator.DefaultParent), "E0000053", "not one of this query"},
		{"before=x", "E0000053", "not one of this query"},
		{"after=" + foreign.Query().Get("after"), "E0000053", "not one of this query"},
		{"after=" + cursor + "&before=" + cursor, "E0000053", "Only one"},
		{"after=" + cursor + "&filter=" + url.QueryEscape(`status eq "ACTIVE"`), "E0000053", "not one of this query"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			f.t = t
			wantError(t, get(tt.query), 400, tt.code, tt.says)
		})
	}
	// An org that is linked between two pages, here one of the first page,
	// shifts nothing.
	before := ids(t, get("limit=100"))
	if err := f.LinkOrg("acme-new.okta.com", "okta@acme.example"); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, get("limit=100&after="+cursor)); !slices.Equal(got, before[10:]) {
		t.Errorf("got %v, want the rest of %v", got, before)
	}
}

func TestFilter(t *testing.T) {
	seed := simulator.DefaultSeed(60)
	f := start(t, simulatortest.Config{Seed: seed})
	token := f.token(scopeRead)
	count := func(keep func(simulator.Org) bool) int {
		n := 0
		for _, o := range f.Orgs() {
			if o.Managed && keep(o) {
				n++
			}
		}
		return n
	}
	active := count(func(o simulator.Org) bool { return o.Status == "ACTIVE" })
	emea := count(func(o simulator.Org) bool { return strings.HasPrefix(o.Domain, "acme-emea") })
	emeaActive := count(func(o simulator.Org) bool { return strings.HasPrefix(o.Domain, "acme-emea") && o.Status == "ACTIVE" })
	if active == 60 || emea == 0 || emeaActive == 0 {
		t.Fatalf("the fleet is too plain: %d, %d, %d", active, emea, emeaActive)
	}
	tests := []struct {
		filter string
		orgs   int
		says   string // of the refusal
	}{
		{"", 60, ""},
		{`subdomain eq "acme"`, 1, ""},
		{`subdomain eq "ACME"`, 1, ""},
		{`subdomain eq "acm"`, 0, ""},
		{`subdomain eq "acme-new"`, 0, ""},
		{`subdomain sw "acme-emea"`, emea, ""},
		{`aerialOrg eq true`, 1, ""},
		{`aerialOrg eq false`, 59, ""},
		{`status eq "ACTIVE"`, active, ""},
		{`status EQ "INACTIVE"`, 60 - active, ""},
		{`status eq "ACTIVE" AND subdomain sw "acme-emea"`, emeaActive, ""},
		{`status eq "ACTIVE" and subdomain sw "acme-emea" and aerialOrg eq true`, 0, ""},
		{`subdomain eq "acme" or aerialOrg eq true`, 2, ""},
		{`subdomain eq "a\"b"`, 0, ""},
		{`subdomain eq "a b"`, 0, ""},
		{`subdomain`, 0, "ends in the middle"},
		{`subdomain eq`, 0, "ends in the middle"},
		{`subdomain eq "acme" and`, 0, "ends in the middle"},
		{`subdomain eq acme`, 0, "quoted string"},
		{`subdomain eq "acme`, 0, "never closed"},
		{`subdomain eq "\q"`, 0, "quoted string"},
		{`subdomain co "acme"`, 0, "can't use 'co'"},
		{`status sw "A"`, 0, "can't use 'sw'"},
		{`aerialOrg eq "true"`, 0, "true or false"},
		{`domain eq "acme.okta.com"`, 0, "can't have 'domain'"},
		{`subdomain eq "acme" xor status eq "ACTIVE"`, 0, "'xor' instead"},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			f.t = t
			r := f.aerial(token, "GET", "/api/v1/orgs?limit=100&filter="+url.QueryEscape(tt.filter), "")
			if tt.says != "" {
				wantError(t, r, 400, "E0000031", tt.says)
				return
			}
			if got := ids(t, r); len(got) != tt.orgs {
				t.Errorf("got %d orgs, want %d", len(got), tt.orgs)
			}
		})
	}
	// The cursor belongs to the filtered list.
	next := links(t, f.aerial(token, "GET", "/api/v1/orgs?limit=7&filter="+url.QueryEscape(`status eq "ACTIVE"`), ""))["next"]
	seen := 7
	for next != "" {
		r := f.send("GET", next, "", "Authorization", "Bearer "+token)
		seen += len(ids(t, r))
		next = links(t, r)["next"]
	}
	if seen != active {
		t.Errorf("pages hold %d active orgs, want %d", seen, active)
	}
}
