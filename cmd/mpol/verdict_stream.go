// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

const (
	// maxFlow is the longest line with a flow.
	maxFlow = 1 << 20
	// wholeBatch is as much text as is judged in one piece.
	wholeBatch = 1 << 16
)

// errInterrupted is the end of a stream whose input has not ended.
var errInterrupted = errors.New("interrupted")

// batch is some lines of the input and what becomes of them.
type batch struct {
	first int    // number of the first line
	text  []byte // whole lines
	long  bool   // it is one line, which is too long to be read

	out, faults []byte
	bad         int           // lines that are no flow
	judged      chan struct{} // closed when these are there
}

// stream judges the flows of the standard input on all processors and writes verdicts in their order.
// What has been read is judged and written whenever the input has to be waited for, so that another
// program can hold a conversation. A read that still waits when ctx ends is left to the end of the
// process: nothing can wake it.
func (j *judge) stream(ctx context.Context, s streams) error {
	workers := runtime.GOMAXPROCS(0)
	order, work := make(chan *batch, 2*workers), make(chan *batch)
	ctx, stop := untilSignal(ctx)
	var judging sync.WaitGroup
	defer judging.Wait()
	defer stop()
	for range workers {
		judging.Go(func() { j.clone().work(ctx, work) })
	}
	read := make(chan error, 1)
	go func() {
		defer close(order)
		read <- split(s.in, func(b *batch) bool { return send(ctx, order, b) && send(ctx, work, b) })
	}()
	bad := 0
	for {
		var b *batch
		select {
		case b = <-order:
		case <-ctx.Done():
			return errInterrupted
		}
		if b == nil {
			break // the channel is closed
		}
		select {
		case <-b.judged:
		case <-ctx.Done():
			return errInterrupted
		}
		if err := b.write(s); err != nil {
			return err
		}
		bad += b.bad
	}
	switch err := <-read; {
	case err != nil:
		return fmt.Errorf("read flows: %w", err)
	case bad > 0:
		return fmt.Errorf("%s no flow", count(bad, "line is", "lines are"))
	}
	return nil
}

// send hands a batch on, unless ctx ends first.
func send(ctx context.Context, to chan<- *batch, b *batch) bool {
	select {
	case to <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// split cuts the input into batches until emit returns false. A batch ends where the input has to be
// waited for.
func split(in io.Reader, emit func(*batch) bool) error {
	r := bufio.NewReaderSize(in, maxFlow)
	next := &batch{first: 1, judged: make(chan struct{})}
	lines := 0 // in next
	hand := func() bool {
		b := next
		next, lines = &batch{first: b.first + lines, judged: make(chan struct{})}, 0
		return len(b.text) == 0 && !b.long || emit(b)
	}
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if !hand() {
				return nil
			}
			next.long = true
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
		} else {
			next.text = append(next.text, line...)
		}
		lines++
		waiting, _ := r.Peek(r.Buffered())
		if err != nil || next.long || len(next.text) >= wholeBatch || bytes.IndexByte(waiting, '\n') < 0 {
			if !hand() {
				return nil
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// work judges batches until ctx ends.
func (j *judge) work(ctx context.Context, batches <-chan *batch) {
	for {
		select {
		case b := <-batches:
			j.batch(b)
			close(b.judged)
		case <-ctx.Done():
			return
		}
	}
}

// batch judges the lines of a batch.
func (j *judge) batch(b *batch) {
	fault := func(n int, err error) {
		b.bad++
		b.faults = fmt.Appendf(b.faults, "<stdin>:%d: %v\n", n, err)
	}
	if b.long {
		fault(b.first, fmt.Errorf("the line is longer than %d bytes", maxFlow))
	}
	n, text := b.first, b.text
	if n == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF")) // RFC 8259, section 8.1: it may be passed over
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out, err := j.line(b.out, line, n)
			if err != nil {
				fault(n, err)
			}
			b.out = out
		}
		n++
	}
}

// write writes what has become of a batch.
func (b *batch) write(s streams) error {
	for _, w := range []struct {
		to   io.Writer
		what string
		text []byte
	}{{s.out, "verdicts", b.out}, {s.err, "faults", b.faults}} {
		if len(w.text) == 0 {
			continue
		}
		if _, err := w.to.Write(w.text); err != nil {
			return fmt.Errorf("write %s: %w", w.what, err)
		}
	}
	return nil
}
