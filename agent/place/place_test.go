// SPDX-License-Identifier: Apache-2.0

package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func own(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	t.Fatalf("no cgroup2 line in %q", text)
	return ""
}

func TestPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make cgroups; run the tests as root")
	}
	mount, err := Mount()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("mpol-placetest%d", os.Getpid())
	dir := filepath.Join(mount, name)
	p, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Leave(), p.Close(), Remove(dir), Remove(dir)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Remove the cgroup is there: %v", err)
		}
	})
	before := own(t)
	if err := p.Enter(); err != nil {
		t.Fatal(err)
	}
	if got, want := own(t), "/"+name+"/agent"; got != want {
		t.Errorf("after Enter: in %s, want %s", got, want)
	}
	if id, err := ID(filepath.Join(dir, "agent")); err != nil || id != p.AgentID || id == p.EnvoyID {
		t.Errorf("ids: agent %d (%d, %v), envoy %d", p.AgentID, id, err, p.EnvoyID)
	}
	if err := Remove(dir); err == nil {
		t.Error("Remove of a cgroup that holds this process: got no error")
	}
	if err := p.Leave(); err != nil {
		t.Fatal(err)
	}
	if got := own(t); got != before {
		t.Errorf("after Leave: in %s, want %s", got, before)
	}
}
