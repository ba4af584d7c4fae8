// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

// policy is what the governed node runs: one is judged by name and request, three by address and
// port alone, so that three's way is the same without the proxies.
const policy = `package bench
default deny
workload one   = app = "one"
workload two   = app = "two"
workload three = app = "three"
@owner("bench") policy one for one {
  egress {
    two:  allow to two           on tcp/7000
    name: allow to "a.example"   on tcp/443
    web:  allow to 198.51.100.10 on tcp/8080 http { GET "/public/**" }
  }
}
@owner("bench") policy two for two { ingress { all: allow from workloads on tcp/7000 } }
@owner("bench") policy three for three {
  egress {
    dns: allow to 198.51.100.53 on udp/53
    web: allow to 198.51.100.10 on tcp/8080
  }
}
`

// pair is two worlds of the same shape: one with an agent on its node and one without anything.
type pair struct {
	governed *node.Node
	bare     *lab.World
	closers  []func() error
}

func newPair(ctx context.Context, mpol, envoy string) (*pair, error) {
	p := &pair{}
	if err := p.build(ctx, mpol, envoy); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pair) build(ctx context.Context, mpol, envoy string) (err error) {
	worlds := make([]*lab.World, 2)
	for i := range worlds {
		if worlds[i], err = lab.NewWorld(ctx, lab.WorldConfig{}); err != nil {
			return err
		}
		p.closers = append(p.closers, worlds[i].Close)
		two := worlds[i].Workloads[1]
		if _, err := two.Echo(netip.AddrPortFrom(two.IPv4, 7000), netip.AddrPortFrom(two.IPv6, 7000)); err != nil {
			return err
		}
	}
	p.bare = worlds[1]
	folder := filepath.Join(worlds[0].Dir, "bench")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "bench.mpol"), []byte(policy), 0o600); err != nil {
		return err
	}
	cfg := node.Config{Mpol: mpol, Envoy: envoy, Policies: folder}
	for _, name := range []string{"one", "two", "three"} {
		cfg.Devices = append(cfg.Devices, node.Workload{Name: name, Labels: map[string]string{"app": name}})
	}
	if p.governed, err = node.Start(ctx, worlds[0], cfg); err != nil {
		return err
	}
	p.closers = append(p.closers, p.governed.Stop)
	return nil
}

// explain says what the governed node dropped: the measured traffic is none of it.
func (p *pair) explain(ctx context.Context) error {
	r, err := p.governed.Status(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("the governed node dropped %v", r.Drops)
}

// close ends both worlds.
func (p *pair) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
