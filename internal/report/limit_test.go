package report

import (
	"fmt"
	"strings"
	"testing"

	"reconciler/internal/diff"
)

// unalike is a plan in which orgs have nothing in common: each has changes of its own, the
// first of which takes something away, and an unfixable difference.
func unalike(orgs, each int) *diff.Plan {
	p := diff.Plan{
		Unknown:  []diff.Unknown{{Org: "acme-dark.okta.com", OrgID: "00o1dark00000000000g", Error: "403 Forbidden"}},
		Refusals: []diff.Refusal{{Guard: diff.GuardLockout, Message: "1 org would lock people out (acme-00000.okta.com): all of it"}},
	}
	for i := range orgs {
		org, id := fmt.Sprintf("acme-%05d.okta.com", i), fmt.Sprintf("00o%05d000000000000g", i)
		for k := range each {
			name := fmt.Sprintf("Group %d of %s", k, org)
			c := object(org, id, diff.UpdateObject, "groups", name, field("profile.description", "", "A group"))
			if k == 0 {
				c = object(org, id, diff.DeleteObject, "groups", name)
				c.Destructive = true
			}
			if i == orgs-1 && k == each-1 {
				c.Risks = []string{"nobody gets in"}
			}
			p.Changes = append(p.Changes, c)
		}
		p.Unfixable = append(p.Unfixable, diff.Unfixable{Org: org, Field: "networkZones/Offices: type", Desired: `"IP"`, Actual: `"DYNAMIC"`})
	}
	return withObjects(newPlan(orgs, 0, p), orgs*each, 0, 0, 0)
}

// limited returns a report that shows so many lines of each severity.
func limited(t *testing.T, f Format, v *view, most int) string {
	t.Helper()
	v.most = most
	var b strings.Builder
	var err error
	if f == Text {
		err = writeText(&b, v, false)
	} else {
		err = writeHTML(&b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenLeftOut(t *testing.T) {
	for _, f := range []Format{Text, HTML} {
		checkGolden(t, "left-out."+extensions[f], limited(t, f, newView(Data{Plan: unalike(12, 4)}), 7))
		checkGolden(t, "left-out-review."+extensions[f], limited(t, f, newView(Data{Plan: objectReview()}), 2))
	}
}

// TestHuge: of a plan that nobody could read, text and HTML have a part, and all that
// counts: the numbers, refusals, risks, what could not be read.
func TestHuge(t *testing.T) {
	v := newView(Data{Plan: unalike(1000, 200)})
	for f, most := range map[Format]int{Text: 2 << 20, HTML: 8 << 20} {
		got := limited(t, f, v, maxShown)
		if len(got) > most {
			t.Errorf("%s has %d bytes", f, len(got))
		}
		for _, want := range []string{
			v.Summary, "200000", "would lock people out", "nobody gets in", "acme-dark.okta.com",
			"Group 0 of acme-00000.okta.com", "Group 0 of acme-00999.okta.com", "nd 194000 more changes in 975 orgs; the JSON output lists them all",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q", f, want)
			}
		}
		if strings.Contains(got, "destructive; the JSON") {
			t.Errorf("%s leaves out destructive changes", f)
		}
		checkPrintable(t, string(f), got)
	}
	if got := limited(t, Text, v, 10); !strings.Contains(got, "more changes in 1000 orgs, 990 of them destructive; the JSON output lists them all\n") {
		t.Error("destructive changes are not counted")
	}
}

// Beside other things a page shows of a huge plan only so much, and says so.
func TestPlanHTML(t *testing.T) {
	page, err := PlanHTML(fleet(5000), 50)
	if err != nil {
		t.Fatal(err)
	}
	html := string(page)
	if len(html) > 100<<10 || !strings.Contains(html, "more changes in") || strings.Contains(html, "JSON output") || strings.Contains(html, "<html") {
		t.Errorf("%d bytes: %.2000s", len(html), html)
	}
	if page, err = PlanHTML(baselined(300), 50); err != nil || strings.Contains(string(page), "Show all 300") || !strings.Contains(string(page), "Show the first 100") {
		t.Errorf("%v: %.2000s", err, page)
	}
	if page, err = PlanHTML(hostile().Plan, 50); err != nil || strings.Contains(string(page), "<script>") {
		t.Errorf("%v: %s", err, page)
	}
}
