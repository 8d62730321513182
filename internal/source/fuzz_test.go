package source

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/google/go-cmp/cmp"

	"reconciler/internal/source/gitrepo"
)

// script is a session with a server that says what it was told to.
type script struct{ list, pack []byte }

func (s script) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	return adv, adv.Decode(bytes.NewReader(s.list))
}

func (s script) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	resp := packp.NewUploadPackResponse(req)
	return resp, resp.Decode(io.NopCloser(bytes.NewReader(s.pack)))
}

func (script) Close() error { return nil }

// Whatever a server sends, it is either the commit that the list names, to the
// last byte, or an error.
func FuzzServer(f *testing.F) {
	files := map[string]string{"a.yaml": "one", "eu/b.yml": "two"}
	r, err := gitrepo.Init(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	hash, err := r.Commit("a change", files)
	if err != nil {
		f.Fatal(err)
	}
	var list, pack bytes.Buffer
	if err := serveUploadPack(r.Dir(), nil, &list, nil); err != nil {
		f.Fatal(err)
	}
	want := "0032want " + hash + "\n00000009done\n"
	if err := serveUploadPack(r.Dir(), bytes.NewReader([]byte(want)), nil, &pack); err != nil {
		f.Fatal(err)
	}
	f.Add(list.Bytes(), pack.Bytes())
	f.Add([]byte("0000"), []byte("0008NAK\nPACK"))
	f.Add([]byte("000eERR oh no!"), []byte("0020ERR upload-pack: not our ref"))

	f.Fuzz(func(t *testing.T, list, pack []byte) {
		g, err := NewGit(GitOptions{URL: "https://git.example/r"})
		if err != nil {
			t.Fatal(err)
		}
		g.limits.pack, g.limits.unpacked = 1<<20, 64<<20
		snap, err := g.converse(t.Context(), script{list, pack})
		if err != nil {
			wantError(t, err, nil)
			return
		}
		if snap.Commit != hash {
			return // a list of its own, with a commit to match
		}
		if diff := cmp.Diff(files, contents(t, snap)); diff != "" {
			t.Errorf("commit %s with other files (-want +got):\n%s", hash, diff)
		}
	})
}
