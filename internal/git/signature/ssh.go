package signature

import (
	"bytes"
	"crypto/rsa"
	"slices"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"reconciler/internal/text"
)

// namespace is that of git's signatures.
const namespace = "git"

// minRSA is the minimum of an RSA key's bits. OpenSSH accepts 1024, which NIST
// has called too few since 2014 (SP 800-131A).
const minRSA = 2048

// signer is one line of allowed_signers.
type signer struct {
	principals    []string // patterns; one that begins with ! excludes
	key           ssh.PublicKey
	ca            bool      // the key signs certificates and nothing else
	namespaces    []string  // patterns too; nil for any
	after, before time.Time // from when to when it is valid, both included; zero for no limit
}

// checkSSH does as git does: it finds the lines with the key that made the
// signature, then a principal of such a line that may use it (ssh-keygen -Y
// find-principals and verify).
func (k *Keys) checkSSH(o object, at time.Time) (Signer, error) {
	sig, err := readSSH(o.signature)
	if err != nil {
		return Signer{}, err
	}
	cert, _ := sig.PublicKey.(*ssh.Certificate)
	fp := fingerprint(sig.PublicKey)
	lines := slices.DeleteFunc(slices.Clone(k.ssh), func(s signer) bool { return !s.matches(sig.PublicKey, cert) })
	switch {
	case len(lines) == 0 && cert != nil:
		return Signer{}, reject(UnknownKey, "it is signed with a certificate by the SSH authority %s, which is not among the allowed keys",
			fingerprint(cert.SignatureKey))
	case len(lines) == 0:
		return Signer{}, reject(UnknownKey, "it is signed by the SSH key %s, which is not among the allowed keys", fp)
	case cert != nil: // without it, its key proves nothing
		if err := checkCertificate(cert); err != nil {
			return Signer{}, err
		}
	}
	if err := sshsig.Verify(bytes.NewReader(o.payload), sig, sig.PublicKey, sig.HashAlgorithm, namespace); err != nil {
		return Signer{}, reject(BadSignature, "its signature by the SSH key %s doesn't fit its content", fp)
	}
	var first error
	for _, s := range lines {
		principal, err := s.allows(cert, times{o.time, at})
		if err == nil {
			return Signer{Principal: principal, Key: fp, Kind: "ssh"}, nil
		}
		if first == nil {
			first = err
		}
	}
	return Signer{}, first
}

// readSSH reads an armored signature and rejects one that is useless with any key.
func readSSH(armored []byte) (*sshsig.Signature, error) {
	raw, err := dearmor(string(armored), armorSSH)
	if err != nil {
		return nil, reject(Malformed, "its SSH signature can't be read: %s", err)
	}
	sig, err := sshsig.ParseSignature(raw)
	if err != nil {
		return nil, reject(Malformed, "its SSH signature can't be read: %s", err)
	}
	key := sig.PublicKey
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	// Only signatures of security keys have more data behind them.
	if !strings.HasPrefix(key.Type(), "sk-") && len(sig.Signature.Rest) > 0 {
		return nil, reject(Malformed, "its SSH signature can't be read: there is more after its end")
	}
	if sig.Namespace != namespace {
		return nil, reject(WrongNamespace, "its SSH signature was made for %q, and not for %q", sig.Namespace, namespace)
	}
	if weak := weakness(key); weak != "" {
		return nil, reject(Weak, "it is signed by the SSH key %s, which is %s", fingerprint(key), weak)
	}
	// The library checks this for plain keys, and not for certified ones.
	if sig.Signature.Format == ssh.KeyAlgoRSA {
		return nil, reject(Weak, "its SSH signature is made with SHA-1")
	}
	return sig, nil
}

// matches reports whether the line is about the key. A line of an authority is
// about certificates that it issued, and no line of a plain key is about a
// certificate for that key.
func (s signer) matches(key ssh.PublicKey, cert *ssh.Certificate) bool {
	if s.ca {
		return cert != nil && bytes.Equal(s.key.Marshal(), cert.SignatureKey.Marshal())
	}
	return cert == nil && bytes.Equal(s.key.Marshal(), key.Marshal())
}

// allows returns the principal for which the line allows a signature, or why it
// allows none. cert is nil for a plain key.
func (s signer) allows(cert *ssh.Certificate, t times) (string, *Error) {
	if s.namespaces != nil && !matchList(namespace, s.namespaces) {
		return "", reject(WrongNamespace, "its signer's SSH key is not allowed to sign for %q", namespace)
	}
	if err := t.each(func(clause string, t time.Time) *Error {
		if !s.before.IsZero() && t.Unix() > s.before.Unix() {
			return reject(Expired, "its signer's SSH key was valid until %s, and %s", stamp(s.before), clause)
		}
		return inTime("SSH key", s.after, forever, clause, t)
	}); err != nil {
		return "", err
	}
	if cert == nil {
		return firstPrincipal(s.principals), nil
	}
	if err := t.each(func(clause string, t time.Time) *Error {
		return inTime("SSH certificate", certTime(cert.ValidAfter), certTime(cert.ValidBefore), clause, t)
	}); err != nil {
		return "", err
	}
	for _, p := range cert.ValidPrincipals {
		if p == text.OneLine(p, maxText) && matchList(p, s.principals) {
			return p, nil
		}
	}
	return "", reject(NotAllowed, "its signer's SSH certificate names no principal that the authority may certify")
}

// certTime returns a time of a certificate. Its end is the first second at which
// it is no longer valid (PROTOCOL.certkeys of OpenSSH).
func certTime(seconds uint64) time.Time {
	return time.Unix(int64(min(seconds, uint64(forever.Unix()))), 0)
}

// checkCertificate checks all of a certificate but its times and its
// principals. Its authority must be a trusted one.
func checkCertificate(cert *ssh.Certificate) error {
	switch {
	case cert.CertType != ssh.UserCert:
		return reject(NotAllowed, "it is signed with an SSH certificate that is not for a user")
	case len(cert.CriticalOptions) > 0:
		return reject(NotAllowed, "it is signed with an SSH certificate that has critical options, which can't be met here")
	case len(cert.ValidPrincipals) == 0:
		return reject(NotAllowed, "it is signed with an SSH certificate that names no principal")
	case cert.Signature.Format == ssh.KeyAlgoRSA:
		return reject(Weak, "it is signed with an SSH certificate that is made with SHA-1")
	}
	// The checker needs a principal and a time, which are checked elsewhere:
	// these always fit, except for a certificate that is valid at no time.
	checker := ssh.CertChecker{Clock: func() time.Time { return certTime(cert.ValidAfter) }}
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return reject(BadSignature, "it is signed with an SSH certificate that its authority did not make: %s", err)
	}
	return nil
}

// weakness returns why the key is too weak; empty if it isn't.
func weakness(key ssh.PublicKey) string {
	if key.Type() == typeDSA {
		return "a DSA key"
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if key, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
			return "an RSA key of less than 2048 bits"
		}
	}
	return ""
}

// fingerprint returns what ssh-keygen -l prints: for a certificate, that of the
// key.
func fingerprint(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return ssh.FingerprintSHA256(key)
}

// firstPrincipal returns the principal of a line under which git reports its
// key: the first that the line doesn't also exclude; empty if there is none.
func firstPrincipal(patterns []string) string {
	for _, p := range patterns {
		if p[0] != '!' && matchList(p, patterns) {
			return p
		}
	}
	return ""
}

// matchList reports whether s matches a pattern and none that begins with !.
func matchList(s string, patterns []string) bool {
	ok := false
	for _, p := range patterns {
		if p[0] == '!' && match(s, p[1:]) {
			return false
		}
		ok = ok || p[0] != '!' && match(s, p)
	}
	return ok
}

// match reports whether s matches the pattern, in which * stands for any number
// of bytes and ? for one (PATTERNS of ssh_config(5)), in time proportional to the
// product of both lengths.
func match(s, pattern string) bool {
	// reached[i] is whether s[:i] matches the pattern so far.
	reached := make([]bool, len(s)+1)
	reached[0] = true
	for _, c := range []byte(pattern) {
		if c == '*' {
			for i := range len(s) {
				reached[i+1] = reached[i+1] || reached[i]
			}
			continue
		}
		for i := len(s); i > 0; i-- {
			reached[i] = reached[i-1] && (c == '?' || c == s[i-1])
		}
		reached[0] = false
	}
	return reached[len(s)]
}
