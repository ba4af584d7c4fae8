// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"fmt"
	"time"
)

// maxRounds bounds how often one answer is judged again because the views changed meanwhile.
const maxRounds = 8

// answer takes the server's message, which it keeps, and ends x: at once, or when the addresses in
// the message are open.
func (x *exchange) answer(msg []byte) {
	if len(msg) > x.sizeLimit() {
		msg = truncated(msg, x.question)
	}
	a, err := readAnswer(msg, x.question)
	switch {
	case err != nil:
		x.fail("answer cannot be read")
	case a.rcode == rcodeRefused:
		x.fail("server refused")
	case !opens(x.typ):
		x.settlePlain(&a)
	default:
		x.settle(&a)
	}
}

// settlePlain releases an answer that opens nothing, if its question is still allowed.
func (x *exchange) settlePlain(a *answer) {
	if d := x.judge(x.p.views.Load()); !d.allow {
		x.deny(d, "question no longer allowed")
		return
	}
	x.release(a, x.rule, nil)
}

// weighed is what one set of views makes of an answer: a refusal, an answer that opens nothing
// (no sets), or addresses to open.
type weighed struct {
	by    *views
	rule  decision
	end   func() // refuses, nil when the answer may leave
	addrs []Address
	chain chain
}

// weigh judges an answer under the views in force.
func (x *exchange) weigh(a *answer) weighed {
	w := weighed{by: x.p.views.Load()}
	w.rule = x.judge(w.by)
	if !w.rule.allow {
		w.end = func() { x.deny(w.rule, "question no longer allowed") }
		return w
	}
	found, c, err := a.learn(x.name, x.p.cfg.TTL)
	w.chain = c
	for _, l := range found {
		w.addrs = append(w.addrs, Address{Addr: l.addr, TTL: l.ttl + x.p.cfg.TTL.Grace})
	}
	if len(w.rule.sets) == 0 {
		return w // the question decides alone; what cannot be followed opens nothing
	}
	if err != nil {
		w.end = func() { x.fail(fmt.Sprintf("answer not believed: %v", err)) }
		return w
	}
	for _, l := range found {
		if w.by.forbidden(l.addr) {
			w.end = func() { x.deny(w.rule, fmt.Sprintf("answer has %v, which no name may open", l.addr)) }
			return w
		}
	}
	return w
}

// opens reports whether there is something to commit before the answer leaves.
func (w weighed) opens() bool { return w.end == nil && len(w.rule.sets) > 0 && len(w.addrs) > 0 }

// settle ends x with an answer of a type that has addresses.
func (x *exchange) settle(a *answer) {
	w := x.weigh(a)
	if !w.opens() && x.conclude(a, w, nil) {
		return
	}
	if !x.join() {
		return
	}
	x.p.running.Go(func() {
		defer x.leave()
		x.commit(a, w)
	})
}

// commit opens what the answer gives, again for as long as the views change meanwhile, and ends x.
// Config.Commit is not trusted to return: the client has its SERVFAIL in time all the same.
func (x *exchange) commit(a *answer, w weighed) {
	ctx, cancel := context.WithCancel(x.ctx)
	defer cancel()
	late := time.AfterFunc(x.p.cfg.Timeouts.Commit, func() {
		x.fail("addresses were not opened in time")
		cancel()
	})
	defer late.Stop()
	for range maxRounds {
		var err error
		if w.opens() {
			err = x.p.cfg.Commit(ctx, Grant{
				Workload: x.Workload, Sets: w.rule.sets, Addresses: w.addrs, Name: x.labels,
			})
		}
		if x.conclude(a, w, err) {
			return
		}
		w = x.weigh(a)
	}
	x.fail("policy changed while addresses were opened")
}

// conclude remembers what was opened and ends x, unless the views are no longer those that judged:
// then it returns false. A view that is applied afterwards finds the answer in the memory, one
// applied before is seen here, so that none misses it.
func (x *exchange) conclude(a *answer, w weighed, err error) bool {
	if w.end == nil && err == nil && len(w.addrs) > 0 {
		key := memoryKey{way: x.way(), name: x.name, typ: x.typ}
		x.p.memory.add(x.Workload, key, w.addrs, x.p.cfg.Clock())
	}
	if x.p.views.Load() != w.by {
		return false
	}
	if x.ended.Load() {
		return true
	}
	switch {
	case w.end != nil:
		w.end()
	case err != nil:
		x.fail(fmt.Sprintf("addresses could not be opened: %v", err))
	default:
		if len(w.rule.sets) == 0 {
			x.release(a, w.rule, nil)
			break
		}
		a.lower(w.chain, x.p.cfg.TTL)
		x.release(a, w.rule, w.addrs)
	}
	return true
}
