// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mpol/e2e/lab"
)

// A configuration that cannot be is refused in one sentence, and nothing is left.
func TestLoadRefuses(t *testing.T) {
	l := lab.Test(t)
	root, err := l.Cgroup.Sub("work")
	if err != nil {
		t.Fatal(err)
	}
	good := Config{
		BPFFS: filepath.Join(l.BPFFS, "mpol"), CgroupRoot: root.Path, Steering: testSteering(), Numbers: &book{},
		Sizes: Sizes{Addresses: 64, Prefixes: 64, Members: 64, Entries: 64, Names: 64, Flows: 64},
	}
	rows := []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"nothing wrong", func(*Config) {}, ""},
		{"no bpffs", func(c *Config) { c.BPFFS = filepath.Join(l.Dir, "mpol") }, "lies on no bpffs"},
		{"no folder", func(c *Config) { c.BPFFS = "" }, "no folder on bpffs"},
		{"no numbers", func(c *Config) { c.Numbers = nil }, "no numbers"},
		{"no cgroup", func(c *Config) { c.ProxyCgroups = []string{l.Cgroup.Path + "/none"} }, "does not exist"},
		{"no cgroup2", func(c *Config) { c.CgroupRoot = l.Dir }, "below no cgroup2 mount"},
		{"proxy in the root", func(c *Config) { c.ProxyCgroups = []string{root.Path + "/proxy"} }, "lies in cgroup_root"},
		{"root in the proxy", func(c *Config) { c.ProxyCgroups = []string{l.Cgroup.Path} }, "lies in"},
		{"no mark", func(c *Config) { c.Steering.Marks.Loop = 0 }, "a mark is 0"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := good
			row.edit(&cfg)
			d, err := Load(cfg)
			if row.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(d.Close(), os.RemoveAll(cfg.BPFFS)); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Load: %v, want %q", err, row.want)
			}
			if _, err := os.Stat(good.BPFFS); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder on bpffs: %v, want that it is not there", err)
			}
		})
	}
}
