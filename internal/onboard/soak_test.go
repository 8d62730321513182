package onboard_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
)

var (
	soak     = flag.Int("soak", 0, "how many orgs TestSoak creates")
	soakSeed = flag.Uint64("soakseed", 0, "of the kills and faults of TestSoak; 0 means another one each time")
)

// soakFaults are what the calls of a soak meet by chance. The first list
// destroys answers of calls that took effect, and tokens with them.
var (
	soakLosing = []simulator.Fault{
		{Status: 500, After: true, Probability: 0.03},
		{Cut: true, After: true, Probability: 0.03},
		{CutBody: true, Probability: 0.03},
		{Garbage: true, Probability: 0.02},
		{Hang: true, After: true, Probability: 0.01},
	}
	soakFailing = []simulator.Fault{
		{Status: 429, RetryAfter: 5 * time.Second, Probability: 0.08},
		{Status: 500, Probability: 0.04},
		{Status: 503, Probability: 0.02},
		{Cut: true, Probability: 0.03},
		{Status: 403, Probability: 0.01},
	}
)

func (w *world) soakFaults(t *testing.T) {
	for _, f := range soakLosing {
		w.fault(t, creations(f))
	}
	for _, f := range soakFailing {
		w.fault(t, creations(f))
	}
	for _, f := range []simulator.Fault{
		{Status: 500, Probability: 0.03},
		{Status: 500, After: true, Probability: 0.03},
		{Cut: true, After: true, Probability: 0.03},
		{Status: 429, RetryAfter: time.Second, Probability: 0.01},
	} {
		w.fault(t, links(f))
	}
	w.fault(t, simulator.Fault{Method: "PUT", API: "aerial", Status: 500, After: true, Probability: 0.02})
	w.fault(t, simulator.Fault{Method: "GET", API: "org", Path: "/api/v1/org/privacy/aerial", Status: 503, Probability: 0.03})
}

// TestSoak creates many orgs through faults, in processes most of which are
// killed at a random time, and counts what there is in the end.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("runs with -soak N; see scripts/soak.sh")
	}
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)

	start := time.Now()
	var domains []string
	for i := range *soak {
		domains = append(domains, fmt.Sprintf("acme-soak-%04d.okta.com", i))
	}
	w := newSlowWorld(t, 2*time.Millisecond, nil, domains...)
	w.soakFaults(t)
	processes, kills := w.soakRun(t, random)
	t.Logf("%d processes, %d of them killed, in %v", processes, kills, time.Since(start).Round(time.Second))
	w.soakCheck(t, domains, kills)
}

// soakRun runs processes until nothing is left to be done.
func (w *world) soakRun(t *testing.T, random *rand.Rand) (processes, kills int) {
	t.Helper()
	left := len(w.Declared)
	for most := 100 + 10*left; ; {
		processes++
		if processes > most {
			t.Fatalf("no end after %d processes:\n%s", processes, tail(w.said(), 5000))
		}
		cmd := w.process(t)
		life := time.Duration(80+random.IntN(620)) * time.Millisecond
		if random.IntN(50) == 0 {
			life = 10 * time.Second // to its end, unless it meets a call that hangs
		}
		timer := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		code := exit(t, cmd.Wait())
		timer.Stop()
		switch code {
		case -1:
			kills++
		case exitDone:
			w.finish(t) // nothing is left but to be sure of it
			return processes, kills
		case exitPartial:
		case exitError:
			// The account could not be read, again and again; the next one may.
		default:
			t.Fatalf("ended with %d:\n%s", code, tail(w.said(), 5000))
		}
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// soakCheck counts.
func (w *world) soakCheck(t *testing.T, domains []string, kills int) {
	t.Helper()
	calls, destroyed := w.soakCalls()
	var stored, lost, byFault, linked int
	for _, d := range domains {
		c := w.creation(t, d)
		w.wantComplete(t, d, c.Token == journal.TokenLost)
		if org, _ := w.Org(d); org.Managed {
			linked++
		}
		if c.Token == journal.TokenStored {
			stored++
			continue
		}
		lost++
		if destroyed[d] {
			byFault++
		}
	}
	w.wantOrgs(t, len(domains))
	t.Logf("%d calls to create an org, %d of them struck by a fault", calls.all, calls.struck)
	t.Logf("%d orgs, %d linked, none twice; %d tokens stored", len(w.Orgs())-8, linked, stored)
	t.Logf("%d tokens lost and told so: %d in answers that never came whole, %d as a process was killed with the call under way",
		lost, byFault, lost-byFault)
	if lost-byFault > kills {
		t.Errorf("%d tokens lost by %d kills", lost-byFault, kills)
	}
	w.soakCanary(t)
}

type soakCalls struct{ all, struck int }

// soakCalls counts the calls that were to create an org, and tells the orgs
// whose answer was destroyed after they had been made.
func (w *world) soakCalls() (n soakCalls, destroyed map[string]bool) {
	losing := map[string]bool{}
	for _, f := range soakLosing {
		f = creations(f)
		losing[f.String()] = true
	}
	destroyed = map[string]bool{}
	for _, r := range w.Requests() {
		if r.Aerial || r.Method != "POST" || r.Path != "/api/v1/orgs" {
			continue
		}
		n.all++
		if r.Fault != "" {
			n.struck++
		}
		if losing[r.Fault] {
			_, rest, _ := strings.Cut(r.Body, `"subdomain":"`)
			sub, _, _ := strings.Cut(rest, `"`)
			destroyed[sub+".okta.com"] = true
		}
	}
	return n, destroyed
}

// soakCanary looks for tokens in all that was printed, and in the journal.
func (w *world) soakCanary(t *testing.T) {
	t.Helper()
	said := []byte(w.said())
	files, err := filepath.Glob(filepath.Join(w.stateDir(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, data...)
	}
	for _, o := range w.Orgs() {
		for _, token := range o.Tokens {
			if bytes.Contains(said, []byte(token[:20])) {
				t.Errorf("the token of %s was told", o.Domain)
			}
		}
	}
	t.Logf("no token in %d MB of output and journal", len(said)>>20)
}
