// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPorts(t *testing.T) {
	file := filepath.Join(t.TempDir(), portsFile)
	open := func() *ports {
		t.Helper()
		p, err := openPorts(file, 100, 103)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	kept := map[string]bool{}
	for _, step := range []struct {
		keys    []string
		reopen  bool
		want    map[string]uint16
		wantErr string
	}{
		{keys: []string{"a", "b"}, want: map[string]uint16{"a": 100, "b": 101}},
		{keys: []string{"b", "c"}, want: map[string]uint16{"b": 101, "c": 102}},
		{keys: []string{"a"}, reopen: true, want: map[string]uint16{"a": 100}}, // the same again
		{keys: []string{"d"}, want: map[string]uint16{"d": 103}},
		{keys: []string{"d", "e"}, want: map[string]uint16{"d": 103, "e": 100}}, // the one longest given
		{keys: []string{"d", "e", "a"}, want: map[string]uint16{"d": 103, "e": 100, "a": 101}},
		{keys: []string{"a", "f", "g"}, wantErr: "all ports"}, // d and e are still in use
		{keys: []string{"a", "f"}, reopen: true, want: map[string]uint16{"a": 101, "f": 102}},
	} {
		if step.reopen {
			p = open()
		}
		got, err := p.assign(step.keys, kept)
		if step.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), step.wantErr) {
				t.Errorf("assign(%v) = %v, %v, want %q", step.keys, got, err, step.wantErr)
			}
			continue
		}
		if diff := cmp.Diff(step.want, got); err != nil || diff != "" {
			t.Fatalf("assign(%v): %v, -want +got:\n%s", step.keys, err, diff)
		}
		kept = map[string]bool{}
		for _, key := range step.keys {
			kept[key] = true
			if port, ok := p.port(key); !ok || port != step.want[key] {
				t.Errorf("port(%q) = %d, %v, want %d", key, port, ok, step.want[key])
			}
		}
	}
}

func TestListeners(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0100007F:3A99 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
`
	got, err := listeners(strings.NewReader(table))
	if diff := cmp.Diff(map[uint16]bool{15000: true}, got); err != nil || diff != "" {
		t.Errorf("listeners: %v, -want +got:\n%s", err, diff)
	}
	if _, err := listeners(strings.NewReader("head\n 0: 0100007F x 0A\n")); err == nil {
		t.Error("listeners of a broken table succeeded")
	}
}

func FuzzListeners(f *testing.F) {
	f.Add("head\n 0: 0100007F:3A98 00000000:0000 0A\n")
	f.Add("head\n 0: 00000000000000000000000001000000:FFFF 0:0 0A\n 1: x 0:0 01\n")
	f.Fuzz(func(t *testing.T, table string) {
		if got, err := listeners(strings.NewReader(table)); err == nil && len(got) > strings.Count(table, "\n")+1 {
			t.Errorf("listeners(%q) = %v", table, got)
		}
	})
}
