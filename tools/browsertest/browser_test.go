// Package browsertest looks at the daemon's pages in a browser, as people do. It is a
// module of its own, so that the program doesn't depend on what drives the browser:
//
//	cd tools/browsertest && go test ./...
//
// It needs chromium, and axe-core's axe.min.js in the file that BROWSERTEST_AXE names.
// Where one of them is missing, tests are skipped; BROWSERTEST_REQUIRED=1 has them fail.
package browsertest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "rewrite the pictures in docs/images")

// required turns what would be skipped into failures.
var required = os.Getenv("BROWSERTEST_REQUIRED") != ""

// patience is how long a test waits for what must happen. That it is long costs nothing
// where all is well, and a busy machine needs it.
const patience = 90 * time.Second

// The world and the browser of all tests; stage is nil where there is no browser.
var (
	stage   *world
	browser context.Context
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browsertest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return m.Run(), nil // each test says that it is skipped, or fails
	}
	dir, err := os.MkdirTemp("", "reconciler-browser-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("lang", "en-GB"), chromedp.Env("TZ=UTC"),
		chromedp.UserDataDir(dir+"/profile"), chromedp.Flag("disable-dev-shm-usage", false), chromedp.WSURLReadTimeout(patience))...)
	defer end()
	started, stop := chromedp.NewContext(allocator)
	defer stop()
	// The browser starts while the program is built.
	up := make(chan error, 1)
	go func() { up <- chromedp.Do(started) }()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	w, err := newWorld(ctx, dir)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return 1, err
	}
	if err := <-up; err != nil {
		return 1, fmt.Errorf("starting %s: %w", path, err)
	}
	stage, browser = w, started
	return m.Run(), nil
}

// need skips a test where there is no browser.
func need(t *testing.T) {
	t.Helper()
	if stage != nil {
		return
	}
	if required {
		t.Fatal("chromium is not installed")
	}
	t.Skip("skipped: chromium is not installed")
}

// tab is a browser window with cookies of its own. When its test ends, it must have
// reported nothing: no error or warning on the console, nothing that the content
// security policy stopped, no request to another origin.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	// mayAlso are other origins that requests may go to.
	mayAlso []string

	mu       sync.Mutex
	problems []string
	// expected are parts of problems that the test provokes.
	expected []string
}

// open opens a window for the pages of a daemon.
func open(t *testing.T, d *daemon) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx, base: d.url}
	t.Cleanup(func() {
		b.check()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // opens the window, for as long as ctx is
		t.Fatal(err)
	}
	if err := chromedp.Listen(b.ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(audits.Enable, cdp.Empty{}),
		// Other tests' windows are open beside it, each of which is used.
		call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		size(1280, 900), scheme("light"))
	return b
}

// call returns the action that sends a command of the browser's protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// size sets the size of the window; a narrow one is a phone's.
func size(width, height int64) chromedp.Action[chromedp.Void] {
	return call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
}

// scheme has the user prefer a colour scheme, light or dark.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// scripts switches scripts on and off.
func scripts(on bool) chromedp.Action[chromedp.Void] {
	return call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// listen notes what a page shouldn't do.
func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			args, _ := json.Marshal(e.Args)
			b.problem("console: %s %s", e.Type, args)
		}
	case *runtime.EventExceptionThrown:
		b.problem("script: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.problem("log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			b.problem("content security policy: %s %s", d.ContentSecurityPolicyIssueDetails.ViolatedDirective, d.ContentSecurityPolicyIssueDetails.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && !slices.Contains(append(b.mayAlso, b.base), u.Scheme+"://"+u.Host) {
			b.problem("request to another origin: %s", e.Request.URL)
		}
	}
}

func (b *tab) problem(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// check reports what the pages did that they shouldn't.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		if !slices.ContainsFunc(b.expected, func(e string) bool { return strings.Contains(p, e) }) {
			b.t.Errorf("%s", p)
		}
	}
}

// expect allows problems that contain a text, which the test provokes.
func (b *tab) expect(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, part)
}

// patiently returns the context of one step of a test.
func (b *tab) patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, patience)
}

// do carries out actions.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.patiently()
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nat %s", err, b.where())
	}
}

// get returns what an action returns.
func get[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := b.patiently()
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("%v\nat %s", err, b.where())
	}
	return v
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := b.patiently()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v\n%.300s\nat %s", err, expression, b.where())
	}
	return v
}

// follow carries out actions that lead to another page, waits for that, and returns its
// status.
func (b *tab) follow(actions ...chromedp.Action[chromedp.Void]) int {
	b.t.Helper()
	ctx, cancel := b.patiently()
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		b.t.Fatalf("%v\nat %s", err, b.where())
	}
	return int(resp.Status)
}

// visit opens a page, which must answer with 200.
func (b *tab) visit(path string) {
	b.t.Helper()
	if status := b.follow(chromedp.Navigate(b.base + path)); status != http.StatusOK {
		b.t.Fatalf("GET %s: %d", path, status)
	}
}

// click clicks on what a selector finds, which leads to another page.
func (b *tab) click(selector string) {
	b.t.Helper()
	if status := b.follow(chromedp.Click(chromedp.CSS(selector))); status != http.StatusOK {
		b.t.Fatalf("click on %s: %d", selector, status)
	}
}

// where returns the path and the query of the page that is shown.
func (b *tab) where() string {
	ctx, cancel := b.patiently()
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(at, b.base)
}

// wait waits until an expression is true in the page.
func (b *tab) wait(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		b.t.Fatalf("waiting for %s: %v\nat %s\n%s", expression, err, b.where(), b.text())
	}
}

// press presses a key that types a character, as a keyboard does: in one event.
func press(key string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key, Text: key}),
		call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key}),
	)
}

// text returns the text of the page's main part, as it is seen.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.querySelector("main").innerText`)
}

// contains fails the test unless the page shows all of these.
func (b *tab) contains(want ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.t.Errorf("%s doesn't show %q:\n%s", b.where(), w, text)
		}
	}
}

// rows returns the text of the first cell of each row of the page's first table.
func (b *tab) rows() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("main table tbody tr")].map(r => r.cells[0].innerText.trim())`)
}
