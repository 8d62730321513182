// Package sdnotify reports the status of the process to systemd, with the protocol of
// sd_notify(3).
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/text"
)

// The messages for systemd.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Alive    = "WATCHDOG=1"
)

// maxStatus limits the status that systemctl shows.
const maxStatus = 300

// Status returns the message that sets what systemctl shows as the status.
func Status(s string) string { return "STATUS=" + text.OneLine(s, maxStatus) }

// Notifier sends messages to the service manager.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// New returns a Notifier for the service manager that the environment names, or nil
// where it names none.
func New(environ []string) (*Notifier, error) {
	env := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	socket := env["NOTIFY_SOCKET"]
	switch {
	case socket == "":
		return nil, nil
	case socket[0] != '/' && socket[0] != '@':
		return nil, fmt.Errorf("NOTIFY_SOCKET %q is neither a path nor an abstract socket", socket)
	}
	n := &Notifier{socket: socket}
	// The variables are inherited by processes that systemd did not mean.
	if pid := env["WATCHDOG_PID"]; pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil
	}
	if limit := env["WATCHDOG_USEC"]; limit != "" {
		usec, err := strconv.ParseInt(limit, 10, 64)
		if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
			return nil, fmt.Errorf("WATCHDOG_USEC %q is no number of microseconds up to a day", limit)
		}
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n, nil
}

// Watchdog returns how long systemd waits for the next Alive before it kills the
// process; 0 if it has no watchdog.
func (n *Notifier) Watchdog() time.Duration { return n.watchdog }

// Send sends messages together.
func (n *Notifier) Send(messages ...string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	// A manager that doesn't read must not hold up the process.
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(strings.Join(messages, "\n")))
	return err
}
