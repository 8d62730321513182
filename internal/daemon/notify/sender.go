package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/store/outbox"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

const (
	// firstRetry and lastRetry are the shortest and the longest wait between two tries;
	// each is twice as long as the one before. longestWait is how long a receiver may ask
	// to be left alone.
	firstRetry  = time.Second
	lastRetry   = time.Minute
	longestWait = time.Hour
	// giveUpAfter is how long a message is tried.
	giveUpAfter = 24 * time.Hour
	// pollEvery is how often the queue on disk is looked at, to which other processes
	// add, and how long a wait lasts at most: timers stop while a machine sleeps.
	pollEvery = 30 * time.Second
	// stopWithin is how long a message in flight may still take when the sender is
	// stopped.
	stopWithin = 5 * time.Second
	// maxMessages and maxBytes bound the queue.
	maxMessages = 10_000
	maxBytes    = 64 << 20
)

// The results of notifications, for an Observer.
const (
	// ResultSent: the receiver took the message. ResultFailed: one try failed.
	ResultSent   = "sent"
	ResultFailed = "failed"
	// ResultGivenUp: the message was tried for a day. ResultDropped: the queue was full,
	// or the config has no such receiver any more.
	ResultGivenUp = "given-up"
	ResultDropped = "dropped"
)

// Observer counts what a Sender does. It must be safe for concurrent use.
type Observer interface {
	// Notified counts a message by the type of its receiver and one of Result….
	Notified(receiverType, result string)
	// Queued sets how many messages are not delivered yet.
	Queued(n int)
}

// Options are what a Sender needs besides its receivers. The zero value works.
type Options struct {
	// Dir is the state folder with the queue; empty to keep it in memory alone.
	Dir string
	// Logger and Observer may be nil.
	Logger   *slog.Logger
	Observer Observer
	// Transport sends the messages; nil for the usual one.
	Transport http.RoundTripper
}

// Sender queues messages and sends them. Each receiver gets its messages in their order,
// and waits for no other one.
type Sender struct {
	opts   Options
	log    *slog.Logger
	store  *outbox.Store // nil for memory alone
	client *http.Client

	mu     sync.Mutex
	queues []*queue // one for each receiver, in the order of the config
	// unsaved is what the disk doesn't know yet: more than one change only if it failed.
	unsaved outbox.Change
	// told is what Add was given last, as far as it is not on disk alone.
	told []byte
	// saveError and loadError are why the disk could not be written or read last.
	saveError, loadError string
	// loaded is the place in the order up to which the disk was read.
	loaded int64
	// changed receives when the receivers have changed.
	changed chan struct{}
}

// queue is what one receiver has to get. Its fields belong to Sender.mu.
type queue struct {
	receiver *Receiver
	entries  []*entry
	wake     chan struct{}
	// served is set while a goroutine sends, and gone once the config no longer has the
	// receiver.
	served, gone bool

	// retry is when the receiver is tried again, after failures in a row, and problem
	// what the last one said.
	retry    time.Time
	failures int
	problem  string
	since    time.Time // of the failures
	sentAt   time.Time
	lost     int // messages that were given up or dropped
}

// entry is a message in a queue.
type entry struct {
	outbox.Message
	urgent  bool
	sending bool
	// retry and failures are about this message alone, which the receiver refuses.
	retry    time.Time
	failures int
}

// place returns the entry's place in the order: what is not on disk yet comes last.
func (e *entry) place() int64 { return cmp.Or(e.Seq, math.MaxInt64) }

// New returns a sender without receivers. It sends nothing before Run or Flush.
func New(opts Options) *Sender {
	s := &Sender{opts: opts, log: opts.Logger, changed: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if opts.Dir != "" {
		s.store = outbox.New(opts.Dir, outbox.Options{Logger: s.log})
	}
	s.client = newClient(opts.Transport)
	return s
}

// Close closes the queue on disk. What is not delivered stays there.
func (s *Sender) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Use replaces the receivers. What one of them has not got yet, one of the same type
// whose URL stands at the same place gets. The rest is dropped, by Run.
func (s *Sender) Use(receivers []*Receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var queues []*queue
	for _, r := range receivers {
		i := slices.IndexFunc(s.queues, func(q *queue) bool { return q.receiver.key == r.key })
		if i < 0 {
			queues = append(queues, &queue{receiver: r, wake: make(chan struct{}, 1)})
			continue
		}
		q := s.queues[i]
		q.receiver, q.retry = r, time.Time{} // the URL may have been set right
		queues = append(queues, q)
	}
	for _, q := range s.queues {
		if !slices.Contains(queues, q) {
			q.gone = true
			s.drop(q, slices.Clone(q.entries), "the config no longer has their receiver")
		}
		q.signal()
	}
	s.queues = queues
	s.save()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Told returns what Add was given last, also by an earlier process; nil if that was never
// called.
func (s *Sender) Told() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil || s.unsaved.Keep != nil {
		return s.told, nil
	}
	kept, err := s.store.Kept()
	if errors.Is(err, outbox.ErrDamaged) { // set aside by the next Add
		return nil, nil
	}
	return kept, err
}

// Add queues what the receivers are told of a report: one message for each at most, and
// one more of what is collected for its digest; none without events. told is what they
// know then, for whoever finds out what is new to them: it is kept together with the
// messages, both or nothing. Add waits for no receiver. If the queue on disk can't be
// written, all of it is in memory until it can.
func (s *Sender) Add(r Report, told []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := map[*queue][]*entry{}
	for _, q := range s.queues {
		entries, err := q.entriesFor(&r)
		if err != nil {
			return err
		}
		added[q] = entries
	}
	for q, entries := range added {
		s.append(q, entries...)
	}
	s.told, s.unsaved.Keep = told, told
	s.limit()
	s.save()
	for _, q := range s.queues {
		q.signal()
	}
	return nil
}

// entriesFor returns what a queue gets of a report.
func (q *queue) entriesFor(r *Report) (entries []*entry, err error) {
	var now, later []Event
	for i := range r.Events {
		switch e := &r.Events[i]; {
		case !q.receiver.wants(e):
		case q.receiver.cfg.Digest.IsZero() || e.Type.Urgent():
			now = append(now, *e)
		default:
			later = append(later, *e)
		}
	}
	at := time.Now()
	for _, part := range []struct {
		events    []Event
		ready     time.Time
		collected bool
	}{{now, at, false}, {later, q.collectedUntil(at), true}} {
		if len(part.events) == 0 {
			continue
		}
		m := &Message{Version: messageVersion, ID: newID(), Account: r.Account, Time: r.Time.UTC(), Run: r.Run, Link: r.Link, Events: part.events}
		e, err := q.entry(m, part.ready, part.collected)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// entry returns the entry of a message.
func (q *queue) entry(m *Message, ready time.Time, collected bool) (*entry, error) {
	content, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("a notification can't be written as JSON: %w", err)
	}
	return &entry{urgent: m.urgent(), Message: outbox.Message{
		ID: m.ID, Receiver: q.receiver.key, Made: time.Now().UTC(), Ready: ready.UTC(), Collected: collected, Content: content,
	}}, nil
}

// append appends entries to a queue.
func (s *Sender) append(q *queue, entries ...*entry) {
	q.entries = append(q.entries, entries...)
	for _, e := range entries {
		s.unsaved.Add = append(s.unsaved.Add, e.Message)
	}
}

// newID returns the id of a message.
func newID() string { return strings.ToLower(rand.Text()) }

// collectedUntil returns until when what is collected from now on has to wait: as long
// as what is collected already.
func (q *queue) collectedUntil(now time.Time) time.Time {
	for _, e := range q.entries {
		if e.Collected && e.Ready.After(now) {
			return e.Ready
		}
	}
	digest := q.receiver.cfg.Digest
	if digest.IsZero() {
		return now
	}
	if next := digest.Next(now); !next.IsZero() {
		return next
	}
	return now // a schedule without further times
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// save writes to disk what it doesn't know yet. After a failure it is tried again with
// the next change, and every pollEvery. s.mu is held.
func (s *Sender) save() {
	n := 0
	for _, q := range s.queues {
		n += len(q.entries)
	}
	if s.opts.Observer != nil {
		s.opts.Observer.Queued(n)
	}
	if s.store == nil || s.unsaved.IsZero() {
		s.unsaved = outbox.Change{}
		return
	}
	err := s.store.Change(s.unsaved)
	if err != nil {
		if s.saveError != err.Error() {
			s.saveError = err.Error()
			s.log.Warn("notifications are queued in memory alone, and would be lost or sent twice after a restart", "error", err.Error(), "hint", text.Hint(err))
		}
		return
	}
	if s.saveError != "" {
		s.saveError = ""
		s.log.Info("notifications are queued on disk again")
	}
	s.unsaved = outbox.Change{}
}

// remove takes entries out of a queue.
func (s *Sender) remove(q *queue, entries ...*entry) {
	q.entries = slices.DeleteFunc(q.entries, func(e *entry) bool { return slices.Contains(entries, e) })
	for _, e := range entries {
		s.unsaved.Add = slices.DeleteFunc(s.unsaved.Add, func(m outbox.Message) bool { return m.ID == e.ID })
		s.unsaved.Remove = append(s.unsaved.Remove, e.ID)
	}
}

// drop removes messages that will not be delivered, and says so.
func (s *Sender) drop(q *queue, entries []*entry, why string) {
	if len(entries) == 0 {
		return
	}
	s.remove(q, entries...)
	q.lost += len(entries)
	s.log.Error("notifications were dropped: "+why, "receiver", q.receiver.Name(), "messages", len(entries))
	for range entries {
		s.observe(q, ResultDropped)
	}
}

func (s *Sender) observe(q *queue, result string) {
	if s.opts.Observer != nil {
		s.opts.Observer.Notified(q.receiver.Type(), result)
	}
}

// limit drops messages while there are too many: the oldest that are not urgent, and
// others only if there are no such ones.
func (s *Sender) limit() {
	count, bytes := 0, 0
	for _, q := range s.queues {
		for _, e := range q.entries {
			count++
			bytes += len(e.Content)
		}
	}
	dropped := map[*queue][]*entry{}
	for count > maxMessages || bytes > maxBytes {
		q, e := s.expendable()
		if e == nil {
			break
		}
		q.entries = slices.DeleteFunc(q.entries, func(o *entry) bool { return o == e })
		dropped[q] = append(dropped[q], e)
		count--
		bytes -= len(e.Content)
	}
	for q, entries := range dropped {
		s.drop(q, entries, fmt.Sprintf("more than %d, or %d MB, wait to be delivered", maxMessages, maxBytes>>20))
	}
}

// expendable returns the message that is dropped first; nil if there is none.
func (s *Sender) expendable() (from *queue, oldest *entry) {
	for _, q := range s.queues {
		for _, e := range q.entries {
			switch {
			case e.sending:
			case oldest == nil, oldest.urgent && !e.urgent, oldest.urgent == e.urgent && e.Made.Before(oldest.Made):
				from, oldest = q, e
			}
		}
	}
	return from, oldest
}

// Run sends messages until ctx ends, and then waits a short time for those in flight. One
// process at a time may do so. It begins with what is queued on disk.
func (s *Sender) Run(ctx context.Context) {
	s.load(true)
	var serving sync.WaitGroup
	defer serving.Wait()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		s.mu.Lock()
		for _, q := range s.queues {
			if !q.served {
				q.served = true
				serving.Go(func() { s.serve(ctx, q) })
			}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			s.load(true)
		case <-poll.C:
			s.load(false)
		}
	}
}

// load takes up what other processes have queued on disk, and with unknown drops what is
// for receivers that the config doesn't have.
func (s *Sender) load(unknown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return
	}
	defer s.save()
	after := s.loaded
	if unknown {
		after = 0
	}
	all, err := s.store.Load(after)
	if err != nil {
		if s.loadError != err.Error() {
			s.loadError = err.Error()
			s.log.Warn("what is queued on disk can't be read, and is sent once it can", "error", err.Error(), "hint", text.Hint(err))
		}
		return
	}
	s.loadError = ""
	strangers := map[string]int{}
	for _, m := range all {
		s.loaded = max(s.loaded, m.Seq)
		if slices.Contains(s.unsaved.Remove, m.ID) {
			continue
		}
		i := slices.IndexFunc(s.queues, func(q *queue) bool { return q.receiver.key == m.Receiver })
		if i < 0 {
			if unknown {
				strangers[m.Receiver]++
				s.unsaved.Remove = append(s.unsaved.Remove, m.ID)
			}
			continue
		}
		q := s.queues[i]
		if i := slices.IndexFunc(q.entries, func(e *entry) bool { return e.ID == m.ID }); i >= 0 {
			q.entries[i].Seq = m.Seq
			continue
		}
		var content Message
		err := json.Unmarshal(m.Content, &content)
		if err != nil {
			s.log.Error("a queued notification can't be read and is dropped", "receiver", m.Receiver, "id", m.ID, "error", err.Error())
			s.unsaved.Remove = append(s.unsaved.Remove, m.ID)
			continue
		}
		q.entries = append(q.entries, &entry{Message: m, urgent: content.urgent()})
		q.signal()
	}
	for _, q := range s.queues {
		slices.SortStableFunc(q.entries, func(a, b *entry) int { return cmp.Compare(a.place(), b.place()) })
	}
	for receiver, n := range strangers {
		s.log.Warn("queued notifications are dropped: the config has no such receiver any more", "receiver", text.Visible(receiver), "messages", n)
	}
}

// serve sends what is in a queue, until ctx ends or the receiver is gone.
func (s *Sender) serve(ctx context.Context, q *queue) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.served = false
	}()
	for ctx.Err() == nil {
		e, wait, gone := s.next(q)
		if gone {
			return
		}
		if e != nil {
			s.try(ctx, q, e)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next returns the message to be sent now, or else how long to wait for one.
func (s *Sender) next(q *queue) (e *entry, wait time.Duration, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.gone {
		return nil, 0, true
	}
	now := time.Now()
	s.expire(q, now)
	s.collect(q, now)
	wait = pollEvery
	if until := q.retry.Sub(now); until > 0 {
		return nil, min(wait, until), false
	}
	for _, e := range q.entries {
		at := e.Ready
		if e.retry.After(at) {
			at = e.retry
		}
		until := at.Sub(now)
		if !e.Collected && until <= 0 {
			e.sending = true
			return e, 0, false
		}
		wait = min(wait, max(until, time.Millisecond))
	}
	return nil, wait, false
}

// expire gives up what was tried for too long.
func (s *Sender) expire(q *queue, now time.Time) {
	for _, e := range slices.Clone(q.entries) {
		if e.Collected || now.Sub(e.Ready) < giveUpAfter {
			continue
		}
		s.remove(q, e)
		q.lost++
		s.observe(q, ResultGivenUp)
		m := s.message(e)
		s.log.Error("a notification is given up: it was tried for a day", "receiver", q.receiver.Name(), "id", e.ID, "run", m.Run, "events", len(m.Events), "error", q.problem)
		defer s.save()
	}
}

// collect makes one message of those that were collected until now.
func (s *Sender) collect(q *queue, now time.Time) {
	var due []*entry
	var all []*Message
	for _, e := range q.entries {
		if e.Collected && !e.Ready.After(now) {
			due = append(due, e)
			all = append(all, s.message(e))
		}
	}
	if len(due) == 0 {
		return
	}
	e, err := q.entry(merge(newID(), all), now, false)
	if err != nil {
		s.log.Error("a digest can't be made: this is a bug, please report it", "error", err.Error())
		s.drop(q, due, "they can't be written as one")
		return
	}
	s.remove(q, due...)
	s.append(q, e)
	s.save()
}

// message returns what is in an entry.
func (s *Sender) message(e *entry) *Message {
	var m Message
	if err := json.Unmarshal(e.Content, &m); err != nil {
		s.log.Error("a queued notification can't be read", "id", e.ID, "error", err.Error())
	}
	return &m
}

// try sends a message once, and notes what came of it.
func (s *Sender) try(ctx context.Context, q *queue, e *entry) bool {
	s.mu.Lock()
	receiver, m := q.receiver, s.message(e)
	s.mu.Unlock()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// What is in flight when we are stopped might have been delivered, and be sent again.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, stop) })()
	if m.Run != "" {
		sending = web.WithRun(sending, m.Run)
	}
	err := receiver.send(sending, s.client, m)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.save()
	e.sending = false
	if err != nil {
		s.failed(q, e, err)
		return false
	}
	s.remove(q, e)
	s.observe(q, ResultSent)
	if q.problem != "" {
		s.log.Info("notifications are delivered again", "receiver", q.receiver.Name(), "failingSince", q.since.UTC().Format(time.RFC3339))
	}
	q.retry, q.failures, q.problem, q.since = time.Time{}, 0, "", time.Time{}
	q.sentAt = time.Now().UTC()
	return true
}

// failed notes that a try failed. The same failure again is not logged.
func (s *Sender) failed(q *queue, e *entry, err *sendError) {
	s.observe(q, ResultFailed)
	now := time.Now()
	if err.message {
		e.failures++
		e.retry = now.Add(pause(e.failures, err.wait))
	} else {
		q.failures++
		q.retry = now.Add(pause(q.failures, err.wait))
	}
	if q.since.IsZero() {
		q.since = now
	}
	if q.problem != err.Error() {
		q.problem = err.Error()
		s.log.Warn("a notification was not delivered; it is tried again for a day", "receiver", q.receiver.Name(), "id", e.ID, "error", err.Error(), "hint", err.hint)
	}
}

// pause returns how long to wait after so many failures in a row, of which the last
// asked for a time; somewhat longer each, so that many senders don't come back together.
func pause(failures int, asked time.Duration) time.Duration {
	d := lastRetry
	if failures < 7 {
		d = min(d, firstRetry<<(failures-1))
	}
	d = max(d, min(asked, longestWait))
	return d + mathrand.N(d/5)
}

// Flush sends what can be sent now, each receiver's until the first failure, and returns
// when that is done or ctx ends. It is for when Run doesn't run. It returns how many
// messages that could be sent now are left.
func (s *Sender) Flush(ctx context.Context) int {
	s.load(false)
	s.mu.Lock()
	queues := slices.Clone(s.queues)
	s.mu.Unlock()
	var sending sync.WaitGroup
	for _, q := range queues {
		sending.Go(func() {
			for ctx.Err() == nil {
				e, _, gone := s.next(q)
				if e == nil || gone || !s.try(ctx, q, e) {
					return
				}
			}
		})
	}
	sending.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	left, now := 0, time.Now()
	for _, q := range queues {
		for _, e := range q.entries {
			if !e.Ready.After(now) {
				left++
			}
		}
	}
	return left
}

// Forget forgets the messages that are on disk, for when another process has taken over.
func (s *Sender) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return
	}
	s.unsaved.Remove, s.loaded = nil, 0
	for _, q := range s.queues {
		q.entries = slices.DeleteFunc(q.entries, func(e *entry) bool {
			return !slices.ContainsFunc(s.unsaved.Add, func(m outbox.Message) bool { return m.ID == e.ID })
		})
		q.retry, q.failures, q.problem, q.since = time.Time{}, 0, "", time.Time{}
	}
}

// Status is how one receiver does.
type Status struct {
	// Receiver is its name, and Type its type.
	Receiver, Type string
	// Queued are the messages that it has not got yet.
	Queued int
	// Problem is why the last try failed, and Since when failures began; empty if it
	// didn't.
	Problem string
	Since   time.Time
	// Sent is when it got a message last; zero if it did not since the start.
	Sent time.Time
	// Lost is how many messages were given up or dropped since the start.
	Lost int
}

// Status returns how the receivers do, in the order of the config.
func (s *Sender) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Status{}
	for _, q := range s.queues {
		all = append(all, Status{
			Receiver: q.receiver.Name(), Type: q.receiver.Type(), Queued: len(q.entries),
			Problem: q.problem, Since: q.since, Sent: q.sentAt, Lost: q.lost,
		})
	}
	return all
}
