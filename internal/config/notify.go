package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"reconciler/internal/freeze/schedule"
	"reconciler/internal/state"
	"reconciler/internal/strictyaml"
)

// Receiver is who is told of events.
type Receiver struct {
	Type ReceiverType
	// URL is where messages are sent. It is a secret: who has it can send messages.
	URL Secret
	// Secret signs the messages of a webhook; it may not be set.
	Secret Secret
	// Events are the types that are sent; all if empty.
	Events []string
	// Orgs are patterns of domains in lower case, of which one must match; Labels
	// selects orgs by their labels; Owners are those of which the org must have one.
	// An event of the account itself has no org, and is sent where all of them are empty.
	Orgs   []string
	Labels state.Selector
	Owners []string
	Digest Digest
	// Template is a file in the syntax of text/template that makes the body of a
	// webhook's messages; empty for the usual one.
	Template string
}

// Name names the receiver for people. It holds no secret.
func (r *Receiver) Name() string { return fmt.Sprintf("%s %s", r.Type, r.URL.Origin()) }

// ReceiverType is what kind of receiver it is.
type ReceiverType string

const (
	// Slack is an incoming webhook of Slack.
	Slack ReceiverType = "slack"
	// Teams is a webhook of a workflow in Microsoft Teams.
	Teams ReceiverType = "teams"
	// Webhook gets JSON of our own.
	Webhook ReceiverType = "webhook"
)

// Values returns the types, for the strict decoder.
func (ReceiverType) Values() []string { return []string{string(Slack), string(Teams), string(Webhook)} }

// Digest is when collected events are sent; never zero values of both, unless events
// are not collected.
type Digest struct {
	// After is how long events are collected from the first one on.
	After time.Duration
	// At is when they are sent.
	At schedule.Schedule
}

// IsZero reports whether events are not collected.
func (d Digest) IsZero() bool { return d.After == 0 && d.At.String() == "" }

// Next returns when what is collected from t on is sent.
func (d Digest) Next(t time.Time) time.Time {
	if d.After != 0 {
		return t.Add(d.After)
	}
	return d.At.Next(t)
}

// EventTypes returns the types of events that receivers are told of.
func EventTypes() []string {
	return []string{"drift", "repaired", "failed", "recovered", "refused", "stale", "signature", "onboarded", "token-lost", "suspension", "limit"}
}

type receiverFile struct {
	Type          at[ReceiverType]  `yaml:"type" jsonschema:"required" doc:"What kind of receiver it is: an incoming webhook of Slack, a workflow's webhook of Microsoft Teams, or a webhook that takes JSON."`
	URL           at[string]        `yaml:"-" env:"url" doc:"The URL itself."`
	URLFile       at[string]        `yaml:"urlFile" form:"path" jsonschema:"example=/run/secrets/slack-url" doc:"The URL that messages are sent to: https, or http on this machine. It is a secret."`
	URLCommand    at[commandLine]   `yaml:"urlCommand" form:"command" doc:"A program, and its arguments, that prints the URL."`
	Secret        at[string]        `yaml:"-" env:"secret" doc:"The secret itself."`
	SecretFile    at[string]        `yaml:"secretFile" form:"path" doc:"The secret with which messages to a webhook are signed (HMAC with SHA-256)."`
	SecretCommand at[commandLine]   `yaml:"secretCommand" form:"command" doc:"A program, and its arguments, that prints the secret."`
	Events        at[[]at[string]]  `yaml:"events" form:"events" jsonschema:"minItems=1" doc:"The types of events that are sent; all by default. The variable separates them by commas."`
	Orgs          at[[]at[string]]  `yaml:"orgs" form:"globs" jsonschema:"minItems=1,example=acme-*.okta.com" doc:"Patterns of domains, as in windows: only events of these orgs are sent."`
	Labels        at[selectorTerms] `yaml:"labels" form:"selector" doc:"A selector of orgs by their labels, such as tier=production: only events of orgs that all terms select are sent. owner=NAME selects the orgs of an owner. May be written as a mapping. The variable separates terms by commas."`
	Digest        at[string]        `yaml:"digest" form:"digest" jsonschema:"example=1h,example=0 8 * * 1-5" doc:"Collect events and send them as one message: for a time from the first one on (1s to 744h, 31 days), or at the times of a schedule. Failures, refusals, stale manifests, what recovered, signatures and lost tokens are sent at once all the same."`
	Template      at[string]        `yaml:"template" form:"path" doc:"A file in the syntax of Go's text/template that makes the JSON of a webhook's messages."`
}

// selectorTerms are the terms of a selector. As a mapping, each pair is the term
// KEY=VALUE.
type selectorTerms []at[string]

// Paired makes the strict decoder take a mapping.
func (selectorTerms) Paired() {}

// receivers returns who is told of events.
func (r *resolver) receivers(all []at[receiverFile]) []Receiver {
	var receivers []Receiver
	for i := range all {
		block, f := &all[i], &all[i].V
		r.need(block, &f.Type)
		r.need(block, &f.URLFile, &f.URL, &f.URLCommand)
		if strings.Contains(f.URLFile.V, "://") {
			r.fail(&f.URLFile, "must be the path of a file that the URL is in, not the URL, which is a secret")
			f.URLFile = at[string]{Pos: f.URLFile.Pos, Set: true, Bad: true}
		}
		rcv := Receiver{
			Type:     f.Type.V,
			URL:      r.secret(&f.URL, &f.URLFile, &f.URLCommand),
			Secret:   r.secret(&f.Secret, &f.SecretFile, &f.SecretCommand),
			Events:   r.events(&f.Events),
			Orgs:     r.patterns(&f.Orgs),
			Digest:   r.digest(&f.Digest),
			Template: r.trustedFile(&f.Template),
		}
		rcv.Labels, rcv.Owners = r.selector(&f.Labels)
		if f.Type.OK() && f.Type.V != Webhook {
			for _, v := range []any{&f.Secret, &f.SecretFile, &f.SecretCommand, &f.Template} {
				if r.fields[v].isSet() {
					r.fail(v, "is for receivers of type webhook, not %s", f.Type.V)
				}
			}
		}
		receivers = append(receivers, rcv)
	}
	return receivers
}

func (r *resolver) events(v *at[[]at[string]]) []string {
	if !v.OK() {
		return nil
	}
	if len(v.V) == 0 {
		r.fail(v, "names no event: name some, or remove the key for all of them")
	}
	var all []string
	for _, item := range v.V {
		switch known := EventTypes(); {
		case !item.OK():
		case !slices.Contains(known, item.V):
			r.errs.Add(item.Pos, "%q must be types of events (%s), not %q%s", r.fields[v].path, strings.Join(known, ", "), item.V, strictyaml.DidYouMean(item.V, known))
		default:
			all = append(all, item.V)
		}
	}
	return all
}

// ownerTerm matches the term of a selector that names an owner.
var ownerTerm = regexp.MustCompile(`^owner\s*==?\s*(.*)$`)

// selector returns what a selector selects: orgs with labels, and those of owners.
func (r *resolver) selector(v *at[selectorTerms]) (labels state.Selector, owners []string) {
	if v.OK() && len(v.V) == 0 {
		r.fail(v, "selects nothing: name a label, or remove the key for all orgs")
	}
	var terms []string
	for _, item := range v.V {
		term := strings.TrimSpace(item.V)
		owner := ownerTerm.FindStringSubmatch(term)
		switch {
		case !item.OK():
		case owner != nil && strings.TrimSpace(owner[1]) == "":
			r.errs.Add(item.Pos, "%q: %q names no owner", r.fields[v].path, item.V)
		case owner != nil:
			owners = append(owners, strings.TrimSpace(owner[1]))
		default:
			terms = append(terms, term)
		}
	}
	if len(terms) == 0 {
		return labels, owners
	}
	// A variable's terms were split at commas that may be within parentheses.
	labels, err := state.ParseSelector(strings.Join(terms, ","))
	if err != nil {
		r.errs.Add(v.Pos, "%q: %v", r.fields[v].path, err)
	}
	return labels, owners
}

const minDigest, maxDigest = time.Second, 744 * time.Hour

// digest returns when collected events are sent.
func (r *resolver) digest(v *at[string]) Digest {
	if !v.OK() {
		return Digest{}
	}
	if after, err := time.ParseDuration(v.V); err == nil {
		if after < minDigest || after > maxDigest {
			r.fail(v, "must be from 1s to 744h, or a schedule, not %s", v.V)
		}
		return Digest{After: after}
	}
	at, err := schedule.Parse(v.V)
	if err != nil {
		r.fail(v, "must be a duration such as 1h, or a schedule: %v", err)
	}
	return Digest{At: at}
}
