package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// domainMark stands for an org's domain in orgs.url and in the path of its key.
const domainMark = "{domain}"

// Orgs is how the configuration of orgs is read and written, through each org's own
// API.
type Orgs struct {
	// URL is where an org's API is, with {domain} for its domain. See [Orgs.URLOf].
	URL  string
	Auth OrgsAuth
	// Concurrency is how many orgs are read or written at the same time, 1 to 256,
	// and CallsPerOrg how many calls to one of them may be in flight.
	Concurrency, CallsPerOrg int
	// Share is how much of each of an org's rate limits is used at most, in
	// percent, 1 to 100.
	Share int
	// Every is how often the daemon reads the configuration; 0 for each run.
	Every time.Duration
	// Bootstrap is the role of the service app that is made in each org that is
	// created; empty if none is made. A key and State are set with it.
	Bootstrap Role
}

// URLOf returns the URL of an org's API, without a slash at its end.
func (o *Orgs) URLOf(domain string) *url.URL {
	u, err := url.Parse(strings.ReplaceAll(o.URL, domainMark, strings.ToLower(domain)))
	if err != nil {
		return &url.URL{} // not for a domain
	}
	return u
}

// HasAuth reports whether the config has a key for service apps in the orgs.
func (o *Orgs) HasAuth() bool { return o.Auth.key.IsSet() }

// OrgsAuth is the key of the service apps in the orgs: one for all of them, or a file
// for each.
type OrgsAuth struct {
	key Key // with {domain} in a path or an argument, if there is one for each
	// KeyID is empty if only the JWK has it.
	KeyID string
	DPoP  bool
}

// PrivateKey returns the key of the service app in the org with this domain; it is
// not set if the config has none.
func (a *OrgsAuth) PrivateKey(domain string) Key {
	// What is no domain is no part of a path.
	if domain = strings.ToLower(domain); isDomain(domain) {
		return a.key.of(domainMark, domain)
	}
	return a.key
}

// PerOrg reports whether each org has a key of its own.
func (a *OrgsAuth) PerOrg() bool {
	words := []string{a.key.file()}
	if c := a.key.secret.command.get(); c != nil {
		words = append(words, c.argv...)
	}
	if s := a.key.signer; s != nil {
		words = append(words, s.command.get().argv...)
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, domainMark) })
}

// Folder returns the folder that the files are in, if each org has a file of its own:
// the longest path without {domain}. Otherwise it is empty.
func (a *OrgsAuth) Folder() string {
	before, _, found := strings.Cut(a.key.file(), domainMark)
	if !found {
		return ""
	}
	return filepath.Dir(before + "_") // before may end in a separator
}

// Role is one of Okta's standard roles for administrators.
type Role string

// Values returns the roles.
func (Role) Values() []string {
	return []string{
		"ACCESS_CERTIFICATIONS_ADMIN", "ACCESS_REQUESTS_ADMIN", "API_ACCESS_MANAGEMENT_ADMIN", "APP_ADMIN", "GROUP_MEMBERSHIP_ADMIN",
		"HELP_DESK_ADMIN", "ORG_ADMIN", "READ_ONLY_ADMIN", "REPORT_ADMIN", "SUPER_ADMIN", "USER_ADMIN", "WORKFLOWS_ADMIN",
	}
}

// Most calls to one org: the smallest number that Okta takes at the same time.
const maxCallsPerOrg = 35

func (r *resolver) orgs(f *orgsFile) Orgs {
	r.within(&f.Every, 0, maxEvery, "from 0s to 720h (30 days)")
	o := Orgs{
		URL: r.orgsURL(&f.URL),
		Auth: OrgsAuth{
			key:   r.key(f.Auth.keys()),
			KeyID: r.word(&f.Auth.KeyID),
			DPoP:  f.Auth.DPoP.V,
		},
		Concurrency: r.between(&f.Concurrency, 1, 256),
		CallsPerOrg: r.between(&f.CallsPerOrg, 1, maxCallsPerOrg),
		Share:       r.between(&f.Share, 1, 100),
		Every:       f.Every.V,
	}
	for _, file := range []*at[string]{&f.Auth.PrivateKeyFile, &f.Auth.PublicKeyFile} {
		if file.OK() && !looksSecret(file.V) { // which is refused without being repeated
			r.onlyDomain(file)
		}
	}
	hasKey := f.Auth.keys().set()
	if f.Auth.KeyID.Set && !hasKey {
		r.fail(&f.Auth.KeyID, `needs "privateKeyFile" beside it`)
	}
	if b := &f.Bootstrap; b.OK() {
		r.need(b, &b.V.Role)
		o.Bootstrap = b.V.Role.V
		if !hasKey {
			r.fail(b, `needs %q: the service apps that it makes get the public key of it`, KeyOrgsPrivateKey)
		}
		if !r.hasState {
			r.fail(b, `needs "state.dir", which records its steps`)
		}
	}
	return o
}

const maxEvery = 720 * time.Hour

// orgsURL returns the template of the URLs of orgs, without a slash at its end; "" after
// an error.
func (r *resolver) orgsURL(v *at[string]) string {
	switch {
	case !v.Set || v.Bad: // the default
		return strings.TrimRight(v.V, "/")
	case v.V != "" && !strings.Contains(v.V, domainMark):
		r.fail(v, "must have %s in its host or path, as in https://%s: the same URL can't be that of all orgs", domainMark, domainMark)
		return ""
	case !r.onlyDomain(v):
		return ""
	}
	if r.serverURLAs("https://"+domainMark, v, strings.ReplaceAll(v.V, domainMark, "acme.okta.com")) == nil {
		return ""
	}
	return strings.TrimRight(v.V, "/")
}

var braced = regexp.MustCompile(`\{[^{}]*\}?`)

// onlyDomain reports whether a text has no other braces than those of {domain}, and
// adds an error if it has.
func (r *resolver) onlyDomain(v *at[string]) bool {
	for _, found := range braced.FindAllString(v.V, -1) {
		if found != domainMark {
			r.fail(v, "has %q, which stands for nothing: only %s is replaced, by the org's domain", found, domainMark)
			return false
		}
	}
	return true
}

// domainForm matches the domain of an org, in lower case, at Okta or elsewhere.
var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

func isDomain(s string) bool { return len(s) <= 253 && domainForm.MatchString(s) }

// domains returns domains of orgs in lower case.
func (r *resolver) domains(v *at[[]at[string]]) []string {
	var all []string
	for _, item := range v.V {
		domain := strings.ToLower(item.V)
		switch {
		case !item.OK():
		case !isDomain(domain):
			r.errs.Add(item.Pos, "%q must be domains of orgs, as in acme.okta.com, not %q", r.fields[v].path, item.V)
		default:
			all = append(all, domain)
		}
	}
	return all
}

// prefixes returns addresses and CIDR ranges as prefixes.
func (r *resolver) prefixes(v *at[[]at[string]]) []netip.Prefix {
	var all []netip.Prefix
	for _, item := range v.V {
		if !item.OK() {
			continue
		}
		p, err := parsePrefix(item.V)
		if err != nil {
			r.errs.Add(item.Pos, "%q must be addresses or ranges in CIDR notation, as in 192.0.2.0/24, not %q", r.fields[v].path, item.V)
			continue
		}
		all = append(all, p)
	}
	return all
}

// parsePrefix returns an address or a CIDR range as a prefix without host bits.
func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.ParsePrefix(s) // which refuses it
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}
