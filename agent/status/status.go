// SPDX-License-Identifier: Apache-2.0

// Package status tells what a running agent is doing, over a Unix socket in its state folder.
//
// The agent makes a Report for each reader; `mpol status` reads it. There is nothing to command
// here: the socket only answers.
//
//	s, err := status.Listen("/var/lib/mpol", func() status.Report { ... })
//	r, err := status.Read(ctx, "/var/lib/mpol")
//
// Invariants: a reader gets one whole Report; a stale socket of a dead agent gives a clear error.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Report is what the agent says of itself. It is JSON with the field names below.
type Report struct {
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Generation uint32    `json:"generation"`
	Program    string    `json:"program"` // hash of the program in force
	Applied    time.Time `json:"applied"` // when it came into force
	Policies   []string  `json:"policies"`
	// Rejected says why the files as they now are did not become a generation; empty when they did.
	// Diagnostics are those of package diag, rendered for people.
	Rejected    string     `json:"rejected,omitempty"`
	Diagnostics []string   `json:"diagnostics,omitempty"`
	Workloads   []Workload `json:"workloads"`
	Envoy       string     `json:"envoy"` // "ready" or "not ready"
	// Drops counts dropped packets by reason since the datapath was loaded.
	Drops map[string]uint64 `json:"drops,omitempty"`
}

// Workload is one workload of this node.
type Workload struct {
	Name     string `json:"name"`
	Attached string `json:"attached"` // "interface veth1", "cgroup /web"
	Egress   bool   `json:"egress"`   // governed
	Ingress  bool   `json:"ingress"`
}

func socket(state string) string { return filepath.Join(state, "status.sock") }

// ErrRunning means that another agent answers at the state folder.
var ErrRunning = errors.New("another agent is running with this state folder")

// Server answers every connection with a Report.
type Server struct {
	folder   *os.File // its lock tells the living from the dead; the kernel frees it with its owner
	listener net.Listener
	report   func() Report
	done     chan struct{}
}

// Listen serves at the state folder until Close; report is called for each reader, one at a time.
// Listen replaces the socket of a dead agent and returns ErrRunning when one is alive, be it that
// it only starts.
func Listen(state string, report func() Report) (*Server, error) {
	folder, err := os.Open(state)
	if err != nil {
		return nil, fmt.Errorf("serve status: %w", err)
	}
	s := &Server{folder: folder, report: report, done: make(chan struct{})}
	if err := s.listen(socket(state)); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	go s.serve()
	return s, nil
}

func (s *Server) listen(path string) error {
	err := syscall.Flock(int(s.folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrRunning
	}
	if err != nil {
		return fmt.Errorf("lock state folder: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace status socket: %w", err)
	}
	if s.listener, err = net.Listen("unix", path); err != nil {
		return fmt.Errorf("serve status: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return errors.Join(fmt.Errorf("serve status: %w", err), s.listener.Close())
	}
	return nil
}

// Silence stops serving and removes the socket; nobody else has the folder before Close.
func (s *Server) Silence() error {
	err := s.listener.Close()
	<-s.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close stops serving and gives the folder free.
func (s *Server) Close() error { return errors.Join(s.Silence(), s.folder.Close()) }

func (s *Server) serve() {
	defer close(s.done)
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.answer(c)
	}
}

func (s *Server) answer(c net.Conn) {
	defer c.Close()
	text, err := json.Marshal(s.report())
	if err != nil {
		return
	}
	if c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = c.Write(append(text, '\n')) // a reader that went away has no use for the error
	}
}

// Read asks the agent whose state folder this is.
func Read(ctx context.Context, state string) (Report, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket(state))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return Report{}, fmt.Errorf("no agent runs with state folder %s; start one with mpol agent", state)
	case err != nil:
		return Report{}, fmt.Errorf("read status: %w", err)
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(t); err != nil {
			return Report{}, fmt.Errorf("read status: %w", err)
		}
	}
	var r Report
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("read status: %w", err)
	}
	return r, nil
}
