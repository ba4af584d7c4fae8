// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"testing"

	"github.com/cilium/ebpf/asm"
)

// The verifier of Linux 6.6 rounds the stack of each function up to 32 bytes and bounds the sum of a
// chain of calls; later kernels round less, so that they would not tell.
func TestStackOfOldestKernel(t *testing.T) {
	const limit, step = 512, 32
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range spec.Programs {
		frames, calls := map[string]int{}, map[string][]string{}
		function := name
		for _, ins := range p.Instructions {
			if s := ins.Symbol(); s != "" {
				function = s
			}
			frames[function] = max(frames[function], frameOf(ins))
			if ins.IsFunctionCall() {
				calls[function] = append(calls[function], ins.Reference())
			}
		}
		var deepest func(string) int
		deepest = func(function string) int {
			below := 0
			for _, callee := range calls[function] {
				below = max(below, deepest(callee))
			}
			return below + max(step, (frames[function]+step-1)/step*step)
		}
		if got := deepest(name); got > limit {
			t.Errorf("%s needs %d bytes of stack, at most %d are there: %v", name, got, limit, frames)
		}
	}
}

// frameOf returns how deep an instruction reaches into the stack: by an access at the frame pointer,
// or by an address made of it, which is the only use of small negative numbers to add.
func frameOf(ins asm.Instruction) int {
	class := ins.OpCode.Class()
	switch {
	case class.IsLoad() && ins.Src == asm.RFP, class.IsStore() && ins.Dst == asm.RFP:
		return -int(ins.Offset)
	case ins.OpCode.ALUOp() == asm.Add && ins.OpCode.Source() == asm.ImmSource && -512 <= ins.Constant && ins.Constant < 0:
		return -int(ins.Constant)
	}
	return 0
}
