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

// Parts of the benchmark.
const (
	partAll    = "all"
	partAuthor = "author" // what needs neither root nor a kernel
	partNode   = "node"
)

// config is the command line.
type config struct {
	mpol, envoy string
	part        string
	rounds      int
	apps, tests int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "opa":
		return runOPA(ctx, args[1], args[2])
	case len(args) > 1 && args[0] == "usage":
		return runUsage(ctx, os.Stdout, args[1], args[2:])
	}
	var c config
	flag.StringVar(&c.mpol, "mpol", "bin/mpol", "the mpol binary")
	flag.StringVar(&c.envoy, "envoy", ".tools/envoy", "the Envoy binary")
	flag.StringVar(&c.part, "part", partAll, "author, node or all")
	flag.IntVar(&c.rounds, "rounds", 9, "how often each figure is measured")
	flag.IntVar(&c.apps, "apps", 1_000, "files of ten policies that authors have, and tens of workloads")
	flag.IntVar(&c.tests, "tests", 100_000, "lines of tests that authors have")
	flag.Parse()
	return bench(ctx, os.Stdout, c)
}

func bench(ctx context.Context, out io.Writer, c config) (err error) {
	for _, path := range []*string{&c.mpol, &c.envoy} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	switch {
	case c.rounds < 1 || c.apps < 3 || c.tests < 1:
		return errors.New("there are at least 1 round, 3 apps and 1 line of tests")
	case c.part != partAll && c.part != partAuthor && c.part != partNode:
		return fmt.Errorf("no part %q: author, node or all", c.part)
	}
	if err := writeFacts(out, c.rounds); err != nil {
		return err
	}
	var all []*comparison
	if c.part != partNode {
		a, err := newAuthor(ctx, c.mpol, c.apps, c.tests)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		if all, err = a.comparisons(ctx); err != nil {
			return err
		}
		if err := measure(ctx, all, c.rounds); err != nil {
			return err
		}
	}
	if c.part != partAuthor {
		node, err := benchNode(ctx, c)
		if err != nil {
			return err
		}
		all = append(all, node...)
	}
	return writeTable(out, all)
}

// benchNode measures what a node does.
func benchNode(ctx context.Context, c config) (all []*comparison, err error) {
	p, err := newPair(ctx, c.mpol, c.envoy)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for _, part := range []func(context.Context) ([]*comparison, error){p.packets, p.questions, p.requests, p.flows} {
		found, err := part(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if err := measure(ctx, all, c.rounds); err != nil {
		return nil, errors.Join(err, p.explain(context.WithoutCancel(ctx)))
	}
	return all, nil
}
