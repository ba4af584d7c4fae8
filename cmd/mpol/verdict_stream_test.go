// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

const streamed = `{"from":"web-1","to":"api-1","l4":"tcp/80"}`

// judged is the verdict on streamed as the flow of a line.
func judged(line int) string {
	return fmt.Sprintf(`{"id":%d,"verdict":"allow","half":"egress","rule":"p.web.api","tier":"app","file":"FILE","line":12,"reason":"rule"}`, line)
}

// plain takes the folder out of a verdict.
func plain(j *judge, line string) string {
	return strings.ReplaceAll(line, `"`+j.set.files[0].Name+`"`, `"FILE"`)
}

// TestStream: verdicts come in the order of the flows, whatever the processors do; a line that is no
// flow is told by its number and stops nothing.
func TestStream(t *testing.T) {
	j := world(t)
	var in, want strings.Builder
	for n := 1; n <= 20_000; n++ {
		switch n {
		case 1:
			in.WriteString("\uFEFF" + streamed + "\n")
			want.WriteString(judged(n) + "\n")
		case 7:
			in.WriteString("\n") // blank
		case 5000:
			in.WriteString("web-1 -> api-1\n")
		case 9000:
			in.WriteString(`{"from":"` + strings.Repeat("x", maxFlow) + "\"}\n")
		case 9001:
			in.WriteString(strings.Repeat(" ", wholeBatch) + streamed + "\r\n")
			want.WriteString(judged(n) + "\n")
		case 20_000:
			in.WriteString(streamed) // without an end
			want.WriteString(judged(n) + "\n")
		default:
			in.WriteString(streamed + "\n")
			want.WriteString(judged(n) + "\n")
		}
	}
	var out, errs bytes.Buffer
	err := j.stream(t.Context(), streams{in: strings.NewReader(in.String()), out: &out, err: &errs})
	if err == nil || err.Error() != "2 lines are no flow" {
		t.Errorf("error %v", err)
	}
	if got := plain(j, out.String()); got != want.String() {
		t.Errorf("%d bytes of verdicts are not the %d wanted", len(got), want.Len())
	}
	const faults = "<stdin>:5000: column 1: expected an object, found 'w'\n<stdin>:9000: the line is longer than 1048576 bytes\n"
	if errs.String() != faults {
		t.Errorf("faults:\n%swant\n%s", errs.String(), faults)
	}
}

// TestStreamTalks: each flow is answered before the next is sent, even when some of the next has come
// along with it.
func TestStreamTalks(t *testing.T) {
	j := world(t)
	in, flows := io.Pipe()
	verdicts, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- j.stream(t.Context(), streams{in: in, out: out, err: io.Discard}) }()
	answers := bufio.NewReader(verdicts)
	rest := ""
	for n := 1; n <= 100; n++ {
		half := n % len(streamed)
		if _, err := io.WriteString(flows, streamed[len(rest):]+"\n"+streamed[:half]); err != nil {
			t.Fatal(err)
		}
		rest = streamed[:half]
		line, err := answers.ReadString('\n')
		if err != nil || plain(j, line) != judged(n)+"\n" {
			t.Fatalf("verdict %d: %v, %q", n, err, line)
		}
	}
	_ = flows.CloseWithError(io.EOF)
	if err := <-done; err == nil || !strings.HasPrefix(err.Error(), "1 line is no flow") {
		t.Errorf("error %v, want one about the line that is cut off", err)
	}
}

// TestStreamEnds: an interrupt ends it although the input has more to come; a fault of the input or
// the output does too.
func TestStreamEnds(t *testing.T) {
	j := world(t)
	quiet, _ := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := j.stream(ctx, streams{in: quiet, out: io.Discard, err: io.Discard}); !errors.Is(err, errInterrupted) {
		t.Errorf("error %v, want %v", err, errInterrupted)
	}
	broken, writer := io.Pipe()
	_ = writer.CloseWithError(errors.New("broken"))
	if err := j.stream(t.Context(), streams{in: broken, out: io.Discard, err: io.Discard}); err == nil || err.Error() != "read flows: broken" {
		t.Errorf("error %v", err)
	}
	reader, full := io.Pipe()
	_ = reader.CloseWithError(errors.New("full"))
	many := strings.NewReader(strings.Repeat(streamed+"\n", 100_000))
	if err := j.stream(t.Context(), streams{in: many, out: full, err: io.Discard}); err == nil || err.Error() != "write verdicts: full" {
		t.Errorf("error %v", err)
	}
}

// TestIDs: an id comes back byte for byte; without one it is the number of the line.
func TestIDs(t *testing.T) {
	j := world(t)
	for id, want := range map[string]string{
		"":                               "7",
		`"id":null,`:                     "7",
		`"id":"",`:                       `""`,
		`"id":"\u0041\/\ud800 é < & >",`: `"\u0041\/\ud800 é < & >"`,
		`"id":-0.0,`:                     "-0.0",
		`"id":1e999,`:                    "1e999",
		`"id":123456789012345678901234567890.10 ,`: "123456789012345678901234567890.10",
	} {
		line, err := j.line(nil, []byte("{"+id+streamed[1:]), 7)
		if got, found := strings.CutSuffix(plain(j, string(line)), strings.TrimPrefix(judged(7), `{"id":7`)+"\n"); err != nil || !found || got != `{"id":`+want {
			t.Errorf("%s: error %v, verdict %s", id, err, line)
		}
	}
}

// BenchmarkStream judges flows from text to text.
func BenchmarkStream(b *testing.B) {
	j := world(b)
	const lines = 100_000
	text := strings.Repeat(streamed+"\n", lines)
	for b.Loop() {
		if err := j.stream(b.Context(), streams{in: strings.NewReader(text), out: io.Discard, err: io.Discard}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "flows/s")
}
