package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reconciler/internal/strictyaml"
)

const envPrefix = "RECONCILER_"

// flagEnv returns the variables of flags, which are not keys of the config.
func flagEnv() []string {
	return []string{"RECONCILER_CONFIG", "RECONCILER_LOG_LEVEL", "RECONCILER_LOG_FORMAT", "RECONCILER_TOKEN", "RECONCILER_TOKEN_FILE"}
}

// environment maps the names of our variables to their values. An empty value
// removes a key from the file.
type environment map[string]string

// ourName matches the names of our variables, without characters that a shell
// doesn't allow or that don't fit into one line of a message.
var ourName = regexp.MustCompile(`^RECONCILER_[A-Za-z0-9_]+$`)

func newEnvironment(environ []string) environment {
	env := environment{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); ourName.MatchString(name) {
			env[name] = value // the last one wins, even if it is empty
		}
	}
	maps.DeleteFunc(env, func(name, value string) bool {
		return slices.Contains(flagEnv(), name) || fromKubernetes(name, value)
	})
	return env
}

// names returns the names of the variables that have a value, and empty those of
// the others.
func (env environment) names() []string { return env.withValue(true) }
func (env environment) empty() []string { return env.withValue(false) }

func (env environment) withValue(has bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(env)), func(name string) bool { return (env[name] != "") != has })
}

// envPlace returns the position of a mistake in a variable: it has no lines.
func envPlace(name string) strictyaml.Pos { return strictyaml.Pos{File: name} }

// The variables that Kubernetes sets in each container for a service called
// "reconciler" or "reconciler-…".
var (
	kubernetesService = regexp.MustCompile(`^RECONCILER_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	kubernetesPort    = regexp.MustCompile(`^RECONCILER_(.+_)?PORT$`)
)

func fromKubernetes(name, value string) bool {
	// RECONCILER_HTTP_PORT=8080 is a mistake; Kubernetes' value is a URL.
	return kubernetesService.MatchString(name) || kubernetesPort.MatchString(name) && strings.Contains(value, "://")
}

// overlay sets the fields of the file that have a variable, and removes those
// whose variable is empty or whose key is excluded by that of a variable.
func (env environment) overlay(f *file) (warnings []Warning, errs strictyaml.Errors) {
	addItems(env, "parent", "PARENTS", &f.Parents, &errs)
	addItems(env, "window", "WINDOWS", &f.Windows, &errs)
	addItems(env, "suspension", "SUSPEND", &f.Suspend, &errs)
	addItems(env, "receiver", "NOTIFY", &f.Notify, &errs)
	known := map[string]*field{}
	for _, fd := range f.fields() {
		known[fd.env()] = fd
	}
	for _, name := range env.empty() {
		switch fd := known[name]; {
		case fd == nil:
			env.unknown(name, known, &warnings, &errs)
		case fd.isSet() && fd.protects():
			errs.Add(envPlace(name), "is empty, and commits would be applied unverified: unset the variable, or remove the key from the file")
		default:
			fd.remove()
		}
	}
	for _, r := range f.removeExcluded(func(fd *field) bool { return env[fd.env()] != "" }) {
		errs.Add(envPlace(r.by.env()), "would replace %s, and with it %s, and manifests would be applied unverified: unset the variable, or remove %s from the file",
			r.of.path, KeyGitVerify, KeyGitVerify)
	}
	for _, name := range env.names() {
		if fd := known[name]; fd != nil {
			fd.override(name, env[name], &errs)
		} else {
			env.unknown(name, known, &warnings, &errs)
		}
	}
	return warnings, errs
}

// unknown adds a warning of an unknown variable, or an error where ignoring it
// would allow writes that it should prevent.
func (env environment) unknown(name string, known map[string]*field, warnings *[]Warning, errs *strictyaml.Errors) {
	near := nearestVariable(name, known)
	msg := "unknown variable: it is not used (docs/config.md lists those that are)"
	if near != "" {
		msg = fmt.Sprintf("unknown variable: did you mean %q?", near)
	}
	if env[name] != "" && (restricts.MatchString(name) || restricts.MatchString(near)) {
		errs.Add(envPlace(name), "%s", msg)
		return
	}
	*warnings = append(*warnings, Warning{envPlace(name), msg})
}

// nearestVariable returns the variable that an unknown one is probably meant to be,
// or "": the one that ends in the same words, without those of the blocks around
// it, or else the one that is spelled most alike. It compares names without their
// common prefix.
func nearestVariable(name string, known map[string]*field) string {
	var names []string
	rest := strings.ToUpper(strings.TrimPrefix(name, envPrefix))
	for _, n := range append(slices.Sorted(maps.Keys(known)), flagEnv()...) {
		if strings.Contains(rest, "_") && strings.HasSuffix(n, "_"+rest) {
			return n
		}
		names = append(names, strings.TrimPrefix(n, envPrefix))
	}
	if near := strictyaml.Nearest(rest, names); near != "" {
		return envPrefix + near
	}
	return ""
}

// restricts matches the variables of all keys that prevent writes, and of those that
// say who may use the endpoints.
var restricts = regexp.MustCompile(`^RECONCILER_(GIT_VERIFY|WINDOWS?|SUSPEND|GUARDS?|MODE|HTTP_AUTH)(_|$)`)

// addItems appends the items of a list that only the environment has: variables
// that begin with RECONCILER_KEY_ and an index. Variables that belong to no item
// are errors, and dropped.
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
			errs.Add(pos, "there is no %s %d before this one: %ss count from 0 without gaps", noun, len(*list), noun)
			for _, name := range named[i] {
				delete(env, name)
			}
		}
	}
}

// override sets the field from a variable.
func (f *field) override(name, value string, errs *strictyaml.Errors) {
	pos := envPlace(name)
	if !f.envOnly && (strings.ContainsFunc(value, unicode.IsControl) || !utf8.ValidString(value)) {
		errs.Add(pos, "the value contains line breaks or other control characters, or is not UTF-8")
		return
	}
	if problem := f.assign(value, pos); problem != "" {
		errs.Add(pos, "the value %s", problem)
		return
	}
	f.mark(pos)
	for _, b := range f.blocks {
		if !b.isSet() {
			b.mark(pos)
		}
	}
}
