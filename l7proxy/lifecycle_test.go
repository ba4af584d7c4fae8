// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mpol/compiler/program"
)

// allowing is a profile whose ingress half allows GET below a path.
func allowing(key, path string) program.Profile {
	return profile(key, nil, half(nil, []program.RequestRule{rule("shop.cart."+strings.Trim(path, "/"), request(subtree(path), "GET"))}))
}

// live is a keep-alive connection through a profile.
type live struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader
}

func openLive(t *testing.T, p *proxy, key, ip string) *live {
	t.Helper()
	conn, err := p.dial(key, origin(t, ip))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &live{t: t, conn: conn, reader: bufio.NewReader(conn)}
}

func (l *live) get(path string) int {
	l.t.Helper()
	got, err := exchange(l.conn, l.reader, get(path, "good"))
	if err != nil {
		l.t.Fatalf("GET %s on the live connection: %v", path, err)
	}
	return got.Code
}

func (l *live) want(path string, code int) {
	l.t.Helper()
	if got := l.get(path); got != code {
		l.t.Errorf("GET %s on the live connection = %d, want %d", path, got, code)
	}
}

// TestGenerations switches as the agent does: old, old and new, new. (l7-64)
func TestGenerations(t *testing.T) {
	p := newProxy(t)
	old := []program.Profile{allowing("k", "/a"), allowing("gone", "/")}
	old[0].Ingress.Tiers[0].Allow = append(old[0].Ingress.Tiers[0].Allow,
		rule("shop.cart.both", request(subtree("/both"))), rule("shop.cart.half", request(subtree("/half"))))
	next := []program.Profile{allowing("k", "/b"), allowing("fresh", "/")}
	next[0].Ingress.Tiers[0].Allow = append(next[0].Ingress.Tiers[0].Allow,
		rule("shop.cart.both", request(subtree("/both"))), rule("shop.cart.half", request(subtree("/half"))))
	next[0].Ingress.Tiers[0].Deny = []program.RequestRule{rule("shop.cart.no", request(subtree("/half/no")))}

	steps := []struct {
		generation string
		sets       [][]program.Profile
		want       map[string]int
	}{
		{"1", [][]program.Profile{old}, map[string]int{"/a": 200, "/b": 403, "/both": 200, "/half/no": 200}},
		{"1+2", [][]program.Profile{old, next}, map[string]int{"/a": 403, "/b": 403, "/both": 200, "/half/no": 403, "/half/yes": 200}},
		{"2", [][]program.Profile{next}, map[string]int{"/a": 403, "/b": 200, "/both": 200, "/half/no": 403}},
		{"2+3", [][]program.Profile{next, old}, map[string]int{"/a": 403, "/b": 403, "/both": 200, "/half/no": 403, "/half/yes": 200}},
		{"3", [][]program.Profile{old}, map[string]int{"/a": 200, "/b": 403, "/both": 200, "/half/no": 200}},
	}
	var connections []*live
	for _, step := range steps {
		p.apply(step.generation, step.sets...)
		if connections == nil {
			for _, ip := range []string{server4, server6} {
				connections = append(connections, openLive(t, p, "k", ip))
			}
		}
		for _, l := range connections {
			for path, want := range step.want {
				if got := l.get(path); got != want {
					t.Errorf("generation %s: GET %s = %d, want %d", step.generation, path, got, want)
				}
			}
		}
		p.reported(func(r Request) bool { return r.Generation == step.generation && r.Path == "/both" })
	}
}

// TestListenerComesAndGoes adds and removes a profile beside a live connection of another.
func TestListenerComesAndGoes(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	l := openLive(t, p, "k", server4)
	l.want("/a", 200)
	p.apply("2", []program.Profile{allowing("k", "/a"), allowing("other", "/a")})
	other := openLive(t, p, "other", server4)
	other.want("/a", 200)
	port, _ := p.Port("other")
	p.apply("3", []program.Profile{allowing("k", "/a")})
	l.want("/a", 200)
	until(t, "the listener that nobody wants is gone", func() bool {
		silent, err := silent([]uint16{port})
		return err == nil && silent == port
	})
	other.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := other.reader.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the live connection of a removed listener: %v, want it closed", err)
	}
	if _, err := p.dial("other", origin(t, server4)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("dial through a removed listener = %v, want refused", err)
	}
	p.apply("4", []program.Profile{allowing("k", "/a"), allowing("other", "/a")})
	if again, _ := p.Port("other"); again != port {
		t.Errorf("Port after its return = %d, want %d", again, port)
	}
}

// TestRefused applies what Envoy refuses beside a change that it would take.
func TestRefused(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a"), allowing("wrong", "/a")})
	l := openLive(t, p, "k", server4)
	l.want("/a", 200)
	wrong := profile("wrong", nil, half(nil, []program.RequestRule{
		rule("shop.cart.wrong", request(program.PathPattern{Regexp: "(unclosed"})),
	}))
	err := p.tryApply("2", []program.Profile{allowing("k", "/b"), wrong, allowing("fresh", "/a")})
	if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "unclosed") {
		t.Fatalf("Apply of a wrong expression = %v, want Envoy's reason", err)
	}
	until(t, "the last good generation holds again", func() bool { return p.Ready() && l.get("/a") == 200 })
	l.want("/b", 403)
	p.apply("3", []program.Profile{allowing("k", "/b"), allowing("wrong", "/a")})
	l.want("/a", 403)
	l.want("/b", 200)
}

// TestPortTaken lets another process hold the port of the next listener for a while.
func TestPortTaken(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	taken := netip.AddrPortFrom(netip.MustParseAddr("::1"), p.config.FirstPort+1)
	listener, err := net.Listen("tcp", taken.String())
	if err != nil {
		t.Fatal(err)
	}
	both := []program.Profile{allowing("k", "/b"), allowing("other", "/a")}
	if err := p.tryApply("2", both); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("Apply with a taken port = %v, want Envoy's reason", err)
	}
	l := openLive(t, p, "k", server4)
	until(t, "the last good generation holds again", func() bool { return p.Ready() && l.get("/a") == 200 })
	listener.Close()
	p.apply("3", both)
	l.want("/b", 200)
	openLive(t, p, "other", server6).want("/a", 200)
}

func TestKilled(t *testing.T) {
	for name, kill := range map[string]func(p *proxy, envoy int) error{
		"process": func(_ *proxy, envoy int) error { return unix.Kill(envoy, unix.SIGKILL) },
		"cgroup": func(p *proxy, _ int) error {
			return os.WriteFile(filepath.Join(p.config.Cgroup, "cgroup.kill"), []byte("1"), 0)
		},
	} {
		t.Run(name, func(t *testing.T) { testKilled(t, kill) })
	}
}

func testKilled(t *testing.T, kill func(p *proxy, envoy int) error) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	l := openLive(t, p, "k", server4)
	l.want("/a", 200)
	envoy := p.envoy()
	if err := kill(p, envoy); err != nil {
		t.Fatal(err)
	}
	until(t, "Ready turns false", func() bool { return !p.Ready() })
	if _, err := exchange(l.conn, l.reader, get("/a", "good")); err == nil {
		t.Error("the live connection outlived Envoy")
	}
	if _, err := p.dial("k", origin(t, server4)); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("dial while Envoy is dead = %v, want refused", err)
	}
	until(t, "Ready turns true", p.Ready)
	if again := p.envoy(); again == envoy {
		t.Error("the pid file names the dead Envoy")
	}
	openLive(t, p, "k", server4).want("/a", 200)
	openLive(t, p, "k", server6).want("/b", 403)
	p.apply("2", []program.Profile{allowing("k", "/b")})
	openLive(t, p, "k", server6).want("/b", 200)
}

// TestAdopted ends the Server and starts another over the same folder, as an upgrade does.
func TestAdopted(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a"), allowing("j", "/a")})
	l := openLive(t, p, "k", server4)
	l.want("/a", 200)
	port, _ := p.Port("k")
	former, _ := p.Port("j")
	envoy := p.envoy()
	p.leave()
	l.want("/a", 200)
	l.want("/b", 403)
	openLive(t, p, "k", server4).want("/a", 200)

	p.serve()
	if again, ok := p.Port("k"); !ok || again != port {
		t.Errorf("Port of the new server = %d, %v, want %d", again, ok, port)
	}
	if p.Ready() {
		t.Error("Ready() = true before the first Apply")
	}
	l.want("/a", 200)
	p.apply("2", []program.Profile{allowing("k", "/a")})
	if again := p.envoy(); again != envoy {
		t.Errorf("Envoy is %d, want the adopted %d", again, envoy)
	}
	l.want("/a", 200)
	p.reported(func(r Request) bool { return r.Generation == "2" && r.Path == "/a" })
	until(t, "the listener of a profile that is gone has ended", func() bool {
		silent, err := silent([]uint16{former})
		return err == nil && silent == former
	})
	p.apply("3", []program.Profile{allowing("k", "/b")})
	l.want("/b", 200)
}

// TestAnotherConfiguration does not adopt an Envoy that was started differently.
func TestAnotherConfiguration(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	envoy := p.envoy()
	p.leave()
	p.config.Workers = 1
	p.serve()
	p.apply("1", []program.Profile{allowing("k", "/a")})
	if p.envoy() == envoy {
		t.Error("an Envoy of another configuration was adopted")
	}
	openLive(t, p, "k", server4).want("/a", 200)
}

// TestOtherEndsFirst: an Envoy that was started differently has ended before there is a socket to ask at.
func TestOtherEndsFirst(t *testing.T) {
	p := newProxy(t)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	socket, seen := p.config.path(socketFile), filepath.Join(t.TempDir(), "seen")
	former := exec.Command("sh", "-c", `trap 'test -S "$0"; echo $? > "$1"; exit' TERM; echo; while :; do sleep 0.01; done`, socket, seen)
	out, err := former.StdoutPipe()
	if err == nil {
		err = former.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1)) // the trap is set
	}
	if err != nil {
		t.Fatal(err)
	}
	go former.Wait() // reaps
	state, _, err := describe(former.Process.Pid)
	if err == nil {
		err = writeJSON(p.config.path(pidFile), state)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.serve()
	p.apply("1", []program.Profile{allowing("k", "/a")})
	if status, err := os.ReadFile(seen); string(status) != "1\n" {
		t.Errorf("test -S %s in the former process = %q, %v, want that there is none", socket, status, err)
	}
	openLive(t, p, "k", server4).want("/a", 200)
}

func TestStaleProcess(t *testing.T) {
	dir := t.TempDir()
	c := Config{Dir: dir}
	self, _, err := describe(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*processState){
		"another start": func(s *processState) { s.Start = "1" },
		"another boot":  func(s *processState) { s.Boot = "x" },
		"nobody":        func(s *processState) { s.PID = 1 << 22 },
		"torn":          func(s *processState) { s.PID = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			state := self
			change(&state)
			if err := writeJSON(c.path(pidFile), state); err != nil {
				t.Fatal(err)
			}
			if p, _, err := c.adopt(""); p != nil || err != nil {
				t.Errorf("adopt() = %v, %v, want nobody", p, err)
			}
		})
	}
	if err := writeJSON(c.path(pidFile), self); err != nil {
		t.Fatal(err)
	}
	p, same, err := c.adopt("")
	if p == nil || !same || err != nil {
		t.Fatalf("adopt() of a living process = %v, %v, %v", p, same, err)
	}
	p.close()
}

func TestCleanup(t *testing.T) {
	p := newProxy(t)
	p.apply("1", []program.Profile{allowing("k", "/a")})
	envoy := p.envoy()
	p.leave()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Cleanup(ctx, p.config); err != nil {
		t.Fatal(err)
	}
	if _, alive, err := describe(envoy); err == nil && alive {
		t.Error("Envoy outlived Cleanup")
	}
	if _, err := os.Stat(p.config.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state folder outlived Cleanup: %v", err)
	}
}

func TestNew(t *testing.T) {
	executable := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(executable, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	good := Config{Envoy: executable, Dir: t.TempDir(), FirstPort: 1, LastPort: 2}
	if _, err := New(good); err != nil {
		t.Fatalf("New(%+v) = %v", good, err)
	}
	for want, change := range map[string]func(*Config){
		"no envoy":   func(c *Config) { c.Envoy += "-missing" },
		"no range":   func(c *Config) { c.FirstPort = 3 },
		"no cgroup":  func(c *Config) { c.Cgroup = c.Dir },
		"too long":   func(c *Config) { c.Dir += strings.Repeat("/long", 30) },
		"read ports": func(c *Config) { os.WriteFile(c.path(portsFile), []byte("{"), 0o600) },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q", err, want)
		}
	}
}

// envoy is the process id in the pid file.
func (p *proxy) envoy() int {
	p.t.Helper()
	found, _, err := p.config.adopt("")
	if err != nil || found == nil {
		p.t.Fatalf("adopt() = %v, %v, want an Envoy", found, err)
	}
	found.close()
	return found.pid
}

// TestSwitchUnderLoad asks without pause while generations change.
func TestSwitchUnderLoad(t *testing.T) {
	p := newProxy(t)
	// Each generation allows one path of its own, one in both, and denies one below the other's.
	generation := func(own, other string) []program.Profile {
		one := allowing("k", own)
		tier := &one.Ingress.Tiers[0]
		tier.Allow = append(tier.Allow, rule("shop.cart.both", request(subtree("/both"))), rule("shop.cart.wide", request(subtree("/wide"))))
		tier.Deny = []program.RequestRule{rule("shop.cart.no", request(subtree("/wide"+other)))}
		return []program.Profile{one, publicOnly("beside")}
	}
	a, b := generation("/a", "/b"), generation("/b", "/a")
	p.apply("a", a)
	const connections = 4
	stop, failed := make(chan struct{}), make(chan error, connections)
	for i := range connections {
		key, good := "k", "/both"
		if i == 0 {
			key, good = "beside", "/public"
		}
		l := openLive(t, p, key, []string{server4, server6}[i%2])
		go func() { failed <- l.hammer(stop, good, "/neither", "/a/../neither") }()
	}
	for range 15 {
		p.apply("ab", a, b)
		p.apply("b", b)
		p.apply("ba", b, a)
		p.apply("a", a)
	}
	close(stop)
	for range connections {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// hammer asks for a path that is always allowed and for some that never are.
func (l *live) hammer(stop <-chan struct{}, good string, bad ...string) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		for i, path := range append([]string{good}, bad...) {
			got, err := exchange(l.conn, l.reader, get(path, "good"))
			if err != nil || (got.Code == 200) != (i == 0) {
				return fmt.Errorf("GET %s = %d, %v", path, got.Code, err)
			}
		}
	}
}
