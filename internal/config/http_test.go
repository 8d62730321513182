package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reconciler/internal/text"
)

const oidcText = "oidc: {issuer: 'https://acme.okta.com', clientID: 0oa1, clientSecretFile: s, groups: {viewer: [admins], operator: [ops, ops, 'on call']}}"

func TestHTTPAuth(t *testing.T) {
	oidc := &OIDC{Issuer: "https://acme.okta.com", ClientID: "0oa1", Viewers: []string{"admins"}, Operators: []string{"ops", "on call"}}
	for _, tt := range []struct {
		name, text string
		environ    []string
		want       HTTPAuth
		problem    string // of CheckAuth
	}{
		{name: "nothing on loopback", text: "http: {address: '127.0.0.1:8080'}", want: HTTPAuth{None: true}},
		{name: "nothing on localhost", text: "http: {address: 'localhost:0'}", want: HTTPAuth{None: true}},
		{name: "nothing on IPv6", text: "http: {address: '[::1]:0'}", want: HTTPAuth{None: true}},
		{name: "nothing on all interfaces", text: "http: {address: ':8080'}", problem: `http.address ":8080" is not on loopback, and http.auth is not set`},
		{name: "nothing on an address", text: "http: {address: '10.0.0.7:8080'}", problem: "http.auth is not set"},
		{name: "none on all interfaces", text: "http: {address: ':8080', auth: none}", want: HTTPAuth{None: true}},
		{name: "none by the environment", text: "http: {address: ':8080'}", environ: []string{"RECONCILER_HTTP_AUTH=none"}, want: HTTPAuth{None: true}},
		{name: "tokens", text: "http: {address: ':8080', auth: {tokensFile: t.yaml}}", want: HTTPAuth{TokensFile: "t.yaml"}},
		{name: "tokens instead of none", text: "http: {auth: none}", environ: []string{"RECONCILER_HTTP_AUTH_TOKENS_FILE=t.yaml"}, want: HTTPAuth{TokensFile: "t.yaml"}},
		{name: "tokens by the environment alone", environ: []string{"RECONCILER_HTTP_AUTH_TOKENS_FILE=t.yaml"}, want: HTTPAuth{TokensFile: "t.yaml"}},
		{name: "none instead of tokens", text: "http: {auth: {tokensFile: t.yaml, " + oidcText + "}}", environ: []string{"RECONCILER_HTTP_AUTH=none"}, want: HTTPAuth{None: true}},
		{name: "oidc on loopback", text: "http: {auth: {" + oidcText + "}}", want: HTTPAuth{OIDC: oidc}},
		{name: "both", text: "http: {url: 'https://r.example', address: ':80', auth: {tokensFile: t.yaml, " + oidcText + "}}", want: HTTPAuth{TokensFile: "t.yaml", OIDC: oidc}},
		{name: "oidc instead of none", text: "http: {auth: none}", environ: []string{
			"RECONCILER_HTTP_AUTH_OIDC_ISSUER=https://acme.okta.com", "RECONCILER_HTTP_AUTH_OIDC_CLIENT_ID=0oa1", "RECONCILER_HTTP_AUTH_OIDC_CLIENT_SECRET=x",
			"RECONCILER_HTTP_AUTH_OIDC_GROUPS_VIEWER=admins", "RECONCILER_HTTP_AUTH_OIDC_GROUPS_OPERATOR=ops, on call",
		}, want: HTTPAuth{OIDC: oidc}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, warnings, err := load("reconciler.yaml", []byte(tt.text), newEnvironment(tt.environ))
			if err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			if diff := cmp.Diff(tt.want, cfg.HTTP.Auth, cmpopts.IgnoreFields(OIDC{}, "ClientSecret")); diff != "" {
				t.Error(diff)
			}
			if o := cfg.HTTP.Auth.OIDC; o != nil && !o.ClientSecret.IsSet() {
				t.Error("no secret")
			}
			switch err := cfg.HTTP.CheckAuth(); {
			case err == nil && tt.problem != "", err != nil && (tt.problem == "" || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("got %v", err)
			case err != nil && !strings.Contains(text.Hint(err), "http.auth.tokensFile"):
				t.Errorf("hint: %s", text.Hint(err))
			}
		})
	}
}

func TestHTTPMistakes(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		environ    []string
	}{
		{text: "http:\n  auth: nobody", want: `reconciler.yaml:2:9: "http.auth" must be a mapping with tokensFile or oidc, or none`},
		{text: "http: {auth: no}", want: `"http.auth" must be a mapping with tokensFile or oidc, or none`},
		{text: "http: {auth: [none]}", want: `"http.auth" must be a mapping`},
		{text: "http: {auth: }", want: `"http.auth" has no value`},
		{text: "http: {auth: {}}", want: `"http.auth" has no "tokensFile" and no "oidc"`},
		{text: "http: {auth: {none: true}}", want: `unknown key "http.auth.none"`},
		{text: "http: {auth: {tokens: x}}", want: `unknown key "http.auth.tokens"`},
		{text: "http: {auth: {oidc: {clientSecret: s3cr3t}}}", want: `secrets do not belong in the config file: use "clientSecretFile" or the environment variable RECONCILER_HTTP_AUTH_OIDC_CLIENT_SECRET`},
		{text: "http: {auth: {oidc: {issuer: 'https://acme.okta.com'}}}", want: `"http.auth.oidc" has no "clientID"`},
		{text: "http: {auth: {oidc: {issuer: 'https://acme.okta.com'}}}", want: `"http.auth.oidc" has no "clientSecretFile"`},
		{text: "http: {auth: {oidc: {issuer: 'https://acme.okta.com'}}}", want: `"http.auth.oidc" has no "groups"`},
		{text: "http: {auth: {oidc: {groups: {viewer: []}}}}", want: `"http.auth.oidc.groups" has no "viewer" and no "operator"`},
		{text: "http: {auth: {oidc: {groups: {viewer: [\"a\\nb\"]}}}}", want: `"http.auth.oidc.groups.viewer" must be names of groups`},
		{text: "http: {auth: {oidc: {groups: {operator: [\"a\\n\"]}}}}", want: `"http.auth.oidc.groups.operator" must be names of groups`},
		{text: "http: {auth: {oidc: {issuer: 'http://acme.okta.com'}}}", want: `"http.auth.oidc.issuer" must be an https URL`},
		{text: "http: {address: ':8080', auth: {" + oidcText + "}}", want: `"http.auth.oidc" needs "http.url"`},
		{text: "http: {url: 'https://r.example/path'}", want: `"http.url" must end with the host, without the path "/path"`},
		{text: "http: {url: 'http://r.example'}", want: `"http.url" must be an https URL`},
		{text: "http: {url: r.example}", want: `"http.url" must begin with https://`},
		{environ: []string{"RECONCILER_HTTP_AUTH=nnoe"}, want: `RECONCILER_HTTP_AUTH: the value must be a mapping with tokensFile or oidc, or none`},
		{environ: []string{"RECONCILER_HTTP_AUTH_TOKEN_FILE=t"}, want: `RECONCILER_HTTP_AUTH_TOKEN_FILE: unknown variable: did you mean "RECONCILER_HTTP_AUTH_TOKENS_FILE"?`},
	} {
		_, _, err := load("reconciler.yaml", []byte(tt.text), newEnvironment(tt.environ))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s %v: got %v, want %s", tt.text, tt.environ, err, tt.want)
		}
	}
}
