// SPDX-License-Identifier: Apache-2.0

// Package diag holds diagnostics as data.
package diag
