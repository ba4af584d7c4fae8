// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Probe says in one sentence what the datapath lacks on this machine, nil if nothing.
func Probe() error {
	if os.Geteuid() != 0 {
		return errors.New("the datapath needs root: run as root")
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("the kernel has no type information: boot one built with CONFIG_DEBUG_INFO_BTF: %w", err)
	}
	// tcx came with Linux 6.6; the verifier's function for it is always built in.
	var fn *btf.Func
	if err := kernel.TypeByName("tcx_prog_attach", &fn); err != nil {
		var release unix.Utsname
		_ = unix.Uname(&release) // it is for the message alone
		return fmt.Errorf("the kernel %s has no tcx: boot Linux 6.6 or newer", unix.ByteSliceToString(release.Release[:]))
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	return nil
}
