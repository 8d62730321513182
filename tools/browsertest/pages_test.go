package browsertest

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pages are all that there are, one of a kind.
func pages(t *testing.T) []string {
	t.Helper()
	return []string{
		"/", "/orgs", "/orgs/" + zoneOrg, "/orgs/" + lessOrg, "/drift", "/products", "/matrix/products", "/matrix/networkZones",
		"/runs", "/runs/" + lastRun(t), "/history", "/features", "/orgs?state=drifted&sort=since", "/nothing",
	}
}

// lastRun returns the id of the newest run of the open daemon.
func lastRun(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), stage.program, "status", "--config", stage.open.config, "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), `"lastRun": {`)
	_, rest, _ = strings.Cut(rest, `"id": "`)
	id, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no run in %s", out)
	}
	return id
}

// TestNavigation goes from page to page as people do: by what they see.
func TestNavigation(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.visit("/")
	seen := map[string]string{}
	for _, name := range []string{"Orgs", "Drift", "Products", "Runs", "History", "Features", "Overview"} {
		b.follow(chromedp.Click(`//nav[@aria-label="Main"]//a[normalize-space()="` + name + `"]`))
		title := eval[string](b, `document.title`)
		if other, ok := seen[title]; ok {
			t.Errorf("%s and %s have the title %q", name, other, title)
		}
		seen[title] = name
		if current := eval[string](b, `document.querySelector("nav [aria-current=page]").innerText`); current != name {
			t.Errorf("on the page %s the navigation marks %q", name, current)
		}
		if n := eval[int](b, `document.querySelectorAll("h1").length`); n != 1 {
			t.Errorf("%s has %d headings of level 1", name, n)
		}
	}
	b.contains(lessOrg, moreOrg, inactiveOrg, "workflows", "governance", unknownOrg)

	// From the overview to an org that drifts, to its run, to the history of the run.
	b.click(`main a[href="/orgs/` + lessOrg + `"]`)
	b.contains(lessOrg, "workflows")
	b.click(`main a[href^="/runs/"]`)
	b.contains("report")
	b.click(`a.brand`)
	if at := b.where(); at != "/" {
		t.Errorf("the name of the program leads to %s", at)
	}
}

// TestEveryLink follows each link of each page, without a browser.
func TestEveryLink(t *testing.T) {
	need(t)
	t.Parallel()
	todo, asked := []string{"/"}, map[string]bool{}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		u, err := url.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		kind := u.Path // of each list a few filters, and some of what it lists
		for _, list := range []string{"/orgs/", "/runs/", "/matrix/"} {
			if strings.HasPrefix(kind, list) {
				kind = list
			}
		}
		n := 0
		for a := range asked {
			if a == path || strings.HasPrefix(a, kind+"?") || strings.HasPrefix(kind, "/orgs/") && strings.HasPrefix(a, kind) {
				n++
			}
		}
		if asked[path] || n >= 6 && kind != path {
			continue
		}
		asked[path] = true
		status, body := fetch(t, stage.open.url+path)
		if status != http.StatusOK {
			t.Errorf("GET %s: %d", path, status)
		}
		for _, part := range strings.Split(body, ` href="`)[1:] {
			href, _, _ := strings.Cut(part, `"`)
			if strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "/static/") {
				todo = append(todo, strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(href))
			}
		}
	}
	for _, path := range []string{"/orgs", "/orgs.csv", "/drift", "/products", "/runs", "/history", "/features"} {
		if !hasPrefix(asked, path) {
			t.Errorf("no page links to %s", path)
		}
	}
}

func hasPrefix(all map[string]bool, prefix string) bool {
	for s := range all {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestFindOrgs searches, filters, sorts and pages through the orgs.
func TestFindOrgs(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.visit("/orgs")
	first := b.rows()
	if len(first) != 100 {
		t.Fatalf("the first page has %d orgs", len(first))
	}

	// "/" leads to the search.
	b.do(press("/"))
	b.do(chromedp.KeyEvent("nordics-"))
	if got := eval[string](b, `document.activeElement.name + "=" + document.activeElement.value`); got != "q=nordics-" {
		t.Errorf("after / and typing: %s", got)
	}
	b.follow(chromedp.KeyEvent(kb.Enter))
	found := b.rows()
	if len(found) < 30 || slices.ContainsFunc(found, func(s string) bool { return !strings.Contains(s, "nordics-") }) {
		t.Errorf("searching for nordics-: %q", found)
	}
	b.do(chromedp.SetValue(chromedp.CSS(`select[name=state]`), "missing"))
	b.click(`form.filters button`)
	if got := b.rows(); len(got) != 1 || !strings.HasPrefix(got[0], missingOrg) {
		t.Errorf("missing ones among them: %q", got)
	}

	for state, want := range map[string][]string{
		"drifted": {lessOrg, inactiveOrg, moreOrg}, "unknown": {unknownOrg}, "unmanaged": {unmanagedOrg}, "missing": {missingOrg},
	} {
		b.visit("/orgs?state=" + state)
		got := b.rows()
		if len(got) != len(want) || !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("state %s: %q", state, got)
		}
	}
	for filter, want := range map[string]string{"label=unit%3Dbank": "-bank", "owner=identity-dach%40acme.example": "-dach-"} {
		b.visit("/orgs?" + filter)
		if got := b.rows(); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return !strings.Contains(s, want) }) {
			t.Errorf("%s: %q", filter, got)
		}
	}

	// Pages, to the end and without a gap.
	b.visit("/orgs")
	all := b.rows()
	for eval[bool](b, `!!document.querySelector("main a[rel=next]")`) {
		b.click(`main a[rel=next]`)
		all = append(all, b.rows()...)
		if len(all) > 1000 {
			t.Fatal("the pages don't end")
		}
	}
	if len(all) != orgs+2 {
		t.Errorf("all pages together have %d orgs, want %d", len(all), orgs+2)
	}
	if slices.Sort(all); len(slices.Compact(all)) != orgs+2 {
		t.Error("an org is on two pages")
	}

	// Sorting, both ways.
	b.visit("/orgs")
	b.click(`th a[href*="sort="]:not([href*="domain"])`)
	if got := eval[int](b, `document.querySelectorAll("th[aria-sort]").length`); got != 1 {
		t.Errorf("%d columns are marked as sorted", got)
	}
	b.visit("/orgs?sort=-domain")
	last := b.rows()
	if !slices.IsSortedFunc(last, func(x, y string) int { return strings.Compare(domain(y), domain(x)) }) || domain(last[0]) == domain(first[0]) {
		t.Errorf("by domain, backwards: %q", last[:5])
	}

	// A wrong filter is said.
	b.expect("400")
	b.follow(chromedp.Navigate(b.base + "/orgs?sort=colour"))
	b.contains("sort")
}

func domain(cell string) string { return strings.Fields(cell)[0] }

// TestCSV reads the orgs as a spreadsheet does.
func TestCSV(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.visit("/orgs?state=drifted")
	href := eval[string](b, `[...document.querySelectorAll("main a")].find(a => a.innerText === "CSV").href`)
	status, body := fetch(t, href)
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || status != http.StatusOK || len(rows) != 4 || !strings.Contains(body, lessOrg) {
		t.Errorf("%d, %v:\n%s", status, err, body)
	}
	_, body = fetch(t, b.base+"/orgs.csv")
	if rows, err = csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil || len(rows) != orgs+3 {
		t.Errorf("all orgs: %d rows, %v", len(rows), err)
	}
}

// TestColours looks whether pages are dark where that is preferred.
func TestColours(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.visit("/")
	const background = `getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor`
	light := eval[string](b, background)
	b.do(scheme("dark"))
	if dark := eval[string](b, background); dark == light {
		t.Errorf("the background is %s in dark too", dark)
	}
}

// TestAccessible has axe-core look at each page, on a phone in light and on a desk in dark
// colours.
func TestAccessible(t *testing.T) {
	needAxe(t)
	t.Parallel()
	all := pages(t)
	for colours, width := range map[string]int64{"light": 390, "dark": 1280} {
		t.Run(colours, func(t *testing.T) {
			t.Parallel()
			b := open(t, stage.open)
			b.expect("404")
			b.do(size(width, 900), scheme(colours))
			for _, path := range all {
				b.follow(chromedp.Navigate(b.base + path))
				for _, f := range b.axe() {
					t.Errorf("%s, %d px: %s (%s): %s", path, width, f.ID, f.Impact, f.Help)
					for _, n := range f.Nodes[:min(3, len(f.Nodes))] {
						t.Errorf("  %s: %s", n.Target, n.FailureSummary)
					}
				}
			}
		})
	}
}

// fits reports what is wider than the window.
const fits = `(() => {
	const wide = [], limit = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > limit) wide.push("the page: " + document.documentElement.scrollWidth);
	for (const e of document.querySelectorAll("body *")) {
		const r = e.getBoundingClientRect();
		if (r.width === 0 || r.right <= limit + 1) continue;
		let inside = false;
		for (let p = e.parentElement; p; p = p.parentElement) inside ||= ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(p).overflowX);
		if (!inside) wide.push(e.tagName + "." + e.className + ": " + e.innerText.slice(0, 40));
	}
	return wide.slice(0, 5);
})()`

// TestPhone looks at each page in the width of a phone: nothing is off the screen.
func TestPhone(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.expect("404")
	b.do(size(390, 844))
	for _, path := range pages(t) {
		b.follow(chromedp.Navigate(b.base + path))
		if wide := eval[[]string](b, fits); len(wide) > 0 {
			t.Errorf("%s is wider than the screen: %q", path, wide)
		}
	}
	b.visit("/orgs/" + moreOrg)
	b.seesDestructive()

	// The report of a run that is sent as a file.
	report := filepath.Join(t.TempDir(), "report.html")
	out, err := exec.CommandContext(t.Context(), stage.program, "diff", "--config", stage.open.config, "--out", "html="+report).CombinedOutput()
	if _, missing := os.Stat(report); missing != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.mayAlso = append(b.mayAlso, "file://")
	b.do(chromedp.Navigate("file://" + report))
	if wide := eval[[]string](b, fits); len(wide) > 0 {
		t.Errorf("the report is wider than the screen: %q", wide)
	}
	b.seesDestructive()
}

// seesDestructive fails the test unless the word is on the screen, as wide as it is.
func (b *tab) seesDestructive() {
	b.t.Helper()
	if n := eval[int](b, `(() => {
		const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
		let seen = 0;
		while (walk.nextNode()) {
			if (!walk.currentNode.data.includes("destructive")) continue;
			range.selectNodeContents(walk.currentNode);
			for (const r of range.getClientRects()) if (r.width > 0 && r.left >= 0 && r.right <= 390) seen++;
		}
		return seen;
	})()`); n == 0 {
		b.t.Errorf("%s: the word destructive is not on the screen:\n%s", b.where(), eval[string](b, `document.body.innerText`))
	}
}

// TestWithoutScripts does by links and forms what matters.
func TestWithoutScripts(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.do(scripts(false))
	b.expect("404")
	for _, path := range pages(t) {
		b.follow(chromedp.Navigate(b.base + path))
		if text := eval[string](b, `document.querySelector("main").innerText`); len(text) < 20 {
			t.Errorf("%s shows %q", path, text)
		}
	}
	b.visit("/orgs")
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name=q]`), "-bank"))
	b.click(`form.filters button`)
	if got := b.rows(); len(got) < 8 || len(got) > 20 {
		t.Errorf("searching for -bank: %q", got)
	}
	b.click(`main table a[href="/orgs/` + lessOrg + `"]`)
	b.contains("workflows")
	b.click(`footer a.refresh`)
	b.contains("workflows")
}

// TestKeyboard goes through a page by the keyboard alone: each thing that can be used is
// reached, in order, and it is seen where one is.
func TestKeyboard(t *testing.T) {
	need(t)
	t.Parallel()
	b := open(t, stage.open)
	b.visit("/orgs?q=-bank")
	b.do(chromedp.KeyEvent(kb.Tab))
	if text := eval[string](b, `document.activeElement.innerText`); !strings.HasPrefix(text, "Skip") {
		t.Errorf("the first thing is %q", text)
	}
	var reached []string
	for range 60 {
		seen := eval[string](b, `(() => {
			const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			if (e === document.body) return "";
			const shown = (s.outlineStyle !== "none" && s.outlineWidth !== "0px") || s.boxShadow !== "none";
			const where = r.width > 0 && r.top >= 0 && r.bottom <= innerHeight + 1;
			return (e.name || e.innerText || e.getAttribute("aria-label")).trim().split("\n")[0] + (shown ? "" : " NO FOCUS") + (where ? "" : " OFF");
		})()`)
		if seen == "" {
			break
		}
		if strings.HasSuffix(seen, "NO FOCUS") {
			t.Errorf("it isn't seen that one is at %q", seen)
		}
		reached = append(reached, seen)
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	at := -1
	for _, want := range []string{"Skip to the content", "Overview", "History", "q", "state", "Filter", "CSV", lessOrg} {
		next := slices.IndexFunc(reached, func(s string) bool { return strings.HasPrefix(s, want) })
		if next <= at {
			t.Errorf("%q isn't reached after what is before it: %q", want, reached)
			break
		}
		at = next
	}
	b.do(chromedp.Focus(chromedp.CSS(`main table a[href="/orgs/` + lessOrg + `"]`)))
	b.follow(chromedp.KeyEvent(kb.Enter))
	b.contains(lessOrg)
}

// TestStaysFresh changes a zone by hand and looks whether an open page shows it, and leaves
// what is being typed and read as it is. It has a daemon of its own: the others don't see
// the change before they run again.
func TestStaysFresh(t *testing.T) {
	need(t)
	t.Parallel()
	fresh, err := stage.daemon("fresh", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fresh.end)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := fresh.ready(ctx); err != nil {
		t.Fatal(err)
	}
	b := open(t, fresh)
	b.visit("/orgs?q=retail")
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name=q]`), "-half"))
	b.do(size(1280, 500), chromedp.Evaluate[chromedp.Void](`window.same = document.querySelector("input[name=q]"); scrollTo(0, 120); undefined`))
	before, typed := eval[float64](b, `scrollY`), eval[string](b, `window.same.value`)
	row := fmt.Sprintf(`[...document.querySelectorAll("main tbody tr")].find(r => r.innerText.includes(%q)).innerText`, zoneOrg)
	if text := eval[string](b, row); !strings.Contains(text, "in-sync") {
		t.Fatalf("before: %s", text)
	}
	if err := stage.changeZone(t.Context(), zoneOrg, "198.51.100.0/25"); err != nil {
		t.Fatal(err)
	}
	if err := stage.runNow(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new Event("visibilitychange")); undefined`)) // as when one comes back to the window
	b.wait(row + `.includes("drifted")`)
	if got := eval[string](b, `[window.same.isConnected, document.activeElement === window.same, window.same.value].join()`); got != "true,true,"+typed || !strings.Contains(typed, "-half") {
		t.Errorf("what was typed: %s", got)
	}
	if after := eval[float64](b, `scrollY`); after != before {
		t.Errorf("the page moved from %v to %v", before, after)
	}
	b.visit("/orgs/" + zoneOrg)
	b.contains("Offices", "198.51.100.0/25", "198.51.100.0/24")
}
