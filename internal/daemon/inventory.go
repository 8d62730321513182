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
	"reconciler/internal/strictyaml"
	"reconciler/internal/text"
)

// inventory serves the lists of the API. Okta is never called for them.
type inventory struct{ reader *reader }

// register adds the endpoints. What else is asked for below /api/v1/ is an error.
func (v *inventory) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/orgs", list(v, (*reconcile.InventoryReader).Orgs))
	mux.HandleFunc("GET /api/v1/orgs/{domain}", v.org)
	mux.HandleFunc("GET /api/v1/products", list(v, (*reconcile.InventoryReader).Products))
	mux.HandleFunc("GET /api/v1/drift", list(v, (*reconcile.InventoryReader).Drift))
	mux.HandleFunc("GET /api/v1/runs", list(v, (*reconcile.InventoryReader).Runs))
	mux.HandleFunc("GET /api/v1/changes", list(v, (*reconcile.InventoryReader).Changes))
	mux.HandleFunc(anything, func(w http.ResponseWriter, r *http.Request) {
		if allowed := allowed(mux, r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			sendError(w, http.StatusMethodNotAllowed, "this endpoint answers "+strings.Join(allowed, ", ")+" only", "")
			return
		}
		sendError(w, http.StatusNotFound, fmt.Sprintf("there is no endpoint %q", text.OneLine(r.URL.Path, maxBy)),
			"there are /api/v1/status, orgs, orgs/DOMAIN, products, drift, runs, runs/ID and changes")
	})
}

// anything is the pattern of what no other endpoint of the API answers.
const anything = "/api/v1/"

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

// list returns the handler of a list.
func list[T any](v *inventory, read func(*reconcile.InventoryReader, *reconcile.InventoryQuery) (*reconcile.Page[T], error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r.URL.RawQuery, v.reader.now())
		if err != nil {
			sendError(w, http.StatusBadRequest, err.Error(), text.Hint(err))
			return
		}
		page, err := read(v.reader.InventoryReader, q)
		if err != nil {
			sendFailure(w, err)
			return
		}
		send(w, http.StatusOK, page)
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
	var wrong *reconcile.QueryError
	switch {
	case errors.As(err, &wrong):
		sendError(w, http.StatusBadRequest, err.Error(), text.Hint(err))
	case errors.Is(err, reconcile.ErrNoHistory):
		sendError(w, http.StatusNotFound, err.Error(), "set "+config.KeyStateDir+"; the history begins with the next run")
	default:
		sendError(w, http.StatusInternalServerError, text.JoinLines(err.Error()), text.Hint(err))
	}
}

const (
	usualLimit = 100
	maxLimit   = 1000
)

// parameters are those of lists, by their names.
func parameters() map[string]func(q *reconcile.InventoryQuery, values []string, now time.Time) error {
	flag := func(field func(*reconcile.InventoryQuery) *bool) func(*reconcile.InventoryQuery, []string, time.Time) error {
		return func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			if *field(q), err = strconv.ParseBool(values[0]); err != nil {
				return errors.New("must be true or false")
			}
			return nil
		}
	}
	return map[string]func(q *reconcile.InventoryQuery, values []string, now time.Time) error{
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
		"product": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			q.Product = values[0]
			return nil
		},
		"run":   func(q *reconcile.InventoryQuery, values []string, _ time.Time) error { q.Run = values[0]; return nil },
		"after": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error { q.After = values[0]; return nil },
		"outcome": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			q.Outcome = values[0]
			return nil
		},
		"since": func(q *reconcile.InventoryQuery, values []string, now time.Time) (err error) {
			q.Since, err = text.ParseTime(values[0], now)
			return err
		},
		"limit": func(q *reconcile.InventoryQuery, values []string, _ time.Time) (err error) {
			if q.Limit, err = strconv.Atoi(values[0]); err != nil || q.Limit < 1 || q.Limit > maxLimit {
				return fmt.Errorf("must be 1 to %d", maxLimit)
			}
			return nil
		},
		"status": func(q *reconcile.InventoryQuery, values []string, _ time.Time) error {
			q.Status = state.Status(strings.ToUpper(values[0]))
			return nil
		},
		"declared": flag(func(q *reconcile.InventoryQuery) *bool { return &q.Declared }),
		"drifted":  flag(func(q *reconcile.InventoryQuery) *bool { return &q.Drifted }),
	}
}

// parseQuery reads the parameters of a list.
func parseQuery(raw string, now time.Time) (*reconcile.InventoryQuery, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query can't be read: it must be NAME=VALUE, joined with & and escaped as in URLs")
	}
	q := &reconcile.InventoryQuery{Limit: usualLimit}
	known := parameters()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set := known[name]
		if set == nil {
			names := slices.Sorted(maps.Keys(known))
			return nil, text.WithHint(fmt.Errorf("unknown parameter %q%s", text.OneLine(name, 40), strictyaml.DidYouMean(name, names)),
				"the parameters are "+strings.Join(names, ", "))
		}
		if len(values[name]) > 1 && name != "org" && name != "label" {
			return nil, fmt.Errorf("%s is given %d times", name, len(values[name]))
		}
		if err := set(q, values[name], now); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", name, text.OneLine(values[name][0], maxBy), err)
		}
	}
	return q, nil
}
