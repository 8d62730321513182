package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/store/postgres/postgrestest"
)

// A replica that starts while its database is down says so in one line, and in one more
// for each run that fails by it; and once the database answers.
func TestOutageIsLoggedOnce(t *testing.T) {
	server := postgrestest.Start(t)
	url := server.File(t)
	f := startReplicasOn(t, "@every 1s", url)
	f.replicas[0].end()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	r := &startedReplica{fleet: f, log: &logBuffer{}, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	listening := make(chan net.Addr, 1)
	go func() {
		r.done <- Run(ctx, f.cfg, RunOptions{Version: "v1", Commands: testCommands, Logger: r.log.logger(), Listening: func(a net.Addr) { listening <- a }})
	}()
	t.Cleanup(r.end)
	r.url = "http://" + (<-listening).String()
	until(t, "three runs have failed", func() bool { return len(r.log.lines(t, runFinished)) >= 3 })
	const said = "can't be reached: "
	began := r.log.lines(t, outageBegan)
	if len(began) != 1 || !strings.Contains(began[0]["error"].(string), said) || began[0]["hint"] == "" || began[0]["level"] != "ERROR" {
		t.Errorf("%v", began)
	}
	for _, line := range r.log.lines(t, runFinished) {
		if words, _ := line["error"].(string); !strings.HasPrefix(words, "PostgreSQL at ") || !strings.Contains(words, said) || line["hint"] != nil {
			t.Errorf("%v", line)
		}
	}
	for _, line := range strings.Split(r.log.String(), "\n") {
		if strings.Contains(line, "PostgreSQL") && !strings.Contains(line, outageBegan) && !strings.Contains(line, runFinished) && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Errorf("the outage is logged once more: %s", line)
		}
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "it is ready", func() bool { code, _ := r.ask("GET", "/readyz", ""); return code == 200 })
	if n := len(r.log.lines(t, "the database answers again")); n != 1 {
		t.Errorf("the end is logged %d times", n)
	}
}

// What is no consequence of an outage, or logged while there is none, is logged as ever.
func TestOutageHandler(t *testing.T) {
	var b logBuffer
	o := &outage{}
	text := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(&outageHandler{text, o}).With("run", "r1")
	down := errors.New("history in PostgreSQL (file): reading: PostgreSQL at db:5432 doesn't answer")
	lost := errors.New("what replicas share: the connection to PostgreSQL was lost: it ended")
	all := func() {
		log.Warn("not done", "error", down)
		log.Warn("writes are suspended", "suspension", "suspended: PostgreSQL at db:5432 moves")
		log.Warn("drift", "object", "PostgreSQL at db:5432")
		log.Error(runFinished, "error", down, "hint", "h")
		log.Info("went on", "error", down)
	}
	all()
	o.note(log, errors.New("another error"))
	o.end(log)
	o.note(log, down)
	o.note(log, lost)
	o.note(log, down)
	all()
	o.end(log)
	o.end(log)
	want := `level=WARN msg="not done" run=r1 error="history in PostgreSQL (file): reading: PostgreSQL at db:5432 doesn't answer"
level=WARN msg="writes are suspended" run=r1 suspension="suspended: PostgreSQL at db:5432 moves"
level=WARN msg=drift run=r1 object="PostgreSQL at db:5432"
level=ERROR msg="run finished" run=r1 error="history in PostgreSQL (file): reading: PostgreSQL at db:5432 doesn't answer" hint=h
level=INFO msg="went on" run=r1 error="history in PostgreSQL (file): reading: PostgreSQL at db:5432 doesn't answer"
level=ERROR msg="the database can't be used; nothing is written until it can" run=r1 error="PostgreSQL at db:5432 doesn't answer"
level=ERROR msg="the database can't be used; nothing is written until it can" run=r1 error="the connection to PostgreSQL was lost: it ended"
level=WARN msg=drift run=r1 object="PostgreSQL at db:5432"
level=ERROR msg="run finished" run=r1 error="PostgreSQL at db:5432 doesn't answer"
level=INFO msg="went on" run=r1 error="history in PostgreSQL (file): reading: PostgreSQL at db:5432 doesn't answer"
level=INFO msg="the database answers again" run=r1
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
