package daemon

import (
	"runtime/debug"
	"slices"
	"strings"
)

// gcPercent is by how much the heap may grow before garbage is collected. Go's default of 100
// doubles the memory of a large fleet; a daemon waits most of the time, and can afford to
// collect more often.
const gcPercent = 50

// SaveMemory makes this process use less memory than a Go program does by default, unless GOGC
// is set in environ, which has the form of os.Environ.
func SaveMemory(environ []string) {
	if !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "GOGC=") }) {
		debug.SetGCPercent(gcPercent)
	}
}
