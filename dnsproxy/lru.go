// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import "container/list"

// lru is a bounded map that forgets what was not used for longest. It is not for concurrent use.
type lru[K comparable, V any] struct {
	limit   int
	evicted func(V) // may be nil
	order   list.List
	byKey   map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int, evicted func(V)) *lru[K, V] {
	return &lru[K, V]{limit: limit, evicted: evicted, byKey: make(map[K]*list.Element)}
}

// get returns the value of k and makes it the newest.
func (l *lru[K, V]) get(k K) (v V, ok bool) {
	e, ok := l.byKey[k]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruItem[K, V]).value, true
}

// put sets the value of k, makes it the newest and drops the oldest beyond the limit. A value that
// it replaces is not told to evicted.
func (l *lru[K, V]) put(k K, v V) {
	if e, ok := l.byKey[k]; ok {
		e.Value.(*lruItem[K, V]).value = v
		l.order.MoveToFront(e)
		return
	}
	l.byKey[k] = l.order.PushFront(&lruItem[K, V]{k, v})
	for l.order.Len() > l.limit {
		l.drop(l.order.Back())
	}
}

// keep drops every value for which wanted is false.
func (l *lru[K, V]) keep(wanted func(V) bool) {
	for e := l.order.Front(); e != nil; {
		next := e.Next()
		if !wanted(e.Value.(*lruItem[K, V]).value) {
			l.drop(e)
		}
		e = next
	}
}

// each calls f for every value, newest first.
func (l *lru[K, V]) each(f func(V)) {
	for e := l.order.Front(); e != nil; e = e.Next() {
		f(e.Value.(*lruItem[K, V]).value)
	}
}

func (l *lru[K, V]) drop(e *list.Element) {
	item := l.order.Remove(e).(*lruItem[K, V])
	delete(l.byKey, item.key)
	if l.evicted != nil {
		l.evicted(item.value)
	}
}
