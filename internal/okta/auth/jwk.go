package auth

import (
	"crypto"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// PublicJWK returns the public half of the key as a JWK with the id, as Okta takes it
// for a service app.
func (k Key) PublicJWK(id string) (json.RawMessage, error) {
	if k.Public() == nil {
		return nil, errors.New("no private key")
	}
	data, err := json.Marshal(jose.JSONWebKey{Key: k.Public(), KeyID: id, Algorithm: k.Algorithm, Use: "sig"})
	if err != nil {
		return nil, fmt.Errorf("the public key: %w", err)
	}
	return data, nil
}

// Matches reports whether a JWK is the public half of the key, whatever its id.
func (k Key) Matches(jwk []byte) bool {
	var other jose.JSONWebKey
	if k.Public() == nil || json.Unmarshal(jwk, &other) != nil || !other.IsPublic() {
		return false
	}
	ours := jose.JSONWebKey{Key: k.Public()}
	a, errA := ours.Thumbprint(crypto.SHA256)
	b, errB := other.Thumbprint(crypto.SHA256)
	return errA == nil && errB == nil && subtle.ConstantTimeCompare(a, b) == 1
}
