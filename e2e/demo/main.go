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

	"mpol/e2e/lab"
	"mpol/e2e/node"
)

func main() {
	mpol := flag.String("mpol", "bin/mpol", "the mpol binary")
	envoy := flag.String("envoy", ".tools/envoy", "the Envoy binary")
	policies := flag.String("policies", "policies/examples/shop", "the folder of the shop's policies")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Stdout, *mpol, *envoy, *policies); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs the whole demonstration; its error says which rows are not what the policy says.
func demo(ctx context.Context, out io.Writer, mpol, envoy, policies string) (err error) {
	for _, path := range []*string{&mpol, &envoy, &policies} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	w, err := lab.NewWorld(ctx, lab.WorldConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := serve(w); err != nil {
		return err
	}
	started, err := node.Start(ctx, w, config(mpol, envoy, policies))
	if err != nil {
		return err
	}
	n := &shop{started}
	defer func() {
		if err != nil {
			fmt.Fprintf(os.Stderr, "\nthe agent's log:\n%s", n.Log)
		}
		err = errors.Join(err, n.Stop())
	}()
	results, err := play(ctx, n)
	wrong, printErr := print(out, results)
	if err = errors.Join(err, ctx.Err(), printErr); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d lines are not what the policy says", wrong, len(lines(results)))
	}
	_, err = fmt.Fprintf(out, "\nEach of %d tries came out as the policy says.\n", len(results))
	return err
}

// play tries everything in order; what was tried before an error is returned with it.
func play(ctx context.Context, n *shop) ([]result, error) {
	var results []result
	for _, f := range n.families() {
		for _, r := range n.rows(f) {
			if err := ctx.Err(); err != nil {
				return results, err
			}
			results = append(results, r.run(ctx, "IPv"+f.name, n.Events))
		}
	}
	a := &act{n: n, f: n.families()[0], events: n.Events}
	for _, part := range []func(context.Context) error{a.killEnvoy, a.edits} {
		if err := part(ctx); err != nil {
			return append(results, a.done...), err
		}
	}
	return append(results, a.done...), nil
}
