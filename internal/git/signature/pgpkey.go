package signature

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// pgpKey is an OpenPGP key with what its owner said about it. Whatever is in
// here was checked when it was read: all signatures are the primary key's own
// and good. What others certified about a key is left out.
type pgpKey struct {
	primary *packet.PublicKey
	// direct is the latest signature on the key itself; nil without one.
	direct      *packet.Signature
	ids         []*pgpID
	subkeys     []*pgpSubkey
	revocations []*packet.Signature
}

// pgpID is a user id.
type pgpID struct {
	id *packet.UserId
	// latest is its latest certification, or the revocation of one.
	latest *packet.Signature
}

// pgpSubkey is a subkey.
type pgpSubkey struct {
	key *packet.PublicKey
	// binding is the latest one; nil without one.
	binding     *packet.Signature
	revocations []*packet.Signature
}

// Tags of packets (RFC 9580, section 5).
const (
	tagSignature     = 2
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagMarker        = 10
	tagTrust         = 12
	tagUserID        = 13
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagPadding       = 21
	// firstOptional is the first of those that may be passed over unknown.
	firstOptional = 40
)

var errSecret = errors.New("a secret key, which has no place here")

// keyReader puts the packets of a keyring together. Of the current key, it
// knows what the signatures that come next are about: a user id, a subkey, the
// key itself, or, with none of them, something that is left out.
type keyReader struct {
	keys   []*pgpKey
	key    *pgpKey
	id     *pgpID
	subkey *pgpSubkey
	onKey  bool
}

// readKeys reads a keyring in binary form. Libraries that do this pass over
// what they can't read; a revocation must not be passed over.
func readKeys(data []byte) ([]*pgpKey, error) {
	var r keyReader
	packets := packet.NewOpaqueReader(bytes.NewReader(data))
	for {
		p, err := packets.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errors.New("the OpenPGP keys can't be read: they are cut off or damaged")
		}
		if err := r.add(p); err != nil {
			return nil, err
		}
	}
	if len(r.keys) == 0 {
		return nil, errors.New("there is no OpenPGP key in it")
	}
	for _, k := range r.keys {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("OpenPGP key %s: %w", k.fingerprint(), err)
		}
	}
	return r.keys, nil
}

// check says what makes a key useless here by itself.
func (k *pgpKey) check() error {
	switch {
	case k.primary.Version == 6 && k.direct == nil:
		return errors.New("it has no good signature on itself")
	case k.primary.Version != 6 && !slices.ContainsFunc(k.ids, func(id *pgpID) bool { return id.latest != nil }):
		return errors.New("it has no user id with a good signature of its own")
	}
	if weak := pgpWeakness(k.primary); weak != "" {
		return fmt.Errorf("%s is too weak", weak)
	}
	return nil
}

// add takes the next packet.
func (r *keyReader) add(p *packet.OpaquePacket) error {
	switch p.Tag {
	case tagSecretKey, tagSecretSubkey:
		return errSecret
	case tagPublicKey:
		return r.addKey(p)
	case tagMarker, tagTrust, tagPadding:
		return nil
	}
	if p.Tag >= firstOptional {
		return nil
	}
	if r.key == nil {
		return errors.New("there is no OpenPGP key at its beginning")
	}
	switch p.Tag {
	case tagSignature:
		return r.addSignature(p)
	case tagUserID:
		parsed, err := p.Parse()
		id, ok := parsed.(*packet.UserId)
		if err != nil || !ok {
			return fmt.Errorf("OpenPGP key %s: a user id can't be read", r.key.fingerprint())
		}
		r.id, r.subkey, r.onKey = &pgpID{id: id}, nil, false
		r.key.ids = append(r.key.ids, r.id)
	case tagUserAttribute:
		r.id, r.subkey, r.onKey = nil, nil, false
	case tagPublicSubkey:
		r.id, r.subkey, r.onKey = nil, nil, false
		// One of a kind that is unknown can't sign here either.
		if parsed, err := p.Parse(); err == nil {
			key, ok := parsed.(*packet.PublicKey)
			if !ok {
				return fmt.Errorf("OpenPGP key %s: a subkey can't be read", r.key.fingerprint())
			}
			r.subkey = &pgpSubkey{key: key}
			r.key.subkeys = append(r.key.subkeys, r.subkey)
		}
	default:
		return fmt.Errorf("OpenPGP key %s: something follows that is no part of a key", r.key.fingerprint())
	}
	return nil
}

func (r *keyReader) addKey(p *packet.OpaquePacket) error {
	parsed, err := p.Parse()
	key, ok := parsed.(*packet.PublicKey)
	if err != nil || !ok {
		return errors.New("an OpenPGP key can't be read, or is of a kind that is not supported")
	}
	*r = keyReader{keys: r.keys, key: &pgpKey{primary: key}, onKey: true}
	r.keys = append(r.keys, r.key)
	return nil
}

// addSignature takes a signature on what came before. One that can't be read or
// isn't the owner's counts for nothing, unless it revokes something.
func (r *keyReader) addSignature(p *packet.OpaquePacket) error {
	parsed, err := p.Parse()
	sig, ok := parsed.(*packet.Signature)
	if err != nil || !ok {
		if revokes(p.Contents) {
			return fmt.Errorf("OpenPGP key %s: a revocation in it can't be read", r.key.fingerprint())
		}
		return nil
	}
	primary := r.key.primary
	switch {
	case sig.SigType == packet.SigTypeKeyRevocation:
		if primary.VerifyRevocationSignature(sig) != nil {
			return fmt.Errorf("OpenPGP key %s: it is revoked by a key other than itself, which can't be checked", r.key.fingerprint())
		}
		r.key.revocations = append(r.key.revocations, sig)
	case sig.SigType == packet.SigTypeSubkeyRevocation:
		if r.subkey == nil {
			return nil // of a subkey that can't sign here
		}
		if primary.VerifySubkeyRevocationSignature(sig, r.subkey.key) != nil {
			return fmt.Errorf("OpenPGP key %s: the revocation of a subkey is not its own", r.key.fingerprint())
		}
		r.subkey.revocations = append(r.subkey.revocations, sig)
	case !understood(sig) || !sig.CheckKeyIdOrFingerprint(primary):
	case r.onKey && sig.SigType == packet.SigTypeDirectSignature:
		if primary.VerifyDirectKeySignature(sig) == nil && newer(sig, r.key.direct) {
			r.key.direct = sig
		}
	case r.id != nil && certifies(sig):
		if primary.VerifyUserIdSignature(r.id.id.Id, primary, sig) == nil && newer(sig, r.id.latest) {
			r.id.latest = sig
		}
	case r.subkey != nil && sig.SigType == packet.SigTypeSubkeyBinding:
		if primary.VerifyKeySignature(r.subkey.key, sig) == nil && newer(sig, r.subkey.binding) {
			r.subkey.binding = sig
		}
	}
	return nil
}

// revokes says whether the content of a signature packet that can't be parsed
// is that of a revocation of a key or a subkey. Of all versions, only the third
// has its type not in the second byte (RFC 4880, section 5.2.2).
func revokes(contents []byte) bool {
	at := 1
	if len(contents) > 0 && contents[0] <= 3 {
		at = 2
	}
	if len(contents) <= at {
		return true
	}
	typ := packet.SignatureType(contents[at])
	return typ == packet.SigTypeKeyRevocation || typ == packet.SigTypeSubkeyRevocation
}

// certifies says whether a signature is about a user id.
func certifies(sig *packet.Signature) bool {
	switch sig.SigType {
	case packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert,
		packet.SigTypeCertificationRevocation:
		return true
	}
	return false
}

// newer says whether sig replaces last. Of two of the same second, a revocation
// counts.
func newer(sig, last *packet.Signature) bool {
	if last == nil {
		return true
	}
	if c := sig.CreationTime.Compare(last.CreationTime); c != 0 {
		return c > 0
	}
	return last.SigType != packet.SigTypeCertificationRevocation
}

// understood says whether all in a signature that must be understood is. No
// notation is.
func understood(sig *packet.Signature) bool {
	if back := sig.EmbeddedSignature; back != nil && !understood(back) {
		return false
	}
	return !slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical })
}

func (k *pgpKey) fingerprint() string { return fmt.Sprintf("%X", k.primary.Fingerprint) }

// living gives the user ids that are neither revoked nor expired at the time,
// the primary one first.
func (k *pgpKey) living(t time.Time) []*pgpID {
	var ids []*pgpID
	for _, id := range k.ids {
		if id.latest != nil && id.latest.SigType != packet.SigTypeCertificationRevocation && !over(id.latest, t) {
			ids = append(ids, id)
		}
	}
	slices.SortStableFunc(ids, func(a, b *pgpID) int {
		return cmp.Or(rank(a)-rank(b), b.latest.CreationTime.Compare(a.latest.CreationTime), cmp.Compare(a.id.Id, b.id.Id))
	})
	return ids
}

func rank(id *pgpID) int {
	if p := id.latest.IsPrimaryId; p != nil && *p {
		return 0
	}
	return 1
}

// over says whether a signature's own time was over. It says nothing about that
// of the key that made it.
func over(sig *packet.Signature, t time.Time) bool {
	s := sig.SigLifetimeSecs
	return s != nil && *s != 0 && t.Unix() > sig.CreationTime.Unix()+int64(*s)
}

// saying gives the signature that says something about the primary key: the one
// on the key itself when it does, and otherwise the latest on a living user id
// that does; nil when none does. So does GnuPG (merge_selfsigs in getkey.c).
func (k *pgpKey) saying(t time.Time, says func(*packet.Signature) bool) *packet.Signature {
	if k.direct != nil && says(k.direct) && !over(k.direct, t) {
		return k.direct
	}
	var latest *packet.Signature
	for _, id := range k.living(t) {
		if says(id.latest) && (latest == nil || id.latest.CreationTime.After(latest.CreationTime)) {
			latest = id.latest
		}
	}
	return latest
}

func saysUntil(sig *packet.Signature) bool {
	return sig.KeyLifetimeSecs != nil && *sig.KeyLifetimeSecs != 0
}

func saysUse(sig *packet.Signature) bool { return sig.FlagsValid }

// validAt says why the key, or its subkey when that isn't nil, was not valid at
// the time; nil when it was. The clause says in the message what time that is.
func (k *pgpKey) validAt(sub *pgpSubkey, clause string, t time.Time) *Error {
	if revokedAt(k.revocations, t) {
		return refuse(Revoked, "its signer's OpenPGP key %s is revoked", k.fingerprint())
	}
	if err := k.inTime(k.primary, k.saying(t, saysUntil), clause, t); err != nil {
		return err
	}
	if k.primary.Version != 6 && len(k.living(t)) == 0 {
		return refuse(Revoked, "all user ids of its signer's OpenPGP key %s are revoked or expired", k.fingerprint())
	}
	if sub == nil {
		return nil
	}
	if revokedAt(sub.revocations, t) {
		return refuse(Revoked, "the subkey of its signer's OpenPGP key %s is revoked", k.fingerprint())
	}
	back := sub.binding.EmbeddedSignature
	if over(sub.binding, t) || back != nil && over(back, t) {
		return refuse(Expired, "the subkey of its signer's OpenPGP key %s is no longer bound to it: %s", k.fingerprint(), clause)
	}
	return k.inTime(sub.key, sub.binding, clause, t)
}

// inTime says whether the time is after the making of key, which is k's primary
// key or a subkey, and before its end, which until says when it isn't nil.
func (k *pgpKey) inTime(key *packet.PublicKey, until *packet.Signature, clause string, t time.Time) *Error {
	if from := key.CreationTime; t.Unix() < from.Unix() {
		return refuse(NotYetValid, "its signer's OpenPGP key %s is valid from %s on, and %s", k.fingerprint(), stamp(from), clause)
	}
	if last := endOf(key, until); !last.IsZero() && t.Unix() >= last.Unix() {
		return refuse(Expired, "its signer's OpenPGP key %s was valid until %s, and %s", k.fingerprint(), stamp(last), clause)
	}
	return nil
}

// revokedAt says whether one of the revocations counts at the time. One because
// the key was replaced or retired counts from when it was made; any other, such
// as for a stolen key, has always counted (RFC 9580, section 5.2.3.31).
func revokedAt(revocations []*packet.Signature, t time.Time) bool {
	return slices.ContainsFunc(revocations, func(r *packet.Signature) bool {
		if r.RevocationReason != nil && (*r.RevocationReason == packet.KeySuperseded || *r.RevocationReason == packet.KeyRetired) {
			return t.Unix() >= r.CreationTime.Unix()
		}
		return true
	})
}

// pgpWeakness says why the key proves nothing; empty when it does.
func pgpWeakness(key *packet.PublicKey) string {
	switch key.PubKeyAlgo {
	case packet.PubKeyAlgoDSA:
		return "a DSA key"
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		// The length is that of the number, which may begin with a zero bit.
		if n, err := key.BitLength(); err != nil || n < minRSA-1 {
			return "an RSA key of less than 2048 bits"
		}
	}
	return ""
}
