package postgres

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"reconciler/internal/text"
)

// listen returns the address at which each connection is answered by answer, and closed.
func listen(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answer(c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// Only what is caused by TLS is said to be.
func TestConnectingFails(t *testing.T) {
	t.Parallel()
	asked := func(answer string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024)) // the request, which fits
			if answer == "" {
				return
			}
			_, _ = io.WriteString(c, answer)
			_, _ = c.Read(make([]byte, 1024))
		}
	}
	const tls = "check sslmode and sslrootcert"
	for _, tt := range []struct {
		name, mode  string
		answer      func(net.Conn)
		words, hint string
	}{
		{"closed without TLS", "disable", asked(""), "the connection was closed before the server answered", "look at the log of the database server"},
		{"closed before TLS", "require", asked(""), "the connection was closed before the server answered", "look at the log of the database server"},
		{"TLS refused", "require", asked("N"), "server refused TLS connection", tls},
		{"no TLS after all", "require", asked("Sno TLS at all"), "first record does not look like a TLS handshake", tls},
		{"no PostgreSQL", "disable", asked("HTTP/1.1 400 Bad Request\r\n\r\n"), "can't be connected to: ", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := Open(url("postgres://ada:hunter2@"+listen(t, tt.answer)+"/x?sslmode="+tt.mode), 1)
			defer db.Close()
			err := Explain(db.Ping())
			if err == nil || !strings.Contains(err.Error(), tt.words) || !strings.Contains(text.Hint(err), tt.hint) {
				t.Errorf("error: %v\nhint:  %s", err, text.Hint(err))
			}
			if tt.hint != tls && strings.Contains(text.Hint(err), "ssl") {
				t.Errorf("hint: %s", text.Hint(err))
			}
			if strings.Contains(fmt.Sprint(err, text.Hint(err)), "hunter2") {
				t.Errorf("a password is said: %v", err)
			}
		})
	}
}
