// SPDX-License-Identifier: Apache-2.0

package lang

// formOf returns help that shows how a piece of the grammar is written, for who left no other trace of
// what was meant.
func formOf(piece any) string {
	form := ""
	switch piece.(type) {
	case *Package:
		form = "package shop"
	case *Import:
		form = "import shop"
	case *Tier:
		form = "tier site order 50 default pass"
	case *Default:
		form = "default deny"
	case *Workload:
		form = `workload web = app = "web"`
	case *Cidrs:
		form = "cidrs office = 203.0.113.0/24, 2001:db8:7::/48"
	case *Domains:
		form = `domains vendor = "api.vendor.example", "*.cdn.vendor.example"`
	case *Service:
		form = "service api = tcp/8080, tcp/8443"
	case *Resolver:
		form = `resolver corp = 10.0.0.53 on udp/53, tcp/53`
	case *policyHeader:
		form = "policy web for web { ... }"
	case *Resolve:
		form = "resolve via corp, node"
	case *Rule:
		form = "store: allow to db on tcp/5432"
	case *Annotation:
		form = `@owner("team")`
	case *testHeader:
		form = `test "name" { ... }`
	case *Given:
		form = `given w = { app = "web" }, given o = 203.0.113.9, given dns "a.example" = 203.0.113.9`
	case *Line:
		form = "allow w -> db on tcp/5432"
	case *proveHeader:
		form = `prove "name" { ... }`
	case *Claim:
		form = "never from world to db on any"
	}
	return "write it like this: " + form
}
