package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/backup"
	"reconciler/internal/store/location"
)

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state {backup FILE | restore FILE | check | migrate --to PLACE}",
		Short: "Back up, restore, check and move the state",
		Long: `Back up, restore and check the journal and the history in the config's ` + config.KeyStateDir + `
or ` + config.KeyStatePostgres + `, and move them from one to the other. Okta is not contacted, and
no credentials of it are needed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.stateBackupCommand(), a.stateRestoreCommand(), a.stateCheckCommand(), a.stateMigrateCommand())
	return cmd
}

// stateName names where a config has the state kept.
func stateName(cfg *config.Config) string {
	at := reconcile.StateOf(cfg)
	if at.Postgres() != nil {
		return at.String()
	}
	return "the state folder " + at.String()
}

// stateAt returns the config, and where it has the state kept.
func (a *app) stateAt() (*config.Config, location.Location, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, location.Location{}, err
	}
	if !cfg.State.IsSet() {
		return nil, location.Location{}, withHint("the config has no "+config.KeyStateDir+", so there is no state", "see docs/config.md")
	}
	return cfg, reconcile.StateOf(cfg), nil
}

func (a *app) stateBackupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy journal and history into a new tar file, also while a daemon runs",
		Long: `Copy the journal and the history into a new tar file, each as it is at one
moment, with checksums and the head of the history. A daemon may go on meanwhile.

Tokens of new orgs and keys are not in it: the config's ` + config.KeyTokensDir + ` and the files that
the config names have to be backed up by themselves, as secrets.`,
		Example: `  reconciler state backup /backup/reconciler-$(date +%F).tar`,
		Args:    exactly("FILE", ""),
		RunE: func(_ *cobra.Command, args []string) error {
			_, at, err := a.stateAt()
			if err != nil {
				return err
			}
			m, err := backup.Make(at, args[0], versionString(), time.Now())
			if err != nil {
				return err
			}
			if m.Problem != "" {
				a.warn("the history in the backup is not whole: " + m.Problem)
			}
			_, err = fmt.Fprintf(a.out, "backed up %s to %s\n%sTokens of new orgs and keys are not in it.\n", plain(at), args[0], contents(m))
			return err
		},
	}
}

// plain returns a folder as people type it, or what names a database.
func plain(at location.Location) string {
	if dir := at.Dir(); dir != "" {
		return dir
	}
	return at.String()
}

// contents describes what is in a backup, a line each.
func contents(m *backup.Manifest) string {
	s := ""
	for _, f := range m.Files {
		s += fmt.Sprintf("  %s  %d bytes  sha256:%s\n", f.Name, f.Size, f.SHA256)
	}
	if m.Head != "" {
		s += fmt.Sprintf("entries in the history: %d, head %s\n", m.Entries, m.Head)
	}
	return s
}

func (a *app) stateRestoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into an empty state folder or database",
		Long: `Put a backup into the config's ` + config.KeyStateDir + `, which must be missing or empty and not
in use, or into its ` + config.KeyStatePostgres + `, in which there must be no state. A backup
of a folder fits a database, and the other way round. Checksums, journal, history
and its chain are checked before anything gets its place.

What happened after the backup was made is not in it: see docs/recovery.md
before the program writes again.`,
		Example: `  reconciler state restore /backup/reconciler-2026-11-30.tar`,
		Args:    exactly("FILE", ""),
		RunE: func(_ *cobra.Command, args []string) error {
			_, at, err := a.stateAt()
			if err != nil {
				return err
			}
			m, err := backup.Restore(args[0], at, a.invoker(), time.Now())
			if err != nil {
				return err
			}
			if m.Problem != "" {
				a.warn("the history was not whole when it was backed up: " + m.Problem)
			}
			_, err = fmt.Fprintf(a.out, "restored %s from the backup of %s\n%s"+
				"What happened since is not known: see docs/recovery.md before anything is written.\n",
				plain(at), m.Made.Format(time.RFC3339), contents(m))
			return err
		},
	}
}

func (a *app) stateCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the state: permissions, databases, the chain of the history",
		Long: `Check the config's ` + config.KeyStateDir + ` or ` + config.KeyStatePostgres + `: that nobody else can read
or write the folder, that journal, history and the queue of notifications are
sound, and that no entry of the history was altered. Exit code 1 if something is
wrong. A daemon may go on meanwhile.`,
		Args: noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			cfg, at, err := a.stateAt()
			if err != nil {
				return err
			}
			r, err := backup.Check(at, cfg.Aerial.AccountID, journalCommands)
			if err != nil {
				return err
			}
			return a.reportState(at, r)
		},
	}
}

// reportState prints what a check found. What is wrong goes to stderr.
func (a *app) reportState(at location.Location, r *backup.Report) error {
	there := func(is bool) string {
		if is {
			return "there"
		}
		return "none yet"
	}
	v := &r.Verification
	what := "state folder " + at.Dir()
	if at.Postgres() != nil {
		what = "state in " + at.String()
	}
	lines := fmt.Sprintf("%s\njournal: %s\nhistory: %s", what, there(r.Journal), there(r.History))
	if r.History && v.Head != "" {
		lines += fmt.Sprintf(", entries: %d, pruned: %d, head %s", v.Entries, v.Pruned, v.Head)
	}
	if v.SetAside != "" {
		lines += "\na damaged history was set aside before: " + v.SetAside
	}
	if _, err := fmt.Fprintln(a.out, lines); err != nil {
		return err
	}
	if len(r.Problems) == 0 {
		_, err := fmt.Fprintln(a.out, "nothing is wrong")
		return err
	}
	for _, problem := range r.Problems {
		printError(a.err, problem)
	}
	return exitCode(exitError)
}
