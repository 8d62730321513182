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
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reconciler/internal/freeze/schedule"
	"reconciler/internal/strictyaml"
	"reconciler/internal/web"
)

// minSettle is the wait that Okta asks for after an org was created.
const minSettle = 30 * time.Second

// resolver turns a decoded file into a Config and collects what is wrong.
type resolver struct {
	dir      string // where relative paths start
	now      time.Time
	errs     strictyaml.Errors
	warnings []Warning
	// remembers says that there is a state folder.
	remembers bool
}

func (r *resolver) config(f *file) *Config {
	for _, fd := range f.fields() {
		text, ok := fd.tag.Lookup("default")
		if ok && !fd.value.FieldByName("Set").Bool() {
			fd.assign(text, strictyaml.Pos{})
		}
	}
	r.remembers = f.State.Dir.Set
	cfg := &Config{
		Aerial:    r.aerial(&f.Aerial),
		Parents:   r.parents(f.Parents),
		Manifests: r.path("manifests", &f.Manifests),
		Windows:   r.windows(f.Windows),
		Suspend:   r.suspensions(f.Suspend),
		Mode:      f.Mode.V,
		Tokens:    r.tokens(&f.Tokens),
		State:     State{Dir: r.path("state.dir", &f.State.Dir)},
		HTTP:      HTTP{Address: r.address("http.address", &f.HTTP.Address)},
		Guards: Guards{
			MaxDestructiveOrgs:    r.between("guards.maxDestructiveOrgs", &f.Guards.MaxDestructiveOrgs, 0, math.MaxInt),
			MaxDestructivePercent: r.between("guards.maxDestructivePercent", &f.Guards.MaxDestructivePercent, 0, 100),
			DeactivationCooloff:   r.cooloff(&f.Guards.DeactivationCooloff),
		},
	}
	if f.Git.OK() {
		cfg.Git = r.git(&f.Git)
	}
	if f.Git.Set && f.Manifests.Set {
		r.errs.Add(f.Manifests.Pos, `"manifests" and "git" (%s) exclude one another: keep one`, f.Git.Pos)
	}
	if !f.Schedule.Bad {
		var err error
		if cfg.Schedule, err = schedule.Parse(f.Schedule.V); err != nil {
			r.errs.Add(f.Schedule.Pos, "%v", err)
		}
	}
	cfg.Jitter = r.jitter(&f.Jitter, cfg.Schedule)
	return cfg
}

// jitter returns by how much the times of s may be put off. It must leave their
// order alone.
func (r *resolver) jitter(v *at[time.Duration], s schedule.Schedule) time.Duration {
	if !v.OK() || v.V == 0 {
		return 0
	}
	if v.V < 0 || v.V > time.Hour {
		r.errs.Add(v.Pos, `"jitter" must be from 0s to 1h, not %s`, v.V)
	} else if gap := shortestGap(s); gap > 0 && v.V >= gap {
		r.errs.Add(v.Pos, `"jitter" must be shorter than %s, the time between two runs of the schedule, not %s`, gap, v.V)
	}
	return v.V
}

// shortestGap returns the shortest time between any two of the first hundred
// times of a schedule; 0 for one that never comes due.
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
	case !v.OK() || v.V == 0:
	case v.V < time.Minute || v.V > 720*time.Hour:
		r.errs.Add(v.Pos, `"guards.deactivationCooloff" must be from 1m to 720h, or 0s for none, not %s`, v.V)
	case !r.remembers:
		r.errs.Add(v.Pos, `"guards.deactivationCooloff" needs "state.dir", which keeps what was announced`)
	}
	return v.V
}

func (r *resolver) tokens(f *tokensFile) Tokens {
	t := Tokens{
		Dir:            r.path("tokens.dir", &f.Dir),
		RecipientsFile: r.path("tokens.recipientsFile", &f.RecipientsFile),
		Command:        r.path("tokens.command", &f.Command),
	}
	if f.Dir.Set && f.Command.Set {
		r.errs.Add(f.Command.Pos, `"tokens.command" and "tokens.dir" (%s) exclude one another: keep one`, f.Dir.Pos)
	}
	if f.RecipientsFile.Set && !f.Dir.Set {
		r.errs.Add(f.RecipientsFile.Pos, `"tokens.recipientsFile" needs "tokens.dir": it encrypts the files there`)
	}
	return t
}

func (r *resolver) aerial(f *aerialFile) Aerial {
	a := Aerial{
		URL:         r.webURL("aerial.url", &f.URL),
		AccountID:   r.word("aerial.accountID", &f.AccountID),
		Concurrency: r.between("aerial.concurrency", &f.Concurrency, 1, 10),
		Timeout:     f.Timeout.V,
		Auth: Auth{
			OrgURL:     r.webURL("aerial.auth.orgURL", &f.Auth.OrgURL),
			ClientID:   r.word("aerial.auth.clientID", &f.Auth.ClientID),
			PrivateKey: r.secret("aerial.auth.privateKey", &f.Auth.PrivateKey, &f.Auth.PrivateKeyFile),
			KeyID:      r.word("aerial.auth.keyID", &f.Auth.KeyID),
			DPoP:       f.Auth.DPoP.V,
		},
	}
	if f.AccountID.OK() && a.AccountID != "" && !accountID.MatchString(a.AccountID) {
		r.errs.Add(f.AccountID.Pos, `"aerial.accountID" must be an id such as 0200bs0617vvhv2v675mch1cukp, not %q`, a.AccountID)
	}
	if f.Timeout.OK() && (a.Timeout < 100*time.Millisecond || a.Timeout > 10*time.Minute) {
		r.errs.Add(f.Timeout.Pos, `"aerial.timeout" must be from 100ms to 10m, not %s`, a.Timeout)
	}
	return a
}

var accountID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (r *resolver) parents(all []at[parentFile]) []Parent {
	var parents []Parent
	named := map[string]strictyaml.Pos{}
	for i := range all {
		f := &all[i].V
		key := func(k string) string { return fmt.Sprintf("parents.%d.%s", i, k) }
		p := Parent{
			Name:   r.word(key("name"), &f.Name),
			URL:    r.webURL(key("url"), &f.URL),
			Settle: f.Settle.V,
		}
		p.Domain = r.parentDomain(key("domain"), &f.Domain, p.URL)
		if p.Unknown() && !f.Domain.Set {
			r.warn(f.URL.Pos, "nobody can tell from %q which org this parent is, so every deactivation and deletion of an org will be refused: give it its Okta domain, as in domain: acme.okta.com", p.URL.Hostname())
		}
		if !f.Name.Set {
			r.errs.Add(all[i].Pos, `this parent has no "name"`)
		}
		if !f.URL.Set {
			r.errs.Add(all[i].Pos, `this parent has no "url"`)
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
			r.errs.Add(f.Settle.Pos, "%q must be from %s to 1h, not %s: Okta needs the time to make the org", key("settle"), least, p.Settle)
		}
		if f.Auth.OK() {
			p.Auth = r.parentAuth(key("auth."), &f.Auth)
			p.Auth.OrgURL = p.URL
		}
		parents = append(parents, p)
	}
	return parents
}

// parentDomain returns the Okta domain of the parent at u, which may be nil: the
// given one, or else what the URL tells.
func (r *resolver) parentDomain(key string, v *at[string], u *url.URL) string {
	known := OktaDomain(u)
	domain := strings.ToLower(r.word(key, v))
	switch {
	case domain == "":
		return known
	case !isOkta(domain):
		r.errs.Add(v.Pos, "%q must be the org's own domain at Okta (okta.com, oktapreview.com, okta-emea.com), as in acme.okta.com, not %q", key, v.V)
	case isAdmin(domain):
		r.errs.Add(v.Pos, "%q is the Admin Console's: leave out -admin in %q", key, v.V)
	case known != "" && known != domain:
		r.errs.Add(v.Pos, "%q says %q, and the parent's URL %q: they must be one org's", key, domain, known)
	default:
		return domain
	}
	return ""
}

func (r *resolver) parentAuth(key string, auth *at[parentAuthFile]) Auth {
	f := &auth.V
	a := Auth{
		Token:      r.secret(key+"token", &f.Token, &f.TokenFile),
		ClientID:   r.word(key+"clientID", &f.ClientID),
		PrivateKey: r.secret(key+"privateKey", &f.PrivateKey, &f.PrivateKeyFile),
		KeyID:      r.word(key+"keyID", &f.KeyID),
		DPoP:       f.DPoP.V,
	}
	token := f.Token.Set || f.TokenFile.Set
	app := f.ClientID.Set || f.PrivateKey.Set || f.PrivateKeyFile.Set || f.KeyID.Set || f.DPoP.Set
	switch {
	case token && app:
		r.errs.Add(auth.Pos, "an API token and a service app exclude one another: keep one")
	case !token && !f.ClientID.Set:
		r.errs.Add(auth.Pos, `"tokenFile" is missing, or "clientID" and "privateKeyFile" for a service app`)
	case !token && !f.PrivateKey.Set && !f.PrivateKeyFile.Set:
		r.errs.Add(auth.Pos, `"privateKeyFile" is missing for the service app`)
	}
	return a
}

// word returns a value that is one word: an id, a name.
func (r *resolver) word(key string, v *at[string]) string {
	if !v.OK() {
		return v.V // the default, or nothing
	}
	switch {
	case v.V == "":
		r.errs.Add(v.Pos, "%q is empty: give it a value, or remove the key", key)
	case strings.ContainsFunc(v.V, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }):
		r.errs.Add(v.Pos, "%q must not hold spaces or control characters", key)
	default:
		return v.V
	}
	return ""
}

// phrase returns a value that people read: one line of at most so many characters.
func (r *resolver) phrase(key string, v *at[string], most int) string {
	text := strings.TrimSpace(v.V)
	switch {
	case !v.OK(): // the default, or nothing
	case text == "":
		r.errs.Add(v.Pos, "%q is empty: give it a value, or remove the key", key)
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }):
		r.errs.Add(v.Pos, "%q must be one line without control characters", key)
	case utf8.RuneCountInString(text) > most:
		r.errs.Add(v.Pos, "%q must not be longer than %d characters", key, most)
	}
	return text
}

// between returns a number that lies within bounds; math.MaxInt is no bound.
func (r *resolver) between(key string, v *at[int], lo, hi int) int {
	switch {
	case !v.OK() || lo <= v.V && v.V <= hi:
	case hi == math.MaxInt:
		r.errs.Add(v.Pos, "%q must be at least %d, not %d", key, lo, v.V)
	default:
		r.errs.Add(v.Pos, "%q must be from %d to %d, not %d", key, lo, hi, v.V)
	}
	return v.V
}

// path returns a path on disk that can be opened as it is. Whether there is
// anything is for those to find out who need it.
func (r *resolver) path(key string, v *at[string]) string {
	switch {
	case !v.OK():
		return ""
	case v.V == "":
		r.errs.Add(v.Pos, "%q is empty: give it a path, or remove the key", key)
	case strings.ContainsFunc(v.V, unicode.IsControl):
		r.errs.Add(v.Pos, "%q must be a path: it holds line breaks or other control characters", key)
	case filepath.IsAbs(v.V):
		return filepath.Clean(v.V)
	default:
		return filepath.Join(r.dir, v.V)
	}
	return ""
}

// privateFile is path for a file that others should not be able to read. A
// secret that stands in the place of its path is refused without being
// repeated, as it would be by whoever finds that there is no such file.
func (r *resolver) privateFile(key string, v *at[string]) string {
	if v.OK() && looksSecret(v.V) {
		r.errs.Add(v.Pos, "%q must be the path of a file, not what stands in it (a file whose name looks like a secret is written ./NAME)", key)
		return ""
	}
	path := r.path(key, v)
	switch mode := others(path); {
	case mode&0o022 != 0:
		r.warn(v.Pos, "%q: other users of this machine can change %q (mode %#o): chmod 600 it", key, path, mode)
	case mode&0o004 != 0:
		r.warn(v.Pos, "%q: other users of this machine can read %q (mode %#o): chmod 600 it", key, path, mode)
	}
	return path
}

// trustedFile is path for a file that says whom to trust: others may read it,
// and must not be able to change it.
func (r *resolver) trustedFile(key string, v *at[string]) string {
	path := r.path(key, v)
	if mode := others(path); mode&0o022 != 0 {
		r.warn(v.Pos, "%q: other users of this machine can change %q (mode %#o), and with it whom to trust: chmod go-w it", key, path, mode)
	}
	return path
}

// others returns the mode of a file, for what others may do with it; 0 when that
// can't be said. Missing files are told of when they are needed. A group that
// may read is how Kubernetes and the like hand a secret to a process that isn't
// root.
func others(path string) fs.FileMode {
	if path == "" || runtime.GOOS == "windows" {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Mode().Perm()
}

func (r *resolver) warn(pos strictyaml.Pos, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{pos, fmt.Sprintf(format, args...)})
}

// secret returns the secret that stands in a file or in the environment.
func (r *resolver) secret(key string, value, file *at[string]) Secret {
	path := r.privateFile(key+"File", file)
	switch {
	case value.Set && file.Set:
		r.errs.Add(value.Pos, "%q is given too (%s): keep one", key+"File", file.Pos)
	case value.Set:
		return Secret{name: value.Pos.File, value: &value.V}
	case path != "":
		return Secret{name: key + "File", file: path}
	}
	return Secret{}
}

// inside returns a path within a repository.
func (r *resolver) inside(key string, v *at[string]) string {
	if !v.OK() {
		return ""
	}
	path := strings.Trim(filepath.ToSlash(filepath.Clean(v.V)), "/")
	switch {
	case v.V == "":
		r.errs.Add(v.Pos, "%q is empty: give it a path, or remove the key", key)
	case strings.ContainsFunc(v.V, unicode.IsControl):
		r.errs.Add(v.Pos, "%q holds control characters", key)
	case path == ".." || strings.HasPrefix(path, "../"):
		r.errs.Add(v.Pos, "%q leads out of the repository: %q", key, v.V)
	case path != ".":
		return path
	}
	return ""
}

func (r *resolver) address(key string, v *at[string]) string {
	_, port, err := net.SplitHostPort(v.V)
	if n, perr := strconv.ParseUint(port, 10, 16); v.OK() && (err != nil || perr != nil || strconv.FormatUint(n, 10) != port) {
		r.errs.Add(v.Pos, "%q must be HOST:PORT, as in 127.0.0.1:8080, not %q", key, v.V)
	}
	return v.V
}
