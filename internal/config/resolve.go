package config

import (
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reconciler/internal/freeze/schedule"
	"reconciler/internal/store/program"
	"reconciler/internal/strictyaml"
	"reconciler/internal/web"
)

// minSettle is how long Okta asks to wait after an org was created.
const minSettle = 30 * time.Second

// resolver turns a decoded file into a Config and collects errors and warnings.
type resolver struct {
	dir      string // where relative paths start
	now      time.Time
	errs     strictyaml.Errors
	warnings []Warning
	// fields are the fields of the file by the pointers to their at[T], with
	// which the methods below are called.
	fields map[any]*field
	// hasState means that there is a state folder or a database.
	hasState bool
	// programs runs the programs that print secrets or sign, which are commands.
	programs *program.Cache
	commands commands
}

// newResolver returns a resolver for f, into which it puts the defaults.
func newResolver(f *file, dir string, now time.Time) *resolver {
	r := &resolver{dir: dir, now: now, fields: map[any]*field{}, hasState: f.State.Dir.Set || f.State.Postgres.Set, programs: &program.Cache{}}
	f.walk(func(fd *field) {
		r.fields[fd.value.Addr().Interface()] = fd
		if text, ok := fd.tag.Lookup("default"); ok && !fd.isSet() {
			fd.assign(text, strictyaml.Pos{})
		}
	})
	return r
}

// fail adds an error about v, a pointer to an at[T] of the file. The message
// begins with its key.
func (r *resolver) fail(v any, format string, args ...any) {
	f := r.fields[v]
	r.errs.Add(f.pos(), "%q "+format, slices.Insert(args, 0, any(f.path))...)
}

// need adds an error unless one of the keys of a block is set. The message names
// the first.
func (r *resolver) need(block any, keys ...any) {
	if !slices.ContainsFunc(keys, func(k any) bool { return r.fields[k].isSet() }) {
		r.fail(block, "has no %q", strings.TrimPrefix(r.fields[keys[0]].path, r.fields[block].path+"."))
	}
}

func (r *resolver) exclusive(a, b any) {
	if f := r.fields[b]; f.isSet() && r.fields[a].isSet() {
		r.fail(a, "and %q (%s) are mutually exclusive: keep one", f.path, f.pos())
	}
}

func (r *resolver) warn(pos strictyaml.Pos, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{pos, fmt.Sprintf(format, args...)})
}

func (r *resolver) config(f *file) *Config {
	r.within(&f.Commands.Timeout, minCommandTime, maxCommandTime, "from 100ms to 5m")
	r.within(&f.Commands.Cache, 0, maxCommandCache, "from 0s to 24h")
	r.programs.Timeout, r.programs.Keep = f.Commands.Timeout.V, f.Commands.Cache.V
	cfg := &Config{
		programs:  hide(r.programs),
		Aerial:    r.aerial(&f.Aerial),
		Parents:   r.parents(f.Parents),
		Manifests: r.path(&f.Manifests),
		Windows:   r.windows(f.Windows),
		Suspend:   r.suspensions(f.Suspend),
		Mode:      f.Mode.V,
		Orgs:      r.orgs(&f.Orgs),
		Tokens:    r.tokens(&f.Tokens),
		State:     r.state(&f.State),
		HTTP:      r.http(&f.HTTP),
		Notify:    r.receivers(f.Notify),
		Guards: Guards{
			MaxDestructiveOrgs:       r.between(&f.Guards.MaxDestructiveOrgs, 0, math.MaxInt),
			MaxDestructivePercent:    r.between(&f.Guards.MaxDestructivePercent, 0, 100),
			MaxDestructiveOrgsPerDay: r.between(&f.Guards.MaxDestructiveOrgsPerDay, 0, math.MaxInt),
			MaxNewOrgs:               r.between(&f.Guards.MaxNewOrgs, 0, math.MaxInt),
			DeactivationCooloff:      r.cooloff(&f.Guards.DeactivationCooloff),
			RevertWithin:             r.revertWithin(&f.Guards.RevertWithin),
			AllowLockout:             r.domains(&f.Guards.AllowLockout),
			OwnAddresses:             r.prefixes(&f.Guards.OwnAddresses),
		},
	}
	if day := &f.Guards.MaxDestructiveOrgsPerDay; day.Set && !r.hasState {
		r.warn(day.Pos, `%q counts within one process alone, because there is no "state.dir" to keep what earlier ones did`, r.fields[day].path)
	}
	if f.Git.OK() {
		cfg.Git = r.git(&f.Git)
	}
	r.exclusive(&f.Manifests, &f.Git)
	if !f.Schedule.Bad {
		var err error
		if cfg.Schedule, err = schedule.Parse(f.Schedule.V); err != nil {
			r.errs.Add(f.Schedule.Pos, "%v", err)
		}
	}
	cfg.Jitter = r.jitter(&f.Jitter, cfg.Schedule)
	cfg.commands = hide(&r.commands)
	return cfg
}

// jitter returns by how much the times of s may be delayed, without changing
// their order.
func (r *resolver) jitter(v *at[time.Duration], s schedule.Schedule) time.Duration {
	if !v.OK() || v.V == 0 {
		return 0
	}
	if v.V < 0 || v.V > time.Hour {
		r.fail(v, "must be from 0s to 1h, not %s", v.V)
	} else if gap := shortestGap(s); gap > 0 && v.V >= gap {
		r.fail(v, "must be shorter than %s, the time between two runs of the schedule, not %s", gap, v.V)
	}
	return v.V
}

// shortestGap returns the shortest time between two of the first hundred times of
// a schedule; 0 for one that never comes due.
func shortestGap(s schedule.Schedule) time.Duration {
	var gap time.Duration
	last := s.Next(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	for range 100 {
		next := s.Next(last)
		if d := next.Sub(last); gap == 0 || d < gap {
			gap = d
		}
		last = next
	}
	return gap
}

func (r *resolver) cooloff(v *at[time.Duration]) time.Duration {
	switch {
	case v.V == 0:
	case !r.within(v, time.Minute, 720*time.Hour, "from 1m to 720h, or 0s for none"):
	case !r.hasState:
		r.fail(v, `needs "state.dir", which keeps what was announced`)
	}
	return v.V
}

func (r *resolver) revertWithin(v *at[time.Duration]) time.Duration {
	r.within(v, 0, 720*time.Hour, "from 0s to 720h")
	return v.V
}

func (r *resolver) state(f *stateFile) State {
	r.exclusive(&f.Postgres, &f.Dir)
	s := State{Dir: r.path(&f.Dir), Retention: r.retention(&f.Retention)}
	if f.Postgres.OK() {
		p := &f.Postgres.V
		r.need(&f.Postgres, &p.URLFile, &p.URL, &p.URLCommand)
		s.Postgres = r.secret(&p.URL, &p.URLFile, &p.URLCommand)
	}
	return s
}

const minRetention, maxRetention = 24 * time.Hour, 87600 * time.Hour

func (r *resolver) retention(v *at[time.Duration]) time.Duration {
	if r.within(v, minRetention, maxRetention, "from 24h to 87600h") && v.Set && !r.hasState {
		r.fail(v, `needs "state.dir", which keeps the history`)
	}
	return v.V
}

func (r *resolver) tokens(f *tokensFile) Tokens {
	r.exclusive(&f.Command, &f.Dir)
	if f.RecipientsFile.Set && !f.Dir.Set {
		r.fail(&f.RecipientsFile, `needs "tokens.dir": it encrypts the files there`)
	}
	return Tokens{
		Dir:            r.path(&f.Dir),
		RecipientsFile: r.path(&f.RecipientsFile),
		Command:        r.path(&f.Command),
	}
}

func (r *resolver) aerial(f *aerialFile) Aerial {
	r.within(&f.Timeout, 100*time.Millisecond, 10*time.Minute, "from 100ms to 10m")
	return Aerial{
		URL:         r.webURL(&f.URL),
		AccountID:   r.match(&f.AccountID, accountID, "an id such as 0200bs0617vvhv2v675mch1cukp"),
		Concurrency: r.between(&f.Concurrency, 1, 10),
		Timeout:     f.Timeout.V,
		Auth: Auth{
			OrgURL:     r.webURL(&f.Auth.OrgURL),
			ClientID:   r.word(&f.Auth.ClientID),
			PrivateKey: r.key(f.Auth.keys()),
			KeyID:      r.word(&f.Auth.KeyID),
			DPoP:       f.Auth.DPoP.V,
		},
	}
}

var accountID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (r *resolver) parents(all []at[parentFile]) []Parent {
	var parents []Parent
	named := map[string]strictyaml.Pos{}
	for i := range all {
		block, f := &all[i], &all[i].V
		r.need(block, &f.Name)
		r.need(block, &f.URL)
		p := Parent{Name: r.word(&f.Name), URL: r.webURL(&f.URL), Settle: f.Settle.V}
		p.Domain = r.parentDomain(&f.Domain, p.URL)
		if p.Unknown() && !f.Domain.Set {
			r.warn(f.URL.Pos, "%q doesn't identify the parent org, so every deactivation and deletion of an org will be refused: add its Okta domain, as in domain: acme.okta.com", p.URL.Hostname())
		}
		if first, ok := named[p.Name]; ok && p.Name != "" {
			r.errs.Add(f.Name.Pos, "there is another parent %q at %s: names must differ", p.Name, first)
		} else {
			named[p.Name] = f.Name.Pos
		}
		least := minSettle
		if p.URL != nil && web.IsLoopback(p.URL.Hostname()) {
			least = 0
		}
		if f.Settle.OK() && (p.Settle < least || p.Settle > time.Hour) {
			r.fail(&f.Settle, "must be from %s to 1h, not %s: Okta needs the time to create the org", least, p.Settle)
		}
		if f.Auth.OK() {
			p.Auth = r.parentAuth(&f.Auth)
			p.Auth.OrgURL = p.URL
		}
		parents = append(parents, p)
	}
	return parents
}

// parentDomain returns the Okta domain of the parent at u, which may be nil: the
// configured one, or else that of the URL.
func (r *resolver) parentDomain(v *at[string], u *url.URL) string {
	known := OktaDomain(u)
	domain := strings.ToLower(r.word(v))
	switch {
	case domain == "":
		return known
	case !isOkta(domain):
		r.fail(v, "must be the org's own domain at Okta (okta.com, oktapreview.com, okta-emea.com), as in acme.okta.com, not %q", v.V)
	case isAdmin(domain):
		r.fail(v, "is the Admin Console's: leave out -admin in %q", v.V)
	case known != "" && known != domain:
		r.fail(v, "is %q, but the parent's URL is of %q: they must belong to the same org", v.V, known)
	default:
		return domain
	}
	return ""
}

func (r *resolver) parentAuth(auth *at[parentAuthFile]) Auth {
	f := &auth.V
	token := f.Token.Set || f.TokenFile.Set || f.TokenCommand.Set
	key := f.keys()
	app := f.ClientID.Set || key.set() || f.PublicKeyFile.Set || f.KeyID.Set || f.DPoP.Set
	switch {
	case token && app:
		r.fail(auth, "has an API token and a service app, which are mutually exclusive: keep one")
	case !token && !f.ClientID.Set:
		r.fail(auth, `has no "tokenFile", nor "clientID" and "privateKeyFile" for a service app`)
	case !token && !key.set():
		r.fail(auth, `has no "privateKeyFile" for the service app`)
	}
	return Auth{
		Token:      r.secret(&f.Token, &f.TokenFile, &f.TokenCommand),
		ClientID:   r.word(&f.ClientID),
		PrivateKey: r.key(f.keys()),
		KeyID:      r.word(&f.KeyID),
		DPoP:       f.DPoP.V,
	}
}

// word returns a value that is one word: an id, a name.
func (r *resolver) word(v *at[string]) string {
	if !v.OK() {
		return v.V // the default, or nothing
	}
	switch {
	case v.V == "":
		r.fail(v, "is empty: give it a value, or remove the key")
	case strings.ContainsFunc(v.V, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }):
		r.fail(v, "must not contain spaces or control characters")
	default:
		return v.V
	}
	return ""
}

// match returns a word that form matches; form is described for messages.
func (r *resolver) match(v *at[string], form *regexp.Regexp, described string) string {
	word := r.word(v)
	if word != "" && !form.MatchString(word) {
		r.fail(v, "must be %s, not %q", described, v.V)
	}
	return word
}

// phrase returns a text of one line and at most so many characters.
func (r *resolver) phrase(v *at[string], most int) string {
	text := strings.TrimSpace(v.V)
	switch {
	case !v.OK(): // the default, or nothing
	case text == "":
		r.fail(v, "is empty: give it a value, or remove the key")
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		r.fail(v, "must be one line without control characters")
	case utf8.RuneCountInString(text) > most:
		r.fail(v, "must not be longer than %d characters", most)
	}
	return text
}

// between returns a number within bounds; math.MaxInt is no bound.
func (r *resolver) between(v *at[int], lo, hi int) int {
	switch {
	case !v.OK() || lo <= v.V && v.V <= hi:
	case hi == math.MaxInt:
		r.fail(v, "must be at least %d, not %d", lo, v.V)
	default:
		r.fail(v, "must be from %d to %d, not %d", lo, hi, v.V)
	}
	return v.V
}

// within reports whether a duration is within bounds, which described names in
// the message if it isn't.
func (r *resolver) within(v *at[time.Duration], lo, hi time.Duration, described string) bool {
	if v.OK() && (v.V < lo || v.V > hi) {
		r.fail(v, "must be %s, not %s", described, v.V)
		return false
	}
	return v.OK()
}

// path returns a path on disk that can be opened as it is, whether or not there
// is anything.
func (r *resolver) path(v *at[string]) string {
	switch {
	case !v.OK():
		return ""
	case v.V == "":
		r.fail(v, "is empty: give it a path, or remove the key")
	case strings.ContainsFunc(v.V, unicode.IsControl):
		r.fail(v, "must be a path: it contains line breaks or other control characters")
	case filepath.IsAbs(v.V):
		return filepath.Clean(v.V)
	default:
		return filepath.Join(r.dir, v.V)
	}
	return ""
}

// privateFile is path for a file that others should not be able to read. A
// secret in place of its path is rejected without being repeated, as "no such
// file" would.
func (r *resolver) privateFile(v *at[string]) string {
	if v.OK() && looksSecret(v.V) {
		r.fail(v, "must be the path of a file, not its content (write ./NAME if the file's name looks like a secret)")
		return ""
	}
	path := r.path(v)
	switch mode := fileMode(path); {
	case mode&0o022 != 0:
		r.warn(v.Pos, "%q: other users of this machine can change %q (mode %#o): chmod 600 it", r.fields[v].path, path, mode)
	case mode&0o004 != 0:
		r.warn(v.Pos, "%q: other users of this machine can read %q (mode %#o): chmod 600 it", r.fields[v].path, path, mode)
	}
	return path
}

// trustedFile is path for a file of keys or certificates to trust, which others
// may read, but should not be able to change.
func (r *resolver) trustedFile(v *at[string]) string {
	path := r.path(v)
	if mode := fileMode(path); mode&0o022 != 0 {
		r.warn(v.Pos, "%q: other users of this machine can change %q (mode %#o), and with it what is trusted: chmod go-w it", r.fields[v].path, path, mode)
	}
	return path
}

// fileMode returns the permissions of a file; 0 if they are unknown. A missing
// file is only an error when it is needed. A group that may read is how
// Kubernetes and others pass a secret to a process that isn't root.
func fileMode(path string) fs.FileMode {
	if path == "" || runtime.GOOS == "windows" {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Mode().Perm()
}

// repositoryPath returns a path within a repository; "" for all of it.
func (r *resolver) repositoryPath(v *at[string]) string {
	if !v.OK() {
		return ""
	}
	path := strings.Trim(filepath.ToSlash(filepath.Clean(v.V)), "/")
	switch {
	case v.V == "":
		r.fail(v, "is empty: give it a path, or remove the key")
	case strings.ContainsFunc(v.V, unicode.IsControl):
		r.fail(v, "contains control characters")
	case path == ".." || strings.HasPrefix(path, "../"):
		r.fail(v, "leads out of the repository: %q", v.V)
	case path != ".":
		return path
	}
	return ""
}

func (r *resolver) address(v *at[plain]) string {
	_, port, err := net.SplitHostPort(string(v.V))
	if n, perr := strconv.ParseUint(port, 10, 16); v.OK() && (err != nil || perr != nil || strconv.FormatUint(n, 10) != port) {
		r.fail(v, "must be HOST:PORT, as in 127.0.0.1:8080, not %q", v.V)
	}
	return string(v.V)
}
