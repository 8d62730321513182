package main

import (
	"cmp"
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
	"reconciler/internal/daemon/api"
	"reconciler/internal/report"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

func (a *app) statusCommand() *cobra.Command {
	var format, address, tokenFile string
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
			ctx, err := a.asUser(cmd.Context(), tokenFile, address)
			if err != nil {
				return err
			}
			status, err := api.FetchStatus(ctx, address)
			if err != nil {
				return withTokenHint(err)
			}
			if format == "json" {
				return writeJSONValue(a.out, status)
			}
			return writeStatus(a.out, status)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "`FORMAT` of the status: text or json")
	setValues(cmd.Flags(), "output", []string{"text", "json"})
	cmd.Flags().StringVar(&address, "address", "", "`ADDRESS` of the daemon, HOST:PORT or a URL, instead of the config's")
	addDaemonToken(cmd.Flags(), &tokenFile)
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

// statusLines is how many items of a list the status has as text.
const statusLines = 20

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

func (p *part) line(name, format string, args ...any) {
	p.lines = append(p.lines, [2]string{name, fmt.Sprintf(format, args...)})
}

// hint adds a hint, if there is one.
func (p *part) hint(hint string) {
	if hint != "" {
		p.line("", "hint: %s", hint)
	}
}

// rest adds how many items of a list are not shown. A daemon of an earlier version
// sends no totals, and whole lists.
func (p *part) rest(total, length int) {
	if n := max(total, length) - statusLines; n > 0 {
		p.line("", "and %d more", n)
	}
}

// shown returns the items of a list that are shown.
func shown[T any](all []T) []T { return all[:min(len(all), statusLines)] }

// writeStatus writes what the person on call needs to know first: what is wrong,
// what differs, and since when. What is worst comes first, after the headline of the page.
func writeStatus(w io.Writer, s *api.Status) error {
	parts := []*part{
		configPart(s), readyPart(s), alarmsPart(s), lastRunPart(s), nextRunPart(s), desiredPart(s),
		refusalsPart(s), unknownPart(s), driftPart(s), suspensionsPart(s), receiversPart(s), notesPart(s),
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(a.rank, b.rank) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if s.State != "" { // which daemons of earlier versions don't send
		state, why := s.Headline()
		fmt.Fprintf(t, "state\t%s: %s\n", state, text.JoinLines(why))
	}
	for _, p := range parts {
		for _, l := range p.lines {
			fmt.Fprintf(t, "%s\t%s\n", l[0], l[1])
		}
	}
	return t.Flush()
}

func configPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	p.line("account", "%s", s.Account)
	p.line("mode", "%s, on schedule %q, from %s", s.Mode, s.Schedule, s.Source)
	if c := s.Config.Refused; c != nil {
		p.rank = rankWarning
		p.line("config", "the one of %s is in force: the one read %s is refused: %s", s.Config.Since.UTC().Format(time.RFC3339), ago(s.Now, c.At), c.Error)
		p.hint(c.Hint)
	}
	return p
}

func readyPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	switch {
	case s.Ready && s.StandingBy != nil:
		p.line("ready", "yes; %s", s.Standby())
	case s.Ready:
		p.line("ready", "yes")
	default:
		p.rank = rankSevere
		if s.StandingBy != nil {
			p.rank = rankWarning
		}
		p.line("ready", "no: %s", s.NotReady)
	}
	return p
}

func alarmsPart(s *api.Status) *part {
	p := &part{rank: rankSevere}
	for _, alarm := range shown(s.Alarms) {
		p.line("ALARM", "%s", alarm)
	}
	p.rest(s.Totals.Alarms, len(s.Alarms))
	return p
}

func lastRunPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	r := s.LastRun
	if r == nil {
		p.line("last run", "none yet")
		return p
	}
	p.line("last run", "%s, %s, took %s", r.Result, ago(s.Now, r.Finished), seconds(r.Seconds))
	if r.Problem != nil {
		p.rank = rankSevere
		p.line("", "%s", r.Problem.Error)
		p.hint(r.Problem.Hint)
	}
	return p
}

func nextRunPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	if s.WaitingFor != nil {
		p.rank = rankWarning
		p.line("next run", "waits for %v", s.WaitingFor)
	}
	if s.NextRun != nil {
		p.line("next run", "%s, %s", s.NextRun.Format(time.RFC3339), ago(s.Now, *s.NextRun))
	}
	return p
}

func desiredPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	d := s.Desired
	if d == nil {
		return p
	}
	p.line("desired", "%s, in force for %s", orFolder(d.Commit), lasting(s.Now, d.Since))
	if d.Signer != "" {
		p.line("", "signed by %s", d.Signer)
	}
	if st := d.Stale; st != nil {
		p.rank = rankSevere
		what := ""
		if st.Refused {
			what = orFolder(st.Commit) + " is refused: "
		}
		p.line("", "not the newest: %s%s", what, st.Error)
		p.hint(st.Hint)
	}
	return p
}

func refusalsPart(s *api.Status) *part {
	p := &part{rank: rankSevere}
	for _, r := range shown(s.Refusals) {
		p.line("refused", "%s: %s", r.Guard, r.Message)
	}
	p.rest(s.Totals.Refusals, len(s.Refusals))
	return p
}

func unknownPart(s *api.Status) *part {
	p := &part{rank: rankWarning}
	for _, u := range shown(s.Unknown) {
		part := ""
		if u.Part != "" {
			part = "only its " + u.Part + " can't be read: "
		}
		p.line("unknown", "%s: %s%s", u.Org, part, u.Error)
	}
	p.rest(s.Totals.Unknown, len(s.Unknown))
	return p
}

func driftPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	if s.Summary == nil {
		return p
	}
	old := ""
	if s.Outdated != "" {
		old = " (" + s.Outdated + ")"
	}
	drift := max(s.Totals.Drift, len(s.Drift))
	if old != "" || drift > 0 {
		p.rank = rankWarning
	}
	p.line("orgs", "%d declared, %d unmanaged", s.Summary.Orgs, max(s.Totals.Unmanaged, len(s.Unmanaged)))
	if o := s.Summary.Objects; o != nil {
		age := ""
		if s.ConfigurationRead != nil {
			age = fmt.Sprintf(", read up to %s", ago(s.Now, *s.ConfigurationRead))
		}
		p.line("objects", "%d declared, %d unmanaged, %d unknown%s", o.Declared, o.Unmanaged, o.Unknown, age)
	}
	p.line("drift", "%d%s", drift, old)
	for _, d := range shown(s.Drift) {
		why := ""
		if d.Blocked != "" {
			why = ", " + report.Blocked(d.Blocked)
		}
		if d.Old {
			why += ", and the org can't be read since"
		}
		if d.Cause != nil {
			why += ", by " + text.Visible(d.Cause.String())
		}
		p.line("", "%s %s for %s%s", report.Org(d.Org), text.Visible(d.Field), lasting(s.Now, d.Since), why)
	}
	p.rest(s.Totals.Drift, len(s.Drift))
	return p
}

func suspensionsPart(s *api.Status) *part {
	p := &part{rank: rankWarning}
	for i := range s.Suspensions {
		held := &s.Suspensions[i]
		p.line("suspended", "%s, %s", held.Scope(), strings.TrimPrefix(held.String(), "suspended "))
	}
	return p
}

func receiversPart(s *api.Status) *part {
	p := &part{rank: rankWarning}
	for i := range s.Receivers {
		if why := s.Receivers[i].Trouble(); why != "" {
			p.line("receiver", "%s", why)
		}
	}
	return p
}

func notesPart(s *api.Status) *part {
	p := &part{rank: rankUsual}
	for _, n := range shown(s.Notes) {
		p.line("note", "%s: %s", report.Org(n.Org), n.Message)
	}
	p.rest(s.Totals.Notes, len(s.Notes))
	return p
}

func orFolder(commit string) string {
	if commit == "" {
		return "a local folder"
	}
	return "commit " + commit[:min(12, len(commit))]
}

// ago returns how long ago something was, or in what time it will be: times of a daemon on
// another machine, or of one that led before, may be ahead of now.
func ago(now, t time.Time) string {
	if d := now.Sub(t); d >= 0 {
		return text.Age(d) + " ago"
	}
	return "in " + text.Age(t.Sub(now))
}

// lasting returns for how long something has lasted since a time.
func lasting(now, since time.Time) string { return text.Age(max(0, now.Sub(since))) }

func seconds(s float64) string { return text.Age(time.Duration(s * float64(time.Second))) }
