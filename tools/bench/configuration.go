package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"reconciler/internal/okta/simulator"
)

// The defaults of orgs.concurrency and orgs.callsPerOrg.
const (
	orgsAtATime = 64
	callsPerOrg = 4
)

// orgConfig is what each org of a fleet is configured with, and declared to be.
type orgConfig struct {
	groups, zones, origins, rules int
	// more is a policy, two settings and a feature.
	more bool
}

// lists is how many calls it takes to read that: one for each kind.
func (c orgConfig) lists() int {
	if c.more {
		return 8
	}
	return 4
}

func (c orgConfig) objects() int {
	n := c.groups + c.zones + c.origins + c.rules
	if c.more {
		n += 4
	}
	return n
}

// JSON returns the objects in the form that the seed of a simulator and a manifest have
// in common.
func (c orgConfig) JSON() map[string]any {
	type object = map[string]any
	list := func(n int, one func(i int) object) []object {
		all := make([]object, n)
		for i := range all {
			all[i] = one(i)
		}
		return all
	}
	group := func(i int) string { return fmt.Sprintf("Group %d", i) }
	all := object{
		"groups": list(c.groups, func(i int) object {
			return object{"profile": object{"name": group(i), "description": "People of the department, from HR"}}
		}),
		"networkZones": list(c.zones, func(i int) object {
			return object{"type": "IP", "name": fmt.Sprintf("Zone %d", i), "status": "ACTIVE", "usage": "POLICY", "gateways": []object{
				{"type": "CIDR", "value": fmt.Sprintf("198.51.100.%d/32", i)}, {"type": "RANGE", "value": "192.0.2.1-192.0.2.9"}}}
		}),
		"trustedOrigins": list(c.origins, func(i int) object {
			return object{"name": fmt.Sprintf("Portal %d", i), "origin": fmt.Sprintf("https://portal-%d.acme.example", i), "status": "ACTIVE",
				"scopes": []object{{"type": "CORS"}, {"type": "REDIRECT"}}}
		}),
		"groupRules": list(c.rules, func(i int) object {
			return object{"type": "group_rule", "name": fmt.Sprintf("Rule %d", i), "status": "ACTIVE",
				"conditions": object{"expression": object{"value": fmt.Sprintf(`user.department=="%d"`, i), "type": "urn:okta:expression:1.0"}},
				"actions":    object{"assignUserToGroups": object{"groupIds": []string{group(i % c.groups)}}}}
		}),
	}
	if c.more {
		all["policies"] = []object{{"type": "PASSWORD", "name": "Staff", "conditions": object{"people": object{"groups": object{"include": []string{group(0)}}}}}}
		all["settings"] = object{"threatInsight": object{"action": "audit"}, "userLockout": object{"preventBruteForceLockoutFromUnknownDevices": true}}
	}
	return all
}

// manifest declares the orgs of a seed, with the configuration c if declare is set.
func (c orgConfig) manifest(seed *simulator.Seed, clientID string, declare bool) ([]byte, error) {
	all := map[string]any{"version": 1}
	if declare {
		baseline := c.JSON()
		if c.more {
			baseline["features"] = []map[string]string{{"name": feature, "status": "ENABLED"}}
		}
		all["baselines"] = map[string]any{"all": baseline}
		all["defaults"] = map[string]any{"baselines": []string{"all"}}
	}
	var orgs []map[string]any
	for i := range seed.Orgs {
		if o := &seed.Orgs[i]; o.Managed {
			orgs = append(orgs, map[string]any{"domain": o.Domain, "cell": o.Cell, "access": map[string]string{"clientID": clientID}})
		}
	}
	all["orgs"] = orgs
	return json.Marshal(all) // which is YAML as well
}

// feature is one that each simulated org is offered.
const feature = "Device Assurance Messages"

// front answers calls after a fixed time. What a simulator answers to a GET or a token
// call it answers once: what is measured is the program, and not the simulator, which
// shares the machine with it.
type front struct {
	sim     *simulator.Simulator
	latency time.Duration
	known   sync.Map // *httptest.ResponseRecorder by method and URL
	calls   atomic.Int64
	writes  atomic.Int64
	inOrgs  atomic.Int64
	peak    atomic.Int64
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answered := time.After(f.latency)
	f.calls.Add(1)
	token := strings.HasSuffix(r.URL.Path, "/token")
	if r.Method != http.MethodGet && !token {
		f.writes.Add(1)
	}
	if strings.HasPrefix(r.URL.Path, "/org/") {
		for n, peak := f.inOrgs.Add(1), f.peak.Load(); n > peak && !f.peak.CompareAndSwap(peak, n); peak = f.peak.Load() {
		}
		defer f.inOrgs.Add(-1)
	}
	key := r.Method + " " + r.URL.String()
	v, ok := f.known.Load(key)
	if !ok {
		rec := httptest.NewRecorder()
		f.sim.ServeHTTP(rec, r)
		for name := range rec.Header() {
			if strings.HasPrefix(name, "X-Rate-Limit") { // true for one minute only
				rec.Header().Del(name)
			}
		}
		if v = rec; rec.Code == http.StatusOK {
			f.known.Store(key, rec)
		}
	}
	rec := v.(*httptest.ResponseRecorder)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	<-answered
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// fleet is a simulated account whose orgs are configured alike.
type fleet struct {
	*front
	program string
	// config declares the orgs with their configuration, and bare without it.
	config, bare string
	stop         func() error
}

// openFleet starts the simulator of a fleet.
func openFleet(dir, program string, n int, c orgConfig, latency time.Duration) (*fleet, error) {
	text, err := json.Marshal(c.JSON())
	if err != nil {
		return nil, err
	}
	seed := simulator.DefaultSeed(n)
	for i := range seed.Orgs {
		o := &seed.Orgs[i]
		o.Status, o.Configuration, o.Features = "ACTIVE", string(text), []string{feature}
	}
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read")
	if err != nil {
		return nil, err
	}
	if err := simulator.GrantOrgs(seed, access, jose.RS256); err != nil {
		return nil, err
	}
	sim, err := simulator.New(seed, simulator.Options{})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &fleet{front: &front{sim: sim, latency: latency}, program: program}
	srv := &http.Server{Handler: f.front}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	f.stop = func() error {
		err := srv.Shutdown(context.Background())
		<-served
		return err
	}
	access.URL = "http://" + listener.Addr().String()
	for _, one := range []struct {
		name    string
		declare bool
		config  *string
	}{{"configured", true, &f.config}, {"bare", false, &f.bare}} {
		folder := filepath.Join(dir, one.name)
		text, err := c.manifest(seed, access.OrgCredentials.ClientID, one.declare)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(folder, "orgs"), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, "orgs", "orgs.yaml"), text, 0o644); err != nil {
			return nil, err
		}
		if *one.config, err = simulator.WriteConfig(folder, seed, *access); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// spent is what a process took.
type spent struct {
	wall, cpu time.Duration
	memory    int64 // MB
	calls     int64
}

// diff runs `reconciler diff` of a fleet that is in sync.
func (f *fleet) diff(config string) (spent, error) {
	f.calls.Store(0)
	var out bytes.Buffer
	cmd := exec.Command(f.program, "diff", "--detailed-exitcode", "--config", config)
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	memory, err := runProgram(cmd)
	if err != nil {
		return spent{}, fmt.Errorf("diff: %w\n%s", err, out.String())
	}
	s := spent{time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory, f.calls.Load()}
	if f.writes.Load() > 0 {
		return s, errors.New("a check wrote something")
	}
	return s, nil
}

// bareOrgs returns the least time of reading orgs on this machine: that of loops which
// only make the calls, to a server that only waits. An org takes a call to learn who it
// is, one for a token, and then its lists.
func bareOrgs(orgs, lists int, latency time.Duration) (time.Duration, error) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(latency)
		fmt.Fprint(w, "[]")
	}))
	defer srv.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: orgsAtATime * callsPerOrg}
	defer transport.CloseIdleConnections()
	var all errgroup.Group
	all.SetLimit(orgsAtATime)
	start := time.Now()
	for range orgs {
		all.Go(func() error {
			for _, calls := range []int{1, 1, lists} {
				var round errgroup.Group
				round.SetLimit(callsPerOrg)
				for range calls {
					round.Go(func() error { return bareCall(transport, srv.URL) })
				}
				if err := round.Wait(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := all.Wait()
	return time.Since(start), err
}

// configuration measures `reconciler diff` of orgs whose configuration is declared and
// in sync.
func configuration(dir, program string, orgs int, latency time.Duration, runs int) error {
	sign, err := signing()
	if err != nil {
		return err
	}
	for i, one := range []struct {
		orgs int
		orgConfig
		memory int64 // the limit, in MB
	}{
		{orgs, orgConfig{1, 1, 1, 1, true}, 300},
		{orgs, orgConfig{66, 50, 50, 30, true}, 300},
		{orgs * 3 / 10, orgConfig{8, 6, 6, 4, false}, 150},
	} {
		f, err := openFleet(filepath.Join(dir, fmt.Sprint("fleet", i)), program, one.orgs, one.orgConfig, latency)
		if err != nil {
			return err
		}
		fmt.Printf("\nConfiguration of %d orgs with %d objects of %d kinds, %v a call, %d orgs at a time, %d calls each (median of %d runs)\n",
			one.orgs, one.objects(), one.lists(), latency, orgsAtATime, callsPerOrg, runs)
		memory, err := f.measure(one.orgs, one.orgConfig, runs, sign)
		if err = errors.Join(err, f.stop()); err != nil {
			return err
		}
		if memory > one.memory {
			return fmt.Errorf("that is too much memory: it should be less than %d MB", one.memory)
		}
	}
	return nil
}

// measure measures one fleet, and returns how much memory a check takes at most, in MB.
func (f *fleet) measure(orgs int, c orgConfig, runs int, sign time.Duration) (int64, error) {
	for _, config := range []string{f.bare, f.config} { // so that all answers are known
		if _, err := f.diff(config); err != nil {
			return 0, err
		}
	}
	var least, without, whole, own, cpu []time.Duration
	var memory []int64
	for range runs {
		bare, err := bareOrgs(orgs, c.lists(), f.latency)
		if err != nil {
			return 0, err
		}
		a, err := f.diff(f.bare)
		if err != nil {
			return 0, err
		}
		b, err := f.diff(f.config)
		if err != nil {
			return 0, err
		}
		least, without, whole = append(least, bare), append(without, a.wall), append(whole, b.wall)
		own, cpu, memory = append(own, b.wall-a.wall), append(cpu, b.cpu-a.cpu), append(memory, b.memory)
		if calls := b.calls - a.calls; calls != int64(orgs*(2+c.lists())) {
			return 0, fmt.Errorf("%d calls for the configuration of %d orgs: it should be %d for each", calls, orgs, 2+c.lists())
		}
	}
	rounds := 2 + (c.lists()+callsPerOrg-1)/callsPerOrg
	paper := time.Duration((orgs+orgsAtATime-1)/orgsAtATime*rounds) * f.latency
	took := median(own)
	fmt.Printf("  on paper         %8.3f s   %d rounds of exactly %v for each org: who it is, a token, lists\n", paper.Seconds(), rounds, f.latency)
	fmt.Printf("  least possible   %8.3f s   the same calls by a bare HTTP client, on this machine\n", median(least).Seconds())
	fmt.Printf("  reconciler diff  %8.3f s   whole process; %.3f s of the same orgs without configuration\n", median(whole).Seconds(), median(without).Seconds())
	fmt.Printf("  difference       %8.3f s   %.3f of the least possible\n", took.Seconds(), took.Seconds()/median(least).Seconds())
	fmt.Printf("  CPU              %8.3f s   of which signing takes %.3f s (%d times %.2f ms); of one core\n",
		median(cpu).Seconds(), (time.Duration(orgs) * sign).Seconds(), orgs, float64(sign.Microseconds())/1000)
	fmt.Printf("  memory           %8d MB at most\n", median(memory))
	fmt.Printf("  calls            %d an org, none beyond these; at most %d in flight to orgs; 0 writes\n", 2+c.lists(), f.peak.Load())
	return median(memory), nil
}

// signing returns what one signature with an RSA key of 2048 bits costs here.
func signing() (time.Duration, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return 0, err
	}
	const n = 200
	sum := sha256.Sum256([]byte("an assertion"))
	start := cpuTime()
	for range n {
		if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]); err != nil {
			return 0, err
		}
	}
	return (cpuTime() - start) / n, nil
}

// cpuTime returns how long this process has computed.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails for no process of one's own
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
