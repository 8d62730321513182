package signature

import (
	"bytes"
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// strongHashes are those that a signature may be made with.
var strongHashes = []crypto.Hash{
	crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512,
}

// checkPGP checks an OpenPGP signature over the payload.
func (k *Keys) checkPGP(o object, at time.Time) (Signer, error) {
	raw, err := dearmor(string(o.signature), armorPGP)
	if err != nil {
		return Signer{}, refuse(Malformed, "its OpenPGP signature can't be read: %s", err)
	}
	sig, err := readPGP(raw)
	if err != nil {
		return Signer{}, refuse(Malformed, "its OpenPGP signature can't be read: %s", err)
	}
	switch {
	case sig.SigType != packet.SigTypeBinary:
		return Signer{}, refuse(Unsupported, "its OpenPGP signature is not one over bytes")
	case !slices.Contains(strongHashes, sig.Hash):
		return Signer{}, refuse(Weak, "its OpenPGP signature is made with %s", sig.Hash)
	case !understood(sig):
		return Signer{}, refuse(Unsupported, "its OpenPGP signature has a condition that is not understood")
	}
	return k.signedBy(sig, o.payload, at)
}

// readPGP reads the one packet of a detached signature. Git refuses several,
// too: which of them would speak for the object?
func readPGP(raw []byte) (*packet.Signature, error) {
	packets := packet.NewOpaqueReader(bytes.NewReader(raw))
	p, err := packets.Next()
	if err != nil {
		return nil, errors.New("it is cut off or damaged")
	}
	if _, err := packets.Next(); err != io.EOF {
		return nil, errors.New("there is more than one signature in it")
	}
	if p.Tag != tagSignature {
		return nil, errors.New("it is something else")
	}
	parsed, err := p.Parse()
	if err != nil {
		return nil, errors.New(clean(err.Error()))
	}
	sig, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, errors.New("it is something else")
	}
	return sig, nil
}

// candidate is a key that may have made a signature; sub is nil for the primary
// key.
type candidate struct {
	key *pgpKey
	sub *pgpSubkey
}

func (c candidate) public() *packet.PublicKey {
	if c.sub != nil {
		return c.sub.key
	}
	return c.key.primary
}

// signedBy finds the key that made the signature and asks whether it was
// allowed to. What the signature says of its issuer only helps to find it.
func (k *Keys) signedBy(sig *packet.Signature, payload []byte, at time.Time) (Signer, error) {
	candidates := k.candidates(sig)
	if len(candidates) == 0 {
		return Signer{}, refuse(UnknownKey, "it is signed by the OpenPGP key %s, which is not among the allowed keys", issuer(sig))
	}
	err := refuse(BadSignature, "its signature by the OpenPGP key %s doesn't fit its content", issuer(sig))
	for _, c := range candidates {
		if !fits(c.public(), sig, payload) {
			continue
		}
		if err = c.allows(sig, times{sig.CreationTime, at}); err == nil {
			return Signer{Principal: c.key.principal(at), Key: c.key.fingerprint(), Kind: "pgp"}, nil
		}
	}
	return Signer{}, err
}

func (k *Keys) candidates(sig *packet.Signature) []candidate {
	var all []candidate
	for _, key := range k.pgp {
		if sig.CheckKeyIdOrFingerprint(key.primary) {
			all = append(all, candidate{key: key})
		}
		for _, sub := range key.subkeys {
			if sub.binding != nil && sig.CheckKeyIdOrFingerprint(sub.key) {
				all = append(all, candidate{key, sub})
			}
		}
	}
	return all
}

// fits says whether the key made the signature, and over the payload. Version 4
// keys make no other signatures than of version 4, and so on (RFC 9580, section
// 5.2).
func fits(key *packet.PublicKey, sig *packet.Signature, payload []byte) bool {
	if key.Version != sig.Version {
		return false
	}
	h, err := sig.PrepareVerify()
	if err != nil {
		return false
	}
	h.Write(payload)
	return key.VerifySignature(h, sig) == nil
}

// allows says why the candidate was not allowed to make the signature; nil when
// it was.
func (c candidate) allows(sig *packet.Signature, t times) *Error {
	if weak := pgpWeakness(c.public()); weak != "" {
		return refuse(Weak, "it is signed by %s of the OpenPGP key %s", weak, c.key.fingerprint())
	}
	if err := t.each(func(clause string, t time.Time) *Error { return c.key.validAt(c.sub, clause, t) }); err != nil {
		return err
	}
	if over(sig, t.at) {
		return refuse(Expired, "its signature by the OpenPGP key %s has expired", c.key.fingerprint())
	}
	use := c.key.saying(t.at, saysUse)
	if c.sub != nil {
		use = c.sub.binding
	}
	// That a subkey agreed to be one was checked together with its binding, but
	// only of those that say that they sign.
	if use == nil || !use.FlagsValid || !use.FlagSign {
		return refuse(NotAllowed, "its signer's OpenPGP key %s is not made for signing", c.key.fingerprint())
	}
	return nil
}

// principal says whose key it is.
func (k *pgpKey) principal(at time.Time) string {
	for _, id := range k.living(at) {
		if name := clean(cmp.Or(id.id.Email, id.id.Id)); name != "" {
			return name
		}
	}
	return k.fingerprint()
}

// issuer gives what a signature says about the key that made it.
func issuer(sig *packet.Signature) string {
	switch {
	case len(sig.IssuerFingerprint) > 0:
		return fmt.Sprintf("%X", sig.IssuerFingerprint)
	case sig.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *sig.IssuerKeyId)
	}
	return "that it doesn't name"
}
