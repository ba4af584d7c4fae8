// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"mpol/e2e/lab"
)

const (
	echoesOfTime  = 2_000 // a value of latency
	opensOfTime   = 500   // a value of the time to open a connection
	bulkDuration  = 500 * time.Millisecond
	bulkBlockSize = 1 << 16
)

// flows compares a TCP flow between two workloads that an L4 rule allows with the same on a node
// without mpol.
func (p *pair) flows(ctx context.Context) ([]*comparison, error) {
	c := &comparison{
		metrics: []metric{
			{"a byte there and back, p50", "us"},
			{"a byte there and back, p99", "us"},
			{"a connection opened, p50", "us"},
			{"a connection opened, p99", "us"},
			{"bytes through an echo", "Gbit a second"},
		},
		beside: side{name: "no mpol"}, ours: side{name: "mpol"},
	}
	for w, s := range map[*lab.World]*side{p.bare: &c.beside, p.governed.World: &c.ours} {
		from, to := w.Workloads[0].Host, netip.AddrPortFrom(w.Workloads[1].IPv4, 7000)
		conn, err := from.Dial(ctx, "tcp", to)
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, conn.Close)
		s.measure = func() ([]float64, error) { return flow(ctx, from, to, conn) }
	}
	return []*comparison{c}, nil
}

// flow measures one side.
func flow(ctx context.Context, from *lab.Host, to netip.AddrPort, conn net.Conn) ([]float64, error) {
	one := make([]byte, 1)
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	echo, err := quantiles(echoesOfTime, func() error {
		if _, err := conn.Write(one); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		_, err := io.ReadFull(conn, one)
		return err
	})
	if err != nil {
		return nil, err
	}
	var open []float64
	err = from.Do(func() (err error) {
		open, err = quantiles(opensOfTime, func() error {
			fresh, err := net.DialTimeout("tcp", to.String(), patience)
			if err != nil {
				return err
			}
			_ = fresh.(*net.TCPConn).SetLinger(0) // leave no TIME_WAIT
			return fresh.Close()
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	rate, err := bulk(ctx, from, to)
	return append(append(echo, open...), rate), err
}

// bulk gives the rate at which an echo server takes and returns what it is sent on a connection of
// its own.
func bulk(ctx context.Context, from *lab.Host, to netip.AddrPort) (float64, error) {
	conn, err := from.Dial(ctx, "tcp", to)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	if err := conn.SetDeadline(began.Add(bulkDuration + patience)); err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		block := make([]byte, bulkBlockSize)
		for time.Since(began) < bulkDuration {
			if _, err := conn.Write(block); err != nil {
				sent <- err
				return
			}
		}
		sent <- conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.Copy(io.Discard, conn)
	took := time.Since(began)
	if err := errors.Join(err, <-sent); err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	return float64(got) * 8 / 1e9 / took.Seconds(), nil
}
