package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"reconciler/internal/report"
)

// outputs are -o and --out: where a report is written in which format. The files are
// open between the calls of open and close.
type outputs[F ~string] struct {
	format string
	files  []string

	parseFormat func(name string) (F, error)
	stdout      F
	out         []*outFile[F]
}

// outFile is one --out. The file is opened before any work is done, so that a
// path that can't be written stops the command early. Until the report is complete
// it has a temporary name, unless it is something that can't be replaced, such as a
// pipe.
type outFile[F ~string] struct {
	format F
	path   string
	file   *os.File
}

// add adds the flags. The first of the formats is the default.
func (o *outputs[F]) add(flags *pflag.FlagSet, formats []string, parse func(string) (F, error)) {
	o.parseFormat = parse
	flags.StringVarP(&o.format, "output", "o", formats[0], "`FORMAT` of the report on stdout: "+strings.Join(formats, ", "))
	setValues(flags, "output", formats)
	flags.StringArrayVar(&o.files, "out", nil, "also write the report to a file, as `FORMAT=FILE`; may be repeated")
}

// parse checks the flags before any work is done for them.
func (o *outputs[F]) parse() error {
	var err error
	if o.stdout, err = o.parseFormat(o.format); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	for _, f := range o.files {
		name, path, ok := strings.Cut(f, "=")
		if !ok || path == "" {
			return fmt.Errorf("--out %q: must be FORMAT=FILE, such as json=report.json", f)
		}
		format, err := o.parseFormat(name)
		switch {
		case err != nil:
			return fmt.Errorf("--out %q: %w", f, err)
		case path == "-":
			return fmt.Errorf("--out %q: use -o %s for stdout", f, format)
		case slices.ContainsFunc(o.out, func(other *outFile[F]) bool { return filepath.Clean(other.path) == filepath.Clean(path) }):
			return fmt.Errorf("--out %q: another --out writes the same file", f)
		}
		o.out = append(o.out, &outFile[F]{format: format, path: path})
	}
	return nil
}

// open opens all files.
func (o *outputs[F]) open() error {
	for _, f := range o.out {
		if err := f.open(); err != nil {
			o.close()
			return err
		}
	}
	return nil
}

// close removes the files that no report was written to.
func (o *outputs[F]) close() {
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

// writeFiles writes the report to all files. It returns the first error, after it
// has tried all of them.
func (o *outputs[F]) writeFiles(write func(io.Writer, F) error) error {
	var failed error
	for _, f := range o.out {
		if err := f.write(write); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

func (f *outFile[F]) open() error {
	path, mode := f.path, os.O_WRONLY
	if info, err := os.Stat(f.path); err != nil || info.Mode().IsRegular() {
		dir, name := filepath.Split(f.path)
		if _, err := os.Stat(filepath.Clean(dir)); errors.Is(err, fs.ErrNotExist) {
			return f.failed(fmt.Errorf("no such folder %q", filepath.Clean(dir)))
		}
		path, mode = fmt.Sprintf("%s.%s.%d", dir, name, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC
	}
	var err error
	if f.file, err = os.OpenFile(path, mode, 0o644); err != nil {
		return f.failed(err)
	}
	return nil
}

func (f *outFile[F]) write(write func(io.Writer, F) error) error {
	file := f.file
	err := write(file, f.format)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return f.failed(err)
	}
	if file.Name() != f.path {
		if err := os.Rename(file.Name(), f.path); err != nil {
			return f.failed(err)
		}
	}
	f.file = nil
	return nil
}

// failed names the flag instead of the temporary file.
func (f *outFile[F]) failed(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("--out %q: %w", string(f.format)+"="+f.path, err)
}

// outputFlags are the outputs of a plan.
type outputFlags struct{ outputs[report.Format] }

func (o *outputFlags) add(flags *pflag.FlagSet) {
	o.outputs.add(flags, report.Formats(), report.ParseFormat)
}

// write writes all reports. If one can't be written to its file, that is the error,
// and stdout still gets its own.
func (o *outputFlags) write(a *app, d report.Data) error {
	failed := o.writeFiles(func(w io.Writer, f report.Format) error { return report.Write(w, f, d) })
	d.Color = a.color(a.out)
	if o.stdout == report.Text {
		d.Warnings = nil // they stand on stderr already
	}
	if err := report.Write(a.out, o.stdout, d); err != nil {
		return fmt.Errorf("writing to stdout: %w", err)
	}
	return failed
}
