package strictyaml

import "sync/atomic"

// Budget limits how many items the lists of one key have in all inputs that are
// decoded with it, together. A list is decoded once its items are within the limit:
// what is beyond takes no memory but that of the YAML. It may be used by several
// goroutines at the same time.
type Budget struct {
	key  string
	most int
	left atomic.Int64
}

// NewBudget returns a Budget of that many items.
func NewBudget(key string, most int) *Budget {
	b := &Budget{key: key, most: most}
	b.left.Store(int64(most))
	return b
}

// Exceeded reports whether there were too many items. Which input is the first to
// have them depends on the order in which they are decoded.
func (b *Budget) Exceeded() bool { return b != nil && b.left.Load() < 0 }

// take takes n items, and returns how many of them are within the limit.
func (b *Budget) take(n int) int {
	left := b.left.Add(-int64(n))
	return n + int(min(0, max(left, -int64(n))))
}
