// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Cleanup removes everything that any process with this configuration left on the node: programs,
// maps, rules, routes and the nft table. What is not there is no error.
func Cleanup(cfg Config) error {
	found, err := filepath.Glob(filepath.Join(cfg.BPFFS, "layout-*"))
	errs := []error{err}
	for _, dir := range found {
		errs = append(errs, detachAll(filepath.Join(dir, linksFolder)), os.RemoveAll(dir))
	}
	errs = append(errs, cfg.Steering.Remove())
	if err := os.Remove(cfg.BPFFS); err != nil && !errors.Is(err, fs.ErrNotExist) && len(found) > 0 {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up datapath: %w", err)
	}
	return nil
}
