// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"mpol/e2e/lab"
)

const (
	questionsInFlight = 32
	questionsOfCPU    = 10_000 // a value of CPU time
	questionsOfTime   = 1_000  // a value of latency
	patience          = 3 * time.Second
)

// questions compares the CPU time of the agent for a question that it judges, asks on, reads and
// opens the answer of, with that of unbound when it is asked without the proxy; and what a client
// waits.
func (p *pair) questions(ctx context.Context) ([]*comparison, error) {
	report, err := p.governed.Status(ctx)
	if err != nil {
		return nil, err
	}
	resolver := netip.AddrPortFrom(p.governed.Resolver4, 53)
	through, err := newAsker(ctx, p.governed.Workloads[0].Host, resolver)
	if err != nil {
		return nil, err
	}
	straight, err := newAsker(ctx, p.governed.Workloads[2].Host, resolver)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, through.conn.Close, straight.conn.Close)
	return []*comparison{{
		metrics: []metric{{"a question, CPU of the process", "us"}},
		beside:  side{name: "unbound, from its cache", measure: func() ([]float64, error) { return straight.cpu(p.governed.Resolver.PID()) }},
		ours:    side{name: "mpol", measure: func() ([]float64, error) { return through.cpu(report.PID) }},
	}, {
		metrics: []metric{{"a question, p50", "us"}, {"a question, p99", "us"}},
		beside:  side{name: "no proxy", measure: straight.latency},
		ours:    side{name: "mpol", measure: through.latency},
	}}, nil
}

// asker asks one question over and over on one socket.
type asker struct {
	conn     net.Conn
	question []byte
}

func newAsker(ctx context.Context, host *lab.Host, resolver netip.AddrPort) (*asker, error) {
	question, err := new(dns.Msg).SetQuestion("a.example.", dns.TypeA).Pack()
	if err != nil {
		return nil, fmt.Errorf("pack question: %w", err)
	}
	conn, err := host.Dial(ctx, "udp", resolver)
	return &asker{conn, question}, err
}

// answer reads one answer.
func (a *asker) answer() error {
	buffer := make([]byte, 4096)
	if err := a.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	n, err := a.conn.Read(buffer)
	if err != nil {
		return fmt.Errorf("question: %w", err)
	}
	if n < 12 || buffer[3]&15 != 0 || buffer[7] == 0 {
		return fmt.Errorf("question: the answer is %x", buffer[:n])
	}
	return nil
}

// cpu gives the CPU time of a process for a question, with some at a time.
func (a *asker) cpu(pid int) ([]float64, error) {
	before, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	sent, got, lost := 0, 0, 0
	for got < questionsOfCPU {
		for ; sent < questionsOfCPU && sent-got < questionsInFlight; sent++ {
			if _, err := a.conn.Write(a.question); err != nil {
				return nil, fmt.Errorf("question: %w", err)
			}
		}
		err := a.answer()
		switch {
		case err == nil:
			got++
		case errors.Is(err, os.ErrDeadlineExceeded) && lost+sent-got < questionsOfCPU/100:
			lost, sent = lost+sent-got, got // datagrams may get lost: ask again
		default:
			return nil, err
		}
	}
	after, err := cpuTime(pid)
	return []float64{float64((after - before).Microseconds()) / questionsOfCPU}, err
}

// latency gives the median and the 99th percentile of what one question takes, one at a time.
func (a *asker) latency() ([]float64, error) {
	return quantiles(questionsOfTime, func() error {
		if _, err := a.conn.Write(a.question); err != nil {
			return fmt.Errorf("question: %w", err)
		}
		return a.answer()
	})
}

// quantiles gives the median and the 99th percentile of what a step takes, in us.
func quantiles(times int, step func() error) ([]float64, error) {
	var took []float64
	for range times {
		began := time.Now()
		if err := step(); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1000)
	}
	return []float64{quantile(took, 0.5), quantile(took, 0.99)}, nil
}

// cpuTime is what the threads of a process have used so far (proc(5), schedstat).
func cpuTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("CPU time of process %d: no threads: %w", pid, os.ErrNotExist)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("CPU time: %w", err)
		}
		onCPU, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(onCPU, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time: %w", err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
