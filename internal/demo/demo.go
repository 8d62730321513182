// Package demo shows what the program does on a simulator and a git repository in
// a temporary folder. It runs the commands that a user runs, and after each of
// them checks at the simulator that what they say really happened.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/git/gitrepo"
	"reconciler/internal/okta/simulator"
)

// Options is what the demo needs from the program that it shows.
type Options struct {
	// Out gets the story, and what the commands print.
	Out io.Writer
	// Environ is the environment of a process that the demo starts.
	Environ []string
	// Command runs a command of the program in this process, with out as its
	// stdout, and returns its exit code.
	Command func(ctx context.Context, out io.Writer, args ...string) (exitCode int)
	// Daemon runs the daemon with the config file in the given mode until ctx
	// ends. It calls listening with the address that it serves.
	Daemon func(ctx context.Context, config, mode string, listening func(address string)) error
	// Keep leaves simulator and daemon running at the end, until ctx ends.
	Keep bool
}

// demo is a simulated account, a git repository, and what is known of them.
type demo struct {
	Options
	dir      string
	config   string
	sim      *simulator.Simulator
	url      string // of the simulator
	parent   string // what the config calls the parent
	repo     *gitrepo.Repo
	fleet    string // the manifest that was committed last
	happened []string
}

// Run tells the whole story. It returns an error as soon as something is not as
// it was told.
func Run(ctx context.Context, opts Options) (err error) {
	dir, err := os.MkdirTemp("", "reconciler-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &demo{Options: opts, dir: dir}
	served, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer func() { stop(); err = errors.Join(err, <-served) }()

	for _, chapter := range []func(context.Context) error{
		d.review, d.plan, d.apply, d.drift, d.repair, d.refuse, d.onboard,
		d.configure, d.deleteByHand, d.lockOut,
	} {
		if err := chapter(ctx); ctx.Err() != nil {
			return ctx.Err() // whatever it led to
		} else if err != nil {
			return err
		}
	}
	d.say("\nAll of this really happened, on the simulator's side too:")
	for _, fact := range d.happened {
		d.say("  - " + fact)
	}
	if opts.Keep {
		return d.keep(ctx)
	}
	d.say("\nNext: reconciler simulate gives you a simulator of your own to play with.")
	return nil
}

// settle is how long a new org is left alone; Okta asks for 30 seconds.
const settle = 2 * time.Second

// start commits manifests that describe the account as it is, and serves the
// simulator until ctx ends.
func (d *demo) start(ctx context.Context) (served <-chan error, err error) {
	seed := simulator.DefaultSeed(10)
	for i := range seed.Orgs {
		if sub, _, _ := strings.Cut(seed.Orgs[i].Domain, "."); sub == "acme-emea-retail" || sub == "acme-apac-retail" {
			seed.Orgs[i].Domain, seed.Orgs[i].Cell = sub+".okta.com", "ok1"
			seed.Orgs[i].Products = []string{"P000052", "P000131"}
		}
	}
	access, err := simulator.Grant(seed, jose.RS256, false, "okta.accounts.read", "okta.accounts.manage")
	if err != nil {
		return nil, err
	}
	if err := simulator.GrantOrgs(seed, access, jose.ES256); err != nil {
		return nil, err
	}
	access.Settle, d.parent = settle, access.Parent
	if d.sim, err = simulator.New(seed, simulator.Options{Settle: settle}); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d.url = "http://" + listener.Addr().String()
	access.URL = d.url
	if err := d.write(seed, *access); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	d.say("reconciler demo: a simulated Okta Aerial account with %d orgs, and a git repository.", len(d.managed()))
	done := make(chan error, 1)
	go func() { done <- d.sim.Serve(ctx, listener) }()
	return done, nil
}

// write writes the config, and makes the repository with a first commit.
func (d *demo) write(seed *simulator.Seed, access simulator.Access) (err error) {
	if err := d.writeConfig(seed, access); err != nil {
		return err
	}
	if d.repo, err = gitrepo.Init(filepath.Join(d.dir, "orgs.git")); err != nil {
		return err
	}
	return d.commit("declare the fleet as it is", string(simulator.Manifest(seed)))
}

// writeConfig writes a config that takes the manifests from git.
func (d *demo) writeConfig(seed *simulator.Seed, access simulator.Access) error {
	path, err := simulator.WriteConfig(d.dir, seed, access)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	git := fmt.Sprintf("git: {url: %q, branch: main, path: orgs}\nschedule: \"@every 1s\"\nhttp: {address: 127.0.0.1:0}", filepath.Join(d.dir, "orgs.git"))
	text = regexp.MustCompile(`(?m)^manifests:.*$`).ReplaceAllLiteral(text, []byte(git))
	d.config = path
	return os.WriteFile(path, text, 0o600)
}

// keep leaves a daemon and the simulator running until the program is stopped.
func (d *demo) keep(ctx context.Context) error {
	return d.daemon(ctx, modeApply, func(ctx context.Context, address string) error {
		d.say("\nStill running, until Ctrl-C:\n  daemon     http://%s/\n  simulator  %s\n  config     %s\n  manifests  %s",
			address, d.url, d.config, filepath.Join(d.repo.Dir(), "orgs"))
		<-ctx.Done()
		return nil
	})
}

func (d *demo) commit(message, fleet string) error {
	d.fleet = fleet
	_, err := d.repo.Commit(message, map[string]string{"orgs/fleet.yaml": fleet})
	return err
}

func (d *demo) managed() []simulator.Org {
	return slices.DeleteFunc(d.sim.Orgs(), func(o simulator.Org) bool { return !o.Managed })
}

func (d *demo) chapter(title string) { d.say("\n== %s", title) }

func (d *demo) fact(format string, args ...any) {
	d.happened = append(d.happened, fmt.Sprintf(format, args...))
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }
