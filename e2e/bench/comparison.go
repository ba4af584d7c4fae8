// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
)

// metric is a figure with its unit; more is better only where the unit says "a second".
type metric struct{ what, unit string }

// side is one of the two that are compared. Its measure gives a value for each metric.
type side struct {
	name    string
	measure func() ([]float64, error)
	values  [][]float64 // by metric, then by round
}

// comparison is what is measured beside what.
type comparison struct {
	metrics      []metric
	beside, ours side
}

// measure runs all comparisons round by round; which side comes first changes with the round.
func measure(ctx context.Context, all []*comparison, rounds int) error {
	for round := range rounds {
		for _, c := range all {
			order := []*side{&c.beside, &c.ours}
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, s := range order {
				if err := ctx.Err(); err != nil {
					return err
				}
				runtime.GC() // what the other side left is not this one's
				if err := s.round(len(c.metrics)); err != nil {
					return fmt.Errorf("%s, %s: %w", c.metrics[0].what, s.name, err)
				}
			}
		}
	}
	return nil
}

func (s *side) round(metrics int) error {
	got, err := s.measure()
	if err != nil {
		return err
	}
	if len(got) != metrics {
		return fmt.Errorf("%d values, want %d", len(got), metrics)
	}
	if s.values == nil {
		s.values = make([][]float64, metrics)
	}
	for i, v := range got {
		s.values[i] = append(s.values[i], v)
	}
	return nil
}

// ratios are ours by beside's, round by round.
func (c *comparison) ratios(metric int) []float64 {
	var all []float64
	for i, there := range c.beside.values[metric] {
		all = append(all, c.ours.values[metric][i]/there)
	}
	return all
}

// quantile of the values: 0 the least, 0.5 the median, 1 the greatest.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
