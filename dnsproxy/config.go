// SPDX-License-Identifier: Apache-2.0

package dnsproxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"mpol/compiler/program"
)

// maxUDPSafe is the largest message sent to a client over UDP, in octets, whatever the client
// takes: it fits the smallest IPv6 path without a fragment.
const maxUDPSafe = 1232

// Config is what a Proxy is made of. Client, Commit and Listen are required.
type Config struct {
	// Listen is where the proxy takes packets, over UDP and TCP each. Port 0 picks one. The sockets
	// are transparent: they also take what the datapath or a route hands them for other addresses,
	// and answer from there.
	Listen []netip.AddrPort
	// Workers is the number of UDP sockets for each address, which share its load; 0 is one.
	Workers int
	// Client says whose flow it is; ok is false for a stranger, who is refused. Proto is
	// program.ProtoUDP or ProtoTCP; server is where the client's packet was sent, as it arrived.
	Client func(proto uint8, client, server netip.AddrPort) (c Client, ok bool)
	// Commit opens addresses and returns when the kernel knows them. It is called from many
	// goroutines at once, must return when ctx ends, and of two TTLs for one address and set keeps
	// the longer.
	Commit func(ctx context.Context, g Grant) error
	// Event, if set, is told of each question once its answer is decided. It must not block.
	Event func(Event)
	// Mark is set on the sockets whose packets come from a server's address: those that listen and
	// those that answer. 0 sets none.
	Mark uint32
	// Control, if set, is called on every socket towards a server before it connects.
	Control func(network, address string, c syscall.RawConn) error
	// Refusal is what a denied client is told.
	Refusal Refusal
	// Search are the search suffixes of the node: a denied name that ends in one does not exist,
	// whatever Refusal says, so that a client goes on to the next suffix.
	Search   []string
	TTL      TTL
	Limits   Limits
	Timeouts Timeouts
	// Clock is time.Now unless set. Its times must carry a monotonic reading.
	Clock func() time.Time
}

// Client is who asks, and whom.
type Client struct {
	Workload string
	// Server is the server that the client meant, after undoing any rewriting of its packet.
	Server netip.AddrPort
	// Receiver is the host workload whose socket the server's is, empty where it is none.
	Receiver string
}

// Refusal is the answer to a denied question.
type Refusal uint8

// The refusals.
const (
	Refused  Refusal = iota // REFUSED
	NXDomain                // NXDOMAIN, with an SOA that bounds its memory
)

// TTL says how long a learned address is open: the record's TTL between Min and Max, plus Grace,
// which clients that pool connections need. The zero value is 5 s, 1 h and 60 s.
type TTL struct {
	Min, Max, Grace time.Duration
}

func (t TTL) orDefault() TTL {
	if t == (TTL{}) {
		return TTL{Min: 5 * time.Second, Max: time.Hour, Grace: time.Minute}
	}
	return t
}

// clamp returns the time for a record's TTL in seconds, without Grace.
func (t TTL) clamp(ttl uint32) time.Duration {
	return min(max(time.Duration(ttl)*time.Second, t.Min), t.Max)
}

// Limits bound what one workload can take of the proxy. Zero fields get the defaults given.
type Limits struct {
	InFlight    int // questions that wait for an answer, 1024
	Connections int // TCP connections, 64
	Pipelined   int // questions of one TCP connection that wait for an answer, 64
	Remembered  int // answers kept for Replay, 4096; the oldest goes first
	Servers     int // servers spoken to over UDP, of all workloads together, 64
}

// Timeouts bound how long a client waits. Zero fields get the defaults given.
type Timeouts struct {
	Query  time.Duration // from the question to SERVFAIL, 4 s: less than a client waits
	Commit time.Duration // for Config.Commit, 3 s; it never outlasts Query
	Idle   time.Duration // for the next whole message of a TCP connection, 10 s
}

// NameSetKey names a NameSet for ever: the keys of its table and class.
type NameSetKey struct {
	Table, Class string
}

// Grant asks for addresses to be opened to one workload.
type Grant struct {
	Workload  string
	Sets      []NameSetKey // those that the name belongs to, one a view at most
	Addresses []Address
	Name      program.Name
}

// Address is an address of a Grant, open for TTL from now on, the grace period included.
type Address struct {
	Addr netip.Addr
	TTL  time.Duration
}

// Verdict is what became of a question.
type Verdict uint8

// The verdicts of questions.
const (
	Allowed Verdict = iota // answered by the server
	Denied                 // refused by the policy, or because no policy can judge it
	Failed                 // SERVFAIL: no believable answer, or its addresses could not be opened
)

// String returns the verdict in lower case.
func (v Verdict) String() string { return [...]string{"allowed", "denied", "failed"}[v] }

// Event reports a question. Name and Type are empty when it could not be read.
type Event struct {
	Time       time.Time
	Generation uint64 // of the view whose rule it is; 0 when none was asked
	Workload   string // empty for a stranger
	Client     netip.AddrPort
	Server     netip.AddrPort
	Proto      uint8
	Name       program.Name
	Type       uint16
	Verdict    Verdict
	Rule       string    // the key of its source, empty when no rule decided
	Log        bool      // the rule asks for a report
	Reason     string    // of what is not Allowed
	Granted    []Address // what was committed for the answer
}

// withDefaults checks c and fills in what is not set.
func (c Config) withDefaults() (Config, error) {
	switch {
	case len(c.Listen) == 0:
		return c, errors.New("configure DNS proxy: no address to listen on")
	case c.Client == nil || c.Commit == nil:
		return c, errors.New("configure DNS proxy: Client and Commit are required")
	}
	if c.Event == nil {
		c.Event = func(Event) {}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	c.TTL = c.TTL.orDefault()
	if c.TTL.Min < 0 || c.TTL.Min > c.TTL.Max || c.TTL.Grace < 0 || c.TTL.Max > 1<<31*time.Second {
		return c, fmt.Errorf("configure DNS proxy: TTL %v to %v with grace %v", c.TTL.Min, c.TTL.Max, c.TTL.Grace)
	}
	preset(&c.Workers, 1)
	preset(&c.Limits.InFlight, 1024)
	preset(&c.Limits.Connections, 64)
	preset(&c.Limits.Pipelined, 64)
	preset(&c.Limits.Remembered, 4096)
	preset(&c.Limits.Servers, 64)
	preset(&c.Timeouts.Query, 4*time.Second)
	preset(&c.Timeouts.Commit, 3*time.Second)
	preset(&c.Timeouts.Idle, 10*time.Second)
	return c, nil
}

func preset[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}
