package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"reconciler/internal/report"
)

// outputFlags are -o and --out: which reports of a plan go where. The files
// are open from open to close.
type outputFlags struct {
	format string
	files  []string

	stdout report.Format
	out    []*outFile
}

// outFile is one --out. The file is opened before any work is done, so that a
// path that can't be written stops the command and not its report. Until the
// report is whole it has another name, unless it is something that can't be
// replaced, such as a pipe.
type outFile struct {
	format report.Format
	path   string
	file   *os.File
}

func (o *outputFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&o.format, "output", "o", string(report.Text), strings.Join(report.Formats(), ", ")+": the report on stdout")
	flags.StringArrayVar(&o.files, "out", nil, "also write the report to a file, as `FORMAT=FILE`; may be repeated")
}

// parse checks the flags before any work is done for them.
func (o *outputFlags) parse() error {
	var err error
	if o.stdout, err = report.ParseFormat(o.format); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	for _, f := range o.files {
		name, path, ok := strings.Cut(f, "=")
		if !ok || path == "" {
			return fmt.Errorf("--out %q: must be FORMAT=FILE, such as json=plan.json", f)
		}
		format, err := report.ParseFormat(name)
		switch {
		case err != nil:
			return fmt.Errorf("--out %q: %w", f, err)
		case path == "-":
			return fmt.Errorf("--out %q: use -o %s for stdout", f, format)
		case slices.ContainsFunc(o.out, func(other *outFile) bool { return filepath.Clean(other.path) == filepath.Clean(path) }):
			return fmt.Errorf("--out %q: another --out writes the same file", f)
		}
		o.out = append(o.out, &outFile{format: format, path: path})
	}
	return nil
}

// open opens all files.
func (o *outputFlags) open() error {
	for _, f := range o.out {
		if err := f.open(); err != nil {
			o.close()
			return fmt.Errorf("--out: %w", err)
		}
	}
	return nil
}

// close drops the files that no report was written to.
func (o *outputFlags) close() {
	for _, f := range o.out {
		if f.file == nil {
			continue
		}
		f.file.Close()
		if f.file.Name() != f.path {
			os.Remove(f.file.Name())
		}
	}
}

// write writes all reports. Those to files come first: when one can't be
// written, that is said, and stdout still gets its own.
func (o *outputFlags) write(a *app, d report.Data) error {
	var failed error
	for _, f := range o.out {
		if err := f.write(d); err != nil && failed == nil {
			failed = fmt.Errorf("--out: %w", err)
		}
	}
	d.Color = a.color(a.out)
	if o.stdout == report.Text {
		d.Warnings = nil // they stand on stderr already
	}
	if err := report.Write(a.out, o.stdout, d); err != nil {
		return fmt.Errorf("writing to stdout: %w", err)
	}
	return failed
}

func (f *outFile) open() (err error) {
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		f.file, err = os.OpenFile(f.path, os.O_WRONLY, 0)
		return err
	}
	dir, name := filepath.Split(f.path)
	f.file, err = os.OpenFile(fmt.Sprintf("%s.%s.%d", dir, name, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	return err
}

func (f *outFile) write(d report.Data) error {
	file := f.file
	err := report.Write(file, f.format, d)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if file.Name() != f.path {
		err = os.Rename(file.Name(), f.path)
	}
	if err == nil {
		f.file = nil
	}
	return err
}
