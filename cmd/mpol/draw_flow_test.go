// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// drawnFlow is a flow as drawn.
type drawnFlow struct {
	from, to string
	l4       string
	proto    uint8
	port     uint16
	content  drawnContent
}

// drawnContent is what a flow holds: as it is written, and as an evaluator takes it.
type drawnContent struct {
	json     string
	http     *verdict.HTTP
	tls      *verdict.TLS
	question *verdict.Question
}

// line is the flow as a line of JSON, without the brace that begins it.
func (f drawnFlow) line() string {
	text := fmt.Sprintf(`"from":%q,"to":%q,"l4":%q`, f.from, f.to, f.l4)
	if f.content.json != "" {
		text += "," + f.content.json
	}
	return text + "}"
}

// drawFlow draws a flow, most of them about what the policies speak of.
func drawFlow(d *rand.Rand, o *oracle) drawnFlow {
	outside := []string{"10.0.0.10", "203.0.113.9", "198.51.100.4", "10.9.9.9", "2001:db8:1::1", "192.0.2.1", "127.0.0.1", "::1"}
	near := []string{"host"}
	for _, w := range o.inv.Workloads {
		near = append(near, w.Name)
	}
	far := append([]string{"node", "node", "198.51.100.53", "10.0.0.11", "a.example.com", "new.example.com"}, outside...)
	for _, n := range o.inv.Names {
		far = append(far, n.Name, n.Addresses[0])
	}
	from, to := near, far
	switch d.IntN(8) {
	case 0:
		from, to = outside, outside
	case 1, 2:
		from, to = outside, near
	case 3, 4, 5:
		to = near
	}
	client := pick(d, from...)
	to = slices.DeleteFunc(slices.Clone(to), func(text string) bool { return text == client && d.IntN(10) > 0 })
	f := drawnFlow{from: client, to: pick(d, append(to, "node")...), proto: program.ProtoTCP}
	switch d.IntN(10) {
	case 0:
		f.l4, f.proto, f.port = "icmp/8", program.ProtoICMP, 8<<8
	case 1:
		f.l4, f.proto, f.port = "icmpv6/128/3", program.ProtoICMPv6, 128<<8|3
	case 2:
		f.l4, f.proto, f.port = "ip/47", 47, 0
	case 3:
		f.l4, f.proto, f.port = "udp/53", program.ProtoUDP, 53
		f.content = pick(d, append(questions(), drawnContent{})...)
	case 4:
		f.l4, f.proto, f.port = "sctp/80", program.ProtoSCTP, 80
	case 5:
		f.l4, f.port = "tcp/53", 53
		f.content = pick(d, append(questions(), drawnContent{})...)
	default:
		f.port = pick[uint16](d, 80, 80, 81, 8080, 443, 443, 22)
		f.l4 = fmt.Sprintf("tcp/%d", f.port)
		if d.IntN(3) > 0 {
			f.content = pick(d, append(requests(), hellos()...)...)
		}
	}
	return f
}

func questions() []drawnContent {
	var out []drawnContent
	for _, name := range []string{"a.example.com", "X.example.net.", "b.c.example.com", "other.example.org"} {
		for text, typ := range map[string]uint16{"": 1, "aaaa": 28, "TXT": 16, "TYPE65": 65, "ANY": 255} {
			out = append(out, drawnContent{
				json: fmt.Sprintf(`"dns":{"name":%q,"type":%q}`, name, text), question: &verdict.Question{Name: program.ParseName(name), Type: typ},
			})
		}
	}
	slices.SortFunc(out, func(a, b drawnContent) int { return strings.Compare(a.json, b.json) })
	return out
}

func hellos() []drawnContent {
	var out []drawnContent
	for _, name := range []string{"a.example.com", "B.example.com", "x.example.net", "other.example.org", ""} {
		out = append(out, drawnContent{json: fmt.Sprintf(`"sni":%q`, name), tls: &verdict.TLS{ServerName: name, Present: name != ""}})
	}
	return out
}

func requests() []drawnContent {
	out := []drawnContent{
		{json: `"grpc":"pay.v1.Pay/Charge"`, http: verdict.GRPC("pay.v1.Pay", "Charge")},
		{json: `"grpc":"pay.v1.Pay/Refund"`, http: verdict.GRPC("pay.v1.Pay", "Refund")},
		{json: `"http":{"method":"CONNECT","host":"a.example.com:443"}`, http: &verdict.HTTP{Method: "CONNECT", Host: "a.example.com:443"}},
	}
	add := func(method, path, host, headers, upgrade string, lines ...verdict.Header) {
		out = append(out, drawnContent{
			json: fmt.Sprintf(`"http":{"headers":[%s],"host":%q,"path":%q,"method":%q}`, headers, host, path, method),
			http: &verdict.HTTP{Method: method, Path: path, Host: host, Upgrade: upgrade, Headers: lines},
		})
	}
	for _, path := range []string{"/public/x", "/public/x?q=/admin", "/public/../ADMIN/", "/%61dmin/x", "/h", "/", "/%2f", "x", "/ws", "/p.S/Get"} {
		add("GET", path, "a.example.com", "", "")
		add("POST", path, "X.example.net:80", "", "")
	}
	add("get", "/public/x", "a@b", "", "")
	add("G T", "/public/x", "", "", "")
	x := func(value string) verdict.Header { return verdict.Header{Name: "X", Value: value} }
	add("GET", "/public/x", "a.example.com", `["X"," 1\t"]`, "", x("1"))
	add("GET", "/h", "a.example.com", `["X","1"],["X","2"]`, "", x("1"), x("2"))
	add("GET", "/h", "a.example.com", `["X","2"],["y",""]`, "", x("2"), verdict.Header{Name: "y"})
	change, keep := verdict.Header{Name: "connection", Value: "keep-alive, Upgrade"}, verdict.Header{Name: "connection", Value: "keep-alive"}
	socket := verdict.Header{Name: "Upgrade", Value: "WebSocket"}
	add("GET", "/ws", "a.example.com", `["connection","keep-alive, Upgrade"],["Upgrade","WebSocket"]`, "websocket", change, socket)
	add("GET", "/ws", "a.example.com", `["connection","keep-alive"],["Upgrade","WebSocket"]`, "", keep, socket)
	add("GET", "/public/x", "a.example.com", `["connection","keep-alive, Upgrade"],["Upgrade","WebSocket"]`, "websocket", change, socket)
	return out
}
