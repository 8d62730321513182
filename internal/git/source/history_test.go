package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
)

// dag is a repository whose commits have names.
type dag struct {
	raw
	dir  string
	hash map[string]plumbing.Hash
	name map[string]string // by hash
}

// newDAG makes the commits in the order of the lines, "name: parents", and
// points main to the last one.
func newDAG(t *testing.T, lines ...string) dag {
	t.Helper()
	r, dir := newRaw(t)
	d := dag{r, dir, map[string]plumbing.Hash{}, map[string]string{}}
	for _, line := range lines {
		name, parents, _ := strings.Cut(line, ":")
		d.commit(name, strings.Fields(parents)...)
		d.point("refs/heads/main", d.hash[name])
	}
	return d
}

func (d dag) commit(name string, parents ...string) {
	tree := d.tree(object.TreeEntry{Name: "a.yaml", Mode: filemode.Regular, Hash: d.blob(name)})
	content := fmt.Sprintf("tree %s\n", tree)
	for _, p := range parents {
		content += fmt.Sprintf("parent %s\n", d.hash[p])
	}
	when := 1_700_000_000 + 60*len(d.hash)
	content += fmt.Sprintf("author A <a@example.com> %d +0000\ncommitter A <a@example.com> %d +0000\n\n%s\n", when, when, name)
	h := d.object(plumbing.CommitObject, content)
	d.hash[name], d.name[h.String()] = h, name
}

// config adds to the config of the repository.
func (d dag) config(lines string) {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, ".git/config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(lines); err != nil {
		d.t.Fatal(err)
	}
}

// names returns what commits are called, and checks that they are what they say.
func (d dag) names(commits []Commit) string {
	d.t.Helper()
	var names []string
	for _, c := range commits {
		if h := plumbing.ComputeHash(plumbing.CommitObject, c.Raw).String(); h != c.Hash {
			d.t.Errorf("the content of %s has the hash %s", c.Hash, h)
		}
		names = append(names, d.name[c.Hash])
	}
	return strings.Join(names, " ")
}

const unknown = "0123456789abcdef0123456789abcdef01234567"

func TestHistory(t *testing.T) {
	for i, tt := range []struct {
		name       string
		lines      []string
		tip, since string
		want       string
		rewritten  bool
	}{
		{name: "same", lines: []string{"a:"}, tip: "a", since: "a"},
		{name: "linear", lines: []string{"a:", "b: a", "c: b", "d: c"}, tip: "d", since: "b", want: "d c"},
		{name: "from the first commit", lines: []string{"a:", "b: a"}, tip: "b", since: "a", want: "b"},
		{name: "tip is not the branch's", lines: []string{"a:", "b: a", "c: b", "d: c"}, tip: "c", since: "a", want: "c b"},
		{name: "merge of a branch from since", lines: []string{"a:", "b: a", "s: b", "c: b", "m: c s"}, tip: "m", since: "b", want: "m s c"},
		{name: "merge of a branch from before since", lines: []string{"a:", "s: a", "t: s", "b: a", "c: b", "m: c t"}, tip: "m", since: "b", want: "m t s c"},
		{name: "merge of an ancestor of since", lines: []string{"a:", "b: a", "c: b", "m: c a"}, tip: "m", since: "b", want: "m c"},
		{name: "merge of another history", lines: []string{"a:", "b: a", "x:", "y: x", "m: b y"}, tip: "m", since: "a", want: "m y x b"},
		{name: "since is on the side", lines: []string{"a:", "b: a", "s: a", "m: b s"}, tip: "m", since: "s", want: "m b"},
		{name: "since is on both sides", lines: []string{"a:", "b: a", "c: a", "m: b c", "n: c b", "o: m n"}, tip: "o", since: "b", want: "o n m c"},
		{name: "octopus", lines: []string{"a:", "b: a", "c: a", "d: a", "m: b c d"}, tip: "m", since: "a", want: "m d c b"},
		{name: "a parent twice", lines: []string{"a:", "b: a", "m: b b"}, tip: "m", since: "a", want: "m b"},
		{name: "since is unknown", lines: []string{"a:", "b: a", "s: a", "m: b s"}, tip: "m", since: unknown, want: "m s b a", rewritten: true},
	} {
		if testing.Short() && i%4 != 0 {
			continue // the servers take long; the cases differ in what one goroutine walks
		}
		t.Run(tt.name, func(t *testing.T) {
			d := newDAG(t, tt.lines...)
			everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
				since := unknown
				if h, ok := d.hash[tt.since]; ok {
					since = h.String()
				}
				g := newGit(t, reach(t, d.dir).opts)
				for range 2 {
					commits, ancestor, err := g.History(t.Context(), d.hash[tt.tip].String(), since)
					if err != nil {
						t.Fatal(err)
					}
					if got := d.names(commits); got != tt.want {
						t.Errorf("got %q, want %q", got, tt.want)
					}
					if ancestor == tt.rewritten {
						t.Errorf("got ancestor %v", ancestor)
					}
				}
			})
		})
	}
}

// The same as git says, of any history.
func TestHistoryLikeGit(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	needGit(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		lines := []string{"0:"}
		for i := 1; i < 30; i++ {
			line := fmt.Sprintf("%d:", i)
			for range random.IntN(4) {
				line += fmt.Sprint(" ", max(0, i-1-random.IntN(6)))
			}
			lines = append(lines, line)
		}
		d := newDAG(t, lines...)
		g := newGit(t, GitOptions{URL: d.dir})
		for range 5 {
			tip, since := d.hash[fmt.Sprint(random.IntN(30))], d.hash[fmt.Sprint(random.IntN(30))]
			commits, ancestor, err := g.History(t.Context(), tip.String(), since.String())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range commits {
				got = append(got, c.Hash)
			}
			want := git(t, d.dir, "rev-list", "--topo-order", since.String()+".."+tip.String())
			if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("%s..%s of %q (-want +got):\n%s", d.name[since.String()], d.name[tip.String()], lines, diff)
			}
			path := git(t, d.dir, "rev-list", "--ancestry-path", since.String()+".."+tip.String())
			if want := path != "" || tip == since; want != ancestor {
				t.Errorf("%s..%s of %q: got ancestor %v", d.name[since.String()], d.name[tip.String()], lines, ancestor)
			}
		}
	}
}

// A branch that was rewritten: what is new to it is returned where the old commit
// can still be had, and all of it elsewhere.
func TestHistoryRewritten(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		for _, tt := range []struct {
			name, config    string
			tip, since      string
			want, elsewhere string
		}{
			{name: "amended", tip: "d", since: "c", want: "d", elsewhere: "d b a"},
			{name: "amended, given by hash", config: "[uploadpack]\n\tallowAnySHA1InWant = true\n", tip: "d", since: "c", want: "d", elsewhere: "d b a"},
			{name: "taken back", tip: "b", since: "c", want: "", elsewhere: "b a"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				d := newDAG(t, "a:", "b: a", "c: b", "d: b")
				d.config(tt.config)
				d.point("refs/heads/main", d.hash[tt.tip])
				at := reach(t, d.dir)
				commits, ancestor, err := newGit(t, at.opts).History(t.Context(), d.hash[tt.tip].String(), d.hash[tt.since].String())
				if err != nil {
					t.Fatal(err)
				}
				byHash := at.packs == nil || tt.config != "" && strings.Contains(t.Name(), "_git/")
				want := tt.want
				if !byHash {
					want = tt.elsewhere
				}
				if got := d.names(commits); got != want || ancestor {
					t.Errorf("got %q, ancestor %v, want %q", got, ancestor, want)
				}
			})
		}
	})
}

// The last commit that was verified is read again by its hash, also when the
// branch has moved on. What a rewritten branch left behind is not to be had from
// every server, and the error says so.
func TestFetchCommitLeftBehind(t *testing.T) {
	needGit(t)
	for _, tt := range []struct {
		name, config string
		behind       bool // is what was left behind to be had?
	}{
		{"default", "", false},
		{"reachable", "[uploadpack]\n\tallowReachableSHA1InWant = true\n", false},
		{"any", "[uploadpack]\n\tallowAnySHA1InWant = true\n", true},
	} {
		for _, way := range []string{"http git", "ssh git"} {
			t.Run(tt.name+" "+way, func(t *testing.T) {
				d := newDAG(t, "a:", "b: a", "behind: a", "c: b")
				d.config(tt.config)
				at := remotes()[way](t, d.dir)
				at.opts.Commit = d.hash["b"].String()
				wantContents(t, fetch(t, newGit(t, at.opts)), map[string]string{"a.yaml": "b"})
				at.opts.Commit = d.hash["behind"].String()
				snap, err := newGit(t, at.opts).Fetch(t.Context())
				if tt.behind {
					if err != nil {
						t.Fatal(err)
					}
					wantContents(t, snap, map[string]string{"a.yaml": "behind"})
					return
				}
				wantError(t, err, ErrNotFound, `there is no commit "`+at.opts.Commit, "force-push removed")
			})
		}
	}
}

// Git and JGit, which several hosts are built on, refuse in words of their own.
func TestFetchCommitRefused(t *testing.T) {
	d := newDAG(t, "a:", "b: a")
	for _, words := range []string{"ERR upload-pack: not our ref " + unknown, "ERR want " + unknown + " not valid"} {
		s := serveWeb(t, d.dir, false)
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				fmt.Fprintf(w, "%04x%s", len(words)+4, words)
			}
			return r.Method == http.MethodPost
		}
		_, err := newGit(t, GitOptions{URL: s.url(), Commit: unknown}).Fetch(t.Context())
		wantError(t, err, ErrNotFound, `there is no commit "`+unknown, "force-push removed")
		if n := s.packs.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}

// A tag's commit is not what its server offers, but the tag is.
func TestHistoryOfTag(t *testing.T) {
	everywhere(t, func(t *testing.T, reach func(*testing.T, string) remote) {
		d := newDAG(t, "a:", "b: a", "c: b")
		d.point("refs/tags/v1", d.object(plumbing.TagObject, fmt.Sprintf(
			"object %s\ntype commit\ntag v1\ntagger A <a@example.com> 0 +0000\n\nm\n", d.hash["c"])))
		d.point("refs/heads/main", d.hash["a"])
		at := reach(t, d.dir)
		at.opts.Tag = "v1"
		g := newGit(t, at.opts)
		snap := fetch(t, g)
		commits, ancestor, err := g.History(t.Context(), snap.Commit, d.hash["a"].String())
		if got := d.names(commits); err != nil || got != "c b" || !ancestor {
			t.Errorf("got %q, %v, %v", got, ancestor, err)
		}
	})
}

// One request does where every chain ends at since, and two elsewhere.
func TestHistoryRequests(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		since string
		want  int32
	}{
		{[]string{"a:", "b: a", "c: b"}, "a", 1},
		{[]string{"a:", "b: a", "s: a", "m: b s"}, "a", 1},
		{[]string{"a:", "b: a", "s: a", "m: b s"}, "b", 2},
	} {
		d := newDAG(t, tt.lines...)
		s := serveWeb(t, d.dir, true)
		tip, _, _ := strings.Cut(tt.lines[len(tt.lines)-1], ":")
		if _, _, err := newGit(t, GitOptions{URL: s.url()}).History(t.Context(), d.hash[tip].String(), d.hash[tt.since].String()); err != nil {
			t.Fatal(err)
		}
		if lists, packs := s.lists.Load(), s.packs.Load(); lists != tt.want || packs != tt.want {
			t.Errorf("%q: asked for %d lists and %d packs, want %d", tt.lines, lists, packs, tt.want)
		}
	}
}

// Nothing but commits is transferred where the server leaves out the rest, and
// servers that forbid that are asked in another way, once.
func TestHistoryFilter(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		tries        int32
		small        bool
	}{
		{"not offered", "", 1, false},
		{"taken", "[uploadpack]\n\tallowFilter = true\n", 1, true},
		{"no trees left out", "[uploadpack]\n\tallowFilter = true\n[uploadpackfilter \"tree\"]\n\tallow = false\n", 2, true},
		{"none allowed", "[uploadpack]\n\tallowFilter = true\n[uploadpackfilter]\n\tallow = false\n", 3, false},
	} {
		for _, way := range []string{"http git", "ssh git"} {
			t.Run(tt.name+" "+way, func(t *testing.T) {
				needGit(t)
				r, first := newRepo(t, map[string]string{"a.yaml": "one"})
				second := commit(t, r, map[string]string{"a.yaml": noise(100_000)})
				third := commit(t, r, map[string]string{"a.yaml": "small"})
				dag{raw: raw{t: t}, dir: r.Dir()}.config(tt.config)
				at := remotes()[way](t, r.Dir())
				g := newGit(t, at.opts)
				for i := range int32(2) {
					commits, ancestor, err := g.History(t.Context(), third, first)
					if err != nil {
						t.Fatal(err)
					}
					if len(commits) != 2 || commits[0].Hash != third || commits[1].Hash != second || !ancestor {
						t.Errorf("got %d commits, %v", len(commits), ancestor)
					}
					if n := at.packs.Load(); n != tt.tries+i {
						t.Errorf("asked %d times, want %d", n, tt.tries+i)
					}
				}
				g.limits.pack = 10_000
				_, _, err := g.History(t.Context(), third, first)
				if tt.small {
					if err != nil {
						t.Errorf("more was transferred than need be: %v", err)
					}
					return
				}
				wantError(t, err, ErrContent, "the repository is too large", "uploadpack.allowFilter")
			})
		}
	}
}

func TestHistoryRefused(t *testing.T) {
	d := newDAG(t, "a:", "b: a", "c: b")
	tip, since := d.hash["c"].String(), d.hash["a"].String()
	for _, tt := range []struct {
		name       string
		tip, since string
		change     func(t *testing.T, g *Git, s *webServer)
		kind       error
		words      []string
	}{
		{"no hash", "main", since, nil, nil, []string{`the commit "main" is not a full hash of 40 digits`}},
		{"capitals", tip, strings.ToUpper(since), nil, nil, []string{"is not a full hash"}},
		{"tip that isn't there", unknown, since, nil, ErrNotFound, []string{`there is no commit "` + unknown}},
		{"forbidden", tip, since, func(_ *testing.T, _ *Git, s *webServer) {
			s.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }
		}, ErrDenied, []string{"403"}},
		{"too many objects", tip, since, func(_ *testing.T, g *Git, _ *webServer) { g.limits.objects = 2 }, ErrContent,
			[]string{"the repository is too large: it holds more than 2 objects"}},
		{"too much", tip, since, func(_ *testing.T, g *Git, _ *webServer) { g.limits.history = 200 }, ErrContent,
			[]string{"the commits from " + since + " to " + tip + " hold more than"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWeb(t, d.dir, false)
			g := newGit(t, GitOptions{URL: s.url()})
			if tt.change != nil {
				tt.change(t, g, s)
			}
			commits, _, err := g.History(t.Context(), tt.tip, tt.since)
			wantError(t, err, tt.kind, tt.words...)
			if commits != nil {
				t.Errorf("got %d commits in spite of the error", len(commits))
			}
		})
	}
}

func TestHistoryEndsWithContext(t *testing.T) {
	d := newDAG(t, "a:", "b: a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := newGit(t, GitOptions{URL: d.dir}).History(ctx, d.hash["b"].String(), d.hash["a"].String())
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
}

// A failure of the network is tried again.
func TestHistoryTriesAgain(t *testing.T) {
	d := newDAG(t, "a:", "b: a")
	s := serveWeb(t, d.dir, false)
	var failed atomic.Bool
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || failed.Swap(true) {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	commits, _, err := newGit(t, GitOptions{URL: s.url()}).History(t.Context(), d.hash["b"].String(), d.hash["a"].String())
	if got := d.names(commits); err != nil || got != "b" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A clone on disk that doesn't hold all of the history says so.
func TestHistoryOnDiskIncomplete(t *testing.T) {
	needGit(t)
	d := newDAG(t, "a:", "b: a", "c: b", "d: c")
	tip, since := d.hash["d"].String(), d.hash["a"].String()
	shallow := clone(t, "file://"+d.dir, "--depth=2")
	g := newGit(t, GitOptions{URL: shallow})
	_, _, err := g.History(t.Context(), tip, since)
	wantError(t, err, ErrIncomplete, "the repository lacks the commit "+d.hash["b"].String(), "git fetch --unshallow")
	commits, ancestor, err := g.History(t.Context(), tip, d.hash["b"].String())
	if got := d.names(commits); err != nil || got != "d c" || !ancestor {
		t.Errorf("got %q, %v, %v", got, ancestor, err)
	}
	git(t, shallow, "fetch", "-q", "--unshallow")
	if commits, _, err = g.History(t.Context(), tip, since); err != nil || len(commits) != 3 {
		t.Errorf("got %d commits, %v", len(commits), err)
	}

	place := func(name string) string {
		h := d.hash[name].String()
		return filepath.Join(d.dir, ".git/objects", h[:2], h[2:])
	}
	data, err := os.ReadFile(place("a"))
	if err != nil {
		t.Fatal(err)
	}
	g = newGit(t, GitOptions{URL: d.dir})
	if err := os.Remove(place("c")); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.History(t.Context(), tip, since)
	wantError(t, err, ErrIncomplete, "lacks the commit "+d.hash["c"].String(), "git fsck")
	write(t, place("c"), string(data)) // another commit in its place
	_, _, err = g.History(t.Context(), tip, since)
	wantError(t, err, ErrContent, d.hash["c"].String()+" can't be read: its content has the hash "+d.hash["a"].String())
}

// A server can neither hide a commit nor slip one in.
func TestHistoryLiar(t *testing.T) {
	d := newDAG(t, "a:", "b: a", "c: b", "s: a", "m: c s", "x: b")
	forged := &plumbing.MemoryObject{}
	forged.SetType(plumbing.CommitObject)
	if _, err := fmt.Fprintf(forged, "tree %s\nparent %s\nauthor E <e@example.com> 0 +0000\ncommitter E <e@example.com> 0 +0000\n\nforged\n",
		d.tree(), d.hash["a"]); err != nil {
		t.Fatal(err)
	}
	d.point("refs/heads/main", d.hash["m"])
	for _, tt := range []struct {
		name    string
		answers []string // the commits sent, for one request after the other
		want    string
		words   []string
	}{
		{name: "honest", answers: []string{"m c s", "m c s b a"}, want: "m s c"},
		{name: "sends too much", answers: []string{"m c s b a x"}, want: "m s c"},
		{name: "never heard of since", answers: []string{"m c s a"}, want: "m s a c"},
		{name: "a side branch held back", answers: []string{"m c", "m c s b a"}, want: "m s c"},
		{name: "a side branch always held back", answers: []string{"m c", "m c b a"}, words: []string{"holds back the commit " + d.hash["s"].String()}},
		{name: "one in the middle held back", answers: []string{"m s", "m s b a"}, words: []string{"holds back the commit " + d.hash["c"].String(), "shallow"}},
		{name: "one in the middle forged", answers: []string{"m s forged", "m s b a forged"}, words: []string{"holds back the commit " + d.hash["c"].String()}},
		{name: "the tip held back", answers: []string{"c s", "c s b a"}, words: []string{`there is no commit "` + d.hash["m"].String()}},
		{name: "nothing sent", answers: []string{"", ""}, words: []string{`there is no commit "` + d.hash["m"].String()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serveWeb(t, d.dir, false)
			var asked atomic.Int32
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				i := min(int(asked.Add(1)), len(tt.answers)) - 1
				_, _ = io.WriteString(w, "0008NAK\n")
				_, _ = w.Write(d.pack(tt.answers[i], forged))
				return true
			}
			commits, _, err := newGit(t, GitOptions{URL: s.url()}).History(t.Context(), d.hash["m"].String(), d.hash["b"].String())
			if tt.words != nil {
				wantError(t, err, nil, tt.words...)
				return
			}
			if got := d.names(commits); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if n := int(asked.Load()); n != len(tt.answers) {
				t.Errorf("asked %d times, want %d", n, len(tt.answers))
			}
		})
	}
}

// pack packs the commits.
func (d dag) pack(names string, forged *plumbing.MemoryObject) []byte {
	d.t.Helper()
	if _, err := d.sto.SetEncodedObject(forged); err != nil {
		d.t.Fatal(err)
	}
	var hs []plumbing.Hash
	for name := range strings.FieldsSeq(names) {
		if name == "forged" {
			hs = append(hs, forged.Hash())
			continue
		}
		hs = append(hs, d.hash[name])
	}
	var b bytes.Buffer
	if _, err := packfile.NewEncoder(&b, d.sto, false).Encode(hs, 0); err != nil {
		d.t.Fatal(err)
	}
	return b.Bytes()
}
