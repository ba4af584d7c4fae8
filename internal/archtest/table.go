// SPDX-License-Identifier: Apache-2.0

package archtest

// modulePath is the path of this module, the first part of all our import paths.
const modulePath = "mpol"

// row says what a package may import beside the standard library. In its lists an entry stands
// for itself and everything below it.
type row struct {
	// pkg is the path below the module; "agent/..." stands for agent and all below it. The
	// longest row that fits a package holds.
	pkg string
	// ours are packages of this module, by their path below it; "*" is any that may be imported.
	ours []string
	// third are import paths of others; "*" is any.
	third []string
	// pure packages do no input and output, look at no clock and start no goroutine.
	pure bool
	// leaf packages are imported by nobody: programs, tests and their tools.
	leaf bool
}

const (
	participle = "github.com/alecthomas/participle/v2"
	opa        = "github.com/open-policy-agent/opa/v1"
	ebpf       = "github.com/cilium/ebpf"
	netlink    = "github.com/vishvananda/netlink"
	netns      = "github.com/vishvananda/netns"
	nftables   = "github.com/google/nftables"
	sys        = "golang.org/x/sys"
	idna       = "golang.org/x/net/idna"
	suffixes   = "golang.org/x/net/publicsuffix"
	dns        = "github.com/miekg/dns"
	envoyAPI   = "github.com/envoyproxy/go-control-plane"
	xdsTypes   = "github.com/cncf/xds/go"
	grpc       = "google.golang.org/grpc"
	protobuf   = "google.golang.org/protobuf"
	fsnotify   = "github.com/fsnotify/fsnotify"
	yaml       = "go.yaml.in/yaml/v3"
)

// importTable is the table of ARCHITECTURE.md.
var importTable = []row{
	{pkg: "lang/diag", pure: true},
	{pkg: "lang", ours: []string{"lang/diag"}, third: []string{participle}, pure: true},
	{pkg: "lang/format", ours: []string{"lang", "lang/diag"}, pure: true},
	// check keeps name patterns and the like in program's types, where they exist once.
	{
		pkg: "lang/check", ours: []string{"lang", "lang/diag", "compiler/program"},
		third: []string{idna, suffixes}, pure: true,
	},
	{pkg: "compiler/program", pure: true},
	{pkg: "compiler", ours: []string{"lang/check", "lang/diag", "compiler/program"}, pure: true},
	{pkg: "compiler/verdict", ours: []string{"compiler/program"}, pure: true},
	{
		pkg:  "compiler/bruteforce",
		ours: []string{"compiler/program", "compiler/verdict", "lang/check", "lang/diag"},
		pure: true,
	},
	// What a guardrail sees of a policy has a tier and a direction, whose types are program's.
	{
		pkg:  "compiler/guard",
		ours: []string{"compiler/program", "lang/check", "lang/diag", "policies"}, third: []string{opa},
	},
	{
		pkg:  "compiler/policytest",
		ours: []string{"compiler", "compiler/program", "compiler/verdict", "lang/check", "lang/diag"},
	},
	{
		pkg:  "compiler/algebra",
		ours: []string{"compiler", "compiler/program", "compiler/verdict", "lang/check", "lang/diag"},
		pure: true,
	},
	{pkg: "policies"},
	{pkg: "docs"},
	{pkg: "bpf", ours: []string{"compiler/program"}, third: []string{ebpf, netlink, nftables, sys}},
	{pkg: "dnsproxy", ours: []string{"compiler/program"}, third: []string{dns, sys}},
	{
		pkg: "l7proxy/...", ours: []string{"compiler/program", "l7proxy"},
		third: []string{envoyAPI, xdsTypes, grpc, protobuf, sys},
	},
	// What a node cannot enforce is said on the author's machine too, whatever its operating system.
	{pkg: "agent/enforceable", ours: []string{"compiler/program", "lang/check", "lang/diag"}, pure: true},
	{pkg: "agent/...", ours: []string{"*"}, third: []string{fsnotify, netlink, sys, yaml}},
	// What the verbs share with each other, and in part with the agent: how a folder of policies is
	// found and read, and who takes part.
	{pkg: "internal/source"},
	{
		pkg:  "internal/policyset",
		ours: []string{"compiler/guard", "internal/source", "lang", "lang/check", "lang/diag"},
	},
	{
		pkg:  "internal/inventory",
		ours: []string{"agent/config", "compiler/program", "lang/diag"}, third: []string{yaml},
	},
	{pkg: "internal/archtest", leaf: true},
	{pkg: "internal/testgate", leaf: true},
	{pkg: "cmd/...", ours: []string{"*"}, third: []string{"*"}, leaf: true},
	{pkg: "e2e/lab", third: []string{netlink, netns, sys}},
	{pkg: "e2e/node", ours: []string{"agent/event", "agent/status", "e2e/lab"}},
	{pkg: "e2e/...", ours: []string{"*", "e2e/lab", "e2e/node"}, third: []string{"*"}, leaf: true},
}

// testOnly are packages that production code never imports; programs under e2e may.
var testOnly = []string{"compiler/bruteforce", "e2e/lab", "e2e/node"}

// impure are the packages of the standard library that a pure package does without. What embed gives was
// read when the package was built.
var impure = []string{
	"crypto/rand", "database", "log", "math/rand", "net", "os", "plugin", "syscall", "testing",
}

// pureExceptions are packages below one of the impure that only compute.
var pureExceptions = []string{"net/netip", "net/url"}

// halves says which field of program.Program a package must not read: the enforcers read Tables,
// the reference evaluator reads Rules, so that a mistake in the lowering cannot hide in both.
var halves = map[string]string{
	"bpf":              "Rules",
	"dnsproxy":         "Rules",
	"l7proxy":          "Rules",
	"compiler/verdict": "Tables",
}

// badNames are package names that say nothing about what is inside.
var badNames = []string{"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
