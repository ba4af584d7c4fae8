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
	rounds := flag.Int("rounds", 9, "how often each figure is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, os.Stdout, *mpol, *envoy, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, out io.Writer, mpol, envoy string, rounds int) (err error) {
	for _, path := range []*string{&mpol, &envoy} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if rounds < 1 {
		return fmt.Errorf("%d rounds, want at least 1", rounds)
	}
	p, err := newPair(ctx, mpol, envoy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	packets, err := p.packets(ctx)
	if err != nil {
		return err
	}
	questions, err := p.questions(ctx)
	if err != nil {
		return err
	}
	requests, err := p.requests(ctx)
	if err != nil {
		return err
	}
	flows, err := p.flows(ctx)
	if err != nil {
		return err
	}
	all := append(append(append(packets, questions...), requests...), flows...)
	if err := writeFacts(out, rounds); err != nil {
		return err
	}
	if err := measure(ctx, all, rounds); err != nil {
		return errors.Join(err, p.explain(context.WithoutCancel(ctx)))
	}
	return writeTable(out, all)
}
