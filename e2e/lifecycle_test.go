// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// lifePolicy has a bit of everything: L4 between workloads, a name, requests.
const lifePolicy = `
@owner("net") policy one for one {
  egress {
    two: allow to two         on tcp/7000
    a:   allow to "a.example" on tcp/80   http { GET "/public/**" }
    c:   allow to "c.example" on tcp/80
  }
}
@owner("net") policy daemon for daemon {
  egress {
    two: allow to two         on tcp/7000
    a:   allow to "a.example" on tcp/80   http { GET "/public/**" }
  }
}
`

// life is a node with servers, live connections and what they were before.
type life struct {
	*node.Node
	echo, denied netip.AddrPort
	live         []*lab.Conn // at the echo server, of a device and a host workload
	requests     *lab.Live
}

func newLife(t *testing.T) *life {
	t.Helper()
	n := start(t, setup{policy: lifePolicy})
	l := &life{
		Node: n, echo: netip.AddrPortFrom(n.Workloads[1].IPv4, 7000), denied: netip.AddrPortFrom(n.Workloads[1].IPv4, 7001),
	}
	_, err := n.Workloads[1].Echo(l.echo, l.denied)
	check(t, err)
	for _, c := range []lab.Client{n.Device(0), n.Service(daemon)} {
		conn, err := c.Connect(t.Context(), l.echo)
		check(t, err)
		check(t, conn.Exchange("first\n", patience))
		l.live = append(l.live, conn)
	}
	if got := l.web(t.Context(), "a.example", "/public/1"); got != "200" {
		t.Fatalf("GET before anything: %s, want 200", got)
	}
	if got := l.web(t.Context(), "c.example", "/"); got != "200" {
		t.Fatalf("GET of c.example: %s, want 200", got)
	}
	l.requests = &lab.Live{Client: n.Device(0), To: netip.AddrPortFrom(n.AB.IPv4, 80), Host: "a.example"}
	t.Cleanup(func() { _ = l.requests.Close() })
	if got := l.requests.Get(t.Context(), "/public/2"); got != "200" {
		t.Fatalf("GET on a live connection: %s, want 200", got)
	}
	return l
}

// web gets a path of a name whose address one has learned; it asks nobody.
func (l *life) web(ctx context.Context, name, path string, args ...string) string {
	client := l.Device(0)
	site := l.AB.IPv4
	if name == "c.example" {
		site = l.C.IPv4
	}
	ask := []string{"-4", "--max-time", "3"}
	if l.requests != nil {
		ask = append(ask, "--resolve", name+":80:"+site.String())
	}
	return client.Curl(ctx, append(append(ask, args...), "http://"+name+path)...).Outcome()
}

// inForce says that the generation is in force, whoever runs: what it allows and what it denies,
// in the kernel and in Envoy.
func (l *life) inForce(t *testing.T) {
	t.Helper()
	for i, c := range l.live {
		if err := c.Exchange("on\n", patience); err != nil {
			t.Errorf("live connection %d: %v", i, err)
		}
	}
	compare(t,
		step{"new connection that is allowed", tcp(t, l.Device(0), l.echo), lab.Answered},
		step{"new connection that is denied", tcp(t, l.Device(0), l.denied), lab.Refused},
		step{"of the host workload, allowed", tcp(t, l.Service(daemon), l.echo), lab.Answered},
		step{"of the host workload, denied", tcp(t, l.Service(daemon), l.denied), lab.Refused},
		step{"live request that is allowed", l.requests.Get(t.Context(), "/public/3"), "200"},
		step{"live request that is denied", l.requests.Get(t.Context(), "/private/3"), "403"},
		step{"new request that is allowed", l.web(t.Context(), "a.example", "/public/4"), "200"},
		step{"new request that is denied", l.web(t.Context(), "a.example", "/private/4"), "403"},
		step{"connection to a learned address", l.web(t.Context(), "c.example", "/"), "200"},
	)
}

// TestStop ends the agent in both ways: what it brought into force stays in force, and the next
// agent goes on from there.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		how  syscall.Signal
	}{{"SIGTERM", syscall.SIGTERM}, {"SIGKILL", syscall.SIGKILL}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLife(t)
			before, err := l.Status(t.Context())
			check(t, err)
			check(t, l.KillAgent(tt.how))
			l.inForce(t)
			if got := verb(t, l.Node, "status"); got.code != 3 || !strings.Contains(got.stderr, "no agent runs") {
				t.Errorf("mpol status without an agent: %+v, want exit code 3 and that no agent runs", got)
			}
			check(t, l.StartAgent(t.Context()))
			after, err := l.Status(t.Context())
			check(t, err)
			if after.Generation <= before.Generation || after.Program != before.Program {
				t.Errorf("the next agent has generation %d of %.8s after %d of %.8s, want a later one of the same",
					after.Generation, after.Program, before.Generation, before.Program)
			}
			l.inForce(t)
			check(t, l.Apply(t.Context(), policyFile, "tcp/7000", "tcp/7001"))
			compare(t,
				step{"what an edit allows", tcp(t, l.Device(0), l.denied), lab.Answered},
				step{"what it does not any more", tcp(t, l.Device(0), l.echo), lab.Refused})
		})
	}
}

// TestCleanup removes everything, but not under a living agent.
func TestCleanup(t *testing.T) {
	t.Parallel()
	n := prepare(t, setup{policy: lifePolicy})
	before := traces(t, n)
	check(t, n.StartAgent(t.Context()))
	t.Cleanup(func() { _ = n.Stop() })
	denied := netip.AddrPortFrom(n.C.IPv4, 80)
	compare(t, step{"under the agent", n.Device(0).Curl(t.Context(), "http://"+denied.String()).Outcome(), lab.Refused})

	running := traces(t, n)
	if got := verb(t, n, "agent", "--cleanup"); got.code != 3 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "stop it first") {
		t.Errorf("clean up of a running agent: %+v, want exit code 3 and to stop it first", got)
	}
	if got := verb(t, n, "agent"); got.code != 3 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "another agent is running") {
		t.Errorf("second agent: %+v, want exit code 3 and that another is running", got)
	}
	compareTraces(t, n, running)
	compare(t, step{"after both", n.Device(0).Curl(t.Context(), "http://"+denied.String()).Outcome(), lab.Refused})

	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		check(t, n.KillAgent(how))
		if pids, err := n.Envoy().Pids(); err != nil || len(pids) == 0 {
			t.Errorf("Envoy after %v: %v, %v; want it alive", how, pids, err)
		}
		check(t, n.Cleanup())
		compareTraces(t, n, before)
		compare(t, step{"after the clean-up", n.Device(0).Curl(t.Context(), "http://"+denied.String()).Outcome(), "200"})
		check(t, n.Cleanup()) // of nothing
		check(t, n.StartAgent(t.Context()))
	}
}
