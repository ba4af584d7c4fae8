// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"fmt"
	"slices"
	"testing"
	"time"

	"mpol/compiler/program"
)

// median of the durations, which it sorts.
func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// BenchmarkRequest measures a request on a live connection, straight and through Envoy, by its
// median; 1,000 rules precede the one that allows.
func BenchmarkRequest(b *testing.B) {
	p := newProxy(b)
	var rules []program.RequestRule
	for i := range 1000 {
		rules = append(rules, rule(fmt.Sprintf("shop.cart.r%04d", i), request(exactPath(fmt.Sprintf("/r/%d", i)), "GET")))
	}
	last := rule("shop.cart.s", request(subtree("/public"), "GET"))
	p.apply("1", []program.Profile{
		publicOnly("one"), profile("thousand", nil, half(nil, append(rules, last))),
	})
	server := origin(b, server4)
	for _, c := range []struct{ name, key string }{
		{"direct", ""}, {"envoy", "one"}, {"envoy-1000-rules", "thousand"},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn, err := p.dial(c.key, server)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			reader, text := bufio.NewReader(conn), get("/public/x", "good")
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				if got, err := exchange(conn, reader, text); err != nil || got.Code != 200 {
					b.Fatal(got.Code, err)
				}
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64(median(took).Nanoseconds()), "ns-median")
		})
	}
}

// BenchmarkApply measures Apply until Envoy has acknowledged and listens: the change of one rule in
// one of some profiles, and a first load.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, portsPerProxy - 10} {
		profiles := func(path string) []program.Profile {
			set := []program.Profile{allowing("k", path)}
			for i := range n - 1 {
				set = append(set, publicOnly(fmt.Sprintf("p%d", i)))
			}
			return set
		}
		b.Run(fmt.Sprintf("profiles=%d", n), func(b *testing.B) {
			p := newProxy(b)
			began := time.Now()
			if err := p.tryApply("1", profiles("/a")); err != nil {
				b.Fatal(err)
			}
			first := time.Since(began)
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				if err := p.tryApply("2", profiles(fmt.Sprintf("/b%d", len(took)))); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64(first.Milliseconds()), "ms-first")
			b.ReportMetric(float64(median(took).Microseconds()), "us-median")
		})
	}
}
