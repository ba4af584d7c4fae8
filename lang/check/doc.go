// SPDX-License-Identifier: Apache-2.0

// Package check turns parsed files into a Module.
package check
