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
// index. An object is unpacked when it is asked for, so the size of the others
// doesn't matter.
//
// go-git scans the pack, inflates and applies deltas. Its own indexes don't do:
// the parser unpacks each object in memory, and two megabytes of a pack can hold
// gigabytes of zeros; Packfile holds all deltas of a chain in memory at once.
//
// The format: https://git-scm.com/docs/gitformat-pack
type pack struct {
	// Storage is empty: it makes up what go-git wants of a storage besides
	// EncodedObject, which is all that is asked for here.
	*memory.Storage

	limits  limits
	spool   *spool
	scanner *packfile.Scanner // over the spool
	byPlace map[int64]*entry
	byHash  map[plumbing.Hash]*entry
	deltas  []*entry // to be resolved
	// recent holds contents by place: objects are mostly the bases of those
	// that come next.
	recent   *cache.BufferLRU
	in       *input
	inflated int64 // bytes, by the scan
	left     int64 // how many bytes may yet be unpacked after it
	// partial reports that a file that isn't in byHash is larger than
	// limits.file, rather than missing, and unhashed that any object is.
	partial, unhashed bool
}

// entry is one object of a pack.
type entry struct {
	at   int64               // its place in the pack
	size int64               // unpacked
	typ  plumbing.ObjectType // of a delta that is resolved: that of its base
	// Of a delta: its base, or the hash of that, and the number of deltas in
	// the chain that ends here.
	base    *entry
	baseRef plumbing.Hash
	depth   int
}

const (
	maxDepth  = 4095     // of a chain of deltas; git makes none longer
	maxRecent = 32 << 20 // bytes in pack.recent
)

var errMalformed = errors.New("the pack is malformed")

// readPack takes in a pack, to be closed. It is partial when the server was
// asked to leave out files larger than limits.file.
func readPack(ctx context.Context, r io.Reader, l limits, partial bool) (*pack, error) {
	p := &pack{
		Storage: memory.NewStorage(), limits: l, spool: &spool{limit: l.memory},
		byPlace: map[int64]*entry{}, byHash: map[plumbing.Hash]*entry{},
		recent: cache.NewBufferLRU(maxRecent), left: l.unpacked, partial: partial,
	}
	in := &input{r: io.TeeReader(r, p.spool)}
	p.in = in
	err := p.scan(ctx, packfile.NewScanner(in))
	switch {
	case err == nil:
		p.scanner = packfile.NewScanner(p.spool.reader())
		err = p.resolve(ctx)
	case in.err == io.EOF:
		err = io.ErrUnexpectedEOF
	case in.err != nil:
		err = in.err // go-git may have made mere text of it
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close releases the pack. Objects that were read before stay.
func (p *pack) Close() error { return p.spool.close() }

// EncodedObject returns an object, in memory, or a *tooLarge for one over
// limits.file.
func (p *pack) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	e, ok := p.byHash[h]
	switch {
	case !ok && (p.unhashed || p.partial && t == plumbing.BlobObject):
		return nil, &tooLarge{p.limits.file + 1}
	case !ok || t != plumbing.AnyObject && t != e.typ:
		return nil, plumbing.ErrObjectNotFound
	case e.size > p.limits.file:
		return nil, &tooLarge{e.size}
	}
	data, err := p.content(e)
	if err != nil {
		return nil, err
	}
	o := &plumbing.MemoryObject{}
	o.SetType(e.typ)
	_, err = o.Write(data)
	return o, err
}

// scan reads the pack through, checks the sizes that it declares, and notes all
// objects in it and the hashes of those that are no deltas.
func (p *pack) scan(ctx context.Context, s *packfile.Scanner) error {
	_, count, err := s.Header()
	if err != nil {
		return err
	}
	if int64(count) > int64(p.limits.objects) {
		return &overLimit{fmt.Sprintf("it holds more than %d objects", p.limits.objects)}
	}
	for range count {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		h, err := s.NextObjectHeader()
		if err != nil {
			return err
		}
		if err := p.scanObject(s, h); err != nil {
			return err
		}
	}
	_, err = s.Checksum()
	return err
}

func (p *pack) scanObject(s *packfile.Scanner, h *packfile.ObjectHeader) error {
	e := &entry{at: h.Offset, typ: h.Type, size: h.Length, base: p.byPlace[h.OffsetReference], baseRef: h.Reference}
	p.byPlace[e.at] = e
	if err := p.inflate(h.Length); err != nil {
		return err
	}
	switch {
	case h.Type.IsDelta():
		start := &prefix{limit: 2 * binary.MaxVarintLen64}
		if err := p.unpack(s, h, start); err != nil {
			return err
		}
		// The size of the result stands behind the size of the base.
		_, n := binary.Uvarint(start.kept)
		size, m := binary.Uvarint(start.kept[max(n, 0):])
		if e.size = max(int64(size), h.Length); n <= 0 || m <= 0 || int64(size) < 0 {
			return fmt.Errorf("%w: a delta without sizes", errMalformed)
		}
		p.deltas = append(p.deltas, e)
	case h.Type < plumbing.CommitObject || h.Type > plumbing.TagObject:
		return fmt.Errorf("%w: an object of no known type", errMalformed)
	case p.needless(h.Length): // only its end is looked for
		p.unhashed = true
		return p.unpack(s, h, io.Discard)
	default:
		hasher := plumbing.NewHasher(h.Type, h.Length)
		if err := p.unpack(s, h, hasher); err != nil {
			return err
		}
		p.found(e, hasher.Sum())
	}
	return nil
}

// unpack writes the object that the header was just read of.
func (p *pack) unpack(s *packfile.Scanner, h *packfile.ObjectHeader, w io.Writer) error {
	n, _, err := s.NextObject(w)
	if err == nil && n != h.Length {
		err = fmt.Errorf("%w: an object of %d bytes unpacks to %d", errMalformed, h.Length, n)
	}
	return err
}

// inflate counts what the scan is about to unpack. It has to unpack all objects
// to find where they end. What shrank far more than files do is there to keep us
// busy, or nearly: the limit grows with what was received.
func (p *pack) inflate(n int64) error {
	const usual = 32 // times as large as in a pack; git's files are 3 to 10 times
	most := p.limits.inflated + usual*p.in.n
	if p.inflated += n; p.inflated > most || n < 0 || p.inflated < 0 {
		return &overLimit{fmt.Sprintf("%d kB of it unpack to more than %d MB", p.in.n>>10, most>>20)}
	}
	return nil
}

// spend counts what is about to be unpacked after the scan.
func (p *pack) spend(n int64) error {
	if p.left -= n; p.left < 0 || n < 0 {
		return &overLimit{fmt.Sprintf("its changed files unpack to more than %d MB", p.limits.unpacked>>20)}
	}
	return nil
}

// found notes the hash of an object. Of several with the same hash, the first
// one is read: a later one could be a delta to itself.
func (p *pack) found(e *entry, h plumbing.Hash) {
	if _, ok := p.byHash[h]; !ok {
		p.byHash[h] = e
	}
}

// resolve finds type and hash of each delta: at once if it stands behind its
// base, else in a further round.
func (p *pack) resolve(ctx context.Context) error {
	for len(p.deltas) > 0 {
		var waiting []*entry
		for _, e := range p.deltas {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if !e.baseRef.IsZero() {
				e.base = p.byHash[e.baseRef]
			}
			if e.base == nil || e.base.typ.IsDelta() {
				waiting = append(waiting, e)
			} else if err := p.resolveOne(e); err != nil {
				return err
			}
		}
		if len(waiting) == len(p.deltas) {
			if p.partial || p.unhashed {
				return nil // they build on objects that are too large
			}
			return fmt.Errorf("%w: %d deltas to nothing", errMalformed, len(waiting))
		}
		p.deltas = waiting
	}
	return nil
}

// resolveOne finds type and hash of a delta, unless that takes too much.
func (p *pack) resolveOne(e *entry) error {
	if e.depth = e.base.depth + 1; e.depth > maxDepth {
		return fmt.Errorf("%w: more than %d deltas one upon another", errMalformed, maxDepth)
	}
	if p.needless(max(e.base.size, e.size)) {
		p.unhashed = true
		return nil
	}
	data, err := p.content(e)
	if err != nil {
		return err
	}
	e.typ = e.base.typ
	p.found(e, plumbing.ComputeHash(e.typ, data))
	return nil
}

// needless reports whether an object of that size need not be known: neither is it
// read, nor is one that is read a delta to it. That limit is above the one of
// files, because a smaller file may be a delta to a larger one.
func (p *pack) needless(size int64) bool { return size > 4*p.limits.file }

// content unpacks an object. What it returns must not be changed.
func (p *pack) content(e *entry) ([]byte, error) {
	var data []byte
	var chain []*entry // of deltas, and what they build on
	for ; e != nil; e = e.base {
		var ok bool
		if data, ok = p.recent.Get(e.at); ok {
			break
		}
		chain = append(chain, e)
	}
	for _, e := range slices.Backward(chain) {
		h, err := p.scanner.SeekObjectHeader(e.at)
		if err != nil {
			return nil, err
		}
		raw := &prefix{limit: int(h.Length), kept: make([]byte, 0, h.Length)}
		if err := cmp.Or(p.spend(h.Length), p.spend(e.size), p.unpack(p.scanner, h, raw)); err != nil {
			return nil, err
		}
		if e.base == nil {
			data = raw.kept
		} else if data, err = packfile.PatchDelta(data, raw.kept); err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		p.recent.Put(e.at, data)
	}
	return data, nil
}

// input reads, and remembers what that failed with when more was asked for.
type input struct {
	r   io.Reader
	n   int64 // bytes so far
	err error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n += int64(n)
	if n > 0 {
		return n, nil // an error comes again
	}
	i.err = err
	return n, err
}
