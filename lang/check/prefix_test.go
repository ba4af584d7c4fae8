// SPDX-License-Identifier: Apache-2.0

package check

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func parseAll(t *testing.T, text string) []netip.Prefix {
	t.Helper()
	var ps []netip.Prefix
	for _, f := range strings.Fields(text) {
		ps = append(ps, netip.MustParsePrefix(f))
	}
	return ps
}

func (s prefixes) text() string {
	var ts []string
	for _, p := range s {
		ts = append(ts, p.String())
	}
	return strings.Join(ts, " ")
}

func TestPrefixes(t *testing.T) {
	for _, tt := range []struct{ name, in, minus, want string }{
		{"sorted and joined", "10.0.0.128/25 10.0.0.0/25 ::/1 10.0.0.7/32", "", "10.0.0.0/24 ::/1"},
		{"joined to all", "0.0.0.0/1 128.0.0.0/1 8000::/1 ::/1", "", "0.0.0.0/0 ::/0"},
		{"neighbours of no parent", "10.0.1.0/24 10.0.2.0/24", "", "10.0.1.0/24 10.0.2.0/24"},
		{"hole", "10.0.0.0/30", "10.0.0.1/32", "10.0.0.0/32 10.0.0.2/31"},
		{"covered", "10.0.0.0/30 10.0.0.8/32", "10.0.0.0/8", ""},
		{"other family", "::/0", "0.0.0.0/0", "::/0"},
		{"whole but one half", "0.0.0.0/0", "128.0.0.0/1", "0.0.0.0/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := union(parseAll(t, tt.in)).minus(union(parseAll(t, tt.minus))).text()
			if got != tt.want {
				t.Errorf("%s minus %s = %q, want %q", tt.in, tt.minus, got, tt.want)
			}
		})
	}
}

// TestPrefixesByMembership compares the algebra with membership over a small space, drawn at random.
func TestPrefixesByMembership(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() []netip.Prefix {
		var ps []netip.Prefix
		for range r.IntN(6) {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(256))}), 24+r.IntN(9))
			ps = append(ps, p.Masked())
		}
		return ps
	}
	in := func(ps []netip.Prefix, a netip.Addr) bool {
		for _, p := range ps {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	for range 2000 {
		a, b := draw(), draw()
		got := union(a).minus(union(b))
		for i := range 256 {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			if want := in(a, addr) && !in(b, addr); in(got, addr) != want {
				t.Fatalf("%v minus %v = %v: %s is in it: %v, want %v", a, b, got, addr, !want, want)
			}
		}
	}
}
