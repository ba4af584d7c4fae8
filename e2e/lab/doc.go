// SPDX-License-Identifier: Apache-2.0

// Package lab builds small networks on one Linux machine: hosts that are network namespaces,
// veth links between them, cgroups, real servers and real clients. Tests and the demonstration
// run on it, many labs side by side.
//
// It is not a simulator: every packet crosses the kernel, every answer comes from a real
// program. It knows nothing of policies; production packages never import it.
//
//	world := lab.TestWorld(t, lab.WorldConfig{})
//	w1 := lab.Client{Host: world.Workloads[0].Host}
//	got := w1.Curl(t.Context(), "http://a.example/cart")
//	if got.Code != 200 {
//		t.Errorf("curl: %v", got)
//	}
//
// Invariants:
//
//   - All names carry the lab's id, so that two labs never meet.
//   - Close removes everything: processes, namespaces, cgroups, bpffs folder, files. What a
//     crashed owner left behind is removed by the next New (its lock is free then).
//   - Every process started through a Host or Client lives in a cgroup below the lab's own.
//   - Nothing leaves the machine: no host of a lab has a link to the outside world.
package lab
