// SPDX-License-Identifier: Apache-2.0

package l7proxy

import (
	"fmt"
	"slices"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	"google.golang.org/protobuf/proto"

	"mpol/compiler/program"
)

// policies maps a name, made of a rule's key, to what the rule matches. Envoy tries them in the order
// of their names and reports the first that matches.
type policies map[string]*rbacv3.Policy

func (ps policies) add(key string, p *rbacv3.Permission) {
	if isNever(p) {
		return
	}
	policy := ps[key]
	if policy == nil {
		policy = &rbacv3.Policy{
			Principals: []*rbacv3.Principal{{Identifier: &rbacv3.Principal_Any{Any: true}}},
		}
		ps[key] = policy
	}
	if !slices.ContainsFunc(policy.Permissions, func(q *rbacv3.Permission) bool { return proto.Equal(p, q) }) {
		policy.Permissions = append(policy.Permissions, p)
	}
}

// permissions returns what any of the policies matches.
func (ps policies) permissions() *rbacv3.Permission {
	keys := make([]string, 0, len(ps))
	for key := range ps {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var all []*rbacv3.Permission
	for _, key := range keys {
		all = append(all, ps[key].Permissions...)
	}
	return anyOf(all...)
}

// judgement is one half of a profile without tiers: a request passes when no deny and some allow
// matches.
type judgement struct {
	deny, allow policies
}

// judge dissolves tiers. The first tier that decides ends the search: a deny counts unless an allow
// of an earlier tier matches; once no deny counts, any allow suffices. What follows a tier whose
// default is not to pass on is never asked.
func judge(kind program.L7Kind, h *program.Half) *judgement {
	j := &judgement{deny: policies{}, allow: policies{}}
	for n, tier := range h.Tiers {
		earlier := j.allow.permissions()
		for i := range tier.Deny {
			r := &tier.Deny[i]
			j.deny.add(inTier(n, r.Rule), allOf(matcher{kind: kind, deny: true}.rule(r), not(earlier)))
		}
		for i := range tier.Allow {
			r := &tier.Allow[i]
			j.allow.add(inTier(n, r.Rule), matcher{kind: kind}.rule(r))
		}
		if tier.Default == program.Allow {
			j.allow.add(inTier(n, defaultKey), always())
		}
		if tier.Default != program.Pass {
			break
		}
	}
	return j
}

// defaultKey names, in the log, what no rule of a half allowed or what a tier's default allowed. It
// sorts behind every rule's name.
const defaultKey = "~default"

// inTier names a policy such that the tier that decides is the one that is reported. Rules' keys have
// no slashes.
func inTier(n int, key string) string { return fmt.Sprintf("%02d/%s", n, key) }

// ruleKey returns the key of the rule behind a policy's name, empty for what is no rule.
func ruleKey(policy string) string {
	key := policy[strings.LastIndexByte(policy, '/')+1:]
	if key == defaultKey {
		return ""
	}
	return key
}

// both makes the judgement that passes what j and k pass. The allows stay those of k; what j does
// not allow is denied.
func (j *judgement) both(k *judgement) *judgement {
	switch {
	case j == nil:
		return k
	case k == nil || j.equal(k):
		return j
	}
	result := &judgement{deny: policies{}, allow: k.allow}
	for _, one := range []*judgement{j, k} {
		for key, policy := range one.deny {
			for _, p := range policy.Permissions {
				result.deny.add(key, p)
			}
		}
	}
	result.deny.add(defaultKey, not(j.allow.permissions()))
	return result
}

func (j *judgement) equal(k *judgement) bool {
	return j.deny.equal(k.deny) && j.allow.equal(k.allow)
}

func (ps policies) equal(qs policies) bool {
	if len(ps) != len(qs) {
		return false
	}
	for key, p := range ps {
		if q := qs[key]; q == nil || !proto.Equal(p, q) {
			return false
		}
	}
	return true
}

// rbac returns the rules of an Envoy filter. Without policies an ALLOW denies and a DENY lets pass.
func (ps policies) rbac(action rbacv3.RBAC_Action) *rbacv3.RBAC {
	return &rbacv3.RBAC{Action: action, Policies: ps}
}
