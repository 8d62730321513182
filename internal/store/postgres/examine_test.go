package postgres

import (
	"context"
	"testing"
)

// url is a URL as it is.
type url string

func (u url) Read(context.Context) ([]byte, error) { return []byte(u), nil }
func (url) String() string                         { return "the URL" }

// Only a URL that allows nothing else has the server's certificate checked.
func TestIsVerified(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for query, want := range map[string]bool{
		"": false, "?sslmode=disable": false, "?sslmode=allow": false, "?sslmode=prefer": false, "?sslmode=require": false,
		"?sslmode=verify-ca": true, "?sslmode=verify-full": true,
	} {
		for _, hosts := range []string{"db.example", "a.example,b.example"} {
			cfg, err := (&connector{url("postgres://ada:hunter2@" + hosts + "/x" + query)}).config(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if is := isVerified(cfg); is != want {
				t.Errorf("%s%s: %v", hosts, query, is)
			}
		}
	}
}
