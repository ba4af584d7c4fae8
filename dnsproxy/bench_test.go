// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mpol/compiler/program"
)

const benchVariable = "MPOL_BENCH_DNSPROXY"

// TestBenchmarkProxy is the process that BenchmarkProxy measures; without the variable it has
// nothing to do.
func TestBenchmarkProxy(t *testing.T) {
	server, workload, ok := strings.Cut(os.Getenv(benchVariable), " ")
	if !ok {
		return
	}
	p, err := New(Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Client: func(uint8, netip.AddrPort, netip.AddrPort) (Client, bool) {
			return Client{Workload: workload, Server: netip.MustParseAddrPort(server)}, true
		},
		Commit: func(context.Context, Grant) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(standard())
	fmt.Println("ready", p.Addrs()[0])
	if err := p.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkProxy gives the CPU time that the proxy takes for a question, beside that of the real
// unbound behind it when it is asked directly. The map write is not part of it.
func BenchmarkProxy(b *testing.B) {
	unbound, pid := runUnbound(b, asked+" 300 A 198.51.100.4")
	b.Run("bare", func(b *testing.B) { load(b, unbound, pid) })
	for _, c := range []struct{ name, workload string }{{"plain", "w3"}, {"commit", "w1"}} {
		b.Run(c.name, func(b *testing.B) {
			at, pid := benchProxy(b, unbound, c.workload)
			load(b, at, pid)
		})
	}
}

// benchProxy starts a proxy in a process of its own.
func benchProxy(b *testing.B, server netip.AddrPort, workload string) (at netip.AddrPort, pid int) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchmarkProxy$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%v %s", benchVariable, server, workload))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	text, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		b.Fatalf("proxy said %q, %v; want ready", line, err)
	}
	return netip.MustParseAddrPort(text), cmd.Process.Pid
}

// load asks b.N questions, some at a time, and reports the CPU time of a process for each.
func load(b *testing.B, at netip.AddrPort, pid int) {
	c, err := net.Dial("udp", at.String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const window = 64
	question, buf := wireQuestion("api.google.com", dns.TypeA), make([]byte, maxMessage)
	before := cpuTime(b, pid)
	b.ResetTimer()
	for sent, got := 0, 0; got < b.N; {
		for ; sent < b.N && sent-got < window; sent++ {
			if _, err := c.Write(question); err != nil {
				b.Fatal(err)
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(buf)
		if err != nil || n < 4 || buf[3]&15 != 0 {
			b.Fatalf("answer %d: %x, %v", got, buf[:n], err)
		}
		got++
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b, pid)-before)/float64(b.N), "cpu-ns/question")
}

// cpuTime is what a process has used so far, user and system (proc(5), stat, in ticks of 10 ms).
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(string(f))
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkView_judge judges a question by tables of many domain peers.
func BenchmarkView_judge(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		var patterns []program.NamePattern
		for i := range size {
			patterns = append(patterns, program.NamePattern(fmt.Sprintf("*.shop%d.example", i)))
		}
		v, name, server := ViewOf(1, policy(patterns)), program.ParseName("api.shop0.example"), netip.MustParseAddrPort("192.0.2.53:53")
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if !v.judge("w1", way{server: server, proto: program.ProtoUDP}, name, typeA).allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
}
