// SPDX-License-Identifier: Apache-2.0

// Package watch says when the policy files may have changed.
//
// It watches folders, not files, since editors replace files by renaming; it looks into no file
// and decides nothing. What it sends is a hint: the reader loads everything and compares.
//
//	w, err := watch.New(func() []string { return source.Folders(paths) })
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
	"time"

	"github.com/fsnotify/fsnotify"
)

// Quiet is how long nothing must change before a burst counts as over; Longest is how long a
// burst may hold a hint back.
const (
	quiet   = 50 * time.Millisecond
	longest = time.Second
)

// Watcher watches folders. The caller closes it.
type Watcher struct {
	notify  *fsnotify.Watcher
	folders func() []string
}

// New watches the folders that the function returns; it is asked again after each change, since
// folders and links come and go.
func New(folders func() []string) (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch policies: %w", err)
	}
	w := &Watcher{notify: n, folders: folders}
	if err := w.refresh(); err != nil {
		return nil, errors.Join(fmt.Errorf("watch policies: %w", err), n.Close())
	}
	return w, nil
}

// refresh watches what is there now; what is watched already stays so.
func (w *Watcher) refresh() error {
	var errs []error
	for _, folder := range w.folders() {
		if err := w.notify.Add(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", folder, err))
		}
	}
	return errors.Join(errs...)
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
			if e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
				_ = w.refresh() // what cannot be watched, the loader cannot read and says so
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
