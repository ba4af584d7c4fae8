// SPDX-License-Identifier: Apache-2.0

package check

import (
	"net/netip"
)

// pathIndex finds rules by paths of which one begins with the other, as those of two prefixes or two names do
// that have something in common. It is a radix tree; the zero value is empty.
type pathIndex struct {
	path  string       // behind that of the node above
	here  []*placed    // in file order
	below []*pathIndex // each begins with another byte; in file order of their first rules
	first int          // the place of the first rule here and below
}

// add puts a rule, which stands behind all that are there, under a path.
func (x *pathIndex) add(path string, r *placed) {
	for path != "" {
		i := x.next(path[0])
		if i < 0 {
			x.below = append(x.below, &pathIndex{path: path, here: []*placed{r}, first: r.place})
			return
		}
		n := x.below[i]
		length := shared(n.path, path)
		if length < len(n.path) {
			x.below[i] = &pathIndex{path: path[:length], below: []*pathIndex{n}, first: n.first}
			n.path = n.path[length:]
		}
		x, path = x.below[i], path[length:]
	}
	x.here = append(x.here, r)
}

// find tries the rules whose path path begins with and, with deeper, those whose path begins with path.
func (x *pathIndex) find(path string, deeper bool, s *search) {
	for path != "" {
		s.try(x.here)
		i := x.next(path[0])
		if i < 0 {
			return
		}
		x = x.below[i]
		length := shared(x.path, path)
		switch {
		case length < len(path) && length < len(x.path):
			return
		case length < len(x.path):
			if deeper {
				x.all(s)
			}
			return
		}
		path = path[length:]
	}
	if deeper {
		x.all(s)
		return
	}
	s.try(x.here)
}

// all tries the rules here and below.
func (x *pathIndex) all(s *search) {
	s.try(x.here)
	for _, n := range x.below {
		if s.past(n.first) {
			return
		}
		n.all(s)
	}
}

// next returns which node below begins with b, -1 when none does.
func (x *pathIndex) next(b byte) int {
	for i, n := range x.below {
		if n.path[0] == b {
			return i
		}
	}
	return -1
}

// shared returns how many bytes a and b have in common at their beginning.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// prefixPath returns the family and the bits of a prefix.
func prefixPath(p netip.Prefix) string {
	address := p.Addr().AsSlice()
	path := make([]byte, 1, 1+p.Bits())
	path[0] = byte(len(address))
	for i := range p.Bits() {
		path = append(path, address[i/8]>>(7-i%8)&1)
	}
	return string(path)
}
