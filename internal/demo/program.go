package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reconciler/internal/web"
)

// The modes and the exit codes that users of the program know.
const (
	modeReport = "report"
	modeApply  = "apply"

	exitOK          = 0
	exitDifferences = 2
	exitRefused     = 3
)

// patience is how long the demo waits for something that takes a second.
const patience = 15 * time.Second

// command runs a command of the program as a user would, shows it, and returns
// what it printed on stdout.
func (d *demo) command(ctx context.Context, wanted int, args ...string) (string, error) {
	shown := slices.Clone(args)
	if i := slices.Index(shown, "--address"); i >= 0 {
		shown = slices.Delete(shown, i, i+2)
	}
	d.say("\n$ reconciler %s", strings.Join(shown, " "))
	out, err := d.run(ctx, d.Out, wanted, args...)
	if err == nil && wanted != exitOK {
		d.say("(exit code %d)", wanted)
	}
	return out, err
}

// lastLine runs a command that must succeed, and shows the end of what it prints.
func (d *demo) lastLine(ctx context.Context, args ...string) error {
	d.say("\n$ reconciler %s | tail -n 1", strings.Join(args, " "))
	out, err := d.run(ctx, io.Discard, exitOK, args...)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	d.say("%s", lines[len(lines)-1])
	return nil
}

// run runs a command, and returns what it printed on stdout, which shown gets too.
func (d *demo) run(ctx context.Context, shown io.Writer, wanted int, args ...string) (string, error) {
	var out bytes.Buffer
	code := d.Command(ctx, io.MultiWriter(&out, shown), append(args, "--config", d.config)...)
	if code != wanted {
		return "", fmt.Errorf("reconciler %s ended with %d instead of %d", args[0], code, wanted)
	}
	return out.String(), nil
}

// daemon runs a daemon in the given mode for as long as watch takes.
func (d *demo) daemon(ctx context.Context, mode string, watch func(ctx context.Context, address string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	address := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- d.Daemon(ctx, d.config, mode, func(at string) { address <- at }) }()
	select {
	case err := <-done:
		return err
	case at := <-address:
		err := watch(ctx, at)
		stop()
		return errors.Join(err, <-done)
	}
}

// status is what the demo reads of a daemon's status.
type status struct {
	Running *struct{} `json:"running"`
	LastRun *struct {
		Result string `json:"result"`
	} `json:"lastRun"`
	Drift []struct {
		Org string `json:"org"`
	} `json:"drift"`
}

// await reads the daemon's status until it has done a run and the status is as
// wanted.
func (d *demo) await(ctx context.Context, address string, wanted func(*status) bool) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var out bytes.Buffer
		if code := d.Command(ctx, &out, "status", "-o", "json", "--address", address, "--config", d.config); code != exitOK {
			return fmt.Errorf("reconciler status ended with %d", code)
		}
		var s status
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			return fmt.Errorf("the daemon's status: %w", err)
		}
		if s.LastRun != nil && s.Running == nil && wanted(&s) {
			return nil
		}
		if err := web.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the daemon did not get there within %v", patience)
}

// killedApply runs apply in a process of its own, and kills that as soon as it
// has stored the new org's token.
func (d *demo) killedApply(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d.say("\n$ reconciler apply --yes")
	cmd := exec.CommandContext(ctx, self, "apply", "--yes", "--config", d.config, "--log-level", "error")
	cmd.Env = d.Environ
	if err := cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		tokens, err := d.tokens()
		if len(tokens) > 0 || err != nil || time.Now().After(end) || ctx.Err() != nil {
			break
		}
	}
	err = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return err
}

// tokens returns the new org's tokens in the token folder.
func (d *demo) tokens() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(d.dir, "tokens", createdOrg+"_*.token"))
	if err != nil {
		return nil, err
	}
	var tokens []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, strings.TrimSpace(string(text)))
	}
	return tokens, nil
}
