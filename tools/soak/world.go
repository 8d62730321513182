package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/okta/simulator"
)

// world is the simulator, the files of the program, and its processes.
type world struct {
	opts     options
	random   *rand.Rand
	dir      string
	program  string
	config   string
	products []string
	okta     *okta
	server   *http.Server
	log      *os.File
	// wanted are the products that the manifests declare, by domain; create are
	// the domains of orgs that the program is to create.
	wanted map[string][]string
	create []string

	writer  *process // the daemon, or an apply, that is killed again and again
	watcher *process // a daemon that only reports, and lives to the end
	memory  []int64  // of the watcher in bytes, each time it was looked at
	signals map[string]int
}

func newWorld(opts options) (_ *world, err error) {
	w := &world{
		opts: opts, random: rand.New(rand.NewPCG(opts.seed, 0)), program: opts.program,
		wanted: map[string][]string{}, signals: map[string]int{},
	}
	if w.dir, err = os.MkdirTemp("", "reconciler-soak-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.log, err = os.Create(filepath.Join(w.dir, "log")); err != nil {
		return nil, err
	}
	if w.program == "" {
		w.program = filepath.Join(w.dir, "reconciler")
		build := exec.Command("go", "build", "-trimpath", "-o", w.program, "./cmd/reconciler")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building the program (run soak from the top of the repository): %w", err)
		}
	}
	return w, w.serve()
}

// serve starts the simulator, and writes a config for it.
func (w *world) serve() error {
	seed := simulator.DefaultSeed(w.opts.orgs)
	seed.Limits.CreatePerMinute = 60
	for _, p := range seed.Products {
		w.products = append(w.products, p.ID)
	}
	for _, o := range seed.Orgs {
		if o.Managed && !o.AerialOrg {
			w.wanted[o.Domain] = slices.Clone(o.Products)
		}
	}
	access, err := simulator.Grant(seed, jose.ES256, false, "okta.accounts.read", "okta.accounts.manage", "okta.logs.read")
	if err != nil {
		return err
	}
	access.Settle = time.Second
	sim, err := simulator.New(seed, simulator.Options{Settle: time.Second, TokenLifetime: time.Minute, RandSeed: w.opts.seed})
	if err != nil {
		return err
	}
	w.okta = newOkta(sim)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	access.URL = "http://" + listener.Addr().String()
	w.server = &http.Server{Handler: w.okta, ReadHeaderTimeout: time.Minute}
	go w.server.Serve(listener) //nolint:errcheck // ends with the program
	for _, text := range faults {
		f, err := simulator.ParseFault(text)
		if err != nil {
			return err
		}
		if err := sim.AddFault(f); err != nil {
			return err
		}
	}
	if w.config, err = simulator.WriteConfig(w.dir, seed, *access); err != nil {
		return err
	}
	return errors.Join(w.configure(), w.declare())
}

// faults are what calls meet by chance.
var faults = []string{
	"POST /api/v1/orgs api=org probability=0.05 status=500 after",
	"POST /api/v1/orgs api=org probability=0.05 cut after",
	"POST /api/v1/orgs api=org probability=0.05 cut-body",
	"POST /api/v1/orgs api=org probability=0.1 status=429 retry-after=2s",
	"POST /oauth2/v1/token probability=0.02 status=429 retry-after=1s",
	"PUT /api/v1/orgs/*/products probability=0.05 status=500 after",
	"PUT /api/v1/orgs/*/products probability=0.05 cut after",
	"PUT /api/v1/orgs/*/products probability=0.05 cut",
	"PUT /api/v1/orgs/*/products probability=0.05 status=429 retry-after=1s",
	"POST /api/v1/orgs api=aerial probability=0.05 status=500 after",
	"GET /** probability=0.003 status=503",
	"GET /** probability=0.003 cut",
}

// configure adds to the config what lets the program do as much as it can, and
// writes another one for the daemon that only reports.
func (w *world) configure() error {
	text, err := os.ReadFile(w.config)
	if err != nil {
		return err
	}
	const guards = "guards: {maxDestructiveOrgs: 100000, maxDestructivePercent: 100, maxDestructiveOrgsPerDay: 100000, maxNewOrgs: 100000}\n"
	writer := string(text) + "mode: apply\nschedule: '@every 3s'\nhttp: {address: '127.0.0.1:0'}\n" + guards
	state := filepath.Join(w.dir, "state")
	watcher := strings.ReplaceAll(string(text), state, state+"-watcher") + "mode: report\nschedule: '@every 2s'\nhttp: {address: '127.0.0.1:0'}\n"
	return errors.Join(
		os.WriteFile(w.config, []byte(writer), 0o600),
		os.WriteFile(w.watcherConfig(), []byte(watcher), 0o600),
	)
}

func (w *world) watcherConfig() string { return filepath.Join(w.dir, "watcher.yaml") }

// declare writes the manifests, in one step.
func (w *world) declare() error {
	var b strings.Builder
	b.WriteString("version: 1\norgs:\n")
	domains := make([]string, 0, len(w.wanted))
	for d := range w.wanted {
		domains = append(domains, d)
	}
	slices.Sort(domains)
	for _, d := range domains {
		fmt.Fprintf(&b, "  - domain: %s\n    products: [%s]\n", d, strings.Join(w.wanted[d], ", "))
		if slices.Contains(w.create, d) {
			fmt.Fprintf(&b, "    cell: ok1\n    create: {parent: acme, name: Soak, website: 'https://acme.example', admin: {firstName: Ada, lastName: Admin, email: ada@acme.example, login: ada@acme.example}}\n")
		}
	}
	file := filepath.Join(w.dir, "orgs", "orgs.yaml")
	if err := os.WriteFile(file+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (w *world) close() {
	w.writer.end()
	w.watcher.end()
	if w.server != nil {
		w.server.Close()
	}
	if w.log != nil {
		w.log.Close()
	}
	if w.opts.keep {
		fmt.Println("kept", w.dir)
		return
	}
	os.RemoveAll(w.dir)
}

// process is a running program. Its stdout and stderr lead to the log, through a
// pipe that can be closed.
type process struct {
	cmd    *exec.Cmd
	reader *os.File
	done   chan struct{}
}

// start starts the program with a config and other arguments.
func (w *world) start(config string, args ...string) (*process, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(w.program, append(args, "--config", config)...)
	cmd.Stdout, cmd.Stderr = writer, writer
	err = cmd.Start()
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, err
	}
	p := &process{cmd: cmd, reader: reader, done: make(chan struct{})}
	go io.Copy(w.log, reader) //nolint:errcheck // ends with the process, or when the pipe is closed
	go func() {
		cmd.Wait() //nolint:errcheck // its state has the code
		close(p.done)
	}()
	return p, nil
}

// ended reports whether the process ends within a time.
func (p *process) ended(within time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		return false
	}
}

// end kills a process that is still there.
func (p *process) end() {
	if p == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.done
	p.reader.Close()
}

// command runs a command to its end. What it prints is part of the error.
func (w *world) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, w.program, append(args, "--config", w.config)...)
	out, err := cmd.CombinedOutput()
	fmt.Fprintf(w.log, "$ %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		return fmt.Errorf("reconciler %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// rss is a process's resident memory in bytes, 0 where it isn't known.
func (p *process) rss() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	fmt.Sscan(string(data), &size, &resident)
	return resident * int64(os.Getpagesize())
}
