package notify

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reconciler/internal/store/location"
	"reconciler/internal/store/outbox"
)

const (
	// firstRetry and lastRetry are the shortest and the longest wait between two tries;
	// each is twice as long as the one before. longestWait is how long a receiver may ask
	// to be left alone.
	firstRetry  = time.Second
	lastRetry   = time.Minute
	longestWait = time.Hour
	// giveUpAfter is how long a message is tried, and patience for how long a process that
	// runs tries one that is older, because nobody was here to send it.
	giveUpAfter = 24 * time.Hour
	patience    = 10 * time.Minute
	// pollEvery is how often the queue on disk is looked at, to which other processes
	// add, and how long a wait lasts at most: timers stop while a machine sleeps.
	pollEvery = 30 * time.Second
	// saveEvery is how often a disk is tried that fails, as each try may take seconds.
	saveEvery = pollEvery / 2
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
	// State is where the queue is kept; the zero location to keep it in memory alone.
	State location.Location
	// Logger and Observer may be nil.
	Logger   *slog.Logger
	Observer Observer
	// Transport sends the messages; nil for the usual one.
	Transport http.RoundTripper
}

// Sender queues messages and sends them. Each receiver gets its messages in their order,
// and waits for no other one.
//
// What is queued is decided in queue.go, and stored in disk.go. What is sent, and when
// again, is decided in delivery.go; one request is made in post.go.
type Sender struct {
	opts   Options
	log    *slog.Logger
	store  *outbox.Store // nil for memory alone
	client *http.Client

	// mu guards what follows. It is held while the disk is written, which may take
	// seconds; what others see meanwhile is in status.
	mu     sync.Mutex
	queues []*queue // one for each receiver, in the order of the config
	// patience is how long a message older than giveUpAfter is tried.
	patience time.Duration
	// unsaved is what the disk doesn't know yet: more than one change only if it failed.
	unsaved outbox.Change
	// told is what Add was given last, as far as it is not on disk alone.
	told []byte
	// saveError and loadError are why the disk could not be written or read last, and
	// saveAgain is when it may be written again.
	saveError, loadError string
	saveAgain            time.Time
	// loaded is the place in the order up to which the disk was read.
	loaded int64

	// changed receives when the receivers have changed.
	changed chan struct{}
	status  atomic.Pointer[[]Status]
}

// New returns a sender without receivers. It sends nothing before Run or Flush.
func New(opts Options) *Sender {
	s := &Sender{opts: opts, log: opts.Logger, changed: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if !opts.State.IsZero() {
		s.store = outbox.New(opts.State, outbox.Options{Logger: s.log})
	}
	s.client = newClient(opts.Transport)
	return s
}

// Close closes the queue on disk. What is not delivered stays there.
func (s *Sender) Close() error {
	if s.store == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saveAgain = time.Time{} // the last chance
	s.save()
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
			s.drop(q, q.entries, "the config no longer has their receiver")
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

// Run sends messages until ctx ends, and then waits a short time for those in flight. One
// process at a time may do so. It begins with what is queued on disk.
func (s *Sender) Run(ctx context.Context) {
	s.mu.Lock()
	s.patience = patience
	s.mu.Unlock()
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
		s.expire(q, now)
		for _, e := range q.entries {
			if !e.Collected || !e.Ready.After(now) {
				left++
			}
		}
	}
	return left
}

// Forget forgets all that is queued, for when another process has taken over. That one
// sends what is on disk, and finds out anew what isn't: what receivers were told is on
// disk together with the messages.
func (s *Sender) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return
	}
	s.unsaved, s.told, s.loaded = outbox.Change{}, nil, 0
	for _, q := range s.queues {
		q.entries = nil
		q.works()
	}
	s.publish()
}
