package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// defaultConfig is the config file that is read when no other is named.
const defaultConfig = "reconciler.yaml"

// app is one invocation of the program: where it reads and writes, its
// environment, and the flags that all commands have in common.
type app struct {
	stdio
	environ []string
	// hangups returns the channel on which the command receives each SIGHUP, which
	// ends it otherwise. It is nil where no signals are caught.
	hangups func() <-chan struct{}

	configPath string
	logLevel   string
	logFormat  string
	noColor    bool

	// runID is what Okta's log and ours call what this command does; each run of
	// the daemon has an id of its own.
	runID string

	// warned has the warnings of the config that were printed: a command may load it more
	// than once.
	warned map[string]bool
}

// run runs the program with the given arguments and returns its exit code. It may be
// called any number of times in one process.
func run(ctx context.Context, args []string, std stdio, environ []string) int {
	return (&app{stdio: std, environ: environ}).run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	a.runID = web.NewRunID(time.Now())
	return finish(a.err, root.ExecuteContext(web.WithRun(ctx, a.runID)))
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "reconciler",
		Short: "Manage the orgs of an Okta Aerial account from manifests in git",
		Long: `reconciler compares the Okta orgs and products that manifests declare with the
Aerial API, shows the differences, and applies them.

Exit codes: 0 done; 1 error; 2 differences (with --detailed-exitcode); 3 refused
by a guard, or a saved plan no longer fits, nothing was written; 4 partly applied.

Each key of the config file has an environment variable: RECONCILER_ and its path
in upper snake case, such as RECONCILER_AERIAL_ACCOUNT_ID. A flag wins over the
environment, and the environment over the file.`,
		SilenceErrors: true, // printed by finish, in one way for all
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
				return nil // the word to be completed may be empty
			}
			if err := noneEmpty(cmd, args); err != nil {
				return err
			}
			_, err := a.logger() // also for commands that log nothing
			return err
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVar(&a.configPath, "config", a.getenv("RECONCILER_CONFIG", defaultConfig), "read the config from `FILE` (RECONCILER_CONFIG)")
	flags.StringVar(&a.logLevel, "log-level", a.getenv("RECONCILER_LOG_LEVEL", "info"), "log `LEVEL`: debug, info, warn or error (RECONCILER_LOG_LEVEL)")
	flags.StringVar(&a.logFormat, "log-format", a.getenv("RECONCILER_LOG_FORMAT", "text"), "log `FORMAT`: text or json (RECONCILER_LOG_FORMAT)")
	setValues(flags, "log-level", logLevels())
	setValues(flags, "log-format", logFormats())
	flags.BoolVar(&a.noColor, "no-color", false, "don't use colours (NO_COLOR)")

	root.AddCommand(
		a.validateCommand(),
		a.traced(a.diffCommand()),
		a.traced(a.applyCommand()),
		a.tracing(a.runCommand()), // each run is a trace of its own
		a.importCommand(),
		a.getCommand(),
		a.revertCommand(),
		a.adoptCommand(),
		a.historyCommand(),
		a.doctorCommand(),
		a.statusCommand(),
		a.reconcileCommand(),
		a.tokenCommand(),
		a.simulateCommand(),
		a.demoCommand(),
		a.accessCommand(),
		a.acknowledgeCommand(),
		a.suspendCommand(),
		a.resumeCommand(),
		a.stateCommand(),
		a.notifyCommand(),
		a.commentCommand(),
		a.schemaCommand(),
		a.versionCommand(),
		a.completionCommand(),
		a.manCommand(),
	)
	prepareFlags(root)
	return root
}

// prepareFlags keeps the flags of a command, and of those below it, as they are
// declared: related ones together.
func prepareFlags(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	completeValues(cmd)
	for _, c := range cmd.Commands() {
		prepareFlags(c)
	}
}

// unknownCommand refuses arguments of the program itself, which can only be
// mistyped commands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
		names = append(names, c.Aliases...)
	}
	if near := strictyaml.DidYouMean(args[0], names); near != "" {
		return fmt.Errorf("unknown command %q%s", args[0], near)
	}
	return fmt.Errorf("unknown command %q: see %q", args[0], "reconciler --help")
}

// getenv reads a variable from the environment that the program was given.
func (a *app) getenv(name, fallback string) string {
	for _, kv := range slices.Backward(a.environ) {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name && v != "" {
			return v
		}
	}
	return fallback
}

// color reports whether w is a terminal that may be coloured (https://no-color.org).
func (a *app) color(w io.Writer) bool {
	return !a.noColor && a.getenv("NO_COLOR", "") == "" && a.getenv("TERM", "") != "dumb" && isTerminal(w)
}

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func logFormats() []string { return []string{"text", "json"} }

// logger returns the logger that the flags describe. Logs go to stderr.
func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	name := strings.ToLower(a.logLevel)
	if !slices.Contains(logLevels(), name) {
		return nil, fmt.Errorf("log level %q: must be %s", a.logLevel, strictyaml.OneOf(logLevels()))
	}
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(a.logFormat) {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, opts)), nil
	default:
		return nil, fmt.Errorf("log format %q: must be %s", a.logFormat, strictyaml.OneOf(logFormats()))
	}
}

// loadConfig reads the config file and the environment, and prints its warnings, each once.
func (a *app) loadConfig() (*config.Config, error) {
	cfg, warnings, err := config.Load(a.configPath, a.environ)
	for _, w := range warnings {
		if warning := w.String(); !a.warned[warning] {
			if a.warned == nil {
				a.warned = map[string]bool{}
			}
			a.warned[warning] = true
			a.warn(warning)
		}
	}
	return cfg, err
}

// warn prints a warning, in the format of logs if that is JSON.
func (a *app) warn(text string) {
	if logger, err := a.logger(); err == nil && strings.EqualFold(a.logFormat, "json") {
		logger.Warn(text)
		return
	}
	fmt.Fprintln(a.err, "warning: "+text)
}

// maxWarned is how many warnings of one kind are printed.
const maxWarned = 10

// warnFew prints the first of several warnings, and counts the others.
func (a *app) warnFew(all []string) {
	for _, w := range all[:min(len(all), maxWarned)] {
		a.warn(w)
	}
	if n := len(all) - maxWarned; n > 0 {
		a.warn(fmt.Sprintf("and %d more", n))
	}
}

// withHint returns an error with a hint, which is printed on a line of its own.
func withHint(msg, hint string) error { return text.WithHint(errors.New(msg), hint) }
