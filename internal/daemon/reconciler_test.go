package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"reconciler/internal/apply"
	"reconciler/internal/diff"
	"reconciler/internal/reconcile"
	"reconciler/internal/strictyaml"
)

// actions returns a plan's changes as "org action".
func actions(p *diff.Plan) []string {
	var all []string
	for _, c := range p.Changes {
		all = append(all, c.Org+" "+string(c.Action))
	}
	return all
}

func TestPlanAndApply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		r := w.runner.r
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		plan, desired, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		expectLines(t, "plan", actions(plan), emea+" update-products", labs+" update-products")
		if plan.Revision == "" || plan.Revision != desired.Commit || len(desired.State.Orgs) != 3 {
			t.Errorf("revision %q of %+v", plan.Revision, desired)
		}
		expectLines(t, "writes of a plan", w.writes())

		var told []string
		result, err := r.Apply(t.Context(), plan, func(c diff.Change, o apply.Outcome) {
			told = append(told, c.Org+" "+string(o.Result))
		})
		if err != nil || result.Counts() != (apply.Counts{Applied: 2}) {
			t.Fatalf("apply: %+v, %v", result, err)
		}
		slices.Sort(told)
		expectLines(t, "told", told, emea+" applied", labs+" applied")
		plan, _, err = r.Plan(t.Context(), reconcile.Filter{})
		if err != nil || !plan.Empty() {
			t.Errorf("after apply: %v, %v", actions(plan), err)
		}
	})
}

func TestPlanFilters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.tamper(emea, sso)
		w.tamper(labs, sso, lcm)
		tests := []struct {
			f     reconcile.Filter
			want  []string
			reads int // of products of an org
		}{
			{reconcile.Filter{Only: []string{strings.ToUpper(labs)}}, []string{labs + " update-products"}, 1},
			{reconcile.Filter{Exclude: []string{labs}}, []string{emea + " update-products"}, 2},
			{reconcile.Filter{Only: []string{shop, labs}, Exclude: []string{labs}}, nil, 1},
		}
		for _, tc := range tests {
			w.sim.ResetRequests()
			plan, _, err := w.runner.r.Plan(t.Context(), tc.f)
			if err != nil {
				t.Fatal(err)
			}
			expectLines(t, "plan", actions(plan), tc.want...)
			reads := 0
			for _, r := range w.sim.Requests() {
				if strings.HasSuffix(r.Path, "/products") && strings.Contains(r.Path, "/orgs/") {
					reads++
				}
			}
			if reads != tc.reads {
				t.Errorf("%+v: %d product reads, want %d", tc.f, reads, tc.reads)
			}
		}
		if _, _, err := w.runner.r.Plan(t.Context(), reconcile.Filter{Only: []string{"acme-lab.okta.com"}}); err == nil || !strings.Contains(err.Error(), labs) {
			t.Errorf("a filter that names no org: %v", err)
		}
	})
}

// A local folder instead of git, also instead of the config's.
func TestPlanOfLocalManifests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		file := filepath.Join(t.TempDir(), "mine.yaml")
		if err := os.WriteFile(file, []byte(manifest(t, "[sso, mfa]", "[sso]")), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := reconcile.New(w.cfg, reconcile.Options{Manifests: file, Transport: w.sim.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		plan, desired, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		expectLines(t, "plan", actions(plan), emea+" update-products")
		if plan.Revision != "" || desired.Commit != "" {
			t.Errorf("a local file has the revision %q", plan.Revision)
		}
		again, err := r.Desired(t.Context())
		if err != nil || !again.Same(desired) {
			t.Errorf("the same file is another desired state: %v", err)
		}
		if err := os.WriteFile(file, []byte(inSync), 0o644); err != nil {
			t.Fatal(err)
		}
		if again, err = r.Desired(t.Context()); err != nil || again.Same(desired) {
			t.Errorf("another file is the same desired state: %v", err)
		}

		if err := os.WriteFile(file, []byte("version: 1\norgs: 5\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = r.Desired(t.Context())
		mistakes, ok := strictyaml.AsErrors(err)
		if !ok || mistakes[0].Pos.File != file {
			t.Errorf("mistakes in a local file: %v", err)
		}
	})
}

// An unmoved branch is not read a second time.
func TestDesiredIsReadOnce(t *testing.T) {
	w := newWorld(t, worldOptions{})
	first, err := w.runner.r.Desired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.runner.r.Desired(t.Context())
	if err != nil || first != second {
		t.Errorf("read twice: %v", err)
	}
	bad := w.commit("version: 1\n")
	for range 2 {
		_, err := w.runner.r.Desired(t.Context())
		var refused *reconcile.RefusedError
		if !errors.As(err, &refused) || refused.Commit != bad {
			t.Errorf("a commit with mistakes: %v", err)
		}
	}
}

// Who has mistakes in the manifests and no access to the API must hear of the
// mistakes first, whichever is found first.
func TestMistakesOutrankTheAPI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.commit("version: 1\nnonsense: 1\n")
		w.fault("* /oauth2/v1/token status=400")
		_, _, err := w.runner.r.Plan(t.Context(), reconcile.Filter{})
		if _, ok := strictyaml.AsErrors(err); !ok {
			t.Errorf("error %v, want the mistakes", err)
		}
	})
}

// The API is read while the manifests are still on their way.
func TestPlanOverlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{latency: time.Second})
		_, err := w.runner.r.Desired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _, err = w.runner.r.PlanFor(t.Context(), func(ctx context.Context) (*reconcile.Desired, error) {
			time.Sleep(2 * time.Second)
			return w.runner.r.Desired(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		// Token and lists take 2 s, and so do the manifests; products 1 s more.
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestApplyRefused(t *testing.T) {
	w := newWorld(t, worldOptions{})
	_, err := w.runner.r.Apply(t.Context(), &diff.Plan{Refusals: []diff.Refusal{{Guard: "g"}}}, nil)
	if !errors.Is(err, apply.ErrRefused) || len(w.sim.Requests()) > 0 {
		t.Errorf("%v, after %d calls", err, len(w.sim.Requests()))
	}
}

func TestKeyErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		key := filepath.Join(w.dir, "key.pem")
		if err := os.WriteFile(key, []byte("canary, not a key\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.runner.r.Plan(t.Context(), reconcile.Filter{})
		if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "canary") {
			t.Errorf("a file that is no key: %v", err)
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		_, _, err = w.runner.r.Plan(t.Context(), reconcile.Filter{})
		if err == nil || !strings.Contains(err.Error(), "privateKeyFile") || !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("no key file: %v", err)
		}
	})
}

// peak is metrics that remember the most calls that were ever in flight.
type peak struct {
	*callMetrics
	mu  sync.Mutex
	max float64
}

func (p *peak) Started(method, endpoint string) {
	p.callMetrics.Started(method, endpoint)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.max = max(p.max, testutil.ToFloat64(p.inFlight))
}

// Reading and writing together keep to the limit on calls in flight, and the
// metric says so.
func TestConcurrency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{latency: 100 * time.Millisecond})
		cfg := *w.cfg
		cfg.Aerial.Concurrency = 2
		calls := &peak{callMetrics: newMetrics("v1").aerial}
		r, err := reconcile.New(&cfg, reconcile.Options{Observer: calls, Transport: w.sim.RoundTripper()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, domain := range []string{emea, labs, shop} {
			w.tamper(domain)
		}
		plan, _, err := r.Plan(t.Context(), reconcile.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if calls.max != 2 {
			t.Errorf("while reading, reconciler_api_in_flight rose to %v, want 2", calls.max)
		}
		calls.max = 0
		// Some writes are sent twice, some answers never come.
		w.fault("PUT /api/v1/** status=503 times=2")
		w.fault("GET /api/v1/** cut times=1")
		result, err := r.Apply(t.Context(), plan, nil)
		if err != nil || result.Counts().Applied != 3 {
			t.Errorf("apply: %+v, %v", result, err)
		}
		if n := w.sim.MaxInFlight(); n != 2 {
			t.Errorf("%d calls in flight, want 2", n)
		}
		if end := testutil.ToFloat64(calls.inFlight); calls.max != 2 || end != 0 {
			t.Errorf("during the apply, reconciler_api_in_flight rose to %v and ended at %v, want 2 and 0", calls.max, end)
		}
	})
}
