package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"reconciler/internal/okta/simulator"
)

const (
	pageOrgs = 5000
	// readers is how many look at the pages at the same time, each at another one every
	// readerPause, while runs follow one another every second.
	readers     = 50
	readerPause = time.Second
	// window is how long it is measured without and with readers, by turns.
	window  = 20 * time.Second
	windows = 3
)

// What the pages are to keep.
const (
	maxP99       = 300 * time.Millisecond
	maxFirstByte = 200 * time.Millisecond
	maxPageBytes = 300_000
	maxSlower    = 1.05
)

// pageReads are the answers to requests of one path.
type pageReads struct {
	Took, FirstByte []time.Duration
	Bytes           int
}

// pagePaths returns what the readers ask for. domain is that of an org.
func pagePaths(domain string) []string {
	return []string{
		"/", "/orgs", "/orgs?state=drifted", "/orgs?q=retail&sort=-domain", "/orgs/" + domain, "/drift", "/products", "/matrix/products", "/runs", "/history",
		"/api/v1/status", "/api/v1/orgs", "/api/v1/orgs?drifted=true&limit=1000", "/api/v1/orgs/" + domain, "/api/v1/products", "/api/v1/drift", "/api/v1/runs", "/api/v1/changes",
	}
}

// readPages measures the daemon's pages and API beside runs.
func readPages(dir, program string) error {
	dir = filepath.Join(dir, "page")
	seed := simulator.DefaultSeed(pageOrgs)
	seed.Limits.PerMinute = 10_000_000
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read")
	if err != nil {
		return err
	}
	sim, url, stop, err := serveSimulator(seed, simulator.Options{})
	if err != nil {
		return err
	}
	defer stop()
	access.URL = url
	config, err := simulator.WriteConfig(dir, seed, *access)
	if err != nil {
		return err
	}
	for i, o := range seed.Orgs { // some drift
		if o.Managed && i%50 == 49 {
			if err := sim.SetOrgProducts(o.Domain, []string{"P000052"}, "admin@acme.example"); err != nil {
				return err
			}
		}
	}
	d, err := startDaemon(program, config)
	if err != nil {
		return err
	}
	defer d.end()
	if err := d.untilRun(); err != nil {
		return err
	}
	return d.measure(seed.Orgs[60].Domain)
}

// pageDaemon is the daemon that is measured.
type pageDaemon struct {
	cmd *exec.Cmd
	url string
	log *os.File
}

func startDaemon(program, config string) (*pageDaemon, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := free.Addr().String()
	free.Close()
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	text = append(text, "schedule: '@every 1s'\nmode: report\nhttp: {address: '"+address+"'}\n"...)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return nil, err
	}
	d := &pageDaemon{url: "http://" + address, cmd: exec.Command(program, "run", "--config", config)}
	if d.log, err = os.Create(config + ".log"); err != nil {
		return nil, err
	}
	d.cmd.Stderr = d.log
	return d, d.cmd.Start()
}

func (d *pageDaemon) end() {
	d.cmd.Process.Kill()
	d.cmd.Wait() //nolint:errcheck // it was killed
	d.log.Close()
}

// untilRun waits for the end of the first run.
func (d *pageDaemon) untilRun() error {
	for range 600 {
		resp, err := http.Get(d.url + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the daemon isn't ready after a minute")
}

// measure reads by turns without and with readers, and prints both.
func (d *pageDaemon) measure(domain string) error {
	paths := pagePaths(domain)
	reads := map[string]*pageReads{}
	for _, p := range paths {
		reads[p] = &pageReads{}
	}
	// The first request reads what all orgs are; later ones what is new.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	_, cold, _, err := readOnce(transport, d.url+"/orgs")
	if err != nil {
		return err
	}
	var alone, beside []float64
	for range windows {
		since := time.Now()
		time.Sleep(window)
		seconds, err := d.runs(since)
		if err != nil {
			return err
		}
		alone = append(alone, seconds...)
		since = time.Now()
		if err := d.read(domain, reads); err != nil {
			return err
		}
		if seconds, err = d.runs(since); err != nil {
			return err
		}
		beside = append(beside, seconds...)
	}
	fmt.Printf("\nPages and API of %d orgs: %d readers, each one request a %v, beside a run every second\n", pageOrgs, readers, readerPause)
	fmt.Printf("  the first page after the start %15.1f ms\n", ms(cold))
	fmt.Println("                                                 p50       p99   first byte        size")
	var problems []string
	for _, p := range paths {
		r := reads[p]
		p99, first := percentile(r.Took, 99), percentile(r.FirstByte, 50)
		fmt.Printf("  %-38.38s %8.1f ms %6.1f ms %9.1f ms %8.1f KB\n", p, ms(percentile(r.Took, 50)), ms(p99), ms(first), float64(r.Bytes)/1000)
		if p99 > maxP99 || first > maxFirstByte || r.Bytes > maxPageBytes && !strings.HasPrefix(p, "/api/") {
			problems = append(problems, p)
		}
	}
	slices.Sort(alone)
	slices.Sort(beside)
	a, b := alone[len(alone)/2], beside[len(beside)/2]
	fmt.Printf("  a run without readers %8.3f s, with them %8.3f s (medians of %d and %d): %.1f %% slower\n", a, b, len(alone), len(beside), (b/a-1)*100)
	if b > a*maxSlower {
		problems = append(problems, "the runs")
	}
	if len(problems) > 0 {
		return fmt.Errorf("slower or larger than it should be: %s", strings.Join(problems, ", "))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile returns the value that so many percent are not above.
func percentile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*percent/100)]
}

// read has the readers read for one window, and adds what they got. They are a process of
// their own with the lowest priority, because readers take no time of the daemon's machine.
func (d *pageDaemon) read(domain string, reads map[string]*pageReads) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command("nice", "-n", "19", self, "-read", d.url, "-read-org", domain)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the readers: %w", err)
	}
	var got map[string]*pageReads
	if err := json.Unmarshal(out, &got); err != nil {
		return fmt.Errorf("the readers: %w", err)
	}
	for path, r := range got {
		all := reads[path]
		all.Took, all.FirstByte, all.Bytes = append(all.Took, r.Took...), append(all.FirstByte, r.FirstByte...), max(all.Bytes, r.Bytes)
	}
	return nil
}

// readWindow is the readers: it reads for one window, and prints what it got.
func readWindow(url, domain string) error {
	paths, reads := pagePaths(domain), map[string]*pageReads{}
	for _, p := range paths {
		reads[p] = &pageReads{}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: readers}
	defer transport.CloseIdleConnections()
	end := time.Now().Add(window)
	var mu sync.Mutex
	var g errgroup.Group
	for i := range readers {
		g.Go(func() error {
			time.Sleep(rand.N(readerPause))
			for n := i; time.Now().Before(end); n++ {
				path := paths[n%len(paths)]
				took, first, size, err := readOnce(transport, url+path)
				if err != nil {
					return err
				}
				mu.Lock()
				r := reads[path]
				r.Took, r.FirstByte, r.Bytes = append(r.Took, took), append(r.FirstByte, first), max(r.Bytes, size)
				mu.Unlock()
				time.Sleep(readerPause)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(reads)
}

// readOnce reads a page, and returns how long it took, how long to the first byte, and
// the size, which is that before compression.
func readOnce(transport *http.Transport, url string) (took, first time.Duration, size int, err error) {
	begun := time.Now()
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(begun) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, 0, 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return time.Since(begun), first, int(n), err
}

// runs returns how long the runs took that began since a time.
func (d *pageDaemon) runs(since time.Time) ([]float64, error) {
	resp, err := http.Get(d.url + "/api/v1/status")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var status struct {
		RecentRuns []struct {
			Started time.Time
			Seconds float64
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		return nil, err
	}
	var seconds []float64
	for _, r := range status.RecentRuns {
		if r.Started.After(since) {
			seconds = append(seconds, r.Seconds)
		}
	}
	if len(seconds) == 0 {
		return nil, errors.New("no run ended meanwhile")
	}
	return seconds, nil
}
