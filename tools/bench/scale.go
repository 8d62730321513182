package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/okta/simulator"
)

const (
	// scaleLatency is how long each call takes, and scaleDrift which part of the orgs
	// drifts: each hundredth.
	scaleLatency = time.Millisecond
	scaleDrift   = 100
	// maxScaleMB is the limit for the largest fleet, the simulator included.
	maxScaleMB = 500
)

// scaleSizes are the sizes of the fleets.
var scaleSizes = []int{100, 1000, 5000, 20_000}

// scale measures the daemon with fleets of several sizes, each in a process of its own,
// which has the simulator in it as well.
func scale(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("\nThe daemon with its simulator in one process: 8 kinds an org, %v a call, 1 org in %d drifts\n", scaleLatency, scaleDrift)
	fmt.Println("                                                      memory at most, with the simulator          state")
	fmt.Println("      orgs   first run    next run   slowest page   simulator   first run   next run   pages     folder")
	for _, n := range scaleSizes {
		cmd := exec.Command(self, "-scale", fmt.Sprint(n), "-scale-folder", filepath.Join(dir, fmt.Sprint("scale", n)))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		peak, err := runProgram(cmd)
		if err != nil {
			return err
		}
		if peak > maxScaleMB {
			return fmt.Errorf("%d orgs take %d MB: it should be less than %d MB", n, peak, maxScaleMB)
		}
	}
	return nil
}

// alike answers for the orgs of a fleet, which are all as its first one is: so the answers
// take no memory that grows with the fleet. All else is the simulator's.
type alike struct {
	sim *simulator.Simulator
	// pattern is the domain of the first org, id its id, and token one that it accepts.
	pattern, id, token string
	// orgs are the ids of the orgs by domain, and drifting those that differ.
	orgs     map[string]string
	drifting map[string]bool

	known sync.Map // *httptest.ResponseRecorder by URL, of the first org
	calls atomic.Int64
}

// ServeHTTP answers a call after scaleLatency.
func (a *alike) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answered := time.After(scaleLatency)
	a.calls.Add(1)
	rest, inOrg := strings.CutPrefix(r.URL.Path, "/org/")
	domain, path, _ := strings.Cut(rest, "/")
	switch {
	case !inOrg:
		<-answered
		a.sim.ServeHTTP(w, r)
		return
	case strings.HasSuffix(path, "/token"):
		scope := r.FormValue("scope")
		<-answered
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"token-of-%s","scope":%q}`, domain, scope)
		return
	}
	rec := a.first(r, domain)
	body := bytes.ReplaceAll(rec.Body.Bytes(), []byte(a.pattern), []byte(domain))
	body = bytes.ReplaceAll(body, []byte(a.id), []byte(a.orgs[domain]))
	if a.drifting[domain] {
		body = bytes.ReplaceAll(body, []byte("from HR"), []byte("from IT"))
	}
	for name, values := range rec.Header() {
		for _, v := range values {
			w.Header().Add(name, strings.ReplaceAll(v, a.pattern, domain))
		}
	}
	<-answered
	w.WriteHeader(rec.Code)
	w.Write(body)
}

// first returns what the first org answers to a request to another one.
func (a *alike) first(r *http.Request, domain string) *httptest.ResponseRecorder {
	u := strings.ReplaceAll(r.URL.String(), domain, a.pattern)
	if v, ok := a.known.Load(u); ok {
		return v.(*httptest.ResponseRecorder)
	}
	in, _ := http.NewRequestWithContext(r.Context(), r.Method, u, nil)
	in.RequestURI, in.Host, in.RemoteAddr = u, r.Host, r.RemoteAddr
	in.Header.Set("Authorization", "SSWS "+a.token)
	in.Header.Set("Accept", "application/json")
	in.Body = http.NoBody
	rec := httptest.NewRecorder()
	a.sim.ServeHTTP(rec, in)
	for name := range rec.Header() {
		if strings.HasPrefix(name, "X-Rate-Limit") || name == "Content-Length" { // true for one minute, or one org, only
			rec.Header().Del(name)
		}
	}
	if rec.Code == http.StatusOK {
		a.known.Store(u, rec)
	}
	return rec
}

// scaleObjects is what each org is declared to have: one of its objects has its domain
// in it, and all else is shared.
func scaleObjects(domain string) map[string]any {
	all := orgConfig{1, 1, 1, 1, true}.JSON()
	all["trustedOrigins"] = []map[string]any{{"name": "Portal", "origin": "https://" + domain, "status": "ACTIVE", "scopes": []map[string]any{{"type": "CORS"}, {"type": "REDIRECT"}}}}
	return all
}

// openScale starts the simulator of a fleet, and returns the path of the config of a
// daemon.
func openScale(dir string, n int) (string, error) {
	seed := simulator.DefaultSeed(n)
	seed.Limits.PerMinute = 10_000_000
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read")
	if err != nil {
		return "", err
	}
	if err := simulator.GrantOrgs(seed, access, jose.ES256); err != nil {
		return "", err
	}
	a := &alike{token: "00" + strings.Repeat("a", 40), orgs: map[string]string{}, drifting: map[string]bool{}}
	for i := range seed.Orgs {
		o := &seed.Orgs[i]
		if !o.Managed {
			continue
		}
		o.Status = "ACTIVE"
		a.orgs[o.Domain] = o.ID
		a.drifting[o.Domain] = i%scaleDrift == scaleDrift-1
		if a.pattern == "" && !o.AerialOrg && !o.Creator {
			text, err := json.Marshal(scaleObjects(o.Domain))
			if err != nil {
				return "", err
			}
			o.Configuration, o.Features, o.Tokens = string(text), []string{feature}, []string{a.token}
			a.pattern, a.id = o.Domain, o.ID
		}
	}
	manifests := filepath.Join(dir, "orgs")
	if err := os.MkdirAll(manifests, 0o755); err != nil {
		return "", err
	}
	if err := scaleManifests(manifests, seed, access.OrgCredentials.ClientID); err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	access.URL = "http://" + listener.Addr().String()
	file, err := simulator.WriteConfig(dir, seed, *access)
	if err != nil {
		return "", err
	}
	if a.sim, err = simulator.New(seed, simulator.Options{}); err != nil {
		return "", err
	}
	go http.Serve(listener, a) // until the process ends
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text = append(text, "schedule: '@every 1s'\nmode: report\nhttp: {address: '127.0.0.1:0'}\n"...)
	return file, os.WriteFile(file, text, 0o600)
}

// scaleManifests declares the orgs of a seed, a thousand in each file.
func scaleManifests(folder string, seed *simulator.Seed, clientID string) error {
	baseline := scaleObjects("${domain}")
	baseline["features"] = []map[string]string{{"name": feature, "status": "ENABLED"}}
	all := map[string]any{
		"version": 1, "baselines": map[string]any{"all": baseline},
		"defaults": map[string]any{"baselines": []string{"all"}},
	}
	var orgs []map[string]any
	file := 0
	write := func() error {
		if len(orgs) == 0 {
			return nil
		}
		all["orgs"] = orgs
		text, err := json.Marshal(all) // which is YAML as well
		if err != nil {
			return err
		}
		orgs, file = nil, file+1
		return os.WriteFile(filepath.Join(folder, fmt.Sprintf("orgs-%04d.yaml", file)), text, 0o644)
	}
	for i := range seed.Orgs {
		o := &seed.Orgs[i]
		if !o.Managed {
			continue
		}
		orgs = append(orgs, map[string]any{
			"domain": o.Domain, "cell": o.Cell, "products": o.Products, "access": map[string]string{"clientID": clientID},
			"labels": map[string]string{"region": o.Region},
		})
		if len(orgs) == perFile {
			if err := write(); err != nil {
				return err
			}
		}
	}
	return write()
}

// scaleOnce runs the daemon of a fleet twice, reads its pages, and prints what it took.
func scaleOnce(dir string, n int) error {
	file, err := openScale(dir, n)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	simulated := residentMB()
	daemon.SaveMemory(os.Environ())
	cfg, _, err := config.Load(file, nil)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(context.Background())
	address, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- daemon.Run(ctx, cfg, daemon.RunOptions{
			Version: "bench", Logger: slog.New(slog.NewTextHandler(log, nil)),
			Listening: func(at net.Addr) { address <- at.String() },
		})
	}()
	d := &pageDaemon{}
	select {
	case at := <-address:
		d.url = "http://" + at
	case err := <-done:
		cancel()
		return err
	}
	var seconds []float64
	var peaks []int64
	run := ""
	for i := range 2 {
		id, took, err := d.untilRuns(i + 1)
		if err != nil {
			cancel()
			return err
		}
		run, seconds, peaks = id, append(seconds, took), append(peaks, peakOf(os.Getpid()))
	}
	slowest, err := d.readAll(run)
	peaks = append(peaks, peakOf(os.Getpid()))
	cancel()
	if err = errors.Join(err, <-done); err != nil {
		return err
	}
	size, err := folderSize(cfg.State.Dir)
	if err != nil {
		return err
	}
	fmt.Printf("  %8d %9.1f s %9.1f s %11.0f ms %8d MB %8d MB %7d MB %4d MB %7.1f MB\n",
		n, seconds[0], seconds[1], ms(slowest), simulated, peaks[0], peaks[1], peaks[2], float64(size)/1e6)
	return nil
}

// untilRuns waits for the end of a run by its number, and returns its id and how long it
// took.
func (d *pageDaemon) untilRuns(n int) (id string, seconds float64, err error) {
	for {
		time.Sleep(200 * time.Millisecond)
		resp, err := http.Get(d.url + "/api/v1/status")
		if err != nil {
			return "", 0, err
		}
		var status struct {
			RecentRuns []struct {
				ID      string
				Seconds float64
				Result  string
				Summary struct{ Orgs, InSync, Changes, Unknown int }
			}
		}
		err = json.NewDecoder(resp.Body).Decode(&status)
		resp.Body.Close()
		if err != nil {
			return "", 0, err
		}
		if k := len(status.RecentRuns); k >= n {
			run := status.RecentRuns[k-n]
			if run.Result != "drift" || run.Summary.Unknown > 0 {
				return "", 0, fmt.Errorf("a run ended with %+v", run)
			}
			return run.ID, run.Seconds, nil
		}
	}
}

// readAll reads pages and lists of the API, with the plan of a run among them, and returns how
// long the slowest took, without the first, which reads what all orgs are.
func (d *pageDaemon) readAll(run string) (slowest time.Duration, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for i, path := range []string{"/orgs", "/", "/orgs", "/orgs?state=drifted", "/drift", "/products", "/matrix/products", "/matrix/features", "/runs", "/runs/" + run, "/history",
		"/api/v1/status", "/api/v1/orgs", "/api/v1/objects", "/api/v1/drift", "/api/v1/changes"} {
		took, _, _, err := readOnce(transport, d.url+path)
		if err != nil {
			return 0, err
		}
		if i > 0 {
			slowest = max(slowest, took)
		}
	}
	return slowest, nil
}

// residentMB returns how much memory this process has now.
func residentMB() (mb int64) {
	status, _ := os.ReadFile("/proc/self/status")
	_, now, _ := strings.Cut(string(status), "VmRSS:")
	_, _ = fmt.Sscan(now, &mb)
	return mb / 1024
}
