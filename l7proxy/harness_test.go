// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
	"mpol/e2e/lab"
)

const (
	server4 = "203.0.113.10"
	server6 = "2001:db8::10"
	client4 = "198.51.100.7"
	client6 = "2001:db8:c::7"
)

// TestMain moves the whole test process into a network namespace of its own, in which every address
// of the tests is local. The kernel removes the namespace with its last process.
func TestMain(m *testing.M) {
	const moved = "MPOL_TEST_NETNS"
	if os.Geteuid() == 0 && os.Getenv(moved) == "" {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			fmt.Fprintln(os.Stderr, "unshare network:", err)
			os.Exit(1)
		}
		err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), moved+"=1"))
		fmt.Fprintln(os.Stderr, "exec in the new namespace:", err)
		os.Exit(1)
	}
	worker := slices.Contains(os.Args, "-test.fuzzworker") // it begins in the namespace, whose set-up is done
	if os.Geteuid() == 0 && !worker {
		for _, command := range []string{
			"ip link set lo up",
			"ip addr add " + server4 + "/32 dev lo",
			"ip addr add " + client4 + "/32 dev lo",
			"ip addr add " + server6 + "/128 dev lo nodad",
			"ip addr add " + client6 + "/128 dev lo nodad",
			"nft add table inet l7test",
			"nft add chain inet l7test prerouting { type filter hook prerouting priority mangle ; }",
		} {
			args := strings.Fields(command)
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v: %s", command, err, out)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// envoyPath finds the binary that the tests run.
func envoyPath(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("transparent sockets and network namespaces need root: run the tests as root")
	}
	path := os.Getenv("MPOL_ENVOY")
	if path == "" {
		path = filepath.Join("..", ".tools", "envoy")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("no Envoy: run make setup, or name the binary in MPOL_ENVOY")
	}
	return path
}

// firstPort hands each proxy of this process a range of its own.
var firstPort atomic.Uint32

const portsPerProxy = 200

// proxy is a Server with a real Envoy and what it reported.
type proxy struct {
	*Server
	t      testing.TB
	config Config
	served chan error
	cancel context.CancelFunc

	mu     sync.Mutex
	events []Request
	nft    map[uint16]bool
}

// newProxy starts a proxy that ends with the test.
func newProxy(t testing.TB, change ...func(*Config)) *proxy {
	t.Helper()
	envoy := envoyPath(t)
	l, err := lab.New() // its cgroup ends Envoy even if this process is killed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	group, err := l.Cgroup.Sub("envoy")
	if err != nil {
		t.Fatal(err)
	}
	first := uint16(15000 + portsPerProxy*(firstPort.Add(1)-1))
	p := &proxy{t: t, nft: map[uint16]bool{}}
	p.config = Config{
		Envoy: envoy, Dir: filepath.Join(l.Dir, "l7"), Cgroup: group.Path,
		FirstPort: first, LastPort: first + portsPerProxy - 1,
		RestartDelay: 200 * time.Millisecond, Workers: 2, Mark: 0x300,
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		Event: p.event,
	}
	for _, f := range change {
		f(&p.config)
	}
	p.serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(p.config.Dir, logFileName))
			t.Logf("envoy's log:\n%s", text)
		}
		if err := Cleanup(ctx, p.config); err != nil {
			t.Error(err)
		}
	})
	return p
}

// serve makes a new Server over the state folder, as a restarted agent does.
func (p *proxy) serve() {
	p.t.Helper()
	s, err := New(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	p.Server, p.cancel, p.served = s, cancel, served
	go func() { served <- s.Serve(ctx) }()
}

// leave ends the Server but not Envoy.
func (p *proxy) leave() {
	p.t.Helper()
	p.cancel()
	if err := <-p.served; err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) event(r Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, r)
}

// apply applies and redirects every profile: a socket marked with a listener's port reaches it.
func (p *proxy) apply(generation string, sets ...[]program.Profile) {
	p.t.Helper()
	if err := p.tryApply(generation, sets...); err != nil {
		p.t.Fatal(err)
	}
	for _, set := range sets {
		for _, one := range set {
			port, ok := p.Port(one.Key)
			if !ok {
				p.t.Fatalf("Port(%q): none", one.Key)
			}
			p.redirect(port)
		}
	}
}

func (p *proxy) tryApply(generation string, sets ...[]program.Profile) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return p.Apply(ctx, generation, sets...)
}

func (p *proxy) redirect(port uint16) {
	p.t.Helper()
	if p.nft[port] {
		return
	}
	p.nft[port] = true
	// As the datapath: to the listener, and a reset where there is none.
	for _, rule := range []string{
		"meta nfproto ipv4 meta mark %d meta l4proto tcp tproxy ip to 127.0.0.1:%d accept",
		"meta nfproto ipv6 meta mark %d meta l4proto tcp tproxy ip6 to [::1]:%d accept",
		"meta mark %d meta l4proto tcp reject with tcp reset",
	} {
		rule = "add rule inet l7test prerouting " + rule
		args := []any{port, port}[:strings.Count(rule, "%d")]
		if out, err := exec.Command("nft", fmt.Sprintf(rule, args...)).CombinedOutput(); err != nil {
			p.t.Fatalf("nft %s: %v: %s", rule, err, out)
		}
	}
}

// dial connects to a server through the profile's listener, or straight if key is empty.
func (p *proxy) dial(key string, server netip.AddrPort) (net.Conn, error) {
	var mark uint16
	if key != "" {
		mark, _ = p.Port(key)
	}
	from := netip.MustParseAddr(client4)
	if server.Addr().Is6() {
		from = netip.MustParseAddr(client6)
	}
	dialer := net.Dialer{
		Timeout:   5 * time.Second,
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
		Control: func(_, _ string, raw syscall.RawConn) (err error) {
			failed := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
			})
			return errors.Join(failed, err)
		},
	}
	conn, err := dialer.Dial("tcp", server.String())
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn, nil
}

// dialLoopback connects to a listener of Envoy without any redirection.
func (p *proxy) dialLoopback(listener netip.AddrPort) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", listener.String(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn, nil
}

// origin is a server that answers each request with the bytes of its head as it got them.
func origin(t testing.TB, ip string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func answer(conn net.Conn) {
	defer conn.Close()
	peer := conn.RemoteAddr().(*net.TCPAddr).IP.String()
	reader := bufio.NewReader(conn)
	for {
		var head strings.Builder
		length := 0
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
			head.WriteString(line)
		}
		if _, err := io.CopyN(io.Discard, reader, int64(length)); err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Peer: %s\r\nDate: today\r\nContent-Length: %d\r\n\r\n%s",
			peer, head.Len(), head.String())
	}
}

// reply is a response with its body read.
type reply struct {
	Code   int
	Body   string
	Header http.Header
}

// exchange writes raw bytes and reads one response.
func exchange(conn net.Conn, reader *bufio.Reader, raw string) (reply, error) {
	if _, err := io.WriteString(conn, raw); err != nil {
		return reply{}, err
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{Code: response.StatusCode, Body: string(body), Header: response.Header}, err
}

// raw sends the bytes on a fresh connection and returns the first response.
func (p *proxy) raw(key string, server netip.AddrPort, text string) (reply, error) {
	conn, err := p.dial(key, server)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	return exchange(conn, bufio.NewReader(conn), text)
}

// until waits for a condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	err := lab.Wait(15*time.Second, what, func() error {
		if !condition() {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// reported waits for the log entry of which condition holds.
func (p *proxy) reported(condition func(Request) bool) Request {
	p.t.Helper()
	var found Request
	until(p.t, "the access log reports it", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range p.events {
			if condition(r) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}
