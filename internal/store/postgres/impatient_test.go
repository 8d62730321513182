package postgres

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// Nothing waits longer than answerTimeout, and what a context has ended doesn't wait at
// all, also if it ends before the next call begins.
func TestImpatient(t *testing.T) {
	for name, call := range map[string]func(net.Conn) error{
		"read":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c net.Conn) error { _, err := c.Write([]byte{1}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				c := &impatient{Conn: near}
				defer c.Close()
				took := func() time.Duration {
					t.Helper()
					began := time.Now()
					if err := call(c); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%v", err)
					}
					return time.Since(began)
				}
				for _, tt := range []struct {
					deadline time.Time
					want     time.Duration
				}{
					{time.Time{}, answerTimeout},
					{time.Now().Add(-time.Hour), 0},
					{time.Time{}, answerTimeout},
					{time.Now().Add(time.Hour), answerTimeout},
				} {
					if err := c.SetDeadline(tt.deadline); err != nil {
						t.Fatal(err)
					}
					if got := took(); got != tt.want {
						t.Errorf("with the deadline %v: it took %v, want %v", tt.deadline, got, tt.want)
					}
				}
				if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				if got := took(); got != time.Minute {
					t.Errorf("with a deadline in a minute: it took %v", got)
				}
			})
		})
	}
}
