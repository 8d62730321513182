package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

type httpFile struct {
	Address     at[plain]        `yaml:"address" form:"address" default:"127.0.0.1:8080" doc:"Where the daemon listens, as HOST:PORT. On any address but loopback, http.auth must be set. It serves HTTP: TLS is for a proxy in front of it."`
	URL         at[string]       `yaml:"url" form:"originURL" jsonschema:"example=https://reconciler.acme.example" doc:"The URL under which people reach the page: scheme and host. Needed for http.auth.oidc off loopback, and for requests to any name but that of http.address."`
	OpenMetrics at[bool]         `yaml:"openMetrics" default:"false" doc:"Whether /metrics answers without a token."`
	Auth        at[httpAuthFile] `yaml:"auth" doc:"Who may use the endpoints: tokensFile, oidc, both, or the word none, which is the default on loopback only."`
}

// httpAuthFile is the word none, or how to sign in.
type httpAuthFile struct {
	Word       at[authWord] `yaml:"-" word:"none" doc:"none: nobody has to sign in. Everybody is an operator on loopback, and a viewer elsewhere. Excludes the keys below."`
	TokensFile at[string]   `yaml:"tokensFile" form:"path" jsonschema:"example=/etc/reconciler/tokens.yaml" doc:"A YAML list of bearer tokens, as name, role and sha256; reconciler token makes them. It is read again when it changes."`
	OIDC       at[oidcFile] `yaml:"oidc" doc:"An OpenID provider at which people sign in, such as an Okta org."`
}

// WordField makes a word stand for the mapping.
func (httpAuthFile) WordField() string { return "Word" }

// authWord is the word that may stand for http.auth.
type authWord string

const authNone authWord = "none"

// Check takes none alone.
func (w authWord) Check() error {
	if w != authNone {
		return fmt.Errorf("must be a mapping with tokensFile or oidc, or none, not %q", text.OneLine(string(w), 40))
	}
	return nil
}

type oidcFile struct {
	Issuer              at[string]         `yaml:"issuer" form:"apiURL" jsonschema:"required,example=https://acme.okta.com" doc:"The provider's issuer, exactly as its discovery document has it."`
	ClientID            at[string]         `yaml:"clientID" form:"word" jsonschema:"required" doc:"The client id of the web application that is registered there."`
	ClientSecret        at[string]         `yaml:"-" env:"clientSecret" doc:"The client secret itself."`
	ClientSecretFile    at[string]         `yaml:"clientSecretFile" form:"path" doc:"The client secret. Sessions are encrypted with a key derived from it: another secret ends them."`
	ClientSecretCommand at[commandLine]    `yaml:"clientSecretCommand" form:"command" doc:"A program, and its arguments, that prints the client secret."`
	Groups              at[oidcGroupsFile] `yaml:"groups" jsonschema:"required" doc:"Which groups of the provider have which role. Who is in none of them may not see anything."`
}

type oidcGroupsFile struct {
	Viewer   at[[]at[string]] `yaml:"viewer" form:"groupNames" jsonschema:"example=okta-admins" doc:"Groups whose members may see everything. The variable separates them by commas."`
	Operator at[[]at[string]] `yaml:"operator" form:"groupNames" jsonschema:"example=okta-operators" doc:"Groups whose members may in addition run now, suspend, resume and acknowledge. The variable separates them by commas."`
}

// HTTP is the daemon's endpoints, and who may use them.
type HTTP struct {
	// Address is where they are served, as HOST:PORT.
	Address string
	// URL is the origin under which people reach them; nil if the config has none.
	URL *url.URL
	// OpenMetrics reports whether the metrics are for everybody.
	OpenMetrics bool
	Auth        HTTPAuth
}

// HTTPAuth is how requests are authenticated. The zero HTTPAuth is not set.
type HTTPAuth struct {
	// None means that the config says so, or that nothing is set on loopback.
	None bool
	// TokensFile is the file of bearer tokens; it may be empty.
	TokensFile string
	// OIDC may be nil.
	OIDC *OIDC
}

// OIDC is a client at an OpenID provider. All but one of the lists of groups is set.
type OIDC struct {
	// Issuer is as it is written, because it is compared byte by byte.
	Issuer       string
	ClientID     string
	ClientSecret Secret
	// Viewers and Operators are groups of the provider.
	Viewers, Operators []string
}

// OnLoopback reports whether the endpoints are served to this machine only.
func (h *HTTP) OnLoopback() bool {
	host, _, err := net.SplitHostPort(h.Address)
	return err == nil && web.IsLoopback(host)
}

// CheckAuth returns why a daemon must not serve the endpoints: they would be open to
// whoever reaches the address.
func (h *HTTP) CheckAuth() error {
	if h.OnLoopback() || h.Auth.None || h.Auth.TokensFile != "" || h.Auth.OIDC != nil {
		return nil
	}
	return text.WithHint(fmt.Errorf("%s %q is not on loopback, and %s is not set: anybody could use the endpoints", KeyHTTPAddress, h.Address, KeyHTTPAuth),
		"set "+KeyHTTPTokensFile+" or "+KeyHTTPOIDC+", or "+KeyHTTPAuth+`: none if whoever reaches the address may see everything; or listen on loopback`)
}

func (r *resolver) http(f *httpFile) HTTP {
	h := HTTP{Address: r.address(&f.Address), URL: r.originURL(&f.URL), OpenMetrics: f.OpenMetrics.V}
	if f.Auth.OK() {
		h.Auth = r.httpAuth(&f.Auth)
		if h.Auth.OIDC != nil && h.URL == nil && !f.URL.Set && !h.OnLoopback() {
			r.fail(&f.Auth.V.OIDC, "needs %q, the URL to which the provider sends people back", KeyHTTPURL)
		}
	} else if !f.Auth.Set {
		h.Auth.None = h.OnLoopback()
	}
	return h
}

func (r *resolver) httpAuth(block *at[httpAuthFile]) HTTPAuth {
	f := &block.V
	if f.Word.Set {
		return HTTPAuth{None: !f.Word.Bad}
	}
	if !f.TokensFile.Set && !f.OIDC.Set {
		r.fail(block, `has no "tokensFile" and no "oidc": give one, or the word none in place of the mapping`)
	}
	a := HTTPAuth{TokensFile: r.privateFile(&f.TokensFile)}
	if f.OIDC.OK() {
		a.OIDC = r.oidc(&f.OIDC)
	}
	return a
}

func (r *resolver) oidc(block *at[oidcFile]) *OIDC {
	f := &block.V
	r.need(block, &f.Issuer)
	r.need(block, &f.ClientID)
	r.need(block, &f.ClientSecretFile, &f.ClientSecret, &f.ClientSecretCommand)
	r.need(block, &f.Groups)
	o := &OIDC{ClientID: r.word(&f.ClientID), ClientSecret: r.secret(&f.ClientSecret, &f.ClientSecretFile, &f.ClientSecretCommand)}
	if r.serverURL("https://acme.okta.com", &f.Issuer) != nil {
		o.Issuer = f.Issuer.V
	}
	if g := &f.Groups; g.OK() {
		o.Viewers, o.Operators = r.groupNames(&g.V.Viewer), r.groupNames(&g.V.Operator)
		if len(o.Viewers)+len(o.Operators) == 0 && !g.V.Viewer.Bad && !g.V.Operator.Bad {
			r.fail(g, `has no "viewer" and no "operator": nobody could sign in`)
		}
	}
	return o
}

// groupNames returns the names of groups.
func (r *resolver) groupNames(v *at[[]at[string]]) []string {
	var all []string
	for _, item := range v.V {
		name := strings.TrimSpace(item.V)
		switch {
		case !item.OK():
		case name == "" || strings.ContainsFunc(item.V, func(c rune) bool { return !unicode.IsPrint(c) }):
			r.errs.Add(item.Pos, "%q must be names of groups, without line breaks or control characters", r.fields[v].path)
		case !slices.Contains(all, name):
			all = append(all, name)
		}
	}
	return all
}

// originURL returns a URL of scheme and host alone; nil for none.
func (r *resolver) originURL(v *at[string]) *url.URL {
	u := r.serverURL("https://reconciler.acme.example", v)
	if u == nil {
		return nil
	}
	if u.Path != "" && u.Path != "/" {
		r.fail(v, "must end with the host, without the path %q", u.Path)
		return nil
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}
