// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// Test makes a lab that ends with the test, also when the test panics or is interrupted.
func Test(t testing.TB) *Lab {
	t.Helper()
	needRoot(t)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, l)
	return l
}

// TestWorld makes a world that ends with the test.
func TestWorld(t testing.TB, config WorldConfig) *World {
	t.Helper()
	needRoot(t)
	w, err := NewWorld(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, w.Lab)
	return w
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: run the tests as root")
	}
}

// closeWith closes the lab at the end of the test. An interrupt closes it too and then ends
// the test program as it would have ended without this.
func closeWith(t testing.TB, l *Lab) {
	signals := make(chan os.Signal, 1)
	ended := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-ended:
		case received := <-signals:
			_ = l.Close() // what it could not remove, a later lab sweeps
			signal.Stop(signals)
			_ = syscall.Kill(os.Getpid(), received.(syscall.Signal))
		}
	}()
	t.Cleanup(func() {
		signal.Stop(signals)
		close(ended)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
