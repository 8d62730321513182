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
	"testing"
	"time"
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
		"": false, "?sslmode=disable": false, "?sslmode=allow": false, "?sslmode=prefer": false, "?sslmode=require": false,
		"?sslmode=verify-ca": false, "?sslmode=verify-full": true,
		"?sslmode=verify-ca&sslrootcert=" + ca: true, "?sslmode=require&sslrootcert=" + ca: true, "?sslmode=require&sslrootcert=system": true,
		"?sslmode=prefer&sslrootcert=" + ca: false,
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
