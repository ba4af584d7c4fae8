// SPDX-License-Identifier: Apache-2.0

package compiler

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"mpol/compiler/program"
)

// owner is who an address belongs to.
type owner uint8

const (
	world owner = iota
	host
	workload
)

// kin is all workloads with the same labels; so are the host and the world by themselves.
type kin struct {
	owner  owner
	labels []program.Label
	text   string // quotes what is of a workload

	cells *cells            // that the following is for
	at    map[int]*identity // by cell

	scopes [2]*scope // by direction, nil where no policy governs it
	known  bool      // the scopes are those of the policies
	run    int       // the last with such a workload
}

// subjects yields every kin whose flows may be judged.
func (s *space) subjects() iter.Seq[*kin] {
	return func(yield func(*kin) bool) {
		for _, k := range s.kins {
			if !yield(k) {
				return
			}
		}
		yield(s.host)
	}
}

// resident is a workload of the inventory.
type resident struct {
	*program.Workload
	*kin
	gone bool
}

// meet makes the residents, and the rows of their addresses, those of an inventory; one that has not
// changed stays who it is. It returns who came, nil when nobody came and nobody went.
func (s *space) meet(workloads []program.Workload) []*resident {
	if identical(s.inventory.Workloads, workloads) {
		return nil
	}
	old, next := s.residents, make([]*resident, 0, len(workloads))
	came, leave := []*resident{}, func() {
		old[0].gone = true
		old = old[1:]
	}
	for i := range workloads {
		w := &workloads[i]
		for len(old) > 0 && old[0].Name < w.Name {
			leave()
		}
		if len(old) > 0 && sameWorkload(old[0].Workload, w) {
			old[0].Workload = w
			next, old = append(next, old[0]), old[1:]
			continue
		}
		if len(old) > 0 && old[0].Name == w.Name {
			leave()
		}
		r := &resident{Workload: w, kin: s.kin(w.Labels)}
		next, came = append(next, r), append(came, r)
	}
	for len(old) > 0 {
		leave()
	}
	changed := len(came) > 0 || len(next) < len(s.residents)
	s.residents = next
	if !changed {
		return nil
	}
	s.settle(came)
	return came
}

// settle leaves the rows of the residents, with those of who came. Their identities are open.
func (s *space) settle(came []*resident) {
	var rows []row
	for _, r := range came {
		for _, a := range r.Addresses {
			rows = append(rows, row{prefix: single(a), who: r})
		}
	}
	slices.SortFunc(rows, compareRows)
	stay := make([]row, 0, len(s.rows))
	for _, r := range s.rows {
		if !r.who.gone {
			stay = append(stay, r)
		}
	}
	s.rows = merged(stay, rows, compareRows)
	clear(s.kins)
	s.local = 0
	for _, r := range s.residents {
		s.kins[r.text] = r.kin
		s.local += bit(r.Local())
	}
}

// kin returns that of some labels.
func (s *space) kin(labels []program.Label) *kin {
	text := labelsText(labels)
	k := s.kins[text]
	if k == nil {
		k = &kin{owner: workload, labels: labels, text: text}
		s.kins[text] = k
	}
	return k
}

func sameWorkload(a, b *program.Workload) bool {
	return a.Name == b.Name && a.Interface == b.Interface && a.Cgroup == b.Cgroup &&
		slices.Equal(a.Labels, b.Labels) && slices.Equal(a.Addresses, b.Addresses)
}

func labelsText(labels []program.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = strconv.Quote(l.Key) + " = " + strconv.Quote(l.Value)
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
