package onboard_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/parent"
	"reconciler/internal/okta/simulator"
	"reconciler/internal/okta/simulator/simulatortest"
	"reconciler/internal/onboard"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/tokens"
)

// setup is all that the program needs to know; it is handed to other processes
// as JSON.
type setup struct {
	Start           time.Time // by the world's clock
	URL, Account    string
	ClientID, KeyID string
	Key             []byte
	ParentToken     string
	ParentDomain    string // the parent's; empty: what the URL says
	Dir             string
	Declared        []state.DesiredOrg
	Sink            string // "" for a folder, "none"
	NoJournal       bool
	NoParent        bool
	Kill, Record    string // see tripwire
}

func (s *setup) stateDir() string { return filepath.Join(s.Dir, "state") }
func (s *setup) tokenDir() string { return filepath.Join(s.Dir, "tokens") }
func (s *setup) key(domain string) journal.Key {
	return journal.Key{Account: s.Account, Domain: domain}
}

// world is a simulator and a folder for the journal and the tokens of the
// program. The program is made of what production is made of. It runs in this
// process, or in one of its own, which can be killed.
//
// Either way it runs in a bubble of fake time: no time passes while it works,
// and none is lost while it waits. The world's clock, by which the simulator
// goes, shows the time of the last call, and there the next program begins.
type world struct {
	*simulatortest.Server
	setup
	clock atomic.Int64 // Unix time in nanoseconds
	// log is what all programs said. onLog, where not nil, is called with each
	// piece of it.
	log   bytes.Buffer
	onLog func(string)
	mu    sync.Mutex
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onLog != nil {
		w.onLog(string(p))
	}
	return w.log.Write(p)
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()) }

// newWorld has a fleet of few orgs; the named ones are declared in addition,
// to be created.
func newWorld(t testing.TB, seed *simulator.Seed, domains ...string) *world {
	t.Helper()
	return newSlowWorld(t, 0, seed, domains...)
}

// newSlowWorld is a world in which calls take time.
func newSlowWorld(t testing.TB, latency time.Duration, seed *simulator.Seed, domains ...string) *world {
	t.Helper()
	w := &world{}
	w.clock.Store(time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano()) // after the start of a bubble
	if seed == nil {
		seed = simulator.DefaultSeed(4)
	}
	w.Server = simulatortest.New(t, simulatortest.Config{Seed: seed, Options: simulator.Options{Now: w.now, Latency: latency}})
	srv := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(srv.Close)
	pem, err := w.Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	w.setup.URL, w.Account, w.Key = srv.URL, w.Server.AccountID, pem
	w.ClientID, w.KeyID, w.setup.ParentToken = w.Credentials.ClientID, w.Credentials.KeyID, w.Server.ParentToken
	w.Dir = t.TempDir()
	for _, d := range domains {
		w.Declared = append(w.Declared, declare(d))
	}
	return w
}

// timeHeader says on each call of another process what time it is there.
const timeHeader = "X-Test-Time"

// serve is the simulator for other processes.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	now, err := strconv.ParseInt(r.Header.Get(timeHeader), 10, 64)
	if err != nil {
		panic(err)
	}
	w.clock.Store(now)
	w.ServeHTTP(rw, r)
}

// remote is the way of another process to the simulator. An idle connection
// would keep the time of the bubble from passing.
func remote() http.RoundTripper {
	base := aerial.BaseTransport(10)
	base.Proxy, base.DisableKeepAlives = nil, true
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set(timeHeader, strconv.FormatInt(time.Now().UnixNano(), 10))
		return base.RoundTrip(r)
	})
}

// local is the way of this process to the simulator.
func (w *world) local() http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		w.clock.Store(time.Now().UnixNano())
		return w.RoundTripper().RoundTrip(r)
	})
}

// forking is held by who starts a process, and shared by who has a journal open:
// until a child that is just being forked becomes another program, it has the
// lock of each journal as well, whoever closes it here.
var forking sync.RWMutex

// with runs f with a program in this process; change may put other parts into it.
func (w *world) with(t *testing.T, f func(*testing.T, *program), change ...func(*onboard.Options)) {
	t.Helper()
	forking.RLock()
	defer forking.RUnlock()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(w.now()))
		p, err := w.start(w, w.local(), change...)
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		f(t, p)
		w.clock.Store(time.Now().UnixNano())
	})
}

// once does one run in this process.
func (w *world) once(t *testing.T, change ...func(*onboard.Options)) (result *apply.Result) {
	t.Helper()
	w.with(t, func(t *testing.T, p *program) {
		result = p.mustRun(t.Context(), t)
	}, change...)
	return result
}

// stopAt makes a run stop as soon as words are logged, and check that it ends
// without any waiting.
func (w *world) stopAt(t *testing.T, words string) (result *apply.Result) {
	t.Helper()
	w.with(t, func(t *testing.T, p *program) {
		ctx, cancel := context.WithCancel(t.Context())
		var stopped time.Time
		w.onLog = func(line string) {
			if strings.Contains(line, words) {
				stopped = time.Now()
				cancel()
			}
		}
		result = p.mustRun(ctx, t)
		w.onLog = nil
		if took := time.Since(stopped); took > 0 {
			t.Errorf("stopped %v after %q", took, words)
		}
	})
	return result
}

func declare(domain string) state.DesiredOrg {
	sub, _, _ := strings.Cut(domain, ".")
	return state.DesiredOrg{
		Domain: domain, Cell: "ok1", Status: state.Active, Products: []string{"P000052", "P000131"},
		ProductPolicy: state.Exact, Mode: state.Apply,
		Create: &state.Create{
			Parent: parentName, Name: "Acme " + sub, Website: "https://acme.example",
			Admin: state.Admin{FirstName: "Ada", LastName: "Admin", Email: "okta@acme.example", Login: "okta@acme.example"},
		},
	}
}

func (w *world) fault(t testing.TB, f simulator.Fault) {
	t.Helper()
	if err := w.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// creations and links strike the call that creates an org, or links one.
func creations(f simulator.Fault) simulator.Fault {
	f.Method, f.API, f.Path = "POST", "org", "/api/v1/orgs"
	return f
}

func links(f simulator.Fault) simulator.Fault {
	f.Method, f.API, f.Path = "POST", "aerial", "/api/v1/orgs"
	return f
}

// program is one process' worth of reconciler.
type program struct {
	setup
	out     io.Writer
	api     *aerial.Client
	onboard *onboard.Onboarder
	journal *journal.Writer
	sink    tokens.Sink
	log     *slog.Logger
	trip    *tripwire
	held    func(org string) string // as in apply.Options
}

// start makes the program, which logs to out and reaches the simulator through
// base; change may put other parts into it.
func (s setup) start(out io.Writer, base http.RoundTripper, change ...func(*onboard.Options)) (_ *program, err error) {
	p := &program{setup: s, out: out, log: slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), trip: newTripwire(s.Kill, s.Record)}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	origin, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	client, err := auth.New(auth.Options{
		OrgURL: origin, ClientID: s.ClientID, KeyID: s.KeyID, HTTP: base, Logger: p.log,
		Key: func(context.Context) (auth.Key, error) { return auth.ParsePrivateKey(s.Key) },
	})
	if err != nil {
		return nil, err
	}
	p.api, err = aerial.New(aerial.Options{
		URL: origin, AccountID: s.Account, Transport: p.trip.wire("aerial", base), Logger: p.log,
		Auth: func(rt http.RoundTripper) http.RoundTripper {
			return client.Transport(rt, origin, "okta.accounts.read", "okta.accounts.manage")
		},
	})
	if err != nil {
		return nil, err
	}
	creator, err := parent.New(parent.Options{
		Name: parentName, URL: origin, Transport: p.trip.wire("parent", base), Logger: p.log,
		Auth: func(rt http.RoundTripper) http.RoundTripper {
			return auth.SSWS(rt, origin, func(context.Context) (string, error) { return s.ParentToken, nil })
		},
	})
	if err != nil {
		return nil, err
	}
	opts := onboard.Options{
		Account: s.Account, Logger: p.log,
		Parents: map[string]onboard.Parent{parentName: {
			API: creator, Domain: cmp.Or(s.ParentDomain, origin.Hostname()), Settle: 30 * time.Second,
		}},
	}
	opts.Find = p.api.FindOrg
	if s.NoParent {
		opts.Parents = nil
	}
	if !s.NoJournal {
		if p.journal, err = journal.New(location.Folder(s.stateDir()), journal.Options{Logger: p.log}).Lock(); err != nil {
			return nil, err
		}
		opts.Journal = tripJournal{p.journal, p.trip}
	}
	if s.Sink != "none" {
		p.sink = tokens.Dir(s.tokenDir())
		opts.Sink = tripSink{p.sink, p.trip}
	}
	for _, f := range change {
		f(&opts)
	}
	p.onboard = onboard.New(opts)
	return p, nil
}

func (p *program) stop() {
	if p.journal != nil {
		p.journal.Close()
	}
}

// run is what one run of reconciler does with an org that is to be created. It
// prints plan and result.
func (p *program) run(ctx context.Context) (*diff.Plan, *apply.Result, error) {
	declared := map[string]bool{}
	for _, o := range p.Declared {
		declared[o.Domain] = true
	}
	actual, err := p.api.Observe(ctx, func(o state.Org) bool { return declared[o.Domain] })
	if err != nil {
		return nil, nil, err
	}
	plan, err := diff.Compute(&state.Desired{Orgs: p.Declared}, actual, diff.Options{Account: p.Account, Guards: diff.Guards{MaxNewOrgs: 1000}})
	if err != nil {
		return nil, nil, err
	}
	if err := p.onboard.CatchUp(ctx, plan); err != nil {
		return plan, nil, err
	}
	result, err := apply.Apply(ctx, plan, p.api, apply.Options{Concurrency: 10, Creator: p.onboard, Held: p.held, Logger: p.log})
	out := json.NewEncoder(p.out)
	return plan, result, errors.Join(err, out.Encode(plan), out.Encode(result))
}

// outcome of a process.
const (
	exitDone    = 0
	exitPartial = 4
	exitError   = 1
)

// mustRun does a run that has a result.
func (p *program) mustRun(ctx context.Context, t *testing.T) *apply.Result {
	t.Helper()
	_, result, err := p.run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// done reports whether a run left nothing to be done.
func done(r *apply.Result) bool { return r.Counts().Applied == len(r.Outcomes) }

// main is the other process: one run, and 0 if nothing is left to be done.
func (s setup) main(t *testing.T) int {
	time.Sleep(time.Until(s.Start))
	p, err := s.start(os.Stderr, remote())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	defer p.stop()
	_, result, err := p.run(t.Context())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return exitError
	case !done(result):
		return exitPartial
	}
	return exitDone
}

// tripwire kills the process at a named point, or writes down all that it
// passes. It sits around the interfaces that the onboarder works through, so
// that nothing of it is in the product.
type tripwire struct {
	kill   string
	record *os.File

	mu    sync.Mutex
	times map[string]int
}

// newTripwire takes the point at which to kill, such as "tokens.Store before#1",
// and a file to which the points are appended; either may be empty.
func newTripwire(kill, record string) *tripwire {
	t := &tripwire{kill: kill, times: map[string]int{}}
	if record != "" {
		f, err := os.OpenFile(record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		t.record = f
	}
	return t
}

func (t *tripwire) at(point string) {
	if t.kill == "" && t.record == nil {
		return
	}
	t.mu.Lock()
	t.times[point]++
	point = fmt.Sprintf("%s#%d", point, t.times[point])
	t.mu.Unlock()
	if t.record != nil {
		fmt.Fprintln(t.record, point)
	}
	if point == t.kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// around is for a call that is done in f.
func (t *tripwire) around(name string, f func() error) error {
	t.at(name + " before")
	err := f()
	t.at(name + " after")
	return err
}

// wire has points before a request is sent, after the head of the answer, and
// at the end of its body. Reads of the Aerial API have none: they change
// nothing.
func (t *tripwire) wire(api string, base http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet && api == "aerial" {
			return base.RoundTrip(r)
		}
		name := api + "." + r.Method + " " + strings.TrimPrefix(filepath.Base(r.URL.Path), "/")
		t.at(name + " before")
		resp, err := base.RoundTrip(r)
		t.at(name + " head")
		if err == nil {
			resp.Body = &tripBody{resp.Body, func() { t.at(name + " body") }}
		}
		return resp, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type tripBody struct {
	io.ReadCloser
	end func()
}

func (b *tripBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.end()
	}
	return n, err
}

type tripJournal struct {
	onboard.Journal
	*tripwire
}

func (j tripJournal) Begin(c journal.Creation) error {
	return j.around("journal.Begin", func() error { return j.Journal.Begin(c) })
}

func (j tripJournal) Send(k journal.Key, rate journal.Rate) (wait time.Duration, err error) {
	err = j.around("journal.Send", func() error { wait, err = j.Journal.Send(k, rate); return err })
	return wait, err
}

func (j tripJournal) MarkUnanswered(k journal.Key, reason string) error {
	return j.around("journal.MarkUnanswered", func() error { return j.Journal.MarkUnanswered(k, reason) })
}

func (j tripJournal) MarkAbsent(k journal.Key, reason string) error {
	return j.around("journal.MarkAbsent", func() error { return j.Journal.MarkAbsent(k, reason) })
}

func (j tripJournal) MarkTurnedAway(k journal.Key) error {
	return j.around("journal.MarkTurnedAway", func() error { return j.Journal.MarkTurnedAway(k) })
}

func (j tripJournal) MarkRefused(k journal.Key, reason string) error {
	return j.around("journal.MarkRefused", func() error { return j.Journal.MarkRefused(k, reason) })
}

func (j tripJournal) MarkCreated(k journal.Key, orgID string, at time.Time) error {
	return j.around("journal.MarkCreated", func() error { return j.Journal.MarkCreated(k, orgID, at) })
}

func (j tripJournal) MarkTokenStored(k journal.Key, where string) error {
	return j.around("journal.MarkTokenStored", func() error { return j.Journal.MarkTokenStored(k, where) })
}

func (j tripJournal) MarkTokenLost(k journal.Key, reason string) error {
	return j.around("journal.MarkTokenLost", func() error { return j.Journal.MarkTokenLost(k, reason) })
}

func (j tripJournal) MarkLinked(k journal.Key, orgID string) error {
	return j.around("journal.MarkLinked", func() error { return j.Journal.MarkLinked(k, orgID) })
}

func (j tripJournal) MarkDone(k journal.Key) error {
	return j.around("journal.MarkDone", func() error { return j.Journal.MarkDone(k) })
}

type tripSink struct {
	tokens.Sink
	*tripwire
}

func (s tripSink) Probe(ctx context.Context) error {
	return s.around("tokens.Probe", func() error { return s.Sink.Probe(ctx) })
}

func (s tripSink) Store(m tokens.Meta, token tokens.Token) (where string, err error) {
	err = s.around("tokens.Store", func() error { where, err = s.Sink.Store(m, token); return err })
	return where, err
}

// parentName is what the config calls the parent.
const parentName = "acme"
