// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// packetsPolicy allows ports by number, and echo requests in one direction.
const packetsPolicy = `
@owner("net") policy clients for (app in ["one", "daemon"]) {
  egress {
    tcp:  allow to two                               on tcp/7000
    udp:  allow to two                               on udp/7000, udp/7999
    ping: allow to two                               on icmp/8, icmpv6/128
    far:  allow to 198.51.100.20, 2001:db8:100::20   on udp/7000, udp/7999
  }
}
@owner("net") policy one for one { ingress { two: allow from two on udp/7000 } }
`

// packets is a node that drops what it denies: an ICMP error is then never the node's refusal.
func packets(t *testing.T) *node.Node {
	t.Helper()
	n := start(t, setup{policy: packetsPolicy, more: "deny: drop\n"})
	for _, w := range n.Workloads {
		_, err := w.Echo(netip.AddrPortFrom(w.IPv4, 7000), netip.AddrPortFrom(w.IPv6, 7000),
			netip.AddrPortFrom(w.IPv4, 7001), netip.AddrPortFrom(w.IPv6, 7001))
		check(t, err)
	}
	_, err := n.Outside.Echo(netip.AddrPortFrom(n.C.IPv4, 7000), netip.AddrPortFrom(n.C.IPv6, 7000))
	check(t, err)
	return n
}

// ping says whether an echo came back.
func ping(t *testing.T, c lab.Client, to netip.Addr) string {
	t.Helper()
	switch r := c.Ping(t.Context(), to); {
	case r.Err != nil:
		return r.Err.Error()
	case r.Exit == 0:
		return lab.Answered
	}
	return "no answer"
}

// TestPackets tries protocols without connections, both ways, and the errors that belong to them.
func TestPackets(t *testing.T) {
	t.Parallel()
	n := packets(t)
	of := map[string]func(w lab.Workload) netip.Addr{
		"IPv4": func(w lab.Workload) netip.Addr { return w.IPv4 },
		"IPv6": func(w lab.Workload) netip.Addr { return w.IPv6 },
	}
	far := map[string]netip.Addr{"IPv4": n.C.IPv4, "IPv6": n.C.IPv6}
	for who, c := range clients(n) {
		for version, address := range of {
			t.Run(who+" "+version, func(t *testing.T) {
				t.Parallel()
				to := func(i int, port uint16) netip.AddrPort {
					return netip.AddrPortFrom(address(n.Workloads[i]), port)
				}
				outside := func(port uint16) string { return netip.AddrPortFrom(far[version], port).String() }
				near := step{"an error from the first router", client(t, c, "near", outside(7000)), lab.Refused}
				if who == "host" {
					near.what, near.want = "the node itself is the first router", lab.Answered
				}
				compare(t,
					step{"UDP that is allowed", udp(t, c, to(1, 7000)), lab.Answered},
					step{"UDP to another port", noAnswer(udp(t, c, to(1, 7001))), "no answer"},
					step{"UDP to another workload", noAnswer(udp(t, c, to(2, 7000))), "no answer"},
					step{"an error from a closed port", udp(t, c, to(1, 7999)), lab.Refused},
					step{"UDP to outside", client(t, c, "udp", outside(7000)), lab.Answered},
					step{"an error from outside", client(t, c, "udp", outside(7999)), lab.Refused},
					near,
					step{"fragments", noAnswer(client(t, c, "large", to(1, 7000).String())), "no answer"},
					step{"TCP that is allowed", tcp(t, c, to(1, 7000)), lab.Answered},
					step{"TCP to another port", noAnswer(tcp(t, c, to(1, 7001))), "no answer"},
					step{"ping", ping(t, c, address(n.Workloads[1])), lab.Answered},
					step{"ping of another workload", ping(t, c, address(n.Workloads[2])), "no answer"},
				)
			})
		}
	}
	for version, address := range of {
		t.Run("ingress "+version, func(t *testing.T) {
			t.Parallel()
			one := address(n.Workloads[0])
			compare(t,
				step{"ping the other way", ping(t, n.Device(1), one), "no answer"},
				step{"ping from outside", ping(t, lab.Client{Host: n.Outside}, one), "no answer"},
				step{"UDP the other way: its egress says no", udp(t, n.Device(1), netip.AddrPortFrom(one, 7000)), lab.Silent},
				step{"UDP from outside", udp(t, lab.Client{Host: n.Outside}, netip.AddrPortFrom(one, 7000)), lab.Silent})
		})
	}
}

// TestSpoof sends from addresses that are not the workload's: another workload's, the node's, one
// of outside. The server gets only what comes from the workload's own.
func TestSpoof(t *testing.T) {
	t.Parallel()
	n := packets(t)
	one, three := n.Workloads[0], n.Workloads[2]
	for version, v := range map[string]struct {
		own, to netip.Addr
		foreign []netip.Addr
	}{
		"IPv4": {one.IPv4, n.Workloads[1].IPv4, []netip.Addr{three.IPv4, n.NodeAddresses[0], n.C.IPv4, netip.MustParseAddr("10.77.1.9")}},
		"IPv6": {one.IPv6, n.Workloads[1].IPv6, []netip.Addr{three.IPv6, n.NodeAddresses[1], n.C.IPv6, netip.MustParseAddr("fd77:0:0:1::9")}},
	} {
		t.Run(version, func(t *testing.T) {
			server, err := n.Workloads[1].Echo(netip.AddrPortFrom(v.to, 7999))
			check(t, err)
			to := netip.AddrPortFrom(v.to, 7999).String()
			for _, from := range v.foreign {
				check(t, one.AddAddresses("eth0", netip.PrefixFrom(from, from.BitLen())))
				before, err := n.Status(t.Context())
				check(t, err)
				compare(t, step{"send from " + from.String(), client(t, n.Device(0), "spoof", from.String(), to), "sent"})
				check(t, lab.Wait(3*time.Second, "the drop of "+from.String(), func() error {
					now, err := n.Status(t.Context())
					if err == nil && now.Drops["spoofed source"] <= before.Drops["spoofed source"] {
						err = fmt.Errorf("drops %v, before %v", now.Drops, before.Drops)
					}
					return err
				}))
			}
			if got := server.Received(); got != 0 {
				t.Errorf("the server got %d bytes from foreign addresses", got)
			}
			compare(t, step{"send from its own", client(t, n.Device(0), "spoof", v.own.String(), to), "sent"})
			check(t, lab.Wait(3*time.Second, "the datagram from its own address", func() error {
				if server.Received() == 0 {
					return fmt.Errorf("nothing came")
				}
				return nil
			}))
		})
	}
}

// TestCgroups tries processes that live elsewhere than a workload: below it they belong to it,
// beside it they belong to nobody and are denied, and outside all of it nobody judges them.
func TestCgroups(t *testing.T) {
	t.Parallel()
	n := start(t, setup{policy: packetsPolicy})
	two := n.Workloads[1]
	_, err := two.Echo(netip.AddrPortFrom(two.IPv4, 7000), netip.AddrPortFrom(two.IPv6, 7000))
	check(t, err)
	own := n.Service(daemon).Cgroup
	below, err := own.Sub("worker/deep")
	check(t, err)
	beside, err := (&lab.Cgroup{Path: filepath.Dir(own.Path)}).Sub("other")
	check(t, err)
	outside, err := n.Cgroup.Sub("elsewhere")
	check(t, err)
	try := func(cgroup *lab.Cgroup, address netip.Addr) string {
		return tcp(t, lab.Client{Host: n.World.Node, Cgroup: cgroup}, netip.AddrPortFrom(address, 7000))
	}
	for _, address := range []netip.Addr{two.IPv4, two.IPv6} {
		compare(t,
			step{"the workload", try(own, address), lab.Answered},
			step{"below it", try(below, address), lab.Answered},
			step{"beside it", noAnswer(try(beside, address)), "no answer"},
			step{"outside: the node itself, which two lets not in", noAnswer(try(outside, address)), "no answer"})
	}
	for _, loopback := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		_, err := n.World.Node.Echo(netip.AddrPortFrom(loopback, 7000))
		check(t, err)
		compare(t,
			step{"outside, to the node itself", try(outside, loopback), lab.Answered},
			step{"the workload, to the node itself", noAnswer(try(own, loopback)), "no answer"},
			step{"beside it, to the node itself", noAnswer(try(beside, loopback)), "no answer"})
	}
}
