package signature

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"reconciler/internal/text"
)

// policy is the library's default: it rejects RSA keys under 2048 bits, DSA
// keys, the curve secp256k1, and SHA-1 as the hash of a message.
var policy = &packet.Config{}

// anyTime makes the library consider all signatures of a key's owner. Given a
// real time, it ignores those made later: a key whose expiry was extended after
// a commit would have expired before it, and a key exported with its latest
// signatures alone would have none. GnuPG uses the latest at all times. Besides,
// the library keeps a signature that it found expired at one time, or not made
// yet, as bad for all times.
var anyTime time.Time

// pgpKey is an OpenPGP key.
type pgpKey struct{ *openpgp.Entity }

// Tags of packets (RFC 9580, section 5).
const (
	tagSignature     = 2
	tagSecretKey     = 5
	tagPublicKey     = 6
	tagSecretSubkey  = 7
	tagMarker        = 10
	tagTrust         = 12
	tagPublicSubkey  = 14
	tagUserAttribute = 17
	tagPadding       = 21
)

var errSecret = text.WithHint(errors.New("a secret key, which has no place here"), hintSecret)

// readKeys reads a keyring in binary form.
func readKeys(data []byte) ([]*pgpKey, error) {
	packets, err := splitPackets(data)
	if err != nil {
		return nil, errors.New("the OpenPGP keys can't be read: they are cut off or damaged")
	}
	packets = slices.DeleteFunc(packets, tagged(tagMarker, tagTrust, tagPadding))
	if slices.ContainsFunc(packets, tagged(tagSecretKey, tagSecretSubkey)) {
		return nil, errSecret
	}
	var keys []*pgpKey
	for len(packets) > 0 {
		n := len(packets)
		if i := slices.IndexFunc(packets[1:], tagged(tagPublicKey)); i >= 0 {
			n = i + 1
		}
		k, err := readKey(packets[:n])
		if err != nil {
			return nil, err
		}
		keys, packets = append(keys, k), packets[n:]
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no OpenPGP key in it")
	}
	return keys, nil
}

// splitPackets returns the packets of a binary OpenPGP file, unparsed.
func splitPackets(data []byte) ([]*packet.OpaquePacket, error) {
	var all []*packet.OpaquePacket
	for r := packet.NewOpaqueReader(bytes.NewReader(data)); ; {
		p, err := r.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, errors.New("it is cut off or damaged")
		}
		all = append(all, p)
	}
}

func tagged(tags ...uint8) func(*packet.OpaquePacket) bool {
	return func(p *packet.OpaquePacket) bool { return slices.Contains(tags, p.Tag) }
}

// readKey reads the packets of one key.
func readKey(packets []*packet.OpaquePacket) (*pgpKey, error) {
	parsed, _ := packets[0].Parse()
	primary, ok := parsed.(*packet.PublicKey)
	switch {
	case packets[0].Tag != tagPublicKey:
		return nil, errors.New("there is no OpenPGP key at its beginning")
	case !ok:
		return nil, errors.New("an OpenPGP key can't be read, or is of a kind that is not supported")
	}
	k, err := assemble(primary, packets)
	if err != nil {
		err = fmt.Errorf("OpenPGP key %X: %w", primary.Fingerprint, err)
	}
	return k, err
}

// assemble passes the packets of a key that count to the library. It rejects what
// the library would skip and must not: a revocation, or a packet that may be one.
func assemble(primary *packet.PublicKey, packets []*packet.OpaquePacket) (*pgpKey, error) {
	var kept bytes.Buffer
	var about uint8 // the tag of what signatures are about; 0 for what doesn't count
	seen := map[string]bool{}
	for _, p := range packets {
		parsed, _ := p.Parse() // on an error it stays opaque
		keep, name := true, ""
		var err error
		switch parsed := parsed.(type) {
		case *packet.Signature:
			keep, err = counts(parsed, primary, about)
		case *packet.PublicKey:
			about, name = p.Tag, fmt.Sprintf("subkey %X", parsed.Fingerprint)
		case *packet.UserId:
			about, name = p.Tag, "user id "+parsed.Id
		default:
			keep, err = false, omit(p)
			if p.Tag != tagSignature {
				about = 0
			}
		}
		// The library uses the signatures of one of two equal user ids, and of each
		// of two equal subkeys its own: a revocation of the other is lost.
		if name != "" && seen[name] {
			err = fmt.Errorf("it has the %s twice", text.OneLine(name, maxText))
		}
		seen[name] = true
		if err == nil && keep {
			err = p.Serialize(&kept)
		}
		if err != nil {
			return nil, err
		}
	}
	e, err := openpgp.ReadEntity(packet.NewReader(&kept))
	if err != nil {
		return nil, errUnsigned // all else that may be wrong was checked before
	}
	k := &pgpKey{e}
	return k, k.verify()
}

var errUnsigned = errors.New("it has no user id with a good signature of its own, or, in version 6, none on itself")

// counts reports whether a signature in a key counts: one that its owner made,
// and that is understood. A revocation must stand where the library looks for it.
func counts(sig *packet.Signature, primary *packet.PublicKey, about uint8) (bool, error) {
	switch {
	case sig.SigType == packet.SigTypeKeyRevocation && about != tagPublicKey,
		sig.SigType == packet.SigTypeSubkeyRevocation && about != tagPublicSubkey && about != 0:
		return false, errors.New("a revocation in it doesn't follow what it revokes")
	case about == 0 || revokes(sig.SigType):
		return about != 0, nil
	}
	return understood(sig) && sig.CheckKeyIdOrFingerprint(primary), nil
}

func revokes(typ packet.SignatureType) bool {
	return typ == packet.SigTypeKeyRevocation || typ == packet.SigTypeSubkeyRevocation
}

// omit rejects a packet that can't be omitted. A subkey of an unknown kind can:
// it can't sign here. So can a picture, and a signature that revokes nothing.
func omit(p *packet.OpaquePacket) error {
	switch p.Tag {
	case tagPublicSubkey, tagUserAttribute:
		return nil
	case tagSignature:
		at := 1
		if len(p.Contents) > 0 && p.Contents[0] <= 3 {
			at = 2 // where version 3 has the type (RFC 4880, section 5.2.2)
		}
		if len(p.Contents) <= at || revokes(packet.SignatureType(p.Contents[at])) {
			return errors.New("a revocation in it can't be read")
		}
		return nil
	}
	return errors.New("something follows that is no part of a key")
}

// understood reports whether a signature has no critical notation: none is
// known here.
func understood(sig *packet.Signature) bool {
	if back := sig.EmbeddedSignature; back != nil && !understood(back) {
		return false
	}
	return !slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical })
}

// verify returns why the key is useless. The library verifies each signature on
// first use and stores the result, so this is done before goroutines share the key.
func (k *pgpKey) verify() error {
	primary := k.PrimaryKey
	for _, r := range k.Revocations {
		if primary.VerifyRevocationSignature(r.Packet) != nil {
			return errors.New("it is revoked by a key other than itself, which can't be checked")
		}
	}
	for _, sub := range k.Subkeys {
		for _, r := range sub.Revocations {
			if primary.VerifySubkeyRevocationSignature(r.Packet, sub.PublicKey) != nil {
				return errors.New("the revocation of a subkey is not its own")
			}
		}
	}
	k.parts(anyTime)
	certified := func(id *openpgp.Identity) bool {
		_, err := id.LatestValidSelfCertification(anyTime, policy)
		return err == nil
	}
	_, err := k.LatestValidDirectSignature(anyTime, policy)
	weak := weakPGP(primary)
	switch {
	case primary.Version == 6 && err != nil,
		primary.Version != 6 && !slices.ContainsFunc(slices.Collect(maps.Values(k.Identities)), certified):
		return errUnsigned
	case weak != "":
		return fmt.Errorf("%s is too weak", weak)
	}
	return nil
}

// weakPGP returns why the policy rejects the key; empty if it doesn't. The library
// applies it only where it chooses a key to sign or encrypt with.
func weakPGP(key *packet.PublicKey) string {
	bits, err := key.BitLength()
	curve, _ := key.Curve()
	rsa := key.PubKeyAlgo == packet.PubKeyAlgoRSA || key.PubKeyAlgo == packet.PubKeyAlgoRSASignOnly
	switch {
	case policy.RejectPublicKeyAlgorithm(key.PubKeyAlgo):
		return "a DSA key"
	case rsa && (err != nil || bits < policy.MinimumRSABits()):
		return "an RSA key of less than 2048 bits"
	case policy.RejectCurve(curve):
		return fmt.Sprintf("a key on the curve %s", curve)
	}
	return ""
}

func (k *pgpKey) fingerprint() string { return fmt.Sprintf("%X", k.PrimaryKey.Fingerprint) }

// userID is a user id with the latest signature that certifies it.
type userID struct {
	*packet.UserId
	sig *packet.Signature
}

// living returns the user ids that are neither revoked nor expired at the time,
// the one certified last first.
func (k *pgpKey) living(t time.Time) []userID {
	var ids []userID
	for _, id := range k.Identities {
		if sig, err := id.Verify(anyTime, policy); err == nil && t.Before(sigEnd(sig)) {
			ids = append(ids, userID{id.UserId, sig})
		}
	}
	slices.SortFunc(ids, func(a, b userID) int {
		return cmp.Or(b.sig.CreationTime.Compare(a.sig.CreationTime), cmp.Compare(a.Id, b.Id))
	})
	return ids
}

// principal returns the mail address or the name in the primary user id: the
// latest that is marked as primary, or else the latest. The library chooses
// between those of the same second by the order of a map.
func (k *pgpKey) principal(t time.Time) string {
	ids := k.living(t)
	primary := slices.IndexFunc(ids, func(u userID) bool { return u.sig.IsPrimaryId != nil && *u.sig.IsPrimaryId })
	for _, id := range slices.Concat(ids[max(primary, 0):], ids) {
		if name := text.OneLine(cmp.Or(id.Email, id.Id), maxText); name != "" {
			return name
		}
	}
	return k.fingerprint()
}

// part is the primary key or a bound subkey, as its owner's signatures make it
// at some time.
type part struct {
	id          string // the fingerprint of the primary key
	public      *packet.PublicKey
	signs       bool      // it is made for signing
	from, until time.Time // its life; until is the first second after it
	revoked     string    // how it is revoked; empty if it isn't
}

// parts returns the primary key and then the subkeys, always in the same order.
// As for GnuPG (merge_selfsigs in getkey.c), the signature on the primary key
// itself states its use and its end, or else the latest on a user id that does;
// the library asks the primary user id alone. That a subkey that signs agreed to
// be one was verified with its binding.
func (k *pgpKey) parts(t time.Time) []part {
	p := part{id: k.fingerprint(), public: k.PrimaryKey, from: k.PrimaryKey.CreationTime, until: forever}
	ids := k.living(t)
	var statements []*packet.Signature
	if direct, err := k.LatestValidDirectSignature(anyTime, policy); err == nil && t.Before(sigEnd(direct)) {
		statements = append(statements, direct)
	}
	for _, id := range ids {
		statements = append(statements, id.sig)
	}
	for _, sig := range slices.Backward(statements) {
		if sig.FlagsValid {
			p.signs = sig.FlagSign
		}
		if end := lifeEnd(p.from, sig.KeyLifetimeSecs); end.Before(forever) {
			p.until = end
		}
	}
	switch {
	case revokedAt(k.Revocations, t):
		p.revoked = "is revoked"
	case k.PrimaryKey.Version != 6 && len(ids) == 0:
		p.revoked = "has no user id that is not revoked or expired"
	}
	all := []part{p}
	for _, sub := range k.Subkeys {
		binding, err := sub.LatestValidBindingSignature(anyTime, policy)
		if err != nil {
			continue
		}
		s := p
		s.public, s.signs = sub.PublicKey, binding.FlagSign
		s.from = slices.MaxFunc([]time.Time{p.from, sub.PublicKey.CreationTime}, time.Time.Compare)
		s.until = slices.MinFunc([]time.Time{
			p.until, lifeEnd(sub.PublicKey.CreationTime, binding.KeyLifetimeSecs), sigEnd(binding), sigEnd(binding.EmbeddedSignature),
		}, time.Time.Compare)
		if p.revoked == "" && revokedAt(sub.Revocations, t) {
			s.revoked = "has revoked its subkey"
		}
		all = append(all, s)
	}
	return all
}

// revokedAt reports whether one of the revocations counts at the time. One
// because the key was replaced or retired counts from when it was made; any
// other, such as for a stolen key, at all times (RFC 9580, section 5.2.3.31).
// To the library, a revocation may expire and a new binding undoes one of a
// subkey; to GnuPG neither.
func revokedAt(revocations []*packet.VerifiableSignature, t time.Time) bool {
	return slices.ContainsFunc(revocations, func(r *packet.VerifiableSignature) bool {
		reason := r.Packet.RevocationReason
		if reason != nil && (*reason == packet.KeySuperseded || *reason == packet.KeyRetired) {
			return !t.Before(r.Packet.CreationTime)
		}
		return true
	})
}

// lifeEnd returns the first second after a life; nil and zero seconds mean no
// end. The library adds that second, unlike GnuPG.
func lifeEnd(from time.Time, seconds *uint32) time.Time {
	if seconds == nil || *seconds == 0 {
		return forever
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

// sigEnd returns the end of a signature itself, which may be nil.
func sigEnd(sig *packet.Signature) time.Time {
	if sig == nil {
		return forever
	}
	return lifeEnd(sig.CreationTime, sig.SigLifetimeSecs)
}
