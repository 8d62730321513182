package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"reconciler/internal/okta/simulator"
)

type simulateFlags struct {
	listen  string
	seed    string
	orgs    int
	latency time.Duration
	faults  []string
	dir     string
	dump    string
	dpop    bool
}

func (a *app) simulateCommand() *cobra.Command {
	var flags simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulator of Okta on loopback, and write a config for it",
		Long: `Serve a simulator of Okta's token endpoint, Aerial API, Org Creator API, System
Log and the API of each org on loopback until stopped, and write a config for it, so that
"reconciler diff --config ..." works at once. See docs/simulator.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), &flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:0", "loopback `ADDRESS` to serve on; port 0 takes any free port")
	f.StringVar(&flags.seed, "seed", "", "start with the account in this YAML `FILE`")
	f.IntVar(&flags.orgs, "orgs", 20, "without --seed: `NUMBER` of managed orgs")
	f.DurationVar(&flags.latency, "latency", 0, "added delay of each call, a `DURATION`")
	f.StringArrayVar(&flags.faults, "fault", nil, "make calls fail, as this `FAULT` says, such as 'GET /api/v1/orgs status=429 times=3'; may be repeated")
	f.BoolVar(&flags.dpop, "dpop", false, "require DPoP from the client in the config")
	f.StringVar(&flags.dir, "dir", "", "write config, keys and manifests into this `FOLDER` (default: a new temporary folder)")
	f.StringVar(&flags.dump, "dump", "", "at the end, write the account to this YAML `FILE`, for --seed")
	return cmd
}

func (a *app) simulate(ctx context.Context, flags *simulateFlags) error {
	logger, err := a.logger()
	if err != nil {
		return err
	}
	if err := simulator.CheckListen(flags.listen); err != nil {
		return err
	}
	switch {
	case flags.orgs < 1:
		return fmt.Errorf("--orgs %d: must be at least 1", flags.orgs)
	case flags.latency < 0:
		return fmt.Errorf("--latency %v: must not be negative", flags.latency)
	}
	seed, err := flags.readSeed()
	if err != nil {
		return err
	}
	access, err := simulator.Grant(seed, jose.RS256, flags.dpop, "okta.accounts.read", "okta.accounts.manage", "okta.logs.read")
	if err != nil {
		return err
	}
	if err := simulator.GrantOrgs(seed, access, jose.RS256); err != nil {
		return err
	}
	sim, err := newSimulator(seed, flags, logger)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	access.URL = "http://" + listener.Addr().String()
	if err := a.announce(seed, *access, flags.dir); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := sim.Serve(ctx, listener); err != nil {
		return err
	}
	if flags.dump == "" {
		return nil
	}
	dump, err := sim.Dump().YAML()
	if err != nil {
		return err
	}
	if err := os.WriteFile(flags.dump, dump, 0o600); err != nil {
		return fmt.Errorf("--dump: %w", err)
	}
	return nil
}

func (f *simulateFlags) readSeed() (*simulator.Seed, error) {
	if f.seed == "" {
		return simulator.DefaultSeed(f.orgs), nil
	}
	data, err := os.ReadFile(f.seed)
	if err != nil {
		return nil, fmt.Errorf("--seed: %w", err)
	}
	return simulator.LoadSeed(f.seed, data)
}

func newSimulator(seed *simulator.Seed, f *simulateFlags, logger *slog.Logger) (*simulator.Simulator, error) {
	sim, err := simulator.New(seed, simulator.Options{Latency: f.latency, Logger: logger})
	if err != nil {
		return nil, err
	}
	for _, text := range f.faults {
		fault, err := simulator.ParseFault(text)
		if err != nil {
			return nil, fmt.Errorf("--fault %w", err)
		}
		if err := sim.AddFault(fault); err != nil {
			return nil, fmt.Errorf("--fault: %w", err)
		}
	}
	return sim, nil
}

// announce writes the config, and prints it and its path.
func (a *app) announce(seed *simulator.Seed, access simulator.Access, dir string) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "reconciler-simulator-"); err != nil {
			return err
		}
	}
	path, err := simulator.WriteConfig(dir, seed, access)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n# serving %s; stop with Ctrl-C\n# this config is %s\n# try: reconciler diff --config %s\n",
		text, access.URL, path, filepath.Clean(path))
	return nil
}
