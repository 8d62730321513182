// Package rest is what the clients of Okta's APIs need when a call goes
// wrong, and must not each understand in a way of their own: the words in the
// body of a refusal, how long to wait before asking again, whether a request
// that failed on its way can have arrived at all, and whether the place that an
// answer points to is still the one that a credential is for.
//
// Every word of a server passes through Clean before it can reach an error or
// a log: one line, printable, short, and without anything that looks like a
// token.
package rest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"reconciler/internal/text"
)

// Body is Okta's error body. All of it is fit for one line of a terminal.
type Body struct {
	// Code is Okta's code for the kind of error, such as "E0000006"; empty when
	// the body was not Okta's.
	Code string
	// Summary and Causes are Okta's words.
	Summary string
	Causes  []string
	// ID is what Okta Support asks for.
	ID string
}

// Read reads the body of an answer that is not a success. It is Okta's error
// body or, from something in between, anything at all; then nothing is read.
func Read(data []byte) Body {
	var wire struct {
		ErrorCode    string `json:"errorCode"`
		ErrorSummary string `json:"errorSummary"`
		ErrorID      string `json:"errorId"`
		ErrorCauses  []struct {
			ErrorSummary string `json:"errorSummary"`
		} `json:"errorCauses"`
	}
	if json.Unmarshal(data, &wire) != nil {
		return Body{}
	}
	b := Body{Code: text.Clean(wire.ErrorCode), Summary: text.Clean(wire.ErrorSummary), ID: text.Clean(wire.ErrorID)}
	for _, cause := range wire.ErrorCauses {
		if s := text.Clean(cause.ErrorSummary); s != "" {
			b.Causes = append(b.Causes, s)
		}
	}
	return b
}

// Line gives status, code, words and error id on one line.
func (b Body) Line(status int) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d", status)
	if b.Code != "" {
		s.WriteString(" " + b.Code)
	}
	if words := cmp.Or(b.Summary, http.StatusText(status)); words != "" {
		s.WriteString(" " + words)
	}
	if len(b.Causes) > 0 {
		s.WriteString(": " + strings.Join(b.Causes, "; "))
	}
	if b.ID != "" {
		s.WriteString(" (errorId " + b.ID + ")")
	}
	return s.String()
}
