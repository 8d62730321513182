package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// spool keeps what is written to it: in memory, and from limit bytes on in a
// temporary file.
type spool struct {
	limit int
	buf   bytes.Buffer
	file  *os.File
}

var errSpool = errors.New("the folder for temporary files can't be used")

func (s *spool) Write(p []byte) (n int, err error) {
	if s.file == nil && s.buf.Len()+len(p) <= s.limit {
		return s.buf.Write(p)
	}
	if s.file == nil {
		err = s.spill()
	}
	if err == nil {
		n, err = s.file.Write(p)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errSpool, err)
	}
	return n, err
}

// spill moves what there is so far to a file without a name, which goes away
// with the process, however that ends.
func (s *spool) spill() error {
	f, err := os.CreateTemp("", "reconciler-*.pack")
	if err != nil {
		return err
	}
	s.file = f
	_, err = s.buf.WriteTo(f)
	s.buf = bytes.Buffer{}
	return errors.Join(err, os.Remove(f.Name()))
}

// reader returns what was written, which must be all of it.
func (s *spool) reader() io.ReadSeeker {
	if s.file == nil {
		return bytes.NewReader(s.buf.Bytes())
	}
	return io.NewSectionReader(s.file, 0, math.MaxInt64)
}

// close releases what was written.
func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
