package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/git/gitrepo"
	"reconciler/internal/okta/simulator"
)

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole workflow on the simulator; needs no credentials or network",
		Long: `Show the whole workflow on the built-in simulator and a git repository in a
temporary folder: a review, a plan, applying it, drift, its repair, a guard that
refuses a dangerous commit, and a new org whose creation is interrupted. The exit
code is 0 only if all of it happened.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep simulator and daemon running afterwards, and print their URLs")
	return cmd
}

// demo is a simulated account, a git repository, and what is known of them.
type demo struct {
	app      *app
	dir      string
	config   string
	sim      *simulator.Simulator
	url      string // of the simulator
	parent   string // what the config calls the parent
	repo     *gitrepo.Repo
	fleet    string // the manifest that was committed last
	happened []string
}

// demoPatience is how long the demo waits for something that takes a second.
const demoPatience = 15 * time.Second

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "reconciler-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancel(ctx)
	d := &demo{app: a, dir: dir}
	served, err := d.start(ctx)
	if err != nil {
		stop()
		return err
	}
	defer func() { stop(); err = errors.Join(err, <-served) }()

	for _, chapter := range []func(context.Context) error{
		d.review, d.plan, d.apply, d.drift, d.repair, d.refuse, d.onboard,
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
	if keep {
		return d.keep(ctx)
	}
	d.say("\nNext: reconciler simulate gives you a simulator of your own to play with.")
	return nil
}

// The orgs that the demo does something to.
const (
	demoGains     = "acme-emea-retail.okta.com"
	demoNew       = "acme-new.okta.com"
	demoDrifts    = "acme-apac-retail.okta.com"
	demoMade      = "acme-fresh.okta.com"
	demoLifecycle = "P000139"
)

// demoSettle is how long a new org is left alone; Okta asks for 30 seconds.
const demoSettle = 2 * time.Second

// start serves the simulator and commits manifests that describe the account
// as it is.
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
	access.Settle, d.parent = demoSettle, access.Parent
	if d.sim, err = simulator.New(seed, simulator.Options{Settle: demoSettle}); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d.url = "http://" + listener.Addr().String()
	access.URL = d.url
	if err := d.writeConfig(seed, *access); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	done := make(chan error, 1)
	go func() { done <- d.sim.Serve(ctx, listener) }()

	if d.repo, err = gitrepo.Init(filepath.Join(d.dir, "orgs.git")); err != nil {
		return done, err
	}
	d.say("reconciler demo: a simulated Okta Aerial account with %d orgs, and a git repository.", len(d.managed()))
	return done, d.commit("declare the fleet as it is", string(simulator.Manifest(seed)))
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

// review looks at a change as CI does for a pull request: without credentials,
// so without a call to Okta.
func (d *demo) review(ctx context.Context) error {
	d.chapter("A pull request: one org is to gain a product, a new org is to be linked")
	fleet := addProduct(d.fleet, demoGains, demoLifecycle)
	fleet += fmt.Sprintf("  - domain: %s\n    cell: ok1\n    status: ACTIVE\n    products: [P000052, P000131]\n", demoNew)
	if err := d.commit("link acme-new, lifecycle management for EMEA", fleet); err != nil {
		return err
	}
	out, err := d.command(ctx, exitDifferences, "diff", "--base", "main~1", "--offline", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, "Declared change", demoNew, demoLifecycle); err != nil {
		return err
	}
	if n := len(d.sim.Requests()); n > 0 {
		return fmt.Errorf("a review of manifests alone called Okta %d times", n)
	}
	d.fact("diff --base said what the change means for each org, without credentials or a call to Okta")
	return nil
}

func (d *demo) plan(ctx context.Context) error {
	d.chapter("It is merged: what differs from live now?")
	out, err := d.command(ctx, exitDifferences, "diff", "--detailed-exitcode")
	if err != nil {
		return err
	}
	if err := contains(out, demoNew, demoLifecycle, "cannot be undone"); err != nil {
		return err
	}
	if n := len(d.sim.Writes()); n > 0 {
		return fmt.Errorf("the diff wrote %d times", n)
	}
	d.fact("diff showed the plan, marked what cannot be undone, and wrote nothing")
	return nil
}

func (d *demo) apply(ctx context.Context) error {
	d.chapter("Apply it, and look again")
	if _, err := d.command(ctx, exitOK, "apply", "--yes"); err != nil {
		return err
	}
	linked, _ := d.sim.Org(demoNew)
	gained, _ := d.sim.Org(demoGains)
	if !linked.Managed || !slices.Equal(linked.Products, []string{"P000052", "P000131"}) || !slices.Contains(gained.Products, demoLifecycle) {
		return errors.New("the account is not what was applied")
	}
	if _, err := d.command(ctx, exitOK, "diff", "--detailed-exitcode"); err != nil {
		return err
	}
	d.fact("apply linked %s and enabled %s in %s; the next diff was empty", demoNew, demoLifecycle, demoGains)
	return nil
}

func (d *demo) drift(ctx context.Context) error {
	d.chapter("Somebody changes an org by hand, behind git's back")
	if err := d.sim.SetOrgProducts(demoDrifts, []string{"P000052"}, "mallory@acme.example"); err != nil {
		return err
	}
	d.say("  (MFA was taken from %s)\n\nA daemon in report mode looks every second:", demoDrifts)
	writes := len(d.sim.Writes())
	return d.daemon(ctx, config.Report, func(ctx context.Context, address string) error {
		if err := d.await(ctx, address, func(s *daemon.Status) bool {
			return len(s.Drift) == 1 && s.Drift[0].Org == demoDrifts
		}); err != nil {
			return err
		}
		if _, err := d.command(ctx, exitOK, "status", "--address", address); err != nil {
			return err
		}
		if len(d.sim.Writes()) != writes {
			return errors.New("report mode wrote something")
		}
		d.fact("the daemon found the drift of %s on schedule and, in report mode, left it alone", demoDrifts)
		return nil
	})
}

func (d *demo) repair(ctx context.Context) error {
	d.chapter("The same daemon with mode: apply repairs it")
	return d.daemon(ctx, config.Apply, func(ctx context.Context, address string) error {
		if err := d.await(ctx, address, func(s *daemon.Status) bool {
			return s.LastRun.Result == daemon.ResultInSync && len(s.Drift) == 0
		}); err != nil {
			return err
		}
		if _, err := d.command(ctx, exitOK, "status", "--address", address); err != nil {
			return err
		}
		if org, _ := d.sim.Org(demoDrifts); !slices.Equal(org.Products, []string{"P000052", "P000131"}) {
			return fmt.Errorf("%s was not repaired: %v", demoDrifts, org.Products)
		}
		d.fact("in apply mode it put %s right within a second", demoDrifts)
		return nil
	})
}

var anyProducts = regexp.MustCompile(`products: \[.*\]`)

func (d *demo) refuse(ctx context.Context) error {
	d.chapter("A dangerous commit: a script emptied every list of products")
	good := d.fleet
	if err := d.commit("clean up", anyProducts.ReplaceAllString(d.fleet, "products: []")); err != nil {
		return err
	}
	writes := len(d.sim.Writes())
	err := d.daemon(ctx, config.Apply, func(ctx context.Context, address string) error {
		return d.await(ctx, address, func(s *daemon.Status) bool { return s.LastRun.Result == daemon.ResultRefused })
	})
	if err != nil {
		return err
	}
	d.say("The daemon, in apply mode, refuses. So does apply:")
	out, err := d.command(ctx, exitRefused, "apply", "--yes")
	if err != nil {
		return err
	}
	if err := contains(out, "maxDestructivePercent"); err != nil {
		return err
	}
	if len(d.sim.Writes()) != writes {
		return errors.New("something was written although the guard refused")
	}
	d.fact("the guards refused the commit that would have emptied the fleet; nothing was written")
	return d.commit("revert", good)
}

func (d *demo) onboard(ctx context.Context) error {
	d.chapter("A new org, and a process that is killed while it makes it")
	fleet := d.fleet + fmt.Sprintf(`  - domain: %s
    cell: ok1
    products: [P000052, P000131]
    create:
      parent: %s
      name: Acme Fresh
      admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}
`, demoMade, d.parent)
	if err := d.commit("make acme-fresh", fleet); err != nil {
		return err
	}
	if err := d.killedApply(ctx); err != nil {
		return err
	}
	made, _ := d.sim.Org(demoMade)
	if made.Managed || len(made.Tokens) != 1 {
		return errors.New("the process was not killed half-way")
	}
	d.say("(killed with SIGKILL, when the org was made and its token stored, but nothing linked)")
	d.say("\nThe journal knows how far it got. The same command again makes no second org:")
	if _, err := d.command(ctx, exitOK, "apply", "--yes"); err != nil {
		return err
	}
	creations := 0
	for _, r := range d.sim.Requests() {
		if r.Method == http.MethodPost && r.Path == "/api/v1/orgs" {
			creations++
		}
	}
	made, _ = d.sim.Org(demoMade)
	tokens, err := d.tokens()
	switch {
	case err != nil:
		return err
	case creations != 1 || !made.Managed || !slices.Equal(made.Products, []string{"P000052", "P000131"}):
		return fmt.Errorf("after %d creations: %s is not as declared", creations, demoMade)
	case len(tokens) != 1 || tokens[0] != made.Tokens[0]:
		return errors.New("the new org's token is not in the token folder")
	}
	d.fact("%s was made once, although the first apply was killed half-way; its token, which Okta shows once, was safe", demoMade)
	return nil
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
	cmd.Env = d.app.environ
	if err := cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(demoPatience); ; time.Sleep(5 * time.Millisecond) {
		tokens, err := d.tokens()
		if len(tokens) > 0 || err != nil || time.Now().After(end) || ctx.Err() != nil {
			break
		}
	}
	err = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return err
}

// tokens gives the new org's tokens in the token folder.
func (d *demo) tokens() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(d.dir, "tokens", demoMade+"_*.token"))
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

// keep leaves a daemon and the simulator running until the program is stopped.
func (d *demo) keep(ctx context.Context) error {
	return d.daemon(ctx, config.Apply, func(ctx context.Context, address string) error {
		d.say("\nStill running, until Ctrl-C:\n  daemon     http://%s/\n  simulator  %s\n  config     %s\n  manifests  %s",
			address, d.url, d.config, filepath.Join(d.repo.Dir(), "orgs"))
		<-ctx.Done()
		return nil
	})
}

// daemon runs a daemon in the given mode for as long as watch takes.
func (d *demo) daemon(ctx context.Context, mode config.Mode, watch func(ctx context.Context, address string) error) error {
	environ := append(slices.Clone(d.app.environ), "RECONCILER_MODE="+string(mode))
	cfg, _, err := config.Load(d.config, environ)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	address := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		done <- daemon.Run(ctx, cfg, daemon.RunOptions{
			Version:   versionString(),
			Logger:    slog.New(slog.DiscardHandler),
			Listening: func(a net.Addr) { address <- a.String() },
		})
	}()
	select {
	case err := <-done:
		return err
	case at := <-address:
		err := watch(ctx, at)
		stop()
		return errors.Join(err, <-done)
	}
}

// await asks the daemon for its status until it has done a run and the status
// is as wanted.
func (d *demo) await(ctx context.Context, address string, wanted func(*daemon.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for {
		status, err := daemon.FetchStatus(ctx, address)
		if err != nil {
			return err
		}
		if status.LastRun != nil && status.Running == nil && wanted(status) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("waited for the daemon in vain")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// command runs a command of the program as a user would, shows it, and gives
// what it printed on stdout.
func (d *demo) command(ctx context.Context, wanted int, args ...string) (string, error) {
	shown := slices.Clone(args)
	if i := slices.Index(shown, "--address"); i >= 0 {
		shown = slices.Delete(shown, i, i+2)
	}
	d.say("\n$ reconciler %s", strings.Join(shown, " "))
	var out bytes.Buffer
	std := stdio{strings.NewReader(""), io.MultiWriter(&out, d.app.out), d.app.err}
	code := run(ctx, append(args, "--config", d.config, "--log-level", "error"), std, d.app.environ)
	if code != wanted {
		return "", fmt.Errorf("reconciler %s ended with %d instead of %d", args[0], code, wanted)
	}
	if code != exitOK {
		d.say("(exit code %d)", code)
	}
	return out.String(), nil
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

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.app.out, format+"\n", args...) }

// addProduct adds a product to the list of the org with this domain.
func addProduct(fleet, domain, id string) string {
	at := strings.Index(fleet, "domain: "+domain)
	list := strings.Index(fleet[at:], "products: [") + at
	end := strings.Index(fleet[list:], "]") + list
	return fleet[:end] + ", " + id + fleet[end:]
}

func contains(out string, parts ...string) error {
	for _, part := range parts {
		if !strings.Contains(out, part) {
			return fmt.Errorf("the output lacks %q", part)
		}
	}
	return nil
}
