package browsertest

import (
	"encoding/json"
	"os"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeSource returns the source of axe-core; empty if there is none.
var axeSource = sync.OnceValue(func() string {
	data, err := os.ReadFile(os.Getenv("BROWSERTEST_AXE"))
	if err != nil {
		return ""
	}
	return string(data)
})

// needAxe skips a test where there is no axe-core.
func needAxe(t *testing.T) {
	t.Helper()
	need(t)
	if axeSource() != "" {
		return
	}
	if required {
		t.Fatal("BROWSERTEST_AXE names no file with axe-core")
	}
	t.Skip("skipped: BROWSERTEST_AXE names no file with axe-core")
}

// finding is what axe-core doesn't like.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target         []json.RawMessage
		FailureSummary string
	}
}

// fewerRows leaves two rows of each kind in the tables of a page: axe-core takes long for
// a hundred rows that differ in their text alone.
const fewerRows = `(() => {
	const seen = {};
	for (const row of document.querySelectorAll("tbody tr")) {
		const kind = [row, ...row.querySelectorAll("*")].map(e => e.tagName + "." + e.className).join();
		seen[kind] = (seen[kind] || 0) + 1;
		if (seen[kind] > 2) row.remove();
	}
})()`

// axe returns the findings of axe-core in the page that are serious or critical. It leaves
// the page with fewer rows.
func (b *tab) axe() []finding {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](fewerRows), chromedp.Evaluate[chromedp.Void](axeSource()))
	return eval[[]finding](b, `axe.run(document, {resultTypes: ["violations"]}).then(r =>
		r.violations.filter(v => v.impact === "serious" || v.impact === "critical"))`)
}
