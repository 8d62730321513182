package systemlog

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"reconciler/internal/text"
)

// Event is an event of the System Log, as far as it concerns us. Its texts fit on one
// line.
type Event struct {
	UUID      string
	Published time.Time
	Type      string
	// Outcome is SUCCESS for what was done; FAILURE, DENY and so on for what was not.
	Outcome string
	Actor   Entity
	// UserAgent and Address are where the request came from.
	UserAgent, Address string
	Targets            []Entity
	// RequestID is the id that the answer to the request had, and RequestURI the path of
	// the request.
	RequestID, RequestURI string
}

// Entity is an actor or a target of an event.
type Entity struct {
	ID, Type string
	// Login is the login of a user, the domain of an org (Okta's alternateId), and Name
	// what people call it.
	Login, Name string
}

// maxTargets is how many targets of an event are kept.
const maxTargets = 50

// UnmarshalJSON reads an event. Whatever is missing, or is of another type than it should
// be, is left empty, as events differ by type and have changed over time. Only what is no
// object, or has no uuid, type or time, is an error.
func (e *Event) UnmarshalJSON(data []byte) error {
	var o map[string]any
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	*e = Event{
		UUID: word(o, "uuid"), Type: word(o, "eventType"), Outcome: word(o, "outcome", "result"), Actor: entityOf(o["actor"]),
		UserAgent: word(o, "client", "userAgent", "rawUserAgent"), Address: word(o, "client", "ipAddress"),
		RequestID:  cmp.Or(word(o, "debugContext", "debugData", "requestId"), word(o, "transaction", "id")),
		RequestURI: cmp.Or(word(o, "debugContext", "debugData", "requestUri"), word(o, "debugContext", "debugData", "url")),
	}
	targets, _ := o["target"].([]any)
	for _, t := range targets[:min(len(targets), maxTargets)] {
		e.Targets = append(e.Targets, entityOf(t))
	}
	published, err := time.Parse(time.RFC3339, word(o, "published"))
	if err != nil || published.IsZero() || e.UUID == "" || e.Type == "" {
		return errors.New("the event has no uuid, type or time")
	}
	e.Published = published.UTC()
	return nil
}

func entityOf(v any) Entity {
	return Entity{ID: word(v, "id"), Type: word(v, "type"), Login: word(v, "alternateId"), Name: word(v, "displayName")}
}

// word returns a text of nested objects, safe to show; empty if there is none.
func word(v any, path ...string) string {
	for _, key := range path {
		o, _ := v.(map[string]any)
		v = o[key]
	}
	s, _ := v.(string)
	return text.Clean(s)
}

// compare orders events as they happened; those of one moment by their uuid.
func (e *Event) compare(f *Event) int {
	return cmp.Or(e.Published.Compare(f.Published), strings.Compare(e.UUID, f.UUID))
}
