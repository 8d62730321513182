// Package state defines the desired state (read from manifests) and the actual
// state (read from the Aerial API) of a company's orgs, and loads manifests.
//
// Absent is not empty: a field that a manifest doesn't mention is not managed and
// never written; an empty list declares that there are none. The first is a nil
// slice or an empty string, the second a non-nil empty slice.
//
// Load reads manifests strictly and returns every mistake with its position.
package state
