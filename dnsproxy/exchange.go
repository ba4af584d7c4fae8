// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"mpol/compiler/program"
)

// origin is whose message it is and where its answer goes.
type origin struct {
	Client
	proto  uint8
	client netip.AddrPort
	sent   netip.AddrPort // where the client's packet was sent, and its answer comes from
	known  bool           // false: a stranger
	// send delivers one message; it does not keep it.
	send func(msg []byte)
}

// exchange is one question on its way, from its arrival until its client has an answer. Whoever
// ends it first answers; all others' answers are dropped.
type exchange struct {
	ask
	origin
	p     *Proxy
	ctx   context.Context // of Serve
	msg   []byte          // the client's message; over UDP it gets the ID that its server sees
	by    *views          // in force when the question came
	rule  decision        // by them
	timer *time.Timer
	ended atomic.Bool
	// users counts who may still end or commit it; the last one gives back its place among the
	// workload's questions in flight.
	users   atomic.Int32
	retried bool // TCP: it was sent again after the server closed the connection
}

// accept judges a client's message, which it keeps. It returns the exchange that is to be
// forwarded, or nil when the client has been answered already.
func (p *Proxy) accept(ctx context.Context, msg []byte, o origin) *exchange {
	a, bad := readQuery(msg)
	x := &exchange{ask: a, origin: o, p: p, ctx: ctx, msg: msg}
	switch {
	case bad != nil && bad.silent:
		x.report(Denied, x.rule, bad.reason, nil)
		return nil
	case bad != nil:
		x.end(Denied, x.rule, refusal{rcode: bad.rcode, text: bad.reason})
		return nil
	case !o.known:
		x.end(Denied, x.rule, refusal{rcode: rcodeRefused, code: errorProhibited, text: "client is no workload of a policy"})
		return nil
	}
	x.by = p.views.Load()
	if x.rule = x.by.judge(x.Workload, x.way(), x.labels, x.typ); !x.rule.allow {
		x.deny(x.rule, "question not allowed")
		return nil
	}
	if !p.inFlight.take(o.Workload) {
		x.fail("too many questions in flight")
		return nil
	}
	x.users.Store(1)
	x.timer = time.AfterFunc(p.cfg.Timeouts.Query, func() {
		x.fail("no answer in time")
	})
	return x
}

// way is that of the question.
func (x *exchange) way() way { return way{x.Server, x.Receiver, x.proto} }

// judge judges the question again when the views have changed since it came.
func (x *exchange) judge(by *views) decision {
	if by == x.by {
		return x.rule
	}
	return by.judge(x.Workload, x.way(), x.labels, x.typ)
}

// deny ends x with the configured refusal.
func (x *exchange) deny(d decision, reason string) {
	r := refusal{rcode: rcodeRefused, code: errorProhibited, text: reason}
	if x.p.cfg.Refusal == NXDomain || hasSuffix(x.p.search, x.labels) || x.labels.String() == canary {
		r.rcode = rcodeNXDomain
	}
	x.end(Denied, d, r)
}

// canary is the name by which browsers ask whether the network minds DNS over HTTPS; only its
// absence says so.
const canary = "use-application-dns.net"

// fail ends x with SERVFAIL.
func (x *exchange) fail(reason string) {
	x.end(Failed, x.rule, refusal{rcode: rcodeServFail, code: errorOther, text: reason})
}

// end answers x's client with r unless it has an answer.
func (x *exchange) end(v Verdict, d decision, r refusal) {
	if x.ended.Swap(true) {
		return
	}
	x.send(r.reply(&x.ask))
	x.leave()
	x.report(v, d, r.text, nil)
}

// release answers x's client with the server's message unless it has an answer.
func (x *exchange) release(a *answer, d decision, granted []Address) {
	if x.ended.Swap(true) {
		return
	}
	x.timer.Stop()
	binary.BigEndian.PutUint16(a.msg, x.id)
	x.send(a.msg)
	x.leave()
	x.report(Allowed, d, "", granted)
}

// join adds a user of x, unless x has ended already.
func (x *exchange) join() bool {
	for {
		n := x.users.Load()
		if n == 0 {
			return false
		}
		if x.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends what join or accept began.
func (x *exchange) leave() {
	if x.users.Load() > 0 && x.users.Add(-1) == 0 {
		x.p.inFlight.give(x.Workload)
	}
}

func (x *exchange) report(v Verdict, d decision, reason string, granted []Address) {
	x.p.cfg.Event(Event{
		Time:       x.p.cfg.Clock(),
		Generation: d.generation,
		Workload:   x.Workload,
		Client:     x.client,
		Server:     x.Server,
		Proto:      x.proto,
		Name:       x.labels,
		Type:       x.typ,
		Verdict:    v,
		Rule:       d.rule,
		Log:        d.log,
		Reason:     reason,
		Granted:    granted,
	})
}

// sizeLimit is the largest message that x's client gets.
func (x *exchange) sizeLimit() int {
	if x.proto == program.ProtoTCP {
		return maxMessage
	}
	return min(x.limit, maxUDPSafe)
}
