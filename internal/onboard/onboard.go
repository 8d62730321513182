package onboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/okta/parent"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
)

// Journal records creations; a *journal.Writer is one. What a method has written is
// synced when it returns nil.
type Journal interface {
	Creation(journal.Key) (*journal.Creation, error)
	Creations(account string) ([]journal.Creation, error)
	Loss() (*journal.Loss, error)
	Commands() journal.Commands

	Begin(journal.Creation) error
	Send(journal.Key, journal.Rate) (wait time.Duration, err error)
	MarkUnanswered(k journal.Key, reason string) error
	MarkAbsent(k journal.Key, reason string) error
	MarkTurnedAway(k journal.Key) error
	MarkRefused(k journal.Key, reason string) error
	MarkRefusedLate(k journal.Key, reason string) error
	MarkCreated(k journal.Key, orgID string, at time.Time) error
	MarkTokenStored(k journal.Key, where string) error
	MarkTokenLost(k journal.Key, reason string) error
	MarkLinked(k journal.Key, orgID string) error
	MarkDone(journal.Key) error
	Note(k journal.Key, problem string) error

	AccessJournal
	Accesses(account string) ([]journal.Access, error)
}

// ParentAPI is a parent org; *parent.Client is one.
type ParentAPI interface {
	// CheckConsent returns nil if the parent lets the account add its orgs. It
	// may be repeated.
	CheckConsent(ctx context.Context, account string) error
	// CreateOrg creates an org. Without an error the org exists, with an
	// *rest.UncertainError it may exist, with any other error it does not. It
	// must not be repeated for an org that exists or may exist.
	//
	// maySend is asked right before each time that the request is sent; an earlier
	// time did nothing then. After its error the request is not sent.
	CreateOrg(ctx context.Context, subdomain string, org state.Create, maySend func(context.Context) error) (parent.Created, error)
	// Timeout is how long CreateOrg may take from sending to the answer.
	Timeout() time.Duration
}

// Parent is a parent org as the config has it.
type Parent struct {
	API ParentAPI
	// Domain is the parent's, such as acme.okta.com.
	Domain string
	// Settle is how long a new org is not called after its creation; Okta asks for
	// at least 30 seconds.
	Settle time.Duration
}

// Options configures an Onboarder.
type Options struct {
	// Account is the id of the Aerial account.
	Account string
	// Journal and Sink are nil where none is configured. Then creating an org
	// fails before anything is sent.
	Journal Journal
	Sink    tokens.Sink
	// Parents are those of the config, by name.
	Parents map[string]Parent
	// Find returns the managed org with this id or, where id is empty, this domain;
	// nil if there is none.
	Find func(ctx context.Context, id, domain string) (*state.Org, error)
	// Refused keeps the refusals that could not be written to the journal, by
	// domain; nil is one of its own. Give all Onboarders of a process the same.
	Refused *sync.Map
	// Bootstrap makes the service apps of orgs that are created; nil makes none.
	Bootstrap Bootstrapper
	// Logger logs each step; nil is silent.
	Logger *slog.Logger
}

// Onboarder creates orgs. It is an apply.Creator. Its methods may be called
// concurrently for different orgs.
type Onboarder struct {
	account string
	journal Journal
	sink    tokens.Sink
	parents map[string]*creator
	find    func(ctx context.Context, id, domain string) (*state.Org, error)
	refused *sync.Map // reason by domain
	log     *slog.Logger

	bootstrap Bootstrapper
	fresh     sync.Map // parent.Token by domain
}

// creator is a parent, with a lock that serializes the creations.
type creator struct {
	Parent
	name string
	lock chan struct{}
}

// New returns an Onboarder. It touches neither journal nor sink.
func New(opts Options) *Onboarder {
	o := &Onboarder{
		account: opts.Account,
		journal: opts.Journal,
		sink:    opts.Sink,
		parents: map[string]*creator{},
		find:    opts.Find,
		refused: cmp.Or(opts.Refused, &sync.Map{}),
		log:     opts.Logger,

		bootstrap: opts.Bootstrap,
	}
	for name, p := range opts.Parents {
		o.parents[name] = &creator{Parent: p, name: name, lock: make(chan struct{}, 1)}
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	return o
}

// acquire waits until no other org is being created through the parent.
func (p *creator) acquire(ctx context.Context) error {
	select {
	case p.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *creator) release() { <-p.lock }

// lookup is the result of looking a token up in the sink.
type lookup struct {
	tokens.Stored
	found bool
	// unsupported is set if the sink can't look tokens up.
	unsupported bool
}

// lookUp looks for the token of an org, and completes one that a killed process was
// storing. Where the org's id is known, tokens of an org that had the domain before
// don't count.
func (o *Onboarder) lookUp(domain, orgID string) (lookup, error) {
	if o.sink == nil {
		return lookup{unsupported: true}, nil
	}
	var all []tokens.Stored
	err := o.sink.Finish(domain)
	if err == nil {
		all, err = o.sink.Find(domain)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return lookup{unsupported: true}, nil
	}
	if err != nil {
		return lookup{}, text.WithHint(fmt.Errorf("looking for the org's token: %w", err), text.Hint(err))
	}
	var newest lookup
	for _, s := range all {
		if orgID == "" || s.OrgID == "" || s.OrgID == orgID {
			if !newest.found || s.At.After(newest.At) {
				newest = lookup{Stored: s, found: true}
			}
		}
	}
	return newest, nil
}

func (o *Onboarder) key(domain string) journal.Key {
	return journal.Key{Account: o.account, Domain: domain}
}

// creation returns the creation of an org, after it has written down a refusal that
// the journal didn't take before: without it, somebody else's org would pass for
// one that was created here.
func (o *Onboarder) creation(key journal.Key) (*journal.Creation, error) {
	if reason, ok := o.refused.Load(key.Domain); ok {
		var past *journal.StepError // it is further by now
		if err := o.journal.MarkRefusedLate(key, reason.(string)); err != nil && !errors.As(err, &past) {
			return nil, err
		}
		o.refused.Delete(key.Domain)
	}
	return o.journal.Creation(key)
}

// ready returns the parent of an org, or an error if the config lacks something to
// create it. Nothing is written.
func (o *Onboarder) ready(domain, parentName string) (*creator, error) {
	p := o.parents[parentName]
	switch {
	case p == nil:
		hint := "the config has no parents: add this one"
		if names := slices.Sorted(maps.Keys(o.parents)); len(names) > 0 {
			hint = "the config has " + strings.Join(names, ", ") + ": add this one, or correct the manifest"
		}
		return nil, text.WithHint(fmt.Errorf("the parent %q is not in the config", parentName), hint)
	case o.journal == nil:
		return nil, text.WithHint(errors.New("there is no journal to record what is being created"),
			"set the state folder in the config, to one that lasts")
	case o.sink == nil:
		return nil, text.WithHint(errors.New("there is no place for the new org's token, which Okta shows only once"),
			"set a place for tokens in the config")
	}
	return p, state.CheckChild(domain, p.Domain)
}
