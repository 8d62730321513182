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
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
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
	"reconciler/internal/store/tokens"
)

// A world has a simulator and a folder for the journal and the tokens of the program, and both
// go by a clock that runs faster than the real one, so that nobody sleeps for
// 30 seconds. The program is made of what production is made of; it runs in
// this process or in one of its own, which can be killed.

// clock runs Factor times as fast as the real one, from Epoch on.
type clock struct {
	Epoch  time.Time
	Factor int
}

func (c clock) now() time.Time {
	return c.Epoch.Add(time.Since(c.Epoch) * time.Duration(c.Factor))
}

func (c clock) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d / time.Duration(c.Factor)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// side is all that the program needs to know; it is handed to other processes
// as JSON.
type side struct {
	Clock           clock
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
	Timeout         time.Duration
}

func (s *side) stateDir() string { return filepath.Join(s.Dir, "state") }
func (s *side) tokenDir() string { return filepath.Join(s.Dir, "tokens") }
func (s *side) key(domain string) journal.Key {
	return journal.Key{Account: s.Account, Domain: domain}
}

type world struct {
	*simulatortest.Server
	side
	// log is what programs in this process say, and those in others.
	log bytes.Buffer
	mu  sync.Mutex
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// newWorld has a fleet of few orgs; the named ones are declared in addition,
// to be created.
func newWorld(t testing.TB, factor int, seed *simulator.Seed, domains ...string) *world {
	t.Helper()
	return newSlowWorld(t, factor, 0, seed, domains...)
}

// newSlowWorld is a world in which calls take time.
func newSlowWorld(t testing.TB, factor int, latency time.Duration, seed *simulator.Seed, domains ...string) *world {
	t.Helper()
	w := &world{}
	w.Clock = clock{time.Now(), factor}
	if seed == nil {
		seed = simulator.DefaultSeed(4)
	}
	w.Server = simulatortest.Start(t, simulatortest.Config{Seed: seed, Options: simulator.Options{Now: w.Clock.now, Latency: latency}})
	pem, err := w.Credentials.PEM()
	if err != nil {
		t.Fatal(err)
	}
	w.side.URL, w.Account, w.Key = w.Server.URL, w.Server.AccountID, pem
	w.ClientID, w.KeyID, w.side.ParentToken = w.Credentials.ClientID, w.Credentials.KeyID, w.Server.ParentToken
	w.Dir, w.Timeout = t.TempDir(), 2*time.Second
	for _, d := range domains {
		w.Declared = append(w.Declared, declare(d))
	}
	return w
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
	side
	api     *aerial.Client
	onboard *onboard.Onboarder
	journal *journal.Writer
	sink    tokens.Sink
	log     *slog.Logger
	trip    *tripwire
}

// start makes the program; change may put other parts into it.
func (s side) start(out io.Writer, change ...func(*onboard.Options)) (_ *program, err error) {
	p := &program{side: s, log: slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), trip: newTripwire(s.Kill, s.Record)}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	origin, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	base := aerial.BaseTransport(10)
	base.Proxy = nil
	client, err := auth.New(auth.Options{
		OrgURL: origin, ClientID: s.ClientID, KeyID: s.KeyID, HTTP: base, Now: s.Clock.now, Logger: p.log,
		Key: func() (auth.Key, error) { return auth.ParsePrivateKey(s.Key) },
	})
	if err != nil {
		return nil, err
	}
	p.api, err = aerial.New(aerial.Options{
		URL: origin, AccountID: s.Account, Transport: p.trip.wire("aerial", base), Timeout: s.Timeout, Logger: p.log,
		Auth: func(rt http.RoundTripper) http.RoundTripper {
			return client.Transport(rt, origin, "okta.accounts.read", "okta.accounts.manage")
		},
	})
	if err != nil {
		return nil, err
	}
	creator, err := parent.New(parent.Options{
		Name: parentName, URL: origin, Transport: p.trip.wire("parent", base), Timeout: s.Timeout, Sleep: s.Clock.sleep, Logger: p.log,
		Auth: func(rt http.RoundTripper) http.RoundTripper {
			return auth.SSWS(rt, origin, func() (string, error) { return s.ParentToken, nil })
		},
	})
	if err != nil {
		return nil, err
	}
	opts := onboard.Options{
		Account: s.Account, Now: s.Clock.now, Sleep: s.Clock.sleep, Logger: p.log,
		Parents: map[string]onboard.Parent{parentName: {
			API: scaled{creator, s.Clock.Factor}, Domain: cmp.Or(s.ParentDomain, origin.Hostname()), Settle: 30 * time.Second,
		}},
	}
	if s.NoParent {
		opts.Parents = nil
	}
	if !s.NoJournal {
		if p.journal, err = journal.Open(s.stateDir(), journal.Options{Now: s.Clock.now, Logger: p.log}); err != nil {
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

// scaled tells a timeout by the world's clock.
type scaled struct {
	onboard.ParentAPI
	factor int
}

func (s scaled) Timeout() time.Duration {
	return s.ParentAPI.Timeout() * time.Duration(s.factor)
}

// run is what one run of reconciler does with an org that is to be created.
func (p *program) run(ctx context.Context) (*diff.Plan, *apply.Result, error) {
	declared := map[string]bool{}
	for _, o := range p.Declared {
		declared[o.Domain] = true
	}
	actual, err := p.api.Observe(ctx, func(o state.Org) bool { return declared[o.Domain] })
	if err != nil {
		return nil, nil, err
	}
	plan, err := diff.Compute(&state.Desired{Orgs: p.Declared}, actual, diff.Options{Account: p.Account})
	if err != nil {
		return nil, nil, err
	}
	if err := p.onboard.CatchUp(ctx, plan, p.api.FindOrg); err != nil {
		return plan, nil, err
	}
	result, err := apply.Apply(ctx, plan, p.api, apply.Options{Concurrency: 10, Creator: p.onboard, Logger: p.log})
	return plan, result, err
}

// outcome of a process.
const (
	exitDone    = 0
	exitPartial = 4
	exitError   = 1
)

// main is the other process: one run, and 0 if nothing is left to be done.
func (s side) main() int {
	p, err := s.start(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	defer p.stop()
	plan, result, err := p.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(plan)
	_ = out.Encode(result)
	if c := result.Counts(); c.Applied < len(plan.Changes) {
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
