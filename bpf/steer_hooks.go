// SPDX-License-Identifier: Apache-2.0

package bpf

import "github.com/cilium/ebpf"

// cgroupHook is a program with its place at the cgroup root; the name is also that of its pin.
type cgroupHook struct {
	name    string
	at      ebpf.AttachType
	program *ebpf.Program
}

// steeringHooks are the socket-address hooks of hooks.c. They are attached after the programs that
// judge packets, which refuse what is not steered yet, and detached before them.
func steeringHooks(p *datapathPrograms) []cgroupHook {
	return []cgroupHook{
		{"socket_connect4", ebpf.AttachCGroupInet4Connect, p.SocketConnect4},
		{"socket_connect6", ebpf.AttachCGroupInet6Connect, p.SocketConnect6},
		{"socket_sendmsg4", ebpf.AttachCGroupUDP4Sendmsg, p.SocketSendmsg4},
		{"socket_sendmsg6", ebpf.AttachCGroupUDP6Sendmsg, p.SocketSendmsg6},
		{"socket_recvmsg4", ebpf.AttachCGroupUDP4Recvmsg, p.SocketRecvmsg4},
		{"socket_recvmsg6", ebpf.AttachCGroupUDP6Recvmsg, p.SocketRecvmsg6},
		{"socket_getpeername4", ebpf.AttachCgroupInet4GetPeername, p.SocketGetpeername4},
		{"socket_getpeername6", ebpf.AttachCgroupInet6GetPeername, p.SocketGetpeername6},
	}
}
