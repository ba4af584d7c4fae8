// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bufio"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWriterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	for range 2 { // the second writer appends
		w, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(Event{
			Time: time.Unix(1, 0).UTC(), Generation: 2, Kind: Flow, Workload: "web", Verdict: "deny",
			Destination: netip.MustParseAddrPort("[2001:db8::1]:443"), Rule: "app.default", Line: 3,
		})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := `{"time":"1970-01-01T00:00:01Z","generation":2,"kind":"flow","workload":"web",` +
		`"destination":"[2001:db8::1]:443","verdict":"deny","rule":"app.default","line":3}` + "\n"
	if string(got) != line+line {
		t.Errorf("file holds\n%swant twice\n%s", got, line)
	}
}

// TestWriterFullDisk fills the disk: the lines that fit are whole, and so is what follows.
func TestWriterFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8k"); err != nil {
		t.Fatalf("mount a small disk, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path, filler := filepath.Join(disk, "events.jsonl"), filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.Write(Event{Name: strings.Repeat("n", 3000)})
	}
	deadline := time.Now().Add(5 * time.Second)
	for lost := uint64(0); lost == 0; {
		w.mu.Lock()
		lost = w.lost
		w.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("nothing was lost on a full disk")
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.Write(Event{Rule: "last"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var last Event
	for line := range strings.Lines(string(text)) {
		last = Event{}
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Errorf("line %.40q: %v", line, err)
		}
	}
	if last.Rule != "last" || last.Lost != 1 {
		t.Errorf("the last line has rule %q, lost %d; want last and 1", last.Rule, last.Lost)
	}
}

func TestWriterRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(Event{Rule: "first"})
	deadline := time.Now().Add(5 * time.Second)
	for text := []byte{}; len(text) == 0; {
		if text, err = os.ReadFile(path); err != nil || time.Now().After(deadline) {
			t.Fatalf("the first event was not written: %v", err)
		}
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	w.Write(Event{Rule: "second"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path + ".1": "first", path: "second"} {
		var e Event
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &e)
		}
		if err != nil || e.Rule != want {
			t.Errorf("%s holds %q, %v, want the event %s", filepath.Base(name), text, err, want)
		}
	}
}

func TestWriterSocketReaderComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.sock")
	listen := func() net.Listener {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := listen()
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(Event{Rule: "first"})
	if got := readOne(t, l); got.Rule != "first" {
		t.Errorf("first reader got %+v", got)
	}
	l.Close()
	w.Write(Event{Rule: "nobody reads"})
	deadline := time.Now().Add(5 * time.Second)
	for lost := uint64(0); lost == 0; {
		w.mu.Lock()
		lost = w.lost
		w.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the event for an absent reader was not counted as lost")
		}
	}
	l = listen()
	defer l.Close()
	w.Write(Event{Rule: "second"})
	if got := readOne(t, l); got.Rule != "second" || got.Lost != 1 {
		t.Errorf("second reader got rule %q, lost %d, want second and 1", got.Rule, got.Lost)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func readOne(t *testing.T, l net.Listener) Event {
	t.Helper()
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		t.Fatal(err)
	}
	return e
}
