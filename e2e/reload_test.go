// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mpol/agent/status"
	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// reloadPolicy allows tcp/7000 and one folder of requests; the edits move both.
const reloadPolicy = `
@owner("net") policy one for one {
  egress {
    kept: allow to two         on tcp/7100
    two:  allow to two         on tcp/7000
    a:    allow to "a.example" on tcp/80   http { GET "/kept/**", GET "/v0/**" }
  }
}
`

// reloaded is a node with echo servers at two's ports 7000 to 7002 and 7100.
func reloaded(t *testing.T) (n *node.Node, port func(uint16) netip.AddrPort) {
	t.Helper()
	n = start(t, setup{policy: reloadPolicy})
	port = func(p uint16) netip.AddrPort { return netip.AddrPortFrom(n.Workloads[1].IPv4, p) }
	_, err := n.Workloads[1].Echo(port(7000), port(7001), port(7002), port(7100))
	check(t, err)
	return n, port
}

// load tries over and over until it is stopped, and counts the outcomes.
type load struct {
	try  func() string
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	seen map[string]int
}

func newLoad(try func() string) *load {
	l := &load{try: try, stop: make(chan struct{}), seen: map[string]int{}}
	l.done.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			outcome := l.try()
			l.mu.Lock()
			l.seen[outcome]++
			l.mu.Unlock()
		}
	})
	return l
}

// count is how often an outcome was seen so far.
func (l *load) count(outcome string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[outcome]
}

// more waits until an outcome was seen times more.
func (l *load) more(outcome string, times int) error {
	from := l.count(outcome)
	return lab.Wait(20*time.Second, "more clients", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if got := l.seen[outcome] - from; got < times {
			return fmt.Errorf("%d of %d: %v", got, times, l.seen)
		}
		return nil
	})
}

// end stops the load; it reports outcomes but want.
func (l *load) end(t *testing.T, what, want string) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if l.seen[want] == 0 || len(l.seen) > 1 {
		t.Errorf("%s: %v, want %s alone", what, l.seen, want)
	}
}

// TestReload_load edits policies under clients: what both generations allow is never refused, what
// both deny is never allowed, and live connections last.
func TestReload_load(t *testing.T) {
	t.Parallel()
	n, port := reloaded(t)
	one := n.Device(0)
	get := func(l *lab.Live, path string) func() string {
		return func() string { return l.Get(t.Context(), path) }
	}
	live := func() *lab.Live {
		l := &lab.Live{Client: one, To: netip.AddrPortFrom(n.AB.IPv4, 80), Host: "a.example"}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	compare(t, step{"before", one.Curl(t.Context(), "-4", "http://a.example/kept/0").Outcome(), "200"})
	kept, err := one.Connect(t.Context(), port(7100))
	check(t, err)
	try := func(to netip.AddrPort) func() string {
		return func() (outcome string) {
			if err := one.Host.Do(func() error { outcome = tryEcho("tcp", to.String(), "echo\n"); return nil }); err != nil {
				return err.Error()
			}
			return outcome
		}
	}
	loads := []struct {
		what, want string
		*load
	}{
		{"new connections that every generation allows", lab.Answered, newLoad(try(port(7100)))},
		{"new connections that none allows", lab.Refused, newLoad(try(port(7002)))},
		{"requests that every generation allows", "200", newLoad(get(live(), "/kept/1"))},
		{"requests that none allows", "403", newLoad(get(live(), "/never/1"))},
	}
	for i := range 8 {
		old, now := fmt.Sprintf("/v%d/", i), fmt.Sprintf("/v%d/", i+1)
		check(t, n.Apply(t.Context(), policyFile, old, now))
		ports := []string{"on tcp/7000", "on tcp/7001"}
		check(t, n.Apply(t.Context(), policyFile, ports[i%2], ports[(i+1)%2]))
		check(t, kept.Exchange("still\n", patience))
		for _, l := range loads {
			check(t, l.more(l.want, 2))
		}
	}
	for _, l := range loads {
		l.end(t, l.what, l.want)
	}
	fresh := live()
	compare(t,
		step{"the last edit's port", tcp(t, one, port(7000)), lab.Answered},
		step{"the other port", tcp(t, one, port(7001)), lab.Refused},
		step{"the path before", fresh.Get(t.Context(), "/v7/x"), "403"})
	eventually(t, "the last edit's path", "200", get(fresh, "/v8/x"))
}

// TestReload_broken breaks a file: nothing changes and status says what is wrong and where, until
// it is mended.
func TestReload_broken(t *testing.T) {
	t.Parallel()
	n, port := reloaded(t)
	before, err := n.Status(t.Context())
	check(t, err)
	mistakes := []struct{ name, old, new, at, says string }{
		{"misspelt action", "two:  allow to two", "two:  alow to two", policyFile + ":12:11", "alow"},
		{"unknown name", "to two         on tcp/7000", "to tow         on tcp/7000", policyFile + ":12:20", "tow"},
		{"guardrail", `@owner("net") policy one`, `policy one`, policyFile + ":9", "owner"},
		{"no UTF-8", "kept:", "\xffkept:", policyFile + ":11", "UTF-8"},
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			check(t, n.Edit(policyFile, m.old, m.new))
			_, err := rejected(t, n)
			check(t, err)
			got := verb(t, n, "status")
			if got.code != 1 || !strings.Contains(got.stdout, m.at) || !strings.Contains(got.stdout, m.says) {
				t.Errorf("mpol status: %+v, want exit code 1, %s and %q", got, m.at, m.says)
			}
			compare(t,
				step{"allowed as before", tcp(t, n.Device(0), port(7000)), lab.Answered},
				step{"denied as before", tcp(t, n.Device(0), port(7001)), lab.Refused})
			check(t, n.Edit(policyFile, m.new, m.old))
			check(t, accepted(t, n))
			if got := verb(t, n, "status"); got.code != 0 || strings.Contains(got.stdout, "REJECTED") {
				t.Errorf("mpol status once it is mended: %+v, want exit code 0", got)
			}
		})
	}
	after, err := n.Status(t.Context())
	check(t, err)
	if after.Generation != before.Generation {
		t.Errorf("generation %d after files that say the same, want still %d", after.Generation, before.Generation)
	}
}

// rejected waits until the agent has refused the files.
func rejected(t *testing.T, n *node.Node) (r status.Report, err error) {
	t.Helper()
	err = lab.Wait(10*time.Second, "the agent's refusal", func() (err error) {
		if r, err = n.Status(t.Context()); err == nil && r.Rejected == "" {
			err = errors.New("the files are in force")
		}
		return err
	})
	return r, err
}

// accepted waits until they are in force.
func accepted(t *testing.T, n *node.Node) error {
	t.Helper()
	return lab.Wait(10*time.Second, "the files in force", func() error {
		r, err := n.Status(t.Context())
		if err == nil && r.Rejected != "" {
			err = errors.New(r.Rejected)
		}
		return err
	})
}

// TestReload_files adds and removes files and folders.
func TestReload_files(t *testing.T) {
	t.Parallel()
	n, port := reloaded(t)
	const more = "package net\n@owner(\"net\") policy more for one { egress { m: allow to two on tcp/7001 } }\n"
	generation := func() uint32 {
		r, err := n.Status(t.Context())
		check(t, err)
		return r.Generation
	}
	for _, name := range []string{"more.mpol", "deep/er/more.mpol"} {
		path := filepath.Join(n.Policies, name)
		g := generation()
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(more), 0o644))
		check(t, n.WaitGeneration(t.Context(), g+1))
		compare(t, step{name + " is there", tcp(t, n.Device(0), port(7001)), lab.Answered})
		check(t, os.Remove(path))
		check(t, n.WaitGeneration(t.Context(), g+2))
		compare(t,
			step{name + " is gone", tcp(t, n.Device(0), port(7001)), lab.Refused},
			step{"the other file", tcp(t, n.Device(0), port(7000)), lab.Answered})
	}
	// No files at all are a mistake, not a policy that says nothing.
	g := generation()
	path := filepath.Join(n.Policies, policyFile)
	check(t, os.Rename(path, path+".away"))
	r, err := rejected(t, n)
	check(t, err)
	if r.Generation != g || !strings.Contains(r.Rejected, "no .mpol file") {
		t.Errorf("no files: generation %d, %q; want %d still and what is missing", r.Generation, r.Rejected, g)
	}
	check(t, os.Rename(path+".away", path))
	check(t, accepted(t, n))
	compare(t, step{"all is as before", tcp(t, n.Device(0), port(7000)), lab.Answered})
}

// TestReload_storm edits fifty times in two seconds: the last content is in force at the end.
func TestReload_storm(t *testing.T) {
	t.Parallel()
	n, port := reloaded(t)
	pace := time.NewTicker(40 * time.Millisecond)
	defer pace.Stop()
	texts := []string{"on tcp/7000", "on tcp/7001", "on tcp/7002"}
	for i := range 50 {
		check(t, n.Edit(policyFile, texts[i%3], texts[(i+1)%3]))
		<-pace.C
	}
	last := 7000 + uint16(50%3)
	err := lab.Wait(10*time.Second, "the last edit", func() error {
		for p := uint16(7000); p <= 7002; p++ {
			want := lab.Refused
			if p == last {
				want = lab.Answered
			}
			if got := tcp(t, n.Device(0), port(p)); got != want {
				return fmt.Errorf("port %d: %s, want %s", p, got, want)
			}
		}
		return nil
	})
	check(t, err)
	check(t, accepted(t, n))
}
