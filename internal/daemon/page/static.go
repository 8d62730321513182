package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"reconciler/internal/report"
)

//go:embed static
var staticFS embed.FS

// staticRoot is the folder of the static files.
const staticRoot = "/static/"

// staticFiles are the files that pages refer to. The name of each has the hash of its
// content, so that browsers may keep it for good.
type staticFiles struct {
	paths map[string]string // by the name without hash
	files map[string]staticFile
}

type staticFile struct {
	kind    string
	content []byte
}

func newStatic() (*staticFiles, error) {
	s := &staticFiles{paths: map[string]string{}, files: map[string]staticFile{}}
	entries, err := staticFS.ReadDir("static")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		content, err := staticFS.ReadFile("static/" + e.Name())
		if err != nil {
			return nil, err
		}
		if e.Name() == "page.css" { // differences look as they do in reports
			content = append([]byte(report.Style), content...)
		}
		s.add(e.Name(), content)
	}
	return s, nil
}

// add adds a file.
func (s *staticFiles) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	s.paths[name] = staticRoot + hashed
	s.files[hashed] = staticFile{mime.TypeByExtension(ext), content}
}

// path returns the path of a file by its name.
func (s *staticFiles) path(name string) (string, error) {
	p, ok := s.paths[name]
	if !ok {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return p, nil
}

func (s *staticFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(f.content)
}
