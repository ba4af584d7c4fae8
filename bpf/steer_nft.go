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
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write nft table %s: %w", s.nftName(), err)
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
