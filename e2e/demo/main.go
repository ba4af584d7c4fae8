// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	mpol := flag.String("mpol", "bin/mpol", "the mpol binary")
	envoy := flag.String("envoy", ".tools/envoy", "the Envoy binary")
	shop := flag.String("shop", "policies/examples/shop", "the folder of the shop's policies")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Stdout, *mpol, *envoy, *shop); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs the whole demonstration; its error says which rows are not what the policy says.
func demo(ctx context.Context, w io.Writer, mpol, envoy, shop string) (err error) {
	for _, path := range []*string{&mpol, &envoy, &shop} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	n, err := start(ctx, mpol, envoy, shop)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			n.dump(os.Stderr)
		}
		err = errors.Join(err, n.stop())
	}()
	results, err := play(ctx, n)
	wrong, printErr := print(w, results)
	if err = errors.Join(err, ctx.Err(), printErr); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d rows are not what the policy says", wrong, len(results))
	}
	fmt.Fprintf(w, "\n%d rows, each as the policy says.\n", len(results))
	return nil
}

// play tries everything in order; what was tried before an error is returned with it.
func play(ctx context.Context, n *node) ([]result, error) {
	events := &tail{path: filepath.Join(n.state, "events.jsonl")}
	var results []result
	for _, f := range n.families() {
		for _, r := range n.rows(f) {
			if err := ctx.Err(); err != nil {
				return results, err
			}
			results = append(results, r.run(ctx, "IPv"+f.name, events))
		}
	}
	a := &act{n: n, f: n.families()[0], events: events}
	for _, part := range []func(context.Context) error{a.killEnvoy, a.edits} {
		if err := part(ctx); err != nil {
			return append(results, a.done...), err
		}
	}
	return append(results, a.done...), nil
}
