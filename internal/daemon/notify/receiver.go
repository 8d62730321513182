package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"reconciler/internal/config"
	"reconciler/internal/freeze"
	"reconciler/internal/text"
	"reconciler/internal/web"
)

// Receiver is who is told of events.
type Receiver struct {
	cfg config.Receiver
	// key identifies the receiver in the queue, and over changes of the config.
	key string
	// template makes the body; nil for the usual one.
	template *template.Template
}

// Receivers returns the receivers of a config. The error is that of a template; URLs and
// secrets are read whenever something is sent.
func Receivers(all []config.Receiver) ([]*Receiver, error) {
	var receivers []*Receiver
	seen := map[string]int{}
	for i := range all {
		r := &Receiver{cfg: all[i], key: all[i].Name()}
		if seen[r.key]++; seen[r.key] > 1 { // such as one for all events and one for a digest
			r.key += fmt.Sprintf(" #%d", seen[r.key])
		}
		if r.cfg.Template != "" {
			var err error
			if r.template, err = readTemplate(r.cfg.Template); err != nil {
				return nil, err
			}
		}
		receivers = append(receivers, r)
	}
	return receivers, nil
}

// Name names the receiver for people: its type, and where its URL stands.
func (r *Receiver) Name() string { return r.key }

// Type returns what kind of receiver it is.
func (r *Receiver) Type() string { return string(r.cfg.Type) }

// Check returns why nothing can be sent to the receiver, as far as that can be known
// without doing it.
func (r *Receiver) Check(ctx context.Context) error {
	if _, err := r.url(ctx); err != nil {
		return err
	}
	_, err := r.secret(ctx)
	return err
}

// url returns where messages are sent. Errors don't repeat any of it.
func (r *Receiver) url(ctx context.Context) (*url.URL, error) {
	raw, err := r.cfg.URL.Read(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimSpace(string(raw)))
	wrong := func(what string) error {
		return text.WithHint(fmt.Errorf("%s: the URL %s", r.cfg.URL, what), "put the URL alone into it, as in https://hooks.example/T1/B2")
	}
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, wrong("is none")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("must begin with https://")
	case u.Scheme == "http" && !web.IsLoopback(u.Hostname()):
		return nil, wrong("must be https (http is for this machine only)")
	case u.Fragment != "":
		return nil, wrong("must not have a fragment")
	}
	return u, nil
}

// secret returns what messages are signed with; nil if they aren't.
func (r *Receiver) secret(ctx context.Context) ([]byte, error) {
	if !r.cfg.Secret.IsSet() {
		return nil, nil
	}
	return r.cfg.Secret.Read(ctx)
}

// wants reports whether the receiver is told of an event.
func (r *Receiver) wants(e *Event) bool {
	if len(r.cfg.Events) > 0 && !slices.Contains(r.cfg.Events, string(e.Type)) {
		return false
	}
	if len(r.cfg.Orgs) == 0 && len(r.cfg.Owners) == 0 && r.cfg.Labels.IsZero() {
		return true
	}
	return e.Org != "" && freeze.Globs(r.cfg.Orgs).Match(e.Org) &&
		(len(r.cfg.Owners) == 0 || slices.ContainsFunc(r.cfg.Owners, func(o string) bool { return strings.EqualFold(o, e.Owner) })) &&
		r.cfg.Labels.Has(e.Labels)
}

// body returns what is sent of a message.
func (r *Receiver) body(m *Message) ([]byte, error) {
	switch r.cfg.Type {
	case config.Slack:
		return encode(slackMessage(m))
	case config.Teams:
		return teamsMessage(m)
	case config.Webhook:
		if r.template != nil {
			return execute(r.template, m)
		}
		return encode(m)
	}
	return nil, errors.New("a receiver of unknown type")
}
