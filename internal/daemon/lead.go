package daemon

import (
	"context"
	"errors"
	"time"

	"reconciler/internal/daemon/api"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
)

func processOf(h journal.Holder) *api.Process {
	return &api.Process{PID: h.PID, Host: h.Host, Since: h.Started, Command: h.Command}
}

// lead serves the loop while this daemon is the one of its state folder, and stands by
// while another one is, until ctx ends.
func (d *daemon) lead(ctx context.Context) {
	d.loop.first = api.TriggerStart
	again := d.runner.r.LeadEvery()
	for ctx.Err() == nil {
		if !d.standBy(ctx) {
			return
		}
		leading, stop := context.WithCancel(ctx)
		if d.leads != nil {
			stop()
			leading, stop = d.leads.While(ctx)
			again = d.runner.r.LeadEvery()
		} else {
			go askAgain(leading, stop, d.runner.r, again)
			again = min(2*again, maxAgain)
		}
		d.stepDown = stop
		stopSending := d.send()
		d.loop.serve(leading)
		stopSending(ctx)
		stop()
		d.loop.first = api.TriggerTakeover
		if d.leads == nil {
			continue
		}
		d.showLead(nil)
		if err := d.runner.r.MayWrite(); err != nil && ctx.Err() == nil {
			d.log.Error(leadLost, errorAttrs(err)...)
		}
		if err := d.leads.End(); err != nil {
			d.log.Warn("the lead could not be given back", errorAttrs(err)...)
		}
		d.leads = nil
	}
}

// maxAgain bounds the pause before a daemon that doesn't know who leads asks again.
const maxAgain = 30 * time.Second

// askAgain calls stop once it may be known who leads, at the earliest after a pause, which
// grows with each time that it wasn't known after all.
func askAgain(ctx context.Context, stop func(), r *reconcile.Reconciler, pause time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if r.LeadAgain(ctx) {
			stop()
			return
		}
		pause = r.LeadEvery()
	}
}

// standBy waits until this daemon leads, and reports whether it does before ctx ends.
// If that can't be known, as when the state folder can't be written, it returns as
// well: runs report what differs, and write nothing.
func (d *daemon) standBy(ctx context.Context) bool {
	var other *api.Process
	for {
		held, err := d.tryLead()
		if err != nil {
			d.log.Warn("it can't be known whether another daemon uses the state; runs write nothing until it is", errorAttrs(err)...)
		}
		if held == nil {
			if other != nil {
				d.log.Info("taking over")
				d.loop.first = api.TriggerTakeover
				d.forget()
			}
			d.standingBy(nil)
			return ctx.Err() == nil
		}
		if other == nil || *held != *other {
			other = held
			d.standingBy(other)
			d.requests.drop()
			d.log.Info("standing by: another daemon leads", "leader", other.String()) // the endpoints say so by now
		}
		select {
		case <-ctx.Done():
			return false
		case <-d.loop.reload:
			d.loop.reloaded()
		case <-time.After(d.runner.r.LeadEvery()):
		}
	}
}

// tryLead tries to lead, and returns who else does. The error is why that can't be
// known.
func (d *daemon) tryLead() (*api.Process, error) {
	leads, err := d.runner.r.Lead()
	var held *journal.HeldError
	switch {
	case errors.As(err, &held):
		return processOf(held.Holder), nil
	case err != nil:
		return nil, err
	}
	d.leads = leads
	d.showLead(leads)
	return nil, nil
}

// showLead sets what makes this daemon the leader, for metrics and for what replicas
// share; nil if it doesn't lead. Once it is lost, both know that at once.
func (d *daemon) showLead(lead *journal.Lead) {
	d.metrics.lead.Store(lead)
	if d.replica != nil {
		d.replica.lead.Store(lead)
	}
}

// standingBy sets which process leads instead of this one; nil if it leads itself.
func (d *daemon) standingBy(other *api.Process) {
	var lead *journal.Lead
	switch {
	case other != nil:
	case d.leads == nil && d.replica == nil:
		lead = &journal.Lead{} // it does runs, and no other one is known
	default: // while the database can't be reached, each replica reports, and none of them leads
		lead = d.leads
	}
	d.showLead(lead)
	if other != nil {
		setTime(d.metrics.nextRun, time.Time{})
	}
	d.tracker.update(func(s *api.Status) {
		if other != nil || s.StandingBy != nil { // runs of another daemon are none of this one
			s.NextRun, s.Running, s.WaitingFor = nil, nil, nil
		}
		s.StandingBy = other
	})
}

// forget forgets what this daemon knew before another one led.
func (d *daemon) forget() {
	d.runner.forget()
	d.remember(d.runner.r)
}

// takeTurn does a run once it is this process' turn to write. It is what the loop
// calls.
func (d *daemon) takeTurn(ctx context.Context, trigger api.Trigger) {
	if d.leads == nil {
		if other, _ := d.tryLead(); other != nil {
			d.stepDown()
			return
		}
	}
	turn, err := d.runner.r.Turn(ctx, journal.WaitOptions{Limit: journal.Forever, Waiting: d.waiting})
	d.tracker.update(func(s *api.Status) { s.WaitingFor = nil })
	if ctx.Err() != nil {
		if err == nil {
			_ = turn.End()
		}
		return
	}
	if err != nil {
		d.log.Warn("the state can't be locked; this run writes nothing", errorAttrs(err)...)
		d.runner.once(ctx, trigger)
		return
	}
	during, stop := turn.While(ctx)
	defer stop()
	d.runner.once(during, trigger)
	if err := turn.End(); err != nil {
		d.log.Warn("the turn to write could not be given back", errorAttrs(err)...)
	}
}

// waiting says for whom the next run waits.
func (d *daemon) waiting(h journal.Holder) {
	p := processOf(h)
	d.log.Info("the next run waits for another process", "process", p.String())
	d.tracker.update(func(s *api.Status) { s.WaitingFor = p })
}
