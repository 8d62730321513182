package onboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"reconciler/internal/okta/parent"
	"reconciler/internal/state"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/tokens"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// Journal records creations; a *journal.Writer is one. What a method has written is
// synced when it returns nil.
type Journal interface {
	Creation(journal.Key) (*journal.Creation, error)
	Creations(account string) ([]journal.Creation, error)
	Loss() (*journal.Loss, error)

	Begin(journal.Creation) error
	Send(journal.Key, journal.Rate) (wait time.Duration, err error)
	MarkUnanswered(k journal.Key, reason string) error
	MarkAbsent(k journal.Key, reason string) error
	MarkRefused(k journal.Key, reason string) error
	MarkCreated(k journal.Key, orgID string, at time.Time) error
	MarkTokenStored(k journal.Key, where string) error
	MarkTokenLost(k journal.Key, reason string) error
	MarkLinked(k journal.Key, orgID string) error
	MarkDone(journal.Key) error
	Note(k journal.Key, problem string) error
}

// ParentAPI is a parent org; *parent.Client is one.
type ParentAPI interface {
	// CheckConsent gives nil when the parent lets the account add its orgs. It
	// may be repeated.
	CheckConsent(ctx context.Context, account string) error
	// CreateOrg makes an org. No error: it is there. An *rest.UncertainError:
	// it may be there. Any other error: it is not. It must not be repeated for
	// an org that is or may be there.
	CreateOrg(ctx context.Context, subdomain string, org state.Create) (parent.Created, error)
	// Timeout is how long CreateOrg may take from sending to the answer.
	Timeout() time.Duration
}

// Parent is a parent org as the config has it.
type Parent struct {
	API ParentAPI
	// Domain is the parent's, such as acme.okta.com.
	Domain string
	// Settle is how long a new org is left alone after its creation; Okta wants
	// 30 seconds at least.
	Settle time.Duration
}

// Options is what an Onboarder needs to know.
type Options struct {
	// Account is the id of the Aerial account.
	Account string
	// Journal and Sink may be nil where none is configured. Then creating an
	// org fails before anything is sent.
	Journal Journal
	Sink    tokens.Sink
	// Parents are those of the config, by name.
	Parents map[string]Parent
	// Now tells the time and Sleep waits until ctx ends; nil means by the
	// system's clock.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	// Logger is told of each step; nil is silent.
	Logger *slog.Logger
}

// Onboarder makes orgs. It is an apply.Creator. Its methods may be called from
// many goroutines, but for one org one after the other.
type Onboarder struct {
	account string
	journal Journal
	sink    tokens.Sink
	parents map[string]*creator
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
	log     *slog.Logger
}

// creator is a parent and the right to create an org through it, which one at a
// time has.
type creator struct {
	Parent
	name string
	turn chan struct{}
}

// New gives an Onboarder. It touches neither journal nor sink.
func New(opts Options) *Onboarder {
	o := &Onboarder{
		account: opts.Account,
		journal: opts.Journal,
		sink:    opts.Sink,
		parents: map[string]*creator{},
		now:     opts.Now,
		sleep:   opts.Sleep,
		log:     opts.Logger,
	}
	for name, p := range opts.Parents {
		o.parents[name] = &creator{Parent: p, name: name, turn: make(chan struct{}, 1)}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.sleep == nil {
		o.sleep = web.Sleep
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	return o
}

// take waits for the right to create an org through the parent.
func (p *creator) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *creator) release() { <-p.turn }

// held is what the sink says of the token of an org.
type held struct {
	tokens.Stored
	// has says that there is one.
	has bool
	// untold says that the sink can't tell.
	untold bool
}

// held looks for the token of an org. Where its id is known, tokens of an org
// that had the domain before don't count.
func (o *Onboarder) held(domain, orgID string) (held, error) {
	if o.sink == nil {
		return held{untold: true}, nil
	}
	all, err := o.sink.Find(domain)
	if errors.Is(err, errors.ErrUnsupported) {
		return held{untold: true}, nil
	}
	if err != nil {
		return held{}, text.WithHint(fmt.Errorf("looking for the org's token: %w", err), text.Hint(err))
	}
	var h held
	for _, s := range all {
		if orgID == "" || s.OrgID == "" || s.OrgID == orgID {
			if !h.has || s.At.After(h.At) {
				h = held{Stored: s, has: true}
			}
		}
	}
	return h, nil
}

func (o *Onboarder) key(domain string) journal.Key {
	return journal.Key{Account: o.account, Domain: domain}
}

// ready finds the parent of an org, and says what is missing in the config to
// create it. Nothing is written.
func (o *Onboarder) ready(domain, parentName string) (*creator, error) {
	p := o.parents[parentName]
	switch {
	case p == nil:
		hint := "the config has no parents: add it to `parents`"
		if names := slices.Sorted(maps.Keys(o.parents)); len(names) > 0 {
			hint = "the config has " + strings.Join(names, ", ") + ": add it to `parents`, or correct the manifest"
		}
		return nil, text.WithHint(fmt.Errorf("the parent %q is not in the config", parentName), hint)
	case o.journal == nil:
		return nil, text.WithHint(errors.New("there is no journal to keep what is being created"),
			"set `state: {dir: …}` in the config, to a folder that lasts")
	case o.sink == nil:
		return nil, text.WithHint(errors.New("there is no place for the new org's token, which Okta tells only once"),
			"set `tokens` in the config")
	}
	return p, checkBase(domain, p.Domain)
}

// bases are the domains under which Okta makes orgs. A parent under one of them
// makes its children under the same.
var bases = []string{"okta.com", "oktapreview.com", "okta-emea.com"}

// checkBase refuses an org that the parent would make under another name than
// the declared one. A parent that is known by a domain of its own says nothing
// about that; then the answer has to tell.
func checkBase(domain, parentDomain string) error {
	_, base, _ := strings.Cut(parentDomain, ".")
	if _, declared, _ := strings.Cut(domain, "."); slices.Contains(bases, base) && declared != base {
		return text.WithHint(
			fmt.Errorf("the parent %s makes orgs under %s only", parentDomain, base),
			"declare a domain under "+base+", or another parent")
	}
	return nil
}
