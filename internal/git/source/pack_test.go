package source

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// packer writes a pack, as no git program would if need be.
type packer struct {
	t     *testing.T
	buf   bytes.Buffer
	count uint32
	zip   *zlib.Writer // used again, as making one takes long
}

// raw writes an object of whatever type, declared to have size bytes, and returns
// its place.
func (p *packer) raw(typ plumbing.ObjectType, size int64, link []byte, content io.Reader) int64 {
	p.t.Helper()
	at := int64(p.buf.Len()) + 12
	p.count++
	b := byte(typ)<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.buf.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	p.buf.WriteByte(b)
	p.buf.Write(link)
	if p.zip == nil {
		var err error
		if p.zip, err = zlib.NewWriterLevel(&p.buf, zlib.BestSpeed); err != nil {
			p.t.Fatal(err)
		}
	}
	p.zip.Reset(&p.buf)
	if _, err := io.Copy(p.zip, content); err != nil {
		p.t.Fatal(err)
	}
	if err := p.zip.Close(); err != nil {
		p.t.Fatal(err)
	}
	return at
}

func (p *packer) add(typ plumbing.ObjectType, content string) (int64, plumbing.Hash) {
	p.t.Helper()
	return p.raw(typ, int64(len(content)), nil, strings.NewReader(content)), plumbing.ComputeHash(typ, []byte(content))
}

// commit adds a commit of the blobs by their names, with all it takes but them.
func (p *packer) commit(files ...any) plumbing.Hash {
	p.t.Helper()
	var tree strings.Builder
	for i := 0; i < len(files); i += 2 {
		h := files[i+1].(plumbing.Hash)
		fmt.Fprintf(&tree, "100644 %s\x00%s", files[i], h[:])
	}
	_, h := p.add(plumbing.TreeObject, tree.String())
	_, h = p.add(plumbing.CommitObject, fmt.Sprintf("tree %s\nauthor A <a@x> 0 +0000\ncommitter A <a@x> 0 +0000\n\nx\n", h))
	return h
}

// after and on write a delta to what stands at a place, or has a hash.
func (p *packer) after(at int64, delta []byte) int64 {
	p.t.Helper()
	n := int64(p.buf.Len()) + 12 - at
	link := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		link = append([]byte{0x80 | byte(n&0x7f)}, link...)
	}
	return p.raw(plumbing.OFSDeltaObject, int64(len(delta)), link, bytes.NewReader(delta))
}

func (p *packer) on(h plumbing.Hash, delta []byte) {
	p.t.Helper()
	p.raw(plumbing.REFDeltaObject, int64(len(delta)), h[:], bytes.NewReader(delta))
}

// prepend returns the delta that puts a few bytes before a base of that size.
func prepend(size int, s string) []byte {
	d := binary.AppendUvarint(nil, uint64(size))
	d = binary.AppendUvarint(d, uint64(size+len(s)))
	d = append(append(d, byte(len(s))), s...)
	return append(d, 0x80|0x10|0x20|0x40, byte(size), byte(size>>8), byte(size>>16))
}

// script returns a server that has the commit on main and sends the pack.
func (p *packer) script(main plumbing.Hash) script {
	pack := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), p.count)
	pack = append(pack, p.buf.Bytes()...)
	sum := sha1.Sum(pack)
	line := main.String() + " refs/heads/main\x00ofs-delta\n"
	list := fmt.Sprintf("%04x%s0000", len(line)+4, line)
	return script{[]byte(list), append(append([]byte("0008NAK\n"), pack...), sum[:]...)}
}

func scripted(t *testing.T, path string) *Git {
	return newGit(t, GitOptions{URL: "https://git.example/r", Path: path})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// allocated returns how many bytes f takes from the heap, freed or not.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// A file that shrinks to nothing in a pack must not grow to its size in memory,
// whether a server can leave it out or not.
func TestZerosTakeNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about memory, and takes long for a single goroutine")
	}
	const size, most = 80 << 20, 12 << 20
	want := map[string]string{"orgs/a.yaml": "one"}
	t.Run("any server", func(t *testing.T) {
		p := &packer{t: t}
		p.raw(plumbing.BlobObject, size, nil, io.LimitReader(zeros{}, size))
		_, one := p.add(plumbing.BlobObject, "one")
		_, two := p.add(plumbing.BlobObject, "two")
		s := p.script(p.commit("a.yaml", one, "b.yml", two))
		used := allocated(func() {
			snap, err := scripted(t, "").converse(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, snap, map[string]string{"a.yaml": "one", "b.yml": "two"})
		})
		if used > most {
			t.Errorf("took %d MB of memory for %d MB of zeros", used>>20, size>>20)
		}
	})
	t.Run("git", func(t *testing.T) {
		needGit(t)
		r, _ := newRepo(t, want)
		if err := os.Truncate(tempFileIn(t, r.Dir(), "image.bin"), size/2); err != nil {
			t.Fatal(err)
		}
		git(t, r.Dir(), "-c", "core.compression=1", "add", "-A")
		git(t, r.Dir(), "commit", "-q", "-m", "an image")
		g := newGit(t, GitOptions{URL: serveWeb(t, r.Dir(), true).url(), Path: "orgs"})
		if used := allocated(func() { wantContents(t, fetch(t, g), want) }); used > most {
			t.Errorf("took %d MB of memory for %d MB of zeros", used>>20, size>>20)
		}
	})
}

func tempFileIn(t *testing.T, dir, name string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	write(t, name, "")
	return name
}

func TestPackDeltas(t *testing.T) {
	text := func(s string) plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, []byte(s)) }
	for _, tt := range []struct {
		name string
		make func(p *packer) plumbing.Hash
		want map[string]string
	}{
		{"by place", func(p *packer) plumbing.Hash {
			at, _ := p.add(plumbing.BlobObject, "base")
			at = p.after(at, prepend(4, "1"))
			p.after(at, prepend(5, "2"))
			return p.commit("a.yaml", text("1base"), "b.yaml", text("21base"))
		}, map[string]string{"a.yaml": "1base", "b.yaml": "21base"}},
		{"by hash, from the end", func(p *packer) plumbing.Hash {
			p.on(text("21base"), prepend(6, "3"))
			p.on(text("1base"), prepend(5, "2"))
			p.on(text("base"), prepend(4, "1"))
			p.add(plumbing.BlobObject, "base")
			return p.commit("a.yaml", text("321base"))
		}, map[string]string{"a.yaml": "321base"}},
		{"objects twice", func(p *packer) plumbing.Hash {
			first, _ := p.add(plumbing.BlobObject, "base")
			second, _ := p.add(plumbing.BlobObject, "base")
			p.after(first, prepend(4, "1"))
			p.after(second, prepend(4, "2"))
			p.on(text("base"), prepend(4, "3"))
			p.on(text("base"), prepend(4, "3"))
			p.on(text("3base"), prepend(5, "4"))
			return p.commit("a.yaml", text("1base"), "b.yaml", text("2base"), "c.yaml", text("43base"))
		}, map[string]string{"a.yaml": "1base", "b.yaml": "2base", "c.yaml": "43base"}},
		{"copies of their bases", func(p *packer) plumbing.Hash {
			p.on(text("base"), []byte{4, 4, 0x90, 4})
			at, _ := p.add(plumbing.BlobObject, "base")
			at = p.after(at, []byte{4, 4, 0x90, 4})
			p.after(at, prepend(4, "1"))
			p.on(text("base"), prepend(4, "2"))
			return p.commit("a.yaml", text("base"), "b.yaml", text("1base"), "c.yaml", text("2base"))
		}, map[string]string{"a.yaml": "base", "b.yaml": "1base", "c.yaml": "2base"}},
		{"larger than their results may be", func(p *packer) plumbing.Hash {
			noise := noise(3000) // over limits.file, and yet a base
			at, _ := p.add(plumbing.BlobObject, noise)
			d := append(binary.AppendUvarint(nil, 3000), 3, 0x80|0x10, 3)
			p.after(at, d)
			return p.commit("a.yaml", text(noise[:3]))
		}, map[string]string{"a.yaml": noise(3000)[:3]}},
		{"of trees and commits", func(p *packer) plumbing.Hash {
			_, one := p.add(plumbing.BlobObject, "one")
			entry := func(name string) string { return "100644 " + name + "\x00" + string(one[:]) }
			at, _ := p.add(plumbing.TreeObject, entry("b.yaml"))
			p.after(at, prepend(len(entry("b.yaml")), entry("a.yaml")))
			tree := plumbing.ComputeHash(plumbing.TreeObject, []byte(entry("a.yaml")+entry("b.yaml")))
			rest := "author A <a@x> 0 +0000\ncommitter A <a@x> 0 +0000\n\nx\n"
			at, _ = p.add(plumbing.CommitObject, rest)
			line := "tree " + tree.String() + "\n"
			p.after(at, prepend(len(rest), line))
			return plumbing.ComputeHash(plumbing.CommitObject, []byte(line+rest))
		}, map[string]string{"a.yaml": "one", "b.yaml": "one"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &packer{t: t}
			g := scripted(t, "")
			g.limits.file = 1000
			snap, err := g.converse(t.Context(), p.script(tt.make(p)))
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, snap, tt.want)
		})
	}
}

// A manifest that can't be unpacked because it, or what it builds on, is too
// large is reported as too large, and not as missing.
func TestPackLargeDeltas(t *testing.T) {
	large := noise(5000)
	for name, add := range map[string]func(p *packer) plumbing.Hash{
		"base": func(p *packer) plumbing.Hash {
			at, _ := p.add(plumbing.BlobObject, large)
			p.after(at, append(binary.AppendUvarint(nil, 5000), 3, 0x80|0x10, 3))
			return plumbing.ComputeHash(plumbing.BlobObject, []byte(large[:3]))
		},
		"result": func(p *packer) plumbing.Hash {
			at, _ := p.add(plumbing.BlobObject, "base")
			d := binary.AppendUvarint([]byte{4}, 8000)
			at = p.after(at, append(d, bytes.Repeat([]byte{0x80 | 0x10, 4}, 2000)...))
			p.after(at, prepend(8000, "1"))
			return plumbing.ComputeHash(plumbing.BlobObject, []byte("1"+strings.Repeat("base", 2000)))
		},
		"file": func(p *packer) plumbing.Hash {
			_, h := p.add(plumbing.BlobObject, large)
			return h
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &packer{t: t}
			_, one := p.add(plumbing.BlobObject, "one")
			s := p.script(p.commit("a.yaml", one, "b.yaml", add(p)))
			g := scripted(t, "")
			g.limits.file = 1000
			snap, err := g.converse(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			f, err := snap.FS.Open("b.yaml")
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil || info.Size() <= 1000 {
				t.Errorf("got %v, %v", info.Size(), err)
			}
			if _, err := io.ReadAll(f); err == nil || !strings.Contains(err.Error(), "too large") {
				t.Errorf("got %v, want it to be too large", err)
			}
		})
	}
}

func TestPackLimits(t *testing.T) {
	p := &packer{t: t}
	_, one := p.add(plumbing.BlobObject, strings.Repeat("1", 900))
	_, two := p.add(plumbing.BlobObject, strings.Repeat("2", 900))
	s := p.script(p.commit("a.yaml", one, "b.yaml", two, "c.yaml", one))
	for _, tt := range []struct {
		name  string
		limit func(l *limits)
		kind  error
		words []string
	}{
		{"at the limits", func(l *limits) { l.manifests, l.objects, l.pack, l.unpacked = 1800, 4, 500, 10_000 }, nil, nil},
		{"inflated", func(l *limits) { l.inflated = -16 << 10 }, ErrContent, []string{"the repository is too large: 0 kB of it unpack to more than"}},
		{"unpacked", func(l *limits) { l.unpacked = 1 << 10 }, ErrContent, []string{"the repository is too large", "its changed files unpack to more than 0 MB", "of their own"}},
		{"objects", func(l *limits) { l.objects = 3 }, ErrContent, []string{"the repository is too large", "more than 3 objects", "of their own"}},
		{"manifests", func(l *limits) { l.manifests = 1799 }, ErrContent, []string{"the manifests at commit ", "hold more than 0 MB", "git.path"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scripted(t, "")
			tt.limit(&g.limits)
			_, err := g.converse(t.Context(), s)
			if tt.kind != nil {
				wantError(t, err, tt.kind, tt.words...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// What is there to take time is given up: gigabytes of zeros beside the
// manifests. What a few large files take is not.
func TestZerosTakeLittleTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about time, and takes long for a single goroutine")
	}
	const size = 64 << 20
	for _, tt := range []struct {
		files, inflated int64
		words           []string
	}{
		{1, size, nil},
		{4, size, []string{"the repository is too large", "kB of it unpack to more than 6", "uploadpack.allowFilter"}},
	} {
		p := &packer{t: t}
		for range tt.files {
			p.raw(plumbing.BlobObject, size, nil, io.LimitReader(zeros{}, size))
		}
		_, one := p.add(plumbing.BlobObject, "one")
		g := scripted(t, "")
		g.limits.inflated = tt.inflated
		snap, err := g.converse(t.Context(), p.script(p.commit("a.yaml", one)))
		if tt.words != nil {
			wantError(t, err, ErrContent, tt.words...)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, snap, map[string]string{"a.yaml": "one"})
	}
}

// A manifest that only its size keeps from being read is there, whatever the
// server sent beside it.
func TestPackUnhashed(t *testing.T) {
	const size = 5 * maxFile
	p := &packer{t: t}
	p.raw(plumbing.BlobObject, size, nil, io.LimitReader(zeros{}, size))
	hasher := plumbing.NewHasher(plumbing.BlobObject, size)
	if _, err := io.CopyN(hasher, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	snap, err := scripted(t, "").converse(t.Context(), p.script(p.commit("a.yaml", hasher.Sum())))
	if err != nil {
		t.Fatal(err)
	}
	if f := snap.FS.(memoryFS)["a.yaml"]; f == nil || f.Sys == nil {
		t.Errorf("got %v, want a file that is too large", f)
	}
}

func TestPackMalformed(t *testing.T) {
	for name, make := range map[string]func(p *packer){
		"type":               func(p *packer) { p.raw(5, 1, nil, strings.NewReader("x")) },
		"shorter than it is": func(p *packer) { p.raw(plumbing.BlobObject, 1, nil, strings.NewReader("xy")) },
		"longer than it is":  func(p *packer) { p.raw(plumbing.BlobObject, 3, nil, strings.NewReader("xy")) },
		"delta to nothing":   func(p *packer) { p.on(plumbing.NewHash("aa"), prepend(4, "1")) },
		"delta to no place":  func(p *packer) { p.add(plumbing.BlobObject, "base"); p.after(13, prepend(4, "1")) },
		"delta to itself":    func(p *packer) { p.on(plumbing.ComputeHash(plumbing.BlobObject, []byte("1")), prepend(1, "1")) },
		"delta of nothing":   func(p *packer) { at, _ := p.add(plumbing.BlobObject, "base"); p.after(at, nil) },
		"delta without end":  func(p *packer) { at, _ := p.add(plumbing.BlobObject, "base"); p.after(at, []byte{4, 5, 0x90, 4}) },
		"delta of another":   func(p *packer) { at, _ := p.add(plumbing.BlobObject, "base"); p.after(at, prepend(5, "1")) },
		"delta without size": func(p *packer) {
			at, _ := p.add(plumbing.BlobObject, "base")
			p.after(at, bytes.Repeat([]byte{0xff}, 30))
		},
		"deltas upon deltas": func(p *packer) {
			at, _ := p.add(plumbing.BlobObject, "base")
			for range maxDepth + 1 {
				at = p.after(at, []byte{4, 4, 0x90, 4})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &packer{t: t}
			_, one := p.add(plumbing.BlobObject, "one")
			main := p.commit("a.yaml", one)
			make(p)
			_, err := scripted(t, "").converse(t.Context(), p.script(main))
			wantError(t, err, ErrUnreachable)
			if errors.As(err, new(*overLimit)) || strings.Contains(err.Error(), "broke off") {
				t.Errorf("got %v, want it to be about the pack", err)
			}
		})
	}
}

func TestPackCutOff(t *testing.T) {
	p := &packer{t: t}
	_, one := p.add(plumbing.BlobObject, "one")
	s := p.script(p.commit("a.yaml", one))
	for n := len("0008NAK\n"); n < len(s.pack); n++ {
		_, err := scripted(t, "").converse(t.Context(), script{s.list, s.pack[:n]})
		wantError(t, err, ErrUnreachable, "the connection broke off")
	}
}

func TestPackIsGivenUp(t *testing.T) {
	p := &packer{t: t}
	_, one := p.add(plumbing.BlobObject, "one")
	s := p.script(p.commit("a.yaml", one))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := readPack(ctx, bytes.NewReader(s.pack[8:]), scripted(t, "").limits, false)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Large packs go through a file, of which nothing stays behind.
func TestPackOnDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	p := &packer{t: t}
	at, a := p.add(plumbing.BlobObject, noise(3000))
	p.after(at, prepend(3000, "1"))
	b := plumbing.ComputeHash(plumbing.BlobObject, []byte("1"+noise(3000)))
	s := p.script(p.commit("a.yaml", a, "b.yaml", b))
	for _, memory := range []int{0, 100, 2000} {
		g := scripted(t, "")
		g.limits.memory = memory
		snap, err := g.converse(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, snap, map[string]string{"a.yaml": noise(3000), "b.yaml": "1" + noise(3000)})
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	g := scripted(t, "")
	if _, err := g.converse(t.Context(), s); err != nil {
		t.Errorf("a small pack needs no file: %v", err)
	}
	g = scripted(t, "")
	g.limits.memory = 100
	_, err := g.converse(t.Context(), s)
	wantError(t, err, ErrDenied, "the folder for temporary files can't be used", "no such file", "TMPDIR", "512 MB")
}

// What git packs is read like git reads it, whatever builds on whatever.
func TestPackByGit(t *testing.T) {
	needGit(t)
	random := rand.New(rand.NewPCG(3, 4))
	lines := strings.Split(noise(100*80), " ")
	r, _ := newRepo(t, nil)
	files := map[string]string{}
	var old, want string
	for i := range 30 {
		for range 5 {
			lines[random.IntN(len(lines))] = noise(random.IntN(40))
		}
		files["a.yaml"], files["b/c.yaml"] = strings.Join(lines, "\n"), strings.Join(lines[:len(lines)/2], "\n")
		h := commit(t, r, files)
		if i == 7 {
			old, want = h, files["a.yaml"]
		}
	}
	git(t, r.Dir(), "gc", "-q", "--aggressive")
	s := serveWeb(t, r.Dir(), true)
	wantContents(t, fetch(t, newGit(t, GitOptions{URL: s.url()})), files)
	// Nobody offers that commit, so all the history is fetched.
	g := newGit(t, GitOptions{URL: s.url(), Commit: old, Path: "a.yaml"})
	g.limits.memory = 1000
	wantContents(t, fetch(t, g), map[string]string{"a.yaml": want})
}

// Deltas are read by go-git, whose words for a broken one must be there.
func TestPackNamesBrokenDeltas(t *testing.T) {
	p := &packer{t: t}
	at, one := p.add(plumbing.BlobObject, "base")
	main := p.commit("a.yaml", one)
	p.after(at, prepend(5, "1"))
	_, err := readPack(t.Context(), bytes.NewReader(p.script(main).pack[8:]), scripted(t, "").limits, false)
	if !errors.Is(err, errMalformed) || !errors.Is(err, packfile.ErrInvalidDelta) {
		t.Errorf("got %v", err)
	}
}
