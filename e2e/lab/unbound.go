// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Unbound is a real resolver that answers from the records it was given, with a cache and
// falling TTLs as any resolver, and asks nobody else: what is not in its records is NXDOMAIN.
type Unbound struct {
	cmd  *Command
	done chan struct{}
	log  string
}

// UnboundConfig describes a resolver.
type UnboundConfig struct {
	// Name is unique in the lab; the zero value means "unbound".
	Name string
	// Addresses are the host's addresses that it listens on, port 53, UDP and TCP.
	Addresses []netip.Addr
	// Records are lines of a zone file with full names: "a.example. 60 IN A 198.51.100.10".
	Records []string
}

// Unbound starts a resolver and returns when it accepts questions.
func (h *Host) Unbound(ctx context.Context, config UnboundConfig) (*Unbound, error) {
	if config.Name == "" {
		config.Name = "unbound"
	}
	u, err := h.startUnbound(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", config.Name, h.Name, err)
	}
	return u, nil
}

func (h *Host) startUnbound(ctx context.Context, config UnboundConfig) (*Unbound, error) {
	if len(config.Addresses) == 0 {
		return nil, errors.New("no addresses to listen on")
	}
	base := filepath.Join(h.lab.Dir, h.Name+"."+config.Name)
	if err := os.WriteFile(base+".zone", []byte(zoneText(config.Records)), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(base+".conf", []byte(unboundText(config.Addresses, base)), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(base + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	u := &Unbound{
		cmd:  h.Command(ctx, "unbound", "-d", "-c", base+".conf"),
		done: make(chan struct{}),
		log:  log.Name(),
	}
	u.cmd.Stdout, u.cmd.Stderr = log, log
	if err := u.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(u.done)
		_ = u.cmd.Wait() // how it ended is in its log
	}()
	if err := u.waitReady(ctx, h, config.Addresses); err != nil {
		return nil, errors.Join(err, u.Stop())
	}
	return u, nil
}

// waitReady returns when all addresses accept connections, or the resolver has given up.
func (u *Unbound) waitReady(ctx context.Context, h *Host, addresses []netip.Addr) error {
	var err error
	for _, address := range addresses {
		err = errors.Join(err, Wait(10*time.Second, "a listener at "+address.String(), func() error {
			if u.ended() {
				return nil
			}
			conn, err := h.Dial(ctx, "tcp", netip.AddrPortFrom(address, 53))
			if err != nil {
				return err
			}
			return conn.Close()
		}))
	}
	if u.ended() {
		err = errors.Join(err, errors.New("it ended at once"))
	}
	if err != nil {
		log, _ := os.ReadFile(u.log)
		return fmt.Errorf("%w; its log: %s", err, log)
	}
	return nil
}

func (u *Unbound) ended() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// PID is the number of its process.
func (u *Unbound) PID() int { return u.cmd.Process.Pid }

// Stop ends the resolver and waits for its end. It may be called more than once.
func (u *Unbound) Stop() error {
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop unbound: %w", err)
	}
	<-u.done
	return nil
}

// zoneText is the whole tree of names, as a root zone.
func zoneText(records []string) string {
	return ". 5 IN SOA ns.lab. hostmaster.lab. 1 3600 600 86400 5\n" +
		". 3600 IN NS ns.lab.\n" +
		strings.Join(records, "\n") + "\n"
}

// unboundText makes unbound resolve from the root zone in a file ("for-upstream") instead of
// from the root servers, so that its cache, CNAME and TTL handling are the real ones.
func unboundText(addresses []netip.Addr, base string) string {
	var text strings.Builder
	text.WriteString(`server:
  chroot: ""
  username: ""
  pidfile: ""
  directory: "/"
  do-daemonize: no
  use-syslog: no
  logfile: ""
  num-threads: 1
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
`)
	for _, address := range addresses {
		fmt.Fprintf(&text, "  interface: %s\n", address)
	}
	fmt.Fprintf(&text, `remote-control:
  control-enable: no
auth-zone:
  name: "."
  zonefile: "%s.zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
`, base)
	return text.String()
}
