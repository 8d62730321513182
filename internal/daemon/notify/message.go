package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// messageVersion is the version of a message's JSON form. A new field doesn't increase
// it.
const messageVersion = 1

// Message is what one receiver gets of one run, or of several if it is a digest. Its JSON
// form is what webhooks get, and templates are executed with it.
type Message struct {
	Version int `json:"version"`
	// ID stays the same when the message is sent again.
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Time    time.Time `json:"time"`
	// Run is the id of the run; empty if it was none, or several.
	Run  string `json:"run"`
	Link string `json:"link,omitempty"`
	// Digest is set if events were collected, and Test if nothing of it is true.
	Digest bool    `json:"digest,omitempty"`
	Test   bool    `json:"test,omitempty"`
	Events []Event `json:"events"`
}

// encode returns the JSON of v, in which no character is invisible: JSON may end up in a
// terminal.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return escapeInvisible(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// escapeInvisible escapes what doesn't print in JSON, or leaves nothing to see. Outside of
// strings JSON is ASCII.
func escapeInvisible(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r < utf8.RuneSelf && r != 0x7f || unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			out = append(out, data[:size]...)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		data = data[size:]
	}
	return out
}

// merge makes one message of several, which are in their order.
func merge(id string, all []*Message) *Message {
	m := &Message{Version: messageVersion, ID: id, Digest: true}
	for i, one := range all {
		m.Account, m.Time = one.Account, one.Time
		if i == 0 {
			m.Run, m.Link = one.Run, one.Link
		} else if one.Run != m.Run {
			m.Run, m.Link = "", ""
		}
		m.Events = append(m.Events, one.Events...)
	}
	return m
}

// urgent reports whether one of the events is.
func (m *Message) urgent() bool {
	return slices.ContainsFunc(m.Events, func(e Event) bool { return e.Type.Urgent() })
}
