package source

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/google/go-cmp/cmp"

	"reconciler/internal/git/gitrepo"
)

// script is a session with a server that sends what is in it.
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
		g.limits.pack, g.limits.inflated, g.limits.unpacked = 1<<20, 16<<20, 64<<20
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

// Whatever a server sends for a history, commits have their hashes, and each
// parent is given too unless it belongs to since, or it is an error.
func FuzzHistory(f *testing.F) {
	r, err := gitrepo.Init(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	var hashes []string
	for range 3 {
		h, err := r.Commit("a change", nil)
		if err != nil {
			f.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	var list, pack bytes.Buffer
	if err := serveUploadPack(r.Dir(), nil, &list, nil); err != nil {
		f.Fatal(err)
	}
	if err := serveUploadPack(r.Dir(), strings.NewReader("0032want "+hashes[2]+"\n00000009done\n"), nil, &pack); err != nil {
		f.Fatal(err)
	}
	f.Add(list.Bytes(), pack.Bytes())
	f.Add(list.Bytes(), []byte("0008NAK\nPACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82;\xd8\xa8\xea\xb5\x10\xadj\xc7\\\x82<\xfd>\xd3\x1e"))
	f.Add(list.Bytes(), []byte("0020ERR upload-pack: not our ref"))

	f.Fuzz(func(t *testing.T, list, pack []byte) {
		g, err := NewGit(GitOptions{URL: "https://git.example/r"})
		if err != nil {
			t.Fatal(err)
		}
		g.limits.pack, g.limits.inflated, g.limits.unpacked = 1<<20, 16<<20, 64<<20
		tip, since := plumbing.NewHash(hashes[2]), plumbing.NewHash(hashes[0])
		h, err := g.converseHistory(t.Context(), script{list, pack}, newer, tip, since)
		if err != nil {
			wantError(t, err, nil)
			return
		}
		if len(h.missing) > 0 {
			return
		}
		var got []string
		for _, c := range h.commits {
			if sum := plumbing.ComputeHash(plumbing.CommitObject, c.Raw); sum.String() != c.Hash {
				t.Errorf("a commit %s with the hash %s", sum, c.Hash)
			}
			got = append(got, c.Hash)
		}
		if diff := cmp.Diff([]string{hashes[2], hashes[1]}, got); diff != "" || !h.ancestor {
			t.Errorf("ancestor %v, commits (-want +got):\n%s", h.ancestor, diff)
		}
	})
}

// Whatever people write, it is one of the commits, or an error.
func FuzzResolve(f *testing.F) {
	r, err := gitrepo.Init(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	commits := map[string]bool{}
	for range 3 {
		h, err := r.Commit("a change", nil)
		if err != nil {
			f.Fatal(err)
		}
		commits[h] = true
		f.Add(h)
		f.Add(h[:7] + "^")
	}
	for _, rev := range []string{"HEAD~1", "@{u}", "main^{commit}~1", "refs/heads/main", "origin/x", "a..b", "FETCH_HEAD", "v1^^0~", "main@{1}", "x:y", "a\nb@{u}", "a@{\n}", "a\nb^@"} {
		f.Add(rev)
	}
	repo, err := OpenRepository(r.Dir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rev string) {
		h, err := repo.Resolve(rev)
		if err != nil {
			wantError(t, err, nil)
			return
		}
		if !commits[h] {
			t.Errorf("%q: got %s, which is no commit of the repository", rev, h)
		}
	})
}
