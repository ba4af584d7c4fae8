// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestStart_lostState starts an agent over what is in force without the numbers that it is written
// in: it refuses, and what is in force stays.
func TestStart_lostState(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	check(t, l.KillAgent(syscall.SIGKILL))
	numbers := filepath.Join(l.State, "numbers")
	check(t, os.Rename(numbers, numbers+".away"))
	before := traces(t, l.Node)
	check(t, l.Edit(policyFile, "tcp/7000", "tcp/7001"))
	code, said := runAgent(t, l.Node, l.Config, false)
	if code != 3 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "numbers") {
		t.Errorf("start without numbers: exit code %d, %q; want 3 and one sentence about numbers", code, said)
	}
	compareTraces(t, l.Node, before)
	l.inForce(t)
	check(t, os.Rename(numbers+".away", numbers))
	check(t, l.StartAgent(t.Context()))
	compare(t, step{"once they are back", tcp(t, l.Device(0), l.denied), lab.Answered})
}

// TestStart_twice starts two agents at once: one of them runs, the other is nothing to it.
func TestStart_twice(t *testing.T) {
	t.Parallel()
	n := prepare(t, setup{policy: lifePolicy})
	before := traces(t, n)
	for range 3 {
		ended := make(chan string, 2)
		var agents [2]*lab.Command
		for i := range agents {
			log := new(node.Log)
			agents[i] = n.Command(t.Context(), "agent", "--config", n.Config)
			agents[i].Stderr = log
			check(t, agents[i].Start())
			go func() {
				_ = agents[i].Wait() // its code says it
				ended <- fmt.Sprintf("%d: %s", agents[i].ProcessState.ExitCode(), log)
			}()
		}
		if first := <-ended; !strings.HasPrefix(first, "3: ") || !strings.Contains(first, "another agent is running") {
			t.Errorf("the agent that ends: %s, want exit code 3 and that another is running", first)
		}
		check(t, lab.Wait(20*time.Second, "the other agent", func() error {
			r, err := n.Status(t.Context())
			if err == nil && (r.Generation == 0 || r.Envoy != "ready") {
				err = fmt.Errorf("generation %d, Envoy %s", r.Generation, r.Envoy)
			}
			return err
		}))
		compare(t, step{"what is denied", n.Device(0).Curl(t.Context(), "http://"+n.C.IPv4.String()).Outcome(), lab.Refused},
			step{"what is allowed", n.Device(0).Curl(t.Context(), "-4", "http://a.example/public/1").Outcome(), "200"})
		for _, agent := range agents {
			_ = agent.Process.Signal(syscall.SIGTERM) // one has ended already
		}
		if last := <-ended; !strings.HasPrefix(last, "0: ") {
			t.Errorf("the agent that ran: %s, want exit code 0", last)
		}
		check(t, n.Cleanup())
		compareTraces(t, n, before)
	}
}

// TestStart_interrupted ends agents at each step of their start: they leave nothing.
func TestStart_interrupted(t *testing.T) {
	t.Parallel()
	n := prepare(t, setup{policy: lifePolicy})
	before := traces(t, n)
	for _, step := range []string{n.State, n.Envoy().Path, filepath.Join(n.BPFFS, "mpol"), filepath.Join(n.State, "envoy", "envoy.log")} {
		log := new(node.Log)
		agent := n.Command(t.Context(), "agent", "--config", n.Config)
		agent.Stderr = log
		check(t, agent.Start())
		check(t, lab.Wait(20*time.Second, step, func() error {
			_, err := os.Stat(step)
			return err
		}))
		check(t, agent.Process.Signal(syscall.SIGTERM))
		_ = agent.Wait() // its code says it
		if code := agent.ProcessState.ExitCode(); code == 0 {
			check(t, n.Cleanup()) // the first generation was quicker
		} else if code != 3 {
			t.Errorf("the end at %s: exit code %d: %s", step, code, log)
		}
		compareTraces(t, n, before)
	}
}
