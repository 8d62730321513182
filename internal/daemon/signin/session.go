package signin

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/securecookie"

	"reconciler/internal/config"
)

const (
	// sessionFor is how long a session holds, however much it is used.
	sessionFor = 12 * time.Hour
	// attemptFor is how long somebody may take to sign in at the provider.
	attemptFor = 10 * time.Minute
	// maxAttempts is how many attempts one browser has at the same time, one a tab.
	maxAttempts = 5

	sessionCookie = "reconciler-session"
	attemptCookie = "reconciler-signin-"
	// maxReturn is how many bytes of an attempt's cookie the path to return to may have:
	// all cookies together have to fit into the header of a request.
	maxReturn = 600
	// attemptName is how many characters of an attempt's state are in its cookie's name.
	attemptName = 8
)

// session is what the cookie of somebody who signed in says.
type session struct {
	ID string `json:"i"`
	// Name and Groups are from the provider. Of the groups it has those alone that the
	// config names.
	Name   string   `json:"n,omitempty"`
	Groups []string `json:"g,omitempty"`
	// Token is the hash of the token that the session was made from. It is looked up for
	// each request, so that a token that is taken away ends its sessions.
	Token string `json:"t,omitempty"`
	// CSRF is what forms must contain.
	CSRF    string `json:"c"`
	Expires int64  `json:"e"`
}

func newSession() *session {
	return &session{ID: rand.Text(), CSRF: rand.Text(), Expires: time.Now().Add(sessionFor).Unix()}
}

// attempt is a sign-in that was begun at the provider.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Return   string `json:"r"`
	Expires  int64  `json:"e"`
}

// jar reads and writes the cookies.
type jar struct {
	// secret returns what keys are derived from.
	secret func() ([]byte, error)
	// purpose is what they are for: a secret that is used elsewhere too gives other keys.
	purpose string
	secure  bool

	mu    sync.Mutex
	from  [sha256.Size]byte
	codec *securecookie.SecureCookie
}

// newJar returns a jar whose keys come from the client secret, so that sessions outlive a
// restart and hold at each daemon with the same config, or else from key.
func newJar(h *config.HTTP, key func() []byte) *jar {
	j := &jar{purpose: "reconciler sessions", secure: h.URL != nil && h.URL.Scheme == "https"}
	if o := h.Auth.OIDC; o != nil {
		// Whose request it is doesn't matter: the keys are those of all cookies.
		j.secret = func() ([]byte, error) { return o.ClientSecret.Read(context.Background()) }
		j.purpose += "\x00" + o.Issuer + "\x00" + o.ClientID
	} else {
		j.secret = func() ([]byte, error) { return key(), nil }
	}
	return j
}

// codecOf returns the codec with the keys of the present secret. While that can't be
// read, it is the one before.
func (j *jar) codecOf() (*securecookie.SecureCookie, error) {
	secret, err := j.secret()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		if j.codec == nil {
			return nil, err
		}
		return j.codec, nil
	}
	from := sha256.Sum256(secret)
	if j.codec != nil && from == j.from {
		return j.codec, nil
	}
	const hashKey, blockKey = 64, 32
	keys, err := hkdf.Key(sha256.New, secret, nil, j.purpose, hashKey+blockKey)
	if err != nil {
		return nil, err
	}
	codec := securecookie.New(keys[:hashKey], keys[hashKey:])
	codec.SetSerializer(securecookie.JSONEncoder{})
	codec.MaxAge(int(sessionFor.Seconds()))
	j.from, j.codec = from, codec
	return codec, nil
}

// name returns the name of a cookie. With the prefix, no other host of the domain, and
// nothing that isn't encrypted, can set it.
func (j *jar) name(base string) string {
	if j.secure {
		return "__Host-" + base
	}
	return base
}

// set sets a cookie for the whole site, which scripts can't read. Lax sends it along when
// somebody comes from the provider, or by a link from elsewhere, which Strict does not;
// requests that change something are protected by other means.
func (j *jar) set(w http.ResponseWriter, base string, value any, lasts time.Duration) error {
	codec, err := j.codecOf()
	if err != nil {
		return err
	}
	sealed, err := codec.Encode(j.name(base), value)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: j.name(base), Value: sealed, Path: "/", MaxAge: int(lasts.Seconds()), HttpOnly: true, Secure: j.secure, SameSite: http.SameSiteLaxMode,
	})
	return nil
}

func (j *jar) remove(w http.ResponseWriter, base string) {
	http.SetCookie(w, &http.Cookie{Name: j.name(base), Path: "/", MaxAge: -1, HttpOnly: true, Secure: j.secure, SameSite: http.SameSiteLaxMode})
}

// get reads a cookie, and reports whether there is one that this daemon made.
func (j *jar) get(r *http.Request, base string, value any) bool {
	cookies := r.CookiesNamed(j.name(base))
	if len(cookies) != 1 {
		return false
	}
	codec, err := j.codecOf()
	return err == nil && codec.Decode(j.name(base), cookies[0].Value, value) == nil
}

// session returns the session of a request; nil if there is none that holds.
func (j *jar) session(r *http.Request) *session {
	var s session
	if !j.get(r, sessionCookie, &s) || s.ID == "" || s.CSRF == "" || time.Now().Unix() >= s.Expires {
		return nil
	}
	return &s
}

// begin begins an attempt, and ends others of this browser if there are many.
func (j *jar) begin(w http.ResponseWriter, r *http.Request, a *attempt) error {
	var others []string
	for _, c := range r.Cookies() {
		if base := strings.TrimPrefix(c.Name, j.name("")); strings.HasPrefix(base, attemptCookie) {
			others = append(others, base)
		}
	}
	if len(others) >= maxAttempts {
		for _, base := range slices.Compact(slices.Sorted(slices.Values(others))) {
			j.remove(w, base)
		}
	}
	if path, err := json.Marshal(a.Return); err != nil || len(path) > maxReturn {
		a.Return = "/"
	}
	return j.set(w, attemptCookie+a.State[:attemptName], a, attemptFor)
}

var errNoAttempt = errors.New("this browser has begun no such sign-in, or it took too long")

// end ends the attempt with that state, and returns it.
func (j *jar) end(w http.ResponseWriter, r *http.Request, state string) (*attempt, error) {
	if len(state) < attemptName || strings.ContainsFunc(state, func(c rune) bool { return c < '2' || c > 'Z' }) {
		return nil, errNoAttempt
	}
	base := attemptCookie + state[:attemptName]
	var a attempt
	if !j.get(r, base, &a) {
		return nil, errNoAttempt
	}
	j.remove(w, base)
	if !same(a.State, state) || time.Now().Unix() >= a.Expires {
		return nil, errNoAttempt
	}
	return &a, nil
}
