package onboard_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/onboard"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fresh = "acme-fresh.okta.com"

// outcome returns the outcome of one change of an org.
func outcome(t *testing.T, r *apply.Result, domain string, action diff.Action) apply.Outcome {
	t.Helper()
	for _, o := range r.Outcomes {
		if o.Org == domain && o.Action == action {
			return o
		}
	}
	t.Fatalf("no %s of %s in %+v", action, domain, r.Outcomes)
	return apply.Outcome{}
}

// creation reads the journal.
func (w *world) creation(t testing.TB, domain string) *journal.Creation {
	t.Helper()
	v := journal.New(location.Folder(w.stateDir()), journal.Options{})
	defer v.Close()
	c, err := v.Creation(w.key(domain))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stored returns the token that the sink has of an org, if it has one.
func (w *world) stored(t testing.TB, domain string) (string, bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.tokenDir(), domain+"_*.token"))
	if err != nil || len(files) > 1 {
		t.Fatal(files, err)
	}
	if len(files) == 0 {
		return "", false
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data)), true
}

// wantComplete checks an org that is onboarded: it exists once, as declared, linked
// once, the journal says so, and its token is stored or recorded as lost.
func (w *world) wantComplete(t testing.TB, domain string, lost bool) {
	t.Helper()
	org, ok := w.Org(domain)
	if !ok || !org.Managed || !slices.Equal(org.Products, []string{"P000052", "P000131"}) {
		t.Errorf("%s: there: %v, %+v", domain, ok, org)
		return
	}
	added := 0
	for _, r := range w.Requests() {
		if r.Aerial && r.Method == "POST" && r.Status == 200 && (strings.Contains(r.Body, org.ID) || strings.Contains(r.Body, `"`+domain+`"`)) {
			added++
		}
	}
	if added > 1 {
		t.Errorf("%s: linked %d times", domain, added)
	}
	c := w.creation(t, domain)
	if c == nil || c.Step != journal.Done || c.OrgID != org.ID {
		t.Errorf("%s: the journal says %+v", domain, c)
		return
	}
	token, has := w.stored(t, domain)
	switch {
	case lost && (has || c.Token != journal.TokenLost || !c.Alarm() || c.LostReason == ""):
		t.Errorf("%s: the token should be lost: %v, %+v", domain, has, c)
	case !lost && (!has || token != org.Tokens[0] || c.Token != journal.TokenStored || !strings.Contains(c.TokenAt, w.tokenDir())):
		t.Errorf("%s: the token should be stored: %v, %+v", domain, has, c)
	}
}

// wantOrgs checks that there are as many orgs more than at the start.
func (w *world) wantOrgs(t testing.TB, more int) {
	t.Helper()
	if n := len(w.Orgs()) - 8; n != more {
		t.Errorf("%d new orgs, want %d", n, more)
	}
}

func (w *world) creationsSent() int {
	n := 0
	for _, r := range w.Requests() {
		if !r.Aerial && r.Method == "POST" && r.Path == "/api/v1/orgs" {
			n++
		}
	}
	return n
}

func TestOnboarding(t *testing.T) {
	w := newWorld(t, nil, fresh)
	for _, o := range w.once(t).Outcomes {
		if o.Result != apply.Applied || strings.Contains(o.Hint, "its manifest") != (o.Action == diff.LinkOrg) {
			t.Errorf("%+v", o)
		}
	}
	w.wantComplete(t, fresh, false)
	w.wantOrgs(t, 1)
	if r := w.once(t); len(r.Outcomes) != 0 {
		t.Errorf("the second run: %+v", r.Outcomes)
	}
}

// The next creation of a parent is sent when the limit allows it, whichever
// process sent the ones before.
func TestLimitAcrossRestarts(t *testing.T) {
	var domains []string
	for i := range 23 {
		domains = append(domains, fmt.Sprintf("acme-n%02d.okta.com", i))
	}
	w := newWorld(t, nil, domains[:6]...)
	w.once(t)
	for _, d := range domains[6:] {
		w.Declared = append(w.Declared, declare(d))
	}
	w.once(t)
	for _, d := range domains {
		w.wantComplete(t, d, false)
	}
	w.wantOrgs(t, len(domains))
	var sent []time.Time
	for _, r := range w.Requests() {
		if !r.Aerial && r.Method == "POST" && r.Path == "/api/v1/orgs" {
			sent = append(sent, r.Time)
			if r.Status != 201 {
				t.Errorf("a creation got %d", r.Status)
			}
		}
	}
	for i := 10; i < len(sent); i++ {
		if d := sent[i].Sub(sent[i-10]); d < time.Minute {
			t.Errorf("eleven in %v", d)
		}
	}
}

// Where something is missing, nothing is sent or written, and it is said what.
func TestWhatIsMissing(t *testing.T) {
	noConsent := simulator.DefaultSeed(4)
	for i := range noConsent.Orgs {
		if noConsent.Orgs[i].Domain == simulator.DefaultParent {
			noConsent.Orgs[i].Consent = false
		}
	}
	for _, tt := range []struct {
		name       string
		seed       *simulator.Seed
		change     func(*world)
		says, hint string
	}{
		{"no parent", nil, func(w *world) { w.NoParent = true }, `the parent "acme" is not in the config`, "the config has no parents: add this one"},
		{"no journal", nil, func(w *world) { w.NoJournal = true }, "no journal", "state"},
		{"no sink", nil, func(w *world) { w.Sink = "none" }, "no place for the new org's token", "tokens"},
		{"no consent", noConsent, func(*world) {}, "has not granted its consent", "Settings, Account"},
		{"broken sink", nil, func(w *world) {
			if err := os.WriteFile(w.tokenDir(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.seed, fresh)
			tt.change(w)
			o := outcome(t, w.once(t), fresh, diff.CreateOrg)
			if o.Result != apply.Failed || !strings.Contains(o.Error, tt.says) || !strings.Contains(o.Hint, tt.hint) {
				t.Errorf("%+v", o)
			}
			if w.creationsSent() != 0 {
				t.Error("sent")
			}
			if c := w.creation(t, fresh); c != nil {
				t.Errorf("begun: %+v", c)
			}
		})
	}
}

// After each end of a call, runs are made until all is well; what matters is
// what they cost.
func TestAnswersToTheCreation(t *testing.T) {
	for _, tt := range []struct {
		fault simulator.Fault
		lost  bool
		runs  int
		sent  int
		says  string // in the first run
	}{
		{simulator.Fault{Status: 500, Times: 1}, false, 2, 2, "it may have taken effect all the same"},
		{simulator.Fault{Status: 500, After: true, Times: 1}, true, 2, 1, "it may have taken effect all the same"},
		{simulator.Fault{Cut: true, Times: 1}, false, 2, 2, "it may have taken effect all the same"},
		{simulator.Fault{Cut: true, After: true, Times: 1}, true, 2, 1, "it may have taken effect all the same"},
		{simulator.Fault{Hang: true, After: true, Times: 1}, true, 2, 1, "no complete answer within 45s"},
		{simulator.Fault{Garbage: true, Times: 1}, true, 2, 1, "unreadable body"},
		{simulator.Fault{Empty: true, Times: 1}, true, 2, 1, "unreadable body"},
		{simulator.Fault{CutBody: true, Times: 1}, true, 1, 1, "TOKEN IS LOST"},
		{simulator.Fault{Status: 429, RetryAfter: time.Second, Times: 1}, false, 1, 2, ""},
		{simulator.Fault{Status: 403, Times: 1}, false, 2, 2, "403 E0000006"},
		{simulator.Fault{Status: 400, Times: 1}, false, 2, 2, "400 E0000001"},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, fresh)
			w.fault(t, creations(tt.fault))
			for n := 1; n <= tt.runs; n++ {
				r := w.once(t)
				o := outcome(t, r, fresh, diff.CreateOrg)
				if n == 1 && !strings.Contains(o.Error+o.Hint, tt.says) {
					t.Errorf("%+v", o)
				}
				if c := r.Counts(); (c.Failed == 0) != (n == tt.runs) {
					t.Errorf("run %d: %+v", n, r.Outcomes)
				}
			}
			w.wantComplete(t, fresh, tt.lost)
			w.wantOrgs(t, 1)
			if n := w.creationsSent(); n != tt.sent {
				t.Errorf("sent %d times", n)
			}
			if lost := strings.Contains(w.said(), "the token of a new org is lost"); lost != tt.lost {
				t.Errorf("told as lost: %v", lost)
			}
		})
	}
}

// An org that Okta doesn't create under its declared name fails with what to declare.
// Nothing is left open: the next run asks again, once.
func TestRefusedSubdomain(t *testing.T) {
	w := newWorld(t, nil, "www.okta.com")
	for range 2 {
		o := outcome(t, w.once(t), "www.okta.com", diff.CreateOrg)
		if o.Result != apply.Failed || !strings.Contains(o.Error, "400 E0000170") || !strings.Contains(o.Hint, "declare another domain") {
			t.Errorf("%+v", o)
		}
		if c := w.creation(t, "www.okta.com"); c.Step != journal.Refused {
			t.Errorf("%+v", c)
		}
	}
	if _, ok := w.Org("www.okta.com"); ok {
		t.Error("created")
	}
	if strings.Contains(w.said(), "is lost") {
		t.Error("told of a token that never was")
	}
}

// An org that is there already is linked, and its token was never ours. One
// that can't be linked is somebody else's.
func TestTaken(t *testing.T) {
	w := newWorld(t, nil, "acme-new.okta.com")
	r := w.once(t)
	if o := outcome(t, r, "acme-new.okta.com", diff.CreateOrg); o.Result != apply.Applied || !strings.Contains(o.Hint, "the subdomain is taken") {
		t.Errorf("%+v", o)
	}
	if c := w.creation(t, "acme-new.okta.com"); c.Step != journal.Refused || c.Token != journal.TokenUnknown {
		t.Errorf("%+v", c)
	}
	if org, _ := w.Org("acme-new.okta.com"); !org.Managed {
		t.Error("not linked")
	}

	w = newWorld(t, nil, "acme-merged.okta.com") // gave no consent
	w.Declared[0].Cell = "ok2"
	for range 2 {
		r = w.once(t)
		o := outcome(t, r, "acme-merged.okta.com", diff.CreateOrg)
		if o.Result != apply.Failed || !strings.Contains(o.Error, "the subdomain is taken, and the org that has it can't be linked: ") || !strings.Contains(o.Hint, "another domain") {
			t.Errorf("%+v", o)
		}
	}
	if strings.Contains(w.said(), "is lost") {
		t.Error("told of a token that was never ours")
	}
}

// A refusal that the journal didn't take is not forgotten: the org that has the
// subdomain is not linked as one that may be ours, and never booked as ours.
func TestTakenAndNotWrittenDown(t *testing.T) {
	w := newWorld(t, nil, "acme-new.okta.com")
	j := &failingJournal{fails: "MarkRefused"}
	var refused sync.Map
	keep := func(o *onboard.Options) { o.Refused = &refused }
	o := outcome(t, w.once(t, j.in, keep), "acme-new.okta.com", diff.CreateOrg)
	if o.Result != apply.Failed || !strings.Contains(o.Error, "no space left on device") {
		t.Errorf("%+v", o)
	}
	if org, _ := w.Org("acme-new.okta.com"); org.Managed {
		t.Error("linked")
	}
	w.once(t, keep)
	if c := w.creation(t, "acme-new.okta.com"); c.Step != journal.Refused || c.Token != journal.TokenUnknown || strings.Contains(w.said(), "is lost") {
		t.Errorf("%+v", c)
	}
	if org, _ := w.Org("acme-new.okta.com"); !org.Managed {
		t.Error("not linked")
	}
}

// When the answer is lost and the org can't be linked, because it was made for
// somebody else before, no token of ours is lost.
func TestTakenAfterALostAnswer(t *testing.T) {
	w := newWorld(t, nil, "acme-merged.okta.com")
	w.Declared[0].Cell = "ok2"
	w.fault(t, creations(simulator.Fault{Status: 502, Times: 1}))
	w.once(t)
	r := w.once(t)
	if o := outcome(t, r, "acme-merged.okta.com", diff.CreateOrg); !strings.Contains(o.Error, "the subdomain is taken") {
		t.Errorf("%+v", o)
	}
	if c := w.creation(t, "acme-merged.okta.com"); c.Token != journal.TokenUnknown || strings.Contains(w.said(), "is lost") {
		t.Errorf("%+v", c)
	}
}

// Ctrl-C while the org settles: it takes no time, and the next run goes on, not
// before the 30 seconds are over, which count from the creation.
func TestStopWhileSettling(t *testing.T) {
	w := newWorld(t, nil, fresh)
	r := w.stopAt(t, "waiting for the new org to settle")
	if o := outcome(t, r, fresh, diff.CreateOrg); o.Result != apply.Applied || o.OrgID == "" {
		t.Errorf("%+v", o)
	}
	if o := outcome(t, r, fresh, diff.LinkOrg); o.Result != apply.Skipped || o.Error != "the run was stopped" {
		t.Errorf("%+v", o)
	}
	w.clock.Add(int64(10 * time.Second))
	if o := outcome(t, w.once(t), fresh, diff.CreateOrg); !strings.Contains(o.Hint, "an earlier run created it at ") {
		t.Errorf("%+v", o)
	}
	w.wantComplete(t, fresh, false)
	made := w.creation(t, fresh).CreatedAt
	for _, q := range w.Requests() {
		if q.Aerial && q.Method == "POST" {
			if d := q.Time.Sub(made); d != 30*time.Second {
				t.Errorf("linked %v after the creation", d)
			}
		}
	}
}

// Ctrl-C while the call is under way: it is waited for, and the token is kept.
func TestStopWhileCreating(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.with(t, func(t *testing.T, p *program) {
		ctx, cancel := context.WithCancel(t.Context())
		w.fault(t, creations(simulator.Fault{Delay: 3 * time.Second, Do: cancel}))
		if r := p.mustRun(ctx, t); outcome(t, r, fresh, diff.CreateOrg).Result != apply.Applied {
			t.Errorf("%+v", r)
		}
	})
	if _, has := w.stored(t, fresh); !has {
		t.Error("the token is not stored")
	}
	w.ClearFaults()
	w.once(t)
	w.wantComplete(t, fresh, false)
	w.wantOrgs(t, 1)
}

// Ctrl-C while waiting for the parent's limit: nothing was sent.
func TestStopWhileWaitingForTheLimit(t *testing.T) {
	var domains []string
	for i := range 12 {
		domains = append(domains, fmt.Sprintf("acme-n%02d.okta.com", i))
	}
	w := newWorld(t, nil, domains...)
	r := w.stopAt(t, "waiting for the parent's limit")
	if !r.Interrupted {
		t.Error("not marked as interrupted")
	}
	made, skipped := 0, 0
	for _, d := range domains {
		switch o := outcome(t, r, d, diff.CreateOrg); o.Result {
		case apply.Applied:
			made++
		case apply.Skipped:
			skipped++
		default:
			t.Errorf("%+v", o)
		}
	}
	if made != 10 || skipped != 2 || w.creationsSent() != 10 {
		t.Errorf("%d made, %d skipped, %d sent", made, skipped, w.creationsSent())
	}
}

func TestWrongBase(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.ParentDomain = "acme.okta.com"
	w.Declared[0].Domain = "acme-fresh.oktapreview.com"
	o := outcome(t, w.once(t), "acme-fresh.oktapreview.com", diff.CreateOrg)
	if o.Result != apply.Failed || !strings.Contains(o.Error, "its parent acme.okta.com, which makes orgs under okta.com only") || w.creationsSent() != 0 {
		t.Errorf("%+v", o)
	}
}

// Where the config doesn't tell it beforehand, the answer tells that the org
// got another name. Its token is kept, and neither it nor an org of somebody else
// that has the declared name is linked.
func TestWrongName(t *testing.T) {
	w := newWorld(t, nil, "acme-fresh.oktapreview.com")
	for n := range 2 {
		r := w.once(t)
		o := r.Outcomes[0]
		if n == 0 {
			if err := w.AddOrg(simulator.Org{Domain: "acme-fresh.oktapreview.com", Name: "Theirs", Cell: w.Declared[0].Cell, Consent: true}); err != nil {
				t.Fatal(err)
			}
		}
		if o.Result != apply.Failed || n == 0 && !strings.Contains(o.Error, `the org was made as "acme-fresh.okta.com"`) ||
			n == 1 && !strings.Contains(o.Error, "Okta made it under another name, with the id") {
			t.Errorf("%+v", o)
		}
	}
	if _, has := w.stored(t, "acme-fresh.oktapreview.com"); !has {
		t.Error("the token is gone")
	}
	for _, domain := range []string{fresh, "acme-fresh.oktapreview.com"} {
		if org, _ := w.Org(domain); org.Managed {
			t.Errorf("%s is linked", domain)
		}
	}
	if w.creationsSent() != 1 {
		t.Errorf("sent %d times", w.creationsSent())
	}
}

// damage breaks the journal, as a disk might.
func (w *world) damage(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.stateDir(), "journal.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// With a journal that has forgotten everything, each creation counts as one
// that may have been sent.
func TestLostJournal(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault *simulator.Fault // of the creation before the journal was lost
		token bool             // whether the sink keeps its tokens
		sent  int
		lost  bool
	}{
		{"created, token stored", nil, true, 1, false},
		{"created, token gone too", nil, false, 1, true},
		{"answer lost", &simulator.Fault{Cut: true, After: true, Times: 1}, true, 1, true},
		{"never arrived", &simulator.Fault{Cut: true, Times: 1}, true, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, fresh)
			if tt.fault != nil {
				w.fault(t, creations(*tt.fault))
			}
			w.fault(t, links(simulator.Fault{Status: 403, Times: 1}))
			w.once(t)
			w.ClearFaults()
			w.damage(t)
			if !tt.token {
				if err := os.RemoveAll(w.tokenDir()); err != nil {
					t.Fatal(err)
				}
			}
			w.once(t)
			w.wantComplete(t, fresh, tt.lost)
			w.wantOrgs(t, 1)
			if n := w.creationsSent(); n != tt.sent {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// A journal that somebody deleted knows nothing, not even that it has forgotten
// something; but the sink knows.
func TestDeletedJournal(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.fault(t, links(simulator.Fault{Status: 403, Times: 1}))
	w.once(t)
	if err := os.RemoveAll(w.stateDir()); err != nil {
		t.Fatal(err)
	}
	w.ClearFaults()
	w.once(t)
	w.wantComplete(t, fresh, false)
	if n := w.creationsSent(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// A token in the sink of an org that isn't there is neither overwritten nor
// taken for the token of a new one.
func TestStrayToken(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.once(t)
	token, _ := w.stored(t, fresh)
	if err := os.RemoveAll(w.stateDir()); err != nil {
		t.Fatal(err)
	}
	other := newWorld(t, nil, fresh) // there the org isn't
	other.Dir = w.Dir
	other.clock.Store(w.clock.Load())
	r := other.once(t)
	if o := outcome(t, r, fresh, diff.CreateOrg); o.Result != apply.Failed || !strings.Contains(o.Error, "there is a token of this org already (") || !strings.Contains(o.Hint, "move its token away") {
		t.Errorf("%+v", o)
	}
	if now, _ := other.stored(t, fresh); now != token || other.creationsSent() != 0 {
		t.Errorf("sent %d times", other.creationsSent())
	}
}

// An org whose token is in the sink is known by the id in its name, though nothing
// else remembers it: after a rename no second one is created.
func TestStrayTokenOfARenamedOrg(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.once(t)
	if err := os.RemoveAll(w.stateDir()); err != nil {
		t.Fatal(err)
	}
	if err := w.RenameOrg(fresh, "acme-renamed.okta.com"); err != nil {
		t.Fatal(err)
	}
	org, _ := w.Org("acme-renamed.okta.com")
	o := outcome(t, w.once(t), fresh, diff.CreateOrg)
	if o.Result != apply.Failed || !strings.Contains(o.Error, "was renamed: its token is stored (") || !strings.Contains(o.Error, `is "acme-renamed.okta.com" now`) ||
		!strings.Contains(o.Hint, "change the domain in the manifest to acme-renamed.okta.com, and add `id: "+org.ID+"`") {
		t.Errorf("%+v", o)
	}
	if n := w.creationsSent(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// An org that was linked by hand, or just before the process ended, is not in
// the plan any more; the journal learns of it all the same.
func TestCatchUp(t *testing.T) {
	for _, tt := range []struct {
		name           string
		break1, break2 *simulator.Fault // of the first run, and of the second
		lost           bool
	}{
		{"created", nil, nil, false},
		{"answer lost", &simulator.Fault{Cut: true, After: true, Times: 1}, nil, true},
		{"answer lost, then taken", &simulator.Fault{Cut: true, After: true, Times: 1}, &simulator.Fault{Status: 403}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, fresh)
			if tt.break1 != nil {
				w.fault(t, creations(*tt.break1))
			} else {
				w.fault(t, links(simulator.Fault{Status: 403}))
			}
			w.once(t)
			if tt.break2 != nil {
				w.fault(t, links(*tt.break2))
				w.once(t)
				if c := w.creation(t, fresh); c.Step != journal.Refused || !onboard.Unfinished(c) {
					t.Errorf("%+v", c)
				}
			}
			w.ClearFaults()
			w.clock.Add(int64(31 * time.Second))
			w.with(t, func(t *testing.T, p *program) {
				if _, err := p.api.LinkOrg(t.Context(), "", fresh, "ok1", func(context.Context) error { return nil }); err != nil {
					t.Fatal(err)
				}
			})
			w.once(t) // products
			w.once(t) // nothing
			w.wantComplete(t, fresh, tt.lost)
		})
	}
}

// An org that somebody else made before it could be created here was never
// ours.
func TestMadeBySomebodyElse(t *testing.T) {
	w := newWorld(t, nil, "acme-new.okta.com")
	w.once(t, (&failingJournal{fails: "Send"}).in)
	if c := w.creation(t, "acme-new.okta.com"); c.Step != journal.Intent {
		t.Fatalf("%+v", c)
	}
	w.Declared[0].Create = nil // it is just linked
	for range 2 {
		w.once(t)
	}
	if c := w.creation(t, "acme-new.okta.com"); c.Step != journal.Refused || c.Token != journal.TokenUnknown || strings.Contains(w.said(), "is lost") {
		t.Errorf("%+v", c)
	}
}

// A plan that is applied again makes nothing again.
func TestStalePlan(t *testing.T) {
	w := newWorld(t, nil, fresh)
	w.with(t, func(t *testing.T, p *program) {
		plan, _, err := p.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := apply.Apply(t.Context(), plan, p.api, apply.Options{Creator: p.onboard})
		if err != nil || r.Counts().Applied != len(plan.Changes) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	w.wantOrgs(t, 1)
	if w.creationsSent() != 1 {
		t.Errorf("sent %d times", w.creationsSent())
	}
}
