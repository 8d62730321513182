package source

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"reconciler/internal/text"
	"reconciler/internal/web"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// keepsSecret fails the test if the secret stands, in any spelling, in the
// error, its hint or the log.
func keepsSecret(t *testing.T, err error, logged *bytes.Buffer, user string) {
	t.Helper()
	all := fmt.Sprint(err) + text.Hint(err) + logged.String()
	if containsAny(all, secretSpellings(user)...) {
		t.Errorf("a secret got out: %s", all)
	}
}

// The advice fits the credentials that were given, and what the server says.
func TestRefusals(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	none, given, app := Auth{}, Auth{Password: password(secret)}, Auth{Password: password(appToken + secret)}
	const sso = "The `acme' organization has enabled or enforced SAML SSO. To access\nthis repository, visit https://github.com/enterprises/acme/sso?authorization_request=s3cret and try again."
	for _, tt := range []struct {
		name   string
		auth   Auth
		status int
		header string
		body   string
		kind   error
		tries  int32
		words  []string
	}{
		{"401 none", none, 401, "", "", ErrDenied, 1, []string{"answered 401 Unauthorized", "git.auth.username"}},
		{"401 given", given, 401, "", "Bad credentials", ErrDenied, 1, []string{"answered 401 Unauthorized: Bad credentials", "expired"}},
		{"401 app", app, 401, "", "", ErrDenied, 1, []string{"answered 401 Unauthorized", "the app uninstalled"}},
		{"403 none", none, 403, "", "", ErrDenied, 1, []string{"answered 403 Forbidden", "git.auth.username", "address blocked"}},
		{"403 given", given, 403, "", "No.", ErrDenied, 1, []string{"answered 403 Forbidden: No.", "needs permission to read"}},
		{"403 app", app, 403, "", "", ErrDenied, 1, []string{"answered 403 Forbidden", "the GitHub App, needs permission"}},
		{"404 none", none, 404, "", "", ErrNotFound, 1, []string{"answered 404 Not Found", "not public, set git.auth.username"}},
		{"404 given", given, 404, "", "", ErrNotFound, 1, []string{"answered 404 Not Found", "the credentials may not see it"}},
		{"404 app", app, 404, "", "", ErrNotFound, 1, []string{"answered 404 Not Found", "the app is not installed"}},
		{"single sign-on, by words", given, 403, "", sso, ErrDenied, 1, []string{"answered 403 Forbidden", "visit https://github.com/enterprises/acme/sso and", "single sign-on"}},
		{"single sign-on, by header", given, 403, "X-GitHub-SSO: required; url=https://github.com/orgs/acme/sso?authorization_request=s3cret", "", ErrDenied, 1,
			[]string{"answered 403 Forbidden", "single sign-on"}},
		{"limit, none", none, 429, "", "", ErrUnreachable, maxTries, []string{"answered 429 Too Many Requests", "with credentials, most hosts allow more"}},
		{"limit", given, 429, "", "slow down", ErrUnreachable, maxTries, []string{"answered 429 Too Many Requests: slow down", "less often"}},
		{"limit, soon over", given, 429, "Retry-After: 1", "", ErrUnreachable, maxTries, []string{"answered 429 Too Many Requests"}},
		{"limit, for long", given, 429, "Retry-After: 3600", "", ErrUnreachable, 1, []string{"answered 429 Too Many Requests"}},
		{"limit, until a date", given, 429, "Retry-After: Thu, 31 Dec 2099 23:59:59 GMT", "", ErrUnreachable, 1, []string{"answered 429 Too Many Requests"}},
		{"limit, as GitHub says it", given, 403, "X-RateLimit-Remaining: 0", "", ErrUnreachable, maxTries, []string{"answered 403 Forbidden", "less often"}},
		{"trouble", given, 502, "", "<html>Bad gateway</html>", ErrUnreachable, maxTries, []string{"answered 502 Bad Gateway", "look at its log"}},
		{"gone", given, 410, "", "", ErrNotFound, 1, []string{"not git's: 410 Gone", "URL of a git repository"}},
		{"proxy in between", given, 407, "", "", ErrDenied, 1, []string{"the proxy answered 407", "HTTPS_PROXY"}},
		{"page", given, 200, "Content-Type: text/html; charset=utf-8", "Hello!", ErrNotFound, 1, []string{"the answer is not git's", "a web page", "git.auth.passwordFile is missing or not accepted"}},
		{"page without a type", none, 200, "Content-Type: application/octet-stream", "\n <!DOCTYPE html>", ErrNotFound, 1, []string{"a web page", "git.auth.passwordFile"}},
		{"no words", given, 200, "", "", ErrNotFound, 1, []string{"the answer is not git's: it is empty"}},
		{"words of a code host", given, 200, "", "001e# service=git-upload-pack\n0000001aERR access denied to x", ErrDenied, 1,
			[]string{`the server says "access denied to x"`, "permission to read"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWeb(t, r.Dir(), false)
			s.before = func(w http.ResponseWriter, _ *http.Request) bool {
				if name, value, ok := strings.Cut(tt.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
				return true
			}
			logger, logged := logTo()
			_, err := newGit(t, GitOptions{URL: s.url(), Auth: tt.auth, Logger: logger}).Fetch(t.Context())
			wantError(t, err, tt.kind, tt.words...)
			if n := s.lists.Load(); n != tt.tries {
				t.Errorf("asked %d times, want %d", n, tt.tries)
			}
			if hint := text.Hint(err); hint == "" || tt.auth.Password != nil && strings.Contains(hint, "who show credentials") {
				t.Errorf("hint %q", hint)
			}
			keepsSecret(t, err, logged, "git")
		})
	}
}

// A page to sign in, to which a server redirects, is named without its query.
func TestRedirectToPage(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveWeb(t, r.Dir(), false)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/login") {
			_, _ = io.WriteString(w, "<html>Who are you?</html>")
			return true
		}
		http.Redirect(w, r, "/login?token=s3cret", http.StatusFound)
		return true
	}
	_, err := newGit(t, GitOptions{URL: s.url()}).Fetch(t.Context())
	wantError(t, err, ErrDenied, "redirect", `"/login"`, "change git.url")
	keepsSecret(t, err, new(bytes.Buffer), "git")
}

// An app's token goes with the user that GitHub wants beside it.
func TestAppToken(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	for user, auth := range map[string]Auth{
		"x-access-token": {Password: password(appToken + "x")},
		"me":             {Username: "me", Password: password(appToken + "x")},
	} {
		s := serveWeb(t, r.Dir(), false)
		s.basicAuth(user, appToken+"x")
		wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url(), Auth: auth})), want)
	}
}

// A server that knows the password may put it into anything that it says.
func TestSecretsAreKept(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	echo := func(r *http.Request) string {
		user, p, _ := r.BasicAuth()
		return strings.Join([]string{user, p, url.QueryEscape(p), url.PathEscape(p), r.Header.Get("Authorization")}, " ")
	}
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"401":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusUnauthorized) },
		"403":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusForbidden) },
		"429":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusTooManyRequests) },
		"500":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusInternalServerError) },
		"garbage": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "00ff%s", echo(r)) },
		"error": func(w http.ResponseWriter, r *http.Request) {
			m := "ERR " + echo(r)
			fmt.Fprintf(w, "%04x%s", len(m)+4, m)
		},
		"page": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<html>%s</html>", echo(r)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			_, p, _ := r.BasicAuth()
			w.Header().Set("Location", "/"+url.PathEscape(p)+"?"+url.QueryEscape(p))
			w.WriteHeader(302)
		},
		"redirect with a user": func(w http.ResponseWriter, r *http.Request) {
			_, p, _ := r.BasicAuth()
			w.Header().Set("Location", "http://git:"+url.QueryEscape(p)+"@127.0.0.1:1/info/refs")
			w.WriteHeader(302)
		},
		"redirect to nowhere": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "ftp://"+echo(r))
			w.WriteHeader(302)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveWeb(t, r.Dir(), false)
			var urls []string
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				urls = append(urls, r.URL.String())
				answer(w, r)
				return true
			}
			logger, logged := logTo()
			_, err := newGit(t, GitOptions{URL: s.url(), Auth: Auth{Password: password(secret)}, Logger: logger}).Fetch(t.Context())
			if err == nil {
				t.Fatal("want an error")
			}
			keepsSecret(t, err, logged, "git")
			if containsAny(urls[0], secretSpellings("git")...) {
				t.Errorf("the secret is in a URL: %s", urls[0])
			}
		})
	}
}

func TestSSHKeys(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("there is no ssh-keygen program")
	}
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveSSH(t, r.Dir(), false)
	locked, public := makeKey(t, keygen, "-t", "ed25519", "-a", "1", "-N", secret)
	old, _ := makeKey(t, keygen, "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", secret)
	pkcs8, _ := makeKey(t, keygen, "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", secret)
	for _, tt := range []struct {
		name       string
		key        string // the file
		passphrase func(context.Context) (string, error)
		words      []string
	}{
		{"locked, no passphrase", locked, nil, []string{"needs a passphrase", "git.auth.sshPassphraseFile", "ssh-keygen"}},
		{"locked, another passphrase", locked, password("s3cret-other"), []string{"the passphrase does not unlock the SSH key", "ssh-keygen -y"}},
		{"locked, old format", old, nil, []string{"needs a passphrase"}},
		{"locked, old format, another passphrase", old, password("s3cret-other"), []string{"the passphrase does not unlock the SSH key"}},
		{"locked, PKCS#8", pkcs8, password(secret), []string{"can't be read", "ssh-keygen -p"}},
		{"not locked", s.keyFile, password(secret), []string{"has no passphrase, but one is given", "take out git.auth.sshPassphraseFile"}},
		{"empty passphrase", locked, password(""), []string{"the passphrase is empty", "git.auth.sshPassphraseFile"}},
		{"no passphrase to be had", locked, func(context.Context) (string, error) { return "", errors.New("no such\nfile") },
			[]string{"getting the passphrase: no such file", "able to read git.auth.sshPassphraseFile"}},
		{"public key", locked + ".pub", nil, []string{"can't be read", "not the .pub file"}},
		{"public key, with a passphrase", locked + ".pub", password(secret), []string{"can't be read", "not the .pub file"}},
		{"empty file", tempFile(t, "\n"), nil, []string{"can't be read"}},
		{"certificate", tempFile(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil, []string{"can't be read", "ssh-keygen"}},
		{"UTF-16", tempFile(t, "\xff\xfe-\x00-\x00"), nil, []string{"the SSH key \"", "can't be read: it is UTF-16; save it as UTF-8"}},
		{"cut off", tempFile(t, readFile(t, s.keyFile)[:80]), nil, []string{"can't be read: no key found"}},
		// The server knows neither of these.
		{"right passphrase", locked, password(secret), []string{"the server refused the key " + fingerprint(t, public)}},
		{"right passphrase, old format", old, password(secret), []string{"the server refused the key SHA256:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := s.auth(t)
			auth.SSHKeyFile, auth.SSHPassphrase = tt.key, tt.passphrase
			logger, logged := logTo()
			_, err := newGit(t, GitOptions{URL: s.url(), Auth: auth, Logger: logger}).Fetch(t.Context())
			wantError(t, err, ErrDenied, tt.words...)
			keepsSecret(t, err, logged, "git")
		})
	}
}

func fingerprint(t *testing.T, public string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

// A locked key works, and so does a passphrase that was replaced.
func TestSSHPassphraseRotates(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("there is no ssh-keygen program")
	}
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveSSH(t, r.Dir(), false)
	change := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(keygen, append([]string{"-q", "-p", "-a", "1", "-f", s.keyFile}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	change("-P", "", "-N", "before")
	now := "before"
	auth := s.auth(t)
	auth.SSHPassphrase = func(context.Context) (string, error) { return now, nil }
	g := newGit(t, GitOptions{URL: s.url(), Auth: auth})
	wantContents(t, fetch(t, g), want)
	change("-P", "before", "-N", "after")
	_, err = g.Fetch(t.Context())
	wantError(t, err, ErrDenied, "the passphrase does not unlock the SSH key")
	now = "after"
	fetch(t, g)
}

// What a code host says by ssh is classified like what it says by http.
func TestSSHWords(t *testing.T) {
	g := newGit(t, GitOptions{URL: "git@git.example:r", Auth: Auth{SSHKeyFile: "key", KnownHostsFile: "hosts"}})
	for _, tt := range []struct {
		said  string
		kind  error
		words []string
	}{
		{"ERROR: The 'acme' organization has enabled or enforced SAML SSO.\nTo access this repository, use the HTTPS remote", ErrDenied, []string{"access is denied", "single sign-on"}},
		{"ERROR: Repository not found.", ErrNotFound, []string{"there is no such repository", "the key may not see it"}},
		{"remote: ERROR: The project you were looking for could not be found", ErrNotFound, []string{"no such repository"}},
		{"fatal: '/r' does not appear to be a git repository", ErrNotFound, []string{"no such repository"}},
		{"FATAL: R any r me DENIED by fallthru", ErrDenied, []string{"access is denied", "permission to read"}},
		{"ERROR: Permission to acme/r.git denied to deploy key", ErrDenied, []string{"access is denied"}},
		{"The disk is full", ErrUnreachable, []string{`the server says "The disk is full"`, "the server's log"}},
		{"", ErrUnreachable, []string{"without a word", "the server's log"}},
	} {
		wantError(t, g.explain(&sshStderr{tt.said}), tt.kind, tt.words...)
	}
}

// certificate returns a self-signed certificate and its key.
func certificate(t *testing.T, host string, until time.Time) tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// serveTLS serves with the certificate; without one, with httptest's own.
func serveTLS(t *testing.T, h http.Handler, cert *tls.Certificate) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if cert != nil {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificates(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	web := serveWeb(t, r.Dir(), false)
	soon := time.Now().Add(time.Hour)
	good, expired := certificate(t, "localhost", soon), certificate(t, "localhost", time.Now().Add(-time.Hour))
	elsewhere := certificate(t, "git.example", soon)
	bundle := "Our authorities\n\n" + pemOf(elsewhere.Certificate[0]) + "\n# the second\n" + pemOf(good.Certificate[0])
	_, key := newKey(t)
	for _, tt := range []struct {
		name  string
		cert  tls.Certificate
		file  string
		words []string
	}{
		{"good", good, tempFile(t, bundle), nil},
		{"unknown authority", good, "", []string{"no trusted connection", "unknown authority", "git.auth.caFile"}},
		{"other authority", good, tempFile(t, pemOf(elsewhere.Certificate[0])), []string{"unknown authority", "git.auth.caFile"}},
		{"expired", expired, tempFile(t, pemOf(expired.Certificate[0])), []string{"expired", "clock"}},
		{"other name", elsewhere, tempFile(t, pemOf(elsewhere.Certificate[0])), []string{"git.example, not localhost", "git.url"}},
		{"no file", good, "/no/such/file", []string{"the file of certificates can't be read: open /no/such/file: no such file", "is the path right"}},
		{"empty file", good, tempFile(t, ""), []string{"there is no certificate in it", "BEGIN CERTIFICATE"}},
		{"garbage", good, tempFile(t, "garbage"), []string{"there is no certificate in it"}},
		{"binary", good, tempFile(t, string(good.Certificate[0])), []string{"there is no certificate in it", "openssl x509 -inform der"}},
		{"private key", good, key, []string{"block 1 is no certificate"}},
		{"cut off", good, tempFile(t, bundle[:len(bundle)-40]), []string{"a certificate in it is cut off or damaged"}},
		{"not a certificate", good, tempFile(t, bundle+pemOf([]byte("junk"))), []string{"block 3 is no certificate: malformed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveTLS(t, web.Config.Handler, &tt.cert)
			address := strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/repo.git"
			snap, err := newGit(t, GitOptions{URL: address, Auth: Auth{CAFile: tt.file}}).Fetch(t.Context())
			if tt.words == nil {
				if err != nil {
					t.Fatal(err)
				}
				wantContents(t, snap, want)
				return
			}
			wantError(t, err, ErrDenied, tt.words...)
			if text.Hint(err) == "" {
				t.Error("there is no hint")
			}
		})
	}
}

// A server that wants a certificate of its clients, or speaks an old TLS, has an
// error that says so.
func TestHandshake(t *testing.T) {
	cert := certificate(t, "localhost", time.Now().Add(time.Hour))
	for name, cfg := range map[string]*tls.Config{
		"client certificate": {ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
		"old":                {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			cfg.Certificates = []tls.Certificate{cert}
			s.TLS = cfg
			s.StartTLS()
			defer s.Close()
			auth := Auth{CAFile: tempFile(t, pemOf(cert.Certificate[0]))}
			_, err := newGit(t, GitOptions{URL: strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/r", Auth: auth}).Fetch(t.Context())
			wantError(t, err, ErrDenied, "no trusted connection: ", "client certificate", "1.2")
		})
	}
}

// proxyServer is a proxy that leads all to one place.
type proxyServer struct {
	*httptest.Server
	to     string
	status int // of the answer to everything; 0 to do what is asked
	used   atomic.Int32
	mu     sync.Mutex
	auths  []string
	agents []string
	wg     sync.WaitGroup // of requests, and of what passes after them
}

func (p *proxyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.wg.Add(1)
	defer p.wg.Done()
	p.used.Add(1)
	p.mu.Lock()
	p.auths = append(p.auths, r.Header.Get("Proxy-Authorization"))
	p.agents = append(p.agents, r.UserAgent())
	p.mu.Unlock()
	if p.status != 0 || r.Method != http.MethodConnect {
		http.Error(w, "No. "+r.Header.Get("Proxy-Authorization"), max(p.status, http.StatusBadRequest))
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		there.Close()
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	p.wg.Go(func() { _, _ = io.Copy(there, here); there.Close() })
	_, _ = io.Copy(here, there)
	here.Close()
}

// serveProxy starts a proxy that is itself spoken to by http, or by https with
// the certificate. A status other than 0 is its answer to everything.
func serveProxy(t *testing.T, to string, status int, cert *tls.Certificate) *proxyServer {
	t.Helper()
	p := &proxyServer{to: to, status: status}
	t.Cleanup(p.wg.Wait)
	if cert != nil {
		p.Server = serveTLS(t, p, cert)
	} else {
		p.Server = httptest.NewServer(p)
		t.Cleanup(p.Close)
	}
	return p
}

func TestProxy(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	soon := time.Now().Add(time.Hour)
	cert, proxyCert := certificate(t, "git.example", soon), certificate(t, "localhost", soon)
	s := serveTLS(t, serveWeb(t, r.Dir(), false).Config.Handler, &cert)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	at := func(p *proxyServer, scheme string) string {
		return proxyURL(scheme, strings.Replace(p.Listener.Addr().String(), "127.0.0.1", "localhost", 1))
	}
	both := pemOf(cert.Certificate[0]) + pemOf(proxyCert.Certificate[0])
	for _, tt := range []struct {
		name   string
		tls    bool // to the proxy
		status int
		proxy  string // another one
		ca     string
		kind   error
		words  []string
	}{
		{"good", false, 0, "", both, nil, nil},
		{"good, by https", true, 0, "", both, nil, nil},
		{"not trusted", true, 0, "", pemOf(cert.Certificate[0]), ErrDenied, []string{"no trusted connection: proxyconnect", "git.auth.caFile"}},
		{"server not trusted", false, 0, "", pemOf(proxyCert.Certificate[0]), ErrDenied, []string{"no trusted connection: tls", "git.auth.caFile"}},
		{"407", false, 407, "", both, ErrDenied, []string{"the proxy answered 407", "HTTPS_PROXY"}},
		{"403", false, 403, "", both, ErrDenied, []string{`git "https://git.example/repo.git": the proxy answered 403`, "NO_PROXY"}},
		{"503", false, 503, "", both, ErrUnreachable, []string{"the proxy answered 503 Service Unavailable", "NO_PROXY"}},
		{"not there", false, 0, proxyURL("http", gone.Listener.Addr().String()), both, ErrUnreachable,
			[]string{"no connection: proxyconnect", "connection refused", gone.Listener.Addr().String(), "a proxy in the way"}},
		{"not known", false, 0, proxyURL("http", "no-such-proxy.invalid:1"), both, ErrUnreachable, []string{"no-such-proxy.invalid"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scheme, own := "http", (*tls.Certificate)(nil)
			if tt.tls {
				scheme, own = "https", &proxyCert
			}
			p := serveProxy(t, s.Listener.Addr().String(), tt.status, own)
			proxy := tt.proxy
			if proxy == "" {
				proxy = at(p, scheme)
			}
			u, err := url.Parse(proxy)
			if err != nil {
				t.Fatal(err)
			}
			logger, logged := logTo()
			g := newGit(t, GitOptions{URL: "https://git.example/repo.git", Auth: Auth{CAFile: tempFile(t, tt.ca)}, Logger: logger})
			g.proxy = http.ProxyURL(u)
			snap, err := g.Fetch(web.WithRun(t.Context(), "run-1"))
			keepsSecret(t, err, logged, "me")
			for _, agent := range p.agents {
				if agent != "reconciler/devel (run run-1)" {
					t.Errorf("the proxy is asked by %q", agent)
				}
			}
			if tt.words != nil {
				wantError(t, err, tt.kind, tt.words...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, snap, want)
			if user, password, ok := parseBasic(p.auths[0]); !ok || user != "me" || password != secret {
				t.Errorf("the proxy got %q", p.auths[0])
			}
		})
	}
}

func proxyURL(scheme, host string) string {
	return (&url.URL{Scheme: scheme, User: url.UserPassword("me", secret), Host: host}).String()
}

func parseBasic(header string) (user, password string, ok bool) {
	r := &http.Request{Header: http.Header{"Authorization": {header}}}
	return r.BasicAuth()
}

// The variables are read once in a process, so each case has one of its own.
func TestProxyFromEnvironment(t *testing.T) {
	const ask = "SOURCE_TEST_ASK_PROXY"
	if os.Getenv(ask) != "" {
		_, err := newGit(t, GitOptions{URL: "https://git.example/r"}).Fetch(t.Context())
		fmt.Printf("<<%v\n%s>>\n", err, text.Hint(err))
		return
	}
	p := serveProxy(t, "", http.StatusProxyAuthRequired, nil)
	proxy := proxyURL("http", p.Listener.Addr().String())
	for _, tt := range []struct {
		name string
		env  []string
		used bool
		word string
	}{
		{"https", []string{"HTTPS_PROXY=" + proxy}, true, "the proxy answered 407"},
		{"in small letters", []string{"https_proxy=" + proxy}, true, "the proxy answered 407"},
		{"not for this host", []string{"HTTPS_PROXY=" + proxy, "NO_PROXY=.example"}, false, "git.example"},
		{"for http only", []string{"HTTP_PROXY=" + proxy}, false, "git.example"},
		{"unusable", []string{"HTTPS_PROXY=" + proxy + ":%zz"}, false, `git "https://git.example/r": HTTPS_PROXY is not the URL of a proxy`},
		{"unusable, in small letters", []string{"https_proxy=:::" + proxy}, false, "is written as in http://USER:PASSWORD@HOST:PORT"},
		{"unusable, not for this host", []string{"HTTPS_PROXY=" + proxy + ":%zz", "NO_PROXY=.example"}, false, `lookup git.example`},
		{"unusable, for http only", []string{"HTTP_PROXY=" + proxy + ":%zz"}, false, `lookup git.example`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := p.used.Load()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyFromEnvironment$", "-test.v")
			cmd.Env = append([]string{ask + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}, tt.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), tt.word) {
				t.Errorf("want %q in\n%s", tt.word, out)
			}
			if used := p.used.Load() > before; used != tt.used {
				t.Errorf("got proxy used %v, want %v\n%s", used, tt.used, out)
			}
			if containsAny(string(out), secretSpellings("me")...) {
				t.Errorf("a secret got out: %s", out)
			}
		})
	}
}

// TestUserAgent: the server's log says which program reads the repository, and
// still that it does so by go-git.
func TestUserAgent(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveWeb(t, r.Dir(), false)
	var agents []string
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		agents = append(agents, r.UserAgent())
		return false
	}
	wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url()})), want)
	if len(agents) < 2 {
		t.Error("no requests")
	}
	for _, a := range agents {
		if !strings.HasPrefix(a, "reconciler/devel ") || !strings.Contains(a, "git/") {
			t.Errorf("sent by %q", a)
		}
	}
}

// A token that the server refuses is replaced at once, and once: one that was
// revoked is good for an hour otherwise.
func TestRefusedTokenIsReplaced(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	s := serveWeb(t, r.Dir(), false)
	s.basicAuth("x-access-token", "ghs_2")
	n, refused := 1, []string(nil)
	opts := GitOptions{URL: s.url(), Auth: Auth{
		Username: "x-access-token",
		Password: func(context.Context) (string, error) { return fmt.Sprintf("ghs_%d", n), nil },
		Refused:  func(token string) { refused = append(refused, token); n++ },
	}}
	g := newGit(t, opts)
	wantContents(t, fetch(t, g), want)
	if got := strings.Join(refused, " "); got != "ghs_1" || s.lists.Load() != 2 {
		t.Errorf("refused %q in %d requests", got, s.lists.Load())
	}
	_, err := g.Fetch(t.Context())
	if err != nil {
		t.Error(err)
	}
	s.basicAuth("x-access-token", "none")
	_, err = g.Fetch(t.Context())
	wantError(t, err, ErrDenied, "401 Unauthorized")
	if got := strings.Join(refused, " "); got != "ghs_1 ghs_2" || s.lists.Load() != 5 {
		t.Errorf("refused %q in %d requests", got, s.lists.Load())
	}
	if strings.Contains(err.Error(), "ghs_") {
		t.Errorf("the token is in %v", err)
	}
}
