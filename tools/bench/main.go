// Command bench measures what docs/performance.md claims, and compares it with the
// least possible. It builds the program and runs it against the simulator, which
// answers each call after a fixed time, and fetches the same repositories as git:
//
//	go run ./tools/bench
//
// Times depend on the machine; ratios and numbers of calls do not.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"reconciler/internal/diff"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/state"
)

func main() {
	orgs := flag.Int("orgs", 1000, "orgs of the drift check")
	latency := flag.Duration("latency", 50*time.Millisecond, "how long each call takes")
	runs := flag.Int("runs", 5, "how often each measurement is made; the median counts")
	large := flag.Int("large", 10000, "orgs of loading and comparing")
	part := flag.String("part", "", "only this part: drift, configuration, loading, git, history, page or scale")
	child := flag.String("load", "", "(used by bench itself) load and compare this folder")
	fetch := flag.String("fetch", "", "(used by bench itself) fetch this repository")
	keep := flag.String("history", "", "(used by bench itself) keep many runs in this folder")
	fleet := flag.Int("scale", 0, "(used by bench itself) run the daemon with so many orgs")
	folder := flag.String("scale-folder", "", "(used by bench itself) in this folder")
	read := flag.String("read", "", "(used by bench itself) be the readers of the pages at this URL")
	readOrg := flag.String("read-org", "", "(used by bench itself) and of the page of this org")
	files := flag.Int("files", 0, "(used by bench itself) how many manifests are in it")
	flag.Parse()

	var err error
	switch {
	case *child != "":
		err = loadAndCompare(*child)
	case *keep != "":
		err = keepRuns(*keep)
	case *fleet > 0:
		err = scaleOnce(*folder, *fleet)
	case *read != "":
		err = readWindow(*read, *readOrg)
	case *fetch != "":
		err = fetchOnce(*fetch, *files)
	default:
		err = bench(*part, *orgs, *latency, *runs, *large)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(part string, orgs int, latency time.Duration, runs, large int) error {
	dir, err := os.MkdirTemp("", "reconciler-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "reconciler")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/reconciler")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the program (run bench from the top of the repository): %w", err)
	}
	parts := []struct {
		name string
		run  func() error
	}{
		{"drift", func() error { return driftCheck(dir, program, orgs, latency, runs) }},
		{"configuration", func() error { return configuration(dir, program, orgs, latency, runs) }},
		{"loading", func() error { return loading(dir, large, runs) }},
		{"git", func() error { return gitFetch(dir, runs) }},
		{"history", func() error { return keeping(dir) }},
		{"page", func() error { return readPages(dir, program) }},
		{"scale", func() error { return scale(dir) }},
	}
	known := false
	for _, p := range parts {
		if part != "" && part != p.name {
			continue
		}
		known = true
		if err := p.run(); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q", part)
	}
	return nil
}

// concurrency is the limit of concurrent calls of an Aerial account.
const concurrency = 10

// bareLoop returns the least time of so many calls on this machine: those of ten
// loops that do nothing else, to a server that only waits. It is more than calls
// times latency, because of timers, sockets and the scheduler.
func bareLoop(calls int, latency time.Duration) (time.Duration, error) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(latency)
		fmt.Fprint(w, "[]")
	}))
	defer srv.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency}
	defer transport.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(calls))
	var g errgroup.Group
	start := time.Now()
	for range concurrency {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				if err := bareCall(transport, srv.URL); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(start), err
}

// bareCall makes a call, and reads the answer.
func bareCall(transport *http.Transport, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// driftCheck measures `reconciler diff` of an account that is in sync. The least
// possible are the pages of the org list and one product read for each org, ten
// calls at a time.
func driftCheck(dir, program string, orgs int, latency time.Duration, runs int) error {
	seed := simulator.DefaultSeed(orgs)
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read")
	if err != nil {
		return err
	}
	sim, url, stop, err := serveSimulator(seed, simulator.Options{Latency: latency})
	if err != nil {
		return err
	}
	defer stop()
	access.URL = url
	config, err := simulator.WriteConfig(filepath.Join(dir, "config"), seed, *access)
	if err != nil {
		return err
	}

	pages := (orgs + 99) / 100
	slots := (pages + orgs + concurrency - 1) / concurrency
	least := time.Duration(slots) * latency
	var times, bare []time.Duration
	for range runs {
		took, err := bareLoop(pages+orgs, latency)
		if err != nil {
			return err
		}
		bare = append(bare, took)
		sim.ResetRequests()
		var out bytes.Buffer
		cmd := exec.Command(program, "diff", "--detailed-exitcode", "--config", config)
		cmd.Stdout, cmd.Stderr = &out, &out
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("diff: %w\n%s", err, out.String())
		}
		times = append(times, time.Since(start))
	}
	took := median(times)
	calls, writes := count(sim.Requests()), len(sim.Writes())
	fmt.Printf("Drift check of %d orgs, %v a call, at most %d at a time (median of %d runs)\n", orgs, latency, concurrency, runs)
	fmt.Printf("  on paper         %8.3f s   %d pages + %d product reads of exactly %v\n", least.Seconds(), pages, orgs, latency)
	fmt.Printf("  least possible   %8.3f s   as many calls by a bare HTTP client, on this machine\n", median(bare).Seconds())
	fmt.Printf("  reconciler diff  %8.3f s   whole process, token, account and catalogue included\n", took.Seconds())
	fmt.Printf("  ratio            %8.3f     of the least possible; %.3f of what is on paper\n",
		took.Seconds()/median(bare).Seconds(), took.Seconds()/least.Seconds())
	fmt.Printf("  calls            %s; at most %d in flight; %d writes\n", calls, sim.MaxInFlight(), writes)
	if n := len(sim.Requests()); n != pages+orgs+3 || writes > 0 {
		return errors.New("there should be no call beyond pages, product reads, token, account and catalogue")
	}
	return nil
}

func count(requests []simulator.Request) string {
	kinds := map[string]int{}
	for _, r := range requests {
		path := r.Path
		switch {
		case strings.HasSuffix(path, "/oauth2/v1/token"):
			kinds["token"]++
		case strings.HasSuffix(path, "/accounts"):
			kinds["account"]++
		case strings.Contains(path, "/orgs/"):
			kinds["product reads"]++
		case strings.HasSuffix(path, "/products"):
			kinds["catalogue"]++
		default:
			kinds["pages"]++
		}
	}
	var parts []string
	for _, kind := range []string{"token", "account", "catalogue", "pages", "product reads"} {
		parts = append(parts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// loading measures a process that loads the manifests of many orgs with ten
// products each, and compares them with an account.
func loading(dir string, orgs, runs int) error {
	folder := filepath.Join(dir, "orgs")
	if err := writeManifests(folder, orgs); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var times []time.Duration
	var memory []int64
	for range runs {
		cmd := exec.Command(self, "-load", folder)
		cmd.Stderr = os.Stderr
		start := time.Now()
		peak, err := runProgram(cmd)
		if err != nil {
			return err
		}
		times = append(times, time.Since(start))
		memory = append(memory, peak)
	}
	fmt.Printf("\nLoading and comparing %d orgs with 10 products each (median of %d runs, whole process)\n", orgs, runs)
	fmt.Printf("  time             %8.3f s\n", median(times).Seconds())
	fmt.Printf("  memory           %8d MB at most\n", median(memory))
	return nil
}

// perFile is how many orgs a file has.
const perFile = 1000

func writeManifests(folder string, orgs int) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for first := 0; first < orgs; first += perFile {
		var b strings.Builder
		b.WriteString("version: 1\norgs:\n")
		for i := first; i < min(first+perFile, orgs); i++ {
			fmt.Fprintf(&b, "  - domain: %s\n    cell: ok1\n    status: ACTIVE\n    products: [%s]\n", domain(i), strings.Join(products(), ", "))
		}
		name := filepath.Join(folder, fmt.Sprintf("orgs-%05d.yaml", first))
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func domain(i int) string { return fmt.Sprintf("acme-%05d.okta.com", i) }

func products() []string {
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprintf("P%06d", 100+i))
	}
	return ids
}

const account = "0200bench"

// loadAndCompare compares the manifests in a folder with an account in which
// each tenth org lacks a product.
func loadAndCompare(folder string) error {
	snapshot, err := source.Local(folder)
	if err != nil {
		return err
	}
	desired, _, err := state.Load([]state.Input{{FS: snapshot.FS, Root: snapshot.Root, Name: snapshot.Name}}, state.LoadOptions{})
	if err != nil {
		return err
	}
	actual := &state.Actual{Account: state.Account{ID: account}}
	for _, id := range products() {
		actual.Catalog = append(actual.Catalog, state.Product{ID: id, Name: id})
	}
	for i := range desired.Orgs {
		ids := products()
		if i%10 == 0 {
			ids = ids[1:]
		}
		actual.Orgs = append(actual.Orgs, state.Org{
			ID: fmt.Sprintf("00o%017d", i), Domain: domain(i), Cell: "ok1", Status: state.Active, Products: ids,
		})
	}
	plan, err := diff.Compute(desired, actual, diff.Options{Account: account})
	if err != nil {
		return err
	}
	if plan.Summary.Changes != (len(desired.Orgs)+9)/10 {
		return fmt.Errorf("%d changes for %d orgs", plan.Summary.Changes, len(desired.Orgs))
	}
	return nil
}

// runProgram runs a program, and returns how much memory it had at most, in MB. What the system
// counts in the end (getrusage) begins with the memory of this process, so it is asked
// all the time.
func runProgram(cmd *exec.Cmd) (memory int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err := <-done:
			return memory, err
		case <-time.After(5 * time.Millisecond):
			memory = max(memory, peakOf(cmd.Process.Pid))
		}
	}
}

// peakOf returns how much memory a process had at most, in MB; 0 where there is no /proc.
func peakOf(pid int) (mb int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscan(peak, &mb)
	return mb / 1024
}

func median[T int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// serveSimulator serves a simulator on a free port of loopback. stop ends it.
func serveSimulator(seed *simulator.Seed, opts simulator.Options) (sim *simulator.Simulator, url string, stop func(), err error) {
	if sim, err = simulator.New(seed, opts); err != nil {
		return nil, "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- sim.Serve(ctx, listener) }()
	return sim, "http://" + listener.Addr().String(), func() { cancel(); <-served }, nil
}
