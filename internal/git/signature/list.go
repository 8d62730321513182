package signature

import "time"

// Key is one of the allowed keys as it is at some time.
type Key struct {
	Signer
	Authority bool      // it is an SSH key that signs certificates and nothing else
	Until     time.Time // the end of its life, to about a second; zero for a key without one
	Reason    Reason    // why its signatures are not accepted at the time; empty if they are
}

// List returns all keys as they are at the time, those for SSH first, each kind
// in the order of the file.
func (k *Keys) List(at time.Time) []Key {
	if k == nil {
		return nil
	}
	var all []Key
	for _, s := range k.ssh {
		key := Key{
			Signer:    Signer{Principal: firstPrincipal(s.principals), Key: fingerprint(s.key), Kind: "ssh"},
			Authority: s.ca,
			Until:     s.before,
		}
		if _, err := s.allows(nil, times{at, at}); err != nil {
			key.Reason = err.Reason
		}
		all = append(all, key)
	}
	for _, p := range k.pgp {
		all = append(all, p.list(at))
	}
	return all
}

// list returns the key as it is at the time. Of several parts that may sign, the
// one that lasts longest counts.
func (k *pgpKey) list(at time.Time) Key {
	best := Key{Signer: Signer{Principal: k.principal(at), Key: k.fingerprint(), Kind: "pgp"}, Reason: NotAllowed}
	for _, p := range k.parts(at) {
		if !p.signs {
			continue
		}
		key := Key{Signer: best.Signer, Until: p.until}
		if err := p.validAt("", at); err != nil {
			key.Reason = err.Reason
		}
		switch {
		case best.Reason == NotAllowed,
			best.Reason != "" && key.Reason == "",
			(best.Reason == "") == (key.Reason == "") && key.Until.After(best.Until):
			best = key
		}
	}
	if best.Until.Equal(forever) {
		best.Until = time.Time{}
	}
	return best
}
