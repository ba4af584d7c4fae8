// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
)

// ports gives each profile a listener's port and remembers it in a file. A port of a profile that
// is gone is given to another only after all others of the range were given.
type ports struct {
	file        string
	first, last uint16

	mu    sync.Mutex
	state portState
}

type portState struct {
	Next  uint16            `json:"next"` // where the search for a free port starts
	Ports map[string]uint16 `json:"ports"`
}

func openPorts(file string, first, last uint16) (*ports, error) {
	p := &ports{file: file, first: first, last: last, state: portState{Next: first, Ports: map[string]uint16{}}}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ports: %w", err)
	}
	if err := json.Unmarshal(text, &p.state); err != nil {
		return nil, fmt.Errorf("read ports from %s: %w", file, err)
	}
	if p.state.Ports == nil {
		p.state.Ports = map[string]uint16{}
	}
	maps.DeleteFunc(p.state.Ports, func(_ string, port uint16) bool { return port < first || port > last })
	return p, nil
}

// port returns the port of a profile, in host byte order.
func (p *ports) port(key string) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, ok := p.state.Ports[key]
	return port, ok
}

// assign returns the ports of keys, which are in use from now on with those of kept.
func (p *ports) assign(keys []string, kept map[string]bool) (map[string]uint16, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := portState{Next: p.state.Next, Ports: maps.Clone(p.state.Ports)}
	owner := map[uint16]string{}
	for key, port := range state.Ports {
		owner[port] = key
	}
	inUse := maps.Clone(kept)
	for _, key := range keys {
		inUse[key] = true
	}
	result, fresh := map[string]uint16{}, false
	for _, key := range keys {
		port, ok := state.Ports[key]
		if !ok {
			if port, ok = p.free(&state, owner, inUse); !ok {
				return nil, fmt.Errorf("listener for profile %s: all ports from %d to %d are in use", key, p.first, p.last)
			}
			delete(state.Ports, owner[port])
			owner[port], state.Ports[key], fresh = key, port, true
		}
		result[key] = port
	}
	if fresh {
		if err := writeJSON(p.file, state); err != nil {
			return nil, fmt.Errorf("write ports: %w", err)
		}
		p.state = state
	}
	return result, nil
}

func (p *ports) free(state *portState, owner map[uint16]string, inUse map[string]bool) (uint16, bool) {
	if state.Next < p.first || state.Next > p.last {
		state.Next = p.first
	}
	for range int(p.last-p.first) + 1 {
		port := state.Next
		if state.Next == p.last {
			state.Next = p.first
		} else {
			state.Next++
		}
		if key, ok := owner[port]; !ok || !inUse[key] {
			return port, true
		}
	}
	return 0, false
}

// writeJSON replaces a file at once: a crash leaves the old or the new one.
func writeJSON(file string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return writeFile(file, append(text, '\n'))
}

func writeFile(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
