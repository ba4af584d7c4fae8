// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mpol/e2e/lab"
)

func testSteering() Steering {
	return Steering{
		Marks:  Marks{Redirect: 0x6d01, Loop: 0x6d02, Upstream: 0x6d03},
		Tables: RouteTables{Redirect: 27905, Loop: 27906},
	}
}

// steerHost is a host in a lab of its own.
func steerHost(t *testing.T, name string) *lab.Host {
	t.Helper()
	l := lab.Test(t)
	h, err := l.Host(lab.HostConfig{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// netState is all that steering may change, as the system's own tools print it.
func netState(t *testing.T, h *lab.Host) string {
	t.Helper()
	var all strings.Builder
	for _, command := range []string{
		"ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all",
		"ip address show lo", "nft list ruleset",
	} {
		words := strings.Fields(command)
		var out []byte
		err := h.Do(func() (err error) {
			out, err = exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		fmt.Fprintf(&all, "# %s\n%s", command, out)
	}
	return all.String()
}

func TestSteeringLeavesNothing(t *testing.T) {
	h, s := steerHost(t, "node"), testSteering()
	before := netState(t, h)
	if err := h.Do(s.Remove); err != nil {
		t.Fatalf("Remove before SetUp: %v", err)
	}
	if err := h.Do(s.SetUp); err != nil {
		t.Fatal(err)
	}
	once := netState(t, h)
	if once == before {
		t.Fatal("SetUp changed nothing")
	}
	if err := h.Do(s.SetUp); err != nil {
		t.Fatalf("SetUp a second time: %v", err)
	}
	if diff := cmp.Diff(once, netState(t, h)); diff != "" {
		t.Errorf("a second SetUp changed the namespace:\n%s", diff)
	}
	if err := h.Do(s.Remove); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, netState(t, h)); diff != "" {
		t.Errorf("Remove left traces:\n%s", diff)
	}
}

// Without IPv6 on lo the rest is there, and a marked IPv6 packet goes nowhere.
func TestSteeringWithoutIPv6(t *testing.T) {
	for _, device := range []string{"all", "lo"} {
		t.Run(device, func(t *testing.T) {
			h, s := steerHost(t, "node"), testSteering()
			if err := h.Sysctl("net/ipv6/conf/"+device+"/disable_ipv6", "1"); err != nil {
				t.Fatal(err)
			}
			before := netState(t, h)
			if err := h.Do(s.SetUp); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Netlink().RouteGetWithOptions(net.ParseIP("203.0.113.9"),
				&netlink.RouteGetOptions{Mark: s.Marks.Loop}); err != nil {
				t.Errorf("IPv4: %v", err)
			}
			if err := h.Do(s.Remove); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, netState(t, h)); diff != "" {
				t.Errorf("Remove left traces:\n%s", diff)
			}
		})
	}
}

// A redirected packet whose route is lost is not sent on.
func TestSteeringLostRoutes(t *testing.T) {
	h, s := steerHost(t, "node"), testSteering()
	if err := h.Do(s.SetUp); err != nil {
		t.Fatal(err)
	}
	// A way for everything, so that a packet that is not stopped has somewhere to go.
	peer := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "up"}, PeerName: "far"}
	if err := h.Netlink().LinkAdd(peer); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		h.Netlink().LinkSetUp(peer), h.AddAddresses("up", netip.MustParsePrefix("198.51.100.1/24"),
			netip.MustParsePrefix("2001:db8:100::1/64")),
		h.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("198.51.100.2")),
		h.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("2001:db8:100::2")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, route := range s.routes(1) {
		if err := h.Netlink().RouteDel(&route); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"203.0.113.9", "2001:db8:9::9"} {
		for _, mark := range []uint32{0, s.Marks.Loop} {
			routes, err := h.Netlink().RouteGetWithOptions(net.ParseIP(to), &netlink.RouteGetOptions{Mark: mark})
			if (err != nil) != (mark != 0) {
				t.Errorf("route to %s with mark %#x = %v, %v", to, mark, routes, err)
			}
		}
	}
}

func TestSteeringRoutes(t *testing.T) {
	h, s := steerHost(t, "node"), testSteering()
	if err := h.Do(s.SetUp); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, to string
		mark     uint32
		src      string // empty: no route
	}{
		{"loop", "203.0.113.9", s.Marks.Loop, "127.0.0.1"},
		{"loop IPv6", "2001:db8::9", s.Marks.Loop, "::1"},
		{"alias", "127.77.0.1", 0, "127.0.0.1"},
		{"alias IPv6", "fd6d:706f:6c::1", 0, "::1"},
		{"no mark", "203.0.113.9", 0, ""},
		{"no mark IPv6", "2001:db8::9", 0, ""},
		{"upstream mark", "203.0.113.9", s.Marks.Upstream, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes, err := h.Netlink().RouteGetWithOptions(net.ParseIP(tt.to),
				&netlink.RouteGetOptions{Mark: tt.mark})
			if tt.src == "" {
				if err == nil {
					t.Fatalf("route to %s is %v, want none", tt.to, routes)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := routes[0].Src.String(); got != tt.src {
				t.Errorf("route to %s is from %s, want %s", tt.to, got, tt.src)
			}
		})
	}
}

// A redirected packet of a workload is delivered here however strictly its source is checked; the
// kernel makes the same check for this question as for a packet.
func TestSteeringDeliversFromDevice(t *testing.T) {
	l := lab.Test(t)
	node, err := l.Host(lab.HostConfig{Name: "node", Forwarding: true})
	if err != nil {
		t.Fatal(err)
	}
	client, err := l.Host(lab.HostConfig{Name: "client"})
	if err != nil {
		t.Fatal(err)
	}
	prefixes := func(texts ...string) (ps []netip.Prefix) {
		for _, text := range texts {
			ps = append(ps, netip.MustParsePrefix(text))
		}
		return ps
	}
	if err := l.Link(
		lab.End{Host: node, Device: "w1", Addresses: prefixes("10.77.0.1/24", "2001:db8:77::1/64")},
		lab.End{Host: client, Device: "eth0", Addresses: prefixes("10.77.0.2/24", "2001:db8:77::2/64")},
	); err != nil {
		t.Fatal(err)
	}
	s := testSteering()
	if err := node.Do(s.SetUp); err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{false, true} {
		if strict {
			for _, key := range []string{"rp_filter", "src_valid_mark"} {
				if err := node.Sysctl("net/ipv4/conf/all/"+key, "1"); err != nil {
					t.Fatal(err)
				}
			}
		}
		for from, to := range map[string]string{"10.77.0.2": "203.0.113.9", "2001:db8:77::2": "2001:db8::9"} {
			t.Run(fmt.Sprintf("%s strict=%v", from, strict), func(t *testing.T) {
				routes, err := node.Netlink().RouteGetWithOptions(net.ParseIP(to), &netlink.RouteGetOptions{
					Iif: "w1", SrcAddr: net.ParseIP(from), Mark: s.Marks.Redirect,
				})
				if err != nil {
					t.Fatal(err)
				}
				if routes[0].Type != unix.RTN_LOCAL {
					t.Errorf("route is %v, want a local one", routes[0])
				}
			})
		}
	}
}

// A SetUp that fails leaves nothing where nothing was, and what was there where something was.
func TestSteeringFails(t *testing.T) {
	h, s := steerHost(t, "node"), testSteering()
	bad := s
	bad.NFT = strings.Repeat("x", 300) // longer than nft takes
	before := netState(t, h)
	if err := h.Do(bad.SetUp); err == nil {
		t.Fatal("SetUp with such a table did not fail")
	}
	if diff := cmp.Diff(before, netState(t, h)); diff != "" {
		t.Errorf("the failed SetUp left traces:\n%s", diff)
	}
	if err := h.Do(s.SetUp); err != nil {
		t.Fatal(err)
	}
	before = netState(t, h)
	if err := h.Do(bad.SetUp); err == nil {
		t.Fatal("SetUp with such a table did not fail")
	}
	if diff := cmp.Diff(before, netState(t, h)); diff != "" {
		t.Errorf("the failed SetUp changed what was there:\n%s", diff)
	}
}

func TestSteeringRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Steering)
		want   string
	}{
		{"no mark", func(s *Steering) { s.Marks.Loop = 0 }, "a mark is 0"},
		{"equal marks", func(s *Steering) { s.Marks.Loop = s.Marks.Upstream }, "marks are equal"},
		{"equal tables", func(s *Steering) { s.Tables.Loop = s.Tables.Redirect }, "0 or equal"},
		{"main", func(s *Steering) { s.Tables.Loop = 254 }, "the kernel's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testSteering()
			tt.change(&s)
			if err := s.SetUp(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("SetUp() = %v, want %q", err, tt.want)
			}
		})
	}
}
