package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// The endpoints of this package. SignOutPath takes a POST of a form with a CSRF token.
const (
	SignInPath   = "/signin"
	startPath    = "/signin/start"
	CallbackPath = "/signin/callback"
	SignOutPath  = "/signout"
)

// Where the token that [CSRF] returns goes, when a page of the daemon sends something.
const (
	CSRFField  = "csrf"
	CSRFHeader = "X-CSRF-Token"
)

// ActionsPath is where the forms of pages are sent to. Under it a CSRF token is needed
// even where nobody signs in.
const ActionsPath = "/actions/"

// maxForm limits the body of a form.
const maxForm = 64 << 10

// Memory is what the gates of one process have in common: a config that is read again
// makes another gate.
type Memory struct {
	failures failures
	revoked  revoked
	onRevoke func(session string, until time.Time)

	mu  sync.Mutex
	key []byte
}

// NewMemory returns the memory of a process.
func NewMemory() *Memory {
	m := &Memory{key: make([]byte, sha256.Size)}
	_, _ = rand.Read(m.key) // which never fails
	return m
}

// Key returns the key of sessions and forms.
func (m *Memory) Key() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key
}

// SetKey sets the key of sessions and forms, so that they hold at each process that has
// it.
func (m *Memory) SetKey(key []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key = key
}

// OnRevoke makes f be called with each session that somebody ends here, and until when it
// would hold. It is to be set before the first gate is made.
func (m *Memory) OnRevoke(f func(session string, until time.Time)) { m.onRevoke = f }

// Revoke ends sessions that were ended elsewhere.
func (m *Memory) Revoke(all map[string]time.Time) {
	for session, until := range all {
		m.revoked.add(session, until)
	}
}

// Options are what a gate is made of.
type Options struct {
	HTTP   *config.HTTP
	Memory *Memory
	Log    *slog.Logger
	// TokensRefused is called with why the tokens file can't be used any more, and with
	// nil once it can; it may be nil. The tokens that it had last stay in force meanwhile.
	TokensRefused func(error)
	// Transport reaches the provider; nil for the usual one.
	Transport http.RoundTripper
}

// Gate decides which requests the endpoints get.
type Gate struct {
	http    *config.HTTP
	memory  *Memory
	log     *slog.Logger
	show    func(http.ResponseWriter, *http.Request, *Notice)
	hosts   *hosts
	jar     *jar
	tokens  *tokens   // nil without a tokens file
	oidc    *provider // nil without one
	origins *http.CrossOriginProtection
	pages   *http.ServeMux
}

// New returns a gate. The error is that of a tokens file or a client secret that can't be
// used: nobody could get in.
func New(o Options) (*Gate, error) {
	g := &Gate{
		http: o.HTTP, memory: o.Memory, log: o.Log, show: showPlain, hosts: newHosts(o.HTTP), jar: newJar(o.HTTP, o.Memory.Key),
		origins: http.NewCrossOriginProtection(), pages: http.NewServeMux(),
	}
	if u := o.HTTP.URL; u != nil {
		if err := g.origins.AddTrustedOrigin(u.String()); err != nil {
			return nil, err
		}
	}
	if path := o.HTTP.Auth.TokensFile; path != "" {
		var err error
		if g.tokens, err = openTokens(path, g.tokensRefused(o.TokensRefused)); err != nil {
			return nil, fmt.Errorf("%s: %w", config.KeyHTTPTokensFile, err)
		}
	}
	if cfg := o.HTTP.Auth.OIDC; cfg != nil {
		transport := o.Transport
		if transport == nil {
			transport = web.Default
		}
		g.oidc = newProvider(cfg, transport)
		if _, err := g.jar.codecOf(); err != nil {
			return nil, err
		}
	}
	g.pages.HandleFunc("GET "+SignInPath, g.signIn)
	g.pages.HandleFunc("POST "+SignInPath, g.signInWithToken)
	g.pages.HandleFunc("GET "+startPath, g.start)
	g.pages.HandleFunc("GET "+CallbackPath, g.callback)
	g.pages.HandleFunc("POST "+SignOutPath, g.signOut)
	return g, nil
}

// tokensRefused returns what is called with why the tokens file can't be used, and with nil
// once it can; told, which is called too, may be nil.
func (g *Gate) tokensRefused(told func(error)) func(error) {
	return func(err error) {
		if err != nil {
			g.log.Error("the tokens file can't be used; the tokens that it had last stay in force", "error", text.JoinLines(err.Error()))
		} else {
			g.log.Info("the tokens file is in force again")
		}
		if told != nil {
			told(err)
		}
	}
}

// SetShow sets what writes the gate's pages, which have no style without it.
func (g *Gate) SetShow(show func(http.ResponseWriter, *http.Request, *Notice)) { g.show = show }

// Open reports whether the endpoints are open to whoever reaches them from elsewhere.
func (g *Gate) Open() bool {
	return g.http.Auth.None && (!g.hosts.local || g.http.URL != nil && !web.IsLoopback(g.http.URL.Hostname()))
}

// CheckHost has next answer requests that are for a name of this daemon, and refuses the
// others, but for the liveness, which probes ask for by any name.
func (g *Gate) CheckHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.hosts.allow(r) || !g.hosts.local && r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		problem, hint := g.hosts.refusal()
		http.Error(w, problem+": "+hint, http.StatusMisdirectedRequest)
	})
}

// open reports whether a request is answered whoever makes it. The webhook checks
// signatures of its own.
func (g *Gate) open(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/hooks/git":
		return true
	case "/metrics":
		return g.http.OpenMetrics
	}
	name, is := strings.CutPrefix(r.URL.Path, "/static/")
	return is && !strings.Contains(name, "/")
}

// Wrap returns a handler that authenticates requests, and has next answer those that the
// user's role allows, with the user and the CSRF token in their context.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := g.http.URL; u != nil && u.Scheme == "https" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		if g.open(r) {
			next.ServeHTTP(w, r)
			return
		}
		if _, pattern := g.pages.Handler(r); pattern != "" || r.URL.Path == SignOutPath {
			g.pages.ServeHTTP(w, r)
			return
		}
		user, s, err := g.authenticate(r)
		switch {
		case err != nil:
			g.unauthorized(w, r, err)
		case user == nil:
			g.challenge(w, r)
		case !user.May(Viewer):
			g.Refuse(w, r, http.StatusForbidden, user.Name+" is in none of the groups that may see this", "whoever runs this daemon can say which groups may: "+config.KeyHTTPGroups)
		default:
			if code, problem, hint := g.change(w, r, user, s); code != 0 {
				g.Refuse(w, r, code, problem, hint)
				return
			}
			ctx := WithUser(r.Context(), user)
			if user.Via == ViaNone || s != nil {
				ctx = WithCSRF(ctx, mask(g.csrf(s)))
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// change returns why a request that changes something is refused; 0 if it isn't.
func (g *Gate) change(w http.ResponseWriter, r *http.Request, user *User, s *session) (code int, problem, hint string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return 0, "", ""
	}
	if err := g.origins.Check(r); err != nil {
		return http.StatusForbidden, "a page of another origin can't ask for this", ""
	}
	if !user.May(Operator) {
		hint := "it needs the role operator"
		if g.http.Auth.None {
			hint = "where nobody signs in, only programs and pages of the daemon's own machine may: ask for it by localhost, or set " + config.KeyHTTPAuth
		}
		return http.StatusForbidden, "a viewer can't change anything", hint
	}
	if s != nil || user.Via == ViaNone && strings.HasPrefix(r.URL.Path, ActionsPath) {
		if !g.hasCSRF(w, r, s) {
			return http.StatusForbidden, "this was not sent by a page of the daemon, or the page is too old", "open the page again, and send it from there"
		}
	}
	return 0, "", ""
}

// csrf returns the token of a session, or that of all pages where nobody signs in.
func (g *Gate) csrf(s *session) string {
	if s != nil {
		return s.CSRF
	}
	mac := hmac.New(sha256.New, g.memory.Key())
	mac.Write([]byte("csrf"))
	return hex.EncodeToString(mac.Sum(nil))
}

// hasCSRF reports whether a request has the token, in its header or its form.
func (g *Gate) hasCSRF(w http.ResponseWriter, r *http.Request, s *session) bool {
	sent := r.Header.Get(CSRFHeader)
	if sent == "" && isForm(r) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		sent = r.PostFormValue(CSRFField)
	}
	return same(unmask(sent), g.csrf(s))
}

// mask returns a token for a page: a random mask, and the token under it. A page may be
// compressed, also by a proxy, and then its length would tell what in it is the same as in
// a parameter of the request.
func mask(token string) string {
	masked := make([]byte, 2*len(token))
	pad, under := masked[:len(token)], masked[len(token):]
	_, _ = rand.Read(pad) // which never fails
	subtle.XORBytes(under, pad, []byte(token))
	return base64.RawURLEncoding.EncodeToString(masked)
}

// unmask returns the token that mask hid; anything else becomes no token.
func unmask(masked string) string {
	data, err := base64.RawURLEncoding.DecodeString(masked)
	if err != nil || len(data)%2 != 0 {
		return ""
	}
	pad, token := data[:len(data)/2], data[len(data)/2:]
	subtle.XORBytes(token, token, pad)
	return string(token)
}

func isForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

// same compares secrets.
func same(a, b string) bool { return b != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

var (
	errBadToken  = errors.New("the token is not valid")
	errNoTokens  = errors.New("this daemon takes no tokens")
	errThrottled = errors.New("too many failed attempts from this address: try again in a minute")
)

// authenticate returns who makes a request, and the session that says so; nil if nobody
// is known. An error is that of a token. A request with a token is never that of a
// session.
func (g *Gate) authenticate(r *http.Request) (*User, *session, error) {
	if g.http.Auth.None {
		role := Viewer
		if g.hosts.local && fromLoopback(r) && !forwarded(r) {
			role = Operator
		}
		return &User{Role: role}, nil, nil
	}
	if token, is := bearerOf(r.Header.Values("Authorization")); is {
		user, err := g.byToken(r, token)
		return user, nil, err
	}
	user, s := g.bySession(r)
	return user, s, nil
}

// bySession returns the user of a request's session; nil if there is none that holds.
func (g *Gate) bySession(r *http.Request) (*User, *session) {
	s := g.jar.session(r)
	switch {
	case s == nil || g.memory.revoked.has(s.ID):
	case s.Token != "" && g.tokens != nil:
		if e := g.tokens.findHash(s.Token); e != nil {
			return &User{Name: e.Name, Role: e.Role, Via: ViaToken, Session: true}, s
		}
	case s.Token == "" && g.oidc != nil:
		return &User{Name: s.Name, Role: roleOf(g.http.Auth.OIDC, s.Groups), Via: ViaOIDC, Session: true}, s
	}
	return nil, nil
}

// byToken returns the user of a token. Failures are counted, and said without the token.
func (g *Gate) byToken(r *http.Request, token string) (*User, error) {
	if g.tokens == nil {
		return nil, errNoTokens
	}
	if e := g.tokens.find(token); e != nil {
		return &User{Name: e.Name, Role: e.Role, Via: ViaToken}, nil
	}
	return nil, g.failed(r, errBadToken)
}

// failed counts a failed attempt, and returns what to answer.
func (g *Gate) failed(r *http.Request, err error) error {
	switch n := g.memory.failures.add(r.RemoteAddr); {
	case n > maxFailures:
		return errThrottled
	case n == maxFailures:
		g.log.Warn("too many failed attempts to sign in; further ones are refused for a minute", "remote", r.RemoteAddr)
	default:
		g.log.Warn("a failed attempt to sign in", "remote", r.RemoteAddr, "error", err.Error())
	}
	return err
}

// roleOf returns the role of the groups' members; "" for none.
func roleOf(cfg *config.OIDC, groups []string) Role {
	in := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(groups, name) })
	}
	switch {
	case in(cfg.Operators):
		return Operator
	case in(cfg.Viewers):
		return Viewer
	}
	return ""
}

// wantsPage reports whether a request is a browser's for a page.
func wantsPage(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for kind := range strings.SplitSeq(accept, ",") {
			if name, _, err := mime.ParseMediaType(strings.TrimSpace(kind)); err == nil && name == "text/html" {
				return true
			}
		}
	}
	return false
}

// challenge asks somebody who isn't known to sign in.
func (g *Gate) challenge(w http.ResponseWriter, r *http.Request) {
	if wantsPage(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, SignInURL(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	g.unauthorized(w, r, nil)
}

// unauthorized answers a request without a valid token; err is nil for one without any.
func (g *Gate) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	challenge, code, problem := `Bearer realm="reconciler"`, http.StatusUnauthorized, "this daemon wants to know who asks"
	if err != nil {
		challenge, problem = challenge+`, error="invalid_token"`, err.Error()
	}
	if errors.Is(err, errThrottled) {
		code = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "60")
	}
	hint := "send a token of " + config.KeyHTTPTokensFile + " in the header Authorization: Bearer TOKEN"
	if g.tokens == nil {
		hint = "sign in with a browser: programs need " + config.KeyHTTPTokensFile
	}
	w.Header().Set("WWW-Authenticate", challenge)
	g.Refuse(w, r, code, problem, hint)
}

// Refuse answers a request with an error: a page or JSON, as is asked for.
func (g *Gate) Refuse(w http.ResponseWriter, r *http.Request, code int, problem, hint string) {
	w.Header().Set("Cache-Control", "no-store")
	if wantsPage(r) {
		n := &Notice{Code: code, Title: problem, Hint: hint}
		if user, s := g.bySession(r); s != nil {
			n.User, n.CSRF = user, mask(s.CSRF)
		}
		g.show(w, r, n)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	data, _ := json.MarshalIndent(struct {
		Error string `json:"error"`
		Hint  string `json:"hint,omitempty"`
	}{problem, hint}, "", "  ")
	_, _ = w.Write(append(text.VisibleJSON(data), '\n'))
}
