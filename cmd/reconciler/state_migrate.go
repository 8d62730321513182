package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/backup"
	"reconciler/internal/store/location"
	"reconciler/internal/text"
)

// The places that a state can be moved to.
const (
	toPostgres = "postgres"
	toDir      = "dir"
)

func (a *app) stateMigrateCommand() *cobra.Command {
	var to, dir, urlFile string
	cmd := &cobra.Command{
		Use:   "migrate --to {postgres | dir}",
		Short: "Move the state from a folder to PostgreSQL, or back",
		Long: `Copy journal, history and the queue of notifications from the state folder to
PostgreSQL, or back, while nothing runs. The target must be empty. Each row that
was copied is compared, and the chain of the history is verified.

The config names one of the two places, by ` + config.KeyStateDir + ` or ` + config.KeyStatePostgres + `,
and --dir or --url-file the other one. The state stays where it was as well, with
all writes suspended there, until it is deleted.`,
		Example: `  reconciler state migrate --to postgres --url-file /run/secrets/postgres-url
  reconciler state migrate --to dir --dir /var/lib/reconciler`,
		Args: noArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if to != toPostgres && to != toDir {
				return fmt.Errorf("--to must be %s or %s, not %q", toPostgres, toDir, text.OneLine(to, 40))
			}
			from, target, err := a.places(dir, urlFile)
			if err != nil {
				return err
			}
			if to == toDir {
				from, target = target, from
			}
			return a.migrate(from, target)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", "`PLACE` that the state is moved to: postgres or dir")
	flags.StringVar(&dir, "dir", "", "state `FOLDER`, instead of the config's "+config.KeyStateDir)
	flags.StringVar(&urlFile, "url-file", "", "`FILE` with the URL of the database, instead of the config's "+config.KeyStatePostgresURL)
	return cmd
}

// places returns the folder and the database, one of them from the config.
func (a *app) places(dir, urlFile string) (folder, database location.Location, err error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return folder, database, err
	}
	folder = location.Folder(cfg.State.Dir)
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return folder, database, err
		}
		folder = location.Folder(dir)
	}
	if cfg.State.Postgres.IsSet() {
		database = reconcile.StateOf(cfg)
	}
	if urlFile != "" {
		database = location.Postgres(urlIn(urlFile))
	}
	switch {
	case folder.IsZero():
		return folder, database, withHint("it is not known which folder", "give --dir, as the config has no "+config.KeyStateDir)
	case database.IsZero():
		return folder, database, withHint("it is not known which database", "give --url-file, as the config has no "+config.KeyStatePostgres)
	}
	return folder, database, nil
}

// urlIn is a file with a URL, which is read as the config's.
type urlIn string

// Read returns what is in the file.
func (f urlIn) Read(ctx context.Context) ([]byte, error) {
	return config.SecretFile("the URL of the database", string(f)).Read(ctx)
}

// String names the file.
func (f urlIn) String() string { return strconv.Quote(string(f)) }

func (a *app) migrate(from, to location.Location) error {
	m, err := backup.Move(from, to, a.invoker(), time.Now())
	if err != nil {
		return err
	}
	if m.Problem != "" {
		a.warn("the history was not whole before, and is the same now: " + m.Problem)
	}
	_, err = fmt.Fprintf(a.out, "moved the state from %s to %s: %s in %s, all compared\n", from, to, text.Plural(int(m.Rows()), "row"), text.Plural(len(m.Tables), "table"))
	if err == nil && m.Head != "" {
		_, err = fmt.Fprintf(a.out, "entries in the history: %d, head %s\n", m.Entries, m.Head)
	}
	if err == nil {
		_, err = fmt.Fprintf(a.out, "Set %s in the config to the new place. The old one is as it was, with all writes suspended: delete it once the new one works.\n", nameOf(to))
	}
	return err
}

// nameOf returns the config key of a location.
func nameOf(at location.Location) string {
	if at.Postgres() != nil {
		return config.KeyStatePostgres
	}
	return config.KeyStateDir
}
