// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// folder returns a short path, since a Unix socket's is limited to 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mpol-status-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestRead(t *testing.T) {
	state := folder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Read(ctx, state); err == nil || !strings.Contains(err.Error(), "no agent runs") {
		t.Errorf("Read without an agent: got %v", err)
	}
	seven := func() Report { return Report{Generation: 7} }
	s, err := Listen(state, seven)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Read(ctx, state); err != nil || r.Generation != 7 {
		t.Errorf("Read: got generation %d, error %v, want 7", r.Generation, err)
	}
	if _, err := Listen(state, seven); !errors.Is(err, ErrRunning) {
		t.Errorf("second Listen: got %v, want ErrRunning", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestListenReplacesDeadSocket(t *testing.T) {
	state := folder(t)
	l, err := net.Listen("unix", socket(state))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	s, err := Listen(state, func() Report { return Report{} })
	if err != nil {
		t.Fatalf("Listen over a dead socket: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestListenAtOnce lets several agents claim a state folder that a dead one left: one gets it.
func TestListenAtOnce(t *testing.T) {
	for range 50 {
		state := folder(t)
		if err := os.WriteFile(socket(state), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		const agents = 4
		got := make(chan *Server, agents)
		for range agents {
			go func() {
				s, err := Listen(state, func() Report { return Report{} })
				if err != nil && !errors.Is(err, ErrRunning) {
					t.Errorf("Listen: %v, want ErrRunning", err)
				}
				got <- s
			}()
		}
		var running []*Server
		for range agents {
			if s := <-got; s != nil {
				running = append(running, s)
			}
		}
		if len(running) != 1 {
			t.Errorf("%d agents have the folder, want 1", len(running))
		}
		for _, s := range running {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
