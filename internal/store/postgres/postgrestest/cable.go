package postgrestest

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Cable is a way to a server by TCP that can be cut: then neither side hears of the other
// any more, and nobody is told.
type Cable struct {
	l      net.Listener
	socket string
	cut    chan struct{}

	mu    sync.Mutex
	conns []net.Conn
	all   sync.WaitGroup
}

// NewCable returns a cable to the server, which ends with the test.
func (s *Server) NewCable(t testing.TB) *Cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{l: l, socket: s.Socket, cut: make(chan struct{})}
	c.all.Go(c.serve)
	t.Cleanup(c.Close)
	return c
}

// Cut cuts the cable, once.
func (c *Cable) Cut() { close(c.cut) }

// File returns a file with the URL of the database of another one, by way of the cable.
func (c *Cable) File(t testing.TB, direct File) File {
	t.Helper()
	data, err := os.ReadFile(string(direct))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("host")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = c.l.Addr().String(), q.Encode()
	path := filepath.Join(t.TempDir(), "postgres-url")
	if err := os.WriteFile(path, []byte(u.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return File(path)
}

func (c *Cable) serve() {
	for {
		near, err := c.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", c.socket)
		if err != nil {
			near.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, near, far)
		c.mu.Unlock()
		c.all.Go(func() { c.pass(near, far) })
		c.all.Go(func() { c.pass(far, near) })
	}
}

func (c *Cable) pass(from, to net.Conn) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-c.cut: // what was sent is lost, and no end of a connection is passed on
			if err != nil {
				return
			}
			continue
		default:
		}
		if err == nil {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

// Close closes all connections, of which both sides hear. It may be called twice.
func (c *Cable) Close() {
	c.l.Close()
	c.mu.Lock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.all.Wait()
}
