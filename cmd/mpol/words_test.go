// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"testing"

	"mpol/compiler/program"
)

func TestL4(t *testing.T) {
	tests := []struct {
		in   program.L4
		want string
	}{
		{program.L4{Any: true}, "any"},
		{program.L4{Proto: 6, First: 443, Last: 443}, "tcp/443"},
		{program.L4{Proto: 17, First: 8000, Last: 8100}, "udp/8000-8100"},
		{program.L4{Proto: 132, First: 1, Last: 65535}, "sctp/any"},
		{program.L4{Proto: 6, First: 0, Last: 65535}, "tcp/any"},
		{program.L4{Proto: 1, First: 0, Last: 65535}, "icmp"},
		{program.L4{Proto: 1, First: 3<<8 | 4, Last: 3<<8 | 4}, "icmp/3/4"},
		{program.L4{Proto: 58, First: 128 << 8, Last: 128<<8 | 255}, "icmpv6/128"},
		{program.L4{Proto: 47, First: 0, Last: 65535}, "ip/47"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if got := l4(tt.in); got != tt.want {
				t.Errorf("l4(%+v) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestPeers(t *testing.T) {
	in := func(key string, values ...string) *program.Selector {
		return &program.Selector{Op: program.OpIn, Key: key, Values: values}
	}
	op := func(op program.SelectorOp, args ...*program.Selector) *program.Selector {
		return &program.Selector{Op: op, Args: args}
	}
	has := &program.Selector{Op: program.OpHas, Key: "role"}
	tests := []struct {
		want string
		in   program.Peers
	}{
		{"any", program.Peers{Include: []program.Peer{{Kind: program.PeerAny}}}},
		{"world except 10.0.0.0/8", program.Peers{
			Include: []program.Peer{{Kind: program.PeerWorld}},
			Except:  []program.Peer{{Kind: program.PeerPrefix, Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
		}},
		{`"*.example.com" except "x.example.com", host`, program.Peers{Include: []program.Peer{
			{Kind: program.PeerDomain, Domain: &program.Domain{
				Patterns: []program.NamePattern{"*.example.com"}, Except: []program.NamePattern{"x.example.com"},
			}},
			{Kind: program.PeerHost},
		}}},
		{`("app" = "web" and not has "role")`, program.Peers{Include: []program.Peer{
			{Kind: program.PeerSelector, Selector: op(program.OpAnd, in("app", "web"), op(program.OpNot, has))},
		}}},
		{`(not ("app" in ["a", "b"] or has "role"))`, program.Peers{Include: []program.Peer{
			{Kind: program.PeerSelector, Selector: op(program.OpNot, op(program.OpOr, in("app", "a", "b"), has))},
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if got := peers(tt.in); got != tt.want {
				t.Errorf("peers = %q, want %q", got, tt.want)
			}
		})
	}
}
