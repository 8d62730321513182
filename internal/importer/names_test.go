package importer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reconciler/internal/state"
)

func TestProductNames(t *testing.T) {
	for _, tt := range []struct {
		what string
		in   []string // Okta's names of P000001, P000002, …
		want []string
	}{
		{"Okta's own", []string{"IT Products - SSO", "IT Products - Lifecycle Management with 1 OIN App"}, []string{"sso", "lifecycle-management-with-1-oin-app"}},
		{"no prefix", []string{"Workflows", "API Access  Management"}, []string{"workflows", "api-access-management"}},
		{"same last part", []string{"IT Products - SSO", "Customer Products - SSO", "IT Products - MFA"}, []string{"it-products-sso", "customer-products-sso", "mfa"}},
		{"same name", []string{"SSO", "SSO"}, []string{"sso-p000001", "sso-p000002"}},
		{"same but for signs", []string{"A - S.S.O!", "A - s s o"}, []string{"a-s-s-o-p000001", "a-s-s-o-p000002"}},
		{"a whole name that is another's part", []string{"SSO", "IT - SSO"}, []string{"sso-p000001", "sso"}},
		{"nothing left", []string{"", "製品", "---", "x - "}, []string{"product-000001", "product-000002", "product-000003", "x"}},
		{"words of YAML", []string{"IT - Yes", "Null", "A - 017", "1e3", "2026-01-31"}, []string{"it-yes", "product-000002", "a-017", "product-000004", "product-000005"}},
		{"looks like an id", []string{"IT - P000052", "P000099"}, []string{"it-p000052", "product-000002"}},
		{"names of the last resort", []string{"Product 000002", ""}, []string{"product-000002", "product"}},
		{"an accent", []string{"IT - Sécurité"}, []string{"s-curit"}},
		{"long", []string{"IT - " + strings.Repeat("word ", 30), strings.Repeat("x", 200)}, []string{strings.TrimSuffix(strings.Repeat("word-", 10), "-"), "product-000002"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var all []state.Product
			want := map[string]string{}
			for i, name := range tt.in {
				id := fmt.Sprintf("P%06d", i+1)
				all = append(all, state.Product{ID: id, Name: name})
				want[id] = tt.want[i]
			}
			if diff := cmp.Diff(want, productNames(all)); diff != "" {
				t.Errorf("names differ (-want +got):\n%s", diff)
			}
		})
	}
}
