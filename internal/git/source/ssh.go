package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"

	"reconciler/internal/text"
)

// sshSession is a conversation with git-upload-pack through an SSH connection.
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
	meter   *meter
	errs    *prefix
	asked   bool
}

// connectSSH connects, authenticates both sides, and starts git-upload-pack.
func (g *Git) connectSSH(ctx context.Context) (session, error) {
	addr := net.JoinHostPort(strings.ToLower(strings.Trim(g.ep.Host, "[]")), strconv.Itoa(cmp.Or(g.ep.Port, 22)))
	cfg, err := g.sshConfig(ctx, addr)
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
		return nil, g.explain(err)
	}
	s := &sshSession{client: ssh.NewClient(c, chans, reqs), unwatch: unwatch, meter: &meter{limits: g.limits}}
	if err := s.start(g.ep.Path); err != nil {
		s.Close()
		return nil, g.explain(err)
	}
	return s, nil
}

// sshConfig reads key and known hosts.
func (g *Git) sshConfig(ctx context.Context, addr string) (*ssh.ClientConfig, error) {
	auth, err := g.sshAuth(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := g.knownHosts(addr)
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{
		User: g.user(""),
		Auth: auth,
		// A host has several keys: only kinds that are known are asked for.
		HostKeyAlgorithms: hosts.algorithms(),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			if err := hosts.check(host, remote, key); err != nil {
				return g.untrusted(hosts, key, err)
			}
			return nil
		},
	}, nil
}

// sshAuth returns the ways to authenticate: the key, a password, or both.
func (g *Git) sshAuth(ctx context.Context) ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	g.shown = "the password"
	if g.opts.Auth.SSHKeyFile != "" {
		signer, err := g.sshKey(ctx)
		if err != nil {
			return nil, err
		}
		g.shown = "the key " + ssh.FingerprintSHA256(signer.PublicKey())
		methods = append(methods, ssh.PublicKeys(signer))
	}
	password, err := g.secret(ctx, g.opts.Auth.Password, "password", g.opts.Names.Password)
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
	file, setting := g.opts.Auth.SSHKeyFile, g.opts.Names.SSHPassphrase
	data, err := g.readFile("the SSH key", file)
	if err != nil {
		return nil, err
	}
	data = text.PEM(data)
	passphrase, err := g.secret(ctx, g.opts.Auth.SSHPassphrase, "passphrase", setting)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	isLocked := errors.As(err, new(*ssh.PassphraseMissingError))
	switch {
	case isLocked && passphrase == "":
		return nil, g.fail(ErrDenied, fmt.Sprintf("set %s, or use a deploy key of its own without one: ssh-keygen -t ed25519 -N '' -f FILE", setting),
			"the SSH key %q needs a passphrase", file)
	case isLocked:
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(data, []byte(passphrase)); err != nil {
			// In the old format, a wrong passphrase may also show as a key that
			// makes no sense.
			return nil, g.fail(ErrDenied, `"ssh-keygen -y -f FILE" asks for the passphrase and shows whether it is right`,
				"the passphrase does not unlock the SSH key %q", file)
		}
	case err != nil:
		return nil, g.fail(ErrDenied, `it takes what ssh-keygen writes: the private key, not the .pub file; "ssh-keygen -p -f FILE" writes one anew`,
			"the SSH key %q can't be read: %s", file, sshText(err))
	case passphrase != "":
		// The key was meant to be locked, and is not.
		return nil, g.fail(ErrDenied, fmt.Sprintf(`lock it with "ssh-keygen -p -f FILE", or take out %s`, setting),
			"the SSH key %q has no passphrase, but one is given", file)
	}
	return signer, nil
}

// readFile reads a text file of the options.
func (g *Git) readFile(what, file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, g.fail(ErrDenied, "is the path right, and may the user that runs this program read it?", "%s can't be read: %v", what, err)
	}
	if data, err = text.Decode(data); err != nil {
		return nil, g.fail(ErrDenied, "", "%s %q can't be read: %v", what, file, err)
	}
	return data, nil
}

// sshText is the text of an error of package ssh.
func sshText(err error) string { return oneLine(strings.TrimPrefix(err.Error(), "ssh: ")) }

func (s *sshSession) start(path string) error {
	cmd, err := s.client.NewSession()
	if err != nil {
		return err
	}
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return err
	}
	s.cmd, s.in = cmd, in
	s.out = s.meter.reader(out)
	s.errs = &prefix{limit: 4 << 10}
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
	s.meter.listOfRefs()
	adv := packp.NewAdvRefs()
	err := s.meter.cause(adv.Decode(s.out))
	var other *packp.ErrUnexpectedData
	switch {
	case errors.Is(err, packp.ErrEmptyInput), errors.Is(err, pktline.ErrInvalidPktLen), errors.As(err, &other) && !isSHA256(other):
		// What went wrong stands on the other channel. Gitea writes an empty
		// line on this one first.
		if said := s.said(); said != "" || errors.Is(err, packp.ErrEmptyInput) {
			return nil, &sshStderr{said}
		}
		return nil, err
	case errors.Is(err, packp.ErrEmptyAdvRefs) || err == nil && adv.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// said returns what the server wrote on the other channel. All of it is there once the
// command has ended; nothing, if it doesn't end soon.
func (s *sshSession) said() string {
	const patience = 2 * time.Second
	_ = s.in.Close()
	ended := make(chan struct{})
	go func() { // until Close at the latest
		defer close(ended)
		_, _ = io.Copy(io.Discard, s.out) // bounded by the meter
		_ = s.cmd.Wait()
	}()
	select {
	case <-ended:
		return string(s.errs.kept)
	case <-time.After(patience):
		return ""
	}
}

// UploadPack asks for objects.
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	var b bytes.Buffer
	err := errors.Join(req.Validate(), req.UploadRequest.Encode(&b), req.UploadHaves.Encode(&b, false), pktline.NewEncoder(&b).EncodeString("done\n"))
	if err != nil {
		return nil, err
	}
	s.asked = true
	if _, err := s.in.Write(b.Bytes()); err != nil {
		return nil, err
	}
	if err := s.in.Close(); err != nil {
		return nil, err
	}
	s.meter.answer()
	resp := packp.NewUploadPackResponse(req)
	if err := resp.Decode(io.NopCloser(s.out)); err != nil {
		return nil, s.meter.cause(err)
	}
	s.meter.objects()
	return resp, nil
}

// Close ends the command and the connection.
func (s *sshSession) Close() error {
	if s.in != nil && !s.asked {
		// Git's way to end without a request; without it, servers log a broken
		// connection for each look at their refs.
		_ = pktline.NewEncoder(s.in).Flush()
	}
	s.unwatch()
	return s.client.Close()
}

// sshStderr is what a server wrote instead of an answer.
type sshStderr struct{ text string }

func (e *sshStderr) Error() string { return e.text }

// prefix keeps the first limit bytes of what is written to it.
type prefix struct {
	limit int
	kept  []byte
}

func (p *prefix) Write(b []byte) (int, error) {
	p.kept = append(p.kept, b[:min(len(b), p.limit-len(p.kept))]...)
	return len(b), nil
}
