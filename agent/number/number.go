// SPDX-License-Identifier: Apache-2.0

// Package number gives keys their numbers for ever.
//
// Whatever the kernel knows (identities, tables, classes, rules, workloads) it knows by a number,
// and a number may never come to mean something else while a map or a log still holds it. A Book
// hands out numbers in order and remembers them in a file, so that an agent that starts again over
// pinned maps agrees with the one before it. It is not a cache: nothing is ever taken out.
//
//	book, err := number.Open("/var/lib/mpol/numbers")
//	n, err := book.Number("table", table.Key)
//
// Invariants: 0 is never given; a number is in the file before Number returns. It is not forced to
// the disk: a machine that loses power loses its maps too.
package number

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Book is a persistent map from (kind, key) to a number. It is safe for concurrent use.
type Book struct {
	mu    sync.Mutex
	file  *os.File
	size  int64 // of its whole lines
	kinds map[string]*kind
}

// kind counts apart from the others, so that each has small numbers.
type kind struct {
	byKey map[string]uint32
	keys  []string // keys[n-1] has number n
}

// Open reads the book at path, or begins one. A torn last line, left by a crash, is cut off: its
// number was never used, since Number had not returned. The caller closes the book.
func Open(path string) (*Book, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open numbers: %w", err)
	}
	b := &Book{file: f, kinds: map[string]*kind{}}
	if err := b.read(); err != nil {
		f.Close()
		return nil, fmt.Errorf("read numbers %s: %w", filepath.Base(path), err)
	}
	return b, nil
}

func (b *Book) read() error {
	text, err := os.ReadFile(b.file.Name())
	if err != nil {
		return err
	}
	whole := strings.LastIndexByte(string(text), '\n') + 1
	for i, line := range strings.SplitAfter(string(text[:whole]), "\n") {
		if line == "" {
			continue
		}
		name, quoted, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		key, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			return fmt.Errorf("line %d is damaged; stop the agent, run mpol agent --cleanup and start it again", i+1)
		}
		b.kind(name).add(key)
	}
	b.size = int64(whole)
	return b.file.Truncate(b.size)
}

func (b *Book) kind(name string) *kind {
	k := b.kinds[name]
	if k == nil {
		k = &kind{byKey: map[string]uint32{}}
		b.kinds[name] = k
	}
	return k
}

func (k *kind) add(key string) uint32 {
	k.keys = append(k.keys, key)
	n := uint32(len(k.keys))
	k.byKey[key] = n
	return n
}

// Number returns the number of key among its kind, a new one when it has none yet.
func (b *Book) Number(kindName, key string) (uint32, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kind(kindName)
	if n, ok := k.byKey[key]; ok {
		return n, nil
	}
	if strings.ContainsAny(kindName, " \n") || kindName == "" {
		return 0, fmt.Errorf("number kind %q: want one word", kindName)
	}
	line := kindName + " " + strconv.Quote(key) + "\n"
	// In the place of what a full disk took of an earlier line.
	if _, err := b.file.WriteAt([]byte(line), b.size); err != nil {
		return 0, fmt.Errorf("write numbers: %w", err)
	}
	b.size += int64(len(line))
	return k.add(key), nil
}

// Key returns the key that has a number.
func (b *Book) Key(kindName string, n uint32) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.kinds[kindName]
	if k == nil || n == 0 || int(n) > len(k.keys) {
		return "", false
	}
	return k.keys[n-1], true
}

// Close closes the book.
func (b *Book) Close() error { return b.file.Close() }
