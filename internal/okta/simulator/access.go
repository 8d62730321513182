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

// Credentials are those of a service app.
type Credentials struct {
	ClientID string
	KeyID    string
	Key      crypto.Signer
}

// AddClient adds a service app with a new key to an org of the seed, and returns
// its credentials. alg is RS256, RS384, RS512 (2048 bits), ES256, ES384 or ES512;
// any other is an error. Each call adds another app.
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
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Access is what a config needs to use a simulator.
type Access struct {
	// URL is that of the simulator, without a slash at its end.
	URL         string
	AccountID   string
	Credentials *Credentials
	DPoP        bool
	// Parent is the name of the parent org in the config: its subdomain, acme in
	// DefaultSeed. ParentToken is its SSWS token; without one the config has no
	// parent.
	Parent      string
	ParentToken string
	// ParentDomain is the parent's domain if it is Okta's. A URL on loopback
	// does not tell which org the parent is.
	ParentDomain string
	// Settle is how long to wait after a creation, as in Options.
	Settle time.Duration
	// OrgCredentials are those of the client that every org has; nil if there is
	// none.
	OrgCredentials *Credentials
}

// GrantOrgs adds a service app to each org of the seed, with all scopes that the
// configuration of an org needs, and gives it to the access.
func GrantOrgs(seed *Seed, a *Access, alg jose.SignatureAlgorithm) error {
	c, err := seed.AddClient(AllOrgs, alg, OrgScopes()...)
	if err != nil {
		return err
	}
	seed.Clients[len(seed.Clients)-1].DPoP = a.DPoP
	a.OrgCredentials = c
	return nil
}

// Grant adds a service app to the seed's Aerial org, and returns access to the
// account with it, and to the parent if the seed has an org with the Org Creator
// API and an SSWS token. The caller sets the URL.
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

// WriteConfig writes a config for a simulator into dir, which it creates if need
// be: reconciler.yaml, the private keys and the parent's token (each 0600), and,
// unless there is one already, a folder orgs with the manifest of the seed. It
// returns the path of the config. All paths in the config are absolute. It may be
// called again, and then replaces the files.
func WriteConfig(dir string, seed *Seed, a Access) (path string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("simulator: %w", err)
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	key, err := a.Credentials.PEM()
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "reconciler.yaml")
	if err := errors.Join(
		writePrivate(filepath.Join(dir, "aerial.pem"), key),
		writePrivate(path, configText(dir, a)),
	); err != nil {
		return "", err
	}
	if a.OrgCredentials != nil {
		key, err := a.OrgCredentials.PEM()
		if err == nil {
			err = writePrivate(filepath.Join(dir, "orgs.pem"), key)
		}
		if err != nil {
			return "", err
		}
	}
	if a.ParentToken != "" {
		if err := writePrivate(filepath.Join(dir, "parent.token"), []byte(a.ParentToken+"\n")); err != nil {
			return "", err
		}
	}
	manifests := filepath.Join(dir, "orgs")
	switch err := os.Mkdir(manifests, 0o755); {
	case errors.Is(err, os.ErrExist):
		return path, nil
	case err != nil:
		return "", err
	}
	return path, os.WriteFile(filepath.Join(manifests, "orgs.yaml"), Manifest(seed), 0o644)
}

// writePrivate writes a file that only its owner may read, and replaces one with
// wider permissions.
func writePrivate(path string, data []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func configText(dir string, a Access) []byte {
	var b strings.Builder
	quote := strictyaml.Scalar
	in := func(name string) string { return quote(filepath.Join(dir, name)) }
	fmt.Fprintf(&b, "# A config for the simulator, generated by it.\n")
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
	if a.OrgCredentials != nil {
		fmt.Fprintf(&b, "orgs:\n  url: %s\n", quote(a.URL+"/org/{domain}"))
		fmt.Fprintf(&b, "  auth: {privateKeyFile: %s, keyID: %s, dpop: %v}\n", in("orgs.pem"), quote(a.OrgCredentials.KeyID), a.DPoP)
	}
	fmt.Fprintf(&b, "manifests: %s\n", in("orgs"))
	fmt.Fprintf(&b, "tokens: {dir: %s}\nstate: {dir: %s}\n", in("tokens"), in("state"))
	return []byte(b.String())
}
