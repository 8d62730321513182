package config

import (
	"bytes"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reconciler/internal/strictyaml"
	"reconciler/internal/strictyaml/schemagen"
	"reconciler/internal/strictyaml/schemagen/schematest"
)

var update = flag.Bool("update", false, "write the generated files anew")

// The schema is generated from the structs that the decoder reads into.
func TestSchemaIsFresh(t *testing.T) {
	fresh := generateSchema(t)
	checkGenerated(t, "config.schema.json", fresh)
	if !*update && !bytes.Equal(Schema, fresh) {
		t.Error("the embedded schema is not the file's: build again")
	}
}

// checkGenerated compares a generated file with what it should hold.
func checkGenerated(t *testing.T, path string, fresh []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(fresh)); diff != "" {
		t.Errorf("%s is stale; run: go test ./internal/config -update\n%s", path, diff)
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	head := schemagen.Head{
		ID:          "urn:reconciler:config:1",
		Title:       "reconciler config",
		Description: "How reconciler runs. Every key has an environment variable, which outranks it.",
	}
	data, err := schemagen.Generate(head, &file{}, func(s *schemagen.Schema) {
		defer orNone(property(property(s, "http"), "auth"))
		for _, fd := range allFields() {
			key := func() *schemagen.Schema { return find(s, fd.path) }
			if d, ok := fd.tag.Lookup("default"); ok {
				key().Default = defaultOf(fd, d)
			}
			if form := forms[fd.tag.Get("form")]; form != nil {
				form(key())
			}
			if d, ok := durations[fd.path]; ok {
				key().Not = &schemagen.Schema{Pattern: outside(d.lo, d.hi, d.orZero)}
			}
		}
		for _, e := range exclusions {
			e.schema(s)
		}
		for _, fd := range allFields() {
			excludePlaces(s, fd)
		}
		for _, block := range []string{"aerial.auth", "parents.0.auth", "orgs.auth", "git.auth.githubApp"} {
			find(s, block).DependentRequired = map[string][]string{"signCommand": {"publicKeyFile"}, "publicKeyFile": {"signCommand"}}
		}
		git := property(s, "git")
		property(git, "auth").DependentRequired = map[string][]string{"sshPassphraseFile": {"sshKeyFile"}, "sshPassphraseCommand": {"sshKeyFile"}}
		property(git, "webhook").AnyOf = []*schemagen.Schema{present("secretFile"), present("secretCommand")}
		property(s, "parents").Items.If, property(s, "parents").Items.Then = settling()
		find(s, "http.auth.oidc.groups").AnyOf = []*schemagen.Schema{present("viewer"), present("operator")}
		receiver := property(s, "notify").Items
		receiver.AnyOf = []*schemagen.Schema{present("urlFile"), present("urlCommand")}
		receiver.If, receiver.Then = unlikeWebhook()
		window := property(s, "windows").Items
		window.AnyOf = []*schemagen.Schema{present("deny"), present("allow")}
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// excludePlaces has the program that prints a secret exclude the file that it is in.
func excludePlaces(s *schemagen.Schema, fd *field) {
	block, key := parent(fd.path)
	secret, ok := strings.CutSuffix(key, "Command")
	if !ok {
		return
	}
	in := find(s, block)
	if _, ok := in.Properties.Get(secret + "File"); ok {
		in.AllOf = append(in.AllOf, &schemagen.Schema{Not: present(secret+"File", key)})
	}
}

// allFields returns the fields of a file with one item in each list.
func allFields() []*field {
	f := &file{
		Parents: make([]at[parentFile], 1),
		Windows: make([]at[windowFile], 1),
		Suspend: make([]at[suspensionFile], 1),
		Notify:  make([]at[receiverFile], 1),
	}
	return f.fields()
}

// find returns the schema of a key.
func find(s *schemagen.Schema, path string) *schemagen.Schema {
	for name := range strings.SplitSeq(path, ".") {
		if name == "0" {
			s = s.Items
			continue
		}
		s = property(s, name)
	}
	return s
}

// defaultOf returns a default as JSON has it.
func defaultOf(fd *field, text string) any {
	if problem := fd.assign(text, strictyaml.Pos{}); problem != "" {
		panic(fd.path + " " + problem)
	}
	switch v := fd.value.FieldByName("V"); v.Interface().(type) {
	case int, bool:
		return v.Interface()
	default:
		return text
	}
}

func property(s *schemagen.Schema, name string) *schemagen.Schema {
	p, ok := s.Properties.Get(name)
	if !ok {
		panic("no property " + name)
	}
	return p
}

// schema makes the alternatives exclude one another, as far as the file may have
// their keys.
func (e *exclusion) schema(s *schemagen.Schema) {
	if e.block != "" {
		s = find(s, strings.ReplaceAll(e.block, "*", "0"))
	}
	for i, keys := range e.alternatives {
		for _, others := range e.alternatives[i+1:] {
			for _, a := range keys {
				for _, b := range others {
					_, hasA := s.Properties.Get(a)
					_, hasB := s.Properties.Get(b)
					if hasA && hasB {
						s.AllOf = append(s.AllOf, &schemagen.Schema{Not: present(a, b)})
					}
				}
			}
		}
	}
}

// orNone has a schema of a mapping take the word none as well.
func orNone(s *schemagen.Schema) {
	mapping := *s
	mapping.Description = ""
	mapping.AnyOf = []*schemagen.Schema{present("tokensFile"), present("oidc")}
	*s = schemagen.Schema{Description: s.Description, AnyOf: []*schemagen.Schema{{Type: "string", Enum: []any{string(authNone)}}, &mapping}}
}

// settling returns a condition, that the parent is on another machine, and what it
// asks of the parent: the time that Okta needs.
func settling() (condition, then *schemagen.Schema) {
	condition = present("url", "settle")
	condition.Extras["properties"].(map[string]any)["url"] = &schemagen.Schema{Type: "string", Not: &schemagen.Schema{Pattern: `//(` + loopback + `)`}}
	short := &schemagen.Schema{Type: "string", Not: &schemagen.Schema{Pattern: `^([+-]?0*0(ms|s|m|h)?|` + below(minSettle) + `)$`}}
	return condition, &schemagen.Schema{Extras: map[string]any{"properties": map[string]any{"settle": short}}}
}

// unlikeWebhook returns a condition, that a receiver is no webhook, and which keys it
// then can't have.
func unlikeWebhook() (condition, then *schemagen.Schema) {
	condition = present("type")
	condition.Extras["properties"].(map[string]any)["type"] = &schemagen.Schema{Enum: []any{string(Slack), string(Teams)}}
	return condition, &schemagen.Schema{AllOf: []*schemagen.Schema{{Not: present("secretFile")}, {Not: present("secretCommand")}, {Not: present("template")}}}
}

// present returns a schema for objects that have all of the keys. It names them
// as properties too, which strict validators require.
func present(keys ...string) *schemagen.Schema {
	properties := map[string]any{}
	for _, key := range keys {
		properties[key] = true
	}
	return &schemagen.Schema{Required: keys, Extras: map[string]any{"properties": properties}}
}

// A corpus that the schema and Load judge alike, except for what a schema can't
// know.
func TestSchemaCorpus(t *testing.T) {
	schematest.Corpus(t, "testdata/schema.txtar", Schema, func(text []byte) error {
		_, _, err := load("reconciler.yaml", text, nil)
		return err
	})
}

// The schema takes each text that Load takes, of whatever form.
func TestSchemaIsNeverStricter(t *testing.T) {
	s := schematest.Compile(t, Schema)
	near := []string{
		"a", "A-b_c", "x/y", "/x/y/", "a b", " a ", "ä", "\u00a0", "a\n", "[", "0", "+5m", "-0s", ".5s", "1.s", "1h1m1s1ms1us1ns", "5μs", "0x1", "1e3", "007",
		"10m", "0h10m", "10m0s", "10m0.0000000001s", "10.00000000000001m", "0h600s0ms", "9m60s", "600s", "0600s", "8784h", "527040m", "1m", "60000ms", "3600000ms", "720h", "1h",
		"@every 1000ms", "@every 0.001h", "@every 01.0s", "@every 0m1s", "* * * * *", "?/5 *-5 ,1,, jan-DEC sUn", "00-059/+01 +2 1-31/5 1 1", "@every 1s", "  @daily", "TZ=UTC @hourly", "CRON_TZ=UTC  1 2 3 4 5", "@every\t0h1m", "\t1 2 3 4 5 ",
		"https://acme.okta.com", "HTTPS://ACME.okta.com:443/", "http://LOCALHOST", "http://[::ffff:127.0.0.1]:8/", "https://a/b c", "https://a//", "https://a/b@c", "https://[::1%25x]/a",
		"ssh://@h/a", "ssh://h:1/a", "file://", "file://localhost", "FILE:///a b", "https://h//a", "git@h:p", "C:\\a", "a:b", "./a:b", "https://h/?", "http://127.1.2.3/a",
		"Acme.OKTA.com", "a-admin.okta.com", "a.okta-emea.com", "acme/orgs", "//acme/group/orgs//",
		":80", "h:0", "[::1]:8080", "[a]:1", "a]:1", "127.0.0.1:65535", "h:+1",
		"2026-12-01T00:00:00Z", "2026-12-01T0:00:00,5Z", "2026-12-01T00:00:00+24:00", "2026-12-01",
		"*", "a*", "[a-z]", "^.", "a.b", "*.OKTA.com",
		"https://{domain}/", "https://api.{domain}:8443/a b", "http://127.0.0.1:8080/org/{domain}/", "HTTPS://x/{domain}/{domain}", "/{domain}.pem",
		"192.0.2.1", "192.0.2.9/24", "2001:DB8::/32", "::ffff:192.0.2.1", "1.2.3.4/032",
	}
	text := rapid.OneOf(rapid.SampledFrom(near), rapid.StringMatching(`[A-Za-z0-9@:/?.*+,=\[\] -]{1,12}`), rapid.StringMatching(`[+0]?[0-9]{1,5}(\.[0-9])?(ms|s|m|h)`))
	rapid.Check(t, func(t *rapid.T) {
		w := text.Draw(t, "text")
		quoted, plain := strconv.Quote(w), w
		if rapid.Bool().Draw(t, "quoted") {
			plain = quoted
		}
		for _, doc := range []string{
			"aerial: {url: " + quoted + "}", "aerial: {auth: {clientID: " + plain + "}}", "aerial: {timeout: " + plain + "}",
			"aerial: {auth: {privateKeyFile: " + quoted + "}}", "schedule: " + quoted, "manifests: " + plain,
			"schedule: '@daily'\njitter: " + plain, "state: {dir: s}\nguards: {deactivationCooloff: " + plain + "}",
			"guards: {revertWithin: " + plain + "}", "state: {dir: s, retention: " + plain + "}",
			"windows: [{deny: " + quoted + ", duration: 1h}]", "windows: [{deny: 0 0 * * *, duration: " + plain + "}]",
			"windows: [{deny: 0 0 * * *, duration: 1h, timezone: " + plain + "}]",
			"parents: [{name: a, url: 'http://127.0.0.1', settle: " + plain + ", auth: {tokenFile: t}}]",
			"parents: [{name: a, url: 'https://acme.okta.com', settle: " + plain + ", auth: {tokenFile: t}}]",
			"parents: [{name: a, url: " + quoted + ", settle: 1s, auth: {tokenFile: t}}]",
			"parents: [{name: a, url: 'https://login.acme.com', domain: " + quoted + ", auth: {tokenFile: t}}]",
			"suspend: [{reason: " + plain + ", owner: o, orgs: [" + quoted + "]}]", "suspend: [{reason: r, owner: o, until: " + plain + "}]",
			"git: {url: " + quoted + "}", "git: {url: " + quoted + ", auth: {sshKeyFile: k, knownHostsFile: h}}", "git: {url: ../orgs, branch: " + plain + "}",
			"git: {url: 'https://github.com/a/b', auth: {githubApp: {appID: " + plain + ", installationID: 1, privateKeyFile: k, url: " + quoted + "}}}",
			"git: {url: 'https://github.com/a/b', auth: {githubApp: {appID: 1, installationID: " + plain + ", privateKeyFile: k}}}",
			"git: {url: 'https://github.com/a/b', status: {provider: gitlab, tokenFile: t, repository: " + quoted + ", targetURL: " + quoted + "}}",
			"git: {url: 'https://github.com/a/b', status: {provider: github, tokenFile: t, targetURL: " + quoted + ", name: " + plain + "}}",
			"http: {address: " + plain + "}", "http: {url: " + quoted + ", auth: " + plain + "}", "http: {auth: {tokensFile: " + quoted + "}}",
			"http: {auth: {oidc: {issuer: " + quoted + ", clientID: a, clientSecretFile: b, groups: {viewer: [" + plain + "]}}}}",
			"http: {auth: {oidc: {issuer: 'https://acme.okta.com', clientID: " + plain + ", clientSecretFile: b, groups: {operator: [" + quoted + "]}}}}",
			"notify: [{type: slack, urlFile: " + quoted + ", digest: " + plain + ", orgs: [" + quoted + "]}]",
			"notify: [{type: webhook, urlFile: u, secretFile: " + quoted + ", labels: [" + quoted + "], template: " + quoted + "}]",
			"notify: [{type: webhook, urlFile: u, labels: {tier: " + plain + "}}]",
			"orgs: {url: " + quoted + "}", "orgs: {url: " + strconv.Quote(w+"{domain}") + "}", "orgs: {url: " + strconv.Quote("https://{domain}"+w) + "}",
			"orgs: {every: " + plain + ", auth: {privateKeyFile: " + quoted + ", keyID: " + plain + "}}",
			"guards: {allowLockout: [" + quoted + "], ownAddresses: [192.0.2.0/24]}", "guards: {ownAddresses: [" + quoted + "]}",
		} {
			if _, _, err := load("reconciler.yaml", []byte(doc), nil); err != nil {
				continue
			}
			docs, ok := schematest.Documents([]byte(doc))
			for _, v := range docs {
				if err := s.Validate(v); err != nil && ok {
					t.Errorf("Load takes %s, but the schema says %v", doc, err)
				}
			}
		}
	})
}
