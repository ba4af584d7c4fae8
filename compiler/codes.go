// SPDX-License-Identifier: Apache-2.0

package compiler

import "mpol/lang/diag"

// The codes of lowering, beside those of package diag.
const (
	CodeInventory diag.Code = "inventory" // an inventory that cannot be: no place
	CodeTooMany   diag.Code = "too-many"  // more tiers or rules than a verdict can tell apart
	CodeNameSets  diag.Code = "name-sets" // domain peers that overlap in too many combinations
	CodeL7Ports   diag.Code = "l7-ports"  // an L7 part over more ports than there may be listeners
	CodeDNSPort   diag.Code = "dns-port"  // port 53 for another L7 kind, where questions are judged

	// More than a node holds, see program.Limits.
	CodeLimitInventory diag.Code = "limit-inventory" // workloads, and addresses of theirs and of the node: no place
	CodeLimitPrefixes  diag.Code = "limit-prefixes"  // prefixes and addresses of rules
	CodeLimitMembers   diag.Code = "limit-members"   // identities that tables tell apart
	CodeLimitEntries   diag.Code = "limit-entries"   // verdicts of tables
	CodeLimitProfiles  diag.Code = "limit-profiles"  // what the L7 proxy has to tell apart
)

// Codes returns every code of this package.
func Codes() []diag.Code {
	return []diag.Code{
		CodeInventory, CodeTooMany, CodeNameSets, CodeL7Ports, CodeDNSPort,
		CodeLimitInventory, CodeLimitPrefixes, CodeLimitMembers, CodeLimitEntries, CodeLimitProfiles,
	}
}
