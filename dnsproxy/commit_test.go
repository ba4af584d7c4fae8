// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// gate is a commit that waits until it is opened.
type gate struct {
	waiting atomic.Int32
	open    chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) commit(context.Context, Grant) error {
	g.waiting.Add(1)
	<-g.open
	return nil
}

// pose sends a question over UDP and leaves its answer to be read.
func (r *rig) pose(t *testing.T, name string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", r.at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write(wireQuestion(name, dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	return c
}

// rcodeFrom reads an answer and returns its code.
func rcodeFrom(t *testing.T, c net.Conn) int {
	t.Helper()
	buf := make([]byte, maxMessage)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(buf); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return int(buf[3] & 15)
}

// silent reports that nothing has come back to c until now.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, maxMessage)); err == nil {
		t.Errorf("%d octets came before the addresses were open", n)
	}
}

func TestProxy_commit(t *testing.T) {
	server := serveScript(t, with(t, asked+" 300 A 198.51.100.4"))
	t.Run("dns-46 slow", func(t *testing.T) {
		r, g := newRig(t, server, standard()), newGate()
		r.setCommit(g.commit)
		c := r.pose(t, "api.google.com")
		within(t, "the commit", func() bool { return g.waiting.Load() == 1 })
		silent(t, c)
		close(g.open)
		if got := rcodeFrom(t, c); got != dns.RcodeSuccess {
			t.Errorf("answer is %s, want NOERROR", dns.RcodeToString[got])
		}
	})
	t.Run("dns-47", func(t *testing.T) {
		r, g := newRig(t, server, standard()), newGate()
		r.setCommit(g.commit)
		first, second := r.pose(t, "api.google.com"), r.pose(t, "api.google.com")
		within(t, "both commits", func() bool { return g.waiting.Load() == 2 })
		silent(t, first)
		silent(t, second)
		close(g.open)
		for _, c := range []net.Conn{first, second} {
			if got := rcodeFrom(t, c); got != dns.RcodeSuccess {
				t.Errorf("answer is %s, want NOERROR", dns.RcodeToString[got])
			}
		}
	})
	t.Run("dns-48 fails", func(t *testing.T) {
		r := newRig(t, server, standard())
		r.setCommit(func(context.Context, Grant) error { return errors.New("map is full") })
		for _, network := range []string{"udp", "tcp"} {
			if in := r.ask(t, network, asked, dns.TypeA); in.Rcode != dns.RcodeServerFailure || len(in.Answer) != 0 {
				t.Errorf("%s: answer %v, want SERVFAIL and nothing else", network, in)
			}
		}
		if e := r.event(t, 2); e.Verdict != Failed || e.Reason != "addresses could not be opened: map is full" {
			t.Errorf("event is %v %q", e.Verdict, e.Reason)
		}
		r.setCommit(nil)
		if in := r.ask(t, "udp", asked, dns.TypeA); len(in.Answer) != 1 {
			t.Errorf("after the failure: answer %v, want one record", in)
		}
	})
	t.Run("dns-48 never returns", func(t *testing.T) {
		r, g := newRig(t, server, standard()), newGate()
		r.setCommit(g.commit)
		defer close(g.open)
		start := time.Now()
		if got := rcodeFrom(t, r.pose(t, "api.google.com")); got != dns.RcodeServerFailure {
			t.Errorf("answer is %s, want SERVFAIL", dns.RcodeToString[got])
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("the client waited %v", took)
		}
		// Others are not held up by it.
		if in := r.ask(t, "udp", "evil.example", dns.TypeA); in.Rcode != dns.RcodeRefused {
			t.Errorf("another question: %s, want REFUSED", dns.RcodeToString[in.Rcode])
		}
	})
}

// TestProxy_workloads: one workload's answer is granted to it alone, a stranger gets nothing.
func TestProxy_workloads(t *testing.T) {
	server := serveScript(t, with(t, asked+" 300 A 198.51.100.4"))
	for _, c := range []struct {
		name, workload string
		rcode          int
		granted        []string
	}{
		{"dns-59 control", "w1", dns.RcodeSuccess, []string{"198.51.100.4"}},
		{"dns-59", "w2", dns.RcodeRefused, nil},
		{"any name", "w3", dns.RcodeSuccess, nil},
		{"no name rules", "w4", dns.RcodeRefused, nil},
		{"unknown", "w5", dns.RcodeRefused, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, server, standard(), as(c.workload))
			if in := r.ask(t, "udp", asked, dns.TypeA); in.Rcode != c.rcode {
				t.Errorf("answer is %s, want %s", dns.RcodeToString[in.Rcode], dns.RcodeToString[c.rcode])
			}
			if diff := cmp.Diff(c.granted, r.granted()); diff != "" {
				t.Errorf("granted (-want +got):\n%s", diff)
			}
			for _, g := range r.allGrants() {
				if g.Workload != c.workload {
					t.Errorf("granted to %s, want %s", g.Workload, c.workload)
				}
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		r := newRig(t, server, standard(), func(c *Config) {
			c.Client = func(uint8, netip.AddrPort, netip.AddrPort) (Client, bool) {
				return Client{Workload: "w1", Server: server}, false
			}
		})
		for _, network := range []string{"udp", "tcp"} {
			if in := r.ask(t, network, asked, dns.TypeA); in.Rcode != dns.RcodeRefused || r.granted() != nil {
				t.Errorf("%s: answer %v granted %v, want REFUSED and nothing", network, in, r.granted())
			}
		}
	})
	t.Run("no view", func(t *testing.T) {
		if in := newRig(t, server, nil).ask(t, "udp", asked, dns.TypeA); in.Rcode != dns.RcodeRefused {
			t.Errorf("answer is %s, want REFUSED", dns.RcodeToString[in.Rcode])
		}
	})
}

// TestProxy_switch: while two generations are in force, a question needs both.
func TestProxy_switch(t *testing.T) {
	server := serveScript(t, with(t, asked+" 300 A 198.51.100.4"))
	table := func(key string, generation uint64, p program.NamePattern) *View {
		tables := policy([]program.NamePattern{p})
		tables.Tables[0].Key = key
		return ViewOf(generation, tables)
	}
	old, next := table("old", 1, "**.google.com"), table("new", 2, "*.google.com")
	without := table("without", 3, "other.example")
	t.Run("both allow", func(t *testing.T) {
		r := newRig(t, server, nil)
		r.Apply(old, next)
		if in := r.ask(t, "udp", asked, dns.TypeA); len(in.Answer) != 1 {
			t.Fatalf("answer %v, want one record", in)
		}
		want := []NameSetKey{{"new", "names *.google.com"}, {"old", "names **.google.com"}}
		if diff := cmp.Diff(want, r.allGrants()[0].Sets); diff != "" {
			t.Errorf("sets (-want +got):\n%s", diff)
		}
	})
	t.Run("one denies", func(t *testing.T) {
		r := newRig(t, server, nil)
		for _, vs := range [][]*View{{old, without}, {without, old}} {
			r.Apply(vs...)
			if in := r.ask(t, "udp", asked, dns.TypeA); in.Rcode != dns.RcodeRefused || r.granted() != nil {
				t.Errorf("answer %v granted %v, want REFUSED and nothing", in, r.granted())
			}
		}
	})
	t.Run("changed while the answer was on its way", func(t *testing.T) {
		r, g := newRig(t, server, old), newGate()
		r.setCommit(g.commit)
		c := r.pose(t, "api.google.com")
		within(t, "the commit", func() bool { return g.waiting.Load() == 1 })
		r.Apply(without)
		close(g.open)
		if got := rcodeFrom(t, c); got != dns.RcodeRefused {
			t.Errorf("answer is %s, want REFUSED", dns.RcodeToString[got])
		}
	})
	t.Run("granted again to the new view", func(t *testing.T) {
		r, g := newRig(t, server, old), newGate()
		r.setCommit(g.commit)
		c := r.pose(t, "api.google.com")
		within(t, "the commit", func() bool { return g.waiting.Load() == 1 })
		r.Apply(next)
		close(g.open)
		if got := rcodeFrom(t, c); got != dns.RcodeSuccess {
			t.Errorf("answer is %s, want NOERROR", dns.RcodeToString[got])
		}
		if !slices.ContainsFunc(r.allGrants(), func(g Grant) bool { return g.Sets[0].Table == "new" }) {
			t.Errorf("grants %v lack the new table", r.allGrants())
		}
	})
	t.Run("dns-55", func(t *testing.T) {
		now := time.Now()
		var ahead atomic.Int64
		r := newRig(t, server, standard(), as("w3"), func(c *Config) {
			c.Clock = func() time.Time { return now.Add(time.Duration(ahead.Load())) }
		})
		if in := r.ask(t, "udp", asked, dns.TypeA); len(in.Answer) != 1 || r.granted() != nil {
			t.Fatalf("answer %v granted %v, want one record and nothing", in, r.granted())
		}
		tables := policy(nil)
		tables.Subjects[2].Egress = 1 // w3 gets w2's rule
		if got := r.Replay(ViewOf(2, tables)); got != nil {
			t.Errorf("replay for a rule about another name gives %v", got)
		}
		tables = policy([]program.NamePattern{"**.google.com"})
		tables.Subjects[2].Egress = 0 // w3 gets w1's rule
		ahead.Store(int64(100 * time.Second))
		want := []Grant{{
			Workload: "w3", Name: program.ParseName(asked), Sets: []NameSetKey{{"t1", "names **.google.com"}},
			Addresses: []Address{{netip.MustParseAddr("198.51.100.4"), 260 * time.Second}},
		}}
		if diff := cmp.Diff(want, r.Replay(ViewOf(2, tables)), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("replay (-want +got):\n%s", diff)
		}
		ahead.Store(int64(360 * time.Second))
		if got := r.Replay(ViewOf(2, tables)); got != nil {
			t.Errorf("replay of what has expired gives %v", got)
		}
	})
	t.Run("dns-58", func(t *testing.T) {
		r := newRig(t, server, standard())
		r.ask(t, "udp", asked, dns.TypeA)
		if got := r.Replay(standard()); len(got) != 1 {
			t.Fatalf("replay gives %v, want one grant", got)
		}
		r.Forget("w1")
		if got := r.Replay(standard()); got != nil {
			t.Errorf("replay of a forgotten workload gives %v", got)
		}
	})
}
