// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Envoy acknowledges a listener before its workers listen; these bound how often we look.
const (
	listenPollMin = 2 * time.Millisecond
	listenPollMax = 50 * time.Millisecond
)

// listening waits until each port has a listening socket in both families.
func listening(ctx context.Context, want []uint16) error {
	for pause := listenPollMin; ; pause = min(2*pause, listenPollMax) {
		port, err := silent(want)
		if err != nil || port == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for envoy to listen on port %d: %w", port, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// silent returns a port on which nobody listens in one of the families, 0 when there is none.
func silent(want []uint16) (uint16, error) {
	for _, table := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			return 0, fmt.Errorf("look for listeners: %w", err)
		}
		found, err := listeners(file)
		file.Close()
		if err != nil {
			return 0, fmt.Errorf("look for listeners in %s: %w", table, err)
		}
		for _, port := range want {
			if !found[port] {
				return port, nil
			}
		}
	}
	return 0, nil
}

// listeners returns the ports on which loopback sockets listen. The kernel lists them before all
// others, so that reading ends early on a busy node (net/ipv4/tcp_ipv4.c, tcp_seek_last_pos).
func listeners(table io.Reader) (map[uint16]bool, error) {
	const stateListen = "0A"
	found := map[uint16]bool{}
	lines := bufio.NewScanner(table)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateListen {
			break
		}
		ip, hexPort, ok := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(hexPort, 16, 16)
		if !ok || err != nil {
			return nil, fmt.Errorf("parse %q", fields[1])
		}
		if ip == "0100007F" || ip == "00000000000000000000000001000000" {
			found[uint16(port)] = true
		}
	}
	return found, lines.Err()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
