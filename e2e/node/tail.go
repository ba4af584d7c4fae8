// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"mpol/agent/event"
	"mpol/e2e/lab"
)

// Tail reads the agent's events file.
type Tail struct{ path string }

// Mark returns the present end of the file: events after it are later.
func (t *Tail) Mark() int64 {
	info, err := os.Stat(t.path)
	if err != nil {
		return 0 // not made yet: every event is later
	}
	return info.Size()
}

// Find waits for an event after mark that matches.
func (t *Tail) Find(ctx context.Context, mark int64, matches func(event.Event) bool) (*event.Event, error) {
	var found *event.Event
	err := lab.Wait(3*time.Second, "the agent's event", func() error {
		if err := ctx.Err(); err != nil {
			return nil
		}
		events, err := t.read(mark)
		if err != nil {
			return err
		}
		for i := range events {
			if matches(events[i]) {
				found = &events[i]
				return nil
			}
		}
		return fmt.Errorf("%d events, none of this row: %+v", len(events), events)
	})
	if found == nil && err == nil {
		err = ctx.Err()
	}
	return found, err
}

// read returns the whole lines after mark.
func (t *Tail) read(mark int64) ([]event.Event, error) {
	text, err := os.ReadFile(t.path)
	if err != nil {
		return nil, err
	}
	if int64(len(text)) < mark {
		return nil, errors.New("the events file shrank")
	}
	text = text[mark:]
	var events []event.Event
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var e event.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("events file: %w", err)
		}
		events = append(events, e)
	}
	return events, nil
}
