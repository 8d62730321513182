// Command soak runs the program against the simulator for an hour. Meanwhile it kills
// the program, closes its terminal and its pipes, suspends writes, makes calls fail,
// and changes the same orgs as another admin would. Then it checks that nothing was
// lost:
//
//	go run ./tools/soak
//
// It checks that no org was created twice, that each token is stored or reported
// as lost (and lost only where Okta's answer was or a SIGKILL fell into the call),
// that no write took back another admin's change that the run had not seen, that
// none began while writes were suspended, that another run converges in the end,
// and that the memory of a daemon that is not killed stays flat. It exits with 1
// otherwise. The same seed repeats the choices, but not their times.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	opts := options{}
	flag.DurationVar(&opts.length, "for", time.Hour, "how long")
	flag.IntVar(&opts.orgs, "orgs", 40, "managed orgs at the beginning")
	flag.IntVar(&opts.create, "create", 120, "orgs to create meanwhile")
	flag.Uint64Var(&opts.seed, "seed", uint64(time.Now().UnixNano()), "of everything that is left to chance")
	flag.StringVar(&opts.program, "program", "", "the program (default: build it)")
	flag.BoolVar(&opts.keep, "keep", false, "keep the folder with logs and state")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	length       time.Duration
	orgs, create int
	seed         uint64
	program      string
	keep         bool
}

func soak(ctx context.Context, opts options) error {
	fmt.Printf("seed %d, %v\n", opts.seed, opts.length)
	w, err := newWorld(opts)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.trouble(ctx); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.check()
}
