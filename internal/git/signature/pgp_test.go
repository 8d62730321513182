package signature

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // what is rejected
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maker makes OpenPGP keys and signatures that gpg wouldn't.
type maker struct {
	t      testing.TB
	config packet.Config
}

func newMaker(t testing.TB) *maker {
	m := &maker{t: t, config: packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256, NonDeterministicSignaturesViaNotation: packet.BoolPointer(false)}}
	m.at(day("2025-01-01"))
	return m
}

func (m *maker) at(at time.Time) *maker {
	m.config.Time = func() time.Time { return at }
	return m
}

func (m *maker) settings() *packet.Config { return &m.config }

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) key(name, mail string) *openpgp.Entity {
	m.t.Helper()
	e, err := openpgp.NewEntity(name, "", mail, &m.config)
	m.must(err)
	return e
}

// armored returns the public key.
func (m *maker) armored(e *openpgp.Entity) string {
	m.t.Helper()
	var b bytes.Buffer
	m.must(e.Serialize(&b))
	return string(enarmor(armorKeys, b.Bytes()))
}

// sign returns a commit signed by the key, made at the maker's time.
func (m *maker) sign(key *packet.PrivateKey, change func(*packet.Signature)) []byte {
	m.t.Helper()
	raw := plain(m.config.Now())
	return withSignature(m.t, raw, enarmor(armorPGP, m.packet(key, raw, change)))
}

func (m *maker) packet(key *packet.PrivateKey, payload []byte, change func(*packet.Signature)) []byte {
	m.t.Helper()
	sig := &packet.Signature{
		Version: key.Version, SigType: packet.SigTypeBinary, PubKeyAlgo: key.PubKeyAlgo, Hash: m.config.Hash(),
		CreationTime: m.config.Now(), IssuerKeyId: &key.KeyId,
	}
	if change != nil {
		change(sig)
	}
	h, err := sig.PrepareSign(&m.config)
	m.must(err)
	h.Write(payload)
	m.must(sig.Sign(h, key, &m.config))
	var b bytes.Buffer
	m.must(sig.Serialize(&b))
	return b.Bytes()
}

// TestPGPSignatures goes through what a signature may say. GnuPG is asked about
// the same, where it is installed.
func TestPGPSignatures(t *testing.T) {
	m := newMaker(t)
	e := m.key("Ada", "ada@example.com")
	text := m.armored(e)
	seconds := func(n uint32) *uint32 { return &n }
	m.at(made)
	for _, test := range []struct {
		name     string
		change   func(*packet.Signature)
		expected Reason
		gpg      bool
	}{
		{"as made", nil, "", true},
		{"SHA-512", func(s *packet.Signature) { s.Hash = crypto.SHA512 }, "", true},
		{"SHA-1", func(s *packet.Signature) { s.Hash = crypto.SHA1 }, Weak, true},
		{"text", func(s *packet.Signature) { s.SigType = packet.SigTypeText }, Unsupported, false},
		{"certification", func(s *packet.Signature) { s.SigType = packet.SigTypeGenericCert }, Unsupported, false},
		{"lasting", func(s *packet.Signature) { s.SigLifetimeSecs = seconds(365 * 86400) }, "", true},
		{"expired", func(s *packet.Signature) { s.SigLifetimeSecs = seconds(86400) }, Expired, false},
		{"notation", func(s *packet.Signature) {
			s.Notations = []*packet.Notation{{Name: "a@example.com", Value: []byte("x"), IsHumanReadable: true}}
		}, "", true},
		{"critical notation", func(s *packet.Signature) {
			s.Notations = []*packet.Notation{{Name: "a@example.com", Value: []byte("x"), IsHumanReadable: true, IsCritical: true}}
		}, Unsupported, false},
		{"before the key", func(s *packet.Signature) { s.CreationTime = day("2024-12-31") }, NotYetValid, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			commit := m.sign(e.PrivateKey, test.change)
			by, err := mustParse(t, text).Commit(commit, now)
			if got := reason(t, err); got != test.expected {
				t.Fatalf("signed by %s: %v", by, err)
			}
			t.Run("GnuPG", func(t *testing.T) { asksGnuPG(t, text, commit, test.gpg) })
		})
	}
}

func asksGnuPG(t *testing.T, key string, commit []byte, expected bool) {
	t.Helper()
	needs(t, "git", "gpg")
	l := newLab(t).gnupg().at(now)
	l.gpg(key, "--import")
	if ok, why := l.verifies("commit", commit, "-c", "gpg.program="+l.faked()); ok != expected {
		t.Errorf("git accepts it: %v: %s", ok, why)
	}
}

// TestPGPKeys goes through what an owner may say about a key.
func TestPGPKeys(t *testing.T) {
	m := newMaker(t)
	fresh := func() *openpgp.Entity { return m.at(day("2025-01-01")).key("Ada", "ada@example.com") }
	revoke := func(e *openpgp.Entity, reason packet.ReasonForRevocation) {
		m.must(e.RevokeKey(reason, "", m.at(day("2026-05-01")).settings()))
	}
	selfSign := func(e *openpgp.Entity, id string, change func(*packet.Signature)) {
		sig := *e.PrimaryIdentity().SelfSignature
		change(&sig)
		m.must(sig.SignUserId(id, e.PrimaryKey, e.PrivateKey, &m.config))
		i, ok := e.Identities[id]
		if !ok {
			i = &openpgp.Identity{Name: id, UserId: &packet.UserId{Id: id}}
			e.Identities[id] = i
		}
		i.SelfSignature = &sig
		i.Signatures = append(i.Signatures, &sig)
	}
	const ada = "Ada <ada@example.com>"
	until := func(t string) *uint32 { n := uint32(day(t).Unix() - day("2025-01-01").Unix()); return &n }
	signing := func(e *openpgp.Entity) *packet.PrivateKey { return e.Subkeys[len(e.Subkeys)-1].PrivateKey }
	bindSubkey := func(change func(s *openpgp.Subkey)) func(*openpgp.Entity) {
		return func(e *openpgp.Entity) {
			m.must(e.AddSigningSubkey(m.settings()))
			s := &e.Subkeys[len(e.Subkeys)-1]
			change(s)
			m.must(s.Sig.EmbeddedSignature.CrossSignKey(s.PublicKey, e.PrimaryKey, s.PrivateKey, &m.config))
			m.must(s.Sig.SignKey(s.PublicKey, e.PrivateKey, &m.config))
		}
	}
	for _, test := range []struct {
		name     string
		change   func(e *openpgp.Entity)
		subkey   bool
		at       time.Time
		expected Reason
		gpg      bool
	}{
		{name: "as made", change: func(*openpgp.Entity) {}, gpg: true},
		{name: "compromised", change: func(e *openpgp.Entity) { revoke(e, packet.KeyCompromised) }, expected: Revoked},
		{name: "compromised, known later", change: func(e *openpgp.Entity) { revoke(e, packet.KeyCompromised) }, at: day("2026-04-01"), expected: Revoked},
		{name: "no reason, known later", change: func(e *openpgp.Entity) { revoke(e, packet.NoReason) }, at: day("2026-04-01"), expected: Revoked},
		{name: "superseded", change: func(e *openpgp.Entity) { revoke(e, packet.KeySuperseded) }, expected: Revoked},
		{name: "retired", change: func(e *openpgp.Entity) { revoke(e, packet.KeyRetired) }, expected: Revoked},
		{name: "superseded later", change: func(e *openpgp.Entity) { revoke(e, packet.KeySuperseded) }, at: day("2026-04-01")},
		{name: "expired", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2025-02-01"), until("2026-05-01")
			})
		}, expected: Expired},
		{name: "extended", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2025-02-01"), until("2026-02-01")
			})
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2026-05-01"), until("2028-02-01")
			})
		}, gpg: true},
		{name: "shortened", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2026-05-01"), until("2026-05-02")
			})
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2025-02-01"), until("2028-02-01")
			})
		}, expected: Expired},
		{name: "renewed, exported with its latest signature alone", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2026-05-01"), until("2028-02-01")
			})
			e.Identities[ada].Signatures = e.Identities[ada].Signatures[len(e.Identities[ada].Signatures)-1:]
		}, gpg: true},
		{name: "not for signing", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) { s.CreationTime, s.FlagSign = day("2025-02-01"), false })
		}, expected: NotAllowed},
		{name: "user id revoked", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.SigType = day("2025-02-01"), packet.SigTypeCertificationRevocation
			})
		}, expected: Revoked, gpg: true},
		{name: "user id revoked and taken up again", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.SigType = day("2025-02-01"), packet.SigTypeCertificationRevocation
			})
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.SigType = day("2025-03-01"), packet.SigTypePositiveCert
			})
		}, gpg: true},
		{name: "subkey for encryption", subkey: true, change: func(e *openpgp.Entity) {
			// That made by the maker can't sign at all: another that merely may not.
			m.must(e.AddSigningSubkey(m.settings()))
			s := &e.Subkeys[len(e.Subkeys)-1]
			s.Sig.FlagSign, s.Sig.FlagEncryptStorage, s.Sig.EmbeddedSignature = false, true, nil
			m.must(s.Sig.SignKey(s.PublicKey, e.PrivateKey, &m.config))
		}, expected: NotAllowed},
		{name: "subkey", subkey: true, change: func(e *openpgp.Entity) { m.must(e.AddSigningSubkey(m.settings())) }, gpg: true},
		{name: "subkey that never agreed", subkey: true, change: func(e *openpgp.Entity) {
			m.must(e.AddSigningSubkey(m.settings()))
			s := &e.Subkeys[len(e.Subkeys)-1]
			s.Sig.EmbeddedSignature = nil
			m.must(s.Sig.SignKey(s.PublicKey, e.PrivateKey, &m.config))
		}, expected: UnknownKey},
		{name: "user id expired", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) { s.CreationTime, s.SigLifetimeSecs = day("2025-02-01"), until("2026-04-01") })
		}, expected: Revoked, gpg: true},
		{name: "user id expired later", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) { s.CreationTime, s.SigLifetimeSecs = day("2025-02-01"), until("2026-07-01") })
		}, gpg: true},
		{name: "statement with a critical notation", change: func(e *openpgp.Entity) {
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.FlagSign = day("2025-02-01"), false
				s.Notations = []*packet.Notation{{Name: "a@example.com", Value: []byte("x"), IsHumanReadable: true, IsCritical: true}}
			})
		}, gpg: true},
		{name: "subkey bound later", subkey: true, change: bindSubkey(func(s *openpgp.Subkey) { s.Sig.CreationTime = day("2026-05-01") }), gpg: true},
		{name: "subkey expired", subkey: true, change: bindSubkey(func(s *openpgp.Subkey) { s.Sig.KeyLifetimeSecs = until("2026-05-01") }), expected: Expired},
		{name: "subkey's binding expired", subkey: true, change: bindSubkey(func(s *openpgp.Subkey) { s.Sig.SigLifetimeSecs = until("2026-05-01") }), expected: Expired},
		{name: "subkey's agreement expired", subkey: true, change: bindSubkey(func(s *openpgp.Subkey) {
			s.Sig.EmbeddedSignature.SigLifetimeSecs = until("2026-05-01")
		}), expected: Expired, gpg: true},
		{name: "subkey's agreement with a critical notation", subkey: true, change: bindSubkey(func(s *openpgp.Subkey) {
			s.Sig.EmbeddedSignature.Notations = []*packet.Notation{{Name: "a@example.com", Value: []byte("x"), IsHumanReadable: true, IsCritical: true}}
		}), expected: UnknownKey},
		{name: "subkey of an expired key", subkey: true, change: func(e *openpgp.Entity) {
			bindSubkey(func(*openpgp.Subkey) {})(e)
			selfSign(e, ada, func(s *packet.Signature) {
				s.CreationTime, s.KeyLifetimeSecs = day("2025-02-01"), until("2026-05-01")
			})
		}, expected: Expired},
		{name: "subkey revoked", subkey: true, change: func(e *openpgp.Entity) {
			m.must(e.AddSigningSubkey(m.settings()))
			m.must(e.RevokeSubkey(&e.Subkeys[len(e.Subkeys)-1], packet.KeyCompromised, "", m.at(day("2026-05-01")).settings()))
		}, expected: Revoked},
		{name: "subkey of a revoked key", subkey: true, change: func(e *openpgp.Entity) {
			m.must(e.AddSigningSubkey(m.settings()))
			revoke(e, packet.KeyCompromised)
		}, expected: Revoked},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := fresh()
			test.change(e)
			key := e.PrivateKey
			if test.subkey {
				key = signing(e)
			}
			text := m.armored(e)
			commit := m.at(made).sign(key, nil)
			at := test.at
			if at.IsZero() {
				at = now
			}
			by, err := mustParse(t, text).Commit(commit, at)
			if got := reason(t, err); got != test.expected {
				t.Fatalf("signed by %s: %v", by, err)
			}
			if test.at.IsZero() {
				t.Run("GnuPG", func(t *testing.T) { asksGnuPG(t, text, commit, test.gpg) })
			}
		})
	}
}

// TestPGPScan reads keys with packets that the library passes over.
func TestPGPScan(t *testing.T) {
	m := newMaker(t)
	e := m.key("Ada", "ada@example.com")
	m.must(e.AddSigningSubkey(m.settings()))
	sub := e.Subkeys[len(e.Subkeys)-1]
	m.must(e.RevokeKey(packet.KeyCompromised, "", m.at(day("2026-05-01")).settings()))
	m.must(e.RevokeSubkey(&sub, packet.KeyCompromised, "", m.settings()))
	packets := func(all ...interface{ Serialize(io.Writer) error }) string {
		var b bytes.Buffer
		for _, p := range all {
			m.must(p.Serialize(&b))
		}
		return b.String()
	}
	key, revocation := packets(e.PrimaryKey), packets(e.Revocations[0])
	id := packets(e.PrimaryIdentity().UserId, e.PrimaryIdentity().SelfSignature)
	subkey, subRevocation := packets(sub.PublicKey, sub.Sig), packets(sub.Revocations[0])
	commit := m.at(made).sign(e.PrivateKey, nil)
	bySubkey := m.sign(sub.PrivateKey, nil)
	const (
		unknownSubkey = "\xce\x06\x04\x60\x00\x00\x00\x63"
		attribute     = "\xd1\x03\x02\x01\x00"
		thirdVersion  = "\xc2\x03\x03\x05\x10"
		trust         = "\xcc\x02\x00\x00"
	)
	for _, test := range []struct {
		name, packets, message string
		expected               Reason
		commit                 []byte
	}{
		{name: "as it should be", packets: key + id + subkey},
		{name: "signed by the subkey", packets: key + id + subkey, commit: bySubkey},
		{name: "revoked", packets: key + revocation + id + subkey, expected: Revoked},
		{name: "subkey revoked", packets: key + id + subkey + subRevocation, expected: Revoked, commit: bySubkey},
		{name: "subkey revoked behind an older signature", packets: key + id + subkey + thirdVersion + subRevocation, expected: Revoked, commit: bySubkey},
		{name: "trust and an old certification", packets: key + id + trust + thirdVersion + subkey, commit: bySubkey},
		{name: "a picture and what certifies it", packets: key + id + attribute + packets(e.PrimaryIdentity().SelfSignature) + subkey, commit: bySubkey},
		{name: "subkey of an unknown kind", packets: key + id + subkey + unknownSubkey + subRevocation, commit: bySubkey},

		{name: "revocation behind a user id", packets: key + id + revocation, message: "a revocation in it doesn't follow what it revokes"},
		{name: "revocation behind a subkey", packets: key + id + subkey + revocation, message: "a revocation in it doesn't follow what it revokes"},
		{name: "revocation behind an unknown subkey", packets: key + id + unknownSubkey + revocation, message: "a revocation in it doesn't follow what it revokes"},
		{name: "revocation behind a picture", packets: key + id + attribute + revocation, message: "a revocation in it doesn't follow what it revokes"},
		{name: "subkey's revocation behind the key", packets: key + subRevocation + id + subkey, message: "a revocation in it doesn't follow what it revokes"},
		{name: "subkey's revocation behind a user id", packets: key + id + subRevocation + subkey, message: "a revocation in it doesn't follow what it revokes"},
		{name: "revocation of another subkey", packets: key + id + packets(e.Subkeys[0].PublicKey, e.Subkeys[0].Sig) + subRevocation, message: "the revocation of a subkey is not its own"},
		{name: "subkey twice, once revoked", packets: key + id + subkey + subRevocation + subkey, message: "twice"},
		{name: "user id twice", packets: key + id + id + subkey, message: "it has the user id Ada <ada@example.com> twice"},
		{name: "key twice", packets: key + id + key + id, message: "is in the file twice"},
		{name: "private packet", packets: key + id + "\xfc\x01a" + subkey, message: "something follows that is no part of a key"},
		{name: "literal data", packets: key + id + "\xcb\x07b\x00\x00\x00\x00\x00a" + subkey, message: "something follows that is no part of a key"},
		{name: "second key of an unknown kind", packets: key + id + "\xc6\x06\x04\x60\x00\x00\x00\x63", message: "an OpenPGP key can't be read, or is of a kind that is not supported"},
		{name: "second key of an old version", packets: key + id + "\xc6\x06\x03\x60\x00\x00\x00\x01", message: "an OpenPGP key can't be read, or is of a kind that is not supported"},
		{name: "rubbish behind", packets: key + id + "a", message: "they are cut off or damaged"},
		{name: "cut behind", packets: key + id + "\xc2\x05\x04", message: "they are cut off or damaged"},
	} {
		keys, err := Parse("keys", enarmor(armorKeys, []byte(test.packets)))
		if test.message != "" {
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.commit == nil {
			test.commit = commit
		}
		if by, err := keys.Commit(test.commit, now); reason(t, err) != test.expected {
			t.Errorf("%s: signed by %s: %v", test.name, by, err)
		}
	}
}

// TestPGPAnyOrder asks at a time before the user id was revoked and then at one
// after it: the first answer must not decide the second.
func TestPGPAnyOrder(t *testing.T) {
	m := newMaker(t)
	e := m.key("Ada", "ada@example.com")
	commit := m.at(made).sign(e.PrivateKey, nil)
	id := e.PrimaryIdentity()
	sig := *id.SelfSignature
	sig.CreationTime, sig.SigType = day("2026-05-01"), packet.SigTypeCertificationRevocation
	m.must(sig.SignUserId(id.UserId.Id, e.PrimaryKey, e.PrivateKey, m.settings()))
	id.Signatures = append(id.Signatures, &sig)
	keys := mustParse(t, m.armored(e))
	for _, at := range []string{"2026-04-01", "2026-06-01", "2024-06-01", "2026-06-01"} {
		if by, err := keys.Commit(commit, day(at)); reason(t, err) != Revoked {
			t.Errorf("at %s: signed by %s: %v", at, by, err)
		}
	}
}

// TestPGPWeak reads keys that gpg makes and the policy rejects.
func TestPGPWeak(t *testing.T) {
	l := newLab(t).gnupg().at(day("2025-01-01"))
	for algorithm, message := range map[string]string{
		"dsa2048": "a DSA key is too weak", "rsa1024": "an RSA key of less than 2048 bits is too weak", "secp256k1": "a key on the curve SecP256k1 is too weak",
	} {
		l.gpg("", "--quick-gen-key", algorithm+"@example.com", algorithm, "sign", "0")
		_, err := Parse("keys", []byte(l.gpg("", "--armor", "--export", algorithm+"@example.com")))
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// TestPGPOthers are keys that read well and that something is wrong with, or
// that GnuPG doesn't know.
func TestPGPOthers(t *testing.T) {
	m := newMaker(t)
	ada, bob := m.key("Ada", "ada@example.com"), m.key("Bob", "bob@example.com")

	t.Run("version 6", func(t *testing.T) {
		six := newMaker(t)
		six.config.V6Keys, six.config.Algorithm = true, packet.PubKeyAlgoEd25519
		e := six.key("Six", "six@example.com")
		text := six.armored(e)
		commit := six.at(made).sign(e.PrivateKey, nil)
		by, err := mustParse(t, text).Commit(commit, now)
		if err != nil || by.Principal != "six@example.com" || len(by.Key) != 64 {
			t.Errorf("signed by %s: %v", by, err)
		}
		if _, err := mustParse(t, text).Commit(edit(t, commit, "\n\nmess", "\n\nMess"), now); reason(t, err) != BadSignature {
			t.Errorf("edited: %v", err)
		}
	})
	t.Run("revoked by another", func(t *testing.T) {
		victim := *ada
		rev := &packet.Signature{
			Version: 4, SigType: packet.SigTypeKeyRevocation, PubKeyAlgo: bob.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
			CreationTime: day("2026-01-01"), IssuerKeyId: &bob.PrimaryKey.KeyId,
		}
		m.must(rev.RevokeKey(ada.PrimaryKey, bob.PrivateKey, &m.config))
		victim.Revocations = append(victim.Revocations, rev)
		_, err := Parse("keys", []byte(m.armored(&victim)))
		if err == nil || !strings.Contains(err.Error(), "revoked by a key other than itself") {
			t.Error(err)
		}
	})
	t.Run("certified by another", func(t *testing.T) {
		m.must(ada.SignIdentity("Ada <ada@example.com>", bob, m.at(day("2026-01-01")).settings()))
		commit := m.at(made).sign(ada.PrivateKey, nil)
		if _, err := mustParse(t, m.armored(ada)).Commit(commit, now); err != nil {
			t.Error(err)
		}
	})
	t.Run("user id of another", func(t *testing.T) {
		// The signature of Bob's user id doesn't make it one of Ada's.
		var b bytes.Buffer
		m.must(ada.PrimaryKey.Serialize(&b))
		id := bob.PrimaryIdentity()
		m.must(id.UserId.Serialize(&b))
		m.must(id.SelfSignature.Serialize(&b))
		_, err := Parse("keys", enarmor(armorKeys, b.Bytes()))
		if err == nil || !strings.Contains(err.Error(), "no user id with a good signature of its own") {
			t.Error(err)
		}
	})
	t.Run("revocation that can't be read", func(t *testing.T) {
		var b bytes.Buffer
		m.must(ada.Serialize(&b))
		for name, raw := range map[string]string{
			"version 3": "\xc2\x03\x03\x05\x20", "version 4": "\xc2\x02\x04\x20", "empty": "\xc2\x00",
		} {
			_, err := Parse("keys", enarmor(armorKeys, append(append([]byte{}, b.Bytes()...), raw...)))
			if err == nil || !strings.Contains(err.Error(), "a revocation in it can't be read") {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A certification that can't be read may be skipped.
		if _, err := Parse("keys", enarmor(armorKeys, append(append([]byte{}, b.Bytes()...), "\xc2\x02\x04\x10"...))); err != nil {
			t.Error(err)
		}
	})
	t.Run("short RSA key", func(t *testing.T) {
		small := newMaker(t)
		small.config.Algorithm, small.config.RSABits = packet.PubKeyAlgoRSA, 1024
		_, err := Parse("keys", []byte(small.armored(small.key("Small", "small@example.com"))))
		if err == nil || !strings.Contains(err.Error(), "less than 2048 bits") {
			t.Error(err)
		}
	})
	t.Run("several user ids", func(t *testing.T) {
		e := m.at(day("2025-01-01")).key("Old", "old@example.com")
		primary := true
		for i, id := range []string{"New <new@example.com>", "Newest <newest@example.com>"} {
			sig := *e.Identities["Old <old@example.com>"].SelfSignature
			sig.CreationTime, sig.IsPrimaryId = day("2025-06-01").AddDate(0, i, 0), nil
			if i == 0 {
				sig.IsPrimaryId = &primary
			}
			m.must(sig.SignUserId(id, e.PrimaryKey, e.PrivateKey, &m.config))
			e.Identities[id] = &openpgp.Identity{Name: id, UserId: &packet.UserId{Id: id}, SelfSignature: &sig, Signatures: []*packet.Signature{&sig}}
		}
		by, err := mustParse(t, m.armored(e)).Commit(m.at(made).sign(e.PrivateKey, nil), now)
		if err != nil || by.Principal != "new@example.com" {
			t.Errorf("signed by %s: %v", by, err)
		}
	})
}
