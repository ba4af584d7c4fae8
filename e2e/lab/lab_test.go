// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mpol/e2e/lab"
)

// leavings lists what a lab of this id has on the machine outside any process.
func leavings(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/run/netns/*", "/run/mpol-lab/*", "/sys/fs/bpf/*", "/sys/fs/cgroup/*", "/sys/fs/cgroup/unified/*",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.Contains(path, id) {
				found = append(found, path)
			}
		}
	}
	return found
}

func TestCloseLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, row := range []struct {
		name   string
		before func()
	}{
		{"close", func() {}},
		{"context done before close", cancel},
	} {
		t.Run(row.name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("network namespaces need root: run the tests as root")
			}
			world, err := lab.NewWorld(ctx, lab.WorldConfig{Workloads: 1})
			if err != nil {
				t.Fatal(err)
			}
			sleeper := world.Node.Command(ctx, "sleep", "600")
			if err := sleeper.Start(); err != nil {
				t.Fatal(errors.Join(err, world.Close()))
			}
			if err := os.Mkdir(filepath.Join(world.BPFFS, "pins"), 0o700); err != nil {
				t.Error(err)
			}
			if got := leavings(t, world.ID); len(got) < 6 {
				t.Errorf("while the lab lives: %q, want 3 namespaces, a cgroup, a bpffs and a state folder", got)
			}
			row.before()
			if err := world.Close(); err != nil {
				t.Error(err)
			}
			if err := sleeper.Wait(); err == nil {
				t.Error("the process ended well, want it killed")
			}
			if got := leavings(t, world.ID); len(got) != 0 {
				t.Errorf("after close: %q", got)
			}
			if err := world.Close(); err != nil {
				t.Errorf("second close: %v", err)
			}
			if _, err := world.Host(lab.HostConfig{Name: "late"}); err == nil {
				t.Error("a closed lab made a host")
			}
			if got := leavings(t, world.ID); len(got) != 0 {
				t.Errorf("after a late host: %q", got)
			}
			checkUseless(t, world)
			if got := leavings(t, world.ID); len(got) != 0 {
				t.Errorf("after late use: %q", got)
			}
		})
	}
}

// checkUseless makes sure that what is used after Close fails and touches no other namespace.
func checkUseless(t *testing.T, world *lab.World) {
	t.Helper()
	for name, err := range map[string]error{
		"link":    world.Link(lab.End{Host: world.Node, Device: "late"}, lab.End{Host: world.Outside, Device: "late"}),
		"address": world.Node.AddAddresses("lo", netip.MustParsePrefix("192.0.2.1/32")),
		"remove":  world.Node.RemoveDevice("lo"),
		"do":      world.Node.Do(func() error { t.Error("it ran"); return nil }),
		"command": world.Node.Command(context.Background(), "true").Run(),
	} {
		if err == nil {
			t.Errorf("%s worked after close", name)
		}
	}
}

// TestMain lets this test program run itself as the owner of a lab that ends badly.
func TestMain(m *testing.M) {
	if how := os.Getenv("MPOL_LAB_CHILD"); how != "" {
		os.Args = []string{os.Args[0], "-test.run=^TestChild$", "-test.v"}
	}
	os.Exit(m.Run())
}

// TestChild is the program of TestBadEnds: it makes a lab, says its id and ends as told.
func TestChild(t *testing.T) {
	how := os.Getenv("MPOL_LAB_CHILD")
	if how == "" {
		return // not a child
	}
	l := lab.Test(t)
	host, err := l.Host(lab.HostConfig{Name: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Command(context.Background(), "sleep", "600").Start(); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("\nlab " + l.ID + "\n")
	switch how {
	case "panic":
		panic("the test panics")
	case "panic inside":
		_ = host.Do(func() error { panic("the test panics on the host's thread") })
	case "fatal inside":
		if err := host.Do(func() error { t.FailNow(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	<-t.Context().Done() // until a signal comes
}

// TestBadEnds ends owners of labs in bad ways and looks for what they left.
func TestBadEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		signal syscall.Signal
		swept  bool // only the next lab can clean up
	}{
		{name: "panic"},
		{name: "panic inside"},
		{name: "fatal inside"},
		{name: "interrupt", signal: syscall.SIGINT},
		{name: "terminate", signal: syscall.SIGTERM},
		{name: "kill", signal: syscall.SIGKILL, swept: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			lab.Test(t) // skips without root; sweeps what others left
			id := endBadly(t, row.name, row.signal)
			if row.swept {
				lab.Test(t)
			}
			// A lab of another test program may be sweeping the same at this moment.
			err := lab.Wait(10*time.Second, "nothing to be left", func() error {
				if got := leavings(t, id); len(got) != 0 {
					return fmt.Errorf("left: %q", got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// endBadly runs the child until its end and returns the id of its lab.
func endBadly(t *testing.T, how string, sent syscall.Signal) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), "MPOL_LAB_CHILD="+how)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var id, all string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		all += lines.Text() + "\n"
		name, found := strings.CutPrefix(lines.Text(), "lab ")
		if !found {
			continue
		}
		id = name
		if sent != 0 {
			if got := leavings(t, id); len(got) == 0 {
				t.Error("the living child has nothing to leave")
			}
			if err := child.Process.Signal(sent); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil || ctx.Err() != nil {
		t.Errorf("child ended with %v, want a failure in time; it said:\n%s", err, all)
	}
	if id == "" {
		t.Fatalf("the child made no lab; it said:\n%s", all)
	}
	return id
}
