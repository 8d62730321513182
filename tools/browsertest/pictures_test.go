package browsertest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// pictures are the pictures of the docs, by their names.
var pictures = []struct {
	name, path    string
	colours       string
	width, height int64
}{
	{"overview", "/", "light", 1280, 860},
	{"overview-dark", "/", "dark", 1280, 860},
	{"orgs", "/orgs?label=region%3Demea", "light", 1280, 720},
	{"org", "/orgs/" + moreOrg, "light", 1280, 720},
	{"products", "/matrix/products?q=-bank", "light", 1280, 560},
	{"history", "/history", "light", 1280, 560},
	{"phone", "/drift", "light", 390, 760},
}

// maxPicture is how large a picture may be in bytes.
const maxPicture = 150_000

// TestPictures makes the pictures of the docs anew with -update; without it, it looks
// whether they are there.
func TestPictures(t *testing.T) {
	need(t)
	folder := filepath.Join("..", "..", "docs", "images")
	if !*update {
		for _, p := range pictures {
			if _, err := os.Stat(filepath.Join(folder, p.name+".png")); err != nil {
				t.Errorf("%v: go test -run Pictures -update makes it", err)
			}
		}
		return
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := open(t, stage.open)
	for _, p := range pictures {
		b.do(size(p.width, p.height), scheme(p.colours))
		b.visit(p.path)
		// The repository of the tests is a folder of this machine.
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
			const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
			while (walk.nextNode()) walk.currentNode.data = walk.currentNode.data.replaceAll(%q, "https://git.acme.example/okta-orgs.git");
		})()`, stage.repo)))
		data, err := smaller(get(b, chromedp.CaptureScreenshot()))
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > maxPicture {
			t.Errorf("%s has %d bytes", p.name, len(data))
		}
		if err := os.WriteFile(filepath.Join(folder, p.name+".png"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// smaller returns a PNG with at most 256 colours: those that most points have, and for the
// others the nearest of them.
func smaller(data []byte) ([]byte, error) {
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds, count := picture.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	var all []color.RGBA
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return (int(a.R)<<16 | int(a.G)<<8 | int(a.B)) - (int(b.R)<<16 | int(b.G)<<8 | int(b.B))
	})
	var palette color.Palette
	for _, c := range all[:min(256, len(all))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, ok := index[c]
			if !ok {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}
