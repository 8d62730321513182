package org

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"reconciler/internal/okta/objects"
	"reconciler/internal/okta/rest"
	"reconciler/internal/text"
)

const (
	// maxPages ends a list that has no end, and maxBarren one that goes in circles:
	// that many pages in a row may bring nothing. maxEntries and maxBytes are how
	// much all pages together may have.
	maxPages   = 1000
	maxBarren  = 3
	maxEntries = 100_000
	maxBytes   = 100 << 20
)

// raw is an object as the API has it, without what is secret.
type raw = map[string]any

// place returns where the list is.
func (l *reading) place() (place, error) {
	p := collection(l.kind, l.parent)
	query := l.kind.API.Query
	if l.builtIn {
		query = l.kind.API.BuiltInQuery
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return p, fmt.Errorf("the query of the %s is malformed: %w", l.kind.Name, err)
	}
	for _, all := range values {
		for i := range all {
			all[i] = strings.ReplaceAll(all[i], "{type}", l.typ)
		}
	}
	p.query = values.Encode()
	return p, nil
}

// list reads a list, all its pages.
func (s *session) list(ctx context.Context, l *reading) ([]raw, error) {
	p, err := l.place()
	if err != nil {
		return nil, err
	}
	r := &lister{session: s, kind: l.kind, ids: map[string]bool{}, visited: map[string]bool{}}
	if l.compared {
		r.skip = l.kind.Ignored
	}
	all, err := r.read(ctx, p)
	// What a list is filtered by is not always heeded.
	return slices.DeleteFunc(all, func(o raw) bool {
		_, _, system, ours := l.kind.Ident(o)
		return !ours || l.kind.Typed && o["type"] != l.typ || l.kind.API.BuiltInQuery != "" && system != l.builtIn
	}), err
}

// lister reads one list.
type lister struct {
	*session
	kind    *objects.Kind
	skip    func(field string) bool // the fields that are left out; nil leaves out none
	ids     map[string]bool
	visited map[string]bool
	barren  int
	bytes   int
}

func (l *lister) read(ctx context.Context, p place) ([]raw, error) {
	all := []raw{}
	first := p.url(l.home)
	for n, at := 1, first; ; n++ {
		l.visited[at.String()] = true
		page, next, err := l.page(ctx, p, at)
		if err == nil {
			err = l.check(page)
		}
		if err == nil && next != nil {
			err = l.checkNext(n, first, next)
		}
		if err != nil && n > 1 {
			return nil, wrap(err, "page %d", n)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == nil {
			return all, nil
		}
		at = next
	}
}

// page reads one page, and finds the next; nil when it is the last.
func (l *lister) page(ctx context.Context, p place, at *url.URL) (page []raw, next *url.URL, err error) {
	call := l.call("GET", p, rest.Always)
	call.URL = at
	var answer *rest.Answer
	call.Read = func(a *rest.Answer) (err error) {
		answer = a
		page, err = decodeList(a, l.skip)
		for _, o := range page {
			dropSecrets(l.kind.Fields, o)
		}
		return err
	}
	if err := l.do(ctx, l.reader, l.kind, call); err != nil {
		return nil, nil, err
	}
	if page == nil {
		return nil, nil, errors.New("the answer is null instead of a list")
	}
	l.bytes += len(answer.Body)
	target, err := rest.NextLink(answer.Header, nil)
	if err == nil && target != "" {
		next, err = rest.Follow(l.home, at, target, l.opts.Keys.URL)
	}
	return page, next, err
}

// decodeList returns the objects of an answer without the fields that skip selects.
func decodeList(a *rest.Answer, skip func(field string) bool) ([]raw, error) {
	if a.Cut == nil {
		if list, ok := objects.ParseList(a.Body, skip); ok {
			return list, nil
		}
	}
	return rest.Decode[[]raw](a) // for its error
}

// check refuses objects that can't be told apart.
func (l *lister) check(page []raw) error {
	l.barren++
	for _, o := range page {
		id, err := idOf(o)
		switch {
		case err != nil:
			return err
		case l.ids[id]:
			return fmt.Errorf("the id %q is on the list twice", text.Clean(id))
		}
		l.ids[id], l.barren = true, 0
	}
	if len(l.ids) > maxEntries {
		return fmt.Errorf("there is no end to it: gave up at more than %d entries", maxEntries)
	}
	if l.bytes > maxBytes {
		return fmt.Errorf("there is no end to it: gave up at more than %d bytes", maxBytes)
	}
	return nil
}

// checkNext refuses a next page that is none of this list, or leads nowhere.
func (l *lister) checkNext(n int, first, next *url.URL) error {
	switch {
	case next.Path != first.Path:
		return text.WithHint(fmt.Errorf("the next page is one of %q, not of %q, and is not followed", text.Clean(next.Path), first.Path),
			"check "+l.opts.Keys.URL+", and proxies that rewrite answers")
	case l.visited[next.String()]:
		return errors.New("the pages go in circles: the next one was read before")
	case l.barren == maxBarren:
		return fmt.Errorf("the pages go in circles: %d in a row brought nothing", maxBarren)
	case n == maxPages:
		return fmt.Errorf("there is no end to it: gave up after %d pages", maxPages)
	}
	return nil
}

// idOf returns the id of an object.
func idOf(o raw) (string, error) {
	id, _ := o["id"].(string)
	if id == "" || id == "." || id == ".." {
		return "", errors.New("an object has no id")
	}
	return id, nil
}

// dropSecrets takes the values of secret fields out of what was just decoded.
func dropSecrets(fields []objects.Field, v any) {
	o, ok := v.(raw)
	if !ok {
		return
	}
	for i := range fields {
		f := &fields[i]
		value, there := o[f.Name]
		switch {
		case !there:
		case f.Secret:
			delete(o, f.Name)
		default:
			dropSecretsOf(f, value)
		}
	}
}

func dropSecretsOf(f *objects.Field, v any) {
	elements, ok := v.([]any)
	if !ok || f.Elem == nil {
		dropSecrets(f.Fields, v)
		return
	}
	for _, e := range elements {
		dropSecretsOf(f.Elem, e)
	}
}

// one reads one object, or a setting. Its numbers are a json.Number: what nobody declares
// is sent back as it was read.
func (s *session) one(ctx context.Context, p place) (raw, error) {
	o, answer, err := get[raw](ctx, s.site, s.reader, p)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		return nil, errors.New("the answer is null instead of an object")
	}
	exact := json.NewDecoder(bytes.NewReader(answer.Body))
	exact.UseNumber()
	if err := exact.Decode(&o); err != nil {
		return nil, err
	}
	dropSecrets(p.kind.Fields, o)
	if id := o["id"]; p.id != "" && id != p.id {
		return nil, fmt.Errorf("the answer is the object %q, not %q", text.Clean(fmt.Sprint(id)), p.id)
	}
	return o, nil
}
