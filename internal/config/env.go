package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"reconciler/internal/strictyaml"
)

const envPrefix = "RECONCILER_"

// otherEnv are variables that are not keys of the config: those of flags.
func otherEnv() []string {
	return []string{"RECONCILER_CONFIG", "RECONCILER_LOG_LEVEL", "RECONCILER_LOG_FORMAT"}
}

// environment is the variables that concern us and are not empty.
type environment map[string]string

// ours matches the names that concern us. Other characters are no part of a
// name that a shell could set, nor fit for one line of a message.
var ours = regexp.MustCompile(`^RECONCILER_[A-Za-z0-9_]+$`)

func newEnvironment(environ []string) environment {
	env := environment{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !ours.MatchString(name) {
			continue
		}
		// The last one wins, and an empty one takes back what came before.
		delete(env, name)
		if value != "" {
			env[name] = value
		}
	}
	for _, name := range otherEnv() {
		delete(env, name)
	}
	for name, value := range env {
		if fromKubernetes(name, value) {
			delete(env, name)
		}
	}
	return env
}

func (env environment) names() []string { return slices.Sorted(maps.Keys(env)) }

// envPlace is where a mistake in a variable is.
func envPlace(name string) strictyaml.Pos { return strictyaml.Pos{File: name, Line: 1, Column: 1} }

// What Kubernetes sets in each container for a service of the name "reconciler"
// or "reconciler-…".
var (
	kubernetesService = regexp.MustCompile(`^RECONCILER_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	kubernetesPort    = regexp.MustCompile(`^RECONCILER_(.+_)?PORT$`)
)

func fromKubernetes(name, value string) bool {
	// RECONCILER_HTTP_PORT=8080 is somebody's mistake; Kubernetes would have
	// put a URL there.
	return kubernetesService.MatchString(name) || kubernetesPort.MatchString(name) && strings.Contains(value, "://")
}

// overlay puts the environment on top of the file.
func (env environment) overlay(f *file) (warnings []Warning, errs strictyaml.Errors) {
	addItems(env, "parent", "PARENTS", &f.Parents, &errs)
	addItems(env, "window", "WINDOWS", &f.Windows, &errs)
	addItems(env, "suspension", "SUSPEND", &f.Suspend, &errs)
	known := map[string]*field{}
	for _, fd := range f.fields() {
		known[fd.env()] = fd
	}
	for _, name := range env.names() {
		pos := envPlace(name)
		fd := known[name]
		switch {
		case fd != nil:
			fd.override(name, env[name], &errs)
		case holdsBack.MatchString(name):
			// To go on without would be to write what was not to be written.
			errs.Add(pos, "unknown variable%s", env.didYouMean(name, known))
		default:
			warnings = append(warnings, Warning{pos, "unknown variable" + env.didYouMean(name, known)})
		}
	}
	return warnings, errs
}

// didYouMean compares names without what they all begin with.
func (env environment) didYouMean(name string, known map[string]*field) string {
	var names []string
	for _, n := range append(slices.Sorted(maps.Keys(known)), otherEnv()...) {
		names = append(names, strings.TrimPrefix(n, envPrefix))
	}
	if near := strictyaml.Nearest(strings.TrimPrefix(name, envPrefix), names); near != "" {
		return fmt.Sprintf(": did you mean %q?", envPrefix+near)
	}
	return ": it is not used (docs/config.md has those that are)"
}

// holdsBack matches variables of keys that are there to hold something back.
var holdsBack = regexp.MustCompile(`^RECONCILER_(GIT_VERIFY|WINDOWS?|SUSPEND)(_|$)`)

// addItems makes room for the items of a list that only the environment tells
// of: its variables begin with RECONCILER_KEY_ and an index. It drops variables
// that belong to no item, after having said so.
func addItems[T any](env environment, noun, key string, list *[]at[T], errs *strictyaml.Errors) {
	named := map[int][]string{} // variables by index
	for _, name := range env.names() {
		rest, ok := strings.CutPrefix(name, envPrefix+key+"_")
		index, _, more := strings.Cut(rest, "_")
		if !ok || !more || strings.Trim(index, "0123456789") != "" || index == "" {
			continue
		}
		i, err := strconv.Atoi(index)
		if err != nil || strconv.Itoa(i) != index {
			errs.Add(envPlace(name), "%q is no index: %ss count from 0", index, noun)
			delete(env, name)
			continue
		}
		named[i] = append(named[i], name)
	}
	for _, i := range slices.Sorted(maps.Keys(named)) {
		pos := envPlace(named[i][0])
		switch {
		case i == len(*list):
			*list = append(*list, at[T]{Pos: pos, Set: true})
		case i > len(*list):
			errs.Add(pos, "there is no %s %d before this one: %ss count from 0 and leave none out", noun, len(*list), noun)
			for _, name := range named[i] {
				delete(env, name)
			}
		}
	}
}

// override sets the field from a variable.
func (f *field) override(name, value string, errs *strictyaml.Errors) {
	pos := envPlace(name)
	if !f.envOnly && strings.ContainsFunc(value, unicode.IsControl) {
		errs.Add(pos, "the value holds line breaks or other control characters")
		return
	}
	if problem := f.assign(value, pos); problem != "" {
		errs.Add(pos, "the value %s", problem)
		return
	}
	mark(f.value, pos)
	for _, b := range f.blocks {
		if !b.FieldByName("Set").Bool() {
			mark(b, pos)
		}
	}
}

// mark notes that an at[T] was given, and where.
func mark(v reflect.Value, pos strictyaml.Pos) {
	v.FieldByName("Pos").Set(reflect.ValueOf(pos))
	v.FieldByName("Set").SetBool(true)
	v.FieldByName("Bad").SetBool(false)
}
