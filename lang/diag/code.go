// SPDX-License-Identifier: Apache-2.0

package diag

// Code names one kind of mistake for ever.
type Code string

// The codes of the text itself.
const (
	InvalidUTF8        Code = "invalid-utf8"        // a byte that is no UTF-8
	InvalidCharacter   Code = "invalid-character"   // NUL, a late BOM, a lone CR, a Bidi_Control character, an unknown symbol
	FileTooLarge       Code = "file-too-large"      // more than 64 MiB
	EmptyFile          Code = "empty-file"          // no declaration
	UnterminatedString Code = "unterminated-string" // a string that does not end on its line
	BadString          Code = "bad-string"          // an escape that is wrong or gives a forbidden character
	BadNumber          Code = "bad-number"          // a leading zero
	BadAddress         Code = "bad-address"         // no IP address or prefix, a zone, a v4-mapped prefix, a prefix for an address
	HostBits           Code = "host-bits"           // a prefix with bits set behind its length
)

// The codes of the grammar.
const (
	Syntax         Code = "syntax"          // another word was expected
	ReservedWord   Code = "reserved-word"   // a reserved word where a name is expected
	MissingBrace   Code = "missing-brace"   // a { without its }
	TooDeep        Code = "too-deep"        // nesting beyond the limit
	NotSupported   Code = "not-supported"   // a word of the language that this version does not know yet
	MixedAndOr     Code = "mixed-and-or"    // and beside or without parentheses
	SecondExcept   Code = "second-except"   // two excepts in one list
	BadLabel       Code = "bad-label"       // a rule named like an action
	MissingPackage Code = "missing-package" // the first declaration is not package
	Empty          Code = "empty"           // a list, block, set, range or selector that holds nothing
)

// The codes of names and of the program as a whole.
const (
	UnknownName    Code = "unknown-name"
	WrongKind      Code = "wrong-kind"
	DuplicateName  Code = "duplicate-name"
	Cycle          Code = "cycle"
	TooLarge       Code = "too-large" // a selector that grows beyond the limit by naming others
	MissingDefault Code = "missing-default"
	Expired        Code = "expired"
	BadDate        Code = "bad-date"
)

// The codes of rules.
const (
	WrongDirection Code = "wrong-direction" // from in egress, to in ingress
	ExceptKind     Code = "except-kind"     // an except that its list cannot take
	DomainIngress  Code = "domain-ingress"  // a domain peer in ingress
	DomainDeny     Code = "domain-deny"     // deny to a domain with anything but on any
	BadL4          Code = "bad-l4"
	L7Protocol     Code = "l7-protocol"  // an L7 part over something that is not TCP
	L7Encrypted    Code = "l7-encrypted" // http to port 443 in egress
	RejectAllow    Code = "reject-allow" // reject on an allow
	BadNamePattern Code = "bad-name"     // no name pattern
	BroadDomain    Code = "broad-domain" // a wildcard at or above a public suffix
	BadPath        Code = "bad-path"     // a pattern that no judged path can equal
	BadMethod      Code = "bad-method"   // no request method
	OneFamily      Code = "one-family"   // a /0 of one family alone
	L7Mixed        Code = "l7-mixed"     // requests of two kinds on one peer and port
)

// The codes of tiers, audit and pass.
const (
	BuiltinName Code = "builtin-name" // a tier that exists without a declaration, declared
	TierOrder   Code = "tier-order"   // two tiers with one order
	PassTier    Code = "pass-tier"    // a pass rule in a tier whose default is pass
	NoneTier    Code = "none-tier"    // none in a tier whose default is pass
	PassL7      Code = "pass-l7"      // a pass with an L7 part
	PassDomain  Code = "pass-domain"  // a pass with a domain peer
	AuditL7     Code = "audit-l7"     // warning: an audit rule with an L7 part sends no flow to the proxy
)

// The codes of peers and resolvers.
const (
	SameSubject    Code = "same-subject"    // same KEY where the subject has no labels
	PrivatePeer    Code = "private-peer"    // private or via cname behind what is no domain
	PrivateList    Code = "private-list"    // an address behind private and a comma: peer or private?
	ResolveBlock   Code = "resolve-block"   // resolve via in ingress
	ResolverCut    Code = "resolver-cut"    // a domain peer for no name of which a resolver is believed
	ResolverDenied Code = "resolver-denied" // warning: a deny covers the resolver of a domain peer
	DenyReachable  Code = "deny-reachable"  // warning: a denied name can be reached through another rule
	WideDomain     Code = "wide-domain"     // warning: *.x for a registrable x that no peer names
	QuotedName     Code = "quoted-name"     // warning: a name of the DNS that is that of something declared
)

// The codes of L7 parts.
const (
	PinnedPeer Code = "pinned-peer"  // tls pinned without a domain peer
	BadHeader  Code = "bad-header"   // a header name or condition that cannot be
	BadUpgrade Code = "bad-upgrade"  // an upgrade to an unknown protocol
	BadGRPC    Code = "bad-grpc"     // no service and method
	BadDNSType Code = "bad-dns-type" // no type of DNS records
	DNSDomain  Code = "dns-domain"   // a dns part with a domain peer
	L7Widened  Code = "l7-widened"   // warning: an allow without an L7 part beside one with it
	ColonPath  Code = "colon-path"   // warning: a segment of a path that begins with a colon
)

// The codes of what is allowed to stand and is probably not meant: warnings.
const (
	OneDirection Code = "one-direction" // a subject governed in one direction only
	DenyAll      Code = "deny-all"      // a deny of any on any where the tier also allows
	ICMPFamily   Code = "icmp-family"   // icmp where nothing covers icmpv6
	Unmet        Code = "unmet"         // a selector that nobody in the inventory meets
	Metadata     Code = "metadata"      // an egress allow that covers a metadata address without naming it
)

// The codes of test blocks.
const (
	BadEnd   Code = "bad-end"   // an end that cannot stand there
	SelfFlow Code = "self-flow" // a line from a party to itself
)

// Codes returns every code, in the order of this file.
func Codes() []Code {
	return []Code{
		InvalidUTF8, InvalidCharacter, FileTooLarge, EmptyFile, UnterminatedString, BadString, BadNumber, BadAddress, HostBits,
		Syntax, ReservedWord, MissingBrace, TooDeep, NotSupported, MixedAndOr, SecondExcept, BadLabel, MissingPackage, Empty,
		UnknownName, WrongKind, DuplicateName, Cycle, TooLarge, MissingDefault, Expired, BadDate,
		WrongDirection, ExceptKind, DomainIngress, DomainDeny, BadL4, L7Protocol, L7Encrypted, RejectAllow, BadNamePattern,
		BroadDomain, BadPath, BadMethod, OneFamily, L7Mixed,
		BuiltinName, TierOrder, PassTier, NoneTier, PassL7, PassDomain, AuditL7,
		SameSubject, PrivatePeer, PrivateList, ResolveBlock, ResolverCut, ResolverDenied, DenyReachable, WideDomain, QuotedName,
		PinnedPeer, BadHeader, BadUpgrade, BadGRPC, BadDNSType, DNSDomain, L7Widened, ColonPath,
		OneDirection, DenyAll, ICMPFamily, Metadata, Unmet,
		BadEnd, SelfFlow,
	}
}
