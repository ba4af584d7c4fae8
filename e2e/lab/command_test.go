// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// TestCommandPlace checks what a process of a host sees: its own resolv.conf, network and
// cgroup, and the machine's cgroup2 and bpffs where they were.
func TestCommandPlace(t *testing.T) {
	l := lab.Test(t)
	host, err := l.Host(lab.HostConfig{
		Name: "h", Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, Search: []string{"shop.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	service, err := l.Cgroup.Sub("services/api")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(l.BPFFS, "pins"), 0o700); err != nil {
		t.Fatal(err)
	}
	output := func(client lab.Client, name string, args ...string) string {
		t.Helper()
		out, err := client.Command(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %q: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	inService := lab.Client{Host: host, Cgroup: service}
	plain := lab.Client{Host: host}
	if got, want := output(plain, "cat", "/etc/resolv.conf"), "nameserver 192.0.2.53\nsearch shop.example\n"; !strings.HasPrefix(got, want) {
		t.Errorf("resolv.conf = %q, want it to begin with %q", got, want)
	}
	if got := output(plain, "readlink", "/proc/self/ns/net"); strings.TrimSpace(got) == ours {
		t.Errorf("network namespace = %s, which is our own", got)
	}
	if got := output(plain, "ls", "/sys/class/net", l.BPFFS); !strings.Contains(got, "pins") {
		t.Errorf("bpffs folder = %q, want pins in it", got)
	}
	if got := output(plain, "stat", "-f", "-c", "%T", l.BPFFS, l.Cgroup.Path); got != "bpf_fs\ncgroup2fs\n" {
		t.Errorf("file systems = %q, want bpffs and cgroup2", got)
	}
	for _, row := range []struct {
		client lab.Client
		want   string
	}{{plain, "/processes\n"}, {inService, "/services/api\n"}} {
		if got := output(row.client, "grep", "^0::", "/proc/self/cgroup"); !strings.HasSuffix(got, row.want) {
			t.Errorf("cgroup = %q, want %q", got, row.want)
		}
	}
	if got, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(got), "192.0.2.53") {
		t.Error("the host's resolv.conf is visible outside its processes")
	}
	if now, err := os.Readlink("/proc/self/ns/net"); err != nil || now != ours {
		t.Errorf("our own network namespace became %s (%v), was %s", now, err, ours)
	}
}

func TestCgroupID(t *testing.T) {
	l := lab.Test(t)
	one, err := l.Cgroup.Sub("one")
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Cgroup.Sub("other")
	if err != nil {
		t.Fatal(err)
	}
	oneID, err := one.ID()
	if err != nil {
		t.Fatal(err)
	}
	otherID, err := other.ID()
	if err != nil {
		t.Fatal(err)
	}
	if oneID == 0 || otherID == 0 || oneID == otherID {
		t.Errorf("ids %d and %d, want two different numbers", oneID, otherID)
	}
	if _, err := l.Cgroup.Sub("../outside"); err == nil {
		t.Error("a cgroup outside the lab was made")
	}
}

// TestLiveConnections has live connections of both kinds: of a process in a cgroup and of
// the test itself, TCP and UDP.
func TestLiveConnections(t *testing.T) {
	l := lab.Test(t)
	host, err := l.Host(lab.HostConfig{Name: "h"})
	if err != nil {
		t.Fatal(err)
	}
	cgroup, err := l.Cgroup.Sub("client")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"127.0.0.1:7", "[::1]:7"} {
		t.Run(text, func(t *testing.T) {
			address := netip.MustParseAddrPort(text)
			echo, err := host.Echo(address)
			if err != nil {
				t.Fatal(err)
			}
			live, err := lab.Client{Host: host, Cgroup: cgroup}.Connect(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer live.Close()
			for _, line := range []string{"one\n", "two\n"} {
				if err := live.Exchange(line, 5*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			datagram, err := host.Dial(t.Context(), "udp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer datagram.Close()
			if _, err := datagram.Write([]byte("three")); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 16)
			if err := datagram.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := datagram.Read(buffer); err != nil || string(buffer[:n]) != "three" {
				t.Errorf("datagram came back as %q, %v", buffer[:n], err)
			}
			if got := echo.Received(); got != 13 {
				t.Errorf("echo received %d bytes, want 13", got)
			}
			if err := echo.Close(); err != nil {
				t.Error(err)
			}
			if err := live.Exchange("four\n", 5*time.Second); err == nil {
				t.Error("the connection lives after its server closed")
			}
		})
	}
}
