package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reconciler/internal/diff"
	"reconciler/internal/okta/simulator"
)

// guardRig is a rig with 60 orgs and a function that declares all of them, from
// some to others as INACTIVE, and applies that.
func guardRig(t *testing.T) (r *rig, apply func(inactive int, args ...string) (code int, out, errs string), inactive func() int) {
	t.Helper()
	r = newRigOf(t, simulator.DefaultSeed(61), false)
	var orgs []simulator.Org
	for _, o := range r.sim.Orgs() {
		if o.Managed && o.Status == "ACTIVE" && !o.AerialOrg && o.Parent != "" {
			orgs = append(orgs, o)
		}
	}
	if len(orgs) < 50 {
		t.Fatalf("only %d orgs", len(orgs))
	}
	orgs = orgs[:50]
	manifests := filepath.Join(r.dir, "guards.yaml")
	apply = func(inactive int, args ...string) (int, string, string) {
		t.Helper()
		text := "version: 1\norgs:\n"
		for i, o := range orgs {
			status := "ACTIVE"
			if i < inactive {
				status = "INACTIVE"
			}
			text += fmt.Sprintf("  - {domain: %s, cell: %s, status: %s, products: [%s]}\n", o.Domain, o.Cell, status, strings.Join(o.Products, ", "))
		}
		if err := os.WriteFile(manifests, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return r.apply(t, append([]string{"--manifests", manifests}, args...)...)
	}
	return r, apply, func() int {
		n := 0
		for _, o := range orgs {
			if org, _ := r.sim.Org(o.Domain); org.Status == "INACTIVE" {
				n++
			}
		}
		return n
	}
}

// Each apply is a process of its own; together they keep to the limit of the day.
func TestApplyKeepsToTheLimitOfTheDay(t *testing.T) {
	_, apply, inactive := guardRig(t)
	for _, n := range []int{8, 14, 18, 20} {
		if code, out, errs := apply(n); code != exitOK || inactive() != n {
			t.Fatalf("exit code %d, %d are INACTIVE:\n%s%s", code, inactive(), out, errs)
		}
	}
	code, out, errs := apply(21, "-o", "json")
	var plan diff.Plan
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	if code != exitRefused || inactive() != 20 || len(plan.Refusals) != 1 || plan.Refusals[0].Guard != "maxDestructiveOrgsPerDay" {
		t.Errorf("exit code %d, %d are INACTIVE, refusals %v:\n%s", code, inactive(), plan.Refusals, errs)
	}
}

// Orgs that can't be read are not as good as gone: ten of fifty don't pass while
// the others answer 403.
func TestApplyCountsWhatCannotBeRead(t *testing.T) {
	r, apply, inactive := guardRig(t)
	if code, out, errs := apply(50); code != exitRefused {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
	forbidden := 0
	for _, o := range r.sim.Orgs() {
		if o.Managed && o.Parent != "" && forbidden < 40 {
			if err := r.sim.SetReadForbidden(o.Domain, true); err != nil {
				t.Fatal(err)
			}
			forbidden++
		}
	}
	code, out, errs := apply(50)
	if code != exitRefused || inactive() != 0 || !strings.Contains(out, "that could not be read may (") {
		t.Errorf("exit code %d, %d are INACTIVE:\n%s%s", code, inactive(), out, errs)
	}
}

// What is wrong with plan or digest is said before a terminal is asked for.
func TestApplyChecksThePlanFirst(t *testing.T) {
	r, _, _ := guardRig(t)
	t.Chdir(t.TempDir())
	if code, errs := execute(t, "apply", "missing.json"); code != exitError || !strings.Contains(errs, "missing.json") || strings.Contains(errs, "terminal") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if err := os.WriteFile("broken.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, errs := execute(t, "apply", "broken.json"); code != exitError || !strings.Contains(errs, "broken.json: a plan of version 0") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	manifests := filepath.Join(r.dir, "m.yaml")
	if err := os.WriteFile(manifests, []byte("version: 1\norgs: [{domain: "+r.sim.Orgs()[2].Domain+", status: ACTIVE}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"apply", "--config", r.config, "--manifests", manifests}
	if code, errs := execute(t, append(args, "--plan-digest", "sha256:0")...); code != exitRefused || !strings.Contains(errs, "nothing was written") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, errs := execute(t, args...); code != exitError || !strings.Contains(errs, "stdin is not a terminal") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
