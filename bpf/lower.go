// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"

	"mpol/compiler/program"
)

// target is what the maps hold when one program is in force, by live numbers.
type target struct {
	exact      map[datapathAddr]datapathParty
	prefixes   map[datapathPrefix]datapathParty
	sockets    map[datapathSocketKey]uint32
	devices    map[uint32]uint32
	cgroups    map[uint64]uint32
	rows       map[datapathRowKey]tableRef
	members    map[datapathMemberKey]uint32
	entries    map[datapathEntryKey]datapathEntry
	ranges     map[datapathRangeKey]datapathEntry
	profiles   map[datapathProfileKey]uint32
	ungoverned datapathEntry
	names      names
	links      []attachment
	named      map[string]int // the workloads' devices by name
}

// lowering turns the indexes of one program into live numbers.
type lowering struct {
	*target
	numbers    Numbers
	tables     *program.Tables
	identities []uint32
	table      []uint32
	flags      []uint16
	classes    [][]uint32
}

// errHost refuses a program by which the host is judged: no hook of the datapath judges it.
var errHost = errors.New("lower program: a policy is for the host, whose flows the datapath does not judge")

// lower makes the target of p. ports gives the port of a profile's listener.
func lower(p *program.Program, n Numbers, ports func(string) (uint16, bool)) (*target, error) {
	if p.Tables.Host != nil {
		return nil, errHost
	}
	l := &lowering{numbers: n, tables: &p.Tables, target: &target{
		exact: map[datapathAddr]datapathParty{}, prefixes: map[datapathPrefix]datapathParty{},
		sockets: map[datapathSocketKey]uint32{}, devices: map[uint32]uint32{}, cgroups: map[uint64]uint32{},
		rows: map[datapathRowKey]tableRef{}, members: map[datapathMemberKey]uint32{},
		entries: map[datapathEntryKey]datapathEntry{}, ranges: map[datapathRangeKey]datapathEntry{},
		profiles: map[datapathProfileKey]uint32{},
		named:    map[string]int{},
		names:    names{workloads: map[uint32]string{}, rules: map[uint32]string{}, numbers: map[string]uint32{}},
	}}
	steps := []func() error{l.lowerIdentities, l.lowerTables, l.lowerSubjects, l.lowerAddresses}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := l.lowerProfiles(ports); err != nil {
		return nil, err
	}
	rule, err := l.rule(p.Tables.Ungoverned.Rule)
	l.ungoverned = encodeVerdict(p.Tables.Ungoverned, rule)
	return l.target, err
}

func (l *lowering) lowerIdentities() (err error) {
	l.identities = make([]uint32, len(l.tables.Identities))
	for i, id := range l.tables.Identities {
		if l.identities[i], err = l.numbers.Number("identity", id.Key); err != nil {
			return err
		}
	}
	return nil
}

func (l *lowering) rule(key string) (uint32, error) {
	if key == "" {
		return 0, nil
	}
	n, err := l.numbers.Number("rule", key)
	l.names.rules[n] = key
	return n, err
}

// classNumber numbers a class. A name set means the same names in every table and so keeps its
// number when a policy is edited: what was learned under it stays learned.
func classNumber(n Numbers, table string, c program.Class) (uint32, error) {
	if c.Names {
		return n.Number("class", "names\n"+c.Key)
	}
	return n.Number("class", table+"\n"+c.Key)
}

func (l *lowering) lowerTables() (err error) {
	l.table = make([]uint32, len(l.tables.Tables))
	l.flags = make([]uint16, len(l.tables.Tables))
	l.classes = make([][]uint32, len(l.tables.Tables))
	for i := range l.tables.Tables {
		t := &l.tables.Tables[i]
		if l.table[i], err = l.numbers.Number("table", t.Key); err != nil {
			return err
		}
		if t.Names != nil {
			l.flags[i] |= uint16(datapathTableFlagTABLE_NAMES)
		}
		if err := l.lowerClasses(i, t); err != nil {
			return fmt.Errorf("table %s: %w", t.Key, err)
		}
		for _, m := range t.Members {
			l.members[datapathMemberKey{Table: l.table[i], Identity: l.identities[m.Identity]}] = l.classes[i][m.Class]
		}
	}
	return nil
}

// lowerClasses numbers the classes of a table, those of strangers as in every other, and lowers their
// entries.
func (l *lowering) lowerClasses(table int, t *program.Table) (err error) {
	l.classes[table] = make([]uint32, len(t.Classes))
	for c := range t.Classes {
		number := uint32(datapathClassCLASS_STRANGERS)
		if c > 0 {
			if number, err = classNumber(l.numbers, t.Key, t.Classes[c]); err != nil {
				return err
			}
		}
		l.classes[table][c] = number
		for _, e := range t.Classes[c].Entries {
			if err := l.lowerEntry(table, number, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lowering) lowerEntry(table int, class uint32, e program.Entry) error {
	rule, err := l.rule(e.Verdict.Rule)
	if err != nil {
		return err
	}
	v := encodeVerdict(e.Verdict, rule)
	key := datapathEntryKey{Table: l.table[table], Class: class, Proto: e.Proto}
	switch {
	case e.Proto == 0:
		key.Kind = uint8(datapathEntryKindENTRY_ANY)
	case e.First == 0 && e.Last == 0xffff:
		key.Kind = uint8(datapathEntryKindENTRY_PROTO)
	case e.First == e.Last:
		key.Port = e.First
	default:
		l.flags[table] |= uint16(datapathTableFlagTABLE_RANGES)
		ports, bits := portPrefixes(e.First, e.Last)
		for i := range ports {
			r := datapathRangeKey{
				Length: uint32(datapathRangeBitsRANGE_FIXED) + bits[i], Table: key.Table, Class: key.Class,
				Proto: networkOrder(uint16(e.Proto)), Port: networkOrder(ports[i]),
			}
			if _, twice := l.ranges[r]; twice {
				return fmt.Errorf("two entries for ports %d-%d of protocol %d", e.First, e.Last, e.Proto)
			}
			l.ranges[r] = v
		}
		return nil
	}
	if _, twice := l.entries[key]; twice {
		return fmt.Errorf("two entries for ports %d-%d of protocol %d", e.First, e.Last, e.Proto)
	}
	l.entries[key] = v
	return nil
}

func (l *lowering) lowerSubjects() error {
	for _, b := range l.tables.Subjects {
		w, err := l.numbers.Number("workload", b.Workload+"\n"+b.Interface+"\n"+b.Cgroup)
		if err != nil {
			return err
		}
		l.names.workloads[w], l.names.numbers[b.Workload] = b.Workload, w
		for direction, table := range map[program.Direction]int{program.Egress: b.Egress, program.Ingress: b.Ingress} {
			ref := tableRef{table: uint32(datapathTableTABLE_NONE)}
			if table >= 0 {
				ref = tableRef{l.table[table], l.flags[table]}
			}
			l.rows[datapathRowKey{Workload: w, Direction: uint32(direction)}] = ref
		}
	}
	for _, s := range l.tables.Sockets {
		w, ok := l.names.numbers[s.Workload]
		if !ok {
			return fmt.Errorf("socket of %s, which is no subject", s.Workload)
		}
		l.sockets[datapathSocketKey{Workload: w, Cell: uint32(s.Cell)}] = l.identities[s.Identity]
	}
	return nil
}

func (l *lowering) lowerAddresses() error {
	local := map[string]bool{}
	for _, b := range l.tables.Subjects {
		local[b.Workload] = b.Interface != ""
	}
	for _, a := range l.tables.Addresses {
		if a.Prefix.Addr().Is4In6() {
			continue // the programs refuse such packets, and keep IPv4 there
		}
		who := datapathParty{Identity: l.identities[a.Identity], Cell: uint32(a.Cell)}
		if a.Owned {
			who.Flags |= uint32(datapathPartyFlagPARTY_OWNED)
		}
		if a.Node {
			who.Flags |= uint32(datapathPartyFlagPARTY_NODE)
		}
		if local[a.Workload] {
			who.Flags |= uint32(datapathPartyFlagPARTY_LOCAL)
			who.Workload = l.names.numbers[a.Workload]
		}
		if a.Prefix.IsSingleIP() {
			l.exact[encodeAddr(a.Prefix.Addr())] = who
		} else {
			l.prefixes[encodePrefix(a.Prefix)] = who
		}
	}
	return nil
}

func (l *lowering) lowerProfiles(ports func(string) (uint16, bool)) error {
	for _, r := range l.tables.ProfileRows {
		key := l.tables.Profiles[r.Profile].Key
		port, ok := ports(key)
		if !ok || port == 0 {
			return fmt.Errorf("profile %s has no listener", key)
		}
		k := datapathProfileKey{Port: r.Port, Looped: uint16(truth(r.Looped))}
		if r.Egress >= 0 {
			k.Egress, k.EgressClass = l.table[r.Egress], l.classes[r.Egress][r.EgressClass]
			if r.NameClass >= 0 {
				k.Name = l.classes[r.Egress][r.NameClass]
			}
		}
		if r.Ingress >= 0 {
			k.Ingress, k.IngressClass = l.table[r.Ingress], l.classes[r.Ingress][r.IngressClass]
		}
		l.profiles[k] = uint32(port)
	}
	return nil
}
