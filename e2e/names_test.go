// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"mpol/agent/event"
	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// namesPolicy gives one, two and the host workload the same names and three none. Two may reach
// c.example only.
const namesPolicy = `
domains many = "*.many.example"
@owner("net") policy clients for (app in ["one", "daemon"]) {
  egress {
    many:  allow to many            on tcp/7000
    short: allow to "short.example" on tcp/7000
    a:     allow to "a.example"     on tcp/7000
  }
}
@owner("net") policy two for two {
  egress {
    many: allow to many        on tcp/7000
    c:    allow to "c.example" on tcp/7000
  }
}
`

// stormSize is how many names there are below many.example, each with addresses of its own.
const stormSize = 150

// named is a node with an echo server at port 7000 of every address outside.
func named(t *testing.T, more string) *node.Node {
	t.Helper()
	records := []string{
		"short.example. 1 IN A 198.51.100.10", "short.example. 1 IN AAAA 2001:db8:100::10",
		"alias.many.example. 60 IN CNAME c.example.",
	}
	for i := range stormSize {
		records = append(records,
			fmt.Sprintf("n%d.many.example. 60 IN A 198.51.100.%d", i, 100+i),
			fmt.Sprintf("n%d.many.example. 60 IN AAAA 2001:db8:100::1:%x", i, i))
	}
	n := start(t, setup{policy: namesPolicy, records: records, more: more})
	for _, net := range []string{"198.51.100.0/24", "2001:db8:100::/64"} {
		out, err := n.Outside.Command(t.Context(), "ip", "route", "add", "local", net, "dev", "lo").CombinedOutput()
		if err != nil {
			t.Fatalf("give the outside %s: %v: %s", net, err, out)
		}
	}
	_, err := n.Outside.Echo(at("::", 7000))
	check(t, err)
	return n
}

// clients are a workload behind a device and one in a cgroup.
func clients(n *node.Node) map[string]lab.Client {
	return map[string]lab.Client{"device": n.Device(0), "host": n.Service(daemon)}
}

// family is what differs between IPv4 and IPv6.
type family struct {
	kind         string // of DNS record
	resolver     netip.Addr
	site, c, far netip.AddrPort // a.example, c.example and what has no name
}

func families(n *node.Node) map[string]family {
	return map[string]family{
		"IPv4": {"A", n.Resolver4, netip.AddrPortFrom(n.AB.IPv4, 7000), netip.AddrPortFrom(n.C.IPv4, 7000), at("198.51.100.9", 7000)},
		"IPv6": {"AAAA", n.Resolver6, netip.AddrPortFrom(n.AB.IPv6, 7000), netip.AddrPortFrom(n.C.IPv6, 7000), at("2001:db8:100::9", 7000)},
	}
}

// dig asks a resolver for a name.
func dig(t *testing.T, c lab.Client, resolver netip.Addr, name, kind string, args ...string) string {
	t.Helper()
	return c.Dig(t.Context(), append([]string{"@" + resolver.String(), name, kind}, args...)...).Outcome()
}

// noAnswer joins the ways in which a question is not answered; a client knows them by its error or
// by its patience alone.
func noAnswer(outcome string) string {
	if outcome == lab.Refused || outcome == lab.Silent {
		return "no answer"
	}
	return outcome
}

// TestNames opens addresses by names: to the workload that asked, on the rule's port, and to nobody
// else (dns-59, dns-64).
func TestNames(t *testing.T) {
	t.Parallel()
	n := named(t, "")
	for who, c := range clients(n) {
		for version, f := range families(n) {
			t.Run(who+" "+version, func(t *testing.T) {
				compare(t,
					step{"before the look-up", tcp(t, c, f.site), lab.Refused},
					step{"look-up", dig(t, c, f.resolver, "a.example", f.kind), "1 address"},
					step{"after it", tcp(t, c, f.site), lab.Answered},
					step{"another port", tcp(t, c, netip.AddrPortFrom(f.site.Addr(), 80)), lab.Refused},
					step{"an address without a name", tcp(t, c, f.far), lab.Refused},
					step{"a name that no rule has", dig(t, c, f.resolver, "c.example", f.kind), "REFUSED"},
					step{"its address", tcp(t, c, f.c), lab.Refused},
					step{"a name that does not exist", dig(t, c, f.resolver, "no.many.example", f.kind), "NXDOMAIN"},
					step{"a type that no rule names", dig(t, c, f.resolver, "a.example", "TXT"), "REFUSED"},
					step{"the look-up over TCP", dig(t, c, f.resolver, "a.example", f.kind, "+tcp"), "1 address"},
					step{"a refusal over TCP", dig(t, c, f.resolver, "c.example", f.kind, "+tcp"), "REFUSED"},
					step{"an alias", dig(t, c, f.resolver, "alias.many.example", f.kind), "2 address"},
					step{"what the alias leads to", tcp(t, c, f.c), lab.Answered},
				)
			})
		}
	}
	two := n.Device(1)
	for version, f := range families(n) {
		t.Run("another workload "+version, func(t *testing.T) {
			compare(t,
				step{"what others learned", tcp(t, two, f.site), lab.Refused},
				step{"what others learned, of a rule that two has", tcp(t, two, f.c), lab.Refused},
				step{"its own look-up", dig(t, two, f.resolver, "c.example", f.kind), "1 address"},
				step{"what it learned", tcp(t, two, f.c), lab.Answered})
		})
	}
}

// TestNames_mapped uses IPv4 by IPv6 sockets, as programs of both families do.
func TestNames_mapped(t *testing.T) {
	t.Parallel()
	n := named(t, "")
	f := families(n)["IPv4"]
	resolver := netip.AddrPortFrom(f.resolver, 53).String()
	for who, c := range clients(n) {
		for _, ask := range []string{"mapped-sendto", "mapped-connect"} {
			compare(t,
				step{who + " " + ask + " before the look-up", client(t, c, "mapped", f.far.String()), lab.Refused},
				step{who + " " + ask, client(t, c, ask, resolver, "a.example."), "1 address"},
				step{who + " " + ask + " refused", client(t, c, ask, resolver, "c.example."), "REFUSED"},
				step{who + " after " + ask, client(t, c, "mapped", f.site.String()), lab.Answered})
		}
	}
}

// TestNames_storm connects the moment an answer arrives: no SYN may come before its address is open
// (dns-46).
func TestNames_storm(t *testing.T) {
	t.Parallel()
	n := named(t, "")
	const pattern = "n%d.many.example.:7000"
	want := fmt.Sprintf("%d connected", stormSize)
	for version, f := range families(n) {
		resolver := netip.AddrPortFrom(f.resolver, 53).String()
		for who, c := range map[string]lab.Client{"one": n.Device(0), "two": n.Device(1), daemon: n.Service(daemon)} {
			t.Run(who+" "+version, func(t *testing.T) {
				t.Parallel()
				compare(t, step{
					"look-ups with a connection at once",
					client(t, c, "storm", resolver, f.kind, pattern, fmt.Sprint(stormSize)), want,
				})
			})
		}
	}
}

// TestNames_expiry lets a name's time run out: its address closes, a flow that was opened in time
// goes on (dns-49, dns-50).
func TestNames_expiry(t *testing.T) {
	t.Parallel()
	n := named(t, "ttl: {min: 3s, max: 1h, grace: 0s}\n")
	for who, c := range clients(n) {
		for version, f := range families(n) {
			t.Run(who+" "+version, func(t *testing.T) {
				t.Parallel()
				compare(t,
					step{"look-up", dig(t, c, f.resolver, "short.example", f.kind), "1 address"},
					step{"in time", tcp(t, c, f.site), lab.Answered})
				conn, err := c.Connect(t.Context(), f.site)
				check(t, err)
				check(t, conn.Exchange("in time\n", patience))
				check(t, lab.Wait(20*time.Second, "the expiry", func() error {
					if got := tcp(t, c, f.site); got != lab.Refused {
						return errors.New(got)
					}
					return nil
				}))
				if err := conn.Exchange("late\n", patience); err != nil {
					t.Errorf("the flow that was opened in time: %v", err)
				}
				compare(t,
					step{"another look-up", dig(t, c, f.resolver, "short.example", f.kind), "1 address"},
					step{"in time again", tcp(t, c, f.site), lab.Answered})
			})
		}
	}
}

// TestNames_refusal chooses how a question is refused; below a search suffix it is always by a name
// that does not exist, so that a client's search list goes on (dns-11).
func TestNames_refusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, more, refusal string }{
		{"default", "search: [corp.example]\n", "REFUSED"},
		{"nxdomain", "search: [corp.example]\ndns_refusal: nxdomain\n", "NXDOMAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := named(t, tt.more)
			for who, c := range clients(n) {
				for version, f := range families(n) {
					compare(t,
						step{who + " " + version, dig(t, c, f.resolver, "c.example", f.kind), tt.refusal},
						step{who + " " + version + " over TCP", dig(t, c, f.resolver, "c.example", f.kind, "+tcp"), tt.refusal},
						step{who + " " + version + " below a search suffix", dig(t, c, f.resolver, "a.example.corp.example", f.kind), "NXDOMAIN"},
						step{who + " " + version + " allowed", dig(t, c, f.resolver, "a.example", f.kind), "1 address"})
				}
			}
		})
	}
}

// TestNames_otherServer asks a server that is not believed: it exists and answers, but not for a
// workload whose rules name another (dns-61).
func TestNames_otherServer(t *testing.T) {
	t.Parallel()
	n := named(t, "")
	other4, other6 := netip.MustParseAddr("198.51.100.54"), netip.MustParseAddr("2001:db8:100::54")
	check(t, n.Outside.AddAddresses("lo", netip.PrefixFrom(other4, 32), netip.PrefixFrom(other6, 128)))
	_, err := n.Outside.Unbound(t.Context(), lab.UnboundConfig{
		Name: "other", Addresses: []netip.Addr{other4, other6},
		Records: []string{"a.example. 60 IN A 198.51.100.9", "a.example. 60 IN AAAA 2001:db8:100::9"},
	})
	check(t, err)
	outside := lab.Client{Host: n.Outside}
	for version, f := range families(n) {
		other := map[string]netip.Addr{"IPv4": other4, "IPv6": other6}[version]
		compare(t, step{version + " from elsewhere", dig(t, outside, other, "a.example", f.kind), "1 address"})
		for who, c := range clients(n) {
			compare(t,
				step{who + " " + version, noAnswer(dig(t, c, other, "a.example", f.kind)), "no answer"},
				step{who + " " + version + " over TCP", noAnswer(dig(t, c, other, "a.example", f.kind, "+tcp")), "no answer"},
				step{who + " " + version + " what it says", tcp(t, c, f.far), lab.Refused},
				step{who + " " + version + " of the believed one", dig(t, c, f.resolver, "a.example", f.kind), "1 address"})
		}
	}
}

// TestNames_noProxy kills the DNS proxy: nobody answers a question in its place, and what was
// learned stays open until its time.
func TestNames_noProxy(t *testing.T) {
	t.Parallel()
	n := named(t, "ttl: {min: 6s, max: 6s, grace: 0s}\n")
	for who, c := range clients(n) {
		for version, f := range families(n) {
			compare(t, step{who + " " + version + " look-up", dig(t, c, f.resolver, "a.example", f.kind), "1 address"})
		}
	}
	asked := n.Events.Mark()
	check(t, n.KillAgent(syscall.SIGKILL))
	for who, c := range clients(n) {
		for version, f := range families(n) {
			compare(t, step{who + " " + version + " learned before", tcp(t, c, f.site), lab.Answered})
		}
	}
	for who, c := range clients(n) {
		for version, f := range families(n) {
			for _, transport := range []string{"+notcp", "+tcp"} {
				got := dig(t, c, f.resolver, "a.example", f.kind, transport, "+timeout=1")
				compare(t, step{who + " " + version + " " + transport + " without a proxy", noAnswer(got), "no answer"})
			}
		}
	}
	for who, c := range clients(n) {
		for version, f := range families(n) {
			check(t, lab.Wait(20*time.Second, "the expiry without a proxy, "+who+" "+version, func() error {
				if got := tcp(t, c, f.site); got != lab.Refused {
					return errors.New(got)
				}
				return nil
			}))
		}
	}
	check(t, n.StartAgent(t.Context()))
	for who, c := range clients(n) {
		for version, f := range families(n) {
			compare(t,
				step{who + " " + version + " with the next agent", dig(t, c, f.resolver, "a.example", f.kind), "1 address"},
				step{who + " " + version + " learned again", tcp(t, c, f.site), lab.Answered})
		}
	}
	_, err := n.Events.Find(t.Context(), asked, func(e event.Event) bool { return e.Kind == event.Flow && e.Verdict == "deny" })
	check(t, err)
}
