// SPDX-License-Identifier: Apache-2.0

package policyset

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"

	"mpol/internal/source"
	"mpol/lang"
	"mpol/lang/diag"
)

// parsed is what one text gives; it never changes.
type parsed struct {
	text  []byte
	tree  *lang.File
	diags diag.List
}

// parse returns what each file gives, those that were parsed before with the same text as they were.
// The rest is parsed on all processors; parse returns when every one of its goroutines has ended.
func (s *Set) parse(files []source.File) []*parsed {
	out := make([]*parsed, len(files))
	var missing []int
	for i, f := range files {
		if old := s.files[f.Name]; old != nil && bytes.Equal(old.text, f.Text) {
			out[i] = old
			continue
		}
		missing = append(missing, i)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(missing)) {
		wg.Go(func() {
			for n := next.Add(1); int(n) <= len(missing); n = next.Add(1) {
				i := missing[n-1]
				tree, diags := lang.Parse(files[i].Name, files[i].Text)
				out[i] = &parsed{text: files[i].Text, tree: tree, diags: diags}
			}
		})
	}
	wg.Wait()
	s.files = make(map[string]*parsed, len(files))
	for i, f := range files {
		s.files[f.Name] = out[i]
	}
	return out
}
