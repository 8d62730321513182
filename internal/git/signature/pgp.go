package signature

import (
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// checkPGP checks an OpenPGP signature over the payload.
func (k *Keys) checkPGP(o object, at time.Time) (Signer, error) {
	sig, err := readPGP(string(o.signature))
	if err != nil {
		return Signer{}, reject(Malformed, "its OpenPGP signature can't be read: %s", err)
	}
	switch {
	case sig.SigType != packet.SigTypeBinary:
		return Signer{}, reject(Unsupported, "its OpenPGP signature is not one over bytes")
	case policy.RejectMessageHashAlgorithm(sig.Hash):
		return Signer{}, reject(Weak, "its OpenPGP signature is made with %s", sig.Hash)
	case !understood(sig):
		return Signer{}, reject(Unsupported, "its OpenPGP signature has a condition that is not understood")
	}
	return k.signedBy(sig, o.payload, at)
}

// readPGP reads the one packet of a detached signature. Like git, it rejects
// several, of which the library would use the first good one.
func readPGP(armored string) (*packet.Signature, error) {
	raw, err := dearmor(armored, armorPGP)
	if err != nil {
		return nil, err
	}
	packets, err := splitPackets(raw)
	if err != nil {
		return nil, err
	}
	if len(packets) != 1 {
		return nil, fmt.Errorf("it has %d packets and not one", len(packets))
	}
	parsed, err := packets[0].Parse()
	sig, ok := parsed.(*packet.Signature)
	if err == nil && !ok {
		err = errors.New("it is something else")
	}
	return sig, err
}

// signedBy finds the key that made the signature and checks that it may sign.
// The issuer that the signature names only helps to find it. The library's
// VerifyDetachedSignature would use what the key's owner had stated by the time
// that the signature claims, and not the latest; see anyTime.
func (k *Keys) signedBy(sig *packet.Signature, payload []byte, at time.Time) (Signer, error) {
	no := reject(UnknownKey, "it is signed by the OpenPGP key %s, which is not among the allowed keys", issuer(sig))
	for _, key := range k.pgp {
		for i, p := range key.parts(at) {
			if !sig.CheckKeyIdOrFingerprint(p.public) {
				continue
			}
			if !fits(p.public, sig, payload) {
				if no.Reason == UnknownKey {
					no = reject(BadSignature, "its signature by the OpenPGP key %s doesn't fit its content", issuer(sig))
				}
				continue
			}
			no = times{sig.CreationTime, at}.each(func(clause string, t time.Time) *Error { return key.parts(t)[i].validAt(clause, t) })
			switch {
			case no != nil:
			case !at.Before(sigEnd(sig)):
				no = reject(Expired, "its signature by the OpenPGP key %s has expired", key.fingerprint())
			case !p.signs:
				no = reject(NotAllowed, "its signer's OpenPGP key %s is not made for signing", key.fingerprint())
			default:
				return Signer{Principal: key.principal(at), Key: key.fingerprint(), Kind: "pgp"}, nil
			}
		}
	}
	return Signer{}, no
}

// fits reports whether the key made the signature over the payload. A key makes
// signatures of its own version alone (RFC 9580, section 5.2), which the library
// doesn't check.
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

// issuer returns the key that a signature names as its own.
func issuer(sig *packet.Signature) string {
	switch {
	case len(sig.IssuerFingerprint) > 0:
		return fmt.Sprintf("%X", sig.IssuerFingerprint)
	case sig.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *sig.IssuerKeyId)
	}
	return "that it doesn't name"
}

// validAt returns why the key is not valid at the time; nil if it is. The clause
// states in the message what time that is.
func (p part) validAt(clause string, t time.Time) *Error {
	if weak := weakPGP(p.public); weak != "" {
		return reject(Weak, "it is signed by %s of the OpenPGP key %s", weak, p.id)
	}
	if p.revoked != "" {
		return reject(Revoked, "its signer's OpenPGP key %s %s", p.id, p.revoked)
	}
	return inTime("OpenPGP key "+p.id, p.from, p.until, clause, t)
}
