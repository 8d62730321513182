package parent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTokenPrintsWithoutItsSecret(t *testing.T) {
	made := Created{OrgID: "00o1", Token: NewToken(testToken)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", made)
		fmt.Fprintf(&out, verb+"\n", &made)
		fmt.Fprintf(&out, verb+"\n", made.Token)
		fmt.Fprintf(&out, verb+"\n", []Token{made.Token})
	}
	for _, v := range []any{made, made.Token, &made.Token} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	for _, secret := range []string{testToken, fmt.Sprintf("%x", testToken)} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s", out.String())
		}
	}
	if made.Token.IsZero() || made.Token.Secret() != testToken || !NewToken("").IsZero() || (Token{}).Secret() != "" || (Token{}).String() != "no token" {
		t.Error("the token is not what it was made of")
	}
}
