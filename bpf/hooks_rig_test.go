// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

// rig is a node with the programs of host workloads and their steering, the maps written by hand:
// what the hooks do, apart from what fills the maps.
//
//	client, server   host workloads, folders below the cgroup root
//	node ── outside  198.51.100.1, 2001:db8:100::1 ── 198.51.100.10, 2001:db8:100::10
type rig struct {
	lab                    *lab.Lab
	node, outside          *lab.Host
	root                   *lab.Cgroup
	client, server, nobody *lab.Cgroup
	objects                datapathObjects
	events                 *ringbuf.Reader
}

// Numbers of the rig. The ports are the rules of the tables that newRig writes.
const (
	rigClient, rigServer = 1, 2 // workloads
	rigHTTPListener      = 15100
	rigDNSListener       = 15053

	portAllow   = 7001 // TCP and UDP, towards the outside and the server
	portDeny    = 7002
	portReject  = 7003
	portHTTP    = 7004
	portIngress = 7005 // the server's ingress denies it
	portDNS     = 53
)

// The addresses of the rig.
var (
	rigNode4    = netip.MustParseAddr("198.51.100.1")
	rigNode6    = netip.MustParseAddr("2001:db8:100::1")
	rigOutside4 = netip.MustParseAddr("198.51.100.10")
	rigOutside6 = netip.MustParseAddr("2001:db8:100::10")
)

// newRig builds the node; reject is the agent's deny mode.
func newRig(t *testing.T, reject bool) *rig {
	t.Helper()
	r := &rig{lab: lab.Test(t)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	r.node, err = r.lab.Host(lab.HostConfig{Name: "node", Forwarding: true})
	must(err)
	r.outside, err = r.lab.Host(lab.HostConfig{Name: "outside"})
	must(err)
	prefixes := func(v4, v6 netip.Addr) []netip.Prefix {
		return []netip.Prefix{netip.PrefixFrom(v4, 24), netip.PrefixFrom(v6, 64)}
	}
	must(r.lab.Link(
		lab.End{Host: r.node, Device: "uplink", Addresses: prefixes(rigNode4, rigNode6)},
		lab.End{Host: r.outside, Device: "eth0", Addresses: prefixes(rigOutside4, rigOutside6)}))
	r.root, err = r.lab.Cgroup.Sub("services")
	must(err)
	for name, folder := range map[string]**lab.Cgroup{"client": &r.client, "server": &r.server, "nobody": &r.nobody} {
		*folder, err = r.root.Sub(name)
		must(err)
	}
	proxy, err := r.lab.Cgroup.Sub("proxy")
	must(err)
	s := testSteering()
	must(r.node.Do(s.SetUp))
	r.load(t, s, proxy, reject)
	r.write(t)
	r.attach(t, proxy)
	startProxy(t, r.node, proxy, s.Marks.Upstream, rigHTTPListener)
	startProxy(t, r.node, proxy, s.Marks.Upstream, rigDNSListener)
	return r
}

func (r *rig) load(t *testing.T, s Steering, proxy *lab.Cgroup, reject bool) {
	t.Helper()
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	id, err := proxy.ID()
	if err != nil {
		t.Fatal(err)
	}
	var cookie uint64
	if err := r.node.Do(func() (err error) { cookie, err = netnsCookie(); return err }); err != nil {
		t.Fatal(err)
	}
	mode := uint8(0)
	if reject {
		mode = 1
	}
	_, below, _ := strings.Cut(r.root.Path, r.lab.Cgroup.Path)
	for name, value := range map[string]any{
		"netns_cookie":  cookie,
		"proxy_cgroups": [4]uint64{id},
		"cgroup_level":  uint32(1 + strings.Count(below, "/")),
		"mark_redirect": s.Marks.Redirect,
		"mark_loop":     s.Marks.Loop,
		"dns_port":      uint16(rigDNSListener),
		"reject_all":    mode,
		"listener_v4":   addr16(netip.MustParseAddr("127.0.0.1")),
		"listener_v6":   addr16(netip.MustParseAddr("::1")),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			t.Fatalf("set %s: %v", name, err)
		}
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	if err := spec.LoadAndAssign(&r.objects, nil); err != nil {
		t.Fatalf("load: %+v", err)
	}
	t.Cleanup(func() { r.objects.Close() })
	r.events, err = ringbuf.NewReader(r.objects.Events)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.events.Close() })
}

// write fills the maps: see the constants for what the ports mean.
func (r *rig) write(t *testing.T) {
	t.Helper()
	const (
		node, world, clientID, serverID = 10, 11, 12, 13 // identities
		egress, ingress                 = 100, 200       // tables
		out, mates, rest                = 1, 2, 3        // classes
	)
	put := func(m *ebpf.Map, key, value any) {
		t.Helper()
		if err := m.Put(key, value); err != nil {
			t.Fatalf("write %v: %v", m, err)
		}
	}
	o := &r.objects
	put(o.Generation, uint32(0), uint32(1))
	open := datapathEntry{Flags: 1, Rank: 255, Rule: 1}
	for i := range uint32(2) {
		put(o.Ungoverned, i, datapathUngoverned{Entry: open})
	}
	const mine = uint32(datapathPartyFlagPARTY_NODE | datapathPartyFlagPARTY_OWNED)
	for text, of := range map[string][2]uint32{
		"::/0": {world, 0}, "::ffff:0.0.0.0/96": {world, 0},
		"::1/128": {node, mine}, "::ffff:127.0.0.0/104": {node, mine},
		"::ffff:198.51.100.1/128": {node, mine}, "2001:db8:100::1/128": {node, mine},
	} {
		owner := datapathOwner{}
		owner.Next.Identity, owner.Next.Flags = of[0], of[1]
		address, length, _ := strings.Cut(text, "/")
		bits, err := strconv.Atoi(length)
		if err != nil {
			t.Fatal(err)
		}
		key := datapathPrefix{Length: uint32(bits)}
		key.Addr.Byte = addr16(netip.MustParseAddr(address)).Byte
		put(o.AddressesLpm, key, owner)
	}
	for workload, folder := range map[uint32]*lab.Cgroup{rigClient: r.client, rigServer: r.server} {
		id, err := folder.ID()
		if err != nil {
			t.Fatal(err)
		}
		put(o.Cgroups, id, datapathTurn{Next: workload})
		put(o.Sockets, datapathSocketKey{Workload: workload}, datapathTurn{Next: 11 + workload})
		put(o.Rows, datapathRowKey{Workload: workload, Direction: 0}, datapathRow{})
		put(o.Rows, datapathRowKey{Workload: workload, Direction: 1}, datapathRow{})
	}
	put(o.Rows, datapathRowKey{Workload: rigClient, Direction: 0}, datapathRow{Next: egress})
	put(o.Rows, datapathRowKey{Workload: rigServer, Direction: 1}, datapathRow{Next: ingress})
	for key, class := range map[datapathMemberKey]uint32{
		{Table: egress, Identity: world}: out, {Table: egress, Identity: serverID}: mates,
		{Table: egress, Identity: node}: rest, {Table: egress, Identity: clientID}: rest,
		{Table: ingress, Identity: clientID}: mates, {Table: ingress, Identity: node}: rest,
		{Table: ingress, Identity: world}: rest, {Table: ingress, Identity: serverID}: rest,
	} {
		put(o.Members, key, class)
	}
	const allow, deny, reject, http, dns = 1, 0, 4, 1 | 1<<4, 1 | 3<<4 // flags of entries
	entry := func(table, class uint32, proto uint8, port uint16, flags uint8) {
		put(o.Entries, datapathEntryKey{Table: table, Class: class, Proto: proto, Port: port},
			datapathEntry{Flags: flags, Rank: 5, Rule: 1000 + uint32(port)})
	}
	for _, class := range []uint32{out, mates} {
		for port, flags := range map[uint16]uint8{
			portAllow: allow, portDeny: deny, portReject: reject, portIngress: allow, portDNS: dns,
		} {
			entry(egress, class, unix.IPPROTO_TCP, port, flags)
			entry(egress, class, unix.IPPROTO_UDP, port, flags)
		}
		entry(egress, class, unix.IPPROTO_TCP, portHTTP, http)
	}
	for _, port := range []uint16{portAllow, portHTTP} {
		entry(ingress, mates, unix.IPPROTO_TCP, port, allow)
		entry(ingress, mates, unix.IPPROTO_UDP, port, allow)
	}
	entry(ingress, mates, unix.IPPROTO_TCP, portIngress, deny)
	entry(egress, rest, unix.IPPROTO_TCP, portDNS, dns)
	entry(egress, rest, unix.IPPROTO_UDP, portDNS, dns)
	entry(egress, rest, unix.IPPROTO_TCP, rigHTTPListener, allow)
	entry(egress, rest, unix.IPPROTO_TCP, portAllow, allow)
	put(o.Profiles, datapathProfileKey{Egress: egress, EgressClass: out, Port: portHTTP, Looped: 1},
		uint32(rigHTTPListener))
	put(o.Profiles, datapathProfileKey{
		Egress: egress, EgressClass: mates, Ingress: ingress, IngressClass: mates, Port: portHTTP, Looped: 1,
	}, uint32(rigHTTPListener))
}

func (r *rig) attach(t *testing.T, proxy *lab.Cgroup) {
	t.Helper()
	keep := func(l link.Link, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	p := &r.objects.datapathPrograms
	hooks := append([]cgroupHook{
		{"socket_out", ebpf.AttachCGroupInetEgress, p.SocketOut},
		{"socket_in", ebpf.AttachCGroupInetIngress, p.SocketIn},
	}, steeringHooks(p)...)
	for _, h := range hooks {
		keep(link.AttachCgroup(link.CgroupOptions{Path: r.root.Path, Attach: h.at, Program: h.program}))
	}
	keep(link.AttachCgroup(link.CgroupOptions{
		Path: proxy.Path, Attach: ebpf.AttachCGroupInetEgress, Program: p.ProxyOut,
	}))
	if err := r.node.Do(func() error {
		keep(link.AttachTCX(link.TCXOptions{Interface: 1, Program: p.FromLoopback, Attach: ebpf.AttachTCXIngress}))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// dropped is the number of packets and calls refused for a reason.
func (r *rig) dropped(t *testing.T, reason datapathDropReason) (sum uint64) {
	t.Helper()
	var each []uint64
	if err := r.objects.Drops.Lookup(uint32(reason), &each); err != nil {
		t.Fatal(err)
	}
	for _, n := range each {
		sum += n
	}
	return sum
}

// event waits for the next record.
func (r *rig) event(t *testing.T) (e datapathEvent) {
	t.Helper()
	r.events.SetDeadline(time.Now().Add(2 * time.Second))
	record, err := r.events.Read()
	if err != nil {
		t.Fatalf("read event: %v", err)
	}
	if err := binary.Read(bytes.NewReader(record.RawSample), binary.NativeEndian, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func addr16(a netip.Addr) datapathAddr { return datapathAddr{Byte: a.As16()} }
