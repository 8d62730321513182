package org

import "container/list"

// recent keeps the values that were used last, up to a number.
type recent[K comparable, V any] struct {
	size  int
	order *list.List // of pair[K, V]; the front was used last
	byKey map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](size int) *recent[K, V] {
	return &recent[K, V]{size: size, order: list.New(), byKey: map[K]*list.Element{}}
}

func (r *recent[K, V]) get(key K) (v V, ok bool) {
	e := r.byKey[key]
	if e == nil {
		return v, false
	}
	r.order.MoveToFront(e)
	return e.Value.(pair[K, V]).value, true
}

// put adds a key that isn't there.
func (r *recent[K, V]) put(key K, v V) {
	r.byKey[key] = r.order.PushFront(pair[K, V]{key, v})
	if r.order.Len() > r.size {
		last := r.order.Back()
		r.order.Remove(last)
		delete(r.byKey, last.Value.(pair[K, V]).key)
	}
}
