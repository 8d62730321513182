package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reconciler/internal/apply"
	"reconciler/internal/config"
	"reconciler/internal/diff"
	"reconciler/internal/okta/auth"
	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/okta/systemlog"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/text"
	"reconciler/internal/web/trace"
)

// ScopeLogs is the scope that reading the System Log needs.
const ScopeLogs = systemlog.Scope

const (
	// attributing is how long finding out who caused drift may take after a run.
	attributing = 20 * time.Second
	// maxLogs is how many orgs' own logs are read after a run; those that drift newest
	// come first.
	maxLogs = 10
	// lookback is how far back a log is read if it isn't known when an org was last as
	// declared: as long as Okta keeps it.
	lookback = 90 * 24 * time.Hour
	// recently is for how long after a change it is asked what it repaired.
	recently = systemlog.Lateness + time.Hour
	// refusedFor is how long a log is not asked for again that may not be read.
	refusedFor = 6 * time.Hour
	// maxSightings is how many readings of an org are remembered.
	maxSightings = 8
)

// Ledger is the part of the history that attribution needs; a *history.Store has it.
type Ledger interface {
	Drifts() ([]history.Drift, error)
	Entries(history.Query) ([]history.Entry, error)
	FindRun(id string) (*history.Run, error)
	At(org string, at time.Time) (*history.OrgState, error)
	Caused(seq int64, cause *history.Cause, unknown string) error
}

// Attribution counts what Attribute has newly found out.
type Attribution struct {
	// People, Apps and Okta are drifts that one of these has caused, and Unknown those of
	// which nobody will be known.
	People, Apps, Okta, Unknown int
}

// Attribute finds out who caused drift of which that isn't known, and what the changes of
// the last hours repaired, and tells the history. It reads the System Log of the Aerial
// org, and for the configuration of orgs that of some of them; nothing if nothing is to be
// found out. Call it after each run, with a context that has the run's id; it ends within
// 20 seconds. It may be called beside other methods, and reads with tokens that can read
// logs and nothing else. A log that may not be read is logged once, and is no error.
func (r *Reconciler) Attribute(ctx context.Context, h Ledger) (_ Attribution, err error) {
	ctx, span := trace.Start(ctx, "attribution")
	defer func() { span.End(err) }()
	ctx, cancel := context.WithTimeout(ctx, attributing)
	defer cancel()
	return r.culprits.attribute(ctx, h)
}

// CauseOf returns a function that returns who caused the open drift of a field of an org,
// as diff.Change.Field names it; nil if that is not known. A field of an object is one with
// its object.
func CauseOf(open []history.Drift) func(org, field string) *history.Cause {
	type key struct{ org, field string }
	causes := map[key]*history.Cause{}
	for i := range open {
		d := &open[i]
		if d.Cause == nil {
			continue
		}
		object, _, _ := strings.Cut(d.Field, ": ")
		for _, field := range []string{d.Field, object} {
			k := key{d.Org, field}
			if old := causes[k]; old == nil || old.Time.Before(d.Cause.Time) {
				causes[k] = d.Cause
			}
		}
	}
	return func(org, field string) *history.Cause { return causes[key{org, field}] }
}

// culprits finds out who caused drift.
type culprits struct {
	cfg    *config.Config
	access *Access
	log    *slog.Logger
	// aerial reads the log of the Aerial org.
	aerial *systemlog.Log
	seen   *sightings

	mu sync.Mutex // held while attributing
	// feed is that of aerial, and feeds are those of orgs, by their ids.
	feed  *systemlog.Feed
	feeds map[string]*systemlog.Feed
	// refused are the logs that may not be read, by the ids of their orgs, and until when
	// they are not asked for; "" is the Aerial org's. said are those that were logged.
	refused map[string]time.Time
	said    map[bool]bool // whether of orgs' own
}

// OpenLog returns the System Log of the Aerial org. Its tokens can read the log and
// nothing else. It opens no connection.
func OpenLog(a *config.Aerial, app *auth.Client, opts ClientOptions) *systemlog.Log {
	keys := a.Keys()
	caller := rest.New(rest.Options{
		Name: "the Aerial org", URLKey: keys.OrgURL, TokenKey: keys.OrgURL, Transport: opts.Transport, Slots: 1, Logger: opts.Logger, Observer: opts.Observer,
		Auth: func(base http.RoundTripper) http.RoundTripper { return app.Transport(base, a.Auth.OrgURL, ScopeLogs) },
		Hint: func(e *rest.Error) string {
			if e.Status == http.StatusForbidden {
				return "the service app needs the scope " + ScopeLogs + " and an admin role that may see the System Log"
			}
			return e.CommonHint(keys.OrgURL)
		},
	})
	timeout := cmp.Or(min(a.Timeout, attributing/2), attributing/2)
	return &systemlog.Log{Home: a.Auth.OrgURL, URLKey: keys.OrgURL, Policy: systemlog.Policy(timeout), Do: caller.Do}
}

// newCulprits returns one that reads the log of the Aerial org as opts say.
func newCulprits(cfg *config.Config, app *auth.Client, opts ClientOptions) *culprits {
	return &culprits{
		cfg: cfg, log: opts.Logger, seen: &sightings{}, aerial: OpenLog(&cfg.Aerial, app, opts),
		feeds: map[string]*systemlog.Feed{}, refused: map[string]time.Time{}, said: map[bool]bool{},
	}
}

// question is a drift of which nobody is known yet to have caused it, or a change of which
// it isn't known whose doing it repaired.
type question struct {
	// seq is that of its entry, and cause what is known so far.
	seq   int64
	cause *history.Cause
	// kind and object name the object; empty for the org itself, of which field drifts.
	kind, object, field string
	// live is what was live, and seen when the reading began that saw it first; zero if
	// that isn't known. Of an object, field is KIND/OBJECT: PATH.
	live  json.RawMessage
	seen  time.Time
	drift systemlog.Drift
}

// orgTypes are the types of events about an org's fields in the Aerial org's log.
var orgTypes = map[string][]string{
	diff.FieldProducts:        {"account.org.product.update", "support.org.update"},
	diff.FieldStatus:          {"account.org.status.update", "support.org.update"},
	diff.FieldRequestDeletion: {"account.org.delete.request", "account.org.delete.cancel"},
}

// aerialTypes and objectTypes are the types of the events that are read of the Aerial
// org's log, and of an org's own.
var (
	aerialTypes = sync.OnceValue(func() []string {
		var all []string
		for _, types := range orgTypes {
			all = append(all, types...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	})
	objectTypes = sync.OnceValue(func() []string {
		var all []string
		for _, k := range objects.Kinds() {
			all = append(all, k.API.Events...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	})
)

func (c *culprits) attribute(ctx context.Context, h Ledger) (found Attribution, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer rest.Recover(c.log, "finding out who caused drift", &err)
	now := time.Now()
	all, err := c.questions(h, now)
	if err != nil {
		return found, err
	}
	a := &answering{culprits: c, ledger: h, now: now, found: &found}
	byOrg := map[string][]question{}
	var ofAerial []question
	for _, q := range all {
		switch {
		case len(q.drift.Types) == 0:
			err = errors.Join(err, a.answer([]question{q}, nil, 0, nil))
		case q.drift.Own:
			byOrg[q.drift.OrgID] = append(byOrg[q.drift.OrgID], q)
		default:
			ofAerial = append(ofAerial, q)
		}
	}
	return found, errors.Join(err, a.aerial(ctx, ofAerial), a.orgs(ctx, byOrg))
}

// questions returns what is to be found out.
func (c *culprits) questions(h Ledger, now time.Time) ([]question, error) {
	open, err := h.Drifts()
	if err != nil {
		return nil, err
	}
	recent, err := h.Entries(history.Query{Types: []history.Type{history.TypeDrift, history.TypeChange}, Since: now.Add(-recently)})
	if err != nil {
		return nil, err
	}
	var all []question
	asked := map[int64]bool{}
	repairs := repairs{ledger: h, now: now, states: map[stateKey]json.RawMessage{}}
	for i := range open {
		d := &open[i]
		asked[d.Seq] = true
		if openQuestion(d.Cause, d.Unknown) && d.Seq != 0 {
			all = append(all, c.question(&history.Entry{
				Seq: d.Seq, Org: d.Org, OrgID: d.OrgID, Kind: d.Kind, Object: d.Object, Field: d.Field, Before: d.Actual, Time: d.Since, Cause: d.Cause,
			}))
		}
	}
	for i := range recent {
		e := &recent[i]
		if asked[e.Seq] || e.Seq == 0 || !openQuestion(e.Cause, e.Unknown) {
			continue
		}
		if e.Type == history.TypeDrift && e.Since != nil {
			e.Time = *e.Since
		}
		if e.Type == history.TypeChange {
			repaired, err := repairs.has(e)
			if err != nil {
				return nil, err
			}
			if !repaired {
				continue
			}
		}
		all = append(all, c.question(e))
	}
	return c.complete(h, all)
}

// openQuestion reports whether it is still to be found out who caused something.
func openQuestion(cause *history.Cause, unknown string) bool {
	return unknown == "" && (cause == nil || cause.Provisional)
}

// repairs tells which changes undid what somebody else had done.
type repairs struct {
	ledger Ledger
	now    time.Time
	// states are what was declared for orgs, as the history has said.
	states map[stateKey]json.RawMessage
}

// stateKey is an org and the run before whose end is asked; an empty run asks for the
// newest state.
type stateKey struct{ org, run string }

// has reports whether a change was one: the org was known before, and the same is declared
// for it now as then.
func (r *repairs) has(e *history.Entry) (bool, error) {
	if !repairable(e) {
		return false, nil
	}
	// A run notes what is declared once its changes are made, which may be in the same
	// moment.
	before, err := r.declared(stateKey{e.Org, e.Run}, e.Time.Add(-1))
	if err != nil || len(before) == 0 {
		return false, err
	}
	now, err := r.declared(stateKey{org: e.Org}, r.now)
	return string(before) == string(now), err
}

// repairable reports whether a change was applied, and may undo what somebody else had done.
func repairable(e *history.Entry) bool {
	return e.Outcome == string(apply.Applied) && (e.Kind != "" || orgTypes[diff.FieldOf(diff.Action(e.Action))] != nil)
}

// declared returns what was declared for an org at a time.
func (r *repairs) declared(key stateKey, at time.Time) (json.RawMessage, error) {
	known, ok := r.states[key]
	if ok {
		return known, nil
	}
	state, err := r.ledger.At(key.org, at)
	if err != nil {
		return nil, err
	}
	var declared json.RawMessage
	if state != nil {
		declared = state.Declared
	}
	r.states[key] = declared
	return declared, nil
}

// question returns what is asked about an entry. Its Time is when the drift was first
// seen, or the change ended, and Before what was live.
func (c *culprits) question(e *history.Entry) question {
	q := question{seq: e.Seq, cause: e.Cause, kind: e.Kind, object: e.Object, field: e.Field, live: e.Before}
	if q.field == "" {
		q.field = diff.FieldOf(diff.Action(e.Action))
	}
	d := systemlog.Drift{Org: e.Org, OrgID: e.OrgID, Since: e.Time}
	if e.Type == history.TypeChange {
		d.Since = e.Time.Add(-time.Duration(e.Seconds * float64(time.Second)))
	}
	if e.Kind == "" {
		d.Types = orgTypes[q.field]
	} else {
		aboutObject(&d, e.Kind, e.Parent, e.Object)
	}
	q.seen, d.Agreed, d.Since = c.seen.around(e.Org, e.Kind != "", d.Since)
	q.drift = d
	return q
}

// aboutObject sets what tells an event about an object of the org. Of what is no object,
// such as an order, no event tells.
func aboutObject(d *systemlog.Drift, kind, parent, object string) {
	d.Own = true
	ref, ok := objects.ParseRef(objects.Update, kind, "", parent, object)
	if !ok {
		return
	}
	api := &ref.Kind.API
	d.Types = api.Events
	d.Paths = []string{api.Collection}
	if ref.Kind.Setting {
		for i := range ref.Kind.Fields {
			for _, a := range ref.Kind.Fields[i].Actions {
				d.Paths = append(d.Paths, a.Path)
			}
		}
		return
	}
	d.Object, d.Parent = text.Clean(ref.Name), text.Clean(ref.Parent)
}

// complete answers the questions that need no log, and bounds the others by what the
// history knows. An org that is as it was before is not asked about: what is declared for
// it has changed.
func (c *culprits) complete(h Ledger, all []question) ([]question, error) {
	var open []question
	for _, q := range all {
		if len(q.drift.Types) == 0 {
			open = append(open, q)
			continue
		}
		same, err := c.sameAsBefore(h, &q)
		if err == nil && same {
			err = h.Caused(q.seq, nil, "the org is as it was, and what is declared has changed")
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		open = append(open, q)
	}
	return open, nil
}

// sameAsBefore reports whether the history knows what was live before, and that it was the
// same. If it was another, it has changed since, which bounds when.
func (c *culprits) sameAsBefore(h Ledger, q *question) (bool, error) {
	at := q.seen
	if at.IsZero() {
		at = q.drift.Since
	}
	before, err := h.At(q.drift.Org, at.Add(-time.Millisecond))
	if err != nil || before == nil || before.OrgID != "" && before.OrgID != q.drift.OrgID {
		return false, err
	}
	same, known := q.sameIn(before)
	agreed := before.At
	if q.kind != "" {
		agreed = agreed.Add(-c.cfg.Orgs.Every) // what counts of a configuration may have been read so long ago
	}
	if known && !same && agreed.After(q.drift.Agreed) {
		q.drift.Agreed = agreed
	}
	return known && same, nil
}

// sameIn reports whether what drifts was the same in an earlier state of the org, and
// whether that is known.
func (q *question) sameIn(before *history.OrgState) (same, known bool) {
	var live liveState
	if json.Unmarshal(before.Live, &live) != nil {
		return false, false
	}
	switch {
	case q.kind != "":
		return q.sameObject(before, &live)
	case q.field == diff.FieldProducts:
		var now []string
		known = live.Products != nil && json.Unmarshal(q.live, &now) == nil
		slices.Sort(now)
		slices.Sort(live.Products)
		same = slices.Equal(now, live.Products)
	case q.field == diff.FieldStatus:
		var now state.Status
		known = live.Status != "" && json.Unmarshal(q.live, &now) == nil
		same = now == live.Status
	}
	return same, known
}

// sameObject is sameIn for an object, or one of its fields.
func (q *question) sameObject(before *history.OrgState, live *liveState) (same, known bool) {
	var declared declaredState
	var now diff.Value
	if live.Configuration == nil || json.Unmarshal(before.Declared, &declared) != nil || json.Unmarshal(q.live, &now) != nil {
		return false, false
	}
	name, path, isField := strings.Cut(q.field, ": ")
	if _, ok := declared.Configuration[name]; !ok {
		return false, false
	}
	body, existed := live.Configuration[name]
	if !isField {
		return existed == (now.Text() == existing), true
	}
	for _, key := range objects.SplitPath(path) {
		fields, ok := body.(map[string]any)
		if !ok {
			return false, false
		}
		if body, ok = fields[key]; !ok {
			return false, false
		}
	}
	was := diff.ValueOf(body)
	if shortened(now) || shortened(was) || long(was) {
		return false, false // of a long one the history has a part
	}
	return was.Equal(now), true
}

// ourWrites returns our writes of what a question is about, as the history has them, that
// came before it was asked. It also sets in the question which ones came later.
func ourWrites(h Ledger, q *question) ([]systemlog.Write, error) {
	entries, err := h.Entries(history.Query{
		Types: []history.Type{history.TypeChange}, Org: q.drift.Org, Since: q.drift.Agreed, Limit: 1000,
	})
	if err != nil {
		return nil, err
	}
	var all []systemlog.Write
	for i := range entries {
		e := &entries[i]
		if e.Kind != q.kind || e.Object != q.object || e.Kind == "" && diff.FieldOf(diff.Action(e.Action)) != q.field {
			continue
		}
		ids := e.RequestIDs
		if e.RequestID != "" {
			ids = append(slices.Clone(ids), e.RequestID)
		}
		// Times are those at which writes ended.
		if begun := e.Time.Add(-time.Duration(e.Seconds * float64(time.Second))); begun.After(q.drift.Since) || e.Seq == q.seq {
			q.drift.Later = append(q.drift.Later, ids...)
			continue
		}
		if e.Outcome != string(apply.Skipped) && e.Outcome != string(apply.Blocked) {
			all = append(all, systemlog.Write{Time: e.Time, RequestIDs: ids})
		}
	}
	return all, nil
}

// answering answers questions, given logs.
type answering struct {
	*culprits
	ledger Ledger
	now    time.Time
	found  *Attribution
	mu     sync.Mutex // guards found and ledger
}

// aerial answers questions about orgs by the log of the Aerial org.
func (a *answering) aerial(ctx context.Context, all []question) error {
	if len(all) == 0 {
		a.feed = nil
		return nil
	}
	if a.refuses("") {
		return nil
	}
	if a.feed == nil {
		a.feed = feedOf(a.culprits.aerial, aerialTypes())
	}
	whole, err := a.update(ctx, a.feed, all)
	if err != nil {
		return a.unreadable("", "", err)
	}
	if !whole {
		return nil
	}
	return a.answer(all, a.feed.Events(), a.feed.Ahead(), []string{a.cfg.Aerial.Auth.ClientID})
}

// orgs answers questions about the configuration of orgs by their own logs.
func (a *answering) orgs(ctx context.Context, byOrg map[string][]question) error {
	for id := range a.feeds {
		if byOrg[id] == nil {
			delete(a.feeds, id)
		}
	}
	newest := func(all []question) time.Time {
		return slices.MaxFunc(all, func(x, y question) int { return x.drift.Since.Compare(y.drift.Since) }).drift.Since
	}
	var orgs [][]question
	for id, all := range byOrg {
		if id != "" && !a.refuses(id) {
			orgs = append(orgs, all)
		}
	}
	slices.SortFunc(orgs, func(x, y []question) int {
		return cmp.Or(newest(y).Compare(newest(x)), strings.Compare(x[0].drift.Org, y[0].drift.Org))
	})
	var g errgroup.Group
	g.SetLimit(min(max(1, a.cfg.Orgs.Concurrency), maxLogs))
	errs := make([]error, min(len(orgs), maxLogs))
	feeds := make([]*systemlog.Feed, len(errs))
	for i := range errs {
		feeds[i] = a.feeds[orgs[i][0].drift.OrgID]
		g.Go(func() error {
			feeds[i], errs[i] = a.org(ctx, feeds[i], orgs[i])
			return nil
		})
	}
	_ = g.Wait()
	for i, err := range errs {
		d := &orgs[i][0].drift
		if feeds[i] != nil {
			a.feeds[d.OrgID] = feeds[i]
		}
		if err != nil {
			errs[i] = a.unreadable(d.OrgID, d.Org, err)
		}
	}
	return errors.Join(errs...)
}

// org answers questions about the configuration of one org, and returns its feed.
func (a *answering) org(ctx context.Context, feed *systemlog.Feed, all []question) (_ *systemlog.Feed, err error) {
	d := &all[0].drift
	defer rest.Recover(a.log, "reading the System Log of "+d.Org, &err)
	target := objects.Target{Domain: d.Org, OrgID: d.OrgID, ClientID: a.seen.clientID(d.Org)}
	with, err := a.access.Credentials(target.Domain, target.OrgID, target.ClientID)
	if err != nil {
		return feed, err
	}
	log, err := a.access.client.Log(ctx, target)
	if err != nil {
		return feed, err
	}
	if feed == nil {
		feed = feedOf(log, objectTypes())
	}
	feed.Use(log)
	whole, err := a.update(ctx, feed, all)
	if err != nil || !whole {
		return feed, err
	}
	var clients []string
	if with.ClientID != "" {
		clients = []string{with.ClientID}
	}
	return feed, a.answer(all, feed.Events(), feed.Ahead(), clients)
}

// feedOf returns a feed of the events of some types.
func feedOf(log *systemlog.Log, types []string) *systemlog.Feed {
	var terms []string
	for _, t := range types {
		op := "eq"
		if strings.HasSuffix(t, ".") {
			op = "sw"
		}
		terms = append(terms, fmt.Sprintf("eventType %s %q", op, t))
	}
	return systemlog.NewFeed(log, strings.Join(terms, " or "), func(e *systemlog.Event) bool { return systemlog.HasType(types, e.Type) })
}

// update reads what the questions need of a log, and forgets the rest.
func (a *answering) update(ctx context.Context, feed *systemlog.Feed, all []question) (whole bool, err error) {
	since := a.now
	for i := range all {
		agreed := all[i].drift.Agreed
		if agreed.IsZero() {
			agreed = a.now.Add(-lookback)
		}
		if agreed.Before(since) {
			since = agreed
		}
	}
	since = since.Add(feed.Ahead() - time.Minute)
	feed.Drop(since.Add(-time.Hour))
	return feed.Update(ctx, since)
}

// answer answers questions by the events of a log, and tells the history what is new.
func (a *answering) answer(all []question, events []systemlog.Event, ahead time.Duration, clients []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	runs := map[string]bool{}
	own := systemlog.Own{Clients: clients, Runs: func(id string) bool {
		known, asked := runs[id]
		if !asked {
			run, err := a.ledger.FindRun(id)
			known = err == nil && run != nil
			runs[id] = known
		}
		return known
	}}
	for i := range all {
		q := &all[i]
		if len(q.drift.Types) > 0 {
			var err error
			if own.Writes, err = ourWrites(a.ledger, q); err != nil {
				return err
			}
		}
		v := systemlog.Attribute(q.drift, events, own, ahead, a.now)
		cause := causeOf(&v)
		if cause == nil && v.Unknown == "" && q.cause == nil || cause != nil && q.cause != nil && *cause == *q.cause {
			continue
		}
		if err := a.ledger.Caused(q.seq, cause, v.Unknown); err != nil {
			return err
		}
		a.count(cause, q.cause)
	}
	return nil
}

// count counts an answer, unless one was known before.
func (a *answering) count(cause, before *history.Cause) {
	switch {
	case before != nil:
	case cause == nil:
		a.found.Unknown++
	case cause.By != "":
		a.found.Okta++
	case cause.ActorType == "User":
		a.found.People++
	default:
		a.found.Apps++
	}
}

// causeOf returns a cause as the history has it; nil for none.
func causeOf(v *systemlog.Verdict) *history.Cause {
	e := v.Cause
	if e == nil {
		return nil
	}
	name := cmp.Or(e.Actor.Name, e.Actor.Login, e.Actor.ID)
	if e.Actor.Type == "User" && strings.Contains(e.Actor.Login, "@") {
		name = e.Actor.Login
	}
	return &history.Cause{
		Actor: name, ActorID: e.Actor.ID, ActorType: e.Actor.Type, Time: e.Published,
		Client: e.UserAgent, Address: e.Address, Event: e.Type, EventID: e.UUID,
		By: v.By, Doubt: v.Doubt, Provisional: v.Pending,
	}
}

// refuses reports whether the log of an org may not be read, as was found out some time
// ago. orgID is empty for the Aerial org.
func (a *answering) refuses(orgID string) bool { return a.now.Before(a.refused[orgID]) }

// unreadable remembers and logs that a log may not be read; another reason why it could
// not be read is returned.
func (a *answering) unreadable(orgID, domain string, err error) error {
	if !mayNot(err) {
		return err
	}
	a.refused[orgID] = a.now.Add(refusedFor)
	own := orgID != ""
	if a.said[own] {
		return nil
	}
	a.said[own] = true
	words := "who caused drift can't be found out, because the System Log of the Aerial org may not be read"
	if own {
		words = "who caused drift in the configuration can't be found out, because the System Log of an org may not be read"
	}
	a.log.Warn(words, "org", cmp.Or(domain, config.OktaDomain(a.cfg.Aerial.Auth.OrgURL)), "error", err, "hint", text.Hint(err))
	return nil
}

// mayNot reports whether err is a refusal of a token for the log, or of the log.
func mayNot(err error) bool {
	var token *auth.Error
	if errors.As(err, &token) && token.Refusal != nil {
		return token.Refusal.Refused()
	}
	var e *rest.Error
	return errors.As(err, &e) && e.Refused() && e.Status != http.StatusBadRequest
}

// sightings are when orgs were read, and what signs in to them. The zero value is empty.
type sightings struct {
	mu sync.Mutex
	// all are the latest readings by what was read, oldest first.
	all     map[sighting][]reading
	clients map[string]string
}

// sighting is an org, or its configuration.
type sighting struct {
	domain        string
	configuration bool
}

// reading is when reading began and ended.
type reading struct{ began, ended time.Time }

// note notes that orgs were read.
func (s *sightings) note(r reading, configuration bool, domains ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[sighting][]reading{}
	}
	for _, domain := range domains {
		key := sighting{domain, configuration}
		all := s.all[key]
		if n := len(all); n > 0 && !all[n-1].began.Before(r.began) {
			continue
		}
		all = append(all, r)
		s.all[key] = slices.Clone(all[max(0, len(all)-maxSightings):])
	}
}

// around returns when the reading began that saw something first at a time, when the one
// before it began, and when the first ended: at least from the one to the other it was
// not like that. Readings that aren't known are the zero time, and the time itself.
func (s *sightings) around(domain string, configuration bool, at time.Time) (seen, before, ended time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all[sighting{domain, configuration}]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].ended.After(at) {
			continue
		}
		if i > 0 {
			before = all[i-1].began
		}
		return all[i].began, before, all[i].ended
	}
	return time.Time{}, time.Time{}, at
}

// saw notes which orgs a plan has read, from began to now. What configuration still counts
// was not read.
func (r *Reconciler) saw(plan *diff.Plan, began time.Time) {
	now := reading{began, time.Now()}
	unknown := map[string]string{}
	for i := range plan.Unknown {
		unknown[plan.Unknown[i].Org] = plan.Unknown[i].Part
	}
	find := liveOrgs(r.live)
	clients := map[string]string{}
	var whole, configured []string
	for domain, o := range r.declared {
		clients[domain] = o.ClientID
		part, unread := unknown[domain]
		live := find(o)
		if live == nil || unread && part == "" {
			continue
		}
		whole = append(whole, domain)
		if k, kept := r.configurations.kept[live.ID]; !unread && (!kept || !k.at.Before(began)) {
			configured = append(configured, domain)
		}
	}
	s := r.culprits.seen
	s.note(now, false, whole...)
	s.note(now, true, configured...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = clients
}

// clientID returns the id of the service app that is declared for an org.
func (s *sightings) clientID(domain string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[domain]
}
