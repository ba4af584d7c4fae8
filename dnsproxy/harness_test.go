// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// patience bounds every wait of the tests for something that should come at once.
const patience = 10 * time.Second

// rig is a proxy under test with all that it reported and committed.
type rig struct {
	*Proxy
	at netip.AddrPort // where it listens, on 127.0.0.1

	mu     sync.Mutex
	events []Event
	grants []Grant
	commit func(context.Context, Grant) error
}

// newRig starts a proxy whose clients all are workload "w1" and mean server, unless change says
// otherwise.
func newRig(t *testing.T, server netip.AddrPort, view *View, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{}
	cfg := Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")},
		Client: func(uint8, netip.AddrPort, netip.AddrPort) (Client, bool) {
			return Client{Workload: "w1", Server: server}, true
		},
		Commit: func(ctx context.Context, g Grant) error {
			r.mu.Lock()
			commit := r.commit
			r.mu.Unlock()
			if commit != nil {
				if err := commit(ctx, g); err != nil {
					return err
				}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.grants = append(r.grants, g)
			return nil
		},
		Event: func(e Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
		Timeouts: Timeouts{Query: 2 * time.Second, Commit: time.Second, Idle: time.Second},
	}
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v (the tests need root)", err)
	}
	r.Proxy, r.at = p, p.Addrs()[0]
	if view != nil {
		p.Apply(view)
	}
	serve(t, p)
	return r
}

// serve runs p for the time of the test.
func serve(t *testing.T, p *Proxy) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Serve did not return after its context had ended")
		}
	})
}

// allGrants returns what was committed so far.
func (r *rig) allGrants() []Grant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.grants)
}

// granted returns the addresses committed so far, as text, sorted.
func (r *rig) granted() []string {
	var as []string
	for _, g := range r.allGrants() {
		for _, a := range g.Addresses {
			as = append(as, a.Addr.String())
		}
	}
	slices.Sort(as)
	return slices.Compact(as)
}

// setCommit makes every later commit call f first.
func (r *rig) setCommit(f func(context.Context, Grant) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commit = f
}

// event returns the nth event, counted from 1, which may come after the answer to its question.
func (r *rig) event(t *testing.T, n int) (e Event) {
	t.Helper()
	within(t, fmt.Sprintf("event %d", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.events) < n {
			return false
		}
		e = r.events[n-1]
		return true
	})
	return e
}

// ask sends a question and returns the answer.
func (r *rig) ask(t *testing.T, network, name string, typ uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	return r.exchange(t, network, m)
}

func (r *rig) exchange(t *testing.T, network string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: patience, UDPSize: 4096}
	in, _, err := c.Exchange(m, r.at.String())
	if err != nil {
		t.Fatalf("ask for %v over %s: %v", m.Question, network, err)
	}
	return in
}

// ofType returns the data of the answer's records of a type.
func ofType(m *dns.Msg, typ uint16) []string {
	var found []string
	for _, rr := range m.Answer {
		switch v := rr.(type) {
		case *dns.A:
			if typ == dns.TypeA {
				found = append(found, v.A.String())
			}
		case *dns.AAAA:
			if typ == dns.TypeAAAA {
				found = append(found, v.AAAA.String())
			}
		}
	}
	slices.Sort(found)
	return found
}

// within waits for a condition.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v for %s", patience, what)
}

// addressTypes are the types of questions that a domain peer implies.
func addressTypes() []uint16 { return []uint16{typeA, typeAAAA, typeSVCB, typeHTTPS} }

// policy makes tables in which workload w1 has a domain peer for each of the given patterns, w2
// one for other.example, and w3 asks every server for any name; extra are further questions of w1.
func policy(patterns []program.NamePattern, extra ...program.Question) *program.Tables {
	table := func(key string, patterns []program.NamePattern, extra ...program.Question) program.Table {
		n := &program.Names{}
		tb := program.Table{Key: key, Names: n, Classes: []program.Class{{Key: "none"}}}
		for i, p := range patterns {
			d := program.Domain{Patterns: []program.NamePattern{p}}
			n.Peers = append(n.Peers, program.NamePeer{Key: string(p), Domain: d, Servers: []program.NameServer{{}}})
			n.Sets = append(n.Sets, program.NameSet{Peers: []int{i}, Class: i + 1})
			tb.Classes = append(tb.Classes, program.Class{Key: "names " + string(p), Names: true})
			tb.Questions = append(tb.Questions, program.Question{
				Verdict: program.Verdict{Allow: true, Rank: 5, Order: uint16(i), Rule: fmt.Sprint(i + 1)},
				Domain:  d, Types: addressTypes(),
			})
		}
		tb.Questions = append(tb.Questions, extra...)
		tb.Questions = append(tb.Questions, program.Question{
			Verdict: program.Verdict{Rank: 7, Rule: "99"}, Any: true,
		})
		return tb
	}
	anyName := program.Question{Verdict: program.Verdict{Allow: true, Rank: 5, Rule: "50"}, Any: true}
	return &program.Tables{
		Addresses: []program.Address{
			{Prefix: netip.MustParsePrefix("0.0.0.0/0")},
			{Prefix: netip.MustParsePrefix("198.51.100.200/32"), Owned: true},
			{Prefix: netip.MustParsePrefix("::/0")},
			{Prefix: netip.MustParsePrefix("2001:db8:77::/48"), Owned: true},
		},
		Subjects: []program.Bound{
			{Workload: "w1", Egress: 0, Ingress: -1},
			{Workload: "w2", Egress: 1, Ingress: -1},
			{Workload: "w3", Egress: 2, Ingress: -1},
			{Workload: "w4", Egress: -1, Ingress: -1},
		},
		Tables: []program.Table{
			table("t1", patterns, extra...),
			table("t2", []program.NamePattern{"other.example"}),
			table("t3", nil, anyName),
		},
	}
}

// standard is the view of most cases.
func standard() *View { return ViewOf(1, policy([]program.NamePattern{"**.google.com"})) }

func portOf(a netip.AddrPort) string { return fmt.Sprint(a.Port()) }

// as makes every client the given workload.
func as(workload string) func(*Config) {
	return func(c *Config) {
		whose := c.Client
		c.Client = func(proto uint8, client, server netip.AddrPort) (Client, bool) {
			w, ok := whose(proto, client, server)
			w.Workload = workload
			return w, ok
		}
	}
}

func addrOf(t testing.TB, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
