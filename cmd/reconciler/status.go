package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"reconciler/internal/config"
	"reconciler/internal/daemon"
	"reconciler/internal/report"
	"reconciler/internal/strictyaml"
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
				cfg, err := a.loadConfig()
				if err != nil {
					return err
				}
				address = cfg.HTTP.Address
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
	setValues(cmd.Flags(), "output", []string{"text", "json"})
	cmd.Flags().StringVar(&address, "address", "", "`ADDRESS` of the daemon, HOST:PORT or a URL, instead of the config's")
	return cmd
}

// statusLines is how many items of a list the status has as text.
const statusLines = 20

// writeStatus writes what the person on call needs to know first: is it
// well, what differs, and since when.
func writeStatus(w io.Writer, s *daemon.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("account", "%s", s.Account)
	line("mode", "%s, on schedule %q, from %s", s.Mode, s.Schedule, s.Source)
	if c := s.Config.Refused; c != nil {
		line("config", "the one of %s is in force: the one read %s ago is refused: %s", s.Config.Since.UTC().Format(time.RFC3339), ago(s.Now, c.At), c.Error)
		if c.Hint != "" {
			line("", "hint: %s", c.Hint)
		}
	}
	if s.Ready {
		line("ready", "yes")
	} else {
		line("ready", "no: %s", s.NotReady)
	}
	if r := s.LastRun; r != nil {
		line("last run", "%s, %s ago, took %s", r.Result, ago(s.Now, r.Finished), seconds(r.Seconds))
		if r.Problem != nil {
			line("", "%s", r.Problem.Error)
		}
		if r.Problem != nil && r.Problem.Hint != "" {
			line("", "hint: %s", r.Problem.Hint)
		}
	} else {
		line("last run", "none yet")
	}
	if s.NextRun != nil {
		line("next run", "%s, in %s", s.NextRun.Format(time.RFC3339), ago(*s.NextRun, s.Now))
	}
	if d := s.Desired; d != nil {
		line("desired", "%s, in force for %s", orFolder(d.Commit), ago(s.Now, d.Since))
		if d.Signer != "" {
			line("", "signed by %s", d.Signer)
		}
		if st := d.Stale; st != nil {
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
	if s.Summary != nil {
		line("orgs", "%d declared, %d unmanaged", s.Summary.Orgs, max(s.Totals.Unmanaged, len(s.Unmanaged)))
		line("drift", "%d", max(s.Totals.Drift, len(s.Drift)))
	}
	// rest says how many of a list are not shown. A daemon of an earlier version
	// sends no totals, and whole lists.
	rest := func(total, length int) {
		if n := max(total, length) - statusLines; n > 0 {
			line("", "and %d more", n)
		}
	}
	for _, d := range s.Drift[:min(len(s.Drift), statusLines)] {
		why := ""
		if d.Blocked != "" {
			why = ", " + report.Blocked(d.Blocked)
		}
		line("", "%s %s for %s%s", report.Org(d.Org), d.Field, ago(s.Now, d.Since), why)
	}
	rest(s.Totals.Drift, len(s.Drift))
	for i := range s.Suspensions {
		held := &s.Suspensions[i]
		line("suspended", "%s, %s", held.Scope(), strings.TrimPrefix(held.String(), "suspended "))
	}
	for _, u := range s.Unknown[:min(len(s.Unknown), statusLines)] {
		line("unknown", "%s: %s", u.Org, u.Error)
	}
	rest(s.Totals.Unknown, len(s.Unknown))
	for _, alarm := range s.Alarms[:min(len(s.Alarms), statusLines)] {
		line("ALARM", "%s", alarm)
	}
	rest(s.Totals.Alarms, len(s.Alarms))
	for _, r := range s.Refusals {
		line("refused", "%s: %s", r.Guard, r.Message)
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
func ago(a, b time.Time) string { return seconds(a.Sub(b).Seconds()) }

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
