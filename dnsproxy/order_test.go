// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mpol/compiler/program"
)

// TestProxy_order asks a great many questions at once, of two workloads and while generations come
// and go, and looks at each answer for an address that was not open to its workload.
func TestProxy_order(t *testing.T) {
	t.Run("dns-46", func(t *testing.T) {
		const clients, questions = 8, 250
		server := serveScript(t, func(raw []byte) [][]byte {
			// The address says which name it belongs to: n<i>.google.com has 198.51.<i/200>.<i%200>.
			q, _, err := readQuestion(raw)
			var i int
			if _, scan := fmt.Sscanf(q.name.labels()[0], "n%d", &i); err != nil || scan != nil {
				return nil
			}
			return [][]byte{respond(t, raw, func(m *dns.Msg) {
				m.Answer = parse(t, fmt.Sprintf("%s 300 A 198.51.%d.%d", m.Question[0].Name, i/200, i%200))
			})}
		})
		var open sync.Map // of workload and address
		key := func(workload string, a netip.Addr) string { return workload + " " + a.String() }
		var mu sync.Mutex
		ports := make(map[uint16]string)
		both := policy([]program.NamePattern{"**.google.com"})
		both.Subjects[1].Egress = 0 // w2 has w1's rules
		r := newRig(t, server, nil, func(c *Config) {
			c.Client = func(_ uint8, from, _ netip.AddrPort) (Client, bool) {
				mu.Lock()
				defer mu.Unlock()
				return Client{Workload: ports[from.Port()], Server: server}, true
			}
			c.Commit = func(_ context.Context, g Grant) error {
				for range int(g.Addresses[0].Addr.As4()[3]) % 7 {
					runtime.Gosched()
				}
				for _, a := range g.Addresses {
					open.Store(key(g.Workload, a.Addr), true)
				}
				return nil
			}
		})
		r.Apply(ViewOf(1, both))

		stop := make(chan struct{})
		var switching, asking sync.WaitGroup
		switching.Go(func() {
			for generation := uint64(2); ; generation++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				next := ViewOf(generation, both)
				r.Apply(ViewOf(generation-1, both), next)
				r.Replay(next)
				r.Apply(next)
			}
		})
		for n := range clients {
			c, err := net.Dial("udp", r.at.String())
			if err != nil {
				t.Fatal(err)
			}
			workload := fmt.Sprintf("w%d", n%2+1)
			mu.Lock()
			ports[c.LocalAddr().(*net.UDPAddr).AddrPort().Port()] = workload
			mu.Unlock()
			asking.Go(func() {
				defer c.Close()
				buf := make([]byte, maxMessage)
				for i := range questions {
					q := wireQuestion(fmt.Sprintf("n%d.google.com", i*clients+n), dns.TypeA)
					binary.BigEndian.PutUint16(q, uint16(i))
					if _, err := c.Write(q); err != nil {
						t.Error(err)
						return
					}
					_ = c.SetReadDeadline(time.Now().Add(patience))
					size, err := c.Read(buf)
					if err != nil || buf[3]&15 != 0 || binary.BigEndian.Uint16(buf) != uint16(i) {
						t.Errorf("question %d of client %d: %x, %v", i, n, buf[:size], err)
						return
					}
					if a := netip.AddrFrom4([4]byte(buf[size-4 : size])); !holds(&open, key(workload, a)) {
						t.Errorf("%v left before it was open to %s", a, workload)
					}
				}
			})
		}
		asking.Wait()
		close(stop)
		switching.Wait()
	})
}

func holds(m *sync.Map, key string) bool {
	_, ok := m.Load(key)
	return ok
}
