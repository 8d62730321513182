package simulator

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"reconciler/internal/strictyaml"
)

// Credentials are what a service app needs to get tokens.
type Credentials struct {
	ClientID string
	KeyID    string
	Key      crypto.Signer
}

// AddClient registers a new service app in an org of the seed, with a key that
// is made now, and gives its credentials. The key is for alg: RS256, RS384,
// RS512 (2048 bits), ES256, ES384 or ES512.
func (s *Seed) AddClient(org string, alg jose.SignatureAlgorithm, scopes ...string) (*Credentials, error) {
	key, err := newKey(alg)
	if err != nil {
		return nil, err
	}
	n := len(s.Clients) + 1
	id := func() string { return fmt.Sprintf("0oa%017d", n) }
	for slices.ContainsFunc(s.Clients, func(c Client) bool { return c.ID == id() }) {
		n++
	}
	c := &Credentials{ClientID: id(), KeyID: fmt.Sprintf("key-%d", n), Key: key}
	public, err := publicKey(key, c.KeyID)
	if err != nil {
		return nil, err
	}
	s.Clients = append(s.Clients, Client{
		ID: c.ClientID, Name: "reconciler", Org: org, Scopes: scopes, Keys: []Key{public},
	})
	return c, nil
}

func newKey(alg jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch alg {
	case jose.RS256, jose.RS384, jose.RS512:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	}
	return nil, fmt.Errorf("simulator: no key for algorithm %q", alg)
}

// publicKey returns the public half in the form of the seed.
func publicKey(key crypto.Signer, id string) (Key, error) {
	text, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"})
	if err != nil {
		return Key{}, fmt.Errorf("simulator: %w", err)
	}
	var k Key
	if err := json.Unmarshal(text, &k); err != nil {
		return Key{}, fmt.Errorf("simulator: %w", err)
	}
	return k, nil
}

// PEM returns the private key as PKCS#8.
func (c *Credentials) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Access is everything that a config needs to work with a simulator.
type Access struct {
	// URL of the simulator, without a slash at the end.
	URL         string
	AccountID   string
	Credentials *Credentials
	DPoP        bool
	// Parent is what the config calls the parent org: its subdomain, acme in
	// DefaultSeed. ParentToken is its SSWS token; without one the config has no
	// parent.
	Parent      string
	ParentToken string
	// ParentDomain is the parent's, where it is one of Okta's own: a config
	// that addresses the parent on loopback couldn't tell otherwise which org
	// it is.
	ParentDomain string
	// Settle is how long to wait after a creation, as in Options.
	Settle time.Duration
}

// Grant registers a service app in the seed's Aerial org and gives access to
// the account with it, and to the parent if the seed has an org with the Org
// Creator API and an SSWS token. The URL is left for the caller to fill in.
func Grant(seed *Seed, alg jose.SignatureAlgorithm, dpop bool, scopes ...string) (*Access, error) {
	a := &Access{AccountID: seed.Account.ID, DPoP: dpop}
	for i := range seed.Orgs {
		o := &seed.Orgs[i]
		if o.Creator && len(o.Tokens) > 0 && a.ParentToken == "" {
			a.Parent, a.ParentToken = o.subdomain(), o.Tokens[0]
			if strings.HasSuffix(o.Domain, ".okta.com") || strings.HasSuffix(o.Domain, ".oktapreview.com") {
				a.ParentDomain = o.Domain
			}
		}
		if !o.AerialOrg || a.Credentials != nil {
			continue
		}
		c, err := seed.AddClient(o.Domain, alg, scopes...)
		if err != nil {
			return nil, err
		}
		seed.Clients[len(seed.Clients)-1].DPoP = dpop
		a.Credentials = c
	}
	if a.Credentials == nil {
		return nil, errors.New("simulator: the seed has no Aerial org")
	}
	return a, nil
}

// WriteConfig writes a config that works at once into dir, which is made when
// it isn't there: reconciler.yaml, the private key and the parent's token (each
// 0600), and, unless there is one already, a folder orgs with a manifest that
// describes the seed. It gives the path of the config. All paths in it are
// absolute, so that it may be used from anywhere.
func WriteConfig(dir string, seed *Seed, a Access) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("simulator: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("simulator: %w", err)
	}
	key, err := a.Credentials.PEM()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "reconciler.yaml")
	files := []struct {
		path string
		data []byte
	}{
		{filepath.Join(dir, "aerial.pem"), key},
		{path, configText(dir, a)},
	}
	if a.ParentToken != "" {
		files = append(files, files[0])
		files[2].path, files[2].data = filepath.Join(dir, "parent.token"), []byte(a.ParentToken+"\n")
	}
	for _, f := range files {
		if err := writePrivate(f.path, f.data); err != nil {
			return "", err
		}
	}
	return path, writeManifests(filepath.Join(dir, "orgs"), seed)
}

// writePrivate writes a file that only its owner may read, also when a file of
// that name was there with wider permissions.
func writePrivate(path string, data []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("simulator: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

func writeManifests(dir string, seed *Seed) error {
	switch err := os.Mkdir(dir, 0o755); {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("simulator: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "orgs.yaml"), Manifest(seed), 0o644); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

// configText is the config.
func configText(dir string, a Access) []byte {
	var b strings.Builder
	quote := strictyaml.Scalar
	in := func(name string) string { return quote(filepath.Join(dir, name)) }
	fmt.Fprintf(&b, "# A config for the simulator, made by it.\n")
	fmt.Fprintf(&b, "aerial:\n  url: %s\n  accountID: %s\n", quote(a.URL), quote(a.AccountID))
	fmt.Fprintf(&b, "  auth:\n    orgURL: %s\n    clientID: %s\n", quote(a.URL), quote(a.Credentials.ClientID))
	fmt.Fprintf(&b, "    privateKeyFile: %s\n    keyID: %s\n", in("aerial.pem"), quote(a.Credentials.KeyID))
	if a.DPoP {
		fmt.Fprintf(&b, "    dpop: true\n")
	}
	if a.ParentToken != "" {
		settle := max(cmp.Or(a.Settle, defaultSettle), 0)
		fmt.Fprintf(&b, "parents:\n  - name: %s\n    url: %s\n", quote(a.Parent), quote(a.URL))
		if a.ParentDomain != "" {
			fmt.Fprintf(&b, "    domain: %s\n", quote(a.ParentDomain))
		}
		fmt.Fprintf(&b, "    auth: {tokenFile: %s}\n    settle: %s\n", in("parent.token"), settle)
	}
	fmt.Fprintf(&b, "manifests: %s\n", in("orgs"))
	fmt.Fprintf(&b, "tokens: {dir: %s}\nstate: {dir: %s}\n", in("tokens"), in("state"))
	return []byte(b.String())
}
