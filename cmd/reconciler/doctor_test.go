package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"reconciler/internal/doctor"
	"reconciler/internal/okta/simulator"
)

// TestDoctorFindsDaemon runs a daemon and asks for a diagnosis beside it.
func TestDoctorFindsDaemon(t *testing.T) {
	r := newRig(t, 4, false)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log buffer
	done := make(chan int, 1)
	go func() {
		std := stdio{strings.NewReader(""), &log, &log}
		done <- run(ctx, []string{"run", "--config", r.config}, std, []string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0"})
	}()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "run finished") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	address := serving.FindStringSubmatch(log.String())
	if address == nil {
		t.Fatalf("the daemon does not say where it serves:\n%s", log.String())
	}
	for other, want := range map[string]string{
		"":          `^ok +http +a daemon \(.+\) answers on 127\.0\.0\.1:\d+ and is ready$`,
		"0200other": `^warning +http +a daemon on 127\.0\.0\.1:\d+ watches another account`,
	} {
		var out, errs buffer
		env := []string{"RECONCILER_HTTP_ADDRESS=" + address[1]}
		if other != "" {
			env = append(env, "RECONCILER_AERIAL_ACCOUNT_ID="+other)
		}
		run(ctx, []string{"doctor", "--config", r.config, "--log-level", "error"}, stdio{strings.NewReader(""), &out, &errs}, env)
		if !regexp.MustCompile(`(?m)`+want).MatchString(out.String()) || errs.String() != "" {
			t.Errorf("%s%s", out.String(), errs.String())
		}
	}
	stop()
	if code := <-done; code != exitOK {
		t.Errorf("the daemon ended with %d:\n%s", code, log.String())
	}
}

// TestDoctorTellsNoSecret has the most talkative logs and all that can go wrong
// at Okta.
func TestDoctorTellsNoSecret(t *testing.T) {
	for _, dpop := range []bool{false, true} {
		r := newRig(t, 4, dpop)
		var out buffer
		do := func(args ...string) int {
			std := stdio{strings.NewReader(""), &out, &out}
			args = append(args, "--config", r.config, "--log-level", "debug", "--timeout", "1s")
			return run(t.Context(), args, std, []string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0"})
		}
		if code := do("doctor"); code != exitOK {
			t.Errorf("ended with %d:\n%s", code, out.String())
		}
		for _, fault := range []string{"POST /oauth2/v1/token status=400", "POST /oauth2/v1/token garbage", "GET /** status=401", "GET /** status=500", "GET /** cut", "GET /** redirect=https://evil.example/x"} {
			f, err := simulator.ParseFault(fault)
			if err == nil {
				err = r.sim.AddFault(f)
			}
			if err != nil {
				t.Fatalf("%s: %v", fault, err)
			}
			do("doctor", "-o", "json")
			r.sim.ClearFaults()
		}
		secrets := r.known()
		if len(secrets) < 6 || len(out.String()) < 10_000 {
			t.Fatalf("%d secrets, %d bytes: this test tests nothing", len(secrets), len(out.String()))
		}
		for _, secret := range secrets {
			if strings.Contains(out.String(), secret) {
				t.Errorf("printed a secret that begins with %q", secret[:6])
			}
		}
	}
}

// The JSON form is what programs hold on to.
func TestDoctorJSON(t *testing.T) {
	r := newRig(t, 4, false)
	var out, errs buffer
	code := run(t.Context(), []string{"doctor", "-o", "json", "--config", r.config}, stdio{strings.NewReader(""), &out, &errs},
		[]string{"RECONCILER_HTTP_ADDRESS=127.0.0.1:0"})
	var report doctor.Report
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil || code != exitOK {
		t.Fatalf("%v, ended with %d:\n%s%s", err, code, out.String(), errs.String())
	}
	if report.Version != 1 || !report.OK || len(report.Checks) != 24 || report.Summary.OK != 21 {
		t.Errorf("%+v", report)
	}
}
