package signature

import (
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is one of the allowed keys as it is at some time.
type Key struct {
	Signer
	// Authority says that it is an SSH key whose certificates are accepted, and
	// not what it signs itself.
	Authority bool
	// Until is about when signatures by it are no longer accepted; zero for a
	// key that has no end.
	Until time.Time
	// Reason is why they are not accepted at the time; empty when they are.
	Reason Reason
}

// List gives all keys as they are at the time, those for SSH first, each kind in
// the order of the file.
func (k *Keys) List(at time.Time) []Key {
	if k == nil {
		return nil
	}
	var all []Key
	for _, s := range k.ssh {
		key := Key{
			Signer:    Signer{Principal: clean(firstPrincipal(s.principals)), Key: fingerprint(s.key), Kind: "ssh"},
			Authority: s.ca,
			Until:     s.before,
		}
		if _, err := s.allows(nil, times{at, at}); err != nil {
			key.Reason = err.Reason
		}
		all = append(all, key)
	}
	for _, p := range k.pgp {
		key := Key{Signer: Signer{Principal: p.principal(at), Key: p.fingerprint(), Kind: "pgp"}}
		w := p.signs(at)
		key.Until, key.Reason = w.until, w.reason
		all = append(all, key)
	}
	return all
}

// signs gives the way to sign that the key has at the time, by itself or by a
// subkey: of several the one that lasts longest.
func (k *pgpKey) signs(at time.Time) way {
	best := way{reason: NotAllowed}
	for _, sub := range append([]*pgpSubkey{nil}, k.subkeys...) {
		use, until := k.saying(at, saysUse), endOf(k.primary, k.saying(at, saysUntil))
		if sub != nil {
			use, until = sub.binding, earlier(until, endOf(sub.key, sub.binding))
		}
		if use == nil || !use.FlagsValid || !use.FlagSign {
			continue
		}
		w := way{until: until}
		if err := k.validAt(sub, "", at); err != nil {
			w.reason = err.Reason
		}
		if best.reason == NotAllowed || w.outlasts(best) {
			best = w
		}
	}
	return best
}

// way is a way to sign: until when it is open, zero for ever, and why it isn't
// open now.
type way struct {
	until  time.Time
	reason Reason
}

func (w way) outlasts(o way) bool {
	switch {
	case (w.reason == "") != (o.reason == ""):
		return w.reason == ""
	case o.until.IsZero():
		return false
	default:
		return w.until.IsZero() || w.until.After(o.until)
	}
}

// endOf gives the first second at which the key is over, which until says when it
// isn't nil; zero for never.
func endOf(key *packet.PublicKey, until *packet.Signature) time.Time {
	if until == nil || !saysUntil(until) {
		return time.Time{}
	}
	return time.Unix(key.CreationTime.Unix()+int64(*until.KeyLifetimeSecs), 0)
}

// earlier gives the earlier one of two ends, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
