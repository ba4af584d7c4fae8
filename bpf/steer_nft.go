// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// setUpNFT replaces the table by its present content in one transaction.
//
//	table inet mpol {
//		chain prerouting {
//			type filter hook prerouting priority raw; policy accept;
//			meta mark 0x00006d01 notrack
//			...
//			ip daddr 127.77.0.0/16 notrack
//			...
//		}
//		chain output { the same at the hook output }
//		set governed { typeof iifname; elements = { "veth1" } }
//		set attached { typeof iif; elements = { 7 } }
//		chain from_governed {
//			type filter hook prerouting priority raw; policy accept;
//			iifname @governed iif != @attached drop
//		}
//		chain to_governed { the same of oifname and oif at the hook postrouting }
//	}
func (s Steering) setUpNFT() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: s.nftName()}
	// The first add makes sure that there is something to delete.
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	for _, at := range []struct {
		name string
		hook *nftables.ChainHook
	}{
		{"prerouting", nftables.ChainHookPrerouting},
		{"output", nftables.ChainHookOutput},
	} {
		chain := conn.AddChain(&nftables.Chain{
			Name:     at.name,
			Table:    table,
			Type:     nftables.ChainTypeFilter,
			Hooknum:  at.hook,
			Priority: nftables.ChainPriorityRaw,
		})
		for _, match := range s.untracked() {
			exprs := append(match, &expr.Notrack{})
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
		}
	}
	if err := s.closeOthers(conn, table); err != nil {
		return fmt.Errorf("write nft table %s: %w", s.nftName(), err)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write nft table %s: %w", s.nftName(), err)
	}
	return nil
}

// closeOthers closes devices that have the name of one of s.Devices and not its number.
func (s Steering) closeOthers(conn *nftables.Conn, table *nftables.Table) error {
	if len(s.Devices) == 0 {
		return nil
	}
	names := &nftables.Set{Table: table, Name: "governed", KeyType: nftables.TypeIFName}
	numbers := &nftables.Set{Table: table, Name: "attached", KeyType: nftables.TypeIFIndex}
	var named, numbered []nftables.SetElement
	for name, number := range s.Devices {
		var key [unix.IFNAMSIZ]byte
		copy(key[:], name)
		named = append(named, nftables.SetElement{Key: key[:]})
		numbered = append(numbered, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(number))})
	}
	if err := errors.Join(conn.AddSet(names, named), conn.AddSet(numbers, numbered)); err != nil {
		return err
	}
	for _, at := range []struct {
		chain        string
		hook         *nftables.ChainHook
		name, number expr.MetaKey
	}{
		{"from_governed", nftables.ChainHookPrerouting, expr.MetaKeyIIFNAME, expr.MetaKeyIIF},
		{"to_governed", nftables.ChainHookPostrouting, expr.MetaKeyOIFNAME, expr.MetaKeyOIF},
	} {
		chain := conn.AddChain(&nftables.Chain{
			Name: at.chain, Table: table, Type: nftables.ChainTypeFilter, Hooknum: at.hook,
			Priority: nftables.ChainPriorityRaw,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: at.name, Register: 1},
			&expr.Lookup{SourceRegister: 1, SetName: names.Name, SetID: names.ID},
			&expr.Meta{Key: at.number, Register: 1},
			&expr.Lookup{SourceRegister: 1, SetName: numbers.Name, SetID: numbers.ID, Invert: true},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	return nil
}

func (s Steering) removeNFT() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	conn.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: s.nftName()})
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete nft table %s: %w", s.nftName(), err)
	}
	return nil
}

// untracked lists the matches for packets that connection tracking must not see: with it,
// SO_ORIGINAL_DST would win over the socket's address, and NAT would change what was judged.
func (s Steering) untracked() [][]expr.Any {
	var matches [][]expr.Any
	for _, mark := range []uint32{s.Marks.Redirect, s.Marks.Loop, s.Marks.Upstream} {
		matches = append(matches, []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		})
	}
	aliases4, aliases6 := aliases()
	return append(matches,
		matchPrefix(unix.NFPROTO_IPV4, 12, aliases4), matchPrefix(unix.NFPROTO_IPV4, 16, aliases4),
		matchPrefix(unix.NFPROTO_IPV6, 8, aliases6), matchPrefix(unix.NFPROTO_IPV6, 24, aliases6))
}

// matchPrefix compares the address at an offset (in bytes, from the start of the IP header).
func matchPrefix(family byte, offset uint32, prefix netip.Prefix) []expr.Any {
	n := uint32(prefix.Bits() / 8)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: prefix.Addr().AsSlice()[:n]},
	}
}
