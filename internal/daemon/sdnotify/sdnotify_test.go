package sdnotify

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	here, elsewhere := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getpid()+1)
	for name, c := range map[string]struct {
		environ  []string
		none     bool
		watchdog time.Duration
		err      string
	}{
		"no manager":                  {environ: []string{"HOME=/"}, none: true},
		"empty":                       {environ: []string{"NOTIFY_SOCKET="}, none: true},
		"without watchdog":            {environ: []string{"NOTIFY_SOCKET=/run/n"}},
		"abstract":                    {environ: []string{"NOTIFY_SOCKET=@n", "WATCHDOG_USEC=120000000"}, watchdog: 2 * time.Minute},
		"watchdog of this process":    {environ: []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=500", "WATCHDOG_PID=" + here}, watchdog: 500 * time.Microsecond},
		"watchdog of another process": {environ: []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=500", "WATCHDOG_PID=" + elsewhere}},
		"relative":                    {environ: []string{"NOTIFY_SOCKET=run/n"}, err: `NOTIFY_SOCKET "run/n"`},
		"no number":                   {environ: []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=2m"}, err: `WATCHDOG_USEC "2m"`},
		"zero":                        {environ: []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=0"}, err: `WATCHDOG_USEC "0"`},
		"too large":                   {environ: []string{"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=9223372036854775807"}, err: "up to a day"},
	} {
		n, err := New(c.environ)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, not %q", name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case (n == nil) != c.none:
			t.Errorf("%s: %+v", name, n)
		case n != nil && n.Watchdog() != c.watchdog:
			t.Errorf("%s: watchdog %v, not %v", name, n.Watchdog(), c.watchdog)
		}
	}
}

func TestSend(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		names = append(names, "@reconciler-test-"+strconv.Itoa(os.Getpid()))
	}
	for _, name := range names {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		n, err := New([]string{"NOTIFY_SOCKET=" + name})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Send(Ready, Status("in sync\nMAINPID=1")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1024)
		size, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(string(buf[:size]), "\n"); len(got) != 2 || got[0] != "READY=1" || !strings.HasPrefix(got[1], "STATUS=in sync") {
			t.Errorf("%s: sent %q", name, got)
		}
	}
}

func TestSendToNobody(t *testing.T) {
	n, err := New([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "gone")})
	if err != nil {
		t.Fatal(err)
	}
	if n.Send(Alive) == nil {
		t.Error("a socket that isn't there took a message")
	}
}
