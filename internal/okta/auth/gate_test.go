package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reconciler/internal/okta/rest"
)

// nonceOf returns the nonce in a request's proof.
func nonceOf(r *http.Request) string {
	parts := strings.Split(r.Header.Get("DPoP"), ".")
	if len(parts) != 3 {
		return ""
	}
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Nonce string `json:"nonce"`
	}
	_ = json.Unmarshal(data, &claims)
	return claims.Nonce
}

func answer(status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// TestCredentialsOfAGatedCall: a call that looks before it is sent, by calls of the
// same API that take their time, is sent with a proof that is made after the look and
// a token that lasts, although the server takes each nonce once and tokens live a
// minute.
func TestCredentialsOfAGatedCall(t *testing.T) {
	for _, dpop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var sent []string
			nonce, tokens := 0, 0
			expires := map[string]time.Time{}
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/oauth2/v1/token" {
					tokens++
					token := fmt.Sprintf("token%d", tokens)
					expires["Bearer "+token], expires["DPoP "+token] = time.Now().Add(time.Minute), time.Now().Add(time.Minute)
					kind := "Bearer"
					if dpop {
						kind = "DPoP"
					}
					return answer(200, fmt.Sprintf(`{"token_type":%q,"expires_in":60,"access_token":%q}`, kind, token)), nil
				}
				fine := nonceOf(r) == fmt.Sprint("n", nonce)
				nonce++
				header := []string{"DPoP-Nonce", fmt.Sprint("n", nonce)}
				switch {
				case dpop && !fine:
					sent = append(sent, r.Method+" nonce")
					return answer(401, "", append(header, "WWW-Authenticate", `DPoP error="use_dpop_nonce"`)...), nil
				case time.Now().After(expires[r.Header.Get("Authorization")]):
					sent = append(sent, r.Method+" expired")
					return answer(401, "", header...), nil
				}
				sent = append(sent, r.Method)
				return answer(200, "", header...), nil
			})
			origin := &url.URL{Scheme: "https", Host: "acme.okta.test"}
			client, err := New(Options{OrgURL: origin, ClientID: clientID, KeyID: keyID, DPoP: dpop, HTTP: base,
				Key: func(context.Context) (Key, error) { return newKeyPair(t), nil }})
			if err != nil {
				t.Fatal(err)
			}
			as := func(scope string) func(http.RoundTripper) http.RoundTripper {
				return func(rt http.RoundTripper) http.RoundTripper { return client.Transport(rt, origin, scope) }
			}
			writing := rest.New(rest.Options{Transport: base, Auth: as("okta.accounts.manage"), Slots: 1})
			reading := writing.As(as(readScope))
			call := func(method string, repeat rest.Repeat) *rest.Call {
				return &rest.Call{Method: method, URL: origin, Policy: rest.Policy{Repeat: repeat, Timeout: 30 * time.Second, MaxBody: 100, Attempts: 1}}
			}
			asked := 0
			write := call("PUT", rest.AfterLook)
			write.MaySend = func(ctx context.Context) ([]byte, error) {
				if asked++; asked == 1 {
					time.Sleep(57 * time.Second) // until the token should be renewed
				}
				return []byte("body"), reading.Do(ctx, call("GET", rest.Always))
			}
			if err := writing.Do(t.Context(), write); err != nil {
				t.Error(err)
			}
			got, want := strings.Join(sent, ", "), "GET, GET, PUT"
			if dpop {
				want = "GET nonce, " + want
			}
			if got != want || asked != 2 {
				t.Errorf("asked %d times, sent %s, want %s", asked, got, want)
			}
		})
	}
}
