package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/replicas"
	"reconciler/internal/web"
)

const (
	// shareEvery is how often a replica reads what the others have shared.
	shareEvery = time.Second
	// confirmEvery is how often the leader confirms that its status is still true.
	confirmEvery = 5 * time.Second
	// mirrorFor is how old the leader's status may be for a standby to be ready. If the
	// leader is gone, another replica leads long before.
	mirrorFor = 30 * time.Second
	// compareEvery is how often a replica compares its clock with the database's.
	compareEvery = time.Minute
	// answeredFor is how long ago the database may have answered last for a replica to be
	// ready: about as long as the lead of one that is cut off lasts.
	answeredFor = 10 * time.Second
)

// replica is what a daemon shares with others that use the same database. Any of them
// answers: requests to a standby reach the leader through the database, and a standby
// shows the leader's status.
type replica struct {
	store *replicas.Store
	// inForce is the reconciler in force.
	inForce atomic.Pointer[reconcile.Reconciler]
	// lead is what makes this replica the leader; nil if it doesn't lead, or doesn't know
	// yet who does.
	lead atomic.Pointer[journal.Lead]
	// answered is when the database answered last.
	answered atomic.Pointer[time.Time]
	outage   *outage
	// people is the journal that operators write to: it holds no lock, because they may
	// act on any replica.
	people *journal.Journal

	mu sync.Mutex
	// published counts the changes of the status that was published last, with why it was
	// not ready, and at is when that was last said to be
	// true. mirrored is the digest of the status that is shown.
	published uint64
	why       string
	at        time.Time
	mirrored  string
	// places are where orgs are declared, as they were published last, and mirroredPlaces
	// is the digest of those that are shown.
	places         reconcile.Places
	mirroredPlaces string

	// These are used by share alone.
	// keyed reports whether the key of sessions is that of all.
	keyed bool
	// problem is what was logged last.
	problem string
	// compared is when the clocks were compared last, and skewed reports whether they
	// differed.
	compared time.Time
	skewed   bool
}

// newReplica returns what is shared in a database, which it looks at. The error is that a
// newer version of the program has used it.
func newReplica(store *replicas.Store, people *journal.Journal, log *slog.Logger, outage *outage) (*replica, error) {
	p := &replica{store: store, people: people, outage: outage}
	p.hasAnswered()
	err := store.Check()
	switch {
	case errors.Is(err, replicas.ErrNewer):
		return nil, errors.Join(err, p.Close())
	case err != nil:
		outage.note(log, err)
	}
	return p, nil
}

// hasAnswered notes that the database answers.
func (p *replica) hasAnswered() {
	now := time.Now()
	p.answered.Store(&now)
}

// leads reports whether this replica leads, as far as it knows.
func (p *replica) leads() bool {
	lead := p.lead.Load()
	return lead != nil && !lead.IsLost()
}

// notReady returns why the replica isn't ready, whatever runs have found; empty if there
// is no reason. standsBy is set while it knows that another one leads.
func (p *replica) notReady(now time.Time, standsBy bool) string {
	if at := *p.answered.Load(); now.Sub(at) > answeredFor {
		return "the database has not answered since " + at.UTC().Format(time.RFC3339)
	}
	if !standsBy && !p.leads() {
		return "this replica doesn't lead, and doesn't know which one does"
	}
	return ""
}

// Close closes the connections.
func (p *replica) Close() error { return errors.Join(p.store.Close(), p.people.Close()) }

// beginSharing starts sharing, and returns a function that ends it.
func (d *daemon) beginSharing(ctx context.Context) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var sharing sync.WaitGroup
	sharing.Go(func() { d.share(ctx) })
	return func() {
		stop()
		sharing.Wait()
	}
}

// share exchanges with the other replicas every second, until ctx ends.
func (d *daemon) share(ctx context.Context) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for {
		d.shareOnce()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// shareOnce exchanges once. A failure is logged once, and the next exchange tries again.
func (d *daemon) shareOnce() {
	p := d.replica
	err := d.shareSessions()
	if err != nil {
		p.outage.note(d.log, err)
	} else {
		p.outage.end(d.log)
		d.refresh(p.inForce.Load()) // what was done at another one
		err = d.checkClock(time.Now)
	}
	if leader, _ := d.tracker.refuses(); leader != nil {
		err = errors.Join(err, d.mirror())
	} else if p.leads() && p.inForce.Load().MayWrite() == nil {
		err = errors.Join(err, d.publish(time.Now()), d.answer())
	}
	switch {
	case err == nil && p.problem != "":
		if replicas.OutageIn(p.problem) == "" { // whose end is logged by itself
			d.log.Info("the replicas know of each other again")
		}
		p.problem = ""
	case err != nil && p.problem != err.Error():
		d.log.Warn("this replica can't tell others what it knows, or learn what they know", errorAttrs(err)...)
		p.problem = err.Error()
	}
}

// checkClock compares the clock of this machine, which now reads, with the database's once
// a minute. When they begin to differ, or to agree again, it is logged and in the status.
func (d *daemon) checkClock(now func() time.Time) error {
	p := d.replica
	if time.Since(p.compared) < compareEvery {
		return nil
	}
	skew, err := p.store.Skew(now)
	if err != nil {
		return err
	}
	p.compared = time.Now()
	if (skew != "") == p.skewed {
		return nil
	}
	p.skewed = skew != ""
	d.tracker.updateOwn(func(s *api.Status) { s.Clock = skew })
	if p.skewed {
		d.log.Warn(skew, "hint", "set it (NTP): runs begin, windows open and cool-offs end by it while this replica leads, and it takes no suspension with an end")
	} else {
		d.log.Info("this machine's clock and the database's agree again")
	}
	return nil
}

// publish tells the others the status, if it has changed. What is due now is part of it:
// the clocks of the others may differ.
func (d *daemon) publish(now time.Time) error {
	p := d.replica
	p.mu.Lock()
	defer p.mu.Unlock()
	changes, why := d.tracker.changes(), d.tracker.unsuccessful(now)
	same := changes == p.published && why == p.why
	if same && now.Sub(p.at) < confirmEvery {
		return nil
	}
	if same {
		if err := p.store.Confirm(); err != nil {
			return err
		}
		p.at = now
		return nil
	}
	if err := p.publishPlaces(); err != nil {
		return err
	}
	s := d.tracker.read(now)
	// Leave out what changes all the time, and what each replica knows by itself.
	s.Now, s.Clock, s.Suspensions, s.Windows, s.Alarms = time.Time{}, "", nil, nil, nil
	// That this one is being stopped is nothing that the next leader has to show.
	s.Ready, s.NotReady = why == "", why
	data, err := json.Marshal(&s)
	if err == nil {
		err = p.store.Publish(data)
	}
	if err == nil {
		p.published, p.why, p.at = changes, why, now
	}
	return err
}

// publishPlaces tells the others where orgs are declared, if that has changed. p.mu is
// held.
func (p *replica) publishPlaces() error {
	now := p.inForce.Load().Places()
	if now.Same(p.places) {
		return nil
	}
	data, err := now.Marshal()
	if err == nil && data != nil {
		err = p.store.PublishPlaces(data)
	}
	if err == nil {
		p.places, p.mirroredPlaces = now, ""
	}
	return err
}

// mirrorPlaces shows where orgs are declared as the leader knows it. p.mu is held.
func (p *replica) mirrorPlaces() error {
	data, digest, err := p.store.Places(p.mirroredPlaces)
	if err != nil || digest == p.mirroredPlaces {
		return err
	}
	if err := p.inForce.Load().SetPlaces(data); err != nil {
		return err
	}
	p.mirroredPlaces = digest
	return nil
}

// answer takes up the requests to other replicas. A request stays in the database until
// the published status shows that its run has begun: so it survives this process, and
// other replicas can find the run at any time.
func (d *daemon) answer() error {
	all, err := d.replica.store.Requests()
	for _, r := range all {
		if r.Kind == replicas.Push {
			d.pushes.Notify()
			err = errors.Join(err, d.replica.store.Answered(r.ID))
			continue
		}
		err = errors.Join(err, d.answerRun(r))
	}
	return err
}

// answerRun takes up a request to run.
func (d *daemon) answerRun(r replicas.Request) error {
	switch d.requests.state(r.ID) {
	case api.RunQueued:
		return nil
	case api.RunRunning: // or it has ended since
		if err := d.publish(time.Now()); err != nil {
			return err
		}
		return d.replica.store.Answered(r.ID)
	}
	begun, err := d.replica.inForce.Load().History().FindRun(r.ID)
	switch {
	case err != nil:
		return err
	case begun != nil: // by an earlier leader
		return d.replica.store.Answered(r.ID)
	}
	d.requests.offer(r.ID, r.By)
	return nil
}

// mirror shows the leader's status.
func (d *daemon) mirror() error {
	p := d.replica
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published, p.places = 0, reconcile.Places{} // publish all of it if this one leads later
	got, err := p.store.Status(p.mirrored)
	if err != nil || got.Digest == "" {
		return err
	}
	if got.Digest == p.mirrored {
		d.tracker.mirror(nil, time.Now().Add(-got.Age))
		return nil
	}
	if err := p.mirrorPlaces(); err != nil {
		return err
	}
	var leader api.Status
	if err := json.Unmarshal(got.Content, &leader); err != nil {
		return fmt.Errorf("the status of the replica that leads can't be read, as if that was of another version: %w", err)
	}
	p.mirrored = got.Digest
	d.tracker.mirror(&leader, time.Now().Add(-got.Age))
	return nil
}

// mirrorNow shows the leader's status as it is now, unless this one leads.
func (d *daemon) mirrorNow() error {
	if leader, _ := d.tracker.refuses(); leader == nil {
		return nil
	}
	return d.mirror()
}

// shareSessions makes sessions valid on each replica, and ends those that were ended on
// another one.
func (d *daemon) shareSessions() error {
	p := d.replica
	if !p.keyed {
		key, err := p.store.Key(d.memory.Key())
		if err != nil {
			return err
		}
		d.memory.SetKey(key)
		p.keyed = true
	}
	revoked, err := p.store.Revoked()
	if err == nil {
		p.hasAnswered()
	}
	d.memory.Revoke(revoked)
	return err
}

// revoke ends a session on the other replicas.
func (d *daemon) revoke(session string, until time.Time) {
	if err := d.replica.store.Revoke(session, until); err != nil {
		d.log.Warn("who signed out here may still be signed in at other replicas", errorAttrs(err)...)
	}
}

// announce passes a push on to the leader, which may be this one.
func (d *daemon) announce() error {
	if leader, _ := d.tracker.refuses(); leader == nil {
		d.pushes.Notify()
		return nil
	}
	_, err := d.replica.store.Ask(replicas.Request{Kind: replicas.Push, ID: web.NewRunID(time.Now())})
	return err
}

// operator returns an operator that acts in somebody's name.
func (d *daemon) operator(r *reconcile.Reconciler, by string) *reconcile.Operator {
	o := r.Operator(by, d.unrecorded)
	if d.replica != nil {
		o.Journal = d.replica.people
	}
	return o
}

// sharedRun is what replicas share about a run that has ended.
type sharedRun struct {
	Plan        []byte        `json:"plan,omitempty"`
	PlanOmitted int           `json:"planOmitted,omitempty"`
	Log         []api.LogLine `json:"log"`
	LogOmitted  int           `json:"logOmitted,omitempty"`
}

// share makes what is kept of a run available to other replicas.
func (k *keptRuns) share(id string) error {
	if k == nil || k.store == nil {
		return nil
	}
	k.mu.Lock()
	r := k.find(id)
	var shared sharedRun
	if r != nil {
		shared = sharedRun{Log: append([]api.LogLine{}, r.log.lines...), LogOmitted: r.log.omitted}
		if r.plan != nil {
			shared.Plan, shared.PlanOmitted = r.plan.data, r.plan.omitted
		}
	}
	k.mu.Unlock()
	data, err := json.Marshal(&shared)
	if r == nil || err != nil {
		return err
	}
	return k.store.KeepRun(id, data)
}

// fetch returns what another replica keeps of a run; nil if none does.
func (k *keptRuns) fetch(id string) (*keptRun, error) {
	data, err := k.store.RunKept(id)
	if err != nil || data == nil {
		return nil, err
	}
	var shared sharedRun
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&shared); err != nil {
		return nil, fmt.Errorf("what is kept of the run %q can't be read: %w", id, err)
	}
	r := &keptRun{id: id, log: keptLog{lines: shared.Log, omitted: shared.LogOmitted}}
	if shared.Plan != nil {
		r.plan = &keptPlan{data: shared.Plan, omitted: shared.PlanOmitted}
	}
	return r, nil
}
