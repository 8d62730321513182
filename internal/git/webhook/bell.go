package webhook

// Bell makes one run of many announcements. Make it with NewBell.
type Bell struct{ c chan struct{} }

// NewBell gives a bell that hasn't been rung.
func NewBell() *Bell { return &Bell{make(chan struct{}, 1)} }

// Ring asks for a run. It never waits, and may be called by many goroutines at
// once. A bell that was rung and not yet heard stays rung once: so a burst makes
// one run, and rings during a run make exactly one more after it, which sees
// what the first one was too early for.
func (b *Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// C gives one value for each time that somebody has to run. It is never closed.
func (b *Bell) C() <-chan struct{} { return b.c }
