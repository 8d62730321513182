package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spool keeps what is written to it: in memory, and from limit bytes on in a
// temporary file.
type spool struct {
	limit int
	buf   bytes.Buffer
	file  *os.File
	size  int64
}

// errSpool: there is no room for a temporary file.
var errSpool = errors.New("the folder for temporary files can't be used")

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.buf.Len()+len(p) > s.limit {
		if err := s.spill(); err != nil {
			return 0, fmt.Errorf("%w: %w", errSpool, err)
		}
	}
	if s.file == nil {
		return s.buf.Write(p)
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	if err != nil {
		err = fmt.Errorf("%w: %w", errSpool, err)
	}
	return n, err
}

// spill moves what there is so far to a file, which has no name any more, so
// that it goes away with the process, however that ends.
func (s *spool) spill() error {
	f, err := os.CreateTemp("", "reconciler-*.pack")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	s.file = f
	n, err := s.buf.WriteTo(f)
	s.size, s.buf = n, bytes.Buffer{}
	return err
}

// reader gives what was written. Writing more then is a mistake.
func (s *spool) reader() io.ReadSeeker {
	if s.file == nil {
		return bytes.NewReader(s.buf.Bytes())
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

// close gives up what was written. It may be called again.
func (s *spool) close() error {
	s.buf = bytes.Buffer{}
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
