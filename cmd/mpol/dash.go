// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// twoDashes lets a long flag be written with one dash, as Go's tools have it: -run is --run. What is no
// long flag of the verb stays as it is (-o junit=FILE, a value, what stands behind --), but one that no
// short flag begins is an error. It returns the verb, too.
func twoDashes(root *cobra.Command, args []string) (*cobra.Command, []string, error) {
	verb, _, err := root.Find(args)
	if err != nil {
		return root, args, nil // root says it
	}
	verb.InitDefaultHelpFlag()
	args = slices.Clone(args)
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		name, dashes := strings.CutPrefix(args[i], "-")
		name, long := strings.CutPrefix(name, "-")
		name, _, given := strings.Cut(name, "=")
		if !dashes || name == "" {
			continue
		}
		flag := verb.Flags().Lookup(name)
		switch {
		case flag == nil && !long && verb.Flags().ShorthandLookup(name[:1]) == nil:
			return verb, nil, usageError{fmt.Errorf("unknown flag: %s", args[i])}
		case flag == nil && !long && len(name) == 1:
			flag = verb.Flags().ShorthandLookup(name)
		case flag != nil && !long && len(name) > 1:
			args[i] = "-" + args[i]
		}
		if flag != nil && !given && takesValue(flag) {
			i++ // whatever that is
		}
	}
	return verb, args, nil
}

func takesValue(f *pflag.Flag) bool { return f.NoOptDefVal == "" }
