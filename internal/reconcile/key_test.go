package reconcile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"reconciler/internal/config"
)

// A key is parsed once, and one that replaces it is used at once.
func TestKeyReader(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	replace := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	generate := func() (data []byte, key *ecdsa.PrivateKey) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), key
	}
	cfg, _, err := config.Load(config.DefaultFile, []string{
		"RECONCILER_STATE_DIR=" + t.TempDir(), "RECONCILER_ORGS_AUTH_PRIVATE_KEY_FILE=" + file, "RECONCILER_ORGS_AUTH_KEY_ID=k1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var keys keyReader
	secret := cfg.Orgs.Auth.PrivateKey("acme.okta.com")
	for range 2 {
		data, want := generate()
		replace(data)
		for range 2 {
			if key, err := keys.read(t.Context(), secret); err != nil || !want.PublicKey.Equal(key.Public()) {
				t.Errorf("got %v, %v", key, err)
			}
		}
	}
	replace([]byte("none"))
	if key, err := keys.read(t.Context(), secret); err == nil {
		t.Errorf("got %v", key)
	}
}
