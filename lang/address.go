// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"mpol/lang/diag"
)

// addressLength returns the length of an address or prefix, or of what can only be a wrong one, at
// the start of text, the rest of the file, and 0 when there is none. An IPv4 address is digits with a
// dot and a digit behind them, an IPv6 address needs :: or seven colons. What needs them and has none is
// looked through once and not from each of its tokens on.
func (s *scanner) addressLength(text string) int {
	v4 := '0' <= text[0] && text[0] <= '9' && dotted(text)
	if !v4 && s.pos.Offset < s.plain {
		return 0
	}
	n := span(text, "0123456789abcdefABCDEF:.")
	run := text[:n]
	if !v4 && !strings.Contains(run, "::") && strings.Count(run, ":") < 7 {
		s.plain = s.pos.Offset + n
		return 0
	}
	// What sticks to an address makes it a wrong one rather than two tokens.
	n += span(text[n:], "%/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
	if mask := span(text[n:], ".0123456789"); dotted(text[strings.LastIndexByte(text[:n], '/')+1:]) && strings.Contains(text[:n], "/") {
		n += mask
	}
	return n
}

// dotted reports whether text begins with digits, a dot and a digit.
func dotted(text string) bool {
	d := span(text, "0123456789")
	return len(text) > d+1 && text[d] == '.' && '0' <= text[d+1] && text[d+1] <= '9'
}

// span returns the length of the longest prefix of text made of the bytes of set.
func span(text, set string) int {
	for i := range len(text) {
		if strings.IndexByte(set, text[i]) < 0 {
			return i
		}
	}
	return len(text)
}

// address emits an address or prefix, or says what is wrong with it and how it would be right.
func (s *scanner) address(text string) {
	code, summary, help := addressFault(text)
	if summary != "" {
		s.invalid(len(text), code, summary, help)
		return
	}
	s.emit(tokenAddress, len(text))
}

func addressFault(text string) (code diag.Code, summary, help string) {
	if strings.Contains(text, "%") {
		return diag.BadAddress, fmt.Sprintf("%s has a zone", text), "write it without %"
	}
	p, err := ParsePrefix(text)
	switch {
	case err != nil:
		return diag.BadAddress, fmt.Sprintf("%s is no address or prefix", text), addressHelp(text)
	case p.Addr().Is4In6():
		switch {
		case p.Bits() == 128:
			help = "write " + p.Addr().Unmap().String()
		case p.Bits() >= 96:
			help = "write " + netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String()
		}
		return diag.BadAddress, fmt.Sprintf("%s is an IPv4 address written as IPv6", text), help
	case p.Masked() != p:
		return diag.HostBits, fmt.Sprintf("%s has bits set behind its length", text), fmt.Sprintf("write %s, or %s for the one address", p.Masked(), p.Addr())
	}
	return "", "", ""
}

// addressHelp says how what is no address or prefix was probably meant.
func addressHelp(text string) string {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return fmt.Sprintf("write %s, and its port behind on: tcp/%d", at.Addr(), at.Port())
	}
	before, behind, _ := strings.Cut(text, "/")
	if mask, err := netip.ParseAddr(behind); err == nil && mask.Is4() {
		m := mask.As4()
		ones := bits.LeadingZeros32(^binary.BigEndian.Uint32(m[:]))
		p, err := netip.ParsePrefix(fmt.Sprintf("%s/%d", before, ones))
		if err == nil && binary.BigEndian.Uint32(m[:]) == ^uint32(0)<<(32-ones) {
			return "write " + p.Masked().String()
		}
	}
	return "write an address such as 192.0.2.1 or 2001:db8::1, or a prefix such as 192.0.2.0/24"
}

// maxRange bounds the prefixes that are written for a range.
const maxRange = 6

// addressRange says how the addresses from one to another are written.
func addressRange(from, to string) string {
	if span(to, "0123456789") == len(to) {
		to = from[:strings.LastIndexByte(from, '.')+1] + to
	}
	a, err := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err != nil || err2 != nil || b.Less(a) || a.BitLen() != b.BitLen() {
		return "write prefixes, such as 192.0.2.0/28"
	}
	var texts []string
	for len(texts) < maxRange {
		p := netip.PrefixFrom(a, a.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(a, p.Bits()-1)
			if wider.Masked().Addr() != a || b.Less(lastOf(wider)) {
				break
			}
			p = wider
		}
		text := p.String()
		if p.IsSingleIP() {
			text = a.String()
		}
		texts = append(texts, text)
		if a = lastOf(p).Next(); !a.IsValid() || b.Less(a) {
			return "write " + strings.Join(texts, ", ")
		}
	}
	return "write prefixes, such as " + texts[0]
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// ParsePrefix reads an address, which stands for its /32 or /128, or a prefix.
func ParsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// l4Length returns the length of a protocol with a slash and what follows it, 0 when there is none.
func l4Length(text string) int {
	for _, proto := range []string{"tcp/", "udp/", "sctp/", "icmp/", "icmpv6/", "ip/"} {
		if strings.HasPrefix(text, proto) {
			return len(proto) + span(text[len(proto):], "/-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
		}
	}
	return 0
}

// identLength returns the length of [A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*, 0 when there is none.
func identLength(text string) int {
	if text == "" || !wordByte(text[0]) || '0' <= text[0] && text[0] <= '9' {
		return 0
	}
	i := 1
	for i < len(text) {
		if wordByte(text[i]) {
			i++
			continue
		}
		if text[i] == '-' && i+1 < len(text) && wordByte(text[i+1]) {
			i += 2
			continue
		}
		break
	}
	return i
}

func wordByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
