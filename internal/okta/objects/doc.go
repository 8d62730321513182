// Package objects describes the kinds of Okta objects that an org is configured
// with, and compares what is declared of them with what is live. It is pure: it
// reads and writes nothing.
//
// A kind is data: a [Kind] has the paths of its API, its key, and its fields, with
// what each field takes and refers to. One engine normalizes, compares and overlays
// the objects of all kinds; what is peculiar to a kind stands in its table.
//
// A body is what encoding/json makes of JSON: map[string]any, []any, string,
// float64, bool and nil. In normal form ([Kind.Normalize]) it has no field that the
// server decides and no secret, sets are sorted, ranges are written as Okta writes
// them, and the name of another object stands where the API has its id.
package objects
