// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"mpol/agent/config"
	"mpol/agent/event"
	"mpol/agent/live"
	"mpol/agent/number"
	"mpol/agent/place"
	"mpol/agent/status"
	"mpol/agent/watch"
	"mpol/bpf"
	"mpol/compiler/program"
	"mpol/dnsproxy"
	"mpol/internal/source"
	"mpol/l7proxy"
	"mpol/lang/diag"
)

// Agent is a running node. Its parts are made by open in the order of their fields and closed in
// the opposite one.
type Agent struct {
	cfg     *config.Config
	log     *slog.Logger
	started time.Time
	loader  loader

	status   *status.Server
	place    *place.Place
	book     *number.Book
	events   *event.Writer
	datapath *bpf.Datapath
	dns      *dnsproxy.Proxy
	l7       *l7proxy.Server
	live     *live.Set

	unswept *bpf.Stage // of the last switch, nil when it is swept
	places  string     // of the machine, that the generation in force is attached to
	seen    string     // the machine at the last reload

	mu sync.Mutex
	// current is the generation in force, nil before the first. During a switch coming is the next
	// one, and after it previous helps to explain what that one still decided.
	previous, current, coming *generation
	rejected                  *rejection // nil when the files are in force
}

// Run starts the node and keeps it until ctx is done. A first generation that cannot come into
// force ends Run with an error (a *PolicyError when the files are wrong) and leaves nothing behind.
// Afterwards only ctx or the failure of a part that cannot go on ends it; the last generation then
// stays in force.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	a := &Agent{cfg: cfg, log: log, started: time.Now(), loader: loader{cfg: cfg}, live: live.New()}
	if err := a.prepare(); err != nil {
		return err
	}
	// Compiled before anything is touched: a wrong policy must not leave a trace.
	now, err := a.look()
	if err != nil {
		return err
	}
	first, warnings, err := a.loader.load(ctx, now.inv)
	if err != nil {
		return err
	}
	if err := a.claim(); err != nil {
		return err
	}
	fresh := !bpf.Adoptable(cfg.BPFFS)
	if err := a.open(); err != nil {
		return errors.Join(err, a.undo(fresh))
	}
	serveCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts := a.serve(serveCtx)
	if err = a.replace(ctx, first, first.Hash(), now.places); err == nil {
		a.announce(warnings)
		fresh = false
		err = a.follow(ctx, parts.failed)
	}
	stop()
	return errors.Join(err, parts.wait(), a.undo(fresh))
}

// announce logs the generation in force and what the compiler warns of.
func (a *Agent) announce(warnings diag.List) {
	for _, d := range warnings {
		a.log.Warn(d.Summary, "code", d.Code, "at", d.Span)
	}
	a.log.Info("in force", "generation", a.current.number, "policies", len(a.current.program.Rules.Policies))
}

// prepare looks at the machine without changing it.
func (a *Agent) prepare() error {
	if err := bpf.Probe(); err != nil {
		return err
	}
	return a.checkMachine()
}

// retry is how long after a part of the machine failed a reload is tried again.
const retry = 5 * time.Second

// follow reloads the files whenever they or the machine change, until ctx is done or a part has failed.
func (a *Agent) follow(ctx context.Context, failed <-chan error) error {
	w, err := watch.New(func() []string {
		return source.Folders(slices.Concat(a.cfg.Policies, a.cfg.Guardrails))
	})
	if err != nil {
		return err
	}
	defer w.Close()
	changes := w.Changes(ctx)
	again := time.NewTimer(0) // at once: for what changed between the first load and the watch
	defer again.Stop()
	look := time.NewTicker(glance)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-changes:
		case <-again.C:
		case <-look.C:
			if !a.moved() {
				continue
			}
		}
		if !a.reload(ctx) {
			again.Reset(retry)
		}
	}
}

// reload brings the files as they are now into force. What is wrong with them is reported and
// changes nothing. It returns false when the files are right and something else failed.
func (a *Agent) reload(ctx context.Context) bool {
	var (
		p        *program.Program
		warnings diag.List
		changed  bool
	)
	now, err := a.look()
	if err == nil {
		a.seen = fmt.Sprint(now)
		p, warnings, err = a.loader.load(ctx, now.inv)
	}
	if err == nil {
		changed, err = a.replaceChanged(ctx, p, now.places)
	}
	if ctx.Err() != nil {
		return true
	}
	if err != nil {
		a.log.Error("policy files rejected; the generation in force stays", "generation", a.current.number, "error", err)
		a.reject(err)
		return errors.As(err, new(*PolicyError))
	}
	a.accept()
	if changed {
		a.announce(warnings)
	}
	return true
}

// undo closes every part that was opened. With everything also what outlives an agent goes.
func (a *Agent) undo(everything bool) error {
	var errs []error
	if a.status != nil {
		errs = append(errs, a.status.Silence()) // it reports on the parts
	}
	if a.datapath != nil {
		errs = append(errs, a.datapath.Close())
	}
	if a.events != nil {
		errs = append(errs, a.events.Close())
	}
	if a.book != nil {
		errs = append(errs, a.book.Close())
	}
	if a.place != nil {
		errs = append(errs, a.place.Leave(), a.place.Close())
	}
	if a.status != nil {
		errs = append(errs, a.status.Close())
	}
	if everything {
		errs = append(errs, remove(context.Background(), a.cfg))
	}
	return errors.Join(errs...)
}

// Cleanup removes everything that agents with this configuration left on the node: programs, maps,
// routes, Envoy, cgroups and state. It refuses while an agent runs.
func Cleanup(ctx context.Context, cfg *config.Config) error {
	if _, err := status.Read(ctx, cfg.State); err == nil {
		return fmt.Errorf("clean up: %w; stop it first", status.ErrRunning)
	}
	return remove(ctx, cfg)
}

// remove takes away what outlives an agent. The folder of the state goes only when nothing of
// others is in it.
func remove(ctx context.Context, cfg *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	own, err := ownCgroup(cfg)
	if err != nil {
		return err
	}
	errs := []error{
		bpf.Cleanup(datapathConfig(cfg, own, nil)),
		l7proxy.Cleanup(ctx, l7Config(cfg, own)),
		place.Remove(own),
	}
	for _, name := range []string{numbersFile, "status.sock", "events.jsonl"} {
		errs = append(errs, removeFile(cfg, name))
	}
	if err := os.Remove(cfg.State); err != nil && !errors.Is(err, os.ErrNotExist) && !notEmpty(err) {
		errs = append(errs, fmt.Errorf("remove state: %w", err))
	}
	return errors.Join(errs...)
}
