// SPDX-License-Identifier: Apache-2.0

// Package event writes what happened as JSON lines, one a flow, question or request.
//
// An Event says who asked whom for what, the verdict, and the rule that decided with its file and
// line. The package decides nothing and looks nothing up; it renders and delivers. It is no metrics
// system either.
//
//	w, err := event.Open("/var/lib/mpol/events.jsonl")
//	w.Write(event.Event{Kind: event.Flow, Workload: "web", Verdict: "deny", Rule: "app.default"})
//
// Invariants: one line is one write, so lines never interleave; a slow or absent reader never
// blocks the caller, what cannot be delivered is counted and the count is written with the next
// line that can.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Kind says what an Event is about.
type Kind string

// The kinds.
const (
	Flow     Kind = "flow"
	Question Kind = "question"
	Request  Kind = "request"
)

// Event is one line. Empty fields are left out.
type Event struct {
	Time        time.Time      `json:"time"`
	Generation  uint32         `json:"generation"`
	Kind        Kind           `json:"kind"`
	Workload    string         `json:"workload,omitempty"`   // that opened it; empty for an outsider
	Peer        string         `json:"peer,omitempty"`       // the workload at the other end
	Source      netip.AddrPort `json:"source,omitzero"`      // of the opener
	Destination netip.AddrPort `json:"destination,omitzero"` // as the opener meant it
	L4          string         `json:"l4,omitempty"`         // tcp/443, icmp/8/0
	Name        string         `json:"name,omitempty"`       // question: the name; request: Host or server name
	Type        string         `json:"type,omitempty"`       // question
	Request     string         `json:"request,omitempty"`    // "GET /path"
	Status      int            `json:"status,omitempty"`     // of an HTTP response
	Verdict     string         `json:"verdict"`              // allow, deny, redirect
	Half        string         `json:"half,omitempty"`       // egress, ingress
	Rule        string         `json:"rule,omitempty"`       // its full name or tier.default
	File        string         `json:"file,omitempty"`
	Line        int            `json:"line,omitempty"`
	Reason      string         `json:"reason,omitempty"` // why a packet or message was dropped
	Lost        uint64         `json:"lost,omitempty"`   // events before this one that were not delivered
}

// queue is how many events wait for a slow reader.
const queue = 4096

// Writer delivers events in order. It is safe for concurrent use.
type Writer struct {
	events chan Event
	done   chan struct{}

	mu     sync.Mutex
	lost   uint64
	closed bool

	path   string
	out    io.WriteCloser
	socket bool
}

// Open returns a writer to the Unix stream socket at path, if there is one, else to the file, which
// is made or appended to. The caller closes it.
func Open(path string) (*Writer, error) {
	w := &Writer{events: make(chan Event, queue), done: make(chan struct{}), path: path}
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		w.socket = true
	}
	if err := w.connect(); err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	go w.deliver()
	return w, nil
}

func (w *Writer) connect() error {
	var err error
	if w.socket {
		w.out, err = net.DialTimeout("unix", w.path, time.Second)
	} else {
		w.out, err = os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	}
	if err != nil {
		w.out = nil
	}
	return err
}

// Write queues e. When the queue is full e is lost and counted.
func (w *Writer) Write(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	e.Lost = w.lost
	select {
	case w.events <- e:
		w.lost = 0
	default:
		w.lost++
	}
}

// Close delivers what is queued and closes the writer.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errors.New("close events: closed already")
	}
	w.closed = true
	close(w.events)
	w.mu.Unlock()
	<-w.done
	if w.out == nil {
		return nil
	}
	return w.out.Close()
}

// deliver owns out until the queue is closed and drained.
func (w *Writer) deliver() {
	defer close(w.done)
	for e := range w.events {
		line, err := json.Marshal(e)
		if err == nil {
			err = w.send(append(line, '\n'))
		}
		if err != nil {
			w.mu.Lock()
			w.lost += 1 + e.Lost
			w.mu.Unlock()
		}
	}
}

// send writes one line, connecting once again when the reader has gone.
func (w *Writer) send(line []byte) error {
	if f, ok := w.out.(*os.File); ok && w.moved(f) {
		f.Close()
		w.out = nil
	}
	for again := true; ; again = false {
		if w.out == nil {
			if err := w.connect(); err != nil {
				return err
			}
		}
		if c, ok := w.out.(net.Conn); ok {
			if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				return err
			}
		}
		n, err := w.out.Write(line)
		if err == nil {
			return nil
		}
		// What a full disk took of the line would be the beginning of the next one.
		if f, ok := w.out.(*os.File); ok && n > 0 {
			if info, e := f.Stat(); e == nil {
				err = errors.Join(err, f.Truncate(info.Size()-int64(n)))
			}
		}
		if !again {
			return err
		}
		w.out.Close()
		w.out = nil
	}
}

// moved reports whether path no longer names the open file, as after a rotation of logs.
func (w *Writer) moved(f *os.File) bool {
	open, err := f.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(w.path)
	return err != nil || !os.SameFile(open, named)
}
