package postgres

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reconciler/internal/text"
)

// url is a URL as it is.
type url string

func (u url) Read(context.Context) ([]byte, error) { return []byte(u), nil }
func (url) String() string                         { return "the URL" }

// Only a URL that allows nothing else has the server's certificate checked.
func TestIsVerified(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGSSLROOTCERT", "")
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, certificate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]bool{
		"?sslmode=disable": false, "?sslmode=require": false,
		"?sslmode=verify-ca": false, "?sslmode=verify-full": true,
		"?sslmode=verify-ca&sslrootcert=" + ca: true, "?sslmode=require&sslrootcert=" + ca: true, "?sslmode=require&sslrootcert=system": true,
	} {
		for _, hosts := range []string{"db.example", "a.example,b.example"} {
			cfg, err := (&connector{url("postgres://ada:hunter2@" + hosts + "/x" + query)}).config(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if is := isVerified(cfg); is != want {
				t.Errorf("%s%s: %v", hosts, query, is)
			}
		}
	}
}

// To another machine a connection is encrypted or not, as the URL says, and not as whoever
// answers likes.
func TestUndecided(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for hosts, remote := range map[string]string{
		"db.example": "db.example", "198.51.100.7:5433": "198.51.100.7", "localhost,db.example": "db.example",
		"localhost": "", "127.0.0.1:1": "", "[::1]": "", "%2Frun%2Fpostgresql": "",
	} {
		for query, open := range map[string]bool{
			"": true, "?sslmode=prefer": true, "?sslmode=allow": true, "?sslmode=disable": false, "?sslmode=require": false, "?sslmode=verify-full": false,
		} {
			_, err := (&connector{url("postgres://ada:hunter2@" + hosts + "/x" + query)}).config(t.Context())
			want := `the URL has a URL that leaves open whether the connection to "` + remote + `" is encrypted`
			switch refused := open && remote != ""; {
			case !refused && err != nil:
				t.Errorf("%s%s: %v", hosts, query, err)
			case refused && (err == nil || err.Error() != want || !strings.Contains(text.Hint(err), "sslmode=verify-full")):
				t.Errorf("%s%s: %v, not %s", hosts, query, err, want)
			}
		}
	}
}

// certificate returns that of a CA.
func certificate(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
