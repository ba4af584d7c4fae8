// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mpol/e2e/lab"
)

func TestWait(t *testing.T) {
	odd := errors.New("odd")
	for _, row := range []struct {
		name  string
		limit time.Duration
		ready func(call int) error
		calls int // 0: several
		want  error
	}{
		{"at once", time.Minute, func(int) error { return nil }, 1, nil},
		{"at the third call", time.Minute, func(call int) error {
			if call < 3 {
				return odd
			}
			return nil
		}, 3, nil},
		{"never", 20 * time.Millisecond, func(int) error { return odd }, 0, odd},
		{"cancelled", time.Minute, func(int) error { return fmt.Errorf("dial: %w", context.Canceled) }, 1, context.Canceled},
	} {
		t.Run(row.name, func(t *testing.T) {
			calls := 0
			err := lab.Wait(row.limit, "the test", func() error {
				calls++
				return row.ready(calls)
			})
			if !errors.Is(err, row.want) {
				t.Errorf("Wait = %v, want %v", err, row.want)
			}
			if row.calls != 0 && calls != row.calls || calls == 0 {
				t.Errorf("ready was called %d times, want %d", calls, row.calls)
			}
		})
	}
}
