package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// packed returns the compressed archive of a folder.
func packed(dir, prefix string, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	err := errors.Join(pack(z, dir, prefix, at), z.Close())
	return out.Bytes(), err
}

// pack writes a folder as a tar file, in which names begin with prefix. The same files are
// always the same archive: sorted, owned by root, of one time, and with no other mode than
// whether they are programs.
func pack(w io.Writer, dir, prefix string, at time.Time) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		header := &tar.Header{Name: path.Join(prefix, filepath.ToSlash(name)), Mode: 0o644, ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg, Size: info.Size()}
		switch {
		case d.IsDir():
			header.Typeflag, header.Mode, header.Size = tar.TypeDir, 0o755, 0
			header.Name += "/"
		case info.Mode()&0o100 != 0:
			header.Mode = 0o755
		}
		if err := t.WriteHeader(header); err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t, f)
		return err
	})
	return errors.Join(err, t.Close())
}
