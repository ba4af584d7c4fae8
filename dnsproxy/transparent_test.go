// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

// TestTransparent lets a client on another host ask servers that do not exist there: a node in
// between steers what goes to port 53 to a proxy on its loopback addresses. The client takes an
// answer only from the address and port that it asked.
func TestTransparent(t *testing.T) {
	network := lab.Test(t)
	host := func(c lab.HostConfig) *lab.Host {
		h, err := network.Host(c)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	client := host(lab.HostConfig{Name: "client"})
	node := host(lab.HostConfig{Name: "node", Forwarding: true, NoReversePath: true})
	err := network.Link(
		lab.End{Host: client, Device: "eth0", Addresses: prefixes("10.5.0.2/24", "fd05::2/64")},
		lab.End{Host: node, Device: "c0", Addresses: prefixes("10.5.0.1/24", "fd05::1/64")},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range []string{"0.0.0.0/0 10.5.0.1", "::/0 fd05::1"} {
		to, via, _ := strings.Cut(family, " ")
		if err := client.AddRoute(netip.MustParsePrefix(to), netip.MustParseAddr(via)); err != nil {
			t.Fatal(err)
		}
	}

	const mark = 0x51
	view := standard()
	server := startUnbound(t, "api.google.com. 300 A 198.51.100.4", "api.google.com. 300 AAAA 2001:db8::4")
	var r *rig
	seen := make(chan string, 8)
	err = node.Do(func() error {
		r = newRig(t, server, view, func(c *Config) {
			c.Mark = mark
			whose := c.Client
			c.Client = func(proto uint8, from, to netip.AddrPort) (Client, bool) {
				name := map[uint8]string{program.ProtoUDP: "udp", program.ProtoTCP: "tcp"}[proto]
				seen <- fmt.Sprintf("%s %v to %v", name, from.Addr(), to)
				return whose(proto, from, to)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	steer(t, node, r.Addrs())

	for _, c := range []struct{ name, server, from, transport, protocol string }{
		{"dns-61 udp4", "203.0.113.53", "10.5.0.2", "+notcp", "udp"},
		{"dns-61 tcp4", "203.0.113.53", "10.5.0.2", "+tcp", "tcp"},
		{"dns-61 udp6", "2001:db8:5::53", "fd05::2", "+notcp", "udp"},
		{"dns-61 tcp6", "2001:db8:5::53", "fd05::2", "+tcp", "tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dig := lab.Client{Host: client}.Dig(t.Context(), "@"+c.server, c.transport, "api.google.com", "A")
			if dig.Status != "NOERROR" || len(dig.Answers) != 1 || dig.Answers[0].Data != "198.51.100.4" {
				t.Fatalf("dig: %v\n%s", dig, dig.Stdout)
			}
			want := fmt.Sprintf("%s %s to %v", c.protocol, c.from, netip.AddrPortFrom(netip.MustParseAddr(c.server), 53))
			if got := <-seen; got != want {
				t.Errorf("the proxy saw %s, want %s", got, want)
			}
			dig = lab.Client{Host: client}.Dig(t.Context(), "@"+c.server, c.transport, "evil.example", "A")
			if dig.Status != "REFUSED" {
				t.Errorf("dig for a denied name: %v\n%s", dig, dig.Stdout)
			}
			<-seen
		})
	}
}

// steer brings what passes node to port 53 to the listeners, as the datapath does with its own
// means.
func steer(t *testing.T, node *lab.Host, listeners []netip.AddrPort) {
	t.Helper()
	rules := "table inet steer {\n chain in {\n  type filter hook prerouting priority mangle;\n"
	for _, l := range listeners {
		family := "ip6"
		if l.Addr().Is4() {
			family = "ip"
		}
		rules += fmt.Sprintf("  iifname c0 meta l4proto { tcp, udp } th dport 53 tproxy %s to %v meta mark set 1 accept\n", family, l)
	}
	run := func(input, name string, args ...string) {
		cmd := node.Command(t.Context(), name, args...)
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run(rules+" }\n}\n", "nft", "-f", "-")
	for _, family := range []string{"-4", "-6"} {
		run("", "ip", family, "rule", "add", "fwmark", "1", "lookup", "100")
		run("", "ip", family, "route", "add", "local", "default", "dev", "lo", "table", "100")
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range texts {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}
