package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/daemon/notify"
	"reconciler/internal/reconcile"
	"reconciler/internal/store/journal"
	"reconciler/internal/store/location"
	"reconciler/internal/store/securedir"
	"reconciler/internal/text"
)

// loadConfig reads the config, which also looks at who may read the files that
// hold secrets.
func loadConfig(load func() (*config.Config, []config.Warning, error)) (*config.Config, Check) {
	cfg, warned, err := load()
	if err != nil {
		return nil, mistakes(err)
	}
	ok := fine("valid; everything comes from the environment")
	if cfg.File != "" {
		ok = fine("%q is valid", cfg.File)
	}
	var all []string
	for _, w := range warned {
		all = append(all, w.String())
	}
	return cfg, warnings(ok, all)
}

// source reads the manifests as every run does.
func (e *examination) source(ctx context.Context) Check {
	opened, err := e.opts.Source(e.cfg, "", e.journal, nil)
	var missing *config.MissingError
	if errors.As(err, &missing) {
		return Check{Status: Warning, Message: err.Error(), Hint: missing.Hint()}
	}
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	name := opened.Name
	snapshot, err := opened.Fetch(ctx)
	if ctx.Err() != nil {
		return failed(name+": "+e.words(ctx, ctx.Err(), nil), "")
	}
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	e.fetched.Store(&fetched{snapshot, opened})
	if snapshot.Commit == "" {
		return fine("%q on this machine", name)
	}
	return fine("%s: commit %.12s of %s, %q", name, snapshot.Commit, snapshot.Time.UTC().Format(time.DateOnly), snapshot.Subject)
}

// manifests loads them.
func (e *examination) manifests(context.Context) Check {
	read := e.fetched.Load()
	if read == nil {
		return Check{Status: Skipped, Message: "no manifests are configured"}
	}
	loaded, err := reconcile.LoadDesired(read.Snapshot, reconcile.LoadOptions(e.cfg))
	if err != nil {
		return mistakes(err)
	}
	desired := loaded.State
	if id := desired.Account.ID; id != "" && e.cfg.Aerial.AccountID != "" && id != e.cfg.Aerial.AccountID {
		return failed(fmt.Sprintf("%s: these manifests are for the account %q, but the config says %q", desired.Account.IDPos, id, e.cfg.Aerial.AccountID),
			"correct account.id there or "+config.KeyAerialAccountID+" here")
	}
	e.desired.Store(desired)
	return warnings(fine("valid: %s, %s", count(len(desired.Orgs), "org"), count(len(desired.Products), "product")), loaded.Warnings)
}

// creates is how many orgs the manifests say how to create.
func (e *examination) creates() int {
	desired := e.desired.Load()
	if desired == nil {
		return 0
	}
	n := 0
	for i := range desired.Orgs {
		if desired.Orgs[i].Create != nil {
			n++
		}
	}
	return n
}

// missing judges what the config lacks, and only creating orgs needs.
func (e *examination) missing(what, hint string) Check {
	words := what + " is not configured"
	if n := e.creates(); n > 0 {
		return failed(fmt.Sprintf("%s, and the manifests say how to create %s", words, count(n, "org")), hint)
	}
	return fine("%s: no orgs can be created", words)
}

// notThere is a folder that will be made when it is needed.
func notThere(dir string) Check {
	return warned(fmt.Sprintf("there is no folder %q yet; it is made when it is needed", dir),
		"make it for the user that this program runs as (mode 0700), and ask again to be sure of it")
}

// tokenSink tries the place where tokens of created orgs go, by storing and
// removing something there.
func (e *examination) tokenSink(ctx context.Context) Check {
	s, err := reconcile.OpenTokenSink(e.cfg, e.opts.Environ)
	switch {
	case err != nil:
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	case s == nil:
		return e.missing("a place for tokens", "set "+config.KeyTokensDir+" or "+config.KeyTokensCommand+" in the config")
	}
	if dir := e.cfg.Tokens.Dir; dir != "" {
		// The probe would make it, and a diagnosis must not.
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return notThere(dir)
		}
	}
	if err := s.Probe(ctx); err != nil {
		return e.trouble(ctx, err, nil)
	}
	return fine("%s: a probe was stored and removed", s)
}

// state looks at the folder or the database of the journal, who holds it, and what was lost
// that somebody has to look after.
func (e *examination) state(ctx context.Context) Check {
	if at := reconcile.StateOf(e.cfg); at.Postgres() != nil {
		return e.database(ctx, at)
	}
	dir := e.cfg.State.Dir
	if dir == "" {
		none := e.missing(config.KeyStateDir, "set it in the config, to a folder of the user that this program runs as")
		none.Message += "; " + config.KeyMaxPerDay + " counts in each process by itself"
		return none
	}
	switch err := writable(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return notThere(dir)
	case err != nil:
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	// An alarm too, and more than that: until it is set aside and that is
	// acknowledged, nothing is written.
	if err := e.journal.Check(); err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	found := fine("%q can be written to", dir)
	if h, ok := journal.LastHolder(location.Folder(dir)); ok && alive(h) {
		found = fine("%q is in use by process %d since %s", dir, h.PID, h.Started.UTC().Format(time.RFC3339))
	}
	return e.remembered(found, nil)
}

// remembered adds to what was found what the journal remembers that matters now, and
// warnings.
func (e *examination) remembered(found Check, all []string) Check {
	lost, err := e.journal.Removals(e.cfg.Aerial.AccountID, e.opts.Now().Add(-24*time.Hour))
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	found.Message += fmt.Sprintf("; in the last 24 hours %s lost something, and %d may", count(len(lost), "org"), e.cfg.Guards.MaxDestructiveOrgsPerDay)
	alarms, err := reconcile.Alarms(e.journal, e.cfg.Aerial.AccountID)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	var alarmed []string
	for _, a := range alarms {
		alarmed = append(alarmed, a.Message)
	}
	found = warnings(found, append(alarmed, all...))
	if len(alarms) > 0 {
		found.Hint = alarms[0].Hint
	}
	return found
}

// writable proves that files can be written in a folder of ours.
func writable(dir string) error {
	root, err := securedir.Existing(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	const name = ".doctor-probe"
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteString("probe\n")
		err = errors.Join(err, f.Close(), root.Remove(name))
	}
	if err != nil {
		return text.WithHint(fmt.Errorf("folder %q can't be written to: %w", dir, securedir.Cause(err)), securedir.HintFor(err))
	}
	return nil
}

// alive reports whether a process on this machine is running, or at least one of
// that number.
func alive(h journal.Holder) bool {
	if host, err := os.Hostname(); err != nil || host != h.Host || h.PID <= 0 {
		return false
	}
	process, err := os.FindProcess(h.PID)
	if err != nil {
		return false
	}
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}

// http looks whether the daemon's address is free, or taken by the daemon.
func (e *examination) http(ctx context.Context) Check {
	address := e.cfg.HTTP.Address
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		bound := listener.Addr().String()
		if err := listener.Close(); err != nil {
			return failed(text.JoinLines(err.Error()), "")
		}
		if _, port, _ := net.SplitHostPort(address); port == "0" {
			return fine("%s: any free port, such as %s", address, bound)
		}
		return fine("%s is free: no daemon runs here", address)
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return failed(fmt.Sprintf("%s can't be listened on: %s", address, reason(err)), "give "+config.KeyHTTPAddress+" an address of this machine, and a port that this user may use")
	}
	d, err := e.opts.Daemon(ctx, address)
	switch {
	case ctx.Err() != nil:
		return e.trouble(ctx, err, nil)
	case err != nil:
		return failed(fmt.Sprintf("%s is taken, and not by our daemon: %s", address, text.JoinLines(err.Error())), "stop what listens there, or give "+config.KeyHTTPAddress+" another port")
	case d.Unknown:
		return fine("a daemon answers on %s, and says no more without a token", address)
	case d.Account != e.cfg.Aerial.AccountID:
		return warned(fmt.Sprintf("a daemon on %s watches another account, %q", address, d.Account), "give this one another port as "+config.KeyHTTPAddress)
	case d.NotReady != "":
		return warned(fmt.Sprintf("a daemon (%s) answers on %s and is not ready: %s", d.Version, address, d.NotReady), "reconciler status shows more")
	}
	return fine("a daemon (%s) answers on %s and is ready", d.Version, address)
}

// reason takes the innermost words out of an error of package net, the rest of
// which repeats what is known.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return text.JoinLines(err.Error())
}

// runs is how many runs of the schedule are listed.
const runs = 5

// schedule reports when the daemon runs next.
func (e *examination) schedule(context.Context) Check {
	s := e.cfg.Schedule
	zone := e.opts.Zone
	if named, ok := namedZone(s.String()); ok {
		zone = named
	}
	var next []time.Time
	for at := e.opts.Now().In(zone); len(next) < runs; {
		if at = s.Next(at); at.IsZero() {
			return failed(fmt.Sprintf("%q does not come due %d times", s, runs), "set schedule in the config")
		}
		next = append(next, at)
	}
	c := fine("%q, mode %s: %s", s, e.cfg.Mode, moments(next))
	if strings.HasPrefix(s.String(), "@every") {
		c.Message += ", if it began now"
	}
	if e.cfg.Jitter > 0 {
		c.Message += fmt.Sprintf("; each put off by up to %v", e.cfg.Jitter)
	}
	for _, at := range next {
		c.Details = append(c.Details, at.Format(time.RFC3339))
	}
	return c
}

// moments returns times as people write them: a date where it changes, seconds
// where there are any, and the time zone.
func moments(all []time.Time) string {
	var parts []string
	day := ""
	for _, at := range all {
		form := "15:04"
		if at.Second() != 0 {
			form = "15:04:05"
		}
		if d := at.Format("Mon 2006-01-02"); d != day {
			day, form = d, "Mon 2006-01-02 "+form
		}
		parts = append(parts, at.Format(form))
	}
	zone := all[0].Location().String()
	if zone == "Local" {
		zone, _ = all[0].Zone()
	}
	return strings.Join(parts, ", ") + " " + zone
}

// namedZone returns the time zone that stands in front of a schedule.
func namedZone(schedule string) (*time.Location, bool) {
	for _, key := range []string{"CRON_TZ=", "TZ="} {
		if rest, ok := strings.CutPrefix(schedule, key); ok {
			name, _, _ := strings.Cut(rest, " ")
			zone, err := time.LoadLocation(name)
			return zone, err == nil
		}
	}
	return nil, false
}

// notify looks at the receivers of notifications: their templates, and whether their
// URLs and secrets can be read. It sends nothing.
func (e *examination) notify(ctx context.Context) Check {
	receivers, err := notify.Receivers(e.cfg.Notify)
	if err != nil {
		return failed(text.JoinLines(err.Error()), text.Hint(err))
	}
	for _, r := range receivers {
		if err := r.Check(ctx); err != nil {
			return failed(text.JoinLines(r.Name()+": "+err.Error()), text.Hint(err))
		}
	}
	return fine("%s; nothing was sent: reconciler notify test does that", count(len(receivers), "receiver"))
}
