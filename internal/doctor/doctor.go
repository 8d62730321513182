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
	// Commands are the command lines that hints about the journal name.
	Commands journal.Commands
	// Daemon returns the daemon that listens on the address, or why what listens
	// there is none.
	Daemon func(ctx context.Context, address string) (*Daemon, error)
	// Transport carries all that goes to Okta and to the API of the git server;
	// aerial.BaseTransport if nil.
	Transport http.RoundTripper
	// Now returns the time; time.Now if nil. Zone is that of the schedule where it
	// names none; time.Local if nil.
	Now  func() time.Time
	Zone *time.Location
	// Timeout is for one check, and for each org of AllOrgs; DefaultTimeout if 0.
	Timeout time.Duration
	// AllOrgs means that the configuration of all orgs is read, not of a few.
	AllOrgs bool
	// Logger logs calls and retries; nil is silent.
	Logger *slog.Logger
	// Done is called with each check, in order and as soon as all before it are
	// done; nil is allowed.
	Done func(Check)
}

// Daemon is what a daemon reports about itself.
type Daemon struct {
	Version string
	Account string
	// NotReady is why it isn't ready; empty when it is.
	NotReady string
	// Unknown means that it says nothing without a token.
	Unknown bool
}

// examination is one run of the checks: what they know so far. A field is written by one
// check and read by those that wait for it.
type examination struct {
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

	live []state.Org // as far as the list was read
}

// fetched is what is there, and where it comes from.
type fetched struct {
	*source.Snapshot
	from *reconcile.Source
}

// check is one thing to look at.
type check struct {
	name string
	// needs are checks without whose success this one is skipped; after are those
	// that it waits for, because it uses what they found where there is any.
	needs, after []string
	// long means that it takes as long as its parts, each of which has a limit.
	long bool
	look func(ctx context.Context) Check
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
	e := &examination{opts: opts}
	r := &Report{Version: reportVersion, Checks: []Check{}}
	report := func(c Check) {
		r.add(c)
		if opts.Done != nil {
			opts.Done(c)
		}
	}
	var cfg *config.Config
	first := e.within(ctx, &check{name: "config", look: func(context.Context) (c Check) {
		cfg, c = loadConfig(opts.Load)
		return c
	}})
	report(first)
	if first.Status != Failure { // or else it may still be loading
		e.cfg = cfg
		e.journal = journal.New(reconcile.StateOf(cfg), journal.Options{Now: opts.Now, Commands: opts.Commands})
		defer e.journal.Close()
	}
	if e.opts.Transport == nil && e.cfg != nil {
		base := aerial.BaseTransport(e.cfg.Aerial.Concurrency)
		defer base.CloseIdleConnections()
		e.opts.Transport = base
	}
	for c := range e.all(ctx, e.checks()) {
		report(c)
	}
	return r
}

// checks returns all checks but that of the config, in the order of the
// report.
func (e *examination) checks() []*check {
	all := []*check{
		{name: "aerial", look: e.aerial},
		{name: "key", needs: []string{"aerial"}, look: e.privateKey},
		{name: "aerial org", needs: []string{"aerial"}, look: e.aerialOrg},
		{name: "clock", needs: []string{"aerial org"}, look: e.clock},
		{name: "token", needs: []string{"key", "aerial org"}, look: e.readToken},
		{name: "dpop", needs: []string{"token"}, look: e.dpop},
		{name: "manage scope", needs: []string{"token"}, look: e.manageToken},
		{name: "system log", needs: []string{"token"}, look: e.systemLog},
		{name: "aerial api", needs: []string{"aerial"}, look: e.aerialAPI},
		{name: "aerial account", needs: []string{"token", "aerial api"}, look: e.account},
	}
	all = append(all, e.gitChecks()...)
	all = append(all,
		&check{name: "manifests", needs: []string{"source"}, look: e.manifests},
		&check{name: "orgs", needs: []string{"aerial account"}, after: []string{"manifests"}, look: e.orgs},
		&check{name: "products", needs: []string{"aerial account"}, after: []string{"manifests"}, look: e.subscribed},
		&check{name: "configuration", needs: []string{"orgs"}, after: []string{"manifests", "state"}, long: true, look: e.configuration},
	)
	all = append(all, e.parents()...)
	if e.cfg != nil && len(e.cfg.Notify) > 0 {
		all = append(all, &check{name: "notify", look: e.notify})
	}
	return append(all,
		&check{name: "tokens", after: []string{"manifests"}, look: e.tokenSink},
		&check{name: "state", after: []string{"manifests"}, look: e.state},
		&check{name: "writes", after: []string{"manifests"}, look: e.writes},
		&check{name: "deactivations", after: []string{"state"}, look: e.deactivations},
		&check{name: "http", look: e.http},
		&check{name: "sign-in", look: e.users},
		&check{name: "schedule", look: e.schedule},
	)
}

// all runs the checks, each as soon as those that it waits for are done, and
// returns what they found in their order.
func (e *examination) all(ctx context.Context, checks []*check) iter.Seq[Check] {
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
			if e.cfg == nil {
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
			r.found = e.within(ctx, c)
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
func (e *examination) within(ctx context.Context, c *check) Check {
	limited := ctx
	if !c.long {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, e.opts.Timeout)
		defer cancel()
	}
	found := make(chan Check, 1)
	go func() { found <- c.look(limited) }()
	var r Check
	select {
	case r = <-found:
	case <-limited.Done():
		select {
		case r = <-found: // it stopped in good order
		case <-time.After(time.Second):
			r = failed(e.words(limited, errors.New("it hangs"), nil), "")
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
func (e *examination) words(ctx context.Context, err error, wire *recorder) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		words := fmt.Sprintf("no result within %v", e.opts.Timeout)
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
func (e *examination) trouble(ctx context.Context, err error, wire *recorder) Check {
	return failed(e.words(ctx, err, wire), text.Hint(err))
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

// maxDetails limits how many mistakes are listed.
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
