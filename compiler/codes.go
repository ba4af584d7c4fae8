// SPDX-License-Identifier: Apache-2.0

package compiler

import "mpol/lang/diag"

// The codes of lowering, beside those of package diag.
const (
	CodeInventory diag.Code = "inventory" // an inventory that cannot be: no place
	CodeTooMany   diag.Code = "too-many"  // more tiers or rules than a verdict can tell apart
	CodeNameSets  diag.Code = "name-sets" // domain peers that overlap in too many combinations
	CodeL7Ports   diag.Code = "l7-ports"  // an L7 part over more ports than there may be listeners
	CodeDNSPort   diag.Code = "dns-port"  // a dns part at another port, or port 53 for another L7 kind
)

// Codes returns every code of this package.
func Codes() []diag.Code {
	return []diag.Code{CodeInventory, CodeTooMany, CodeNameSets, CodeL7Ports, CodeDNSPort}
}
