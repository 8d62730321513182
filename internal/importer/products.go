package importer

import (
	"fmt"
	mathbits "math/bits"
)

// bits is a set of products, by their places in the survey's list. Nil is no
// set at all; all others of a survey have the same length.
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

// within reports whether all of b is in c.
func (b bits) within(c bits) bool {
	for i, w := range b {
		if w&^c[i] != 0 {
			return false
		}
	}
	return true
}

// and returns what b and c have in common.
func (b bits) and(c bits) bits {
	d := make(bits, len(b))
	for i, w := range b {
		d[i] = w & c[i]
	}
	return d
}

// minus returns what of b is not in c.
func (b bits) minus(c bits) bits {
	d := make(bits, len(b))
	for i, w := range b {
		d[i] = w &^ c[i]
	}
	return d
}

// key is the same for equal sets, and sorts them.
func (b bits) key() string { return fmt.Sprintf("%016x", []uint64(b)) }

// places returns the places of the products.
func (b bits) places() []int {
	var all []int
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			all = append(all, 64*i+mathbits.TrailingZeros64(w))
		}
	}
	return all
}
