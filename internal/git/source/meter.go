package source

import (
	"errors"
	"fmt"
	"io"
)

// meter bounds what is read of a server's answers, part by part: the list of
// refs and what stands before a pack are kept in memory, and the pack is not.
type meter struct {
	limits limits
	left   int64
	over   error // for more than that; it stays once it was returned
	failed error
}

// errNoPack is the error for an answer that has no pack where one begins.
var errNoPack = errors.New("there is no pack in it")

// listOfRefs, answer and objects begin the part of that name.
func (m *meter) listOfRefs() {
	m.begin(m.limits.refs, &overRefs{m.limits.refs})
}

func (m *meter) answer() {
	m.begin(m.limits.preamble, errNoPack)
}

func (m *meter) objects() {
	m.begin(m.limits.pack, &overLimit{fmt.Sprintf("it takes more than %d MB", m.limits.pack>>20)})
}

func (m *meter) begin(limit int64, over error) {
	m.left, m.over, m.failed = limit, over, nil
}

// cause returns the error of the meter, if it ended the part, rather than what
// others made of it.
func (m *meter) cause(err error) error {
	if err != nil && m.failed != nil {
		return m.failed
	}
	return err
}

// reader returns r bounded by the meter.
func (m *meter) reader(r io.Reader) io.Reader { return &metered{r, m} }

type metered struct {
	r io.Reader
	m *meter
}

func (r *metered) Read(p []byte) (int, error) {
	if r.m.failed != nil {
		return 0, r.m.failed
	}
	n, err := r.r.Read(p)
	if r.m.left -= int64(n); r.m.left < 0 {
		r.m.failed = r.m.over
		return 0, r.m.failed
	}
	return n, err
}

// overRefs is the error for a list of refs that takes more bytes than that.
type overRefs struct{ limit int64 }

func (e *overRefs) Error() string {
	return fmt.Sprintf("its list of branches and tags takes more than %d MB", e.limit>>20)
}
