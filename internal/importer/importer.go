package importer

import (
	"errors"
	"fmt"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Split says how the orgs are spread over files.
type Split string

const (
	// Together puts all into one file.
	Together Split = ""
	// ByCell and ByStatus make one file for each cell or status, beside one
	// with what they share.
	ByCell   Split = "cell"
	ByStatus Split = "status"
)

// Names of files that don't depend on the account.
const (
	// OrgsFile holds everything when there is no split.
	OrgsFile = "orgs.yaml"
	// SharedFile holds what the files of a split have in common.
	SharedFile = "products.yaml"
)

// Options is what Manifests needs to know beside the account.
type Options struct {
	Split Split
	// AerialDomain is the domain of the Aerial org, which is also recognized by
	// what the API says of it; ParentDomains are those of the configured
	// parents. All of them are declared as protected.
	AerialDomain  string
	ParentDomains []string
}

// File is one manifest.
type File struct {
	Name string
	Data []byte
}

// Result is a folder of manifests and what their reader should know.
type Result struct {
	// Files are sorted by name.
	Files []File
	// Orgs is how many orgs are declared, Products how many have a name.
	Orgs, Products int
	// Warnings tell what the manifests leave out, one line each, in the order
	// of the orgs.
	Warnings []string
}

// Manifests describes the account. state.Load takes the files, and diff.Compute
// finds no difference between them and the account; orgs that could not be
// declared are unmanaged there.
//
// It fails when there is nothing to declare, and when a file would be larger
// than the loader takes.
func Manifests(actual *state.Actual, opts Options) (*Result, error) {
	s := newSurvey(actual, opts)
	if len(s.orgs) == 0 {
		return nil, errors.New("the account has no org that a manifest could declare: every manifest needs at least one")
	}
	r := &Result{Orgs: len(s.orgs), Products: len(s.products), Warnings: s.warnings}
	least := 0
	for _, p := range plans(s) {
		files := write(s, p)
		if size := bytesOf(files); r.Files == nil || size < least {
			r.Files, least = files, size
		}
	}
	for _, f := range r.Files {
		if len(f.Data) > strictyaml.MaxSize {
			return nil, tooLarge(f, opts.Split)
		}
	}
	return r, nil
}

func bytesOf(files []File) int {
	n := 0
	for _, f := range files {
		n += len(f.Data)
	}
	return n
}

func tooLarge(f File, split Split) error {
	advice := "split the account with --split cell"
	if split != Together {
		advice = "split it otherwise, or by hand"
	}
	return fmt.Errorf("%s would have %d MB, and manifests are read up to %d MB: %s",
		f.Name, len(f.Data)>>20, strictyaml.MaxSize>>20, advice)
}
