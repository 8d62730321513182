package findings

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxResults is how many results of one run GitHub accepts.
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning
const maxResults = 5000

// srcRoot is the id of the top of the repository, wherever that is checked out.
const srcRoot = "SRCROOT"

// The parts of a SARIF log that are used here, by the names of the standard.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Invocations        []sarifInvocation               `json:"invocations"`
		OriginalURIBaseIDs map[string]map[string]sarifText `json:"originalUriBaseIds"`
		ColumnKind         string                          `json:"columnKind"`
		Results            []sarifResult                   `json:"results"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      Rule             `json:"id"`
		Short   sarifText        `json:"shortDescription"`
		Full    sarifText        `json:"fullDescription"`
		Help    sarifText        `json:"help"`
		Default map[string]Level `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   Level     `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       Rule                       `json:"ruleId"`
		RuleIndex    int                        `json:"ruleIndex"`
		Level        Level                      `json:"level"`
		Message      sarifText                  `json:"message"`
		Locations    []map[string]sarifPhysical `json:"locations"`
		Fingerprints map[string]string          `json:"partialFingerprints"`
	}
	sarifPhysical struct {
		Artifact struct {
			URI       string `json:"uri"`
			URIBaseID string `json:"uriBaseId,omitempty"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine   int `json:"startLine"`
			StartColumn int `json:"startColumn,omitempty"`
		} `json:"region"`
	}
)

// sarifRules returns all rules, with or without findings, so that the log of a
// valid state contains what was checked.
func sarifRules() []sarifRule {
	rule := func(id Rule, l Level, short, help string) sarifRule {
		return sarifRule{id, sarifText{short}, sarifText{short + "."}, sarifText{help}, map[string]Level{"level": l}}
	}
	const manifest = "docs/manifest.md describes manifests, and `reconciler schema` prints their JSON Schema for editors."
	const config = "docs/config.md describes the config, and how to get its JSON Schema for editors."
	return []sarifRule{
		rule(ManifestError, Error, "A manifest has a mistake", manifest),
		rule(ManifestUnreadable, Error, "A manifest could not be read beyond this place", manifest),
		rule(ManifestWarning, Warning, "A file in a folder of manifests is skipped", manifest),
		rule(ConfigError, Error, "The config has a mistake", config),
		rule(ConfigUnreadable, Error, "The config could not be read beyond this place", config),
		rule(ConfigWarning, Warning, "The config has a probable mistake", config),
		rule(InputError, Error, "An input could not be checked", "The message names it and what to do about it."),
	}
}

func writeSARIF(w io.Writer, r Report) error {
	rules := sarifRules()
	run := sarifRun{
		OriginalURIBaseIDs: map[string]map[string]sarifText{srcRoot: {"description": {"The top of the repository."}}},
		ColumnKind:         "unicodeCodePoints",
		Results:            []sarifResult{},
	}
	run.Tool.Driver = sarifDriver{"reconciler", r.Version, rules}
	// A result needs a file. Without one, a finding is a notification of the tool.
	invocation := sarifInvocation{ExecutionSuccessful: true}
	notify := func(l Level, text string) {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{l, sarifText{text}})
	}
	prints := fingerprints{}
	left := 0
	sorted := slices.Clone(r.Findings) // errors first, since the last results may be left out
	slices.SortStableFunc(sorted, func(a, b Finding) int { return strings.Compare(string(a.Level), string(b.Level)) })
	for _, f := range sorted {
		location, ok := r.location(f)
		switch {
		case !ok:
			notify(f.Level, f.text())
			invocation.ExecutionSuccessful = invocation.ExecutionSuccessful && f.Level != Error
		case len(run.Results) == maxResults:
			left++
		default:
			run.Results = append(run.Results, sarifResult{
				RuleID:       f.Rule,
				RuleIndex:    slices.IndexFunc(rules, func(r sarifRule) bool { return r.ID == f.Rule }),
				Level:        f.Level,
				Message:      sarifText{f.text()},
				Locations:    []map[string]sarifPhysical{{"physicalLocation": location}},
				Fingerprints: map[string]string{fingerprintKey: prints.next(location.Artifact.URI, f)},
			})
		}
	}
	if left > 0 {
		notify(Warning, fmt.Sprintf("%d more findings are left out: code scanning takes %d", left, maxResults))
	}
	run.Invocations = []sarifInvocation{invocation}
	return encode(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

func (f Finding) text() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + "\n" + f.Hint
}

// location returns where a finding is, and whether it has a file. GitHub requires
// a line in each region, so a finding about a whole file is at its top.
func (r Report) location(f Finding) (sarifPhysical, bool) {
	path, inside := r.path(f.File)
	if path == "" || path == "." {
		return sarifPhysical{}, false
	}
	var p sarifPhysical
	p.Region.StartLine, p.Region.StartColumn = max(f.Line, 1), f.Column
	u := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/")} // a drive's letter has no slash
	if inside {
		u, p.Artifact.URIBaseID = url.URL{Path: path}, srcRoot
	}
	p.Artifact.URI = u.String()
	return p, true
}

// fingerprintKey is the version of our fingerprints. GitHub's upload action adds
// the fingerprint that GitHub uses (primaryLocationLineHash, of the source lines)
// and rejects another one under that key.
const fingerprintKey = "reconcilerFinding/v1"

// positions matches positions in messages, which change when a line is added
// above, although the mistake stays the same.
var positions = regexp.MustCompile(`:\d+:\d+\b|\bline \d+`)

// fingerprints counts findings that are alike.
type fingerprints map[string]int

// next returns the fingerprint of a finding, which doesn't change when the lines
// of the file move. Equal findings are numbered in the order of the file.
func (p fingerprints) next(uri string, f Finding) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(f.Rule), uri, positions.ReplaceAllString(f.Message, "")}, "\x00")))
	print := hex.EncodeToString(sum[:8])
	p[print]++
	return fmt.Sprintf("%s:%d", print, p[print])
}
