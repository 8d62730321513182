package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
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
	g.now = &g.ep
	addr := net.JoinHostPort(strings.Trim(g.ep.Host, "[]"), strconv.Itoa(cmp.Or(g.ep.Port, 22)))
	var denied error // by our check of the host key
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
func (g *Git) sshConfig(ctx context.Context, addr string, denied *error) (*ssh.ClientConfig, error) {
	auth, err := g.sshAuth(ctx)
	if err != nil {
		return nil, err
	}
	file := g.opts.Auth.KnownHostsFile
	if _, err := os.Stat(file); err != nil {
		return nil, g.unreadable("the file of known hosts", file, err)
	}
	known, err := gitssh.NewKnownHostsDb(file)
	if err != nil {
		return nil, g.fail(ErrDenied, "its lines are as ssh-keyscan prints them", "the file of known hosts can't be used: %s", oneLine(err.Error()))
	}
	check := known.HostKeyCallback()
	return &ssh.ClientConfig{
		User: g.user(),
		Auth: auth,
		// Only kinds of keys that are known are asked for: a host has several.
		HostKeyAlgorithms: known.HostKeyAlgorithms(addr),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := check(host, remote, key)
			if err != nil {
				*denied = g.untrusted(host, key, err)
			}
			return err
		},
	}, nil
}

func (g *Git) sshAuth(ctx context.Context) ([]ssh.AuthMethod, error) {
	var methods []ssh.AuthMethod
	if file := g.opts.Auth.SSHKeyFile; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, g.unreadable("the SSH key", file, err)
		}
		signer, err := ssh.ParsePrivateKey(pem)
		var locked *ssh.PassphraseMissingError
		switch {
		case errors.As(err, &locked):
			return nil, g.fail(ErrDenied, "give it a deploy key of its own: ssh-keygen -t ed25519 -N '' -f FILE", "the SSH key %q needs a passphrase", file)
		case err != nil:
			return nil, g.fail(ErrDenied, "it takes what ssh-keygen writes: the private key, not the .pub file", "the SSH key %q can't be read: %s", file, oneLine(err.Error()))
		}
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

// unreadable says that a file of the options can't be read.
func (g *Git) unreadable(what, file string, err error) *Error {
	var in *fs.PathError
	if errors.As(err, &in) {
		err = in.Err
	}
	return g.fail(ErrDenied, "", "%s %q can't be read: %v", what, file, err)
}

// untrusted says what is wrong with a host's key.
func (g *Git) untrusted(host string, key ssh.PublicKey, err error) *Error {
	host = knownhosts.Normalize(host)
	print := ssh.FingerprintSHA256(key)
	file := g.opts.Auth.KnownHostsFile
	var revoked *knownhosts.RevokedError
	var unknown *knownhosts.KeyError
	switch {
	case errors.As(err, &revoked):
		return g.fail(ErrDenied, fmt.Sprintf("line %d of %q revokes it", revoked.Revoked.Line, file),
			"the host %q shows a key that was revoked (%s %s)", host, key.Type(), print)
	case errors.As(err, &unknown) && len(unknown.Want) > 0:
		return g.fail(ErrDenied,
			fmt.Sprintf("somebody may be in between. Ask those who run the host; if its key was replaced, replace line %d of %q", unknown.Want[0].Line, file),
			"the host %q shows another key than the known one (%s %s)", host, key.Type(), print)
	case errors.As(err, &unknown):
		return g.fail(ErrDenied,
			fmt.Sprintf("compare the fingerprint with the one that the host publishes, then add the host's line from ssh-keyscan to %q", file),
			"the host %q is not a known one (it shows %s %s)", host, key.Type(), print)
	default:
		return g.fail(ErrDenied, "", "the host key of %q is refused: %s", host, oneLine(err.Error()))
	}
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
