// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestUnbound asks a real resolver through the proxy, over both transports.
func TestUnbound(t *testing.T) {
	server := startUnbound(t,
		"api.google.com. 300 A 198.51.100.4",
		"api.google.com. 300 AAAA 2001:db8::4",
		"evil.example. 300 A 198.51.100.66",
	)
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			r := newRig(t, server, standard())
			in := r.ask(t, network, "api.google.com", dns.TypeA)
			if diff := cmp.Diff([]string{"198.51.100.4"}, ofType(in, dns.TypeA)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			in = r.ask(t, network, "api.google.com", dns.TypeAAAA)
			if diff := cmp.Diff([]string{"2001:db8::4"}, ofType(in, dns.TypeAAAA)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if in := r.ask(t, network, "evil.example", dns.TypeA); in.Rcode != dns.RcodeRefused {
				t.Errorf("evil.example: %s, want REFUSED", dns.RcodeToString[in.Rcode])
			}
			if diff := cmp.Diff([]string{"198.51.100.4", "2001:db8::4"}, r.granted()); diff != "" {
				t.Errorf("granted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDig lets a common client judge the answers' form.
func TestDig(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("dig is missing: apt-get install bind9-dnsutils")
	}
	r := newRig(t, startUnbound(t, "api.google.com. 300 A 198.51.100.4"), standard())
	run := func(args ...string) string {
		args = append([]string{"@127.0.0.1", "-p", portOf(r.at), "+tries=1", "+time=5"}, args...)
		out, err := exec.Command(dig, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dig %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, transport := range []string{"+notcp", "+tcp"} {
		if out := run(transport, "+short", "api.google.com"); strings.TrimSpace(out) != "198.51.100.4" {
			t.Errorf("dig %s +short printed %q", transport, out)
		}
		out := run(transport, "example.net", "TXT")
		if !strings.Contains(out, "status: REFUSED") || !strings.Contains(out, "EDE: 18") {
			t.Errorf("dig %s for a denied name printed\n%s", transport, out)
		}
		if strings.Contains(strings.ToLower(out), "malformed") || strings.Contains(out, ";; WARNING") {
			t.Errorf("dig %s complains:\n%s", transport, out)
		}
	}
}

// startUnbound runs a real unbound with local data on loopback and returns where it listens.
func startUnbound(t testing.TB, records ...string) netip.AddrPort {
	t.Helper()
	at, _ := runUnbound(t, records...)
	return at
}

// runUnbound is startUnbound that also returns the process.
func runUnbound(t testing.TB, records ...string) (at netip.AddrPort, pid int) {
	t.Helper()
	path, err := exec.LookPath("unbound")
	if err != nil {
		if path = "/usr/sbin/unbound"; !exists(path) {
			t.Skip("unbound is missing: apt-get install unbound")
		}
	}
	at = freePort(t)
	conf := fmt.Sprintf(`server:
  interface: %v@%d
  port: %d
  username: ""
  chroot: ""
  directory: "%s"
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
`, at.Addr(), at.Port(), at.Port(), t.TempDir())
	conf += "  local-zone: \".\" static\n"
	for _, r := range records {
		conf += fmt.Sprintf("  local-data: '%s'\n", r)
	}
	conf += "remote-control:\n  control-enable: no\n"
	file := filepath.Join(t.TempDir(), "unbound.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-d", "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m := new(dns.Msg)
	m.SetQuestion("ready.", dns.TypeA)
	c := dns.Client{Timeout: 100 * time.Millisecond}
	for end := time.Now().Add(patience); ; {
		if _, _, err := c.Exchange(m, at.String()); err == nil {
			return at, cmd.Process.Pid
		} else if time.Now().After(end) {
			t.Fatalf("unbound does not answer at %v: %v", at, err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// freePort finds a port of 127.0.0.1 that is free over TCP and UDP.
func freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
