// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	logservicev3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// endGrace is how long Envoy may take to end before it is killed.
const endGrace = 3 * time.Second

// Serve answers Envoy on the folder's socket and keeps an Envoy running: the one that it finds
// there, or a new one, and after its death another. It returns nil when ctx is done or Stop was
// called and its goroutines have ended; only after Stop has Envoy ended too. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.running != nil || s.stop {
		s.mu.Unlock()
		return errors.New("serve l7 proxy: it was served or stopped before")
	}
	running := make(chan struct{})
	s.running, s.cancel = running, cancel
	s.mu.Unlock()
	defer close(running)

	c := &s.config
	how, err := c.start()
	if err == nil {
		// Before it could ask, and acknowledge what its successor has not seen.
		err = c.endOther(ctx, how.hash)
	}
	if err != nil {
		return fmt.Errorf("serve l7 proxy: %w", err)
	}
	path := c.path(socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("serve l7 proxy: %w", err)
	}
	socket, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("serve l7 proxy: %w", err)
	}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, &discovery{store: s.store})
	logservicev3.RegisterAccessLogServiceServer(server, &accessLog{ids: &s.ids, event: c.Event})
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(socket)
		cancel()
	}()
	err = s.supervise(ctx, how)
	server.Stop()
	if serveErr := <-served; serveErr != nil {
		err = errors.Join(err, fmt.Errorf("serve l7 proxy: %w", serveErr))
	}
	return err
}

// start is how Envoy is started.
type start struct {
	args      []string
	bootstrap []byte
	hash      string // of the binary's path, args and bootstrap
}

func (c *Config) start() (start, error) {
	text, err := c.bootstrap()
	args := []string{
		"--config-path", c.path(bootstrapFile), "--concurrency", strconv.Itoa(c.Workers),
		"--reject-unknown-dynamic-fields", "--disable-hot-restart", "--log-level", "warning",
		// A listener that is removed has no rules any more: its connections end soon.
		"--drain-strategy", "immediate", "--drain-time-s", "1",
	}
	return start{args: args, bootstrap: text, hash: hash(fmt.Appendf(nil, "%q %q %s", c.Envoy, args, text))}, err
}

// endOther ends the Envoy that a former Server left if it was not started as this one would.
func (c *Config) endOther(ctx context.Context, config string) error {
	p, same, err := c.adopt(config)
	if p == nil {
		return err
	}
	defer p.close()
	if same {
		return nil
	}
	c.Log.Info("ending an envoy with another configuration", "pid", p.pid)
	return p.kill(ctx, endGrace)
}

// supervise keeps an Envoy running, at first the one that a former Server left, until ctx is done.
func (s *Server) supervise(ctx context.Context, how start) error {
	c := &s.config
	p, _, err := c.adopt(how.hash)
	if err != nil {
		return fmt.Errorf("supervise envoy: %w", err)
	}
	if p != nil {
		c.Log.Info("adopted envoy", "pid", p.pid)
	}
	for {
		if p == nil {
			if p, err = s.launch(how); err != nil {
				c.Log.Error("cannot start envoy", "error", err)
			}
		}
		if p != nil {
			err := p.wait(ctx)
			p.close()
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("supervise envoy: %w", err)
			}
			c.Log.Error("envoy has ended", "pid", p.pid, "restart_in", c.RestartDelay)
			p = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.RestartDelay):
		}
	}
}

// launch starts Envoy and writes down who it is.
func (s *Server) launch(how start) (*process, error) {
	c := &s.config
	if err := writeFile(c.path(bootstrapFile), how.bootstrap); err != nil {
		return nil, fmt.Errorf("write bootstrap: %w", err)
	}
	if err := os.Remove(c.path(adminFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	p, err := c.run(how.args)
	if err != nil {
		return nil, err
	}
	state, _, err := describe(p.pid)
	if err == nil {
		state.Config = how.hash
		err = writeJSON(c.path(pidFile), state)
	}
	if err != nil {
		err = errors.Join(err, p.kill(context.Background(), 0))
		p.close()
		return nil, err
	}
	c.Log.Info("started envoy", "pid", p.pid)
	return p, nil
}

// end ends the Envoy of the pid file, whoever started it.
func (c *Config) end(ctx context.Context) error {
	p, _, err := c.adopt("")
	if err != nil {
		return err
	}
	if p != nil {
		defer p.close()
		if err := p.kill(ctx, endGrace); err != nil {
			return err
		}
	}
	if err := os.Remove(c.path(pidFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("end envoy: %w", err)
	}
	return nil
}
