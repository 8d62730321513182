package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"reconciler/internal/config"
	"reconciler/internal/reconcile"
	"reconciler/internal/state"
	"reconciler/internal/store/history"
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// inventory serves the lists of the API. Okta is never called for them.
type inventory struct{ reader *reader }

// register adds the endpoints. What else is asked for below /api/v1/ is an error.
func (v *inventory) register(mux *http.ServeMux) {
	for _, e := range lists() {
		mux.HandleFunc("GET "+apiPath+e.name, e.handler(v, e.parameters))
	}
	mux.HandleFunc("GET /api/v1/orgs/{domain}", v.org)
	mux.HandleFunc("GET /api/v1/openapi.json", serveOpenAPI)
	mux.HandleFunc(anything, func(w http.ResponseWriter, r *http.Request) {
		if allowed := allowed(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			sendError(w, http.StatusMethodNotAllowed, "this endpoint answers "+strings.Join(allowed, ", ")+" only", "")
			return
		}
		sendError(w, http.StatusNotFound, fmt.Sprintf("there is no endpoint %q", text.OneLine(r.URL.Path, maxBy)), "/api/v1/openapi.json describes all")
	})
}

// endpoint is a list of the API.
type endpoint struct {
	name string
	// parameters are the names of those that it takes.
	parameters []string
	handler    func(v *inventory, parameters []string) http.HandlerFunc
}

// ofOrgs are the parameters that select orgs, and what is about them.
func ofOrgs(more ...string) []string {
	return append([]string{"org", "label", "q", "state", "cell", "owner", "product", "status", "declared", "drifted", "limit", "after"}, more...)
}

// lists are the lists of the API.
func lists() []endpoint {
	return []endpoint{
		{"orgs", ofOrgs("since", "sort"), list((*reader).Orgs)},
		{"products", ofOrgs("since"), list((*reader).Products)},
		{"drift", ofOrgs("since"), list((*reader).Drift)},
		{"objects", ofOrgs("kind"), list((*reader).Objects)},
		{"kinds", ofOrgs("kind"), list((*reader).Kinds)},
		{"features", ofOrgs(), list((*reader).Features)},
		{"runs", ofOrgs("since", "outcome"), list((*reader).Runs)},
		{"changes", ofOrgs("since", "until", "run", "action", "by", "outcome"), list((*reader).Changes)},
		{"history", ofOrgs("since", "until", "run", "type", "action", "by", "outcome"), list((*reader).History)},
	}
}

// parametersOf returns the names of a list's parameters.
func parametersOf(list string) []string {
	all := lists()
	return all[slices.IndexFunc(all, func(e endpoint) bool { return e.name == list })].parameters
}

// anything is the pattern of what no other endpoint of the API answers.
const anything = apiPath

// apiPath is below what the API is.
const apiPath = "/api/v1/"

// allowed returns the methods that the endpoint of a request answers; none if there is no
// such endpoint.
func allowed(mux *http.ServeMux, r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		another := r.Clone(r.Context())
		another.Method = method
		if _, pattern := mux.Handler(another); pattern != anything {
			methods = append(methods, method)
		}
	}
	return methods
}

// list returns what makes the handler of a list.
func list[T any](read func(*reader, *reconcile.InventoryQuery) (*reconcile.Page[T], error)) func(*inventory, []string) http.HandlerFunc {
	return func(v *inventory, parameters []string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			q, err := parseQuery(r.URL.RawQuery, parameters, v.reader.now())
			if err != nil {
				sendError(w, http.StatusBadRequest, err.Error(), text.Hint(err))
				return
			}
			page, err := read(v.reader, q)
			if err != nil {
				sendFailure(w, err)
				return
			}
			send(w, http.StatusOK, page)
		}
	}
}

// org serves one org.
func (v *inventory) org(w http.ResponseWriter, r *http.Request) {
	domain := strings.ToLower(r.PathValue("domain"))
	found, err := v.reader.Org(domain)
	switch {
	case err != nil:
		sendFailure(w, err)
	case found == nil:
		sendError(w, http.StatusNotFound, fmt.Sprintf("no org %q is declared, and none was live when the account was read last", text.OneLine(domain, maxBy)),
			"/api/v1/orgs lists all")
	default:
		send(w, http.StatusOK, found)
	}
}

// sendFailure answers what could not be read.
func sendFailure(w http.ResponseWriter, err error) {
	code, problem, hint := inventoryFailure(err)
	sendError(w, code, problem, hint)
}

// inventoryFailure returns how it is answered that something could not be read.
func inventoryFailure(err error) (code int, problem, hint string) {
	var wrong *reconcile.QueryError
	switch {
	case errors.As(err, &wrong):
		return http.StatusBadRequest, err.Error(), text.Hint(err)
	case errors.Is(err, reconcile.ErrNoHistory):
		return http.StatusNotFound, err.Error(), "set " + config.KeyStateDir + "; the history begins with the next run"
	}
	return http.StatusInternalServerError, text.JoinLines(err.Error()), text.Hint(err)
}

const (
	usualLimit = 100
	maxLimit   = 1000
)

// parameter sets in a query what the values of a parameter mean.
type parameter func(q *reconcile.InventoryQuery, values []string, now time.Time) error

// parameters are those of all lists, by their names.
func parameters() map[string]parameter {
	word := func(field func(*reconcile.InventoryQuery) *string) parameter {
		return func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			*field(q) = values[0]
			return nil
		}
	}
	flag := func(field func(*reconcile.InventoryQuery) *bool) parameter {
		return func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			if *field(q), err = strconv.ParseBool(values[0]); err != nil {
				return errors.New("must be true or false")
			}
			return nil
		}
	}
	moment := func(field func(*reconcile.InventoryQuery) *time.Time) parameter {
		return func(q *reconcile.InventoryQuery, values []string, now time.Time) (err error) {
			*field(q), err = text.ParseTime(values[0], now)
			return err
		}
	}
	return map[string]parameter{
		"org": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			for _, v := range values {
				q.Orgs = append(q.Orgs, strings.ToLower(v))
			}
			return nil
		},
		"label": func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			q.Labels, err = state.ParseSelector(values...)
			return err
		},
		"state": func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			q.States, err = oneOf(values, reconcile.SyncStates())
			return err
		},
		"type": func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			q.Types, err = oneOf(values, append(history.Happened(), history.TypeDriftEnded))
			return err
		},
		"status": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			all, err := oneOf([]string{strings.ToUpper(values[0])}, []state.Status{state.Active, state.Inactive})
			if err == nil {
				q.Status = all[0]
			}
			return err
		},
		"limit": func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			if q.Limit, err = strconv.Atoi(values[0]); err != nil || q.Limit < 1 || q.Limit > maxLimit {
				return fmt.Errorf("must be 1 to %d", maxLimit)
			}
			return nil
		},
		"q":        word(func(q *reconcile.InventoryQuery) *string { return &q.Text }),
		"cell":     word(func(q *reconcile.InventoryQuery) *string { return &q.Cell }),
		"owner":    word(func(q *reconcile.InventoryQuery) *string { return &q.Owner }),
		"product":  word(func(q *reconcile.InventoryQuery) *string { return &q.Product }),
		"kind":     word(func(q *reconcile.InventoryQuery) *string { return &q.Kind }),
		"run":      word(func(q *reconcile.InventoryQuery) *string { return &q.Run }),
		"action":   word(func(q *reconcile.InventoryQuery) *string { return &q.Action }),
		"by":       word(func(q *reconcile.InventoryQuery) *string { return &q.By }),
		"outcome":  word(func(q *reconcile.InventoryQuery) *string { return &q.Outcome }),
		"sort":     word(func(q *reconcile.InventoryQuery) *string { return &q.Sort }),
		"after":    word(func(q *reconcile.InventoryQuery) *string { return &q.After }),
		"since":    moment(func(q *reconcile.InventoryQuery) *time.Time { return &q.Since }),
		"until":    moment(func(q *reconcile.InventoryQuery) *time.Time { return &q.Until }),
		"declared": flag(func(q *reconcile.InventoryQuery) *bool { return &q.Declared }),
		"drifted": flag(func(q *reconcile.InventoryQuery) *bool {
			q.Drifted = new(bool)
			return q.Drifted
		}),
	}
}

// repeated are the parameters that may be given several times.
func repeated() []string { return []string{"org", "label", "state", "type"} }

// oneOf returns values that must each be one of some words.
func oneOf[T ~string](values []string, words []T) (all []T, err error) {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	for _, v := range values {
		if !slices.Contains(words, T(v)) {
			return nil, fmt.Errorf("must be %s%s", strictyaml.OneOf(names), strictyaml.DidYouMean(v, names))
		}
		all = append(all, T(v))
	}
	return all, nil
}

// parseQuery reads the parameters of a list, which takes those that are named.
func parseQuery(raw string, names []string, now time.Time) (*reconcile.InventoryQuery, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query can't be read: it must be NAME=VALUE, joined with & and escaped as in URLs")
	}
	q := &reconcile.InventoryQuery{Limit: usualLimit}
	known := parameters()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, name) {
			names = slices.Sorted(slices.Values(names))
			return nil, text.WithHint(fmt.Errorf("unknown parameter %q%s", text.OneLine(name, 40), strictyaml.DidYouMean(name, names)),
				"the parameters are "+strings.Join(names, ", "))
		}
		if len(values[name]) > 1 && !slices.Contains(repeated(), name) {
			return nil, fmt.Errorf("%s is given %d times", name, len(values[name]))
		}
		if err := known[name](q, values[name], now); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", name, text.OneLine(values[name][0], maxBy), err)
		}
	}
	return q, nil
}
