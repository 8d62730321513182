package daemon

import (
	"context"
	"errors"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/api"
	"reconciler/internal/store/journal"
)

// flushAtStop is how long notifications are sent when the daemon stops, and flushOnce
// when a single run has ended. What is left then waits in the queue on disk.
const (
	flushAtStop = 3 * time.Second
	flushOnce   = 10 * time.Second
)

// send sends notifications beside the runs until stop is called. stop sends what came
// last if ctx, that of the daemon, has ended, and forgets what another daemon sends from
// now on if it has not.
func (d *daemon) send() (stop func(ctx context.Context)) {
	sending, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.sender.Run(sending)
	}()
	return func(ctx context.Context) {
		end()
		<-ended
		if ctx.Err() == nil || d.runner.replaced() {
			d.sender.Forget()
			return
		}
		within, stop := context.WithTimeout(context.Background(), flushAtStop)
		defer stop()
		d.sender.Flush(within)
	}
}

// sendOnce sends the notifications of a single run, and those that earlier ones left. If
// a daemon leads, they are left to it.
func (d *daemon) sendOnce(ctx context.Context) {
	lead, err := d.runner.r.Lead()
	if errors.As(err, new(*journal.HeldError)) {
		return
	}
	if lead != nil {
		defer func() {
			if err := lead.End(); err != nil {
				d.log.Warn("the lead could not be given back", errorAttrs(err)...)
			}
		}()
	}
	within, stop := context.WithTimeout(ctx, flushOnce)
	defer stop()
	switch n := d.sender.Flush(within); {
	case n == 0:
	case !d.cfg.State.IsSet():
		d.log.Error("notifications were not delivered, and are lost", "messages", n, "hint", "set "+config.KeyStateDir+", so that they are queued for the next run")
	default:
		d.log.Warn("notifications were not delivered, and are queued for the next run", "messages", n)
	}
}

// receivers returns the receivers of notifications for the status.
func (d *daemon) receivers() []api.Receiver {
	all := []api.Receiver{}
	for _, s := range d.sender.Status() {
		r := api.Receiver{Name: s.Receiver, Type: s.Type, Queued: s.Queued, Lost: s.Lost, Problem: s.Problem}
		if !s.Since.IsZero() {
			since := s.Since.UTC()
			r.Since = &since
		}
		if !s.Sent.IsZero() {
			r.Sent = &s.Sent
		}
		all = append(all, r)
	}
	return all
}
