package forge_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/git/forge"
	"reconciler/internal/git/forge/forgetest"
	"reconciler/internal/text"
)

func pkcs1(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// startApp returns a GitHub that knows app 12 with installation 34.
func startApp(t *testing.T) (*forgetest.GitHub, *rsa.PrivateKey) {
	gh, _ := startGitHub(t)
	key := newKey(t)
	gh.AddApp("12", "34", &key.PublicKey, forgetest.GitHubToken{Login: "reconciler[bot]", Comments: true, Statuses: true})
	return gh, key
}

func appToken(t *testing.T, opts forge.AppOptions) func(context.Context) (string, error) {
	t.Helper()
	return newApp(t, opts).Token
}

func newApp(t *testing.T, opts forge.AppOptions) *forge.App {
	t.Helper()
	a, err := forge.NewApp(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A token that the provider refuses before its end is replaced at once, and once.
func TestAppTokenIsReplaced(t *testing.T) {
	gh, key := startApp(t)
	app := newApp(t, forge.AppOptions{
		URL: gh.URL, AppID: "12", InstallationID: "34", HTTP: gh.Transport(),
		Key: func(context.Context) ([]byte, error) { return pkcs1(key), nil },
	})
	c := newClient(t, forge.Options{
		Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: app.Token, Refused: app.Refused, HTTP: gh.Transport(),
	})
	set := func(description string) error {
		return c.SetStatus(t.Context(), sha, forge.Status{State: forge.Success, Context: "x", Description: description})
	}
	if err := set("first"); err != nil {
		t.Fatal(err)
	}
	gh.RevokeTokens()
	if err := set("second"); err != nil {
		t.Error(err)
	}
	if got := len(gh.Calls()); got != 5 { // a token and a status, a refusal, a token and a status
		t.Errorf("%d requests", got)
	}
	gh.RefuseTokens()
	if err := set("third"); err == nil || !strings.Contains(err.Error(), "401 Bad credentials") {
		t.Error(err)
	}
	if got := len(gh.Calls()); got != 8 {
		t.Errorf("%d requests", got)
	}
}

func TestAppToken(t *testing.T) {
	gh, key := startApp(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"PKCS#1":                pkcs1(key),
		"indented":              []byte("  " + strings.ReplaceAll(string(pkcs1(key)), "\n", "\n  ")),
		"one line":              []byte(strings.ReplaceAll(string(pkcs1(key)), "\n", `\n`)),
		"one line, with blanks": []byte(strings.ReplaceAll(string(pkcs1(key)), "\n", " ")),
		"PKCS#8":                pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	} {
		token := appToken(t, forge.AppOptions{
			URL: gh.URL, AppID: "12", InstallationID: "34", HTTP: transport(t),
			Key: func(context.Context) ([]byte, error) { return data, nil },
		})
		c := newClient(t, forge.Options{Provider: forge.GitHub, URL: gh.URL, Repository: "acme/orgs", Token: token, HTTP: transport(t)})
		if _, err := c.Comment(t.Context(), 7, "plan", name); err != nil {
			t.Error(name, err)
		}
	}
	if all := gh.Comments(7); len(all) != 1 || all[0].Author != "reconciler[bot]" || all[0].Edits != 4 {
		t.Errorf("%+v", all)
	}
}

// An app's key may be elsewhere: what signs gets what GitHub checks.
func TestAppKeyElsewhere(t *testing.T) {
	gh, key := startApp(t)
	synctest.Test(t, func(t *testing.T) {
		gh.SetNow(time.Now)
		opts := forge.AppOptions{URL: gh.URL, AppID: "12", InstallationID: "34", HTTP: gh.Transport()}
		opts.Sign = func(_ context.Context, input []byte) ([]byte, error) {
			digest := sha256.Sum256(input)
			return rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
		if token, err := appToken(t, opts)(t.Context()); err != nil || token == "" {
			t.Errorf("%q, %v", token, err)
		}
		sealed := errors.New("the module is sealed")
		opts.Sign = func(context.Context, []byte) ([]byte, error) { return nil, sealed }
		if _, err := appToken(t, opts)(t.Context()); !errors.Is(err, sealed) {
			t.Errorf("got %v", err)
		}
	})
}

// All callers get one token until five minutes before its end. A key that was
// replaced meanwhile signs the request for the next.
func TestAppTokenIsKept(t *testing.T) {
	gh, key := startApp(t)
	second := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		gh.SetNow(time.Now)
		data := pkcs1(key)
		token := appToken(t, forge.AppOptions{
			URL: gh.URL, AppID: "12", InstallationID: "34", HTTP: gh.Transport(),
			Key: func(context.Context) ([]byte, error) { return data, nil },
		})
		ask := func() string {
			value, err := token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		var first string
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 20 {
			all.Go(func() {
				value := ask()
				mu.Lock()
				defer mu.Unlock()
				if first == "" {
					first = value
				}
				if value != first {
					t.Errorf("%q and %q", first, value)
				}
			})
		}
		all.Wait()
		time.Sleep(54*time.Minute + 59*time.Second)
		if ask() != first {
			t.Error("another token before its time")
		}
		time.Sleep(time.Second)
		if ask() == first {
			t.Error("a token that ends in five minutes")
		}
		if n := len(gh.Calls()); n != 2 {
			t.Errorf("%d requests", n)
		}
		data = pkcs1(second)
		time.Sleep(time.Hour)
		if _, err := token(t.Context()); err == nil || !strings.Contains(err.Error(), "401 A JSON web token could not be decoded") {
			t.Error(err)
		}
		data = pkcs1(key)
		ask()
	})
}

func TestAppTokenFailures(t *testing.T) {
	gh, key := startApp(t)
	good := func(context.Context) ([]byte, error) { return pkcs1(key), nil }
	other := pkcs1(newKey(t))
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecData, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, data []byte) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) {
			return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), nil
		}
	}
	tests := []struct {
		name, app, installation string
		key                     func(context.Context) ([]byte, error)
		off                     time.Duration
		expected, hint          string
	}{
		{"unknown app", "13", "34", good, 0, "401 Integration not found", "the app's id"},
		{"another key", "12", "34", func(context.Context) ([]byte, error) { return other, nil }, 0, "401 A JSON web token could not be decoded", "private key"},
		{"another installation", "12", "35", good, 0, "getting a token for the GitHub App: GitHub: POST /api/v3/app/installations/35/access_tokens: 404 Not Found", "the installation's id"},
		{"our clock is ahead", "12", "34", good, 5 * time.Minute, "401 'Expiration time' claim ('exp') is too far in the future", "clock"},
		{"our clock is behind", "12", "34", good, -11 * time.Minute, "401 'Expiration time' claim ('exp') must be", "clock"},
		{"no file", "12", "34", func(context.Context) ([]byte, error) { return nil, errors.New("open x: no such file") }, 0, "getting a token for the GitHub App: its private key: open x: no such file", ""},
		{"empty", "12", "34", func(context.Context) ([]byte, error) { return nil, nil }, 0, "it is not a PEM", "use the PEM file"},
		{"elliptic", "12", "34", block("PRIVATE KEY", ecData), 0, "it is not an RSA key", ""},
		{"damaged", "12", "34", block("RSA PRIVATE KEY", []byte("secret")), 0, "it is damaged", ""},
		{"public", "12", "34", block("PUBLIC KEY", []byte("x")), 0, `it is a "PUBLIC KEY"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := appToken(t, forge.AppOptions{
				URL: gh.URL, AppID: tt.app, InstallationID: tt.installation, HTTP: gh.Transport(), Key: tt.key,
				Now: func() time.Time { return time.Now().Add(tt.off) },
			})
			_, err := token(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.expected) || !strings.Contains(text.Hint(err), tt.hint) || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%v (%s)", err, text.Hint(err))
			}
		})
	}
	for _, opts := range []forge.AppOptions{
		{InstallationID: "34", Key: good},
		{AppID: "12", Key: good},
		{AppID: "12", InstallationID: "../x", Key: good},
		{AppID: "12", InstallationID: "34"},
		{AppID: "12", InstallationID: "34", Key: good, URL: "http://ghe.example"},
	} {
		if _, err := forge.NewApp(opts); err == nil {
			t.Errorf("took %+v", opts)
		}
	}
}

// A clock that is a little off does no harm, nor does a lost answer.
func TestAppTokenIsRobust(t *testing.T) {
	gh, key := startApp(t)
	synctest.Test(t, func(t *testing.T) {
		gh.SetNow(time.Now)
		for _, off := range []time.Duration{-30 * time.Second, 50 * time.Second} {
			token := appToken(t, forge.AppOptions{
				URL: gh.URL, AppID: "12", InstallationID: "34", HTTP: gh.Transport(),
				Key: func(context.Context) ([]byte, error) { return pkcs1(key), nil },
				Now: func() time.Time { return time.Now().Add(off) },
			})
			gh.Fail(forgetest.Fault{Path: "access_tokens", Drop: true, Applied: true})
			gh.Fail(forgetest.Fault{Path: "access_tokens", Status: 502, Body: "{}"})
			if _, err := token(t.Context()); err != nil {
				t.Error(off, err)
			}
		}
	})
}

// A caller that waits for another's request can stop.
func TestAppTokenWaitersCanStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t)
		token := appToken(t, forge.AppOptions{AppID: "12", InstallationID: "34", HTTP: silent{}, Key: func(context.Context) ([]byte, error) { return pkcs1(key), nil }})
		long, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := token(long)
			done <- err
		}()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := token(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
