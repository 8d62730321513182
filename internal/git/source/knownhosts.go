package source

import (
	"bytes"
	"errors"
	"fmt"
	"net"
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
	// keys are those of the host itself; authority reports whether there is one
	// that signs keys of the host.
	keys      []ssh.PublicKey
	authority bool
}

func (g *Git) knownHosts(addr string) (*hostKeys, error) {
	file := g.opts.Auth.KnownHostsFile
	if _, err := g.readFile("the file of known hosts", file); err != nil {
		return nil, err
	}
	db, err := gitssh.NewKnownHostsDb(file)
	if err != nil {
		return nil, g.fail(ErrDenied, "its lines are as ssh-keyscan prints them", "the file of known hosts can't be used: %s",
			oneLine(strings.ReplaceAll(err.Error(), "knownhosts: ", "")))
	}
	k := &hostKeys{file: file, addr: addr, match: db.HostKeyCallback()}
	for _, key := range db.HostKeys(addr) {
		if key.Cert {
			k.authority = true
			continue
		}
		k.keys = append(k.keys, key.PublicKey)
	}
	return k, nil
}

// algorithms are the kinds of host keys to ask for: those on record, or nil for
// all when none is. A host has several keys, and shows the one that is asked
// for. The list of go-git's database of known hosts holds signatures by SHA-1,
// which OpenSSH doesn't accept either, and certificates of the authority's own
// kind only: the key that it signs may be of any.
func (k *hostKeys) algorithms() []string {
	var algos []string
	if k.authority {
		algos = []string{
			ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
		}
	}
	for _, key := range k.keys {
		if key.Type() == ssh.KeyAlgoRSA {
			algos = append(algos, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			algos = append(algos, key.Type())
		}
	}
	return algos
}

// check returns an error unless the key is one of the host's.
func (k *hostKeys) check(host string, remote net.Addr, key ssh.PublicKey) error {
	if err := k.match(host, remote, key); err != nil {
		return err
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil
	}
	// Package knownhosts accepts an authority's own key as one of the host.
	// OpenSSH does not.
	if !slices.ContainsFunc(k.keys, func(known ssh.PublicKey) bool { return bytes.Equal(known.Marshal(), key.Marshal()) }) {
		return errors.New("it is the key of an authority, not of a host")
	}
	return nil
}

// untrusted returns the error for a host's key that check refuses.
func (g *Git) untrusted(k *hostKeys, key ssh.PublicKey, err error) error {
	host, shown := knownhosts.Normalize(k.addr), describe(key)
	var unknown *knownhosts.KeyError
	if errors.As(err, &unknown) {
		// There is one known key of a kind.
		for _, known := range unknown.Want {
			if known.Key.Type() == key.Type() {
				return g.fail(ErrDenied,
					fmt.Sprintf("somebody may be in between, to read and change what is fetched. Ask those who run the host; only if they replaced its key, replace line %d of %q", known.Line, k.file),
					"the host %q shows another key than the known one: %s instead of %s on line %d of %q",
					host, shown, describe(known.Key), known.Line, k.file)
			}
		}
		name, port, _ := net.SplitHostPort(k.addr) // made by net.JoinHostPort
		return g.fail(ErrDenied,
			fmt.Sprintf(`compare the fingerprint with the one that the host publishes, then add the line of "ssh-keyscan -p %s %s" to %q`, port, name, k.file),
			"the host %q is not a known one (it shows %s)", host, shown)
	}
	return g.fail(ErrDenied,
		fmt.Sprintf("ask those who run the host; a certificate of it has to be valid now, name it, and be signed by an authority in %q", k.file),
		"the host key of %q is refused (%s): %s", host, shown, sshText(err))
}

// describe names a key by kind and fingerprint, as ssh-keygen -l does.
func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
