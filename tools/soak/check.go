package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"reconciler/internal/okta/simulator"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
)

// settle lets the program finish in peace, and is an error unless live ends as
// declared.
func (w *world) settle(ctx context.Context) error {
	w.writer.cmd.Process.Signal(syscall.SIGTERM)
	if !w.writer.ended(2 * time.Minute) {
		return errors.New("the process that writes did not end within two minutes of a SIGTERM")
	}
	w.okta.sim.ClearFaults()
	var err error
	for range 10 {
		if err = w.command(ctx, "apply", "--yes"); err == nil {
			break
		}
		if !pause(ctx, 3*time.Second) {
			return context.Cause(ctx)
		}
	}
	if err != nil {
		return err
	}
	return w.command(ctx, "diff", "--detailed-exitcode")
}

// check compares what there is with what there should be, and prints figures.
func (w *world) check() error {
	o := w.okta
	o.mu.Lock()
	defer o.mu.Unlock()
	lost := w.checkCreations()
	w.checkSecrets()
	w.checkMemory()
	fmt.Printf("%d orgs to create, %d created, %d tokens lost and reported\n", len(w.create), len(o.creations), lost)
	for _, name := range slices.Sorted(maps.Keys(w.signals)) {
		fmt.Printf("%-8s %d\n", name, w.signals[name])
	}
	fmt.Printf("%d changes by another admin, %d writes of products, %d of them met a change made after the last look (at most %v before)\n",
		o.foreign, o.writes, o.overlapped, o.longest.Round(time.Millisecond))
	fmt.Printf("%d writes arrived while suspended, all within %v\n", o.late, roundTrip)
	if len(o.violations) > 0 {
		return fmt.Errorf("%d violations", len(o.violations))
	}
	fmt.Println("nothing was lost")
	return nil
}

// checkCreations checks that each org exists once, and that its token is stored
// or reported as lost for a reason. It returns how many were lost.
func (w *world) checkCreations() (lost int) {
	o := w.okta
	j := journal.New(location.Folder(filepath.Join(w.dir, "state")), journal.Options{})
	defer j.Close()
	all, err := j.Creations(simulator.DefaultAccount)
	if err != nil {
		o.violate("the journal can't be read: %v", err)
		return 0
	}
	known := map[string]journal.Creation{}
	for _, c := range all {
		known[c.Domain] = c
	}
	for _, d := range w.create {
		calls := o.creations[d]
		if len(calls) != 1 {
			o.violate("%s was created %d times", d, len(calls))
			continue
		}
		c := known[d]
		stored, _ := filepath.Glob(filepath.Join(w.dir, "tokens", d+"_*"))
		org, _ := o.sim.Org(d)
		switch {
		case c.OrgID != org.ID:
			o.violate("%s is %s, and the journal has %q", d, org.ID, c.OrgID)
		case c.Token == journal.TokenStored && len(stored) == 1 && w.holds(stored[0], org.Tokens):
		case c.Token == journal.TokenLost && (!calls[0].answered || w.killedWithin(calls[0])):
			lost++
		default:
			o.violate("%s: the token is %v in the journal, %d files, answered %v at %s", d, c.Token, len(stored), calls[0].answered, calls[0].done.Format("15:04:05.000"))
		}
	}
	return lost
}

// holds reports whether the file has the org's token.
func (w *world) holds(file string, tokens []string) bool {
	data, err := os.ReadFile(file)
	return err == nil && slices.Contains(tokens, strings.TrimSpace(string(data)))
}

// killedWithin reports whether a SIGKILL fell into a call, or so soon after it
// that the answer may not have been read.
func (w *world) killedWithin(c creation) bool {
	return slices.ContainsFunc(w.okta.kills, func(t time.Time) bool {
		return t.After(c.begun) && t.Before(c.done.Add(roundTrip))
	})
}

// checkSecrets looks for tokens where they must not be.
func (w *world) checkSecrets() {
	files, err := filepath.Glob(filepath.Join(w.dir, "state", "*"))
	if err != nil {
		w.okta.violate("%v", err)
	}
	files = append(files, filepath.Join(w.dir, "log"))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			w.okta.violate("%v", err)
			continue
		}
		text := string(data)
		for _, org := range w.okta.sim.Orgs() {
			for _, token := range org.Tokens {
				if strings.Contains(text, token[:20]) {
					w.okta.violate("the token of %s is in %s", org.Domain, f)
				}
			}
		}
	}
}

// checkMemory compares the second sixth of the time, when everything has been
// done once, with the last one.
func (w *world) checkMemory() {
	n := len(w.memory) / 6
	if n == 0 || w.memory[0] == 0 {
		fmt.Println("memory: too short a time to tell")
		return
	}
	early, late := average(w.memory[n:2*n]), average(w.memory[len(w.memory)-n:])
	fmt.Printf("memory of a daemon: %.1f MB early, %.1f MB at the end, %.1f MB at most\n", mb(early), mb(late), mb(slices.Max(w.memory)))
	// The fleet grows by the orgs that are created.
	if late > early+early/4+(8<<20) {
		w.okta.violate("memory grew from %.1f MB to %.1f MB", mb(early), mb(late))
	}
}

func average(all []int64) (sum int64) {
	for _, n := range all {
		sum += n
	}
	return sum / int64(len(all))
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }
