package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"

	"reconciler/internal/text"
)

// sshSession speaks to git-upload-pack on the far side of an SSH connection.
// go-git has such a session too, but there a server that stalls during the
// handshake stalls its caller for good, whatever the context says, and the
// user's ~/.ssh/config may send it elsewhere.
type sshSession struct {
	client *ssh.Client
	cmd    *ssh.Session
	// unwatch ends what closes the connection when the context ends.
	unwatch func() bool
	in      io.WriteCloser
	out     io.Reader
	errs    *head
	asked   bool
}

// connectSSH connects, proves who is who, and starts git-upload-pack.
func (g *Git) connectSSH(ctx context.Context) (session, error) {
	addr := net.JoinHostPort(strings.ToLower(strings.Trim(g.ep.Host, "[]")), strconv.Itoa(cmp.Or(g.ep.Port, 22)))
	var denied *Error // by our check of the host key
	cfg, err := g.sshConfig(ctx, addr, &denied)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, g.explain(err)
	}
	unwatch := context.AfterFunc(ctx, func() { conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, addr, cfg)
	if err != nil {
		unwatch()
		conn.Close()
		if denied != nil {
			return nil, denied
		}
		return nil, g.explain(err)
	}
	s := &sshSession{client: ssh.NewClient(c, chans, reqs), unwatch: unwatch}
	if err := s.start(g.ep.Path, g.limits.pack); err != nil {
		s.Close()
		return nil, g.explain(err)
	}
	return s, nil
}

// sshConfig reads key and known hosts. When the host's key is not to be
// trusted, it puts an error that says so into denied.
func (g *Git) sshConfig(ctx context.Context, addr string, denied **Error) (*ssh.ClientConfig, error) {
	auth, err := g.sshAuth(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := g.knownHosts(addr)
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{
		User: g.user(),
		Auth: auth,
		// Only kinds of keys that are known are asked for: a host has several.
		HostKeyAlgorithms: hosts.algorithms(),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := hosts.check(host, remote, key)
			if err != nil {
				*denied = g.untrusted(hosts, key, err)
			}
			return err
		},
	}, nil
}

// sshAuth gives the ways to prove who we are: the key, a password, or both.
func (g *Git) sshAuth(ctx context.Context) ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	g.shown = ""
	if g.opts.Auth.SSHKeyFile != "" {
		signer, err := g.sshKey(ctx)
		if err != nil {
			return nil, err
		}
		g.shown = ssh.FingerprintSHA256(signer.PublicKey())
		methods = append(methods, ssh.PublicKeys(signer))
	}
	password, err := g.password(ctx)
	if err != nil {
		return nil, err
	}
	if password != "" {
		methods = append(methods, ssh.Password(password))
	}
	return methods, nil
}

// sshKey reads the private key, and unlocks it if it is locked.
func (g *Git) sshKey(ctx context.Context) (ssh.Signer, error) {
	file := g.opts.Auth.SSHKeyFile
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, g.unreadable("the SSH key", file, err)
	}
	passphrase, err := g.passphrase(ctx)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked) && passphrase == nil:
		return nil, g.fail(ErrDenied,
			"set git.auth.sshPassphraseFile, or give it a deploy key of its own: ssh-keygen -t ed25519 -N '' -f FILE",
			"the SSH key %q needs a passphrase", file)
	case errors.As(err, &locked):
		return g.unlock(file, data, passphrase)
	case err != nil:
		return nil, g.notAKey(file, data, err)
	case passphrase != nil:
		// Somebody believes that the key is locked. It is not.
		return nil, g.fail(ErrDenied, `lock it with "ssh-keygen -p -f FILE", or take out git.auth.sshPassphraseFile`,
			"the SSH key %q has no passphrase, but one is given", file)
	}
	return signer, nil
}

// passphrase gives nil when the options tell of none.
func (g *Git) passphrase(ctx context.Context) ([]byte, error) {
	if g.opts.Auth.SSHPassphrase == nil {
		return nil, nil
	}
	p, err := g.opts.Auth.SSHPassphrase(ctx)
	if err != nil {
		return nil, g.fail(ErrDenied, cmp.Or(text.Hint(err), cantGet), "getting the passphrase: %s", oneLine(err.Error()))
	}
	if p == "" {
		return nil, g.fail(ErrDenied, "is the file of git.auth.sshPassphraseFile written yet?", "the passphrase is empty")
	}
	g.keepSecret(g.user(), p)
	return []byte(p), nil
}

func (g *Git) unlock(file string, data, passphrase []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKeyWithPassphrase(data, passphrase)
	if err == nil {
		return signer, nil
	}
	// The old format has no check of its own: a wrong passphrase may also show
	// as a key that makes no sense.
	block, _ := pem.Decode(data)
	if errors.Is(err, x509.IncorrectPasswordError) || block != nil && block.Type != "OPENSSH PRIVATE KEY" {
		return nil, g.fail(ErrDenied, `"ssh-keygen -y -f FILE" asks for the passphrase and shows whether it is right`,
			"the passphrase is not that of the SSH key %q", file)
	}
	return nil, g.fail(ErrDenied, `"ssh-keygen -p -f FILE" writes it anew`, "the SSH key %q can't be unlocked: %s", file, sshWords(err))
}

// notAKey says what a file is that is no private key.
func (g *Git) notAKey(file string, data []byte, err error) *Error {
	block, _ := pem.Decode(data)
	_, _, _, _, pub := ssh.ParseAuthorizedKey(data)
	switch {
	case bytes.HasPrefix(data, []byte("PuTTY-User-Key-File-")):
		return g.fail(ErrDenied, "puttygen FILE -O private-openssh -o NEW", "the SSH key %q is in PuTTY's format, which OpenSSH and this program don't read", file)
	case pub == nil, block != nil && strings.HasSuffix(block.Type, "PUBLIC KEY"), bytes.HasPrefix(data, []byte("---- BEGIN SSH2 PUBLIC KEY")):
		return g.fail(ErrDenied, "git.auth.sshKeyFile takes the private key: as a rule the file of the same name without .pub",
			"the SSH key %q is a public key", file)
	case block != nil && block.Type == "ENCRYPTED PRIVATE KEY":
		return g.fail(ErrDenied, `"ssh-keygen -p -f FILE" writes it anew`, "the SSH key %q is locked in a format that can't be read (PKCS#8)", file)
	case len(bytes.TrimSpace(data)) == 0:
		return g.fail(ErrDenied, "is it written yet?", "the SSH key %q is empty", file)
	default:
		return g.fail(ErrDenied, "it takes what ssh-keygen writes: the private key, not the .pub file",
			"the SSH key %q can't be read: %s", file, sshWords(err))
	}
}

// sshWords is the text of an error of package ssh.
func sshWords(err error) string { return oneLine(strings.TrimPrefix(err.Error(), "ssh: ")) }

// unreadable says that a file of the options can't be read.
func (g *Git) unreadable(what, file string, err error) *Error {
	var in *fs.PathError
	if errors.As(err, &in) {
		err = in.Err
	}
	hint := "the user that runs this program has to be able to read it"
	if errors.Is(err, fs.ErrNotExist) {
		hint = "is the path right, and the file there where this program runs?"
	}
	return g.fail(ErrDenied, hint, "%s %q can't be read: %v", what, file, err)
}

func (s *sshSession) start(path string, limit int64) error {
	cmd, err := s.client.NewSession()
	if err != nil {
		return err
	}
	s.cmd = cmd
	if s.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = &capped{out, limit}
	s.errs = &head{limit: 4 << 10}
	cmd.Stderr = s.errs
	// ssh://host/~user/repo means a path from that user's home.
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	return cmd.Start("git-upload-pack " + shellQuote(path))
}

// shellQuote makes one word of s for any POSIX shell, and for git-shell.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// AdvertisedReferencesContext reads the list of refs that the server begins
// with. The context is the one that the connection was made with.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	err := adv.Decode(s.out)
	switch {
	case errors.Is(err, packp.ErrEmptyInput):
		// What went wrong is told on the other channel; all of it is there
		// once the command has ended.
		_ = s.cmd.Wait()
		return nil, &serverSays{string(s.errs.kept)}
	case errors.Is(err, packp.ErrEmptyAdvRefs) || err == nil && adv.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// UploadPack asks for objects.
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	s.asked = true
	if err := req.UploadRequest.Encode(s.in); err != nil {
		return nil, err
	}
	if err := req.UploadHaves.Encode(s.in, false); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(s.in).EncodeString("done\n"); err != nil {
		return nil, err
	}
	if err := s.in.Close(); err != nil {
		return nil, err
	}
	resp := packp.NewUploadPackResponse(req)
	if err := resp.Decode(io.NopCloser(s.out)); err != nil {
		return nil, err
	}
	return resp, nil
}

// Close ends the command and the connection.
func (s *sshSession) Close() error {
	if s.in != nil && !s.asked {
		// Git's way to say goodbye without a wish; without it, servers log a
		// broken connection for each look at their refs.
		_ = pktline.NewEncoder(s.in).Flush()
	}
	s.unwatch()
	return s.client.Close()
}

// serverSays is what a server wrote instead of an answer.
type serverSays struct{ text string }

func (e *serverSays) Error() string { return e.text }

// head keeps the first limit bytes of what is written to it.
type head struct {
	limit int
	kept  []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.limit-len(h.kept))]...)
	return len(p), nil
}
