// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mpol/e2e/lab"
)

// TestWorldsSideBySide is the positive control of all network tests: in two worlds at once
// everybody reaches everything by IPv4 and IPv6.
func TestWorldsSideBySide(t *testing.T) {
	for _, name := range []string{"one", "other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world := lab.TestWorld(t, lab.WorldConfig{
				Records: []string{"www.a.example. 30 IN CNAME a.example."},
			})
			t.Run("ping", func(t *testing.T) { checkPing(t, world) })
			t.Run("names", func(t *testing.T) { checkNames(t, world) })
			t.Run("web", func(t *testing.T) { checkWeb(t, world) })
			t.Run("web between workloads", func(t *testing.T) { checkOwnWeb(t, world) })
		})
	}
}

func checkPing(t *testing.T, world *lab.World) {
	w1, w2 := world.Workloads[0], world.Workloads[1]
	rows := []struct {
		from *lab.Host
		to   netip.Addr
	}{
		{w1.Host, w2.IPv4},
		{w1.Host, w2.IPv6},
		{world.Outside, w1.IPv4},
		{world.Outside, w1.IPv6},
		{world.Node, world.C.IPv4},
		{world.Node, world.C.IPv6},
	}
	for _, row := range rows {
		if got := (lab.Client{Host: row.from}).Ping(t.Context(), row.to); got.Exit != 0 {
			t.Errorf("ping from %s to %s: %+v", row.from.Name, row.to, got)
		}
	}
	nobody := netip.MustParseAddr("10.77.1.99")
	if got := (lab.Client{Host: w2.Host}).Ping(t.Context(), nobody); got.Exit != 1 || got.Err != nil {
		t.Errorf("ping to nobody: %+v, want exit 1", got)
	}
}

func checkNames(t *testing.T, world *lab.World) {
	client := lab.Client{Host: world.Workloads[0].Host}
	rows := []struct {
		args   []string
		status string
		want   []lab.Answer
	}{
		{
			[]string{"b.example"},
			"NOERROR",
			[]lab.Answer{{Name: "b.example.", Type: "A", Data: "198.51.100.10"}},
		},
		{
			[]string{"c.example", "AAAA", "+tcp"},
			"NOERROR",
			[]lab.Answer{{Name: "c.example.", Type: "AAAA", Data: "2001:db8:100::20"}},
		},
		{
			[]string{"www.a.example", "@" + world.Resolver6.String()},
			"NOERROR",
			[]lab.Answer{
				{Name: "www.a.example.", Type: "CNAME", Data: "a.example."},
				{Name: "a.example.", Type: "A", Data: "198.51.100.10"},
			},
		},
		{[]string{"a.example", "TXT"}, "NOERROR", nil},
		{[]string{"nobody.example"}, "NXDOMAIN", nil},
	}
	for _, row := range rows {
		got := client.Dig(t.Context(), row.args...)
		if got.Status != row.status {
			t.Errorf("Dig(%q) = %v, want %s", row.args, got, row.status)
		}
		for i := range got.Answers {
			if ttl := got.Answers[i].TTL; ttl < 1 || ttl > 60 {
				t.Errorf("Dig(%q): TTL %d, want 1 to 60", row.args, ttl)
			}
			got.Answers[i].TTL = 0
		}
		if diff := cmp.Diff(row.want, got.Answers); diff != "" {
			t.Errorf("Dig(%q): answers (-want +got):\n%s", row.args, diff)
		}
	}
	got := client.Dig(t.Context(), "a.example", "@10.77.1.1", "+timeout=1")
	if got.Exit != 9 || got.Status != "" {
		t.Errorf("Dig where nobody listens = %v, want exit 9", got)
	}
}

func checkWeb(t *testing.T, world *lab.World) {
	client := lab.Client{Host: world.Workloads[2].Host}
	rows := []struct {
		args               []string
		backend, target    string
		host, server, addr string
	}{
		{[]string{"-4", "http://a.example/x?y"}, "ab", "/x?y", "a.example", "", "198.51.100.10"},
		{[]string{"-6", "http://b.example/"}, "ab", "/", "b.example", "", "2001:db8:100::10"},
		{[]string{"-4", "https://b.example/"}, "ab", "/", "b.example", "b.example", "198.51.100.10"},
		{[]string{"-6", "https://c.example/"}, "c", "/", "c.example", "c.example", "2001:db8:100::20"},
		{
			[]string{"--path-as-is", "http://198.51.100.20/a/../b"},
			"c", "/a/../b", "198.51.100.20", "", "198.51.100.20",
		},
	}
	for _, row := range rows {
		got := client.Curl(t.Context(), row.args...)
		if got.Code != 200 || got.Remote.String() != row.addr {
			t.Errorf("Curl(%q) = %v, want 200 from %s", row.args, got, row.addr)
			continue
		}
		request, err := got.Request()
		if err != nil {
			t.Errorf("Curl(%q): %v", row.args, err)
		}
		want := lab.Request{
			Backend: row.backend, Method: "GET", Target: row.target, Host: row.host, ServerName: row.server,
		}
		request.Header, request.Remote = nil, ""
		if diff := cmp.Diff(want, request); diff != "" {
			t.Errorf("Curl(%q): request (-want +got):\n%s", row.args, diff)
		}
	}
	if got := len(world.C.Requests()); got != 2 {
		t.Errorf("c saw %d requests, want 2", got)
	}
	failures := []struct {
		args []string
		exit int
	}{
		{[]string{"http://nobody.example/"}, 6},
		{[]string{"http://10.77.3.1:81/"}, 7},
		{[]string{"--resolve", "d.example:443:198.51.100.20", "https://d.example/"}, 60},
	}
	for _, row := range failures {
		if got := client.Curl(t.Context(), row.args...); got.Exit != row.exit || got.Code != 0 {
			t.Errorf("Curl(%q) = %v, want exit %d", row.args, got, row.exit)
		}
	}
}

func checkOwnWeb(t *testing.T, world *lab.World) {
	w1, w2 := world.Workloads[0], world.Workloads[1]
	at := []netip.AddrPort{netip.AddrPortFrom(w2.IPv4, 8080), netip.AddrPortFrom(w2.IPv6, 8080)}
	web, err := w2.Web(lab.WebConfig{Name: "w2", Plain: at})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range at {
		got := lab.Client{Host: w1.Host}.Curl(t.Context(), "-X", "DELETE", "-d", "data", "http://"+address.String()+"/")
		if got.Code != 200 {
			t.Errorf("Curl to %s = %v, want 200", address, got)
		}
	}
	requests := web.Requests()
	if len(requests) != 2 || requests[1].Method != "DELETE" || requests[1].Body != "data" {
		t.Errorf("w2 saw %+v, want two DELETE requests with their data", requests)
	}
}
