package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"reconciler/internal/text"
)

// maxTemplate is how large a template may be, and maxBody what it makes of a message.
const (
	maxTemplate = 1 << 20
	maxBody     = 16 << 20
)

// templateError is why a template makes nothing of a message.
type templateError struct{ msg, hint string }

func (e *templateError) Error() string { return e.msg }

// Hint returns what to do about it.
func (e *templateError) Hint() string { return e.hint }

// functions returns what templates can call besides what text/template has.
func functions() template.FuncMap {
	return template.FuncMap{
		// json returns a value as JSON.
		"json": func(v any) (string, error) {
			data, err := encode(v)
			return string(data), err
		},
		// words returns an event in one line for people.
		"words": func(e Event) string { return plain(wordsOf(&e).text()) },
		// title returns what a message is about in one line.
		"title": func(m *Message) string { return titleOf(m) },
	}
}

// readTemplate reads a template, and tries it with events of all types.
func readTemplate(file string) (*template.Template, error) {
	data, err := os.ReadFile(file)
	switch {
	case err != nil:
		return nil, text.WithHint(fmt.Errorf("the template can't be read: %w", err), "is the path right, and may the user that runs this program read it?")
	case len(data) > maxTemplate:
		return nil, fmt.Errorf("%s: the template is larger than %d MB", file, maxTemplate>>20)
	}
	data, err = text.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	t, err := template.New(filepath.Base(file)).Option("missingkey=error").Funcs(functions()).Parse(string(data))
	if err != nil {
		return nil, text.WithHint(errors.New(atPlace(file, err)), "docs/notifications.md says what may stand in a template")
	}
	if _, err := execute(t, sampleOfAll()); err != nil {
		return nil, text.WithHint(errors.New(atPlace(file, err)), text.Hint(err))
	}
	return t, nil
}

// place matches how text/template begins its errors.
var place = regexp.MustCompile(`^template: [^:]*:(\d+)(?::(\d+))?: `)

// atPlace returns an error of text/template as FILE:LINE:COL: message.
func atPlace(file string, err error) string {
	m := place.FindStringSubmatch(err.Error())
	if m == nil {
		return file + ":1:1: " + text.JoinLines(err.Error())
	}
	column, _ := strconv.Atoi(m[2]) // counts from 0, and is missing from some errors
	return fmt.Sprintf("%s:%s:%d: %s", file, m[1], column+1, text.JoinLines(strings.TrimPrefix(err.Error(), m[0])))
}

// limited is a buffer with an end.
type limited struct{ bytes.Buffer }

// Write fails once there is too much.
func (b *limited) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, fmt.Errorf("it makes more than %d MB", maxBody>>20)
	}
	return b.Buffer.Write(p)
}

// execute returns the JSON that a template makes of a message.
func execute(t *template.Template, m *Message) ([]byte, error) {
	var b limited
	if err := t.Execute(&b, m); err != nil {
		return nil, &templateError{err.Error(), "docs/notifications.md says what may stand in a template"}
	}
	if !json.Valid(b.Bytes()) {
		return nil, &templateError{"the template makes no valid JSON of a message", "write values as {{json .Org}}, without quotation marks of your own, and mind commas between the items of a range"}
	}
	return escapeInvisible(b.Bytes()), nil
}

// Sample returns a message of the given types that looks like a real one, and is marked
// as a test.
func Sample(account string, at time.Time, types ...Type) *Message {
	m := &Message{Version: messageVersion, ID: newID(), Account: account, Time: at.UTC().Truncate(time.Second), Run: "test", Test: true}
	since := m.Time.Add(-time.Hour)
	for _, t := range types {
		e := Event{
			Type: t, Org: "acme-test.okta.com", Since: &since, By: "reconciler notify test",
			Message: "this is a test: nothing has happened", Owner: "identity@acme.example", Labels: map[string]string{"tier": "test"},
		}
		switch t {
		case Drift, Repaired:
			e.Field, e.Before, e.After = "status", json.RawMessage(`"ACTIVE"`), json.RawMessage(`"INACTIVE"`)
			e.Message = "status: ACTIVE → INACTIVE; " + e.Message
		case Failed, Recovered, Refused, Stale, Signature:
			e.Org, e.Owner, e.Labels = "", "", nil
		}
		m.Events = append(m.Events, e)
	}
	return m
}

// sampleOfAll returns a message with all that a template has to cope with: events of all
// types, text that has to be quoted, and values that are missing.
func sampleOfAll() *Message {
	m := Sample("0200test", time.Unix(0, 0), Types()...)
	for i := range m.Events {
		e := &m.Events[i]
		e.Message, e.By = "a \"quoted\" text\nof two lines\\", `O"Neill \ Co`
	}
	bare := Event{Type: Drift}
	m.Events = append(m.Events, bare)
	return m
}
