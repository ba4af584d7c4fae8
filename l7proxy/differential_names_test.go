// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mpol/compiler/program"
	"mpol/compiler/verdict"
)

// greeter is a server that answers the first byte of a connection without understanding it.
func greeter(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(server4, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					io.WriteString(conn, "x")
					io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

// clientHello returns the bytes of a client hello. crypto/tls leaves out a name that it dislikes, so any
// is put where one of the same length stood.
func clientHello(name string) []byte {
	ours, theirs := net.Pipe()
	go func() {
		c := tls.Client(ours, &tls.Config{ServerName: strings.Repeat("z", len(name)), InsecureSkipVerify: true})
		c.Handshake()
	}()
	text := make([]byte, 1<<14)
	n, _ := io.ReadAtLeast(theirs, text, 5)
	size := 5 + int(text[3])<<8 + int(text[4])
	for n < size {
		more, err := theirs.Read(text[n:])
		if err != nil {
			break
		}
		n += more
	}
	theirs.Close()
	length := string([]byte{0, byte(len(name) >> 8), byte(len(name))}) // a host name's (RFC 6066, section 3)
	return []byte(strings.Replace(string(text[:n]), length+strings.Repeat("z", len(name)), length+name, 1))
}

// TestDifferentialNames compares the verdicts on server names, and whose they are.
func TestDifferentialNames(t *testing.T) {
	t.Parallel() // it waits much and works little
	n, seed := draws(t)
	d := draw{rand.New(rand.NewPCG(seed, 1))}
	w := newWorld(t, situations())
	p := newProxy(t)
	p.apply("1", w.Tables.Profiles)
	server := greeter(t)
	seen := map[bool]int{}
	var mu sync.Mutex
	check := func(s *situation, name string) {
		f := s.flow
		f.TLS = &verdict.TLS{ServerName: name, Present: name != ""}
		v := verdict.Decide(&w.Rules, f)
		began := time.Now() // a port may have been another connection's
		conn, err := p.dial(s.profile, server)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Write(clientHello(name))
		answer := make([]byte, 1)
		got, _ := conn.Read(answer)
		passed := got == 1 && answer[0] == 'x'
		client := netip.MustParseAddrPort(conn.LocalAddr().String())
		r := p.reported(func(r Request) bool { return r.Client == client && !r.Time.Before(began) })
		half := map[string]verdict.Half{"egress": v.Egress, "ingress": v.Ingress}[r.Half]
		named := slices.ContainsFunc(half.Matching, func(id program.RuleID) bool { return w.Rules.Source(id).Key == r.Rule })
		mu.Lock()
		defer mu.Unlock()
		seen[passed]++
		where := fmt.Sprintf("%s: %q passed: %v, reported %q %q %q; Decide: %s by %s %q", s.name, name, passed, r.Half, r.Rule, r.Details, v.Action, v.Reason, w.Rules.Source(v.Rule).Key)
		switch {
		case passed != (v.Action == verdict.Allow):
			t.Error(where)
		case strings.HasPrefix(r.Rule, refusedByEnvoy): // no hello that can be judged
			if passed {
				t.Error(where)
			}
		case r.Rule == "" && half.Reason != verdict.ByDefault, r.Rule != "" && !named:
			t.Errorf("another rule is reported: %s", where)
		}
	}
	var sending sync.WaitGroup
	slots := make(chan struct{}, 8)
	for range n / 30 {
		for _, s := range w.situations {
			if !s.tls {
				continue
			}
			name := d.host(s)
			slots <- struct{}{}
			sending.Go(func() {
				defer func() { <-slots }()
				check(s, name)
			})
		}
	}
	sending.Wait()
	t.Logf("%v", seen)
	if seen[true] < n/100 || seen[false] < n/100 {
		t.Errorf("%v of %d: the test proves little", seen, n)
	}
}
