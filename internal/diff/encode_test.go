package diff_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"reconciler/internal/diff"
)

// TestJSON holds the JSON that is written a change at a time to that of encoding/json.
func TestJSON(t *testing.T) {
	plan, _ := savedPlan(t)
	none, null, odd := *plan, *plan, *plan
	none.Changes, null.Changes = []diff.Change{}, nil
	odd.Revision, odd.Signer = `"changes": []`, `"changes":[] <b>`
	type applied struct {
		*diff.Plan
		Outcomes []string `json:"outcomes"`
	}
	for name, p := range map[string]*diff.Plan{"changes": plan, "no changes": &none, "null": &null, "odd strings": &odd} {
		for _, j := range []diff.JSON{
			{}, {EscapeHTML: true}, {Indent: "  "}, {Indent: "\t", EscapeHTML: true},
			{Indent: "  ", Wrap: func(p *diff.Plan) any { return applied{p, []string{"failed"}} }},
		} {
			var got, want bytes.Buffer
			if err := j.Write(&got, p); err != nil {
				t.Fatal(err)
			}
			var v any = p
			if j.Wrap != nil {
				v = j.Wrap(p)
			}
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(j.EscapeHTML)
			enc.SetIndent("", j.Indent)
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			if got.String()+"\n" != want.String() {
				t.Errorf("%s: got\n%s\nwant\n%s", name, &got, &want)
			}
		}
	}
}
