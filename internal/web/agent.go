package web

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
)

// Version is the version of this program, in one word. The program sets it before
// it does anything else.
var Version = "devel"

// NewRunID returns the id of a run that begins at t. Ids sort by time, and are unique
// across processes.
func NewRunID(t time.Time) string {
	return t.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// runKey is the key of a run's id in a context.
type runKey struct{}

// WithRun returns a context for what a run with this id does.
func WithRun(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, runKey{}, id)
}

// UserAgent returns what requests name as their User-Agent: this program, its
// version, and the run that they belong to, if any. Servers log it.
func UserAgent(ctx context.Context) string {
	agent := "reconciler/" + Version
	if id, ok := ctx.Value(runKey{}).(string); ok {
		agent += " (run " + id + ")"
	}
	return agent
}
