// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mpol/compiler/program"
)

// Names in the state folder.
const (
	socketFile    = "xds.sock"
	adminFile     = "admin.sock"
	bootstrapFile = "envoy.json"
	pidFile       = "envoy.pid"
	portsFile     = "ports.json"
	logFileName   = "envoy.log"
	formerLogName = "envoy.log.old"
)

// Config says where Envoy is and where it lives.
type Config struct {
	// Envoy is the path of the binary.
	Envoy string
	// Dir is the state folder: sockets, bootstrap, pid file, ports, log. It is made if it is
	// missing, for root alone. Its path must leave room for a socket's name (107 bytes in all).
	Dir string
	// Cgroup is the folder of the cgroup in which Envoy is started; empty: that of this process.
	Cgroup string
	// FirstPort to LastPort are the listeners' ports, in host byte order: as many as there are
	// profiles in two generations, outside of net.ipv4.ip_local_port_range.
	FirstPort, LastPort uint16
	// Mark is set on the sockets that use an address of another: the listeners, which answer from the
	// server's, and those towards servers that see the client's own. 0 sets none on the listeners.
	Mark uint32
	// RestartDelay is how long after its end Envoy is started again; 0 means a second.
	RestartDelay time.Duration
	// Workers is the number of Envoy's threads; 0 means one a CPU.
	Workers int
	// MaxHeap is Envoy's memory in bytes before it refuses requests; 0 means 1 GiB. MaxConnections
	// is how many clients' connections it holds; 0 means 50,000.
	MaxHeap        uint64
	MaxConnections int
	// Log gets what happens to Envoy; nil: nothing is logged.
	Log *slog.Logger
	// DeniedOnly spares Envoy the report of requests that were let through; TLS connections are always
	// reported, for whoever ends them when a rule is gone. false: everything is reported.
	DeniedOnly bool
	// Event is called with each request and TLS connection that Envoy reports, from several
	// goroutines; it must not block. nil: they are dropped.
	Event func(Request)
}

func (c *Config) path(name string) string { return filepath.Join(c.Dir, name) }

// Server drives one Envoy.
type Server struct {
	config Config
	ports  *ports
	store  *store
	ids    generations

	applying sync.Mutex               // held by Apply
	keys     map[string]bool          // profiles of the last Apply that succeeded
	inUse    atomic.Pointer[[]uint16] // listeners of the last Apply that succeeded

	mu      sync.Mutex
	stop    bool          // Envoy must end
	running chan struct{} // closed when Serve has returned; nil before Serve
	cancel  context.CancelFunc
}

// New checks the configuration and reads the state folder. It starts nothing.
func New(c Config) (*Server, error) {
	const longestPath = 107 // of a Unix socket, unix(7)
	if c.RestartDelay == 0 {
		c.RestartDelay = time.Second
	}
	if c.Workers == 0 {
		c.Workers = runtime.NumCPU()
	}
	if c.MaxHeap == 0 {
		c.MaxHeap = 1 << 30
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 50_000
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.FirstPort == 0 || c.LastPort < c.FirstPort {
		return nil, fmt.Errorf("l7 proxy: ports %d to %d are no range", c.FirstPort, c.LastPort)
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, fmt.Errorf("l7 proxy: folder: %w", err)
	}
	if len(c.path(adminFile)) > longestPath {
		return nil, fmt.Errorf("l7 proxy: folder %s: its path is too long for a socket", c.Dir)
	}
	if c.Envoy, err = filepath.Abs(c.Envoy); err != nil {
		return nil, fmt.Errorf("l7 proxy: envoy: %w", err)
	}
	if info, err := os.Stat(c.Envoy); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("l7 proxy: no envoy at %s: run make setup, or name the binary in the configuration", c.Envoy)
	}
	if c.Cgroup != "" {
		if _, err := os.Stat(filepath.Join(c.Cgroup, "cgroup.procs")); err != nil {
			return nil, fmt.Errorf("l7 proxy: %s is no cgroup: %w", c.Cgroup, err)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("l7 proxy: %w", err)
	}
	p, err := openPorts(c.path(portsFile), c.FirstPort, c.LastPort)
	if err != nil {
		return nil, fmt.Errorf("l7 proxy: %w", err)
	}
	return &Server{config: c, ports: p, store: newStore(), keys: map[string]bool{}}, nil
}

// Apply makes Envoy judge by the given sets of profiles: one, or those of two generations during a
// switch, both of which a request then must pass. generation is what the log shall say of requests
// judged by them. Apply returns when Envoy has acknowledged everything and all its listeners listen.
// On any error, a done ctx included, the sets applied last hold again; what Envoy says of a set that
// it refuses is in the error. Serve must be running.
func (s *Server) Apply(ctx context.Context, generation string, sets ...[]program.Profile) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	profiles, err := merge(sets)
	if err != nil {
		return fmt.Errorf("apply profiles: %w", err)
	}
	for _, m := range profiles {
		m.deniedOnly = s.config.DeniedOnly
	}
	keys := sortedKeys(profiles)
	assigned, err := s.ports.assign(keys, s.keys)
	if err != nil {
		return fmt.Errorf("apply profiles: %w", err)
	}
	wanted, ids := build(profiles, assigned, portRange{s.config.FirstPort, s.config.LastPort}, s.config.Mark)
	s.ids.add(generation, ids)
	before := s.store.set(wanted)
	if err := s.settled(ctx, assigned); err != nil {
		s.store.set(before)
		s.ids.drop()
		return fmt.Errorf("apply profiles: %w", err)
	}
	s.keys = map[string]bool{}
	for _, key := range keys {
		s.keys[key] = true
	}
	inUse := portsOf(assigned)
	s.inUse.Store(&inUse)
	return nil
}

// settled waits until Envoy has acknowledged everything wanted and listens on the ports.
func (s *Server) settled(ctx context.Context, assigned map[string]uint16) error {
	if err := s.store.wait(ctx); err != nil {
		return err
	}
	return listening(ctx, portsOf(assigned))
}

func portsOf(assigned map[string]uint16) []uint16 { return slices.Sorted(maps.Values(assigned)) }

// Port returns the port, in host byte order, of the listener of a profile, which has one from its
// first Apply on. It stays the same over restarts of this process, of Envoy and of the machine.
func (s *Server) Port(profileKey string) (uint16, bool) { return s.ports.port(profileKey) }

// Ready reports whether Envoy runs, has acknowledged all that was applied and listens. It is false
// before the first Apply and from the death of Envoy until its successor is that far.
func (s *Server) Ready() bool {
	s.store.mu.Lock()
	missing, err := s.store.missing()
	s.store.mu.Unlock()
	inUse := s.inUse.Load()
	if err != nil || missing != "" || inUse == nil {
		return false
	}
	port, err := silent(*inUse)
	return err == nil && port == 0
}

// Stop ends Envoy and Serve, and waits for both. Without it Envoy outlives Serve.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stop = true
	running := s.running
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	if running == nil {
		return s.config.end(ctx)
	}
	select {
	case <-running:
		return s.config.end(ctx)
	case <-ctx.Done():
		return fmt.Errorf("stop l7 proxy: %w", ctx.Err())
	}
}

// Cleanup ends the Envoy that a former Server left in c.Dir, if any, and removes the folder.
func Cleanup(ctx context.Context, c Config) error {
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return fmt.Errorf("clean up l7 proxy: %w", err)
	}
	if err := c.end(ctx); err != nil {
		return fmt.Errorf("clean up l7 proxy: %w", err)
	}
	for _, name := range []string{
		socketFile, adminFile, bootstrapFile, pidFile, portsFile, logFileName, formerLogName,
		bootstrapFile + ".new", pidFile + ".new", portsFile + ".new",
	} {
		if err := os.Remove(c.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("clean up l7 proxy: %w", err)
		}
	}
	if err := os.Remove(c.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clean up l7 proxy: %w", err)
	}
	return nil
}
