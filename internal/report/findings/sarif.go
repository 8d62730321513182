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

// maxResults is how many results of one run GitHub takes.
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning
const maxResults = 5000

// srcRoot stands for the top of the repository, wherever that is checked out.
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
		Tool               sarifTool            `json:"tool"`
		Invocations        []sarifInvocation    `json:"invocations"`
		OriginalURIBaseIDs map[string]sarifBase `json:"originalUriBaseIds"`
		ColumnKind         string               `json:"columnKind"`
		Results            []sarifResult        `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      Rule         `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		Full    sarifText    `json:"fullDescription"`
		Help    sarifText    `json:"help"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level Level `json:"level"`
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
	sarifBase struct {
		Description sarifText `json:"description"`
	}
	sarifResult struct {
		RuleID       Rule              `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        Level             `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
)

// sarifRules are all rules, whether something was found by them or not, so that
// the log of a valid state says what was looked for.
func sarifRules() []sarifRule {
	rule := func(id Rule, l Level, short, help string) sarifRule {
		return sarifRule{id, sarifText{short}, sarifText{short + "."}, sarifText{help}, sarifDefault{l}}
	}
	const manifest = "docs/manifest.md describes manifests, and `reconciler schema` prints their JSON Schema for editors."
	const config = "docs/config.md describes the config, and `reconciler schema --config-schema` prints its JSON Schema for editors."
	return []sarifRule{
		rule(ManifestError, Error, "A manifest has a mistake", manifest),
		rule(ManifestUnreadable, Error, "A manifest could not be read beyond this place", manifest),
		rule(ManifestWarning, Warning, "A file in a folder of manifests is left out", manifest),
		rule(ConfigError, Error, "The config has a mistake", config),
		rule(ConfigUnreadable, Error, "The config could not be read beyond this place", config),
		rule(ConfigWarning, Warning, "The config has something that is probably not meant", config),
		rule(InputError, Error, "Something could not be looked at", "The message says what, and what to do about it."),
	}
}

func writeSARIF(w io.Writer, r Report) error {
	rules := sarifRules()
	run := sarifRun{
		Tool:               sarifTool{sarifDriver{"reconciler", r.Version, rules}},
		OriginalURIBaseIDs: map[string]sarifBase{srcRoot: {sarifText{"The top of the repository."}}},
		ColumnKind:         "unicodeCodePoints",
		Results:            []sarifResult{},
	}
	// A result needs a file. What is about none is told as the tool's own trouble.
	invocation := sarifInvocation{ExecutionSuccessful: true}
	notify := func(l Level, text string) {
		invocation.Notifications = append(invocation.Notifications, sarifNotification{l, sarifText{text}})
	}
	prints := fingerprints{}
	left := 0
	for _, f := range errorsFirst(r.Findings) {
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
				Locations:    []sarifLocation{{location}},
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

// errorsFirst puts what matters most where it isn't cut off.
func errorsFirst(sorted []Finding) []Finding {
	all := slices.Clone(sorted)
	slices.SortStableFunc(all, func(a, b Finding) int { return strings.Compare(string(a.Level), string(b.Level)) })
	return all
}

// text is the message with its hint.
func (f Finding) text() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + "\n" + f.Hint
}

// location returns where a finding is, and whether that is in a file. GitHub asks
// for a line in each region, so a finding about a whole file is put at its top.
func (r Report) location(f Finding) (sarifPhysical, bool) {
	path, inside := r.path(f.File)
	if path == "" || path == "." {
		return sarifPhysical{}, false
	}
	p := sarifPhysical{Region: sarifRegion{max(f.Line, 1), f.Column}}
	switch {
	case inside:
		p.Artifact = sarifArtifact{(&url.URL{Path: path}).String(), srcRoot}
	case strings.HasPrefix(path, "/"):
		p.Artifact.URI = (&url.URL{Scheme: "file", Path: path}).String()
	default: // a drive's letter
		p.Artifact.URI = (&url.URL{Scheme: "file", Path: "/" + path}).String()
	}
	return p, true
}

// fingerprintKey names how fingerprints are made, so that another way can stand
// beside it. GitHub's upload action adds the one that GitHub goes by
// (primaryLocationLineHash, of the source lines) and complains when it finds
// another there.
const fingerprintKey = "reconcilerFinding/v1"

// places matches what a message says about places: it changes when somebody
// adds a line above, and the mistake doesn't.
var places = regexp.MustCompile(`:\d+:\d+\b|\bline \d+`)

// fingerprints counts findings that are alike.
type fingerprints map[string]int

// next returns what stays the same of a finding when the lines of its file are
// moved. Those that are alike are told apart by their order in the file.
func (p fingerprints) next(uri string, f Finding) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(f.Rule), uri, places.ReplaceAllString(f.Message, "")}, "\x00")))
	print := hex.EncodeToString(sum[:8])
	p[print]++
	return fmt.Sprintf("%s:%d", print, p[print])
}
