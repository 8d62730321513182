package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// trouble goes on for the time that was asked for.
func (w *world) trouble(ctx context.Context) error {
	var err error
	if w.watcher, err = w.start(w.watcherConfig(), "run"); err != nil {
		return err
	}
	start := time.Now()
	nextSignal := start.Add(5 * time.Second)
	nextChange, nextSuspension, resume, nextLook := start, start.Add(20*time.Second), time.Time{}, start.Add(time.Minute)
	for time.Since(start) < w.opts.length {
		now := time.Now()
		if err := w.replace(); err != nil {
			return err
		}
		w.okta.tamper(w.random, w.products)
		if now.After(nextSignal) {
			w.hit()
			nextSignal = now.Add(w.between(2*time.Second, 12*time.Second))
		}
		if now.After(nextChange) {
			if err := w.change(now.Sub(start)); err != nil {
				return err
			}
			nextChange = now.Add(w.between(2*time.Second, 10*time.Second))
		}
		switch {
		case resume.IsZero() && now.After(nextSuspension):
			if err := w.command(ctx, "suspend", "--reason", "soak"); err != nil {
				return err
			}
			w.okta.suspend()
			w.signals["suspend"]++
			resume = now.Add(w.between(2*time.Second, 10*time.Second))
		case !resume.IsZero() && now.After(resume):
			w.okta.resume()
			if err := w.command(ctx, "resume", "--all"); err != nil {
				return err
			}
			resume, nextSuspension = time.Time{}, now.Add(w.between(10*time.Second, time.Minute))
		}
		if now.After(nextLook) {
			w.look(now.Sub(start))
			nextLook = now.Add(max(10*time.Second, w.opts.length/60))
		}
		if !pause(ctx, w.between(200*time.Millisecond, 2*time.Second)) {
			return context.Cause(ctx)
		}
	}
	w.okta.resume()
	_ = w.command(ctx, "resume", "--all") // there may be none
	return nil
}

func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// replace starts another process when the last one has ended: a daemon, or now
// and then an apply whose reader goes away.
func (w *world) replace() error {
	if w.watcher.ended(0) {
		return fmt.Errorf("the daemon that only reports ended by itself: %v", w.watcher.cmd.ProcessState)
	}
	if w.writer != nil && !w.writer.ended(0) {
		return nil
	}
	if w.writer != nil {
		w.writer.reader.Close()
	}
	args := []string{"run"}
	if w.random.IntN(3) == 0 {
		args = []string{"apply", "--yes"}
	}
	p, err := w.start(w.config, args...)
	if err != nil {
		return err
	}
	w.writer = p
	if args[0] == "apply" && w.random.IntN(2) == 0 {
		w.signals["pipe"]++
		p.reader.Close()
	}
	return nil
}

// hit does something to the process that writes.
func (w *world) hit() {
	switch w.random.IntN(5) {
	case 0:
		w.signals["kill"]++
		w.okta.killed()
		w.writer.end()
	case 1:
		w.signals["hup"]++
		w.writer.cmd.Process.Signal(syscall.SIGHUP)
	case 2:
		w.signals["pipe"]++
		w.writer.reader.Close()
	case 3:
		w.signals["term"]++
		w.writer.cmd.Process.Signal(syscall.SIGTERM)
	case 4: // left alone
	}
}

// change edits the manifests: another set of products for one org, and orgs to
// create, evenly over the time.
func (w *world) change(passed time.Duration) error {
	for len(w.create) < int(float64(w.opts.create)*min(1, float64(passed)/float64(w.opts.length)*1.2)) {
		d := fmt.Sprintf("acme-soak-%04d.okta.com", len(w.create))
		w.create = append(w.create, d)
		w.wanted[d] = []string{w.products[0]}
	}
	domains := make([]string, 0, len(w.wanted))
	for d := range w.wanted {
		domains = append(domains, d)
	}
	slices.Sort(domains)
	d := domains[w.random.IntN(len(domains))]
	p := w.products[w.random.IntN(len(w.products))]
	if i := slices.Index(w.wanted[d], p); i >= 0 {
		w.wanted[d] = slices.Delete(slices.Clone(w.wanted[d]), i, i+1)
	} else {
		w.wanted[d] = append(slices.Clone(w.wanted[d]), p)
	}
	return w.declare()
}

// look notes the memory of the daemon that only reports, and prints where we are.
func (w *world) look(passed time.Duration) {
	w.memory = append(w.memory, w.watcher.rss())
	o := w.okta
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Printf("%8v  %d orgs created, %d product writes, %d foreign changes, %v, %d MB, %d violations\n",
		passed.Round(time.Second), len(o.creations), o.writes, o.foreign, w.signals, w.memory[len(w.memory)-1]>>20, len(o.violations))
}
