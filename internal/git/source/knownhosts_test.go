package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func newECDSA(t *testing.T) ssh.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// certify returns a host's signer with a certificate by the authority.
func certify(t *testing.T, host, authority ssh.Signer, principal string, until time.Time) ssh.Signer {
	t.Helper()
	cert := &ssh.Certificate{
		Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{principal},
		ValidAfter: 1, ValidBefore: uint64(until.Unix()),
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, host)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// A host with several keys shows the one that is on record, of whatever kind.
func TestKnownHostsKindOfKey(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	second := newECDSA(t)
	s := serveSSH(t, r.Dir(), false, second)
	for name, key := range map[string]ssh.PublicKey{"ed25519": s.host.PublicKey(), "ecdsa": second.PublicKey()} {
		t.Run(name, func(t *testing.T) {
			auth := Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, s.addr, key)}
			wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url(), Auth: auth})), want)
		})
	}
	t.Run("none of them", func(t *testing.T) {
		s := serveSSH(t, r.Dir(), false)
		auth := Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, s.addr, second.PublicKey())}
		_, err := newGit(t, GitOptions{URL: s.url(), Auth: auth}).Fetch(t.Context())
		wantError(t, err, ErrDenied, "no common algorithm for host key", "ssh-ed25519", "ecdsa-sha2-nistp256", "somebody be in between")
	})
}

func TestKnownHostsAuthority(t *testing.T) {
	want := map[string]string{"a.yaml": "one"}
	r, _ := newRepo(t, want)
	authority, _ := newKey(t)
	other, _ := newKey(t)
	host := newECDSA(t) // of another kind than the authority's key
	later, ago := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name  string
		host  ssh.Signer
		lines string // after the host's name
		words []string
	}{
		{"good", certify(t, host, authority, "127.0.0.1", later), "@cert-authority %s\n", nil},
		{"other authority", certify(t, host, other, "127.0.0.1", later), "@cert-authority %s\n",
			[]string{"no authorities for hostname", "signed by an authority in"}},
		{"other host", certify(t, host, authority, "git.example", later), "@cert-authority %s\n",
			[]string{`principal "127.0.0.1" not in the set`, "name it"}},
		{"expired", certify(t, host, authority, "127.0.0.1", ago), "@cert-authority %s\n", []string{"expired", "valid now"}},
		{"revoked authority", certify(t, host, authority, "127.0.0.1", later), "@cert-authority %[1]s\n@revoked %[1]s\n",
			[]string{"revoked", "the host key of"}},
		{"authority itself", authority, "@cert-authority %[1]s\n%[2]s\n", []string{"the key of an authority, not of a host"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveSSH(t, r.Dir(), false, tt.host)
			s.host = nil
			line := knownhosts.Line([]string{knownhosts.Normalize(s.addr)}, authority.PublicKey())
			plain := knownhosts.Line([]string{knownhosts.Normalize(s.addr)}, other.PublicKey())
			lines := fmt.Sprintf(strings.ReplaceAll(tt.lines, "%s", "%[1]s")+"%.0[2]s", line, plain)
			auth := Auth{SSHKeyFile: s.keyFile, KnownHostsFile: tempFile(t, lines)}
			snap, err := newGit(t, GitOptions{URL: s.url(), Auth: auth}).Fetch(t.Context())
			if tt.words == nil {
				if err != nil {
					t.Fatal(err)
				}
				wantContents(t, snap, want)
				return
			}
			wantError(t, err, ErrDenied, tt.words...)
		})
	}
}

// Names are matched as OpenSSH does: without case, and one without a port is for
// each port that has no name of its own.
func TestKnownHostsNames(t *testing.T) {
	key, _ := newKey(t)
	for _, tt := range []struct {
		entry, addr string
		known       bool
	}{
		{"git.example", "git.example:22", true},
		{"git.example", "git.example:2222", true},
		{"Git.EXAMPLE", "git.example:22", true},
		{"[Git.Example]:2222", "git.example:2222", true},
		{"[*.example]:2222", "git.example:2222", true},
		{"g?t.example", "git.example:22", true},
		{"g?it.example", "git.example:22", false},
		{"*it*am*e", "git.example:22", true},
		{"*", "git.example:2222", true},
		{"*.example,!git.*", "git.example:22", false},
		{"!*", "git.example:22", false},
		{"[git.example]:22", "git.example:22", true},
		{knownhosts.HashHostname("git.example"), "git.example:22", true},
		{knownhosts.HashHostname("git.example"), "git.example:2222", true},
		{knownhosts.HashHostname("[git.example]:2222"), "git.example:2222", true},
		{knownhosts.HashHostname("[git.example]:2222"), "git.example:22", false},
		{"other.example", "git.example:22", false},
		{"[git.example]:2222", "git.example:2222", true},
		{"[git.example]:2222", "git.example:22", false},
		{"*.example", "git.example:2222", true},
		{"!git.example,*.example", "git.example:22", false},
		{"git.example,192.0.2.1", "192.0.2.1:22", true},
		{"2001:db8::1", "[2001:db8::1]:22", true},
		{"[2001:db8::1]:2222", "[2001:db8::1]:2222", true},
	} {
		g := newGit(t, GitOptions{URL: "ssh://git.example/r", Auth: Auth{SSHKeyFile: "key", KnownHostsFile: tempFile(t,
			tt.entry+" "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))+"\n")}})
		k, err := g.knownHosts(tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if known := len(k.algorithms()) > 0; known != tt.known {
			t.Errorf("%s for %s: got known %v, want %v", tt.entry, tt.addr, known, tt.known)
		}
	}
}

// A name with the port outranks one without, as it does in OpenSSH.
func TestKnownHostsPort(t *testing.T) {
	key, _ := newKey(t)
	other, _ := newKey(t)
	k := readHosts(t, knownhosts.Line([]string{"git.example"}, other.PublicKey())+"\n"+knownhosts.Line([]string{"git.example:2222"}, key.PublicKey()))
	if err := k.check(k.addr, nil, key.PublicKey()); err != nil {
		t.Error(err)
	}
	if err := k.check(k.addr, nil, other.PublicKey()); err == nil {
		t.Error("the key of another port was accepted")
	}
}

func readHosts(t *testing.T, lines string) *hostKeys {
	t.Helper()
	g := newGit(t, GitOptions{URL: "ssh://git.example:2222/r", Auth: Auth{SSHKeyFile: "key", KnownHostsFile: tempFile(t, lines)}})
	k, err := g.knownHosts("git.example:2222")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A line that can't be read is passed over with a warning, and the others count.
func TestKnownHostsDamagedLines(t *testing.T) {
	key, _ := newKey(t)
	line := knownhosts.Line([]string{"git.example:2222"}, key.PublicKey())
	blob := strings.Fields(line)[2]
	future := base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-mldsa65\x00\x00\x00\x01x"))
	for _, tt := range []struct {
		name, before, warning string
	}{
		{"kind of tomorrow", "new.example ssh-mldsa65 " + future, `keys of the kind \"ssh-mldsa65\" are not supported`},
		{"revoked kind of tomorrow", "@revoked * ssh-mldsa65 " + future, "are not supported"},
		{"marker", "@unknown-marker x.example ssh-ed25519 " + blob, `the marker \"@unknown-marker\" is unknown`},
		{"two markers", "@revoked @cert-authority x.example ssh-ed25519 " + blob, "no key of the kind"},
		{"garbage", "garbage line", "as ssh-keyscan prints them"},
		{"cut off", "other.example ssh-ed25519 " + blob[:20], "its key is damaged"},
		{"not base64", "other.example ssh-ed25519 ~~~", "no key of the kind"},
		{"another kind", "other.example ssh-rsa " + blob, "no key of the kind"},
		{"hashed name", "|1|x|y ssh-ed25519 " + blob, "its hashed name is not of the form |1|SALT|HASH"},
		{"hashed name of tomorrow", "|2|abc|def ssh-ed25519 " + blob, "its hashed name is not of the form |1|SALT|HASH"},
		{"hashed name, cut off", knownhosts.HashHostname("x.example")[:40] + " ssh-ed25519 " + blob, "its hashed name"},
		{"hashed name among others", knownhosts.HashHostname("x.example") + ",x ssh-ed25519 " + blob, "its hashed name"},
		{"hashed name, revoked", "@revoked |1|AAAA|AAAA ssh-ed25519 " + blob, "its hashed name"},
		{"hashed name of another", knownhosts.HashHostname("x.example") + " ssh-ed25519 " + blob, ""},
		{"long", strings.Repeat("x", 100_000), "as ssh-keyscan prints them"},
		{"byte order mark", "\ufeff# comment", ""},
		{"comment and blank", "#\n\n \t", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, logged := logTo()
			g := newGit(t, GitOptions{URL: "ssh://git.example:2222/r", Logger: log,
				Auth: Auth{SSHKeyFile: "key", KnownHostsFile: tempFile(t, tt.before+"\r\n"+line)}})
			for range 2 {
				k, err := g.knownHosts("git.example:2222")
				if err != nil {
					t.Fatal(err)
				}
				if err := k.check(k.addr, nil, key.PublicKey()); err != nil {
					t.Error(err)
				}
			}
			got := logged.String()
			if tt.warning == "" && got != "" {
				t.Errorf("warned: %s", got)
			}
			if tt.warning != "" && (strings.Count(got, "\n") != 1 || !strings.Contains(got, "line 1 of the file of known hosts") || !strings.Contains(got, tt.warning)) {
				t.Errorf("got %q, want one warning with %q", got, tt.warning)
			}
		})
	}
}

// A file of many lines that can't be read makes few warnings, the last with a count.
func TestKnownHostsManyDamagedLines(t *testing.T) {
	key, _ := newKey(t)
	line := knownhosts.Line([]string{"git.example:2222"}, key.PublicKey())
	for n, last := range map[int]string{10: "line 10 of", 11: "1 line of", 5000: "4990 lines of"} {
		log, logged := logTo()
		g := newGit(t, GitOptions{URL: "ssh://git.example:2222/r", Logger: log,
			Auth: Auth{SSHKeyFile: "key", KnownHostsFile: tempFile(t, strings.Repeat("garbage line\n", n)+line)}})
		for range 2 {
			k, err := g.knownHosts("git.example:2222")
			if err != nil {
				t.Fatal(err)
			}
			if err := k.check(k.addr, nil, key.PublicKey()); err != nil {
				t.Error(err)
			}
		}
		got := strings.Split(strings.TrimSpace(logged.String()), "\n")
		if len(got) != min(n, 11) || !strings.Contains(got[0], "line 1 of") || !strings.Contains(got[len(got)-1], last+" the file of known hosts") {
			t.Errorf("%d lines: %d warnings, the last %q", n, len(got), got[len(got)-1])
		}
	}
}

// What revokes the host's key refuses it, also when it can't be read; what revokes
// the key of another host doesn't.
func TestKnownHostsRevoked(t *testing.T) {
	key, _ := newKey(t)
	line := knownhosts.Line([]string{"git.example:2222"}, key.PublicKey())
	for before, want := range map[string]string{
		"@revoked " + line: "revoked by line 1",
		"@revoked * " + strings.SplitN(line, " ", 2)[1]:             "revoked by line 1",
		"@revoked Git.Example " + strings.SplitN(line, " ", 2)[1]:   "revoked by line 1",
		"@revoked * ssh-ed25519 AAAA":                               "line 1 of",
		"@revoked other.example ssh-ed25519 AAAA":                   "",
		"@revoked other.example " + strings.SplitN(line, " ", 2)[1]: "",
	} {
		k := readHosts(t, before+"\n"+line)
		err := k.check(k.addr, nil, key.PublicKey())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", before, err, want)
		}
	}
}

// A host's name in the URL may be spelt with capitals.
func TestKnownHostsCase(t *testing.T) {
	r, _ := newRepo(t, map[string]string{"a.yaml": "one"})
	s := serveSSH(t, r.Dir(), false)
	addr := strings.Replace(s.addr, "127.0.0.1", "localhost", 1)
	auth := Auth{SSHKeyFile: s.keyFile, KnownHostsFile: knownHosts(t, addr, s.host.PublicKey())}
	fetch(t, newGit(t, GitOptions{URL: "ssh://git@" + strings.Replace(addr, "localhost", "LocalHost", 1) + "/repo.git", Auth: auth}))
}

// Signatures by SHA-1 are not asked for.
func TestKnownHostsRSA(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("there is no ssh-keygen program")
	}
	_, public := makeKey(t, keygen, "-t", "rsa", "-b", "2048", "-N", "")
	g := newGit(t, GitOptions{URL: "ssh://git.example/r", Auth: Auth{SSHKeyFile: "key", KnownHostsFile: tempFile(t, "git.example "+public)}})
	k, err := g.knownHosts("git.example:22")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(k.algorithms(), " "); got != "rsa-sha2-512 rsa-sha2-256" {
		t.Errorf("got %s", got)
	}
}

// makeKey makes a key by ssh-keygen, and returns its file and the public half.
func makeKey(t *testing.T, keygen string, args ...string) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command(keygen, append([]string{"-q", "-C", "", "-f", file}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	return file, readFile(t, file+".pub")
}
