// SPDX-License-Identifier: Apache-2.0

package bpf

// The objects and their Go types are committed; only this line needs clang. generated.sha256 holds
// the hashes of what they were made of; a test compares.
//
//go:generate go tool bpf2go -go-package bpf -cc clang-19 -strip llvm-strip-19 -target bpfel -type event -type party -type slot -type tuple -type verdict -type half -type drop_reason -type hook -type l7 -type party_flag -type table -type table_flag -type class -type entry_kind -type entry_flag -type range_bits -type flow_flag -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu" datapath datapath.c
//go:generate sh -c "sha256sum gen.go *.c *.h datapath_bpfel.go datapath_bpfel.o > generated.sha256"
