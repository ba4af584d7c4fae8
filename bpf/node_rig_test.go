// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/e2e/lab"
	"mpol/lang"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// book is Numbers in memory.
type book struct {
	mu    sync.Mutex
	given map[string]uint32
}

func (b *book) Number(kind, key string) (uint32, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.given == nil {
		b.given = map[string]uint32{}
	}
	k := kind + " " + key
	if b.given[k] == 0 {
		b.given[k] = uint32(len(b.given) + 1)
	}
	return b.given[k], nil
}

// node is a world whose node is judged: w1, w2 and w3 behind devices, svc and app in cgroups.
type node struct {
	*lab.World
	t      testing.TB
	cfg    Config
	d      *Datapath
	root   *lab.Cgroup
	svc    *lab.Cgroup
	app    *lab.Cgroup
	proxy  *lab.Cgroup
	inv    program.Inventory
	mu     sync.Mutex
	events []Event
	// stopEvents ends the collection of events.
	stopEvents func()
}

const (
	nodeDNSPort  = 15353
	nodeL7Port   = 15100
	nodeSilence  = time.Second
	nodePatience = 5 * time.Second
)

// newNode builds the node and loads the datapath; no generation is in force yet.
func newNode(t testing.TB, edit func(*Config)) *node {
	t.Helper()
	n := &node{World: lab.TestWorld(t, lab.WorldConfig{}), t: t}
	sub := func(name string) *lab.Cgroup {
		c, err := n.Cgroup.Sub(name)
		n.must(err)
		return c
	}
	n.root, n.svc, n.app, n.proxy = sub("work"), sub("work/svc"), sub("work/app"), sub("proxy")
	n.cfg = Config{
		BPFFS: filepath.Join(n.BPFFS, "mpol"), CgroupRoot: n.root.Path, Uplinks: []string{n.Uplink},
		ProxyCgroups: []string{n.proxy.Path}, DNSPort: nodeDNSPort, Steering: testSteering(),
		Reject: true, EventsAll: true, Numbers: &book{},
		Sizes: Sizes{Addresses: 1024, Prefixes: 1024, Members: 8192, Entries: 8192, Names: 64, Flows: 4096},
	}
	if edit != nil {
		edit(&n.cfg)
	}
	for i, w := range n.Workloads {
		n.inv.Workloads = append(n.inv.Workloads, program.Workload{
			Name: w.Name, Labels: []program.Label{{Key: "app", Value: w.Name}},
			Addresses: []netip.Addr{w.IPv4, w.IPv6}, Interface: n.Workloads[i].Device,
		})
	}
	for _, name := range []string{"app", "svc"} {
		n.inv.Workloads = append(n.inv.Workloads, program.Workload{
			Name: name, Labels: []program.Label{{Key: "app", Value: name}}, Cgroup: name,
		})
	}
	slices.SortFunc(n.inv.Workloads, func(a, b program.Workload) int { return strings.Compare(a.Name, b.Name) })
	n.inv.Node = slices.SortedFunc(slices.Values(n.NodeAddresses), netip.Addr.Compare)
	n.inv.Resolvers = []netip.Addr{n.Resolver4, n.Resolver6}
	n.load()
	t.Cleanup(func() {
		n.stopEvents()
		n.in(func() error { return errors.Join(n.d.Close(), Cleanup(n.cfg)) })
	})
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// in runs fn in the node's network namespace.
func (n *node) in(fn func() error) {
	n.t.Helper()
	n.must(n.Node.Do(fn))
}

// load loads the datapath and collects its events.
func (n *node) load() {
	n.t.Helper()
	n.in(func() (err error) {
		n.d, err = Load(n.cfg)
		return err
	})
	d := n.d
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- d.Events(ctx, func(e Event) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.events = append(n.events, e)
		})
	}()
	n.stopEvents = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
	n.t.Cleanup(n.stopEvents)
}

// compile compiles the rules of a package; the package line and the workloads are added.
func (n *node) compile(policies string) *program.Program {
	n.t.Helper()
	return compileFor(n.t, n.inv, policies)
}

func compileFor(t testing.TB, inv program.Inventory, policies string) *program.Program {
	t.Helper()
	p, diags := compileText(inv, policies)
	for _, d := range diags {
		if p == nil {
			t.Errorf("%s: %s", d.Span, d.Summary)
		}
	}
	if p == nil {
		t.Fatalf("this does not compile: %s", policies)
	}
	return p
}

func compileText(inv program.Inventory, policies string) (*program.Program, diag.List) {
	var text strings.Builder
	text.WriteString("package t\n")
	for _, w := range inv.Workloads {
		fmt.Fprintf(&text, "workload %s = app = %q\n", w.Name, w.Labels[0].Value)
	}
	text.WriteString(policies)
	file, diags := lang.Parse("t.mpol", []byte(text.String()))
	module, more := check.Check([]*lang.File{file}, check.Options{})
	diags = append(diags, more...)
	if isError := func(d diag.Diagnostic) bool { return d.Severity == diag.Error }; slices.ContainsFunc(diags, isError) {
		return nil, diags
	}
	p, more := compiler.Compile(module, inv)
	return p, append(diags, more...)
}

// apply puts policies into force.
func (n *node) apply(policies string) *program.Program {
	n.t.Helper()
	p := n.compile(policies)
	n.in(func() error {
		s, err := n.d.Stage(p, n.port)
		if err != nil {
			return err
		}
		return errors.Join(s.Commit(), s.Sweep())
	})
	return p
}

func (n *node) port(string) (uint16, bool) { return nodeL7Port, true }

// outcome of an exchange with an echo server.
const (
	works   = "works"
	refused = "refused"
	silent  = "silent"
)

// try sends a line to an echo server and waits for it to come back.
func (n *node) try(from *lab.Host, network string, to netip.AddrPort) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), nodeSilence)
	defer cancel()
	conn, err := from.Dial(ctx, network, to)
	if err != nil {
		return outcomeOf(err)
	}
	defer conn.Close()
	return exchange(conn)
}

func exchange(conn net.Conn) string {
	if err := conn.SetDeadline(time.Now().Add(nodeSilence)); err != nil {
		return err.Error()
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return outcomeOf(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return outcomeOf(err)
	}
	if line == "hello\n" {
		return works
	}
	return strings.TrimSpace(line)
}

func outcomeOf(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return silent
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EACCES),
		errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EPERM):
		return refused
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// echo starts echo servers on a host, at ports of its addresses.
func (n *node) echo(h *lab.Host, addrs []netip.Addr, ports ...uint16) {
	n.t.Helper()
	for _, a := range addrs {
		for _, p := range ports {
			_, err := h.Echo(netip.AddrPortFrom(a, p))
			n.must(err)
		}
	}
}

// waitEvent waits for an event that fits and forgets all that came until then.
func (n *node) waitEvent(what string, fits func(Event) bool) Event {
	n.t.Helper()
	var got Event
	err := lab.Wait(nodePatience, what, func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, e := range n.events {
			if fits(e) {
				got, n.events = e, nil
				return nil
			}
		}
		return fmt.Errorf("events: %+v", n.events)
	})
	n.must(err)
	return got
}
