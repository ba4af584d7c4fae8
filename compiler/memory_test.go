// SPDX-License-Identifier: Apache-2.0

package compiler_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mpol/compiler"
	"mpol/compiler/program"
	"mpol/lang/check"
	"mpol/lang/diag"
)

// town is a node on which files and machine change step by step. An edit replaces the policies of the
// file, as reading it again does.
type town struct {
	files    []*townFile
	away     *townFile // one that may come back as it was
	tiers    []program.Tier
	fallback program.Action
	inv      program.Inventory
	made     int // files and workloads so far
}

type townFile struct {
	name     string
	policies []*check.Policy
}

func newTown(t *rapid.T) *town {
	m := drawModule(t)
	w := &town{tiers: m.Tiers, fallback: m.Default.Action, inv: universe()}
	w.inv.Workloads[0].Addresses = addrs("10.0.0.1", "198.51.100.20", "fd00::1")
	for range rapid.IntRange(1, 3).Draw(t, "files") {
		w.addFile(t)
	}
	return w
}

func (w *town) addFile(t *rapid.T) {
	w.made++
	f := &townFile{name: fmt.Sprintf("%c%d.mpol", 'a'+rapid.IntRange(0, 25).Draw(t, "name"), w.made)}
	for i, p := range drawModule(t).Policies {
		p.Name = fmt.Sprintf("t%d.p%d", w.made, i)
		if s := drawPeer(t); s.Kind == program.PeerSelector {
			p.Subject = program.Subject{Selector: s.Selector}
		}
		for _, b := range []*check.Block{p.Egress, p.Ingress} {
			if b != nil && rapid.Bool().Draw(t, "requests") {
				b.Rules = append(b.Rules, w.requests(t))
			}
		}
		f.policies = append(f.policies, p)
	}
	w.files = append(w.files, f)
	slices.SortFunc(w.files, func(a, b *townFile) int { return cmpString(a.name, b.name) })
	f.read(0)
}

// requests draws a rule that hands flows to the proxy of requests, at ports that others have too: with
// two of them, both halves of a flow ask something.
func (w *town) requests(t *rapid.T) *check.Rule {
	w.made++
	r := &check.Rule{Label: fmt.Sprintf("requests%d", w.made), Action: program.Allow, L4: []program.L4{tcp(80, 80)}}
	r.Peers.Include = []program.Peer{rapid.SampledFrom([]program.Peer{
		{Kind: program.PeerAny},
		{Kind: program.PeerWorkloads},
		{Kind: program.PeerSame, Key: "app"},
		{Kind: program.PeerSelector, Selector: &program.Selector{Op: program.OpIn, Key: "app", Values: []string{"a"}}},
		{Kind: program.PeerSelector, Selector: &program.Selector{Op: program.OpIn, Key: "app", Values: []string{"b"}}},
	}).Draw(t, "peer")}
	if r.L7 = drawRequests(t); rapid.IntRange(0, 3).Draw(t, "tls") == 0 {
		r.L7 = &program.L7{Kind: program.L7TLS, SNI: []program.NamePattern{"a.example.com"}}
	}
	return r
}

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	return bit(a > b)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// read makes the policies of f anew, some lines further down.
func (f *townFile) read(lines int) {
	for i, p := range f.policies {
		q := *p
		for _, b := range []**check.Block{&q.Egress, &q.Ingress} {
			if *b == nil {
				continue
			}
			c := **b
			c.Span, c.Rules = f.at(&lines), slices.Clone(c.Rules)
			for j := range c.Rules {
				r := *c.Rules[j]
				r.PlaceSpan, r.L4Span, r.PeersSpan = f.at(&lines), f.at(&lines), f.at(&lines)
				c.Rules[j] = &r
			}
			*b = &c
		}
		f.policies[i] = &q
	}
}

func (f *townFile) at(line *int) diag.Span {
	*line++
	return diag.Span{File: f.name, Start: diag.Pos{Line: *line, Column: 1, Offset: *line}}
}

// module is the files as they are now. The default stands in the first.
func (w *town) module() *check.Module {
	m := &check.Module{Default: &check.Default{Action: w.fallback}, Tiers: slices.Clone(w.tiers)}
	for _, f := range w.files {
		m.Files, m.Policies = append(m.Files, f.name), append(m.Policies, f.policies...)
	}
	if len(m.Files) > 0 {
		m.Default.Span = diag.Span{File: m.Files[0]}
	}
	return m
}

// block reads a file anew and draws one of its blocks, to be changed and read again.
func (w *town) block(t *rapid.T) (*townFile, *check.Block, program.Direction) {
	f := rapid.SampledFrom(w.files).Draw(t, "file")
	f.read(0)
	p := rapid.SampledFrom(f.policies).Draw(t, "policy")
	if p.Egress != nil && (p.Ingress == nil || rapid.Bool().Draw(t, "egress")) {
		return f, p.Egress, program.Egress
	}
	return f, p.Ingress, program.Ingress
}

// workload draws one that may be changed, in a new slice.
func (w *town) workload(t *rapid.T) *program.Workload {
	w.inv.Workloads = slices.Clone(w.inv.Workloads)
	return &w.inv.Workloads[rapid.IntRange(0, len(w.inv.Workloads)-1).Draw(t, "workload")]
}

// edits are what may happen, by name. Each is for a town with files and workloads.
func edits() map[string]func(*town, *rapid.T) {
	return map[string]func(*town, *rapid.T){
		"nothing": func(*town, *rapid.T) {},
		"port": func(w *town, t *rapid.T) {
			f, b, _ := w.block(t)
			for _, r := range b.Rules {
				if r.L7 == nil || r.L7.Kind != program.L7DNS {
					r.L4 = []program.L4{tcp(8080, uint16(8080+rapid.IntRange(0, 3).Draw(t, "last")))}
				}
			}
			f.read(0)
		},
		"rule added": func(w *town, t *rapid.T) {
			f, b, d := w.block(t)
			w.made++
			b.Rules = append(b.Rules, drawRule(t, d, fmt.Sprintf("new%d", w.made), false))
			f.read(0)
		},
		"requests": func(w *town, t *rapid.T) {
			f, b, _ := w.block(t)
			b.Rules = append(b.Rules, w.requests(t))
			f.read(0)
		},
		"rule removed": func(w *town, t *rapid.T) {
			f, b, _ := w.block(t)
			if len(b.Rules) > 0 {
				b.Rules = b.Rules[1:]
			}
			f.read(0)
		},
		"pass": func(w *town, t *rapid.T) {
			f, b, d := w.block(t)
			w.made++
			r := drawRule(t, d, fmt.Sprintf("pass%d", w.made), true)
			b.Rules = append(b.Rules, r)
			f.read(0)
		},
		"peers": func(w *town, t *rapid.T) {
			f, b, _ := w.block(t)
			for _, r := range b.Rules {
				if !hasDomainPeer(r) {
					r.Peers = program.Peers{Include: []program.Peer{drawPeer(t)}}
				}
			}
			f.read(0)
		},
		"subject": func(w *town, t *rapid.T) {
			f := rapid.SampledFrom(w.files).Draw(t, "file")
			f.read(0)
			for f.policies[0].Subject.All || rapid.Bool().Draw(t, "again") {
				if s := drawPeer(t); s.Kind == program.PeerSelector {
					f.policies[0].Subject = program.Subject{Selector: s.Selector}
				}
			}
		},
		"lines": func(w *town, t *rapid.T) { rapid.SampledFrom(w.files).Draw(t, "file").read(7) },
		"file added": func(w *town, t *rapid.T) {
			if len(w.files) < 5 {
				w.addFile(t)
			}
		},
		"file removed": func(w *town, t *rapid.T) {
			w.files = slices.Delete(slices.Clone(w.files), 0, bit(len(w.files) > 1))
		},
		"file renamed": func(w *town, t *rapid.T) {
			f := rapid.SampledFrom(w.files).Draw(t, "file")
			f.name = "z" + f.name
			f.read(0)
			slices.SortFunc(w.files, func(a, b *townFile) int { return cmpString(a.name, b.name) })
		},
		"files reordered": func(w *town, _ *rapid.T) {
			w.files = append(slices.Clone(w.files[1:]), w.files[0])
		},
		"file away or back": func(w *town, t *rapid.T) {
			i := rapid.IntRange(0, len(w.files)-1).Draw(t, "file")
			switch {
			case w.away != nil:
				w.files, w.away = slices.Insert(slices.Clone(w.files), i, w.away), nil
			case len(w.files) > 1:
				w.away, w.files = w.files[i], slices.Delete(slices.Clone(w.files), i, i+1)
			}
		},
		"default": func(w *town, t *rapid.T) { w.fallback = 1 - w.fallback },
		"tier": func(w *town, t *rapid.T) {
			w.tiers = slices.Clone(w.tiers)
			tier := &w.tiers[rapid.IntRange(1, 2).Draw(t, "tier")]
			tier.Default = 1 - tier.Default
		},
		"workload added": func(w *town, t *rapid.T) {
			w.made++
			like := *w.workload(t)
			like.Name = fmt.Sprintf("%c%d", 'a'+rapid.IntRange(0, 25).Draw(t, "name"), w.made)
			if like.Cgroup != "" {
				like.Cgroup = like.Name
			} else {
				like.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(w.made % 2), byte(20 + w.made)})}
			}
			if like.Interface != "" && rapid.Bool().Draw(t, "here") {
				like.Interface = "veth-" + like.Name
			} else {
				like.Interface = ""
			}
			w.put(like)
		},
		"workload removed": func(w *town, t *rapid.T) {
			i := rapid.IntRange(0, len(w.inv.Workloads)-1).Draw(t, "workload")
			w.inv.Workloads = slices.Delete(slices.Clone(w.inv.Workloads), i, i+bit(len(w.inv.Workloads) > 2))
		},
		"workload relabelled": func(w *town, t *rapid.T) {
			w.workload(t).Labels = labels("app", rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "app"))
		},
		"new labels": func(w *town, t *rapid.T) {
			w.made++
			w.workload(t).Labels = labels("app", rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "app"), "pod", fmt.Sprint(w.made))
		},
		"workload moved": func(w *town, t *rapid.T) {
			w.made++
			if x := w.workload(t); x.Cgroup == "" {
				x.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(w.made % 2), byte(20 + w.made)})}
			}
		},
		"address added": func(w *town, t *rapid.T) {
			w.made++
			if x := w.workload(t); x.Cgroup == "" {
				x.Addresses = append(slices.Clip(x.Addresses), netip.AddrFrom4([4]byte{198, 51, 100, byte(20 + w.made)}))
			}
		},
		"workload divided": func(w *town, t *rapid.T) {
			w.made++
			if x := w.workload(t); len(x.Addresses) > 1 {
				half := *x
				half.Name, half.Addresses = fmt.Sprintf("%s%d", x.Name, w.made), x.Addresses[1:]
				if half.Interface != "" {
					half.Interface = "veth-" + half.Name
				}
				x.Addresses = x.Addresses[:1]
				w.put(half)
			}
		},
		"workload goes elsewhere": func(w *town, t *rapid.T) {
			x := w.workload(t)
			x.Interface, x.Cgroup = "", ""
		},
		"resolvers": func(w *town, t *rapid.T) {
			w.inv.Resolvers = rapid.SampledFrom([][]netip.Addr{addrs("9.9.9.9"), addrs("10.0.0.2", "203.0.113.9"), nil}).Draw(t, "resolvers")
		},
		"node": func(w *town, t *rapid.T) {
			w.inv.Node = rapid.SampledFrom([][]netip.Addr{addrs("192.0.2.1"), addrs("192.0.2.1", "198.51.100.7"), nil}).Draw(t, "node")
		},
		"inventory wrong": func(w *town, t *rapid.T) {
			x := w.workload(t)
			x.Addresses = addrs("127.0.0.1")
		},
	}
}

// put adds a workload at its place.
func (w *town) put(x program.Workload) {
	i, taken := slices.BinarySearchFunc(w.inv.Workloads, x.Name, func(y program.Workload, name string) int { return cmpString(y.Name, name) })
	if !taken {
		w.inv.Workloads = slices.Insert(slices.Clone(w.inv.Workloads), i, x)
	}
}

// After every edit a Compile with memory gives what one without gives, to the byte, and the programs
// before it stay as they were.
func TestMemory(t *testing.T) {
	kinds := edits()
	names := slices.Sorted(maps.Keys(kinds))
	wanted := []string{"shared rules", "error", "within limits"}
	for _, code := range limitCodes() {
		wanted = append(wanted, string(code), "after "+string(code))
	}
	for _, name := range names {
		wanted = append(wanted, "after "+name)
	}
	seen := tally{}
	seen.cover(t, wanted, func(t *rapid.T) {
		memory := compiler.Memory{Limits: drawLimits(t)}
		var last *program.Program
		var hash string
		var over diag.Code // of the last run
		w := newTown(t)
		for range rapid.IntRange(2, 8).Draw(t, "steps") {
			m := w.module()
			got, gotDiags := memory.Compile(m, w.inv)
			fresh := compiler.Memory{Limits: memory.Limits}
			want, wantDiags := fresh.Compile(m, w.inv)
			if diff := gocmp.Diff(wantDiags, gotDiags); diff != "" {
				t.Fatalf("diagnostics (-want +got):\n%s", diff)
			}
			if diff := gocmp.Diff(dump(t, want), dump(t, got)); diff != "" {
				t.Fatalf("program (-want +got):\n%s", diff)
			}
			if got != nil && got.Hash() != want.Hash() {
				t.Fatal("equal dumps have two names")
			}
			if last != nil && last.Hash() != hash {
				t.Fatal("an earlier program has changed")
			}
			if got == nil {
				seen["error"]++
				over = ""
				for _, d := range gotDiags {
					if slices.Contains(limitCodes(), d.Code) {
						over = d.Code
						seen[string(over)]++
					}
				}
			} else {
				if memory.Limits != (program.Limits{}) {
					withinLimits(t, got, memory.Limits.OfNode())
					seen["within limits"]++
				}
				if over != "" {
					seen["after "+string(over)]++
				}
				over = ""
				if last != nil && len(got.Rules.Policies) > 0 && len(last.Rules.Policies) > 0 && &got.Rules.Policies[0] == &last.Rules.Policies[0] {
					seen["shared rules"]++
				}
				last, hash = got, got.Hash()
			}
			name := rapid.SampledFrom(names).Draw(t, "edit")
			kinds[name](w, t)
			if got != nil {
				seen["after "+name]++
			}
		}
	})
	t.Log(seen)
}

func dump(t rapid.TB, p *program.Program) string {
	t.Helper()
	if p == nil {
		return ""
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
