// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"mpol/compiler/program"
)

// Proxy judges, forwards and answers. All its methods may be called at any time from anywhere.
type Proxy struct {
	cfg      Config
	search   []program.Name
	views    atomic.Pointer[views] // never nil
	memory   *memory
	inFlight *quota
	conns    *quota
	udp      []*net.UDPConn
	tcp      []*net.TCPListener
	raw      *rawSender
	servers  *servers
	running  sync.WaitGroup
}

// New opens the proxy's sockets, which needs CAP_NET_ADMIN and CAP_NET_RAW. Until Apply, every
// question is refused; until Serve, none is read.
func New(cfg Config) (*Proxy, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg:      cfg,
		memory:   newMemory(cfg.Limits.Remembered),
		inFlight: newQuota(cfg.Limits.InFlight),
		conns:    newQuota(cfg.Limits.Connections),
	}
	p.views.Store(&views{})
	p.servers = newServers(p)
	for _, s := range cfg.Search {
		if n := program.ParseName(s); len(n) > 0 {
			p.search = append(p.search, n)
		}
	}
	if p.raw, err = newRawSender(cfg.Mark); err != nil {
		return nil, err
	}
	for _, at := range cfg.Listen {
		if err := p.listen(at); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// listen opens the sockets at one address. The first picks the port where it is 0; TCP comes
// first, since fewer of its ports are free.
func (p *Proxy) listen(at netip.AddrPort) error {
	family := "6"
	if at.Addr().Is4() {
		family = "4"
	}
	lc := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error {
		return transparent(network, p.cfg.Mark, c)
	}}
	l, err := lc.Listen(context.Background(), "tcp"+family, at.String())
	if err != nil {
		return fmt.Errorf("listen for DNS over TCP on %v: %w", at, err)
	}
	p.tcp = append(p.tcp, l.(*net.TCPListener))
	at = l.Addr().(*net.TCPAddr).AddrPort()
	for range p.cfg.Workers {
		c, err := lc.ListenPacket(context.Background(), "udp"+family, at.String())
		if err != nil {
			return fmt.Errorf("listen for DNS over UDP on %v: %w", at, err)
		}
		p.udp = append(p.udp, c.(*net.UDPConn))
	}
	return nil
}

// Addrs returns where the proxy listens, one for each of Config.Listen in its order.
func (p *Proxy) Addrs() []netip.AddrPort {
	as := make([]netip.AddrPort, len(p.tcp))
	for i, l := range p.tcp {
		as[i] = unmap(l.Addr().(*net.TCPAddr).AddrPort())
	}
	return as
}

// Apply replaces the views in force: one generation, or the old and the new one, in this order,
// while the node switches. With two, a question is allowed only if both allow it, and what its
// answer gives is granted to the name sets of both. With none, everything is refused.
//
// An answer that comes, or whose addresses are committed, once Apply has returned is judged by these
// views.
func (p *Proxy) Apply(vs ...*View) {
	next := append(views(nil), vs...)
	p.views.Store(&next)
}

// Replay judges the answers that workloads were given, and that still live, under v. To miss none,
// call it after v has been applied beside the old view, and commit its grants before v is alone.
func (p *Proxy) Replay(v *View) []Grant { return p.memory.replay(v, p.cfg.Clock()) }

// Forget drops what a workload was given, so that another one of the same name inherits nothing.
func (p *Proxy) Forget(workload string) { p.memory.forget(workload) }

// Serve answers until ctx is done, or a listening socket fails, and returns when all it started
// has ended; the sockets are closed then.
func (p *Proxy) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, p.Close)()
	for _, c := range p.udp {
		p.running.Go(func() { cancel(p.serveUDP(ctx, c)) })
	}
	for _, l := range p.tcp {
		p.running.Go(func() { cancel(p.serveTCP(ctx, l)) })
	}
	<-ctx.Done()
	p.Close()
	p.running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Close closes the sockets of a proxy. Serve does so itself.
func (p *Proxy) Close() {
	for _, c := range p.udp {
		c.Close()
	}
	for _, l := range p.tcp {
		l.Close()
	}
	p.servers.close()
	p.raw.close()
}

// quota counts what each workload has in use.
type quota struct {
	limit int
	mu    sync.Mutex
	used  map[string]int
}

func newQuota(limit int) *quota { return &quota{limit: limit, used: make(map[string]int)} }

// take reports whether one more is within the limit of a workload, and counts it.
func (q *quota) take(workload string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[workload] >= q.limit {
		return false
	}
	q.used[workload]++
	return true
}

// give undoes one take.
func (q *quota) give(workload string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used[workload]--; q.used[workload] == 0 {
		delete(q.used, workload)
	}
}
