// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// memoryToSpend is how large the heap may grow before garbage is collected as often as usual.
const memoryToSpend = 256 << 20

// collectSeldom trades memory for time in a verb that reads policies and ends: nearly all that parsing
// and judging allocate is garbage at once, and collecting it is a third of their work. What the
// environment says (GOGC, GOMEMLIMIT) goes before. The collector calls settle after each of its runs.
func collectSeldom() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	settle()
}

// settle lets the heap grow up to memoryToSpend or, when more than half of that lives, to the double.
func settle() {
	const usual, most = 100, 1000
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := most
	if n := live[0].Value.Uint64(); n > 0 {
		percent = max(usual, min(most, int(memoryToSpend*100/n)-100))
	}
	debug.SetGCPercent(percent)
	// The next collection finds that nobody holds this; anything smaller may share its place.
	runtime.AddCleanup(new([32]byte), func(struct{}) { settle() }, struct{}{})
}
