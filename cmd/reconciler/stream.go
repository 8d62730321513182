package main

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"
)

// stream is stdout or stderr. When its reader has gone away ("| head -1", a pager
// that was closed, a terminal that was lost), what is written from then on is
// dropped without an error: the command goes on to its end, and its exit code says
// how its work ended. Other errors, such as a full disk, are returned.
type stream struct {
	file *os.File
	// terminal reports whether the file was a terminal at the start.
	terminal bool
	gone     atomic.Bool
}

func newStream(file *os.File) *stream { return &stream{file: file, terminal: isTerminal(file)} }

// Write writes to the file while somebody reads it.
func (s *stream) Write(p []byte) (int, error) {
	if s.gone.Load() {
		return len(p), nil
	}
	n, err := s.file.Write(p)
	if err != nil && s.readerGone(err) {
		s.gone.Store(true)
		return len(p), nil
	}
	return n, err
}

// Fd returns the file's descriptor.
func (s *stream) Fd() uintptr { return s.file.Fd() }

// readerGone reports whether a write failed because nobody reads. EIO means that
// for a terminal alone; for a file it is an error of the disk.
func (s *stream) readerGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || s.terminal && errors.Is(err, syscall.EIO)
}

// unread reports whether it is known that nobody reads what is written to w.
func unread(w io.Writer) bool {
	s, ok := w.(*stream)
	return ok && s.gone.Load()
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
