package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// job is one run of a CI job for a test: in a checkout, with nothing in its
// environment but what is given.
type job struct {
	dir string
	env map[string]string
}

// run runs a script as a runner does, and returns what it printed.
func (j *job) run(t *testing.T, more map[string]string, shell ...string) (log string, code int) {
	t.Helper()
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "CI": "true", "GIT_CONFIG_NOSYSTEM": "1",
		// Without these, a program that was built for the race detector or for
		// coverage waits at its end, or warns there on stderr.
		"GORACE": raceSetting, "GOCOVERDIR": os.Getenv("GOCOVERDIR"),
	}
	maps.Copy(env, j.env)
	maps.Copy(env, more)
	cmd := exec.CommandContext(t.Context(), shell[0], shell[1:]...)
	cmd.Dir = j.dir
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// runAction carries out action.yml as a runner does: the steps in their order, with
// expressions evaluated, until one fails. with are the inputs of its caller, and
// github is the context of that name.
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax
func (j *job) runAction(t *testing.T, with map[string]string, github map[string]any) (outputs map[string]string, log string, code int) {
	t.Helper()
	var a actionFile
	decodeTop(t, "action.yml", &a)
	steps, inputs := map[string]any{}, map[string]any{}
	context := map[string]any{"github": github, "inputs": inputs, "steps": steps}
	for name, in := range a.Inputs {
		inputs[name] = interpolate(t, *in.Default, context)
	}
	for name, value := range with {
		if inputs[name] == nil {
			t.Fatalf("the action has no input %q", name)
		}
		inputs[name] = value
	}
	output := filepath.Join(t.TempDir(), "output")
	for i := range a.Runs.Steps {
		step := &a.Runs.Steps[i]
		if step.Shell != "bash" {
			t.Fatalf("step %s runs in %q, which this runner doesn't have", step.ID, step.Shell)
		}
		path, err := filepath.Abs(top)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"GITHUB_OUTPUT": output, "GITHUB_ACTION_PATH": path}
		for name, value := range step.Env {
			env[name] = interpolate(t, value, context)
		}
		at := job{filepath.Join(j.dir, interpolate(t, step.Dir, context)), j.env}
		var text string
		text, code = at.run(t, env, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		log += text
		steps[step.ID] = map[string]any{"outputs": readOutputs(t, output)}
		if code != 0 {
			break
		}
	}
	outputs = map[string]string{}
	for name, out := range a.Outputs {
		outputs[name] = interpolate(t, out.Value, context)
	}
	return outputs, log, code
}

// readOutputs reads what a step wrote to GITHUB_OUTPUT, and makes room for the next.
func readOutputs(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	outputs := map[string]any{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			t.Errorf("not an output: %q", line)
		}
		outputs[name] = value
	}
	_ = os.Remove(file)
	return outputs
}

// interpolate fills in the expressions of a text.
func interpolate(t *testing.T, text string, context map[string]any) string {
	t.Helper()
	return expression.ReplaceAllStringFunc(text, func(m string) string {
		e := &evaluation{context: context, tokens: token.FindAllString(strings.TrimSuffix(strings.TrimPrefix(m, "${{"), "}}"), -1)}
		value := e.or()
		if len(e.tokens) > 0 || e.failed {
			t.Fatalf("%s is not understood from %q on", m, e.tokens)
		}
		return words(value)
	})
}

var token = regexp.MustCompile(`'[^']*'|&&|\|\||[=!]=|[<>]=?|[\w.-]+|\S`)

// evaluation evaluates an expression of a workflow, as far as action.yml has need
// of them: operators, literals and contexts, without functions.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
type evaluation struct {
	context map[string]any
	tokens  []string
	failed  bool
}

// next takes the next token if it is one of these.
func (e *evaluation) next(of ...string) string {
	if len(e.tokens) == 0 || !slices.Contains(of, e.tokens[0]) {
		return ""
	}
	first := e.tokens[0]
	e.tokens = e.tokens[1:]
	return first
}

func (e *evaluation) or() any {
	value := e.and()
	for e.next("||") != "" {
		if other := e.and(); !truthy(value) {
			value = other
		}
	}
	return value
}

func (e *evaluation) and() any {
	value := e.compare()
	for e.next("&&") != "" {
		if other := e.compare(); truthy(value) {
			value = other
		}
	}
	return value
}

func (e *evaluation) compare() any {
	left := e.operand()
	op := e.next("==", "!=", ">", "<")
	if op == "" {
		return left
	}
	right := e.operand()
	l, r := number(left), number(right)
	a, textual := left.(string)
	if b, ok := right.(string); ok && textual {
		l, r = float64(strings.Compare(strings.ToLower(a), strings.ToLower(b))), 0
	}
	return map[string]bool{"==": l == r, "!=": l != r, ">": l > r, "<": l < r}[op]
}

func (e *evaluation) operand() any {
	if len(e.tokens) == 0 {
		e.failed = true
		return nil
	}
	word := e.tokens[0]
	e.tokens = e.tokens[1:]
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return n
	}
	if strings.HasPrefix(word, "'") {
		return strings.Trim(word, "'")
	}
	var value any = e.context
	for name := range strings.SplitSeq(word, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil // which a context is where there is none
		}
		value = object[name]
	}
	return value
}

func truthy(v any) bool { return v != nil && v != false && v != "" && v != 0.0 }

// number is what a value counts for when it is compared with one of another kind.
func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
	case string:
		n, err := strconv.ParseFloat(cmp.Or(v, "0"), 64)
		if err != nil {
			return math.NaN()
		}
		return n
	}
	return 0
}

func words(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func TestExpressions(t *testing.T) {
	context := map[string]any{
		"inputs": map[string]any{"comment": "true", "none": ""},
		"github": map[string]any{"repository": "Acme/orgs", "event": map[string]any{"number": 7.0}},
	}
	for text, desired := range map[string]string{
		"a ${{ inputs.comment }}-${{ github.event.number }}":                           "a true-7",
		"${{ github.event.pull_request.number > 0 && 'yes' || 'no' }}":                 "no",
		"${{ github.event.number > 0 && github.repository == 'acme/ORGS' }}":           "true",
		"${{ github.event.number > 0 && github.repository != 'acme/orgs' }}":           "false",
		"${{ inputs.comment == 'true' && github.event.number && 'github' || '' }}":     "github",
		"${{ inputs.comment == 'true' && github.event.nothing && 'github' || '' }}":    "",
		"${{ inputs.none || inputs.comment }}":                                         "true",
		"${{ github.event.nothing.of.the.kind }}":                                      "",
		"${{ github.event.head.repo.full_name != github.repository && 'fork' || '' }}": "fork",
	} {
		if actual := interpolate(t, text, context); actual != desired {
			t.Errorf("%s: %q, not %q", text, actual, desired)
		}
	}
}
