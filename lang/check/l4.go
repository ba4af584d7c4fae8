// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
	"mpol/lang"
	"mpol/lang/diag"
)

// l4List resolves protocols, ports and services in the order written, each once. It is empty when
// every item is wrong.
func (c *checker) l4List(items []lang.Token) []program.L4 {
	var out []program.L4
	for _, n := range lang.Split(items) {
		switch t := n.Tokens[0]; {
		case lang.IsName(t):
			if sym := c.use(services, refNode(n), "service"); sym != nil {
				out = append(out, sym.l4...)
			}
		default:
			if l, ok := c.l4(t); ok {
				out = append(out, l)
			}
		}
	}
	return distinct(out)
}

// everyPort is the range of a protocol without ports or with all of them.
func everyPort(proto uint8) program.L4 { return program.L4{Proto: proto, Last: 65535} }

func (c *checker) l4(t lang.Token) (program.L4, bool) {
	bad := func(summary, help string) (program.L4, bool) {
		c.errorAt(diag.BadL4, lang.SpanOf(t), summary, help)
		return program.L4{}, false
	}
	proto, rest, slash := strings.Cut(t.Value, "/")
	switch {
	case proto == "any":
		return program.L4{Any: true}, true
	case proto == "icmp" && !slash:
		return everyPort(program.ProtoICMP), true
	case proto == "icmpv6" && !slash:
		return everyPort(program.ProtoICMPv6), true
	case proto == "ip" && !slash:
		return bad("`ip` needs a protocol number", "write ip/47, or any for every protocol")
	case !slash:
		return bad(fmt.Sprintf("`%s` needs a port", proto), fmt.Sprintf("write %s/any for every port", proto))
	}
	switch proto {
	case "icmp":
		return c.icmp(t, program.ProtoICMP, rest)
	case "icmpv6":
		return c.icmp(t, program.ProtoICMPv6, rest)
	case "ip":
		n, ok := number(rest, 255)
		if !ok && slices.Contains([]string{"tcp", "udp", "sctp"}, rest) {
			return bad(fmt.Sprintf("`%s` is no protocol number", rest), "write "+rest+"/any")
		}
		if !ok {
			return bad(fmt.Sprintf("`%s` is no protocol number", rest), "protocol numbers are 0 to 255, without leading zeros")
		}
		if name := protocolName(uint8(n)); name != "" {
			return bad(fmt.Sprintf("protocol %d has a name", n), "write "+name)
		}
		return everyPort(uint8(n)), true
	}
	return c.ports(t, proto, rest)
}

func protocolName(n uint8) string {
	return map[uint8]string{
		program.ProtoICMP: "icmp", program.ProtoTCP: "tcp/any", program.ProtoUDP: "udp/any",
		program.ProtoICMPv6: "icmpv6", program.ProtoSCTP: "sctp/any",
	}[n]
}

func (c *checker) ports(t lang.Token, proto, rest string) (program.L4, bool) {
	n := map[string]uint8{"tcp": program.ProtoTCP, "udp": program.ProtoUDP, "sctp": program.ProtoSCTP}[proto]
	if rest == "any" {
		return everyPort(n), true
	}
	from, to, isRange := strings.Cut(rest, "-")
	first, ok := number(from, 65535)
	last := first
	if isRange {
		var ok2 bool
		last, ok2 = number(to, 65535)
		ok = ok && ok2
	}
	switch {
	case !ok || first == 0:
		c.errorAt(diag.BadL4, lang.SpanOf(t), fmt.Sprintf("`%s` is no port or range of ports", rest), portHelp(proto, rest))
		return program.L4{}, false
	case last < first:
		c.errorAt(diag.Empty, lang.SpanOf(t), "the range ends before it begins", fmt.Sprintf("write %s/%d-%d", proto, last, first))
		return program.L4{}, false
	}
	return program.L4{Proto: n, First: uint16(first), Last: uint16(last)}, true
}

// portHelp shows what may stand behind a protocol, where text does not.
func portHelp(proto, text string) string {
	if known := lang.WellKnown(text); strings.HasPrefix(known, proto+"/") && !strings.Contains(known, ",") {
		return "write " + known
	}
	return "ports are 1 to 65535, without leading zeros: " + proto + "/443, " + proto + "/8000-8100, " + proto + "/any"
}

func (c *checker) icmp(t lang.Token, proto uint8, rest string) (program.L4, bool) {
	kind, code, hasCode := strings.Cut(rest, "/")
	n, ok := number(kind, 255)
	first, last := n<<8, n<<8|255
	if hasCode {
		m, ok2 := number(code, 255)
		ok = ok && ok2
		first, last = n<<8|m, n<<8|m
	}
	if !ok {
		c.errorAt(diag.BadL4, lang.SpanOf(t), fmt.Sprintf("`%s` is no ICMP type, or type and code", rest), "types and codes are 0 to 255, without leading zeros: icmp/8, icmp/3/4")
		return program.L4{}, false
	}
	return program.L4{Proto: proto, First: uint16(first), Last: uint16(last)}, true
}

// number reads decimal digits without leading zeros, up to a limit.
func number(text string, limit int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= limit && strconv.Itoa(n) == text
}
