package webhook

// Notifier turns any number of announcements into one wake-up. Make it with
// NewNotifier.
type Notifier struct{ c chan struct{} }

// NewNotifier returns a Notifier without a pending wake-up.
func NewNotifier() *Notifier { return &Notifier{make(chan struct{}, 1)} }

// Notify asks for a wake-up and returns at once. It may be called by many
// goroutines. At most one wake-up is pending: a burst causes one run, and
// announcements during a run cause exactly one more after it, which sees what
// came too late for the first.
func (n *Notifier) Notify() {
	select {
	case n.c <- struct{}{}:
	default:
	}
}

// C returns the channel on which the pending wake-up is received. It is never
// closed.
func (n *Notifier) C() <-chan struct{} { return n.c }
