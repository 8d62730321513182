package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
)

func TestPublicJWK(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newKey(other, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, signer := range []any{ec, rs} {
		key, err := newKey(signer, "", "")
		if err != nil {
			t.Fatal(err)
		}
		jwk, err := key.PublicJWK("k1")
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(jwk, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["kid"] != "k1" || fields["alg"] != key.Algorithm || fields["use"] != "sig" || fields["d"] != nil || fields["p"] != nil {
			t.Errorf("%s", jwk)
		}
		if !key.Matches(jwk) || !key.Matches(bytes.Replace(jwk, []byte(`"k1"`), []byte(`"k2"`), 1)) {
			t.Error("it doesn't match its own public half")
		}
		if stranger.Matches(jwk) || key.Matches([]byte(`{"kty":"EC"}`)) || key.Matches(nil) || (Key{}).Matches(jwk) {
			t.Error("another key matches")
		}
	}
	if _, err := (Key{}).PublicJWK("k1"); err == nil {
		t.Error("no key has a public half")
	}
}
