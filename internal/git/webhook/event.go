package webhook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// push has the fields of a payload that are read, for all git servers.
type push struct {
	Ref     string `json:"ref"`
	Deleted bool   `json:"deleted"` // GitHub
	After   string `json:"after"`   // all zeros for a ref that was deleted
	// Name distinguishes what GitLab sends as a system hook.
	Name string `json:"event_name"`
}

// kind is what a request announces.
type kind int

const (
	other kind = iota
	ping
	pushed
	system // GitLab: the body says what it is
)

// kindOf reads a header that is not signed. Forging it can at most cause git to be
// read.
func kindOf(h http.Header) kind {
	for _, name := range []string{"X-GitHub-Event", "X-Forgejo-Event", "X-Gitea-Event"} {
		switch h.Get(name) {
		case "":
			continue
		case "push":
			return pushed
		case "ping":
			return ping
		default:
			return other
		}
	}
	switch h.Get("X-Gitlab-Event") {
	case "Push Hook", "Tag Push Hook":
		return pushed
	case "System Hook":
		return system
	}
	return other
}

// moves reports whether the payload announces that ref has moved; ok is false
// when the payload can't be read.
func moves(k kind, payload []byte, ref string) (moved, ok bool) {
	var p push
	if err := json.Unmarshal(payload, &p); err != nil {
		return false, false
	}
	if k == system && p.Name != "push" && p.Name != "tag_push" {
		return false, true
	}
	gone := p.Deleted || p.After != "" && strings.Trim(p.After, "0") == ""
	return ref != "" && p.Ref == ref && !gone, true
}

// formPayload returns the only field named payload. It builds no map of the form,
// which may be forged.
func formPayload(body []byte) ([]byte, bool) {
	var payload []byte
	found := false
	for field := range strings.SplitSeq(string(body), "&") {
		encoded, is := strings.CutPrefix(field, "payload=")
		if !is {
			continue
		}
		text, err := url.QueryUnescape(encoded)
		if err != nil || found {
			return nil, false
		}
		payload, found = []byte(text), true
	}
	return payload, found
}
