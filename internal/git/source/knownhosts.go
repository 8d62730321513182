package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is what a file of known hosts says of one host. Matching is
// OpenSSH's: names, wildcards, hashed names, [host]:port, @cert-authority and
// @revoked (https://man.openbsd.org/sshd#SSH_KNOWN_HOSTS_FILE_FORMAT).
type hostKeys struct {
	file string
	addr string // as HOST:PORT
	// match finds a key in the file; errors are as of package knownhosts.
	match ssh.HostKeyCallback
	// keys are on record for the host, authorities among them.
	keys []knownKey
}

// knownKey is a line of the file.
type knownKey struct {
	ssh.PublicKey
	authority bool // it signs keys of hosts, and is none itself
}

func (g *Git) knownHosts(addr string) (*hostKeys, error) {
	file := g.opts.Auth.KnownHostsFile
	if _, err := os.Stat(file); err != nil {
		return nil, g.unreadable("the file of known hosts", file, err)
	}
	db, err := gitssh.NewKnownHostsDb(file)
	if err != nil {
		return nil, g.fail(ErrDenied, "its lines are as ssh-keyscan prints them", "the file of known hosts can't be used: %s",
			oneLine(strings.ReplaceAll(err.Error(), "knownhosts: ", "")))
	}
	k := &hostKeys{file: file, addr: addr, match: db.HostKeyCallback()}
	for _, key := range db.HostKeys(addr) {
		k.keys = append(k.keys, knownKey{key.PublicKey, key.Cert})
	}
	return k, nil
}

// algorithms are the kinds of host keys to ask for: those on record, or nil for
// all when none is. A host has several keys, and shows the one that is asked
// for. Signatures by SHA-1 are not taken, as OpenSSH doesn't either. The key
// that an authority signs may be of any kind, whatever the authority's own is.
func (k *hostKeys) algorithms() []string {
	var plain, signed []string
	for _, key := range k.keys {
		if key.authority {
			signed = []string{
				ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
				ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
			}
			continue
		}
		algos := []string{key.Type()}
		if key.Type() == ssh.KeyAlgoRSA {
			algos = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, a := range algos {
			if !slices.Contains(plain, a) {
				plain = append(plain, a)
			}
		}
	}
	return append(signed, plain...)
}

// check says whether the key is one of the host's.
func (k *hostKeys) check(host string, remote net.Addr, key ssh.PublicKey) error {
	if err := k.match(host, remote, key); err != nil {
		return err
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil
	}
	// Package knownhosts takes an authority's own key for one of the host.
	// OpenSSH does not.
	for _, known := range k.keys {
		if !known.authority && bytes.Equal(known.Marshal(), key.Marshal()) {
			return nil
		}
	}
	return errors.New("it is the key of an authority, not of a host")
}

// untrusted says what is wrong with a host's key.
func (g *Git) untrusted(k *hostKeys, key ssh.PublicKey, err error) *Error {
	host := knownhosts.Normalize(k.addr)
	shown := describe(key)
	var revoked *knownhosts.RevokedError
	var unknown *knownhosts.KeyError
	switch {
	case errors.As(err, &revoked):
		return g.fail(ErrDenied,
			"do not go on before you have asked those who run the host: a revoked key may be in the wrong hands",
			"the host %q shows a key that is revoked on line %d of %q (%s)", host, revoked.Revoked.Line, k.file, shown)
	case errors.As(err, &unknown) && len(unknown.Want) > 0:
		known := nearest(unknown.Want, key)
		return g.fail(ErrDenied,
			fmt.Sprintf("somebody may be in between, to read and change what is fetched. Ask those who run the host; only if they replaced its key, replace line %d of %q", known.Line, k.file),
			"the host %q shows another key than the known one: %s instead of %s on line %d of %q",
			host, shown, describe(known.Key), known.Line, k.file)
	case errors.As(err, &unknown):
		return g.fail(ErrDenied,
			fmt.Sprintf("compare the fingerprint with the one that the host publishes, then add the line of %q to %q", scan(k.addr), k.file),
			"the host %q is not a known one (it shows %s)", host, shown)
	}
	hint := "ask those who run the host"
	if _, ok := key.(*ssh.Certificate); ok {
		hint = fmt.Sprintf("certificates of this host have to be valid now, name it, and be signed by an authority in %q", k.file)
	}
	return g.fail(ErrDenied, hint, "the host key of %q is refused (%s): %s", host, shown, sshWords(err))
}

// nearest is the known key of the same kind, if there is one, else the first.
func nearest(known []knownhosts.KnownKey, key ssh.PublicKey) knownhosts.KnownKey {
	sorted := slices.SortedFunc(slices.Values(known), func(a, b knownhosts.KnownKey) int { return cmp.Compare(a.Line, b.Line) })
	for _, k := range sorted {
		if k.Key.Type() == key.Type() {
			return k
		}
	}
	return sorted[0]
}

// describe names a key by kind and fingerprint, as ssh-keygen -l does.
func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}

// scan is the command that prints the lines of a host for a file of known hosts.
func scan(addr string) string {
	host, port, _ := net.SplitHostPort(addr) // made by net.JoinHostPort
	if port == "22" {
		return "ssh-keyscan " + host
	}
	return "ssh-keyscan -p " + port + " " + host
}

// noCommonKey says that the host has no key of a kind that is on record, which
// is how a change of its key shows when the kind has changed too.
func (g *Git) noCommonKey(err *ssh.AlgorithmNegotiationError) *Error {
	return g.fail(ErrDenied,
		fmt.Sprintf("the host may have got a new key, or somebody be in between: compare what ssh-keyscan prints with what the host publishes, then add its line to %q", g.opts.Auth.KnownHostsFile),
		"the host %q has no key of a kind that is known of it: it offers %s, known are %s",
		g.ep.Host, oneLine(strings.Join(err.RequestedAlgorithms, ", ")), strings.Join(err.SupportedAlgorithms, ", "))
}
