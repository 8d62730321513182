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

// axe returns the findings of axe-core in the page that are serious or critical.
func (b *tab) axe() []finding {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](axeSource()))
	return eval[[]finding](b, `axe.run(document, {resultTypes: ["violations"]}).then(r =>
		r.violations.filter(v => v.impact === "serious" || v.impact === "critical"))`)
}
