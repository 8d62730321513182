package reconcile

import (
	"testing"
	"time"
)

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", time.Minute: "1m", 20 * time.Hour: "20h",
		61 * time.Second: "1m1s", 100 * time.Minute: "1h40m", time.Hour + 10*time.Second: "1h0m10s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
