// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Wait calls ready until it returns nil, for at most limit, and then gives up with the last
// error; with one of a cancelled context it gives up at once. The description completes the
// sentence "wait for ...". It is the only way in which tests on a lab let time pass.
func Wait(limit time.Duration, description string, ready func() error) error {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || errors.Is(err, context.Canceled) {
			return fmt.Errorf("wait %v for %s: %w", limit, description, err)
		}
		<-tick.C
	}
}
