package simulator

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// SeedVersion is the version of the seed format.
const SeedVersion = 1

// Seed is everything that exists when a Simulator starts. It contains public keys
// and the SSWS tokens of simulated orgs, but no private keys of clients.
type Seed struct {
	// Version is that of the format; SeedVersion.
	Version int     `yaml:"version"`
	Account Account `yaml:"account"`
	// Products are what the account subscribes to.
	Products []Product `yaml:"products"`
	// Orgs are all associated orgs, managed or not, in the order in which the
	// Aerial API lists the managed ones.
	Orgs []Org `yaml:"orgs"`
	// Clients are the OAuth service apps registered in the orgs.
	Clients []Client `yaml:"clients,omitempty"`
	Limits  Limits   `yaml:"limits,omitempty"`
	// Features are the self-service features that every org is offered; without
	// any there are some made-up ones.
	Features []Feature `yaml:"features,omitempty"`
	// Templates are the access-request condition templates of the account.
	Templates []Template `yaml:"templates,omitempty"`
}

// Account is the simulated Aerial account.
type Account struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
	// DeletionAllowed is true of sandbox and Partner Program accounts, the only
	// ones that may request the deletion of an org.
	DeletionAllowed bool `yaml:"deletionAllowed,omitempty"`
}

// Product is a product that the account subscribes to.
type Product struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name"`
}

// Org is an associated org.
type Org struct {
	ID     string `yaml:"id"`
	Domain string `yaml:"domain"`
	Name   string `yaml:"name"`
	Cell   string `yaml:"cell"`
	Region string `yaml:"region,omitempty"`
	// Status is ACTIVE or INACTIVE; empty counts as ACTIVE.
	Status string `yaml:"status,omitempty"`
	// Managed orgs are linked to the account; the others can be.
	Managed bool `yaml:"managed,omitempty"`
	// AerialOrg marks the authorization server of the account. There is
	// exactly one, and it is managed.
	AerialOrg bool `yaml:"aerialOrg,omitempty"`
	// Parent is the domain of the org that created this one, or empty.
	Parent string `yaml:"parent,omitempty"`
	// Creator is true of an org to which Okta granted the Org Creator API.
	Creator bool `yaml:"creator,omitempty"`
	// Consent means that an admin of the org allowed the account to add it. A
	// child has its parent's and none of its own.
	Consent bool `yaml:"consent,omitempty"`
	// Products are the ids of the enabled products, sorted in a dump.
	Products []string `yaml:"products,omitempty"`
	// ReadForbidden makes the API return 403 for the org's products.
	ReadForbidden bool `yaml:"readForbidden,omitempty"`
	// DeletionRequested is set by a deletionRequest.
	DeletionRequested bool `yaml:"deletionRequested,omitempty"`
	// Tokens are the SSWS tokens of the org's super admin.
	Tokens []string `yaml:"tokens,omitempty"`
	// CreatedDate is like 2023-12-08T20:15:18.000Z; New fills it in if it is
	// empty.
	CreatedDate string `yaml:"createdDate,omitempty"`
	CreatedBy   string `yaml:"createdBy,omitempty"`
	// Pipeline is idx for Identity Engine, v1 for Classic Engine; empty counts as
	// idx.
	Pipeline string `yaml:"pipeline,omitempty"`
	// Features are the names of the features that are enabled.
	Features []string `yaml:"features,omitempty"`
	// Configuration are the objects of the org besides Okta's own, in JSON: a list
	// of objects by kind, policies with their rules, and settings by name. Names
	// stand where the API has ids.
	Configuration string `yaml:"configuration,omitempty"`
	// ReadyDate is from when a new org can be linked and called; empty means
	// always.
	ReadyDate string `yaml:"readyDate,omitempty"`
}

// Client is an OAuth service app, authenticated by private_key_jwt.
type Client struct {
	ID string `yaml:"id"`
	// Name is what the System Log calls it.
	Name string `yaml:"name,omitempty"`
	// Org is the domain of the org that it is registered in; AllOrgs means each
	// org, as if all of them had an app with this id and key.
	Org string `yaml:"org"`
	// Scopes are those that were granted to it.
	Scopes []string `yaml:"scopes"`
	// DPoP means that the app requires DPoP-bound tokens.
	DPoP bool  `yaml:"dpop,omitempty"`
	Keys []Key `yaml:"keys"`
}

// Key is a public key as a JSON Web Key (RFC 7517). There is no field for the
// private part, so that a seed with one is rejected.
type Key struct {
	Type  string `yaml:"kty" json:"kty"`
	ID    string `yaml:"kid" json:"kid"`
	Alg   string `yaml:"alg,omitempty" json:"alg,omitempty"`
	Use   string `yaml:"use,omitempty" json:"use,omitempty"`
	N     string `yaml:"n,omitempty" json:"n,omitempty"`
	E     string `yaml:"e,omitempty" json:"e,omitempty"`
	Curve string `yaml:"crv,omitempty" json:"crv,omitempty"`
	X     string `yaml:"x,omitempty" json:"x,omitempty"`
	Y     string `yaml:"y,omitempty" json:"y,omitempty"`
}

// Limits are the rate limits of the account and of parents.
type Limits struct {
	// Concurrent is that of concurrent calls of the Aerial API; 0 means 10.
	Concurrent int `yaml:"concurrent,omitempty"`
	// PerMinute is that of its calls per minute; 0 means none.
	PerMinute int `yaml:"perMinute,omitempty"`
	// CreatePerMinute is that of calls of the Org Creator API per minute and
	// parent; 0 means 10.
	CreatePerMinute int `yaml:"createPerMinute,omitempty"`
	// Buckets are those of each org's own API; without any they are high.
	Buckets []Bucket `yaml:"buckets,omitempty"`
}

// Template is an access-request condition template.
type Template struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name"`
	// ApplyStatus is APPLIED or NOT_APPLIED.
	ApplyStatus string `yaml:"applyStatus" json:"applyStatus"`
}

// AllOrgs is the Org of a client that is registered in each org.
const AllOrgs = "*"

const (
	active   = "ACTIVE"
	inactive = "INACTIVE"
)

// oktaTime is how Okta writes a time.
const oktaTime = "2006-01-02T15:04:05.000Z"

// supportedCells are the cells that Aerial can manage.
var supportedCells = []string{
	"ok1", "ok2", "ok3", "ok4", "ok6", "ok7", "ok8", "ok9", "ok11", "ok12",
	"ok14", "ok16", "eu1", "op1", "op2", "op3",
}

// knownScopes are the scopes that the org authorization servers know.
var knownScopes = []string{
	"okta.accounts.manage", "okta.accounts.read", "okta.apiTokens.manage", "okta.apiTokens.read",
	"okta.appGrants.manage", "okta.appGrants.read", "okta.apps.manage", "okta.apps.read",
	"okta.authenticators.manage", "okta.authenticators.read", "okta.behaviors.manage", "okta.behaviors.read",
	"okta.features.manage", "okta.features.read", "okta.groups.manage", "okta.groups.read",
	"okta.idps.manage", "okta.idps.read", "okta.logs.read", "okta.networkZones.manage", "okta.networkZones.read",
	"okta.orgs.manage", "okta.orgs.read", "okta.policies.manage", "okta.policies.read",
	"okta.rateLimits.manage", "okta.rateLimits.read", "okta.roles.manage", "okta.roles.read",
	"okta.threatInsights.manage", "okta.threatInsights.read", "okta.trustedOrigins.manage", "okta.trustedOrigins.read",
	"okta.users.manage", "okta.users.read",
}

// OrgScopes returns the scopes that an org's own API has use for, apart from the
// Aerial API's.
func OrgScopes() []string {
	return slices.DeleteFunc(slices.Clone(knownScopes), func(scope string) bool { return strings.HasPrefix(scope, "okta.accounts.") })
}

// Validate returns everything that is wrong with the seed, joined by errors.Join;
// nil if New accepts it.
func (s *Seed) Validate() error {
	v := &seedCheck{seed: s}
	v.account()
	v.products()
	v.orgs()
	v.clients()
	v.templates()
	v.features()
	return errors.Join(v.errs...)
}

// domainForm matches domains such as acme.okta.com.
var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// seedCheck collects what is wrong with a seed.
type seedCheck struct {
	seed *Seed
	errs []error
}

func seenBefore(seen map[string]bool, value string) bool {
	before := seen[value]
	seen[value] = true
	return before
}

func (v *seedCheck) add(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *seedCheck) account() {
	s := v.seed
	if s.Version != SeedVersion {
		v.add("version: want %d, got %d", SeedVersion, s.Version)
	}
	if s.Account.ID == "" || strings.ContainsAny(s.Account.ID, "/?#% ") || slices.Contains([]string{"api", "oauth2", "org"}, s.Account.ID) {
		v.add("account: id %q can't be part of a URL", s.Account.ID)
	}
	if n := len([]rune(s.Account.Name)); n < 1 || n > maxAccountName {
		v.add("account: want a name of 1 to %d characters", maxAccountName)
	}
	if min(s.Limits.Concurrent, s.Limits.PerMinute, s.Limits.CreatePerMinute) < 0 {
		v.add("limits: a limit is negative")
	}
}

func (v *seedCheck) products() {
	seen := map[string]bool{}
	for i, p := range v.seed.Products {
		if p.ID == "" || p.Name == "" {
			v.add("products: number %d needs id and name", i+1)
		}
		if seenBefore(seen, p.ID) {
			v.add("products: %q is there twice", p.ID)
		}
	}
}

func (v *seedCheck) orgs() {
	ids, domains, tokens := map[string]bool{}, map[string]bool{}, map[string]bool{}
	aerial := 0
	for i := range v.seed.Orgs {
		o := &v.seed.Orgs[i]
		if o.ID == "" || strings.ContainsAny(o.ID, "/?#% ") {
			v.add("orgs: %q: id %q can't be part of a URL", o.Domain, o.ID)
		}
		if seenBefore(ids, o.ID) {
			v.add("orgs: id %q is there twice", o.ID)
		}
		if seenBefore(domains, o.Domain) {
			v.add("orgs: domain %q is there twice", o.Domain)
		}
		for _, t := range o.Tokens {
			if seenBefore(tokens, t) || t == "" {
				v.add("orgs: %q: a token is empty or belongs to another org too", o.Domain)
			}
		}
		if o.AerialOrg {
			aerial++
		}
		v.org(o)
	}
	if aerial != 1 {
		v.add("orgs: want exactly one with aerialOrg, got %d", aerial)
	}
}

func (v *seedCheck) org(o *Org) {
	if !domainForm.MatchString(o.Domain) {
		v.add("orgs: %q is not a domain in lower case", o.Domain)
	}
	if o.Name == "" {
		v.add("orgs: %q: name is missing", o.Domain)
	}
	if o.Cell != strings.ToLower(o.Cell) || o.Cell == "" {
		v.add("orgs: %q: cell %q is not in lower case", o.Domain, o.Cell)
	}
	if o.Managed && !slices.Contains(supportedCells, o.Cell) {
		v.add("orgs: %q: managed, but its cell %q is not supported by Aerial", o.Domain, o.Cell)
	}
	if o.AerialOrg && (!o.Managed || o.Status == inactive) {
		v.add("orgs: %q: the Aerial org is always managed and active", o.Domain)
	}
	if !slices.Contains([]string{"", active, inactive}, o.Status) {
		v.add("orgs: %q: status %q is neither %s nor %s", o.Domain, o.Status, active, inactive)
	}
	if parent := v.seed.org(o.Parent); o.Parent != "" && (parent == nil || parent.Parent != "") {
		v.add("orgs: %q: there is no org %q, or it is a child itself and can't be a parent", o.Domain, o.Parent)
	}
	if !slices.Contains([]string{"", "idx", "v1"}, o.Pipeline) {
		v.add("orgs: %q: pipeline %q is neither idx nor v1", o.Domain, o.Pipeline)
	}
	if o.Parent != "" && o.Consent {
		v.add("orgs: %q: a child has its parent's consent and none of its own", o.Domain)
	}
	for _, d := range []string{o.CreatedDate, o.ReadyDate} {
		if _, err := time.Parse(oktaTime, d); d != "" && err != nil {
			v.add("orgs: %q: date %q is not like 2023-12-08T20:15:18.000Z", o.Domain, d)
		}
	}
	seen := map[string]bool{}
	for _, id := range o.Products {
		if !v.seed.subscribed(id) {
			v.add("orgs: %q: product %q is not subscribed by the account", o.Domain, id)
		}
		if seenBefore(seen, id) {
			v.add("orgs: %q: product %q is there twice", o.Domain, id)
		}
	}
}

func (v *seedCheck) clients() {
	seen := map[string]bool{}
	for i := range v.seed.Clients {
		c := &v.seed.Clients[i]
		if seenBefore(seen, c.ID) || c.ID == "" {
			v.add("clients: id %q is empty or there twice", c.ID)
		}
		if c.Org != AllOrgs && v.seed.org(c.Org) == nil {
			v.add("clients: %q: there is no org %q", c.ID, c.Org)
		}
		for _, scope := range c.Scopes {
			if !slices.Contains(knownScopes, scope) {
				v.add("clients: %q: Okta knows no scope %q", c.ID, scope)
			}
		}
		if len(c.Keys) == 0 {
			v.add("clients: %q has no key", c.ID)
		}
		for j := range c.Keys {
			if _, err := c.Keys[j].public(); err != nil {
				v.add("clients: %q: key %q: %w", c.ID, c.Keys[j].ID, err)
			}
			if slices.ContainsFunc(c.Keys[:j], func(k Key) bool { return k.ID == c.Keys[j].ID }) {
				v.add("clients: %q: key %q is there twice", c.ID, c.Keys[j].ID)
			}
		}
	}
}

func (v *seedCheck) templates() {
	seen := map[string]bool{}
	for _, t := range v.seed.Templates {
		if seenBefore(seen, t.ID) || t.ID == "" {
			v.add("templates: id %q is empty or there twice", t.ID)
		}
	}
}

// features checks the features, and that those which an org has enabled, or a
// feature needs, are among them.
func (v *seedCheck) features() {
	offered := v.seed.Features
	if len(offered) == 0 {
		offered = defaultFeatures
	}
	seen := map[string]bool{}
	for _, f := range offered {
		if seenBefore(seen, f.Name) || f.Name == "" {
			v.add("features: name %q is empty or there twice", f.Name)
		}
		if !slices.Contains([]string{"", "EA", "BETA"}, f.Stage) {
			v.add("features: %q: stage %q is neither EA nor BETA", f.Name, f.Stage)
		}
	}
	for _, f := range offered {
		for _, name := range f.Needs {
			if !seen[name] {
				v.add("features: %q: there is no feature %q", f.Name, name)
			}
		}
	}
	for _, o := range v.seed.Orgs {
		for _, name := range o.Features {
			if !seen[name] {
				v.add("orgs: %q: there is no feature %q", o.Domain, name)
			}
		}
	}
	for _, b := range v.seed.Limits.Buckets {
		if b.PerMinute < 1 {
			v.add("limits: bucket %q: want at least one call per minute", b.Path)
		}
	}
}

// org returns the org with the domain, or nil.
func (s *Seed) org(domain string) *Org {
	for i := range s.Orgs {
		if s.Orgs[i].Domain == domain {
			return &s.Orgs[i]
		}
	}
	return nil
}

func (s *Seed) subscribed(id string) bool {
	return slices.ContainsFunc(s.Products, func(p Product) bool { return p.ID == id })
}

func (s *Seed) clone() *Seed {
	c := *s
	c.Products = slices.Clone(s.Products)
	c.Templates = slices.Clone(s.Templates)
	c.Limits.Buckets = slices.Clone(s.Limits.Buckets)
	c.Features = slices.Clone(s.Features)
	c.Orgs = slices.Clone(s.Orgs)
	for i := range c.Orgs {
		c.Orgs[i] = c.Orgs[i].clone()
	}
	c.Clients = slices.Clone(s.Clients)
	for i := range c.Clients {
		c.Clients[i].Scopes = slices.Clone(c.Clients[i].Scopes)
		c.Clients[i].Keys = slices.Clone(c.Clients[i].Keys)
	}
	return &c
}

func (o Org) clone() Org {
	o.Products = slices.Clone(o.Products)
	o.Tokens = slices.Clone(o.Tokens)
	o.Features = slices.Clone(o.Features)
	return o
}

func (o *Org) subdomain() string {
	sub, _, _ := strings.Cut(o.Domain, ".")
	return sub
}

// minRSABits is the length of the shortest RSA key that Okta accepts.
const minRSABits = 2048

// public returns the key in go-jose's form.
func (k *Key) public() (*jose.JSONWebKey, error) {
	if k.ID == "" {
		return nil, errors.New("kid is missing")
	}
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("not a public JSON Web Key: %w", err)
	}
	return &jwk, checkKey(&jwk)
}

// checkKey rejects keys that Okta would: all except RSA from 2048 bits and the
// three NIST curves.
func checkKey(jwk *jose.JSONWebKey) error {
	if !jwk.IsPublic() || !jwk.Valid() {
		return errors.New("not a valid public key")
	}
	switch key := jwk.Key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key needs %d bits, got %d", minRSABits, key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if keyAlgs(key) == nil {
			return fmt.Errorf("curve %s is not supported", key.Curve.Params().Name)
		}
	default:
		return fmt.Errorf("want an RSA or EC key, got %T", jwk.Key)
	}
	return nil
}

func keyAlgs(key any) []jose.SignatureAlgorithm {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512}
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			return []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	}
	return nil
}
