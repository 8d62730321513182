package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"reconciler/internal/report"
)

// outputFlags are -o and --out: which reports of a plan go where.
type outputFlags struct {
	format string
	files  []string

	stdout report.Format
	out    []outFile
}

// outFile is one --out.
type outFile struct {
	format report.Format
	path   string
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
		if err != nil {
			return fmt.Errorf("--out %q: %w", f, err)
		}
		o.out = append(o.out, outFile{format, path})
	}
	return nil
}

// write writes all reports. Those to files come first: when one can't be
// written, that is said, and stdout still gets its own.
func (o *outputFlags) write(a *app, d report.Data) error {
	var failed error
	for _, f := range o.out {
		if err := writeReport(f, d); err != nil && failed == nil {
			failed = err
		}
	}
	d.Color = a.color(a.out)
	if err := report.Write(a.out, o.stdout, d); err != nil {
		return fmt.Errorf("writing to stdout: %w", err)
	}
	return failed
}

func writeReport(f outFile, d report.Data) error {
	var b bytes.Buffer
	if err := report.Write(&b, f.format, d); err != nil {
		return err
	}
	if err := os.WriteFile(f.path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}
