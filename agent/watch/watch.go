// SPDX-License-Identifier: Apache-2.0

// Package watch says when the policy files may have changed.
//
// It watches folders, not files, since editors replace files by renaming; it looks into no file
// and decides nothing. What it sends is a hint: the reader loads everything and compares.
//
//	w, err := watch.New([]string{"/etc/mpol/policies"})
//	for range w.Changes(ctx) {
//		reload()
//	}
//
// Invariants: a change that ends is followed by at least one hint; a burst of changes gives few.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Quiet is how long nothing must change before a burst counts as over; Longest is how long a
// burst may hold a hint back.
const (
	quiet   = 50 * time.Millisecond
	longest = time.Second
)

// Watcher watches files and trees of folders. The caller closes it.
type Watcher struct {
	notify *fsnotify.Watcher
	paths  []string
}

// New watches paths: a folder with all below it, a file by its folder.
func New(paths []string) (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch policies: %w", err)
	}
	w := &Watcher{notify: n, paths: paths}
	for _, p := range paths {
		if err := w.add(p); err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", p, err), n.Close())
		}
	}
	return w, nil
}

// add watches path, or its folder, and every folder below.
func (w *Watcher) add(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return w.notify.Add(filepath.Dir(path))
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed while we walk
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return w.notify.Add(p)
		}
		return nil
	})
}

// Changes sends a hint after each burst of changes until ctx is done or the watcher is closed; then
// it closes the channel. A hint that nobody has taken yet stands for later ones too.
func (w *Watcher) Changes(ctx context.Context) <-chan struct{} {
	hints := make(chan struct{}, 1)
	go w.run(ctx, hints)
	return hints
}

func (w *Watcher) run(ctx context.Context, hints chan<- struct{}) {
	defer close(hints)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var began time.Time // of the burst; zero between bursts
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if e.Has(fsnotify.Create) {
				_ = w.add(e.Name) // gone again, or not for us to read: the loader says so
			}
		case _, ok := <-w.notify.Errors: // an overflow: something changed
			if !ok {
				return
			}
		case <-timer.C:
			began = time.Time{}
			select {
			case hints <- struct{}{}:
			default:
			}
			continue
		}
		now := time.Now()
		if began.IsZero() {
			began = now
		}
		timer.Reset(max(0, min(quiet, longest-now.Sub(began))))
	}
}

// Close ends the watch.
func (w *Watcher) Close() error { return w.notify.Close() }
