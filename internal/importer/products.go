package importer

import (
	"fmt"
	mathbits "math/bits"
)

// bits is a set of products, by their indexes in the survey's list. Nil is no
// set; all others of a survey have the same length.
type bits []uint64

func newBits(n int) bits { return make(bits, n/64+1) }

func (b bits) add(i int) { b[i/64] |= 1 << (i % 64) }

func (b bits) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

func (b bits) count() int {
	n := 0
	for _, w := range b {
		n += mathbits.OnesCount64(w)
	}
	return n
}

// within reports whether c contains all of b.
func (b bits) within(c bits) bool {
	for i, w := range b {
		if w&^c[i] != 0 {
			return false
		}
	}
	return true
}

func (b bits) equal(c bits) bool { return b.within(c) && c.within(b) }

func (b bits) and(c bits) bits {
	d := make(bits, len(b))
	for i, w := range b {
		d[i] = w & c[i]
	}
	return d
}

func (b bits) minus(c bits) bits {
	d := make(bits, len(b))
	for i, w := range b {
		d[i] = w &^ c[i]
	}
	return d
}

func (b bits) key() string { return fmt.Sprintf("%016x", []uint64(b)) }

func (b bits) indexes() []int {
	var all []int
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			all = append(all, 64*i+mathbits.TrailingZeros64(w))
		}
	}
	return all
}
