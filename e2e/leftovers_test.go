// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"mpol/e2e/node"
)

// traces is everything on a node that an agent could leave: the same before and after means that
// nothing was left.
func traces(t *testing.T, n *node.Node) map[string]string {
	t.Helper()
	all := map[string]string{
		"pins": tree(t, n.BPFFS), "cgroups": tree(t, n.Cgroup.Path), "state": tree(t, n.State),
	}
	for _, command := range []string{
		"nft list ruleset", "ip -4 rule", "ip -6 rule", "ip -4 route show table all",
		"ip -6 route show table all", "ip -o addr show dev lo",
	} {
		words := strings.Fields(command)
		out, err := n.World.Node.Command(t.Context(), words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		all[command] = string(out)
	}
	devices := []string{"lo", n.Uplink}
	for _, w := range n.Workloads {
		devices = append(devices, w.Device)
	}
	check(t, n.World.Node.Do(func() error {
		for _, name := range devices {
			device, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			for _, at := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
				got, err := link.QueryPrograms(link.QueryOptions{Target: device.Index, Attach: at})
				if err != nil {
					return fmt.Errorf("programs of %s: %w", name, err)
				}
				all[fmt.Sprintf("programs of %s, %v", name, at)] = fmt.Sprint(len(got.Programs))
			}
		}
		return nil
	}))
	all["programs of cgroups"] = cgroupPrograms(t, n)
	return all
}

// tree lists the files and folders below a folder but those of kernfs, which every cgroup has.
func tree(t *testing.T, folder string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() || !strings.HasPrefix(folder, "/sys/fs/cgroup") {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return "none"
	}
	return strings.Join(found, "\n")
}

// cgroupPrograms counts what is attached at the governed cgroups.
func cgroupPrograms(t *testing.T, n *node.Node) string {
	t.Helper()
	folder := filepath.Dir(n.Service(daemon).Cgroup.Path)
	var counts []string
	for _, at := range []ebpf.AttachType{
		ebpf.AttachCGroupInetEgress, ebpf.AttachCGroupInetIngress, ebpf.AttachCGroupInet4Connect,
		ebpf.AttachCGroupInet6Connect, ebpf.AttachCGroupUDP4Sendmsg, ebpf.AttachCGroupUDP6Sendmsg,
	} {
		got, err := queryCgroup(folder, at)
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, fmt.Sprintf("%v: %d", at, got))
	}
	return strings.Join(counts, "\n")
}

// compareTraces fails the test when something was left or is missing.
func compareTraces(t *testing.T, n *node.Node, before map[string]string) {
	t.Helper()
	if d := cmp.Diff(before, traces(t, n)); d != "" {
		t.Errorf("what is on the node (-before +now):\n%s", d)
	}
}

func queryCgroup(folder string, at ebpf.AttachType) (int, error) {
	f, err := os.Open(folder)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	got, err := link.QueryPrograms(link.QueryOptions{Target: int(f.Fd()), Attach: at})
	if err != nil {
		return 0, fmt.Errorf("programs of %s: %w", folder, err)
	}
	return len(got.Programs), nil
}
