// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

// dial opens a connection that has proved itself.
func (n *node) dial(from *lab.Host, to netip.AddrPort) net.Conn {
	n.t.Helper()
	conn, err := from.Dial(n.t.Context(), "tcp", to)
	n.must(err)
	n.t.Cleanup(func() { conn.Close() })
	if got := exchange(conn); got != works {
		n.t.Fatalf("exchange with %s: %s", to, got)
	}
	return conn
}

const two = `
default deny
policy w1 for w1 { egress { two: allow to w2 on tcp/8080, tcp/8081 } }
policy w2 for w2 { ingress { two: allow from w1 on tcp/8080, tcp/8081 } }
`

const one = `
default deny
policy w1 for w1 { egress { one: allow to w2 on tcp/8080 } }
policy w2 for w2 { ingress { two: allow from w1 on tcp/8080, tcp/8081 } }
`

func TestLiveFlowsAreJudgedAgain(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080, 8081)
	n.apply(two)
	for _, addr := range []netip.Addr{w2.IPv4, w2.IPv6} {
		stays, ends := n.dial(w1.Host, netip.AddrPortFrom(addr, 8080)), n.dial(w1.Host, netip.AddrPortFrom(addr, 8081))
		n.apply(one)
		if got := exchange(stays); got != works {
			t.Errorf("%s: the flow that is still allowed: %s", addr, got)
		}
		if got := exchange(ends); got != refused {
			t.Errorf("%s: the flow that is newly denied: %s, want %s", addr, got, refused)
		}
		e := n.waitEvent("a denial", func(e Event) bool { return e.Judged && e.Verdict == Deny })
		if e.Rule != "t.w1.egress:app.default" || e.Reason.String() != "policy" {
			t.Errorf("%s: denied by %+v", addr, e)
		}
		n.apply(two)
		if got := exchange(stays); got != works {
			t.Errorf("%s: the same flow afterwards: %s", addr, got)
		}
	}
}

// The bytes of a live connection cannot move to a proxy or away from it.
func TestFlowsThatChangeWayEnd(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080, 8081)
	requests := strings.Replace(two, "from w1 on tcp/8080, tcp/8081", `from w1 on tcp/8081  get: allow from w1 on tcp/8080 http { GET "/" }`, 1)
	for _, addr := range []netip.Addr{w2.IPv4, w2.IPv6} {
		n.apply(two)
		ends, stays := n.dial(w1.Host, netip.AddrPortFrom(addr, 8080)), n.dial(w1.Host, netip.AddrPortFrom(addr, 8081))
		n.apply(requests)
		if got := exchange(ends); got != refused {
			t.Errorf("%s, a flow whose requests are to be judged: %s, want %s", addr, got, refused)
		}
		n.waitEvent("a changed way", func(e Event) bool { return e.Reason.String() == "changed way" })
		if got := exchange(stays); got != works {
			t.Errorf("%s, the flow beside it: %s", addr, got)
		}
	}
}

// A connection that was there before the node was judged goes on if a policy allows it.
func TestFlowsFromBefore(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4}, 8080, 8081)
	stays, ends := n.dial(w1.Host, netip.AddrPortFrom(w2.IPv4, 8080)), n.dial(w1.Host, netip.AddrPortFrom(w2.IPv4, 8081))
	n.apply(one)
	if got := exchange(stays); got != works {
		t.Errorf("an allowed flow: %s", got)
	}
	if got := exchange(ends); got != refused {
		t.Errorf("a denied flow: %s, want %s", got, refused)
	}
}

const named = `
default deny
policy w1 for w1 { egress { site: allow to "c.example" on tcp/8080 } }
policy w2 for w2 { egress { site: allow to "c.example" on tcp/8080 } }
`

func nameSet(t testing.TB, p *program.Program, workload string) SetKey {
	t.Helper()
	for _, b := range p.Tables.Subjects {
		if b.Workload == workload {
			table := p.Tables.Tables[b.Egress]
			return SetKey{Table: table.Key, Class: table.Classes[table.Names.Sets[0].Class].Key}
		}
	}
	t.Fatalf("no subject %s", workload)
	return SetKey{}
}

func TestLearnedNames(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(n.Outside, []netip.Addr{n.C.IPv4, n.C.IPv6}, 8080, 8081)
	set := nameSet(t, n.apply(named), "w1")
	for _, addr := range []netip.Addr{n.C.IPv4, n.C.IPv6} {
		to := netip.AddrPortFrom(addr, 8080)
		if got := n.try(w1.Host, "tcp", to); got != refused {
			t.Errorf("%s before it is learned: %s", to, got)
		}
		n.must(n.d.Learn("w1", addr, []SetKey{set}, time.Second))
		if got := n.try(w1.Host, "tcp", to); got != works {
			t.Errorf("%s learned: %s", to, got)
		}
		if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(addr, 8081)); got != refused {
			t.Errorf("%s, a port that the rule does not name: %s", to, got)
		}
		if got := n.try(w2.Host, "tcp", to); got != refused {
			t.Errorf("%s learned by another workload: %s", to, got)
		}
		live := n.dial(w1.Host, to)
		n.must(lab.Wait(nodePatience, "the name to expire", func() error {
			if n.try(w1.Host, "tcp", to) == works {
				return errors.New("a new connection still works")
			}
			return nil
		}))
		// The flow was opened in time: it lives, also when an edit judges it again.
		n.apply(named + `policy w3 for w3 { egress { any: allow to world on tcp/8080 } }`)
		if got := exchange(live); got != works {
			t.Errorf("%s, a live flow of an expired name: %s", to, got)
		}
		n.apply(strings.ReplaceAll(named, "c.example", "a.example"))
		if got := exchange(live); got != refused {
			t.Errorf("%s, a live flow of a name that is open no more: %s", to, got)
		}
		n.apply(named)
	}
}

func TestNamesAreFull(t *testing.T) {
	n := newNode(t, nil)
	n.apply(named)
	for i := range 4 {
		n.must(n.d.Learn("w1", n.C.IPv4, []SetKey{{"t", string(rune('a' + i))}}, time.Minute))
	}
	n.must(n.d.Learn("w1", n.C.IPv4, []SetKey{{"t", "a"}}, time.Minute))
	if err := n.d.Learn("w1", n.C.IPv4, []SetKey{{"t", "e"}}, time.Minute); !errors.Is(err, ErrNamesFull) {
		t.Errorf("a fifth set: %v, want %v", err, ErrNamesFull)
	}
	n.must(n.d.Learn("w2", n.C.IPv4, []SetKey{{"t", "e"}}, time.Minute))
	if err := n.d.Learn("nobody", n.C.IPv4, []SetKey{{"t", "e"}}, time.Minute); err == nil {
		t.Error("an unknown workload learned an address")
	}
}

func TestSpoofedSource(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4, w2.IPv6}, 8080)
	n.apply(two + `policy w3 for w3 { egress { any: allow to any on any } }`)
	for _, addrs := range [][2]netip.Addr{{w1.IPv4, w2.IPv4}, {w1.IPv6, w2.IPv6}} {
		to := netip.AddrPortFrom(addrs[1], 8080)
		if got := n.try(w1.Host, "tcp", to); got != works {
			t.Errorf("%s from its own address: %s", to, got)
		}
		// w3 takes the address of w1.
		n.must(n.Workloads[2].AddAddresses("eth0", netip.PrefixFrom(addrs[0], addrs[0].BitLen())))
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: addrs[0].AsSlice()}, Timeout: nodeSilence}
		err := n.Workloads[2].Do(func() error {
			conn, err := dialer.DialContext(t.Context(), "tcp", to.String())
			if err == nil {
				conn.Close()
			}
			return err
		})
		if err == nil || outcomeOf(err) != silent {
			t.Errorf("%s from the address of another: %v, want silence", to, err)
		}
		n.waitEvent("a spoofed packet", func(e Event) bool { return e.Reason.String() == "spoofed source" })
	}
}

func TestFailedStageChangesNothing(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4}, 8080, 8081)
	n.apply(one)
	before := n.dump()
	// More than the map of prefixes holds.
	var many strings.Builder
	many.WriteString(two + "cidrs many = 20.0.0.0/25")
	for i := range 1500 {
		many.WriteString(", " + netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(1 + i/250), byte(i % 250), 0}), 25).String())
	}
	many.WriteString("\npolicy w3 for w3 { egress { many: allow to many on tcp/1 } }\n")
	p := n.compile(many.String())
	err := n.Node.Do(func() error {
		_, err := n.d.Stage(p, n.port)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("Stage: %v, want that a map is full", err)
	}
	if after := n.dump(); after != before {
		t.Errorf("the maps changed: %s", cmp.Diff(before, after))
	}
	missing := n.compile(two)
	missing.Tables.Subjects[2].Interface = "none0"
	err = n.Node.Do(func() error {
		_, err := n.d.Stage(missing, n.port)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "none0 does not exist") {
		t.Errorf("Stage: %v, want that the device does not exist", err)
	}
	if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8081)); got != refused {
		t.Errorf("what the live generation denies: %s", got)
	}
	n.apply(two)
	if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8081)); got != works {
		t.Errorf("what a good generation allows: %s", got)
	}
}

func TestAbortChangesNothing(t *testing.T) {
	n := newNode(t, nil)
	n.apply(one)
	before := n.dump()
	p := n.compile(two)
	n.in(func() error {
		s, err := n.d.Stage(p, n.port)
		if err != nil {
			return err
		}
		return s.Abort()
	})
	if after := n.dump(); after != before {
		t.Errorf("the maps changed: %s", cmp.Diff(before, after))
	}
}

// dump prints the maps of policies as the kernel has them.
func (n *node) dump() string {
	n.t.Helper()
	s, err := openState(&n.d.objs.datapathMaps)
	n.must(err)
	return fmt.Sprint(s.generation, s.exact.rows, s.prefixes.rows, s.sockets.rows, s.devices.rows, s.cgroups.rows,
		s.rows.rows, s.members.rows, s.entries.rows, s.ranges.rows, s.profiles.rows)
}

func TestAdoption(t *testing.T) {
	n := newNode(t, nil)
	w1, w2 := n.Workloads[0], n.Workloads[1]
	n.echo(w2.Host, []netip.Addr{w2.IPv4}, 8080, 8081)
	if Adoptable(n.cfg.BPFFS) {
		t.Error("Adoptable before the first generation")
	}
	bare := netState(t, n.Node)
	n.apply(one)
	live := n.dial(w1.Host, netip.AddrPortFrom(w2.IPv4, 8080))
	check := func(when string) {
		t.Helper()
		if got := exchange(live); got != works {
			t.Errorf("%s: a live flow: %s", when, got)
		}
		if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8080)); got != works {
			t.Errorf("%s: an allowed flow: %s", when, got)
		}
		if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8081)); got != refused {
			t.Errorf("%s: a denied flow: %s", when, got)
		}
	}
	check("at first")
	n.stopEvents()
	n.must(n.d.Close())
	check("without a process")
	if !Adoptable(n.cfg.BPFFS) {
		t.Error("not Adoptable")
	}
	n.load()
	check("adopted")
	n.apply(one)
	check("the same again")
	n.stopEvents()
	n.must(n.d.Close())
	n.cfg.Sizes.Flows = 8192
	n.load()
	check("another layout beside")
	n.apply(one)
	check("another layout")
	n.stopEvents()
	n.must(n.d.Close())
	n.in(func() error { return Cleanup(n.cfg) })
	if _, err := os.Stat(n.cfg.BPFFS); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Cleanup the folder on bpffs: %v", err)
	}
	if got := netState(t, n.Node); got != bare {
		t.Errorf("after Cleanup the node has\n%s\nwant\n%s", got, bare)
	}
	if got := n.try(w1.Host, "tcp", netip.AddrPortFrom(w2.IPv4, 8081)); got != works {
		t.Errorf("after Cleanup: %s", got)
	}
}
