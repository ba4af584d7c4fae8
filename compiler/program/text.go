// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"strconv"
	"strings"
)

// String returns s as the language writes it, every operation in parentheses.
func (s *Selector) String() string {
	switch s.Op {
	case OpIn:
		if len(s.Values) == 1 {
			return fmt.Sprintf("%q = %q", s.Key, s.Values[0])
		}
		quoted := make([]string, len(s.Values))
		for i, v := range s.Values {
			quoted[i] = strconv.Quote(v)
		}
		return fmt.Sprintf("%q in [%s]", s.Key, strings.Join(quoted, ", "))
	case OpHas:
		return fmt.Sprintf("has %q", s.Key)
	case OpNot:
		return fmt.Sprintf("not (%s)", s.Args[0])
	}
	args := make([]string, len(s.Args))
	for i, a := range s.Args {
		args[i] = "(" + a.String() + ")"
	}
	return strings.Join(args, " "+s.Op.String()+" ")
}

// String returns p as the language writes it. Equal texts mean equal peers.
func (p Peer) String() string {
	switch p.Kind {
	case PeerSelector:
		return "(" + p.Selector.String() + ")"
	case PeerPrefix:
		return p.Prefix.String()
	case PeerDomain:
		return p.Domain.String()
	case PeerSame:
		return "same " + strconv.Quote(p.Key)
	}
	return p.Kind.String()
}

// String returns the patterns of d. Equal texts mean equal domains.
func (d *Domain) String() string {
	text := joinPatterns(d.Patterns)
	if len(d.Except) > 0 {
		text += " except " + joinPatterns(d.Except)
	}
	for i := range d.Less {
		text += " except (" + d.Less[i].String() + ")"
	}
	for _, p := range d.Private {
		text += " private " + p.String()
	}
	for _, a := range d.Aliases {
		text += " via cname " + strconv.Quote(string(a))
	}
	return strings.TrimPrefix(text, " ") // there may be aliases alone
}

func joinPatterns(ps []NamePattern) string {
	quoted := make([]string, len(ps))
	for i, p := range ps {
		quoted[i] = strconv.Quote(string(p))
	}
	return strings.Join(quoted, ", ")
}

// String returns ps as the language writes it.
func (ps Peers) String() string {
	text := joinPeers(ps.Include)
	if len(ps.Except) > 0 {
		text += " except " + joinPeers(ps.Except)
	}
	return text
}

func joinPeers(ps []Peer) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// ProtoName returns the word of the language for an IANA protocol number.
func ProtoName(proto uint8) string {
	switch proto {
	case ProtoICMP:
		return "icmp"
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMPv6:
		return "icmpv6"
	case ProtoSCTP:
		return "sctp"
	}
	return fmt.Sprintf("ip/%d", proto)
}

// String returns l as the language writes it.
func (l L4) String() string {
	if l.Any {
		return "any"
	}
	return ProtoName(l.Proto) + portsText(l.Proto, l.First, l.Last)
}

// portsText returns what follows a protocol: nothing, a port, a range, or an ICMP type and code.
func portsText(proto uint8, first, last uint16) string {
	icmp := proto == ProtoICMP || proto == ProtoICMPv6
	switch {
	case icmp && first == 0 && last == 0xffff:
		return ""
	case icmp && first == last:
		return fmt.Sprintf("/%d/%d", first>>8, first&0xff)
	case icmp && first&0xff == 0 && last == first|0xff:
		return fmt.Sprintf("/%d", first>>8)
	case icmp:
		return fmt.Sprintf("/%d/%d-%d/%d", first>>8, first&0xff, last>>8, last&0xff)
	case first <= 1 && last == 0xffff:
		if proto != ProtoTCP && proto != ProtoUDP && proto != ProtoSCTP {
			return ""
		}
		return "/any"
	case first == last:
		return fmt.Sprintf("/%d", first)
	}
	return fmt.Sprintf("/%d-%d", first, last)
}
