package reconcile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/config"
)

// The programs of the clouds, as far as the scripts use them: they check their arguments
// as their documentation has them, and openssl does what the service would.
var clouds = map[string]string{
	"aws": `case "$*" in
"kms sign --key-id alias/okta --signing-algorithm $AWS_ALGORITHM --message-type DIGEST --message fileb:///dev/stdin --output text --query Signature") ;;
*) echo "usage: $*" >&2; exit 252 ;;
esac
openssl pkeyutl -sign -inkey "$KEY" -pkeyopt digest:sha256 | base64`,
	"vault": `case "$*" in
"write -field=signature kms/sign/okta/sha2-256 input=- prehashed=true signature_algorithm=pkcs1v15") ;;
*) echo "usage: $*" >&2; exit 1 ;;
esac
printf 'vault:v1:%s\n' "$(base64 -d | openssl pkeyutl -sign -inkey "$KEY" -pkeyopt digest:sha256 | base64 | tr -d '\n')"`,
	"gcloud": `case "$*" in
"kms asymmetric-sign --location eu --keyring ring --key okta --version 3 --digest-algorithm sha256 --input-file - --signature-file -") ;;
*) echo "usage: $*" >&2; exit 2 ;;
esac
openssl dgst -sha256 -sign "$KEY"`,
}

// The scripts that are offered for key management services sign.
func TestSigningScripts(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl: ", err)
	}
	bin := t.TempDir()
	for name, script := range clouds {
		write(t, filepath.Join(bin, name), "#!/bin/sh\nset -eu\n"+script+"\n", 0o700)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		script string
		args   string
	}{
		{"aws-kms.sh", "alias/okta"}, {"vault-transit.sh", "okta, kms"}, {"gcp-kms.sh", "eu, ring, okta, '3'"},
	} {
		script, err := filepath.Abs(filepath.Join("../../integrations/keys", tt.script))
		if err != nil {
			t.Fatal(err)
		}
		for algorithm, signer := range map[string]crypto.Signer{"RSASSA_PKCS1_V1_5_SHA_256": rsaKey, "ECDSA_SHA_256": ecKey} {
			t.Run(tt.script+" "+algorithm, func(t *testing.T) {
				cfg := signing(t, signer, "["+script+", "+tt.args+"]", "PATH="+bin+":"+os.Getenv("PATH"), "AWS_ALGORITHM="+algorithm)
				key, err := ReadKey(t.Context(), cfg.Aerial.Auth.PrivateKey)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := key.Sign(t.Context(), []byte("head.claims")); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// signing returns a config with a key that a program signs with, which finds it in KEY.
func signing(t *testing.T, signer crypto.Signer, command string, environ ...string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
	write(t, filepath.Join(dir, "key.pub"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), 0o600)
	auth := "{signCommand: " + command + ", publicKeyFile: key.pub}"
	write(t, filepath.Join(dir, "reconciler.yaml"), "aerial: {auth: "+auth+"}\ngit: {url: 'https://github.com/a/b', auth: {githubApp: {appID: 1, installationID: 2, "+
		strings.Trim(auth, "{}")+"}}}\n", 0o600)
	cfg, _, err := config.Load(filepath.Join(dir, "reconciler.yaml"), append(environ, "KEY="+filepath.Join(dir, "key.pem")))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
