package daemon

import (
	"slices"

	"reconciler/internal/apply"
)

// One cause can make every org of an account drift, fail or alarm. What follows
// bounds what is made of that; counts are always of all.
const (
	// logLines is how many log lines a run has of one kind. One more has the number
	// of those that were left out.
	logLines = 10
	// maxListed is how many items a list of the status has, and how many series
	// reconciler_drift.
	maxListed = 1000
	// maxWords is how many words of a list a log line has.
	maxWords = 50
)

// few calls log with each of the first logLines indexes below n, and rest with how
// many are left, if any are.
func few(n int, log func(i int), rest func(left int)) {
	for i := range min(n, logLines) {
		log(i)
	}
	if left := n - logLines; left > 0 {
		rest(left)
	}
}

// first returns a copy of the first maxListed items of a list; never nil.
func first[T any](all []T) []T {
	return append([]T{}, all[:min(len(all), maxListed)]...)
}

// firstOutcomes is first for outcomes, of which failures are kept before others.
func firstOutcomes(all []apply.Outcome) []apply.Outcome {
	if len(all) <= maxListed {
		return all
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b apply.Outcome) int { return failedFirst(a) - failedFirst(b) })
	return first(sorted)
}

func failedFirst(o apply.Outcome) int {
	if o.Result == apply.Failed {
		return 0
	}
	return 1
}
