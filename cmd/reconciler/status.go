package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/report"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

func (a *app) statusCommand() *cobra.Command {
	var format, address string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the last run, the drift and the next run of a daemon",
		Long: `Show the last run, the drift and the next run of a running daemon. Its address is
the config's ` + config.KeyHTTPAddress + ` (default: 127.0.0.1:8080), or --address.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			formats := []string{"text", "json"}
			if format != "text" && format != "json" {
				return fmt.Errorf("-o %q: must be %s", format, strictyaml.OneOf(formats))
			}
			if address == "" {
				var err error
				if address, err = a.daemonAddress(); err != nil {
					return err
				}
			}
			status, err := daemon.FetchStatus(cmd.Context(), address)
			if err != nil {
				return err
			}
			if format == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				return enc.Encode(status)
			}
			return writeStatus(a.out, status)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`FORMAT` of the status: text or json")
	cmd.Flags().StringVar(&address, "address", "", "`ADDRESS` of the daemon, HOST:PORT or a URL, instead of the config's")
	return cmd
}

// daemonAddress returns the address of the config's daemon. Without a config file it
// is the default one: nothing else of the config is needed.
func (a *app) daemonAddress() (string, error) {
	if _, err := os.Stat(a.configPath); a.configPath == defaultConfig && errors.Is(err, fs.ErrNotExist) && a.getenv("RECONCILER_HTTP_ADDRESS", "") == "" {
		return config.Default().HTTP.Address, nil
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return "", err
	}
	return cfg.HTTP.Address, nil
}

// The ranks of parts of the status. Parts of one rank are in the order in which they
// are added.
const (
	rankSevere = iota
	rankWarning
	rankUsual
)

// part is some lines of the status, each a name and a text.
type part struct {
	rank  int
	lines [][2]string
}

// writeStatus writes what the person on call needs to know first: what is wrong,
// what differs, and since when. What is worst comes first.
func writeStatus(w io.Writer, s *daemon.Status) error {
	var parts []*part
	begin := func(rank int) { parts = append(parts, &part{rank: rank}) }
	line := func(name, format string, args ...any) {
		p := parts[len(parts)-1]
		p.lines = append(p.lines, [2]string{name, fmt.Sprintf(format, args...)})
	}
	begin(rankUsual)
	line("account", "%s", s.Account)
	line("mode", "%s, on schedule %q, from %s", s.Mode, s.Schedule, s.Source)
	if s.Ready {
		begin(rankUsual)
		line("ready", "yes")
	} else {
		begin(rankSevere)
		line("ready", "no: %s", s.NotReady)
	}
	for _, alarm := range s.Alarms {
		begin(rankSevere)
		line("ALARM", "%s", alarm)
	}
	switch r := s.LastRun; {
	case r == nil:
		begin(rankUsual)
		line("last run", "none yet")
	default:
		begin(rankUsual)
		if r.Problem != nil {
			parts[len(parts)-1].rank = rankSevere
		}
		line("last run", "%s, %s ago, took %s", r.Result, ago(s.Now, r.Finished), seconds(r.Seconds))
		if r.Problem != nil {
			line("", "%s", r.Problem.Error)
		}
		if r.Problem != nil && r.Problem.Hint != "" {
			line("", "hint: %s", r.Problem.Hint)
		}
	}
	if s.NextRun != nil {
		begin(rankUsual)
		line("next run", "%s, in %s", s.NextRun.Format(time.RFC3339), ago(*s.NextRun, s.Now))
	}
	if d := s.Desired; d != nil {
		begin(rankUsual)
		line("desired", "%s, in force for %s", orFolder(d.Commit), ago(s.Now, d.Since))
		if d.Signer != "" {
			line("", "signed by %s", d.Signer)
		}
		if st := d.Stale; st != nil {
			parts[len(parts)-1].rank = rankSevere
			what := ""
			if st.Refused {
				what = orFolder(st.Commit) + " is refused: "
			}
			line("", "not the newest: %s%s", what, st.Error)
			if st.Hint != "" {
				line("", "hint: %s", st.Hint)
			}
		}
	}
	for _, r := range s.Refusals {
		begin(rankSevere)
		line("refused", "%s: %s", r.Guard, r.Message)
	}
	for _, u := range s.Unknown {
		begin(rankWarning)
		line("unknown", "%s: %s", u.Org, u.Error)
	}
	if s.Summary != nil {
		begin(rankUsual)
		if s.Outdated != "" || len(s.Drift) > 0 {
			parts[len(parts)-1].rank = rankWarning
		}
		line("orgs", "%d declared, %d unmanaged", s.Summary.Orgs, len(s.Unmanaged))
		old := ""
		if s.Outdated != "" {
			old = " (" + s.Outdated + ")"
		}
		line("drift", "%d%s", len(s.Drift), old)
	}
	for _, d := range s.Drift {
		why := ""
		if d.Blocked != "" {
			why = ", " + report.Blocked(d.Blocked)
		}
		line("", "%s %s for %s%s", report.Org(d.Org), d.Field, ago(s.Now, d.Since), why)
	}
	for i := range s.Suspensions {
		begin(rankWarning)
		held := &s.Suspensions[i]
		line("suspended", "%s, %s", held.Scope(), strings.TrimPrefix(held.String(), "suspended "))
	}
	for _, n := range s.Notes {
		begin(rankUsual)
		line("note", "%s: %s", n.Org, n.Message)
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(a.rank, b.rank) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range parts {
		for _, l := range p.lines {
			fmt.Fprintf(t, "%s\t%s\n", l[0], l[1])
		}
	}
	return t.Flush()
}

func orFolder(commit string) string {
	if commit == "" {
		return "a local folder"
	}
	return "commit " + commit[:min(12, len(commit))]
}

// ago returns how long before a was b, rounded.
func ago(a, b time.Time) string { return text.Age(a.Sub(b)) }

func seconds(s float64) string { return text.Age(time.Duration(s * float64(time.Second))) }
