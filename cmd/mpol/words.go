// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// The functions of this file write values of a Program in the words of the language.

// l4 writes a protocol with its ports or its ICMP types.
func l4(l program.L4) string {
	if l.Any {
		return "any"
	}
	return protoPorts(l.Proto, l.First, l.Last)
}

// entryL4 writes the protocol and ports of an entry; protocol 0 is every other one.
func entryL4(e program.Entry) string {
	if e.Proto == 0 {
		return "any"
	}
	return protoPorts(e.Proto, e.First, e.Last)
}

func protoPorts(proto uint8, first, last uint16) string {
	name := map[uint8]string{
		program.ProtoICMP: "icmp", program.ProtoTCP: "tcp", program.ProtoUDP: "udp",
		program.ProtoICMPv6: "icmpv6", program.ProtoSCTP: "sctp",
	}[proto]
	switch proto {
	case program.ProtoICMP, program.ProtoICMPv6:
		return name + icmpTypes(first, last)
	case program.ProtoTCP, program.ProtoUDP, program.ProtoSCTP:
	default:
		return fmt.Sprintf("ip/%d", proto)
	}
	switch {
	case first <= 1 && last == 65535:
		return name + "/any"
	case first == last:
		return fmt.Sprintf("%s/%d", name, first)
	}
	return fmt.Sprintf("%s/%d-%d", name, first, last)
}

// icmpTypes writes type<<8|code bounds as "", "/8" or "/3/4".
func icmpTypes(first, last uint16) string {
	switch {
	case first == 0 && last == 65535:
		return ""
	case first == last:
		return fmt.Sprintf("/%d/%d", first>>8, first&0xff)
	}
	return fmt.Sprintf("/%d", first>>8)
}

func l4List(ls []program.L4) string {
	texts := make([]string, len(ls))
	for i, l := range ls {
		texts[i] = l4(l)
	}
	return strings.Join(texts, ", ")
}

// l7Text writes an L7 part with a space before it, nothing for none.
func l7Text(l *program.L7) string {
	if l == nil {
		return ""
	}
	switch l.Kind {
	case program.L7HTTP:
		return " http { " + httpRequests(l.HTTP) + " }"
	case program.L7TLS:
		return " tls { sni " + patterns(l.SNI) + " }"
	}
	return " " + l.Kind.String()
}

func httpRequests(rs []program.HTTPRequest) string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		methods := "any"
		if len(r.Methods) > 0 {
			methods = strings.Join(r.Methods, ", ")
		}
		texts[i] = fmt.Sprintf("%s %q", methods, r.Path.Text)
		if r.Host != nil {
			texts[i] += fmt.Sprintf(" host %q", *r.Host)
		}
	}
	return strings.Join(texts, ", ")
}

// requests writes which requests a rule of a profile speaks of.
func requests(r program.RequestRule) string {
	var texts []string
	if r.Every {
		texts = append(texts, "every request")
	}
	if len(r.HTTP) > 0 {
		texts = append(texts, "http { "+httpRequests(r.HTTP)+" }")
	}
	if len(r.SNI) > 0 {
		texts = append(texts, "sni "+patterns(r.SNI))
	}
	if r.Names != nil {
		texts = append(texts, "named "+domain(r.Names))
	}
	return strings.Join(texts, ", ")
}

func patterns(ps []program.NamePattern) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = fmt.Sprintf("%q", p)
	}
	return strings.Join(texts, ", ")
}

func domain(d *program.Domain) string {
	if len(d.Except) == 0 {
		return patterns(d.Patterns)
	}
	return patterns(d.Patterns) + " except " + patterns(d.Except)
}

// typeNames writes DNS types; dns.Type has the names of all that are registered.
func typeNames(types []uint16) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = dns.Type(t).String()
	}
	return strings.Join(texts, ", ")
}

func ranges(r program.Ranges) string {
	text := prefixes(r.Include)
	if len(r.Except) > 0 {
		text += " except " + prefixes(r.Except)
	}
	return text
}

func prefixes(ps []netip.Prefix) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

func labels(ls []program.Label) string {
	texts := make([]string, len(ls))
	for i, l := range ls {
		texts[i] = fmt.Sprintf("%s=%q", l.Key, l.Value)
	}
	return strings.Join(texts, " ")
}

// place writes where a workload runs, with a space before each part.
func place(w *program.Workload) string {
	var b strings.Builder
	for _, a := range w.Addresses {
		fmt.Fprintf(&b, " %s", a)
	}
	switch {
	case w.Interface != "":
		fmt.Fprintf(&b, " interface %s", w.Interface)
	case w.Cgroup != "":
		fmt.Fprintf(&b, " cgroup %s", w.Cgroup)
	default:
		b.WriteString(" elsewhere")
	}
	return b.String()
}
