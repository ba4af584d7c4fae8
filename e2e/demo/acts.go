// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mpol/agent/event"
	"mpol/agent/status"
	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// file is the policy file that the acts edit.
const file = "shop.mpol"

// act is a part of the demonstration that does something to the node between its rows.
type act struct {
	n      *shop
	f      family
	events *node.Tail
	done   []result
}

// row tries r and keeps its result.
func (a *act) row(ctx context.Context, r row) {
	a.done = append(a.done, r.run(ctx, "IPv"+a.f.name, a.events))
}

// killEnvoy kills the L7 proxy: what needs it is refused until it is back.
func (a *act) killEnvoy(ctx context.Context) error {
	web, site := a.n.Device(0), netip.AddrPortFrom(a.f.site(a.n.AB), 80)
	l := &lab.Live{Client: web, To: site, Host: "a.example"}
	defer l.Close()
	fresh := func(path string) func(context.Context) string { return curl(web, a.f, "http://a.example"+path) }
	a.row(ctx, row{
		who: "web", what: "GET /public/live on a connection that stays open", want: "200", name: "live",
		try: get(l, "/public/live"), rule: "shop.web.feed", event: request("web", "GET /public/live"),
	})
	if err := a.n.KillEnvoy(); err != nil {
		return err
	}
	a.row(ctx, row{
		who: "web", what: "the same connection after kill -9 of Envoy", want: lab.Closed, alive: "back",
		try: get(l, "/public/live"),
	})
	a.row(ctx, row{
		who: "web", what: "a new connection while there is no Envoy", want: lab.Refused, alive: "back",
		try: fresh("/public/new"),
		event: func(e event.Event) bool {
			return e.Kind == event.Flow && e.Workload == "web" && e.Destination == site && e.Reason == "no listener"
		},
	})
	err := lab.Wait(20*time.Second, "Envoy's return", func() error {
		if got := fresh("/public/waiting")(ctx); got != "200" {
			return errors.New(got)
		}
		return nil
	})
	a.row(ctx, row{
		who: "web", what: "a new connection once Envoy is back", want: "200", name: "back",
		try: fresh("/public/back"), rule: "shop.web.feed", event: request("web", "GET /public/back"),
	})
	return err
}

// edits changes the policy under live connections, then breaks it.
func (a *act) edits(ctx context.Context) error {
	site := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(a.f.site(a.n.AB), port) }
	pay := netip.AddrPortFrom(a.f.address(a.n.Workloads[2]), 9443)
	requests := &lab.Live{Client: a.n.Device(0), To: site(80), Host: "a.example"}
	defer requests.Close()
	names := &lab.Live{Client: a.n.Device(0), To: site(443), Host: "a.example", TLS: true}
	defer names.Close()
	packets := &lab.Live{Client: a.n.Device(1), To: pay, Host: "pay"}
	defer packets.Close()
	a.row(ctx, row{
		who: "web", what: "GET http://a.example/public/x on a live connection", want: "200", name: "live http",
		try: get(requests, "/public/x"), rule: "shop.web.feed", event: request("web", "GET /public/x"),
	})
	a.row(ctx, row{
		who: "web", what: "GET https://a.example/ on a live connection", want: "200", name: "live tls",
		try: get(names, "/"), rule: "shop.web.feed-tls", event: serverName("web", "a.example"),
	})
	a.row(ctx, row{
		who: "cart", what: "GET pay:9443/ on a live connection", want: "200", name: "live tcp",
		try: get(packets, "/"), rule: "shop.cart.charge", event: flow("cart", pay),
	})
	err := a.edit(ctx, `GET "/public/**"`, `GET "/news/**"`, row{
		who: "web", what: `the live HTTP, after the edit of feed to GET "/news/**"`, want: "403", alive: "live http",
		try: get(requests, "/public/x"), rule: byDefault, event: request("web", "GET /public/x"),
	})
	if err != nil {
		return err
	}
	a.row(ctx, row{
		who: "web", what: "the live TLS, which the edit does not concern", want: "200", name: "tls lives on",
		try: get(names, "/"),
	})
	err = a.edit(ctx, "sni feed", `sni "c.example"`, row{
		who: "web", what: `the live TLS, after the edit of feed-tls to sni "c.example"`, want: lab.Closed,
		alive: "tls lives on", try: get(names, "/"), rule: byDefault,
		event: serverName("web", "a.example"),
	})
	if err != nil {
		return err
	}
	a.row(ctx, row{
		who: "cart", what: "the live TCP, which no edit concerned so far", want: "200", name: "tcp lives on",
		try: get(packets, "/"),
	})
	err = a.edit(ctx, "charge: allow to pay", "charge: deny to pay", row{
		who: "cart", what: "the live TCP, after the edit of charge to deny", want: lab.Closed, alive: "tcp lives on",
		try: get(packets, "/"), rule: "shop.cart.charge", event: flow("cart", pay),
	})
	if err != nil {
		return err
	}
	return a.broken(ctx, requests)
}

// edit changes the policy and, once that is in force, tries r, which may be decided by the edit itself.
func (a *act) edit(ctx context.Context, old, new string, r row) error {
	mark := a.events.Mark()
	if err := a.n.Apply(ctx, file, old, new); err != nil {
		return err
	}
	a.done = append(a.done, r.runSince(ctx, "IPv"+a.f.name, a.events, mark))
	return nil
}

// broken writes a file with a mistake: nothing on the node changes, and status says why.
func (a *act) broken(ctx context.Context, l *lab.Live) error {
	before, err := a.n.Status(ctx)
	if err != nil {
		return err
	}
	if err := a.n.Edit(file, "default deny", "default denny"); err != nil {
		return err
	}
	a.row(ctx, row{
		who: "node", what: "mpol status after an edit to 'default denny'", want: "rejected",
		try: func(ctx context.Context) string { return a.rejected(ctx, before.Generation) },
	})
	a.row(ctx, row{
		who: "web", what: "GET http://a.example/news/1 on the live HTTP", want: "200",
		try: get(l, "/news/1"), rule: "shop.web.feed", event: request("web", "GET /news/1"),
	})
	return nil
}

// rejected waits until the agent has seen the broken file and says what came of it: the generation
// must stay.
func (a *act) rejected(ctx context.Context, generation uint32) string {
	var r status.Report
	err := lab.Wait(10*time.Second, "the agent's refusal", func() (err error) {
		if r, err = a.n.Status(ctx); err == nil && r.Rejected == "" {
			err = errors.New("status shows no refusal")
		}
		return err
	})
	switch {
	case err != nil:
		return err.Error()
	case r.Generation != generation:
		return fmt.Sprintf("rejected, but generation %d became %d", generation, r.Generation)
	case len(r.Diagnostics) == 0:
		return "rejected without a diagnostic"
	}
	return "rejected"
}
