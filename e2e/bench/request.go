// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mpol/e2e/lab"
)

const (
	requestsOfTime   = 1_000 // a value of latency
	requestsAtOnce   = 8     // connections for a value of throughput
	requestsDuration = 500 * time.Millisecond
)

// requests compares requests on live connections that Envoy judges with those that only the kernel
// does: the same server, the same way but for the proxy.
func (p *pair) requests(ctx context.Context) ([]*comparison, error) {
	at := netip.AddrPortFrom(p.governed.AB.IPv4, 8080)
	listener, err := p.governed.Outside.Listen(at)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok") // the client may be gone
	})}
	go func() { _ = server.Serve(listener) }() // until Close
	p.closers = append(p.closers, server.Close)
	c := &comparison{
		metrics: []metric{
			{"a request, p50", "us"},
			{"a request, p99", "us"},
			{fmt.Sprintf("requests on %d connections", requestsAtOnce), "a second"},
		},
		beside: side{name: "L4 rule, no Envoy"}, ours: side{name: "mpol"},
	}
	for i, s := range map[int]*side{0: &c.ours, 2: &c.beside} {
		conns, err := p.browsers(ctx, p.governed.Workloads[i].Host, at)
		if err != nil {
			return nil, err
		}
		s.measure = func() ([]float64, error) {
			times, err := quantiles(requestsOfTime, conns[0].get)
			if err != nil {
				return nil, err
			}
			rate, err := throughput(conns)
			return append(times, rate), err
		}
	}
	return []*comparison{c}, nil
}

// browser is a live HTTP connection.
type browser struct {
	conn net.Conn
	in   *bufio.Reader
}

func (p *pair) browsers(ctx context.Context, host *lab.Host, at netip.AddrPort) ([]*browser, error) {
	var all []*browser
	for range requestsAtOnce {
		conn, err := host.Dial(ctx, "tcp", at)
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, conn.Close)
		all = append(all, &browser{conn, bufio.NewReader(conn)})
	}
	return all, nil
}

// get makes one request.
func (b *browser) get() error {
	if err := b.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(b.conn, "GET /public/x HTTP/1.1\r\nHost: a.example\r\n\r\n"); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	response, err := http.ReadResponse(b.in, nil)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("request: %s", response.Status)
	}
	return nil
}

// throughput gives the requests a second of all connections at once.
func throughput(conns []*browser) (float64, error) {
	counts, errs := make([]int, len(conns)), make([]error, len(conns))
	began := time.Now()
	var done sync.WaitGroup
	for i, conn := range conns {
		done.Go(func() {
			for errs[i] == nil && time.Since(began) < requestsDuration {
				errs[i] = conn.get()
				counts[i]++
			}
		})
	}
	done.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds(), errors.Join(errs...)
}
