// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"

	"mpol/agent/event"
	"mpol/e2e/lab"
)

// The defaults by name; every other rule is named in full.
const byDefault = "app.default"

// flow tells a flow's final event: of whom, to where.
func flow(who string, to netip.AddrPort) func(event.Event) bool {
	return func(e event.Event) bool {
		return e.Kind == event.Flow && e.Workload == who && e.Destination == to && e.Verdict != "redirect"
	}
}

// request tells the event of a request.
func request(who, what string) func(event.Event) bool {
	return func(e event.Event) bool {
		return e.Kind == event.Request && e.Workload == who && e.Request == what
	}
}

// serverName tells the event of a TLS connection.
func serverName(who, name string) func(event.Event) bool {
	return func(e event.Event) bool {
		return e.Kind == event.Request && e.Workload == who && e.Name == name && e.Request == ""
	}
}

// question tells the event of a DNS question.
func question(who, name, typ string) func(event.Event) bool {
	return func(e event.Event) bool {
		return e.Kind == event.Question && e.Workload == who && e.Name == name && e.Type == typ
	}
}

// echo tells the event of a ping.
func echo(who string, f family, to netip.Addr) func(event.Event) bool {
	return func(e event.Event) bool {
		return e.Kind == event.Flow && e.Workload == who && e.Destination.Addr() == to && e.L4 == f.icmp
	}
}

// rows are what is tried over one family, in this order: names come before their addresses.
func (n *shop) rows(f family) []row {
	var all []row
	all = append(all, n.nameRows(f)...)
	all = append(all, n.shopRows(f)...)
	return append(all, n.hostRows(f)...)
}

// nameRows are about names, requests and server names outside.
func (n *shop) nameRows(f family) []row {
	web, cart := n.Device(0), n.Device(1)
	ab, c := f.site(n.AB), f.site(n.C)
	at := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	elsewhere := "b.example:443:" + at(ab, 443).String()
	return []row{
		{
			who: "web", what: "dig a.example", want: "1 address", name: "ask a",
			try: dig(web, f, "a.example"), rule: "shop.web.feed", event: question("web", "a.example", f.typ),
		},
		{
			who: "web", what: "GET http://a.example/public/x", want: "200", name: "get a",
			try:  curl(web, f, "http://a.example/public/x"),
			rule: "shop.web.feed", event: request("web", "GET /public/x"),
		},
		{
			who: "web", what: "POST http://a.example/public/x", want: "403", alive: "get a",
			try:  curl(web, f, "-X", "POST", "http://a.example/public/x"),
			rule: byDefault, event: request("web", "POST /public/x"),
		},
		{
			who: "web", what: "GET http://a.example/public/../admin", want: "403", alive: "get a",
			try:  curl(web, f, "--path-as-is", "http://a.example/public/../admin"),
			rule: byDefault, event: request("web", "GET /admin"),
		},
		{
			who: "web", what: "dig b.example (at the same address)", want: "REFUSED", alive: "ask a",
			try: dig(web, f, "b.example"), rule: byDefault, event: question("web", "b.example", f.typ),
		},
		{
			who: "cart", what: "GET /public/x at the address that web learned", want: lab.Refused, alive: "get a",
			try: curl(cart, f, url(ab, 80, "/public/x")), rule: byDefault, event: flow("cart", at(ab, 80)),
		},
		{
			who: "web", what: "GET https://a.example/", want: "200", name: "tls a",
			try: curl(web, f, "https://a.example/"), rule: "shop.web.feed-tls", event: serverName("web", "a.example"),
		},
		{
			who: "web", what: "GET https://b.example/ at a.example's address", want: lab.Closed, alive: "tls a",
			try:  curl(web, f, "--connect-to", elsewhere, "https://b.example/"),
			rule: byDefault, event: serverName("web", "b.example"),
		},
		{
			who: "web", what: "GET / at c.example's address, not looked up", want: lab.Refused, alive: "get c",
			try: curl(web, f, url(c, 80, "/")), rule: byDefault, event: flow("web", at(c, 80)),
		},
		{
			who: "web", what: "GET http://c.example/", want: "200", name: "get c",
			try: curl(web, f, "http://c.example/"), rule: "shop.web.cdn", event: flow("web", at(c, 80)),
		},
	}
}

// shopRows are about the shop's own workloads and who comes in from outside.
func (n *shop) shopRows(f family) []row {
	web, cart := n.Device(0), n.Device(1)
	outside := lab.Client{Host: n.Outside}
	address := func(i int) netip.Addr { return f.address(n.Workloads[i]) }
	to := func(i int, port uint16) netip.AddrPort { return netip.AddrPortFrom(address(i), port) }
	return []row{
		{
			who: "web", what: "GET cart:8080/cart/42", want: "200", name: "get cart",
			try: curl(web, f, url(address(1), 8080, "/cart/42")), rule: "shop.cart.read", event: request("web", "GET /cart/42"),
		},
		{
			who: "web", what: "GET cart:8080/cart/42/../../internal/x", want: "403", alive: "get cart",
			try:  curl(web, f, "--path-as-is", url(address(1), 8080, "/cart/42/../../internal/x")),
			rule: "shop.cart.admin", event: request("web", "GET /internal/x"),
		},
		{
			who: "web", what: "DELETE cart:8080/cart/42", want: "403", alive: "get cart",
			try:  curl(web, f, "-X", "DELETE", url(address(1), 8080, "/cart/42")),
			rule: byDefault, event: request("web", "DELETE /cart/42"),
		},
		{
			who: "cart", what: "GET pay:9443/", want: "200", name: "get pay",
			try: curl(cart, f, url(address(2), 9443, "/")), rule: "shop.cart.charge", event: flow("cart", to(2, 9443)),
		},
		{
			who: "web", what: "GET pay:9443/ (its egress)", want: lab.Refused, alive: "get pay",
			try: curl(web, f, url(address(2), 9443, "/")), rule: byDefault, event: flow("web", to(2, 9443)),
		},
		{
			who: "web", what: "ping cart", want: lab.Answered, name: "ping cart",
			try: ping(web, n.Workloads[1], f), rule: "shop.web.probe", event: echo("web", f, address(1)),
		},
		{
			who: "cart", what: "ping web", want: lab.Refused, alive: "ping cart",
			try: ping(cart, n.Workloads[0], f), rule: byDefault, event: echo("cart", f, address(0)),
		},
		{
			who: "outside", what: "GET web:8443/", want: "200", name: "edge",
			try: curl(outside, f, url(address(0), 8443, "/")), rule: "shop.web.edge", event: flow("", to(0, 8443)),
		},
		{
			who: "outside", what: "GET web:8080/ (its ingress)", want: lab.Refused, alive: "edge",
			try: curl(outside, f, url(address(0), 8080, "/")), rule: byDefault, event: flow("", to(0, 8080)),
		},
	}
}

// hostRows are about the host workload: the same language, another kind of attachment.
func (n *shop) hostRows(f family) []row {
	c, r := f.site(n.C), n.Service(report)
	address := func(i int) netip.Addr { return f.address(n.Workloads[i]) }
	mirror, other := netip.AddrPortFrom(c, 443), netip.AddrPortFrom(c, 80)
	return []row{
		{
			who: "report", what: "GET https://c.example/ by address", want: "200", name: "mirror",
			try:  curl(r, f, "--connect-to", "c.example:443:"+mirror.String(), "https://c.example/"),
			rule: "shop.report.mirror", event: flow("report", mirror),
		},
		{
			who: "report", what: "GET http://c.example/ by address", want: lab.Refused, alive: "mirror",
			try: curl(r, f, url(c, 80, "/")), rule: byDefault, event: flow("report", other),
		},
		{
			who: "report", what: "dig a.example", want: "1 address", name: "host asks a",
			try: dig(r, f, "a.example"), rule: "shop.report.feed", event: question("report", "a.example", f.typ),
		},
		{
			who: "report", what: "dig b.example", want: "REFUSED", alive: "host asks a",
			try: dig(r, f, "b.example"), rule: byDefault, event: question("report", "b.example", f.typ),
		},
		{
			who: "report", what: "GET http://a.example/public/r", want: "200", name: "host gets a",
			try:  curl(r, f, "http://a.example/public/r"),
			rule: "shop.report.feed", event: request("report", "GET /public/r"),
		},
		{
			who: "report", what: "GET http://a.example/private/r", want: "403", alive: "host gets a",
			try:  curl(r, f, "http://a.example/private/r"),
			rule: byDefault, event: request("report", "GET /private/r"),
		},
		{
			who: "report", what: "GET cart:8080/cart/7", want: "200", name: "host gets cart",
			try:  curl(r, f, url(address(1), 8080, "/cart/7")),
			rule: "shop.cart.read", event: request("report", "GET /cart/7"),
		},
		{
			// A connect with no source yet cannot know how pay's ingress sees it: the packet is dropped.
			who: "report", what: "GET pay:9443/ (pay's ingress)", want: lab.Silent, alive: "get pay",
			try:  curl(r, f, url(address(2), 9443, "/")),
			rule: byDefault, event: flow("report", netip.AddrPortFrom(address(2), 9443)),
		},
	}
}
