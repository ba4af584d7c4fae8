// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// The ends of a flow that are words.
const (
	endHost = "host"
	endNode = "node"
)

// flowLine is a flow as written: docs/schemas/flow.schema.json.
type flowLine struct {
	ID   json.RawMessage `json:"id"`
	From string          `json:"from"`
	To   string          `json:"to"`
	L4   string          `json:"l4"`
	HTTP *httpLine       `json:"http"`
	GRPC *string         `json:"grpc"`
	SNI  *string         `json:"sni"`
	DNS  *dnsLine        `json:"dns"`
}

type httpLine struct {
	Method  string     `json:"method"`
	Path    string     `json:"path"`
	Host    string     `json:"host"`
	Headers [][]string `json:"headers"`
}

type dnsLine struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// flowKeys are the keys of a flow and of what is in it.
func flowKeys() []string {
	return []string{
		"id", "from", "to", "l4", "http", "grpc", "sni", "dns", "method", "path", "host", "headers", "name", "type",
	}
}

// parseFlow reads a flow; its errors say what is wrong with the text.
func parseFlow(text []byte) (*flowLine, error) {
	var f flowLine
	if err := decodeStrict(text, flowKeys(), &f); err != nil {
		return nil, err
	}
	switch {
	case f.From == "":
		return nil, errors.New(`"from" is missing`)
	case f.To == "":
		return nil, errors.New(`"to" is missing`)
	case f.L4 == "":
		return nil, errors.New(`"l4" is missing`)
	}
	if len(f.ID) > 0 && strings.ContainsRune("{[tf", rune(f.ID[0])) {
		return nil, errors.New("id is neither a string nor a number")
	}
	return &f, nil
}

// content fills in what the flow holds, at most one thing.
func (f *flowLine) content(v *verdict.Flow) error {
	var held []string
	if f.HTTP != nil {
		held = append(held, "http")
		if err := f.HTTP.fill(v); err != nil {
			return err
		}
	}
	if f.GRPC != nil {
		held = append(held, "grpc")
		if err := fillGRPC(v, *f.GRPC); err != nil {
			return err
		}
	}
	if f.SNI != nil {
		held = append(held, "sni")
		v.TLS = &verdict.TLS{ServerName: *f.SNI, Present: *f.SNI != ""}
	}
	if f.DNS != nil {
		held = append(held, "dns")
		if err := f.DNS.fill(v); err != nil {
			return err
		}
	}
	switch {
	case len(held) > 1:
		return fmt.Errorf("a flow holds %s or %s, not both", held[0], held[1])
	case f.DNS != nil && v.Proto != program.ProtoTCP && v.Proto != program.ProtoUDP:
		return fmt.Errorf("a question needs udp or tcp, not %s", f.L4)
	case f.DNS == nil && len(held) == 1 && v.Proto != program.ProtoTCP:
		return fmt.Errorf("%s needs tcp, not %s", held[0], f.L4)
	}
	return nil
}

func (d *dnsLine) fill(v *verdict.Flow) error {
	typ, ok := questionType(d.Type)
	switch {
	case d.Name == "":
		return errors.New("dns has no name")
	case !ok:
		return fmt.Errorf("dns.type %q is no type of records; write A, AAAA, TYPE65 or the like", d.Type)
	}
	v.Question = &verdict.Question{Name: program.ParseName(d.Name), Type: typ}
	return nil
}

// questionType reads a type as it is written in zone files; none is A.
func questionType(text string) (uint16, bool) {
	if text == "" {
		return dns.TypeA, true
	}
	if t, ok := dns.StringToType[strings.ToUpper(text)]; ok {
		return t, t != dns.TypeNone && t != dns.TypeReserved
	}
	digits, _ := strings.CutPrefix(strings.ToUpper(text), "TYPE")
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), err == nil && n > 0
}

// parseL4 reads one protocol and port: tcp/443, icmp/8, icmp/3/4, ip/47.
func parseL4(text string) (proto uint8, port uint16, err error) {
	word, rest, found := strings.Cut(text, "/")
	protos := map[string]uint8{
		"tcp": program.ProtoTCP, "udp": program.ProtoUDP, "sctp": program.ProtoSCTP,
		"icmp": program.ProtoICMP, "icmpv6": program.ProtoICMPv6,
	}
	bad := fmt.Errorf("l4 %q is no protocol and port; write tcp/443, icmp/8, icmp/3/4 or ip/47", text)
	if word == "ip" {
		n, err := strconv.ParseUint(rest, 10, 8)
		for name, p := range protos {
			if err == nil && p == uint8(n) {
				return 0, 0, fmt.Errorf("l4 %q: write %s", text, name)
			}
		}
		if err != nil || !plain(rest) {
			return 0, 0, bad
		}
		return uint8(n), 0, nil
	}
	proto, ok := protos[word]
	if !ok || !found {
		return 0, 0, bad
	}
	if proto != program.ProtoICMP && proto != program.ProtoICMPv6 {
		n, err := strconv.ParseUint(rest, 10, 16)
		if err != nil || n == 0 || !plain(rest) {
			return 0, 0, bad
		}
		return proto, uint16(n), nil
	}
	kind, code, both := strings.Cut(rest, "/")
	if !both {
		code = "0"
	}
	k, err1 := strconv.ParseUint(kind, 10, 8)
	c, err2 := strconv.ParseUint(code, 10, 8)
	if err1 != nil || err2 != nil || !plain(kind) || !plain(code) {
		return 0, 0, bad
	}
	return proto, uint16(k<<8 | c), nil
}

// plain reports whether a number is written without leading zeros.
func plain(digits string) bool { return digits == "0" || !strings.HasPrefix(digits, "0") }

// isDNSName reports whether a text can be a DNS name of a host.
func isDNSName(text string) bool {
	labels := program.ParseName(text)
	return len(labels) > 0 && len(text) <= 254 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\:*"`, r)
		})
	})
}

// ends returns where an end of a flow may be, at each address that it has; an end that is a DNS name
// is not known here.
func (s *scene) ends(text string) ([]verdict.End, error) {
	found, ok := s.find(text)
	switch {
	case !ok:
		return nil, fmt.Errorf("%q is no workload, no address and not host%s", text, s.nearest(text))
	case len(found) == 0:
		return nil, errors.New("the inventory gives the host no addresses")
	}
	return found, nil
}

func (s *scene) find(text string) ([]verdict.End, bool) {
	at := func(workload string, addresses []netip.Addr) ([]verdict.End, bool) {
		out := make([]verdict.End, 0, len(addresses))
		for _, a := range addresses {
			out = append(out, verdict.End{Workload: workload, Addr: a})
		}
		return out, true
	}
	switch text {
	case endHost:
		return at("", s.inv.Node)
	case endNode:
		return at("", s.inv.Resolvers)
	}
	i, ok := slices.BinarySearchFunc(s.inv.Workloads, text, func(w program.Workload, name string) int { return strings.Compare(w.Name, name) })
	if ok && s.inv.Workloads[i].Cgroup != "" {
		return at(text, s.inv.Node)
	}
	if ok {
		return at(text, s.inv.Workloads[i].Addresses)
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return at("", []netip.Addr{a.Unmap()})
	}
	return nil, false
}

// isName reports whether the server of a flow is meant as a DNS name: it has a dot, or somebody has
// looked it up.
func (s *scene) isName(text string) bool {
	if _, known := s.find(text); known || !isDNSName(text) {
		return false
	}
	name := program.ParseName(text)
	return strings.Contains(text, ".") || slices.ContainsFunc(s.names, func(l learned) bool { return slices.Equal(l.name, name) })
}

// holder is the workload, or the host, to which an answer for an end belongs; empty for an end that
// is outside.
func (s *scene) holder(e verdict.End) string {
	if e.Workload != "" {
		return e.Workload
	}
	return s.owner[e.Addr]
}
