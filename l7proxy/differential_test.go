// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mpol/compiler/verdict"
)

// drawsVariable asks for more requests than the default, or less, and for another seed:
// "N" or "N SEED".
const drawsVariable = "MPOL_L7_DRAWS"

func draws(t *testing.T) (n int, seed uint64) {
	t.Helper()
	n, seed = 4000, 1
	if text := os.Getenv(drawsVariable); text != "" {
		if _, err := fmt.Sscan(text+" 1", &n, &seed); err != nil {
			t.Fatalf("%s=%q: %v", drawsVariable, text, err)
		}
	}
	return n, seed
}

// recorder is a server that remembers what arrived, by the number of the request.
type recorder struct {
	net.Listener
	mu      sync.Mutex
	arrived map[int]verdict.HTTP
	other   []string // without a number
}

func newRecorder(t *testing.T, serve func(*recorder, net.Conn)) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(server4, "0"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: listener, arrived: map[int]verdict.HTTP{}}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(r, conn)
		}
	}()
	return r
}

func (r *recorder) addr() netip.AddrPort { return netip.MustParseAddrPort(r.Addr().String()) }

func (r *recorder) record(id string, h verdict.HTTP) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := strconv.Atoi(id)
	if err != nil {
		r.other = append(r.other, fmt.Sprintf("%+v", h))
		return
	}
	r.arrived[n] = h
}

// serve1 reads HTTP/1.1 without understanding more of it than it must.
func serve1(r *recorder, conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		var h verdict.HTTP
		id := ""
		for first := true; ; first = false {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimSuffix(line, "\r\n")
			name, value, _ := strings.Cut(line, ": ")
			switch {
			case first:
				h.Method, h.Path, _ = strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), " ")
			case strings.EqualFold(name, "host"):
				h.Host = value
			case strings.EqualFold(name, "x-id"):
				id = value
			}
			if line == "" {
				break
			}
		}
		r.record(id, h)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Arrived: yes\r\nContent-Length: 0\r\n\r\n")
	}
}

// outcome is what became of a request.
type outcome struct {
	situation *situation
	request   *wireRequest
	passed    bool
	code      int
	reported  *Request
	message   bool // that the protocol can carry
}

// differential sends requests through Envoy and judges them by the reference evaluator.
type differential struct {
	t *testing.T
	*proxy
	*world
	server  *recorder
	sending sync.Mutex // guards what follows
	results []*outcome
	byConn  map[netip.AddrPort][]*outcome
	seen    map[string]int
}

// send1 sends requests over one connection, and over another where Envoy closes it.
func (d *differential) send1(s *situation, requests []*wireRequest) {
	d.t.Helper()
	for len(requests) > 0 {
		conn, err := d.dial(s.profile, d.server.addr())
		if err != nil {
			d.t.Error(err)
			return
		}
		local, reader := netip.MustParseAddrPort(conn.LocalAddr().String()), bufio.NewReader(conn)
		for len(requests) > 0 {
			q := requests[0]
			requests = requests[1:]
			o := d.sent(s, q, local)
			if _, err := io.WriteString(conn, q.raw()); err != nil {
				d.t.Errorf("%q: %v", q.raw(), err)
			}
			response, err := http.ReadResponse(reader, &http.Request{Method: strings.ToUpper(q.Method)})
			if err != nil {
				break // Envoy closed it: denied
			}
			io.Copy(io.Discard, response.Body)
			o.code, o.passed = response.StatusCode, response.Header.Get("X-Arrived") != ""
			if response.Close {
				break
			}
		}
		conn.Close()
	}
}

// sent begins an outcome.
func (d *differential) sent(s *situation, q *wireRequest, local netip.AddrPort) *outcome {
	o := &outcome{situation: s, request: q, message: q.message()}
	d.sending.Lock()
	defer d.sending.Unlock()
	d.results = append(d.results, o)
	d.byConn[local] = append(d.byConn[local], o)
	return o
}

// judge compares every outcome with the evaluator's verdict.
func (d *differential) judge() {
	d.server.mu.Lock()
	defer d.server.mu.Unlock()
	for _, o := range d.results {
		f := o.situation.flow
		f.HTTP = &o.request.HTTP
		v := verdict.Decide(&d.Rules, f)
		arrived, came := d.server.arrived[o.request.id]
		want := v.Action == verdict.Allow
		switch {
		case !o.message && (o.passed || came):
			d.wrong("passed though no message", o, v)
		case !o.message:
			d.seen["no message"]++
		case !want && (o.passed || came):
			d.wrong("LOOSER than the evaluator", o, v)
		case want != o.passed:
			d.wrong("stricter than the evaluator", o, v)
		case o.passed:
			d.seen["allowed"]++
			sent, _ := verdict.JudgePath(o.request.Path)
			if got, ok := verdict.JudgePath(arrived.Path); !ok || got != sent || arrived.Host != o.request.Host || arrived.Method != o.request.Method {
				d.wrong(fmt.Sprintf("judged %q, arrived as %q of %q, judged %q", sent, arrived.Path, arrived.Host, got), o, v)
			}
		default:
			d.seen["denied, "+v.Reason.String()]++
		}
	}
	if len(d.server.other) > 0 {
		d.t.Errorf("arrived without a number: %q", d.server.other)
	}
}

// wrong reports a disagreement, each kind some times.
func (d *differential) wrong(what string, o *outcome, v verdict.Verdict) {
	d.t.Helper()
	const enough = 15
	kind, _, _ := strings.Cut(what, ",")
	if d.seen["WRONG "+kind]++; d.seen["WRONG "+kind] > enough {
		d.t.Fail()
		return
	}
	judged, ok := verdict.JudgePath(o.request.Path)
	reported := "nothing"
	if r := o.reported; r != nil {
		reported = fmt.Sprintf("{denied %v by %q %q, path %q, %s}", r.Denied, r.Half, r.Rule, r.Path, r.Details)
	}
	d.t.Errorf("%s: %s: %s %q host %q (judged %q, %v) = %d, passed %v, reported %s; Decide: %s by %s %q",
		o.situation.name, what, o.request.Method, o.request.Path, o.request.Host, judged, ok, o.code, o.passed, reported,
		v.Action, v.Reason, d.Rules.Source(v.Rule).Key)
}

// reports gives each outcome its line of the log: those of a connection come in the order of its
// requests. Only the last can be without: Envoy may refuse it before it is a request.
func (d *differential) reports() {
	d.t.Helper()
	var byConn map[netip.AddrPort][]*Request
	until(d.t, "the access log reports all requests", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		byConn = map[netip.AddrPort][]*Request{}
		for i := range d.events {
			if r := &d.events[i]; r.Server == d.server.addr() {
				byConn[r.Client] = append(byConn[r.Client], r)
			}
		}
		for client, outcomes := range d.byConn {
			if len(byConn[client]) < len(outcomes)-1 {
				return false
			}
		}
		return true
	})
	for client, outcomes := range d.byConn {
		for i, r := range byConn[client] {
			outcomes[i].reported = r
		}
	}
}

// rules compares whom the log names with whom the evaluator lets speak for the verdict.
func (d *differential) rules() {
	for _, o := range d.results {
		f := o.situation.flow
		f.HTTP = &o.request.HTTP
		v := verdict.Decide(&d.Rules, f)
		r := o.reported
		if r == nil || !o.message {
			continue
		}
		half := map[string]verdict.Half{"egress": v.Egress, "ingress": v.Ingress}[r.Half]
		decided := v.Half.String()
		if v.Action == verdict.Allow && v.Egress.Exists {
			decided = "egress" // which the log names of two that allow
		}
		keys := map[string]bool{}
		for _, id := range half.Matching {
			keys[d.Rules.Source(id).Key] = true
		}
		switch {
		case v.Reason == verdict.Refused:
			if !r.Denied || r.Half != "" || !strings.HasPrefix(r.Rule, refusedByEnvoy) {
				d.wrong("refused, but not reported so", o, v)
			}
		case r.Denied != (v.Action == verdict.Deny) || r.Half != decided:
			d.wrong("another half is reported", o, v)
		case r.Rule == "" && half.Reason != verdict.ByDefault, r.Rule != "" && !keys[r.Rule]:
			d.wrong(fmt.Sprintf("another rule is reported, not of %v", slices.Sorted(maps.Keys(keys))), o, v)
		default:
			d.seen["rule: "+r.Half+" "+fmt.Sprint(r.Rule != "")]++
		}
	}
}

// TestDifferential compares Envoy with the reference evaluator over requests that are drawn from
// the policy's own patterns and then bent. MPOL_L7_DRAWS=100000 asks for more of them.
func TestDifferential(t *testing.T) {
	t.Parallel() // Envoy lets the client wait a second whenever it ends a connection over HTTP/2
	n, seed := draws(t)
	d := draw{rand.New(rand.NewPCG(seed, 0))}
	all := situations()
	for i := range 12 {
		all = append(all, drawn(d.Rand, i))
	}
	w := newWorld(t, all)
	p := newProxy(t)
	p.apply("1", w.Tables.Profiles)
	for _, protocol := range []struct {
		name  string
		n     int
		serve func(*recorder, net.Conn)
		send  func(*differential, *situation, []*wireRequest)
	}{
		{"HTTP1", n, serve1, (*differential).send1},
		{"HTTP2", n / 2, serve2, (*differential).send2},
	} {
		t.Run(protocol.name, func(t *testing.T) {
			run := &differential{
				t: t, proxy: p, world: w, server: newRecorder(t, protocol.serve),
				byConn: map[netip.AddrPort][]*outcome{}, seen: map[string]int{},
			}
			var sending sync.WaitGroup
			for id := 0; id < protocol.n; sending.Wait() {
				for _, s := range w.situations {
					if s.tls {
						continue
					}
					const perConnection = 40
					var requests []*wireRequest
					for range perConnection {
						q := d.request(s, id)
						if id++; protocol.name == "HTTP1" || !fatal(q) || d.IntN(perConnection) == 0 {
							requests = append(requests, q)
						}
					}
					sending.Go(func() { protocol.send(run, s, requests) })
				}
			}
			run.reports()
			run.judge()
			run.rules()
			t.Logf("%d requests: %v", len(run.results), run.seen)
			for _, what := range []string{"allowed", "denied, rule", "denied, default", "denied, refused", "rule: egress true", "rule: ingress true"} {
				if run.seen[what] < protocol.n/100 {
					t.Errorf("%d of %d requests are %s: the test proves little", run.seen[what], protocol.n, what)
				}
			}
		})
	}
}
