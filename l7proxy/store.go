// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// errRefused is wrapped by what Envoy refused.
var errRefused = errors.New("envoy refused the configuration")

// store is what Envoy should have, beside what it has said that it has. One stream at a time, the
// newest, speaks for Envoy.
type store struct {
	mu      sync.Mutex
	wanted  resources     // nil before the first Apply: nothing is answered
	current *stream       // nil: no Envoy is connected
	changed chan struct{} // closed and replaced whenever any of this changes
}

func newStore() *store { return &store{changed: make(chan struct{})} }

// wake tells all waiters to look again; mu is held.
func (s *store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// set replaces what is wanted. What Envoy refused before is tried again: the reason may be gone.
func (s *store) set(rs resources) (before resources) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.wanted = s.wanted, rs
	if s.current != nil {
		for _, t := range s.current.types {
			clear(t.refused)
		}
	}
	s.wake()
	return before
}

// wait returns nil when Envoy has acknowledged everything wanted, and an error as soon as it has
// refused a part of it.
func (s *store) wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		missing, err := s.missing()
		changed := s.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case missing == "":
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for envoy to acknowledge %s: %w", missing, ctx.Err())
		case <-changed:
		}
	}
}

// missing names a resource that Envoy has not acknowledged, or nothing; mu is held.
func (s *store) missing() (string, error) {
	if s.wanted == nil {
		return "anything: no profiles were applied", nil
	}
	if s.current == nil {
		return "anything: it is not connected", nil
	}
	missing := ""
	for _, typeURL := range pushOrder() {
		known := s.current.known(typeURL)
		for _, name := range slices.Sorted(maps.Keys(s.wanted[typeURL])) {
			want := s.wanted[typeURL][name].version
			if no, ok := known.refused[name]; ok && no.version == want {
				return "", fmt.Errorf("%w: %s: %s", errRefused, name, no.reason)
			}
			if known.acked[name] != want && missing == "" {
				missing = shortType(typeURL) + " " + name
			}
		}
		if !removable(typeURL) {
			continue
		}
		for name := range known.acked {
			if _, ok := s.wanted[typeURL][name]; !ok && missing == "" {
				missing = "the end of " + shortType(typeURL) + " " + name
			}
		}
	}
	return missing, nil
}

// pushOrder is the order in which changes are sent: what others refer to first.
func pushOrder() []string { return []string{typeCluster, typeExtension, typeRoute, typeListener} }

// removable reports whether Envoy is told of a resource's end. It gives up rules by itself when
// their listener ends; told before, it would fall back to none.
func removable(typeURL string) bool { return typeURL == typeCluster || typeURL == typeListener }

func shortType(typeURL string) string {
	switch typeURL {
	case typeCluster:
		return "cluster"
	case typeListener:
		return "listener"
	case typeRoute:
		return "route configuration"
	}
	return "server name rules"
}
