// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"

	"mpol/internal/policyset"
	"mpol/internal/source"
)

// watchEvery is how often the files are looked at: the contents count, so that editors that rename,
// and file systems that tell nothing, are no different.
const watchEvery = 200 * time.Millisecond

// watch runs the tests, and again whenever the files at args, the guardrails or the inventory say
// something else, until ctx is done.
func (t *testRun) watch(ctx context.Context, args []string) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var seen []byte
	for {
		if state := t.fingerprint(args); !bytes.Equal(state, seen) {
			if seen != nil {
				fmt.Fprintln(t.streams.out)
			}
			seen = state
			err := t.run(ctx, args)
			var said outcome
			if err != nil && !errors.As(err, &said) {
				fmt.Fprintf(t.streams.err, "mpol: %v\n", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// fingerprint tells what a run reads from what another did; what cannot be read is content too.
func (t *testRun) fingerprint(args []string) []byte {
	sum := sha256.New()
	files, err := source.Load(args, bytes.NewReader(nil))
	fmt.Fprintf(sum, "%v\n", err)
	for _, f := range files {
		fmt.Fprintf(sum, "%q %d\n%s", f.Name, len(f.Text), f.Text)
	}
	rails, err := policyset.Guardrails(*t.reading.guardrails)
	fmt.Fprintf(sum, "%v\n", err)
	for _, r := range rails {
		fmt.Fprintf(sum, "%q %d\n%s", r.File, len(r.Text), r.Text)
	}
	if path := *t.reading.inventory; path != "" {
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%v\n%s", err, text)
	}
	return sum.Sum(nil)
}
