// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"mpol/compiler/program"
)

// drawnPolicies reaches every verdict of the programs that can run without a socket.
const drawnPolicies = `
default deny
cidrs far = 203.0.113.0/24, 2001:db8:7::/48 except 203.0.113.7
policy w1 for w1 {
  egress {
    api: allow to w2 on tcp/8080
    many: allow to w2 on tcp/9000-9100, udp/9000-9100
    nine: deny to w2 on tcp/9050 reject
    get: allow to w2 on tcp/8081 http { GET "/a" }
    boss: deny to w2 on tcp/8081 http { GET "/internal/**" }
    far: allow to far on udp/5000, tcp/5000 log
    ping: allow to any on icmp/8, icmpv6/128
    gre: allow to far on ip/47
    dst: allow to far on sctp/any
    host: allow to host on tcp/22
    svc: allow to workloads on tcp/7000
    a: allow to "a.example" on tcp/443
    b: allow to "b.example" on tcp/444 http { GET "/" }
    c: allow to "b.example" on tcp/446, tcp/447 http { GET "/" }
    d: allow to "a.example" on tcp/447 tls { sni "a.example" }
    e: allow to "*.wild.example" on tcp/445 tls { sni "x.wild.example" }
  }
}
policy w2 for w2 {
  ingress {
    api: allow from w1, host on tcp/8080
    get: allow from any on tcp/8081 http { GET "/**" }
    many: allow from w1, host on tcp/9000-9100, udp/9000-9100, icmp/8, icmpv6/128
    world: allow from far on tcp/8080, tcp/8082
    not: deny from w3 on any
    svc: allow from w1, host on tcp/7000
  }
  egress { all: allow to any except host on any }
}
policy early for w2 { ingress { stop: deny from far on tcp/8082  go: allow from far on tcp/8083 } }
policy late for w3 { ingress { any: allow from any on any }  egress { all: allow to any on any } }
`

// hookRun is a program under test with the device that its packets cross.
type hookRun struct {
	program *ebpf.Program
	device  int
	self    string // workload behind the device
}

// differential draws packets and compares what the programs decide with the reference.
type differential struct {
	*node
	t       *testing.T
	rand    *rand.Rand
	p       *program.Program
	ports   map[string]uint16 // of profiles
	learned map[string]map[netip.Addr][]program.Name
	ring    *ringbuf.Reader
	addrs   []netip.Addr // where a verdict may change
	near    []netip.Addr // of those whom rules speak of
	l4      []l4Point
	seen    map[string]int
}

type l4Point struct {
	proto uint8
	port  uint16
}

func TestProgramsAgreeWithDecide(t *testing.T) {
	d := newDifferential(t)
	d.begin(drawnPolicies)
	d.run(50000)
	wanted := []string{"deny", "allow", "redirect", "not judged"}
	for id, s := range d.p.Rules.Sources {
		// A default is reported at the first policy that governs; L7 denies show at requests only.
		if id > 0 && !slices.Contains([]string{"t.w1.boss", "t.early.ingress:app.default", "t.late.ingress:app.default", "t.late.egress:app.default"}, s.Key) {
			wanted = append(wanted, "rule "+s.Key)
		}
	}
	for _, r := range []datapathDropReason{
		datapathDropReasonDROP_POLICY, datapathDropReasonDROP_L7CONFLICT, datapathDropReasonDROP_NO_LISTENER,
		datapathDropReasonDROP_SPOOFED, datapathDropReasonDROP_NOT_PROXIED,
	} {
		wanted = append(wanted, "drop "+DropReason(r).String())
	}
	for _, what := range wanted {
		if d.seen[what] < 20 {
			t.Errorf("%q occurred %d times, want at least 20", what, d.seen[what])
		}
	}
	for drawn := 0; drawn < 10; {
		text := d.drawPolicies()
		if p, _ := compileText(d.inv, text); p != nil {
			d.begin(text)
			d.run(400)
			drawn++
		}
	}
	t.Log(d.seen)
}

func newDifferential(t *testing.T) *differential {
	n := newNode(t, func(c *Config) { c.Reject = false; c.Sizes.Names = 4096 })
	n.stopEvents()
	d := &differential{node: n, t: t, rand: rand.New(rand.NewPCG(1, 2)), seen: map[string]int{}}
	var err error
	d.ring, err = ringbuf.NewReader(n.d.objs.Events)
	n.must(err)
	t.Cleanup(func() { d.ring.Close() })
	return d
}

// begin puts policies into force and draws what the workloads have learned.
func (d *differential) begin(policies string) {
	d.t.Helper()
	d.p = d.compile(policies)
	d.ports = map[string]uint16{}
	for i, p := range d.p.Tables.Profiles {
		d.ports[p.Key] = uint16(20000 + i)
	}
	d.in(func() error {
		s, err := d.node.d.Stage(d.p, func(key string) (uint16, bool) { return d.ports[key], true })
		if err != nil {
			return err
		}
		return errors.Join(s.Commit(), s.Sweep())
	})
	d.drawAddrs()
	d.drawPoints()
	d.learn()
	d.drain(nil)
}

// drawAddrs collects every address at which a verdict may change: those of the program's prefixes,
// their first and last and the neighbours of both.
func (d *differential) drawAddrs() {
	found := map[netip.Addr]bool{}
	for _, a := range d.p.Tables.Addresses {
		first, last := a.Prefix.Masked().Addr(), lastOf(a.Prefix)
		for _, x := range []netip.Addr{first, last, first.Prev(), last.Next(), first.Next()} {
			if x.IsValid() && !x.Is4In6() && !x.IsUnspecified() && !x.IsMulticast() && x != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
				found[x] = true
			}
		}
	}
	for _, text := range []string{"198.51.100.20", "198.51.100.21", "198.51.100.22", "2001:db8:100::20", "2001:db8:100::21"} {
		found[netip.MustParseAddr(text)] = true
	}
	d.addrs = nil
	for a := range found {
		d.addrs = append(d.addrs, a)
	}
	slices.SortFunc(d.addrs, netip.Addr.Compare)
	d.near = slices.Clone(d.NodeAddresses)
	for _, w := range d.Workloads {
		d.near = append(d.near, w.IPv4, w.IPv6)
	}
	for _, text := range []string{"203.0.113.8", "203.0.113.7", "2001:db8:7::1", "198.51.100.20", "2001:db8:100::20", "8.8.8.8"} {
		d.near = append(d.near, netip.MustParseAddr(text))
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// drawPoints collects every protocol and port at which a verdict may change.
func (d *differential) drawPoints() {
	found := map[l4Point]bool{{17, 53}: true, {6, 53}: true, {6, 1}: true, {17, 1}: true, {132, 9}: true, {47, 0}: true, {50, 0}: true}
	for _, t := range d.p.Tables.Tables {
		for _, cl := range t.Classes {
			for _, e := range cl.Entries {
				switch e.Proto {
				case 6, 17, 132:
					for _, port := range []uint16{e.First, e.Last, e.First - 1, e.Last + 1} {
						found[l4Point{e.Proto, port}] = true
					}
				case 1, 58:
					found[l4Point{e.Proto, e.First}] = true
				}
			}
		}
	}
	d.l4 = nil
	for p := range found {
		d.l4 = append(d.l4, p)
	}
	slices.SortFunc(d.l4, func(a, b l4Point) int { return int(a.proto)<<16 + int(a.port) - int(b.proto)<<16 - int(b.port) })
}

var drawnNames = []string{"a.example", "b.example", "x.wild.example"}

// learn tells the workloads of some names, as the DNS proxy would.
func (d *differential) learn() {
	d.t.Helper()
	// Names outlive a generation, as they should.
	d.must(d.node.d.removeNames(func(datapathNameKey, datapathSlots) bool { return false }))
	d.learned = map[string]map[netip.Addr][]program.Name{}
	for _, b := range d.p.Tables.Subjects {
		d.learned[b.Workload] = map[netip.Addr][]program.Name{}
		if b.Egress < 0 || d.p.Tables.Tables[b.Egress].Names == nil {
			continue
		}
		table := d.p.Tables.Tables[b.Egress]
		for _, a := range d.addrs {
			for _, text := range drawnNames {
				name := program.ParseName(text)
				key, ok := setOf(&table, name)
				// The DNS proxy learns addresses of internet alone; owned ones the kernel leaves out too.
				if !ok || special(a) || d.rand.IntN(3) == 0 {
					continue
				}
				d.must(d.node.d.Learn(b.Workload, a, []SetKey{key}, nodePatience*100))
				d.learned[b.Workload][a] = append(d.learned[b.Workload][a], name)
			}
		}
	}
}

func special(a netip.Addr) bool {
	return slices.ContainsFunc(program.SpecialPurpose(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// setOf finds the set of exactly the peers that a name matches.
func setOf(t *program.Table, n program.Name) (SetKey, bool) {
	var peers []int
	for i := range t.Names.Peers {
		if t.Names.Peers[i].Domain.Matches(n) {
			peers = append(peers, i)
		}
	}
	for _, s := range t.Names.Sets {
		if slices.Equal(s.Peers, peers) {
			return SetKey{Table: t.Key, Class: t.Classes[s.Class].Key}, true
		}
	}
	return SetKey{}, false
}

// drawPolicies writes rules; not all that it writes compile.
func (d *differential) drawPolicies() string {
	peers := []string{
		"any", "world", "host", "workloads", "internet", "w1", "w2", "w3", "203.0.113.0/24", "2001:db8:7::/48",
		"any except w2", "198.51.100.20", "10.77.0.0/16",
	}
	l4s := []string{"any", "tcp/any", "tcp/80", "tcp/80-90", "tcp/85", "udp/53", "udp/1000-2000", "icmp", "icmpv6", "icmp/8", "sctp/any", "ip/47"}
	pick := func(list []string) string { return list[d.rand.IntN(len(list))] }
	var text strings.Builder
	fmt.Fprintf(&text, "default %s\n", pick([]string{"allow", "deny"}))
	for i := range 2 + d.rand.IntN(5) {
		subject := pick([]string{"w1", "w2", "w3", "workloads"})
		direction, word := pick([]string{"ingress", "egress"}), "from"
		if direction == "egress" {
			word = "to"
		}
		fmt.Fprintf(&text, "policy p%d for %s { %s {\n", i, subject, direction)
		for range 1 + d.rand.IntN(4) {
			action := pick([]string{"allow", "allow", "deny"})
			fmt.Fprintf(&text, "%s %s %s on %s\n", action, word, pick(peers), pick(l4s))
		}
		if direction == "egress" && d.rand.IntN(2) == 0 {
			fmt.Fprintf(&text, "allow to %q on tcp/%d\n", pick(drawnNames), 80+d.rand.IntN(12))
		}
		if d.rand.IntN(3) == 0 {
			fmt.Fprintf(&text, "allow %s %s on tcp/81 http { GET \"/\" }\n", word, pick(peers))
		}
		text.WriteString("} }\n")
	}
	return text.String()
}

// run draws n packets.
func (d *differential) run(n int) {
	d.t.Helper()
	objs := &d.node.d.objs
	var hooks []hookRun
	d.in(func() error {
		for _, w := range d.Workloads {
			device, err := findDevice(w.Device)
			if err != nil {
				return err
			}
			hooks = append(hooks, hookRun{objs.FromWorkload, device, w.Name}, hookRun{objs.ToWorkload, device, w.Name})
		}
		device, err := findDevice(d.Uplink)
		hooks = append(hooks, hookRun{objs.FromUplink, device, ""})
		return err
	})
	d.in(func() error {
		for done := 0; done < n; {
			ran, err := d.one(hooks[d.rand.IntN(len(hooks))])
			if err != nil {
				return err
			}
			if ran {
				done++
			}
		}
		return nil
	})
}

// drain reads the records that are there.
func (d *differential) drain(each func(datapathEvent)) {
	d.t.Helper()
	d.ring.SetDeadline(longAgo)
	for {
		record, err := d.ring.Read()
		if err != nil {
			return
		}
		e, err := decodeEvent(record.RawSample)
		d.must(err)
		if each != nil {
			each(e)
		}
	}
}
