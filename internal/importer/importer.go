package importer

import (
	"errors"
	"fmt"

	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Split is how the orgs are distributed over files.
type Split string

const (
	// Together is one file.
	Together Split = ""
	// ByCell and ByStatus are one file for each cell or status, and one for what
	// they share.
	ByCell   Split = "cell"
	ByStatus Split = "status"
)

// Names of files that don't depend on the account.
const (
	// OrgsFile contains everything if there is no split.
	OrgsFile = "orgs.yaml"
	// SharedFile contains what the files of a split have in common.
	SharedFile = "products.yaml"
)

// Options are the options of Manifests.
type Options struct {
	Split Split
	// AerialDomain is the domain of the Aerial org, which Actual may also mark;
	// ParentDomains are those of the configured parents. These orgs are declared
	// as protected.
	AerialDomain  string
	ParentDomains []string
}

// File is one manifest.
type File struct {
	Name string
	Data []byte
}

// Result is a folder of manifests.
type Result struct {
	// Files are sorted by name.
	Files []File
	// Orgs is the number of declared orgs, Products that of products.
	Orgs, Products int
	// Unread is the number of declared orgs whose products could not be read, so
	// that they are not managed.
	Unread int
	// Warnings are about what is not declared, one line each, in the order of
	// the orgs.
	Warnings []string
}

// Manifests returns manifests that describe the account. state.Load accepts the
// files, and diff.Compute finds no difference between them and the account; orgs
// that can't be declared are unmanaged there.
//
// It is an error if no org can be declared, or if a file would be larger than
// the loader accepts.
func Manifests(actual *state.Actual, opts Options) (*Result, error) {
	s := newSurvey(actual, opts)
	if len(s.orgs) == 0 {
		return nil, errors.New("the account has no org that a manifest could declare: every manifest needs at least one")
	}
	r := &Result{Orgs: len(s.orgs), Products: len(s.products), Unread: s.unread, Warnings: s.warnings}
	least := 0
	for _, p := range plans(s) {
		files := write(s, p)
		size := 0
		for _, f := range files {
			size += len(f.Data)
		}
		if r.Files == nil || size < least {
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

func tooLarge(f File, split Split) error {
	advice := "split the account by cell"
	if split != Together {
		advice = "split it another way, or by hand"
	}
	return fmt.Errorf("%s would have %d MB, and manifests are read up to %d MB: %s",
		f.Name, len(f.Data)>>20, strictyaml.MaxSize>>20, advice)
}
