package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"reconciler/internal/text"
)

// hostKeys is what a file of known hosts says of one host. It is read as OpenSSH
// does (https://man.openbsd.org/sshd#SSH_KNOWN_HOSTS_FILE_FORMAT): names without
// regard to case, wildcards, negation, hashed names, [host]:port,
// @cert-authority and @revoked. A line that can't be read is passed over, for it
// says nothing of other hosts. Package knownhosts refuses the whole file then.
type hostKeys struct {
	file string
	addr string // as HOST:PORT
	// names are the host's in the file, the one with the port first. A name
	// without a port counts where the file has none with it.
	names []string
	// keys are those of the host itself; authorities sign keys of the host.
	keys, authorities, revoked []knownKey
	damaged                    []damagedLine // that name the host
}

// knownKey is the key of a line that names the host.
type knownKey struct {
	key  ssh.PublicKey
	line int
}

// damagedLine is a line that can't be read, and why.
type damagedLine struct {
	line    int
	err     error
	revokes bool
}

// maxLineWarnings is how many lines of a file are named that can't be read. The file
// may be another one altogether, of any length.
const maxLineWarnings = 10

// knownHosts reads the file. It warns of lines that can't be read.
func (g *Git) knownHosts(addr string) (*hostKeys, error) {
	file := g.opts.Auth.KnownHostsFile
	data, err := g.readFile("the file of known hosts", file)
	if err != nil {
		return nil, err
	}
	k := &hostKeys{file: file, addr: addr, names: hostNames(addr)}
	byName := make([]hostKeys, len(k.names))
	n, good := 0, 0
	var bad []damagedLine
	for line := range strings.Lines(string(data)) {
		n++
		l, err := parseKnownHost(line)
		switch {
		case err != nil:
			bad = append(bad, damagedLine{line: n, err: err})
		case l.hosts != "":
			good++
		}
		for i, name := range k.names {
			if matchHost(l.hosts, name) {
				byName[i].add(n, l, err)
			}
		}
	}
	if good == 0 && len(bad) > 0 {
		return nil, g.fail(ErrDenied, "its lines are as ssh-keyscan prints them", "the file of known hosts can't be used: line %d of %q: %v",
			bad[0].line, file, bad[0].err)
	}
	for _, d := range bad[:min(len(bad), maxLineWarnings)] {
		g.warnOnce(fmt.Sprintf("git: line %d of the file of known hosts %q is passed over: %v", d.line, file, d.err))
	}
	if more := len(bad) - maxLineWarnings; more > 0 {
		g.warnOnce(fmt.Sprintf("git: %s of the file of known hosts %q can't be read either", text.Plural(more, "line"), file))
	}
	for _, named := range byName {
		if len(k.keys)+len(k.authorities) == 0 {
			k.keys, k.authorities = named.keys, named.authorities
		}
		k.revoked = append(k.revoked, named.revoked...)
		k.damaged = append(k.damaged, named.damaged...)
	}
	return k, nil
}

// warnOnce logs a warning that was not logged yet.
func (g *Git) warnOnce(msg string) {
	if !g.warned[msg] {
		g.log.Warn(msg)
	}
	if g.warned == nil {
		g.warned = map[string]bool{}
	}
	g.warned[msg] = true
}

// hostNames returns the names that HOST:PORT has in a file of known hosts.
func hostNames(addr string) []string {
	host, port, _ := net.SplitHostPort(addr) // made by net.JoinHostPort
	return []string{"[" + host + "]:" + port, host}
}

// add notes a line that names the host, or why it can't be read.
func (k *hostKeys) add(n int, l knownHost, err error) {
	known := knownKey{l.key, n}
	switch {
	case err != nil:
		k.damaged = append(k.damaged, damagedLine{n, err, l.marker == markRevoked})
	case l.marker == markRevoked:
		k.revoked = append(k.revoked, known)
	case l.marker == markAuthority:
		k.authorities = append(k.authorities, known)
	default:
		k.keys = append(k.keys, known)
	}
}

// knownHost is one line of the file. It is about no host if hosts is empty.
type knownHost struct {
	marker, hosts string
	key           ssh.PublicKey
}

const (
	markAuthority = "@cert-authority"
	markRevoked   = "@revoked"
)

// parseKnownHost parses a line. With an error, it returns what hosts the line may
// be about, and its marker.
func parseKnownHost(line string) (knownHost, error) {
	fields := strings.Fields(line)
	var l knownHost
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return l, nil
	}
	if strings.HasPrefix(fields[0], "@") {
		l.marker, fields = fields[0], fields[1:]
	}
	if l.marker != "" && l.marker != markAuthority && l.marker != markRevoked {
		return knownHost{}, fmt.Errorf("the marker %q is unknown", oneLine(l.marker))
	}
	if len(fields) > 0 {
		l.hosts = fields[0]
	}
	if len(fields) < 3 {
		return l, errors.New("it has no names, kind of key and key, as ssh-keyscan prints them")
	}
	if _, _, ok := parseHashed(l.hosts); isHashed(l.hosts) && !ok {
		return l, errors.New("its hashed name is not of the form |1|SALT|HASH, as ssh-keygen -H writes it")
	}
	kind := fields[1]
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || !bytes.HasPrefix(blob, append(binary.BigEndian.AppendUint32(nil, uint32(len(kind))), kind...)) {
		return l, fmt.Errorf("its key is no key of the kind %q", oneLine(kind))
	}
	l.key, err = ssh.ParsePublicKey(blob)
	switch {
	case err != nil && strings.Contains(err.Error(), "unknown key algorithm"):
		return l, errUnknownKind(oneLine(kind))
	case err != nil:
		return l, fmt.Errorf("its key is damaged: %s", sshText(err))
	}
	return l, nil
}

// errUnknownKind is the error for a key of a kind that isn't known here.
type errUnknownKind string

func (e errUnknownKind) Error() string {
	return fmt.Sprintf("keys of the kind %q are not supported", string(e))
}

// matchHost reports whether the names of a line are those of a host: one of them is,
// and none that is negated.
func matchHost(names, host string) bool {
	if isHashed(names) {
		return matchHashed(names, host)
	}
	matched := false
	for name := range strings.SplitSeq(strings.ToLower(names), ",") {
		name, not := strings.CutPrefix(name, "!")
		if name == "" || !matchWildcards(name, host) {
			continue
		}
		if not {
			return false
		}
		matched = true
	}
	return matched
}

// isHashed reports whether the names of a line are a hash of one.
func isHashed(names string) bool { return strings.HasPrefix(names, "|") }

// parseHashed parses a name of the form |1|SALT|HASH, of the lengths that OpenSSH
// wants.
func parseHashed(name string) (salt, hash []byte, ok bool) {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return nil, nil, false
	}
	salt, saltErr := base64.StdEncoding.DecodeString(parts[2])
	hash, hashErr := base64.StdEncoding.DecodeString(parts[3])
	return salt, hash, saltErr == nil && hashErr == nil && len(salt) == sha1.Size && len(hash) == sha1.Size
}

// matchHashed reports whether a name of the form |1|SALT|HASH is that of a host.
func matchHashed(name, host string) bool {
	salt, hash, ok := parseHashed(name)
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return ok && hmac.Equal(mac.Sum(nil), hash)
}

// matchWildcards reports whether s is like the pattern, in which * stands for any
// characters, also none, and ? for one. All else stands for itself, brackets too.
func matchWildcards(pattern, s string) bool {
	i, star, from := 0, -1, 0 // the last star, and where what it stands for ends
	for j := 0; j < len(s); {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// algorithms are the kinds of host keys to ask for: those on record, or nil for
// all when none is. A host has several keys, and shows the one that is asked
// for. Signatures by SHA-1 are not accepted, as by OpenSSH. The key that an
// authority signs may be of any kind.
func (k *hostKeys) algorithms() []string {
	var algos []string
	if len(k.authorities) > 0 {
		algos = []string{
			ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
		}
	}
	for _, known := range k.keys {
		of := []string{known.key.Type()}
		if of[0] == ssh.KeyAlgoRSA {
			of = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, algo := range of {
			if !slices.Contains(algos, algo) {
				algos = append(algos, algo)
			}
		}
	}
	return algos
}

// Why check refuses a key, besides the reasons of a certificate.
var (
	errUnknownHost = errors.New("the host is unknown")
	errAuthority   = errors.New("it is the key of an authority, not of a host")
)

// check returns an error unless the key is one of the host's.
func (k *hostKeys) check(host string, remote net.Addr, key ssh.PublicKey) error {
	plain := key
	cert, isCert := key.(*ssh.Certificate)
	if isCert {
		plain = cert.Key
	}
	for _, r := range k.revoked {
		if sameKey(r.key, plain) || isCert && sameKey(r.key, cert.SignatureKey) {
			return fmt.Errorf("it is revoked by line %d of %q", r.line, k.file)
		}
	}
	for _, d := range k.damaged {
		// No server can show us a key of a kind that isn't known here.
		if d.revokes && !errors.As(d.err, new(errUnknownKind)) {
			return fmt.Errorf("line %d of %q revokes a key of the host, perhaps this one, and can't be read: %w", d.line, k.file, d.err)
		}
	}
	switch {
	case isCert:
		checker := ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool { return has(k.authorities, key) }}
		return checker.CheckHostKey(host, remote, key)
	case has(k.keys, key):
		return nil
	case has(k.authorities, key):
		return errAuthority
	default:
		return errUnknownHost
	}
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

func has(keys []knownKey, key ssh.PublicKey) bool {
	return slices.ContainsFunc(keys, func(known knownKey) bool { return sameKey(known.key, key) })
}

// untrusted returns the error for a host's key that check refuses.
func (g *Git) untrusted(k *hostKeys, key ssh.PublicKey, err error) error {
	host, shown := shownHost(k.addr), describe(key)
	if !errors.Is(err, errUnknownHost) {
		return g.fail(ErrDenied,
			fmt.Sprintf("ask those who run the host; a certificate of it has to be valid now, name it, and be signed by an authority in %q", k.file),
			"the host key of %q is refused (%s): %s", host, shown, sshText(err))
	}
	// There is one known key of a kind.
	for _, known := range k.keys {
		if known.key.Type() == key.Type() {
			return g.fail(ErrDenied,
				fmt.Sprintf("somebody may be in between, to read and change what is fetched. Ask those who run the host; only if they replaced its key, replace line %d of %q", known.line, k.file),
				"the host %q shows another key than the known one: %s instead of %s on line %d of %q",
				host, shown, describe(known.key), known.line, k.file)
		}
	}
	why := ""
	if len(k.damaged) > 0 {
		why = fmt.Sprintf("; line %d of %q, which names it, can't be read: %v", k.damaged[0].line, k.file, k.damaged[0].err)
	}
	name, port, _ := net.SplitHostPort(k.addr) // made by net.JoinHostPort
	return g.fail(ErrDenied,
		fmt.Sprintf(`compare the fingerprint with the one that the host publishes, then add the line of "ssh-keyscan -p %s %s" to %q`, port, name, k.file),
		"the host %q is not a known one (it shows %s)%s", host, shown, why)
}

// shownHost returns HOST:PORT as the file names it.
func shownHost(addr string) string {
	if host, ok := strings.CutSuffix(addr, ":22"); ok {
		return strings.Trim(host, "[]")
	}
	return hostNames(addr)[0]
}

// describe names a key by kind and fingerprint, as ssh-keygen -l does.
func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
