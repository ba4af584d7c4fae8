// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"mpol/internal/source"
)

// watchEvery is how often the files are looked at: the contents count, so that editors that rename,
// and file systems that tell nothing, are no different.
const watchEvery = 200 * time.Millisecond

// watch runs the tests, and again whenever the files at args say something else, until ctx is done.
func (t *testRun) watch(ctx context.Context, args []string) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var seen []byte
	for {
		if state := fingerprint(args); !bytes.Equal(state, seen) {
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

// fingerprint tells contents of files from others; what cannot be read is content too.
func fingerprint(args []string) []byte {
	sum := sha256.New()
	files, err := source.Load(args, bytes.NewReader(nil))
	fmt.Fprintf(sum, "%v\n", err)
	for _, f := range files {
		fmt.Fprintf(sum, "%q %d\n%s", f.Name, len(f.Text), f.Text)
	}
	return sum.Sum(nil)
}
