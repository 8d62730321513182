package doctor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"reconciler/internal/config"
	"reconciler/internal/git/source"
	"reconciler/internal/okta/aerial"
	"reconciler/internal/okta/auth"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// DefaultTimeout bounds one check. At most four checks that can take time wait
// for each other, so four times as long bounds all of them.
const DefaultTimeout = 20 * time.Second

// Options is what the doctor needs.
type Options struct {
	// Load reads the config.
	Load func() (*config.Config, []config.Warning, error)
	// Source returns the place that manifests are read from; reconcile.OpenSource
	// if nil.
	Source func(*config.Config, string, *journal.Journal, *slog.Logger) (*reconcile.Source, error)
	// Environ is the environment of a command that keeps tokens.
	Environ []string
	// Daemon asks what listens on the address whether it is our daemon.
	Daemon func(ctx context.Context, address string) (*Daemon, error)
	// Transport carries all that goes to Okta and to the API of the git server;
	// aerial.BaseTransport if nil.
	Transport http.RoundTripper
	// Now tells the time; time.Now if nil. Zone is that of the schedule where it
	// names none; time.Local if nil.
	Now  func() time.Time
	Zone *time.Location
	// Timeout is for one check; DefaultTimeout if 0.
	Timeout time.Duration
	// Logger is told of calls and retries; nil is silent.
	Logger *slog.Logger
	// Done is told of each check, in order and as soon as all before it are
	// done; nil is allowed.
	Done func(Check)
}

// Daemon is what a daemon says of itself.
type Daemon struct {
	Version string
	Account string
	// NotReady is why it isn't ready; empty when it is.
	NotReady string
}

// patient is one examination: what is known so far. A field is written by one
// check and read by those that wait for it.
type patient struct {
	opts    Options
	cfg     *config.Config
	journal *journal.Journal

	key    auth.Key
	skew   *time.Duration // nil when the answer had no date
	app    *auth.Client
	wire   *recorder // of the token calls
	token  auth.Token
	client *aerial.Client

	forgeWire *recorder // of the calls for tokens of a GitHub App

	// These are nil as long as nothing was read, and as long as the manifests are
	// not known to be good. They are also read by checks that do without.
	fetched atomic.Pointer[fetched]
	desired atomic.Pointer[state.Desired]
}

// fetched is what is there, and where it comes from.
type fetched struct {
	*source.Snapshot
	from *reconcile.Source
}

// check is one thing to look at.
type check struct {
	name string
	// needs are checks without whose success this one has nothing to stand on;
	// after are those whose findings it uses where there are any.
	needs, after []string
	look         func(ctx context.Context) Check
}

// Run does all checks. When ctx ends, what is left to be done fails with that.
func Run(ctx context.Context, opts Options) *Report {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Zone == nil {
		opts.Zone = time.Local
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Source == nil {
		opts.Source = reconcile.OpenSource
	}
	p := &patient{opts: opts}
	r := &Report{Version: reportVersion, Checks: []Check{}}
	tell := func(c Check) {
		r.add(c)
		if opts.Done != nil {
			opts.Done(c)
		}
	}
	var cfg *config.Config
	first := p.within(ctx, &check{name: "config", look: func(context.Context) (c Check) {
		cfg, c = loadConfig(opts.Load)
		return c
	}})
	tell(first)
	if first.Status != Failure { // or else it may still be loading
		p.cfg = cfg
		p.journal = journal.New(cfg.State.Dir, journal.Options{Now: opts.Now})
		defer p.journal.Close()
	}
	if p.opts.Transport == nil && p.cfg != nil {
		base := aerial.BaseTransport(p.cfg.Aerial.Concurrency)
		defer base.CloseIdleConnections()
		p.opts.Transport = base
	}
	for c := range p.all(ctx, p.checks()) {
		tell(c)
	}
	return r
}

// checks returns all checks but that of the config, in the order in which they
// are told.
func (p *patient) checks() []*check {
	all := []*check{
		{name: "aerial", look: p.aerial},
		{name: "key", needs: []string{"aerial"}, look: p.privateKey},
		{name: "aerial org", needs: []string{"aerial"}, look: p.aerialOrg},
		{name: "clock", needs: []string{"aerial org"}, look: p.clock},
		{name: "token", needs: []string{"key", "aerial org"}, look: p.readToken},
		{name: "dpop", needs: []string{"token"}, look: p.dpop},
		{name: "manage scope", needs: []string{"token"}, look: p.manageToken},
		{name: "aerial api", needs: []string{"aerial"}, look: p.aerialAPI},
		{name: "aerial account", needs: []string{"token", "aerial api"}, look: p.account},
	}
	all = append(all, p.gitChecks()...)
	all = append(all,
		&check{name: "manifests", needs: []string{"source"}, look: p.manifests},
		&check{name: "products", needs: []string{"aerial account"}, after: []string{"manifests"}, look: p.subscribed},
	)
	all = append(all, p.parents()...)
	return append(all,
		&check{name: "tokens", after: []string{"manifests"}, look: p.tokenSink},
		&check{name: "state", after: []string{"manifests"}, look: p.state},
		&check{name: "writes", after: []string{"manifests"}, look: p.writes},
		&check{name: "deactivations", after: []string{"state"}, look: p.deactivations},
		&check{name: "http", look: p.http},
		&check{name: "schedule", look: p.schedule},
	)
}

// all runs the checks, each as soon as those that it waits for are done, and
// gives what they found in their order.
func (p *patient) all(ctx context.Context, checks []*check) iter.Seq[Check] {
	type result struct {
		done  chan struct{}
		found Check
	}
	results := map[string]*result{}
	for _, c := range checks {
		results[c.name] = &result{done: make(chan struct{})}
	}
	for _, c := range checks {
		go func() {
			r := results[c.name]
			defer close(r.done)
			if p.cfg == nil {
				r.found = Check{Name: c.name, Status: Skipped, Message: "needs config"}
				return
			}
			for _, name := range c.after {
				<-results[name].done
			}
			for _, name := range c.needs {
				needed := results[name]
				<-needed.done
				if s := needed.found.Status; s == Failure || s == Skipped {
					r.found = Check{Name: c.name, Status: Skipped, Message: "needs " + name}
					return
				}
			}
			r.found = p.within(ctx, c)
		}()
	}
	return func(yield func(Check) bool) {
		for _, c := range checks {
			r := results[c.name]
			<-r.done
			if !yield(r.found) {
				return
			}
		}
	}
}

// within does one check in the time that it has. One that doesn't stop then,
// because the operating system doesn't answer, is left behind.
func (p *patient) within(ctx context.Context, c *check) Check {
	limited, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	found := make(chan Check, 1)
	go func() { found <- c.look(limited) }()
	var r Check
	select {
	case r = <-found:
	case <-limited.Done():
		select {
		case r = <-found: // it stopped in good order
		case <-time.After(time.Second):
			r = failed(p.words(limited, errors.New("it hangs"), nil), "")
		}
	}
	r.Name = c.name
	r.Message, r.Hint = plain(r.Message), plain(r.Hint)
	for i := range r.Details {
		r.Details[i] = plain(r.Details[i])
	}
	return r
}

// plain makes words of any origin fit for one line of a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// words returns the message for an error of a check: where the time was up, that,
// and what went wrong last.
func (p *patient) words(ctx context.Context, err error, wire *recorder) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		words := fmt.Sprintf("no result within %v", p.opts.Timeout)
		if last := wire.lastProblem(); last != "" {
			words += ": " + last
		}
		return words
	case ctx.Err() != nil:
		return "stopped"
	default:
		return text.JoinLines(err.Error())
	}
}

// trouble makes a failure of an error, with the hint that it carries.
func (p *patient) trouble(ctx context.Context, err error, wire *recorder) Check {
	return failed(p.words(ctx, err, wire), text.Hint(err))
}

func fine(format string, args ...any) Check {
	return Check{Status: OK, Message: fmt.Sprintf(format, args...)}
}

func warned(message, hint string) Check {
	return Check{Status: Warning, Message: message, Hint: hint}
}

func failed(message, hint string) Check {
	return Check{Status: Failure, Message: message, Hint: hint}
}

// mistakes sums up what is wrong with files: how many, the first, and all of
// them as details.
func mistakes(err error) Check {
	all, ok := strictyaml.AsErrors(err)
	if !ok {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	c := failed(all[0].Error(), "")
	if len(all) > 1 {
		c.Message = fmt.Sprintf("%d mistakes, the first: %s", len(all), all[0])
	}
	for _, e := range all[:min(len(all), maxDetails)] {
		c.Details = append(c.Details, e.Error())
	}
	return c
}

// maxDetails is how many mistakes are worth telling at once.
const maxDetails = 100

// warnings sums up warnings in the same way; ok is the finding without any.
func warnings(ok Check, all []string) Check {
	if len(all) == 0 {
		return ok
	}
	ok.Status = Warning
	ok.Message += "; " + all[0]
	if len(all) > 1 {
		ok.Message += fmt.Sprintf(" (and %s)", count(len(all)-1, "more warning"))
	}
	ok.Details = all[:min(len(all), maxDetails)]
	return ok
}
