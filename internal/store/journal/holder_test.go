package journal

import (
	"os"
	"path/filepath"
	"testing"

	"reconciler/internal/store/postgres/postgrestest"
)

func TestLastHolder(t *testing.T) {
	postgrestest.OnlyFolder(t)
	dir := filepath.Join(t.TempDir(), "state")
	if h, ok := LastHolder(locate(dir)); ok {
		t.Errorf("no folder: %+v", h)
	}
	j, err := lockJournal(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	for _, when := range []string{"held", "given back"} {
		if h, ok := LastHolder(locate(dir)); !ok || h.PID != os.Getpid() || h.Host != host || h.Started.IsZero() {
			t.Errorf("%s: %+v, %v", when, h, ok)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, lockFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if h, ok := LastHolder(locate(dir)); ok {
		t.Errorf("garbage: %+v", h)
	}
}
