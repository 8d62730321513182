package org

import (
	"errors"
	"fmt"
	"testing"

	"reconciler/internal/okta/rest"
)

// TestDecodeList: what is no whole list of objects is explained as any other answer is.
func TestDecodeList(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[1]", "[null]", "[{]", "<html>"} {
		a := &rest.Answer{Body: []byte(body)}
		want, wantErr := rest.Decode[[]raw](a)
		if got, err := decodeList(a, nil); fmt.Sprint(got, err) != fmt.Sprint(want, wantErr) {
			t.Errorf("%s: got %v, %v, want %v, %v", body, got, err, want, wantErr)
		}
	}
	cut := errors.New("cut")
	if list, err := decodeList(&rest.Answer{Body: []byte("[]"), Cut: cut}, nil); list != nil || err != cut {
		t.Error(list, err)
	}
}
