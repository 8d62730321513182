package signin

import (
	"crypto/rand"
	_ "embed" // for the template
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"reconciler/internal/config"
	"reconciler/internal/text"
)

// Notice is what a page of the gate says.
type Notice struct {
	// Code is the HTTP status.
	Code int
	// Title is one line; Text and Hint may be empty.
	Title, Text, Hint string
	// User is who is signed in, and CSRF the token for the form that signs them out; nil
	// and empty if nobody is.
	User *User
	CSRF string
	// Provider is the host of the OpenID provider and StartURL where signing in there
	// begins; empty if the page isn't for that.
	Provider, StartURL string
	// TokenForm reports whether the page has a form for a token, which is posted to
	// SignInPath as "token", with Return as "return".
	TokenForm bool
	Return    string
}

//go:embed page.html
var plainPage string

var plainTemplate = template.Must(template.New("page").Parse(plainPage))

// showPlain shows a notice without style.
func showPlain(w http.ResponseWriter, _ *http.Request, n *Notice) {
	var page strings.Builder
	if err := plainTemplate.Execute(&page, n); err != nil {
		http.Error(w, "the page can't be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(n.Code)
	_, _ = w.Write([]byte(page.String()))
}

// SignInURL returns the page to sign in at, from which one comes back to a path of this
// daemon.
func SignInURL(back string) string {
	if back = LocalPath(back); back == "/" {
		return SignInPath
	}
	return SignInPath + "?" + url.Values{"return": {back}}.Encode()
}

// LocalPath returns a path of this daemon with its query, for a redirect or a link; "/" for
// anything that leads elsewhere, to signing in, or to an action.
func LocalPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > 2000 || !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") || strings.ContainsAny(raw, "\\\r\n\t") ||
		u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.HasPrefix(u.Path, "//") || strings.ContainsRune(u.Path, '\\') {
		return "/"
	}
	if u.Path == SignInPath || strings.HasPrefix(u.Path, SignInPath+"/") || u.Path == SignOutPath || strings.HasPrefix(u.Path, ActionsPath) {
		return "/"
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}

// signInPage returns the page to sign in at.
func (g *Gate) signInPage(code int, title, back string) *Notice {
	n := &Notice{Code: code, Title: title, Return: back, TokenForm: g.tokens != nil}
	if g.oidc != nil {
		n.Provider = g.oidc.host()
		n.StartURL = startPath
		if back != "/" {
			n.StartURL += "?" + url.Values{"return": {back}}.Encode()
		}
	}
	return n
}

// signIn shows how to sign in.
func (g *Gate) signIn(w http.ResponseWriter, r *http.Request) {
	back := LocalPath(r.URL.Query().Get("return"))
	user, s := g.bySession(r)
	switch {
	case g.http.Auth.None, user.May(Viewer):
		http.Redirect(w, r, back, http.StatusSeeOther)
	case user != nil && s != nil:
		n := g.signInPage(http.StatusForbidden, user.Name+" is in none of the groups that may see this", back)
		n.User, n.CSRF = user, mask(s.CSRF)
		g.show(w, r, n)
	case r.URL.Query().Has("out"):
		n := g.signInPage(http.StatusOK, "You are signed out", back)
		if g.oidc != nil {
			n.Text = "You may still be signed in at " + g.oidc.host() + "."
		}
		g.show(w, r, n)
	default:
		g.show(w, r, g.signInPage(http.StatusOK, "Sign in", back))
	}
}

// fail shows why somebody could not sign in, and how to try again.
func (g *Gate) fail(w http.ResponseWriter, r *http.Request, code int, back, why, hint string) {
	n := g.signInPage(code, "You could not be signed in", back)
	n.Text, n.Hint = why, hint
	g.show(w, r, n)
}

// failAttempt is fail for an attempt that counts as failed.
func (g *Gate) failAttempt(w http.ResponseWriter, r *http.Request, code int, back string, why error) {
	if why = g.failed(r, why); errors.Is(why, errThrottled) {
		code = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "60")
	}
	g.fail(w, r, code, back, why.Error(), text.Hint(why))
}

// redirectURI returns where the provider sends people back to. Without a URL in the
// config it is the name by which this machine was asked, which was checked.
func (g *Gate) redirectURI(r *http.Request) string {
	if g.http.URL != nil {
		return g.http.URL.String() + CallbackPath
	}
	return (&url.URL{Scheme: "http", Host: r.Host, Path: CallbackPath}).String()
}

// movedParameter says that somebody was sent to the URL of the config already.
const movedParameter = "moved"

// start sends somebody to the provider.
func (g *Gate) start(w http.ResponseWriter, r *http.Request) {
	back := LocalPath(r.URL.Query().Get("return"))
	if g.oidc == nil {
		http.Redirect(w, r, SignInURL(back), http.StatusSeeOther)
		return
	}
	if u := g.http.URL; u != nil && !strings.EqualFold(hostOf(r), u.Hostname()) {
		// The cookie has to be there when the provider sends them back.
		if r.URL.Query().Has(movedParameter) {
			g.fail(w, r, http.StatusMisdirectedRequest, back, "what is sent to "+u.Host+" arrives here for "+text.OneLine(r.Host, maxName),
				"the proxy must pass the Host header on as it is, or set "+config.KeyHTTPURL+" to the URL under which people come")
			return
		}
		q := url.Values{"return": {back}, movedParameter: {"1"}}
		http.Redirect(w, r, u.String()+startPath+"?"+q.Encode(), http.StatusSeeOther)
		return
	}
	found, err := g.oidc.discover(r.Context())
	if err != nil {
		g.log.Warn("nobody can sign in at the provider", "error", err.Error(), "hint", text.Hint(err))
		g.fail(w, r, http.StatusServiceUnavailable, back, err.Error(), text.Hint(err))
		return
	}
	a := &attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: back, Expires: time.Now().Add(attemptFor).Unix()}
	if err := g.jar.begin(w, r, a); err != nil {
		g.log.Error("a sign-in can't begin", "error", text.JoinLines(err.Error()))
		g.fail(w, r, http.StatusInternalServerError, back, "the sign-in can't begin", "the log says why")
		return
	}
	http.Redirect(w, r, found.authURL(g.oidc, g.redirectURI(r), a), http.StatusSeeOther)
}

// callback makes a session of what the provider says.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) {
	if g.oidc == nil {
		http.Redirect(w, r, SignInPath, http.StatusSeeOther)
		return
	}
	q := r.URL.Query()
	a, err := g.jar.end(w, r, q.Get("state"))
	if err != nil {
		g.fail(w, r, http.StatusBadRequest, "/", err.Error(), "begin again")
		return
	}
	if err := answered(q, g.http.Auth.OIDC.Issuer); err != nil {
		g.failAttempt(w, r, http.StatusBadRequest, a.Return, err)
		return
	}
	found, err := g.oidc.discover(r.Context())
	if err != nil {
		g.fail(w, r, http.StatusServiceUnavailable, a.Return, err.Error(), text.Hint(err))
		return
	}
	secret, err := g.http.Auth.OIDC.ClientSecret.Read(r.Context())
	if err != nil {
		g.log.Error("nobody can sign in at the provider", "error", text.JoinLines(err.Error()), "hint", text.Hint(err))
		g.fail(w, r, http.StatusServiceUnavailable, a.Return, "the daemon has no client secret for the provider now", "its log says why")
		return
	}
	id, err := g.oidc.identify(r.Context(), found, string(secret), q.Get("code"), g.redirectURI(r), a)
	if err != nil {
		g.failAttempt(w, r, http.StatusBadRequest, a.Return, err)
		return
	}
	g.admit(w, r, id, a.Return)
}

// answered returns why an answer of the provider lets nobody in, before its code is
// exchanged.
func answered(q url.Values, issuer string) error {
	switch problem := q.Get("error"); {
	case problem != "":
		why := "the provider says " + text.OneLine(problem, 100)
		if more := q.Get("error_description"); more != "" {
			why += ": " + text.OneLine(more, 300)
		}
		return errors.New(why)
	case q.Has("iss") && q.Get("iss") != issuer:
		return errors.New("the answer is from another provider")
	case q.Get("code") == "":
		return errors.New("the provider's answer has no code")
	}
	return nil
}

// admit makes a session of somebody who signed in at the provider, if they have a role.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request, id *identity, back string) {
	cfg := g.http.Auth.OIDC
	s := newSession()
	s.Name = id.name
	for _, group := range id.groups {
		if slices.Contains(cfg.Viewers, group) || slices.Contains(cfg.Operators, group) {
			s.Groups = append(s.Groups, group)
		}
	}
	role := roleOf(cfg, s.Groups)
	if role == "" {
		g.log.Warn("somebody signed in who is in none of the groups", "user", id.name, "subject", text.OneLine(id.subject, maxName), "groups", len(id.groups))
		hint := "whoever runs this daemon can say which groups may: " + config.KeyHTTPGroups
		if len(id.groups) == 0 {
			hint += "; the provider names no groups at all: does the application there send the claim " + groupsClaim + "?"
		}
		n := g.signInPage(http.StatusForbidden, id.name+" is in none of the groups that may see this", back)
		n.Hint = hint
		g.show(w, r, n)
		return
	}
	g.begin(w, r, s, back, "user", id.name, "subject", text.OneLine(id.subject, maxName), "role", string(role))
}

// begin begins a session, and goes where somebody wanted to go.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, s *session, back string, who ...any) {
	if err := g.jar.set(w, sessionCookie, s, sessionFor); err != nil {
		g.log.Error("a session can't begin", "error", text.JoinLines(err.Error()))
		g.fail(w, r, http.StatusInternalServerError, back, "the session can't begin", "the log says why")
		return
	}
	g.log.Info("signed in", who...)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// signInWithToken makes a session of a token, for a browser.
func (g *Gate) signInWithToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	back := LocalPath(r.PostFormValue("return"))
	switch err := g.origins.Check(r); {
	case g.tokens == nil:
		g.Refuse(w, r, http.StatusNotFound, errNoTokens.Error(), "")
		return
	case err != nil || !isForm(r):
		g.Refuse(w, r, http.StatusForbidden, "a page of another origin can't ask for this", "")
		return
	}
	e := g.tokens.find(strings.TrimSpace(r.PostFormValue("token")))
	if e == nil {
		g.failAttempt(w, r, http.StatusUnauthorized, back, errBadToken)
		return
	}
	s := newSession()
	s.Token = e.SHA256
	g.begin(w, r, s, back, "user", tokenUser+e.Name, "role", string(e.Role))
}

// signOut ends a session.
func (g *Gate) signOut(w http.ResponseWriter, r *http.Request) {
	if err := g.origins.Check(r); err != nil {
		g.Refuse(w, r, http.StatusForbidden, "a page of another origin can't ask for this", "")
		return
	}
	if s := g.jar.session(r); s != nil {
		if !g.hasCSRF(w, r, s) {
			g.Refuse(w, r, http.StatusForbidden, "this was not sent by a page of the daemon, or the page is too old", "open the page again, and send it from there")
			return
		}
		user, _ := g.bySession(r)
		g.log.Info("signed out", "user", user.By())
		until := time.Unix(s.Expires, 0)
		g.memory.revoked.add(s.ID, until)
		if g.memory.onRevoke != nil {
			g.memory.onRevoke(s.ID, until)
		}
	}
	g.jar.remove(w, sessionCookie)
	http.Redirect(w, r, SignInPath+"?out", http.StatusSeeOther)
}
