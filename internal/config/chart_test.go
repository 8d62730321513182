package config

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// chart is where the Helm chart and what it is made from are.
const chart = "../../deploy/helm/"

// The schema of the chart's values holds that of the config, so that Helm refuses a
// config that the program would refuse. What else values may be is in values.head.json.
func TestChartSchemaIsFresh(t *testing.T) {
	head, err := os.ReadFile(chart + "values.head.json")
	if err != nil {
		t.Fatal(err)
	}
	const place = `"config": {
      "type": "object"
    }`
	if bytes.Count(head, []byte(place)) != 1 {
		t.Fatalf("values.head.json has no place for the schema of the config, %s", place)
	}
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(generateSchema(t), &schema); err != nil {
		t.Fatal(err)
	}
	// A part of a schema is neither of a dialect nor known by a name of its own.
	delete(schema, "$schema")
	delete(schema, "$id")
	var config bytes.Buffer
	enc := json.NewEncoder(&config)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if err := json.Indent(&whole, bytes.Replace(head, []byte(place), append([]byte(`"config": `), config.Bytes()...), 1), "", "  "); err != nil {
		t.Fatal(err)
	}
	checkGenerated(t, chart+"reconciler/values.schema.json", whole.Bytes())
}

// The chart knows the variables that are secrets, all of them and no others: it refuses
// their values.
func TestChartKnowsSecrets(t *testing.T) {
	text, err := os.ReadFile(chart + "reconciler/templates/check.yaml")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`regexMatch ("\^RECONCILER_[^"]+")`).FindSubmatch(text)
	if quoted == nil {
		t.Fatal("check.yaml looks at no variables")
	}
	pattern, err := strconv.Unquote(string(quoted[1]))
	if err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(pattern)
	f := &file{Parents: make([]at[parentFile], 1), Windows: make([]at[windowFile], 1), Suspend: make([]at[suspensionFile], 1), Notify: make([]at[receiverFile], 1)}
	for _, fd := range f.fields() {
		if secret.MatchString(fd.env()) != fd.envOnly {
			t.Errorf("%s is a secret: %v", fd.env(), fd.envOnly)
		}
	}
}
