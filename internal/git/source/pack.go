package source

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// pack is the objects that a server sent, as it sent them: packed, with an
// index. An object is unpacked when it is asked for, so that one which nobody
// asks for costs no memory, however large it is. go-git's own ways to take in a
// pack unpack each object in memory: two megabytes of it can hold gigabytes of
// zeros.
//
// The format: https://git-scm.com/docs/gitformat-pack
type pack struct {
	// Storage is empty: it makes up what go-git wants of a storage besides
	// EncodedObject, which is all that is asked for here.
	*memory.Storage

	limits  limits
	spool   *spool
	scan    *packfile.Scanner // over what was spooled
	entries []entry
	byHash  map[plumbing.Hash]int // index into entries
	// recent holds contents by the place of their entries in the pack: objects
	// are mostly the bases of those that come next.
	recent *cache.BufferLRU
	// left is how many bytes may yet be unpacked.
	left int64
	// partial says that a file that isn't in byHash is larger than limits.file,
	// rather than missing.
	partial bool
}

// entry is one object of a pack.
type entry struct {
	at    int64               // its place in the pack
	typ   plumbing.ObjectType // once a delta is resolved: that of its base
	large bool                // too large to be unpacked in memory
	depth int16               // of a chain of deltas
	base  int                 // index of what it is a delta to; -1 for none
	size  int64               // unpacked
}

const (
	// maxDepth is how long a chain of deltas may be; git makes none longer.
	maxDepth = 4095
	// maxRecent bounds pack.recent, in bytes.
	maxRecent = 32 << 20
	// deltaHead is the most that the two sizes at the start of a delta take.
	deltaHead = 2 * binary.MaxVarintLen64
)

// What a pack is refused for, besides errTooMuch.
var (
	errUnpacked  = errors.New("the answer is too large when it is unpacked")
	errTooMany   = errors.New("the answer holds too many objects")
	errMalformed = errors.New("the pack is malformed")
)

// tooLarge says that an object is not unpacked because of its size, in bytes;
// where the size isn't known, it is just over the limit.
type tooLarge struct{ size int64 }

func (e *tooLarge) Error() string {
	return fmt.Sprintf("it is too large (%d bytes or more)", e.size)
}

// readPack takes in a pack, to be closed. It is partial when the server was
// asked to leave out files larger than limits.file.
func readPack(ctx context.Context, r io.Reader, l limits, partial bool) (*pack, error) {
	p := &pack{
		Storage: memory.NewStorage(),
		limits:  l,
		spool:   &spool{limit: l.memory},
		byHash:  map[plumbing.Hash]int{},
		recent:  cache.NewBufferLRU(maxRecent),
		left:    l.unpacked,
		partial: partial,
	}
	deltas, err := p.index(ctx, r)
	if err == nil {
		p.scan = packfile.NewScanner(p.spool.reader())
		err = p.resolve(ctx, deltas)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close gives up the pack. Objects that were read before stay.
func (p *pack) Close() error { return p.spool.close() }

// EncodedObject gives an object, in memory. It gives a *tooLarge for a file
// over limits.file, and for anything that isn't unpacked in memory.
func (p *pack) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	i, ok := p.byHash[h]
	switch {
	case !ok && p.partial && t == plumbing.BlobObject:
		return nil, &tooLarge{p.limits.file + 1}
	case !ok || t != plumbing.AnyObject && t != p.entries[i].typ:
		return nil, plumbing.ErrObjectNotFound
	}
	e := &p.entries[i]
	if e.large || e.typ == plumbing.BlobObject && e.size > p.limits.file {
		return nil, &tooLarge{e.size}
	}
	data, err := p.content(i)
	if err != nil {
		return nil, err
	}
	o := &plumbing.MemoryObject{}
	o.SetType(e.typ)
	if _, err := o.Write(data); err != nil {
		return nil, err
	}
	return o, nil
}

// deltas are the entries that can't be read before others are, by their bases:
// a base is named by its place or by its hash.
type deltas struct {
	of     map[int][]int
	ofHash map[plumbing.Hash][]int
	count  int
	bases  []base // what can be read at once, in the order of the pack
}

// base is an entry whose type and hash are known.
type base struct {
	i    int
	hash plumbing.Hash
}

// index spools the pack, and notes all objects in it and the hashes of those
// that are no deltas.
func (p *pack) index(ctx context.Context, r io.Reader) (*deltas, error) {
	src := &source{r: io.TeeReader(r, p.spool)}
	d := &deltas{of: map[int][]int{}, ofHash: map[plumbing.Hash][]int{}}
	err := p.indexAll(ctx, packfile.NewScanner(src), d)
	if err != nil && src.err != nil {
		return nil, src.err // go-git may have made mere text of it
	}
	return d, err
}

func (p *pack) indexAll(ctx context.Context, s *packfile.Scanner, d *deltas) error {
	_, count, err := s.Header()
	if err != nil {
		return err
	}
	if int64(count) > int64(p.limits.objects) {
		return errTooMany
	}
	for range count {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		h, err := s.NextObjectHeader()
		if err != nil {
			return err
		}
		if err := p.indexOne(s, h, d); err != nil {
			return err
		}
	}
	_, err = s.Checksum()
	return err
}

func (p *pack) indexOne(s *packfile.Scanner, h *packfile.ObjectHeader, d *deltas) error {
	if err := p.spend(h.Length); err != nil {
		return err
	}
	i := len(p.entries)
	e := entry{at: h.Offset, typ: h.Type, base: -1, size: h.Length, large: p.isLarge(h.Length)}
	switch h.Type {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		hasher := plumbing.NewHasher(h.Type, h.Length)
		if err := unpack(s, h, hasher); err != nil {
			return err
		}
		b := base{i, hasher.Sum()}
		p.byHash[b.hash] = i
		d.bases = append(d.bases, b)
	case plumbing.OFSDeltaObject, plumbing.REFDeltaObject:
		if h.Type == plumbing.REFDeltaObject {
			d.ofHash[h.Reference] = append(d.ofHash[h.Reference], i)
		} else {
			base, ok := slices.BinarySearchFunc(p.entries, h.OffsetReference, func(e entry, at int64) int { return cmp.Compare(e.at, at) })
			if !ok {
				return fmt.Errorf("%w: a delta to nothing", errMalformed)
			}
			d.of[base] = append(d.of[base], i)
		}
		d.count++
		start := &head{limit: deltaHead}
		if err := unpack(s, h, start); err != nil {
			return err
		}
		size, err := deltaResult(start.kept)
		if err != nil {
			return err
		}
		e.size, e.large = size, e.large || p.isLarge(size)
	default:
		return fmt.Errorf("%w: an object of no known type", errMalformed)
	}
	p.entries = append(p.entries, e)
	return nil
}

// isLarge says whether something of the size is not to be unpacked in memory.
// The limit is above that of files: a smaller one may be a delta to it.
func (p *pack) isLarge(size int64) bool { return size > 4*p.limits.file }

// spend counts what is about to be unpacked.
func (p *pack) spend(n int64) error {
	if n > p.left {
		return errUnpacked
	}
	p.left -= n
	return nil
}

// unpack writes the object that the header was just read of.
func unpack(s *packfile.Scanner, h *packfile.ObjectHeader, w io.Writer) error {
	n, _, err := s.NextObject(w)
	if err == nil && n != h.Length {
		err = fmt.Errorf("%w: an object of %d bytes unpacks to %d", errMalformed, h.Length, n)
	}
	return err
}

// deltaResult reads the size of what a delta makes of its base, which stands
// behind the size of the base.
func deltaResult(start []byte) (int64, error) {
	_, n := binary.Uvarint(start)
	if n > 0 {
		size, m := binary.Uvarint(start[n:])
		if m > 0 && int64(size) >= 0 {
			return int64(size), nil
		}
	}
	return 0, fmt.Errorf("%w: a delta without sizes", errMalformed)
}

// resolve finds type and hash of each delta, from the bases to what builds on
// them.
func (p *pack) resolve(ctx context.Context, d *deltas) error {
	todo := d.bases
	slices.Reverse(todo) // taken from the end: neighbours build on each other
	for len(todo) > 0 {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		next := append(d.of[b.i], d.ofHash[b.hash]...)
		delete(d.of, b.i)
		delete(d.ofHash, b.hash)
		for _, i := range next {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			d.count--
			if p.entries[b.i].large || p.entries[i].large {
				p.partial = true
				continue
			}
			h, err := p.resolveOne(i, b.i)
			if err != nil {
				return err
			}
			todo = append(todo, base{i, h})
		}
	}
	if d.count > 0 && !p.partial {
		return fmt.Errorf("%w: %d deltas to nothing", errMalformed, d.count)
	}
	return nil
}

func (p *pack) resolveOne(i, base int) (plumbing.Hash, error) {
	e, b := &p.entries[i], &p.entries[base]
	if b.depth == maxDepth {
		return plumbing.ZeroHash, fmt.Errorf("%w: more than %d deltas one upon another", errMalformed, maxDepth)
	}
	e.base, e.typ, e.depth = base, b.typ, b.depth+1
	data, err := p.content(i)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	h := plumbing.ComputeHash(e.typ, data)
	p.byHash[h] = i
	return h, nil
}

// content unpacks an object. What it gives must not be changed.
func (p *pack) content(i int) ([]byte, error) {
	var data []byte
	var chain []int // of deltas, and what they build on unless it is at hand
	for j := i; j >= 0; j = p.entries[j].base {
		var ok bool
		if data, ok = p.recent.Get(p.entries[j].at); ok {
			break
		}
		chain = append(chain, j)
	}
	for _, j := range slices.Backward(chain) {
		e := &p.entries[j]
		raw, err := p.raw(e.at)
		switch {
		case err != nil:
			return nil, err
		case e.base < 0:
			data = raw
		default:
			if err := p.spend(e.size); err != nil {
				return nil, err
			}
			if data, err = packfile.PatchDelta(data, raw); err != nil {
				return nil, fmt.Errorf("%w: %w", errMalformed, err)
			}
		}
		p.recent.Put(e.at, data)
	}
	return data, nil
}

// raw unpacks an object or a delta as it stands in the pack.
func (p *pack) raw(at int64) ([]byte, error) {
	h, err := p.scan.SeekObjectHeader(at)
	if err != nil {
		return nil, err
	}
	if err := p.spend(h.Length); err != nil {
		return nil, err
	}
	buf := &head{limit: int(h.Length), kept: make([]byte, 0, h.Length)}
	if err := unpack(p.scan, h, buf); err != nil {
		return nil, err
	}
	return buf.kept, nil
}

// source reads, and remembers what that failed with. An end counts only if more
// was wanted, and then it came too early.
type source struct {
	r    io.Reader
	next error // to be given when it is asked for more
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.next == nil {
		var n int
		if n, s.next = s.r.Read(p); n > 0 || s.next == nil {
			return n, nil
		}
	}
	s.err = s.next
	if s.err == io.EOF {
		s.err = io.ErrUnexpectedEOF
	}
	return 0, s.next
}
