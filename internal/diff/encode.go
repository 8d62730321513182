package diff

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSON is how a plan is written as JSON. There may be hundreds of thousands of changes,
// the JSON of which takes more memory than the plan, so it is made a change at a time.
type JSON struct {
	// Indent is what each level is indented by; without it, all is on one line.
	Indent string
	// EscapeHTML escapes <, > and &.
	EscapeHTML bool
	// Wrap, where not nil, returns what is written for a plan: a struct that embeds it.
	Wrap func(*Plan) any
}

// Write writes the JSON of the plan, without a line break at its end.
func (j JSON) Write(w io.Writer, p *Plan) error {
	frame := *p
	if len(p.Changes) > 0 {
		frame.Changes = []Change{}
	}
	var v any = &frame
	if j.Wrap != nil {
		v = j.Wrap(&frame)
	}
	var one bytes.Buffer
	data, err := j.encode(&one, v, "")
	if err != nil {
		return err
	}
	list, between, end := `"changes":[`, "", ""
	if j.Indent != "" {
		list, between, end = `"changes": [`, "\n"+j.Indent+j.Indent, "\n"+j.Indent
	}
	// No string can hold these quotes, which would be escaped.
	before, after, found := bytes.Cut(bytes.Clone(data), []byte(list+"]"))
	out := bufio.NewWriter(w) // whose first error stays
	out.Write(before)
	if found {
		out.WriteString(list)
		for i := range p.Changes {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(between)
			if data, err = j.encode(&one, &p.Changes[i], j.Indent+j.Indent); err != nil {
				return err
			}
			out.Write(data)
		}
		if len(p.Changes) > 0 {
			out.WriteString(end)
		}
		out.WriteByte(']')
		out.Write(after)
	}
	return out.Flush()
}

// encode returns the JSON of v, which is valid until b is used again.
func (j JSON) encode(b *bytes.Buffer, v any, prefix string) ([]byte, error) {
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(j.EscapeHTML)
	enc.SetIndent(prefix, j.Indent)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// computeDigest returns the plan's digest. It covers everything but the digest
// itself, so that an edited plan is detected.
func (p *Plan) computeDigest() (string, error) {
	bare := *p
	bare.Digest = ""
	sum := sha256.New()
	if err := (JSON{EscapeHTML: true}).Write(sum, &bare); err != nil {
		return "", fmt.Errorf("computing the plan's digest: %w", err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// decodePlan reads a plan and nothing else, a change at a time.
func decodePlan(r io.Reader) (*Plan, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("not a plan: %w", cmp.Or(err, errors.New("it is not a JSON object")))
	}
	rest, changes := map[string]json.RawMessage{}, []Change(nil)
	for dec.More() {
		key, err := dec.Token()
		switch {
		case err != nil:
		case key == "changes" && changes == nil:
			changes, err = decodeChanges(dec)
		default:
			var value json.RawMessage
			err = dec.Decode(&value)
			rest[fmt.Sprint(key)] = value
		}
		if err != nil {
			return nil, notPlan(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, notPlan(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a plan: there is more after its end")
	}
	p, err := decodeRest(rest)
	if err != nil {
		return nil, err
	}
	if changes != nil {
		p.Changes = changes
	}
	return p, nil
}

// decodeRest reads what a plan has beside its changes.
func decodeRest(rest map[string]json.RawMessage) (*Plan, error) {
	data, err := json.Marshal(rest)
	if err != nil {
		return nil, notPlan(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return nil, notPlan(err)
	}
	return &p, nil
}

// decodeChanges reads the list of changes; nil for null.
func decodeChanges(dec *json.Decoder) ([]Change, error) {
	start, err := dec.Token()
	switch {
	case err != nil:
		return nil, err
	case start == nil: // null
		return nil, nil
	case start != json.Delim('['):
		return nil, errors.New("changes is not a list")
	}
	changes := []Change{}
	for dec.More() {
		var c Change
		if err := dec.Decode(&c); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	_, err = dec.Token()
	return changes, err
}

// notPlan returns the error for what can't be read to its end as a plan.
func notPlan(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("not a plan: %w", err)
}
