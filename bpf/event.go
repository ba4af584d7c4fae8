// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"mpol/compiler/program"
)

// Verdict is what happened to a flow.
type Verdict uint8

// The verdicts; their numbers are those of the programs.
const (
	Deny     = Verdict(datapathVerdictVERDICT_DENY)
	Allow    = Verdict(datapathVerdictVERDICT_ALLOW)
	Redirect = Verdict(datapathVerdictVERDICT_REDIRECT)
)

// String returns the word of the project.
func (v Verdict) String() string {
	return map[Verdict]string{Deny: "deny", Allow: "allow", Redirect: "redirect"}[v]
}

// DropReason says why a packet was dropped; 0 says that none was.
type DropReason uint8

// String returns the reason in the words of types.h, e.g. "unknown workload", empty for none.
func (r DropReason) String() string {
	return [datapathDropReasonDROP_REASONS]string{
		datapathDropReasonDROP_POLICY:           "policy",
		datapathDropReasonDROP_MISSING:          "missing entry",
		datapathDropReasonDROP_L7CONFLICT:       "rules in conflict",
		datapathDropReasonDROP_NO_PROFILE:       "no profile",
		datapathDropReasonDROP_NO_LISTENER:      "no listener",
		datapathDropReasonDROP_SPOOFED:          "spoofed source",
		datapathDropReasonDROP_UNKNOWN_WORKLOAD: "unknown workload",
		datapathDropReasonDROP_UNPARSABLE:       "unparsable",
		datapathDropReasonDROP_FRAGMENT:         "fragment",
		datapathDropReasonDROP_NOT_IP:           "not IP",
		datapathDropReasonDROP_NOT_PROXIED:      "not by the proxy",
		datapathDropReasonDROP_CHANGED:          "changed way",
		datapathDropReasonDROP_NO_ENTRY:         "no room for the flow",
	}[r]
}

// Event is a flow that was judged or a packet that was refused.
type Event struct {
	Time       time.Time
	Generation uint32
	Verdict    Verdict
	Reason     DropReason // of a deny
	// Half decided, where Judged; a packet that no policy was asked about has none.
	Judged bool
	Half   program.Direction
	// Rule is the key of the rule that decided, empty where none did.
	Rule string
	// Client and Server are workloads of this node, empty for others.
	Client, Server string
	Proto          uint8
	// Source and Destination are those of the client and the server; the port of Destination is
	// type<<8|code of ICMP.
	Source, Destination netip.AddrPort
	L7                  program.L7Kind
	// Listener is the port of the proxy that a redirect leads to.
	Listener uint16
	// Hook is the program that saw the packet, e.g. "from workload".
	Hook string
}

// Events calls handle for each event, one after the other, until ctx is done; then it returns nil.
// A handler that is slower than the flows loses events, never packets: see Drops.
func (d *Datapath) Events(ctx context.Context, handle func(Event)) error {
	r, err := ringbuf.NewReader(d.objs.Events)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	defer r.Close()
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	var record ringbuf.Record
	for {
		err := r.ReadInto(&record)
		if errors.Is(err, ringbuf.ErrClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		e, err := decodeEvent(record.RawSample)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		handle(d.event(e))
	}
}

func (d *Datapath) event(e datapathEvent) Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := Event{
		Time: wallTime(e.Time), Generation: e.Generation, Verdict: Verdict(e.Verdict), Reason: DropReason(e.Reason),
		Judged: datapathHalf(e.Half) != datapathHalfHALF_NONE,
		Rule:   d.known.rules[e.Rule], Client: d.known.workloads[e.Client], Server: d.known.workloads[e.Server],
		Proto: e.Proto, L7: program.L7Kind(e.L7), Listener: e.L7Port,
		Source:      netip.AddrPortFrom(decodeAddr(e.Src), e.Sport),
		Destination: netip.AddrPortFrom(decodeAddr(e.Dst), e.Dport),
		Hook:        hookName(datapathHook(e.Hook)),
	}
	if out.Judged {
		out.Half = program.Direction(e.Half)
	}
	return out
}

// wallTime turns nanoseconds since boot into the time of day.
func wallTime(boot uint64) time.Time {
	now, err := bootTime()
	if err != nil {
		return time.Now()
	}
	return time.Now().Add(-time.Duration(now - boot))
}

func hookName(h datapathHook) string {
	return strings.ReplaceAll(map[datapathHook]string{
		datapathHookHOOK_FROM_WORKLOAD: datapathProgFromWorkload,
		datapathHookHOOK_TO_WORKLOAD:   datapathProgToWorkload,
		datapathHookHOOK_FROM_UPLINK:   datapathProgFromUplink,
		datapathHookHOOK_FROM_LOOPBACK: datapathProgFromLoopback,
		datapathHookHOOK_SOCKET_OUT:    datapathProgSocketOut,
		datapathHookHOOK_SOCKET_IN:     datapathProgSocketIn,
		datapathHookHOOK_CONNECT:       "connect",
	}[h], "_", " ")
}
