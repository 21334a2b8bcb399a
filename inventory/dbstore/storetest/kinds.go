package storetest

import (
	"encoding/hex"
	"strconv"
	"testing"

	"mailfleet/inventory"
)

// kind is one table's share of the suite.
type kind struct {
	name inventory.Kind
	run  func(*testing.T, inventory.Store)
}

// table describes a kind to the suite.
type table[R inventory.Record] struct {
	name  inventory.Kind
	in    func(inventory.Tx) inventory.Table[R]
	where map[string]func(R) string // fields that select but are not unique
	find  map[string]unique[R]
}

// unique is a field that no two records may share.
type unique[R inventory.Record] struct {
	value func(R) string
	take  func(to, from R) // gives to from's value
}

type (
	server      = *inventory.Server
	service     = *inventory.Service
	joinToken   = *inventory.JoinToken
	certificate = *inventory.Certificate
	domain      = *inventory.Domain
	account     = *inventory.Account
	operation   = *inventory.Operation
	rule        = *inventory.Rule
	contact     = *inventory.Contact
	alert       = *inventory.Alert
	sms         = *inventory.SMS
	person      = *inventory.Person
	session     = *inventory.Session
	token       = *inventory.Token
	setting     = *inventory.Setting
	tenant      = *inventory.Tenant
	plan        = *inventory.Plan
	power       = *inventory.Power
	pool        = *inventory.Pool
	window      = *inventory.Window
	preflight   = *inventory.Preflight
	release     = *inventory.Release
	group       = *inventory.Group
	dkimKey     = *inventory.DKIMKey
)

func of[R inventory.Record](name inventory.Kind, in func(inventory.Tx) inventory.Table[R],
	where map[string]func(R) string, find map[string]unique[R],
) kind {
	k := table[R]{name, in, where, find}
	return kind{name, k.run}
}

var kinds = []kind{
	of(inventory.Servers, inventory.Tx.Servers,
		map[string]func(server) string{
			"state":  func(r server) string { return string(r.State) },
			"region": func(r server) string { return r.Region },
		}, map[string]unique[server]{
			"name": {func(r server) string { return r.Name }, func(to, from server) { to.Name = from.Name }},
		}),
	of(inventory.Services, inventory.Tx.Services,
		map[string]func(service) string{
			"server": func(r service) string { return string(r.Server) },
			"name":   func(r service) string { return r.Name },
			"kind":   func(r service) string { return string(r.Kind) },
			"want":   func(r service) string { return string(r.Want) },
			"state":  func(r service) string { return string(r.State) },
		}, map[string]unique[service]{
			"server/name": {
				func(r service) string { return string(r.Server) + "/" + r.Name },
				func(to, from service) { to.Server, to.Name = from.Server, from.Name },
			},
		}),
	of(inventory.JoinTokens, inventory.Tx.JoinTokens,
		map[string]func(joinToken) string{
			"server": func(r joinToken) string { return string(r.Server) },
		}, map[string]unique[joinToken]{
			"hash": {
				func(r joinToken) string { return hex.EncodeToString(r.Hash) },
				func(to, from joinToken) { to.Hash = from.Hash },
			},
		}),
	of(inventory.Certificates, inventory.Tx.Certificates,
		map[string]func(certificate) string{
			"server": func(r certificate) string { return string(r.Server) },
		}, map[string]unique[certificate]{
			"serial": {func(r certificate) string { return r.Serial }, func(to, from certificate) { to.Serial = from.Serial }},
		}),
	of(inventory.Domains, inventory.Tx.Domains,
		map[string]func(domain) string{
			"tenant": func(r domain) string { return string(r.Tenant) },
			"plan":   func(r domain) string { return string(r.Plan) },
		},
		map[string]unique[domain]{
			"name": {func(r domain) string { return r.Name }, func(to, from domain) { to.Name = from.Name }},
		}),
	of(inventory.Accounts, inventory.Tx.Accounts,
		map[string]func(account) string{
			"domain": func(r account) string { return r.Domain },
			"server": func(r account) string { return string(r.Server) },
			"state":  func(r account) string { return string(r.State) },
			"alias":  func(r account) string { return r.Aliases[1] },
		}, map[string]unique[account]{
			"address": {func(r account) string { return r.Address }, func(to, from account) { to.Address = from.Address }},
		}),
	of(inventory.Operations, inventory.Tx.Operations,
		map[string]func(operation) string{
			"state":  func(r operation) string { return string(r.State) },
			"kind":   func(r operation) string { return string(r.Kind) },
			"server": func(r operation) string { return string(r.Targets[1].Server) },
		}, map[string]unique[operation]{
			"idempotency": {
				func(r operation) string { return r.Actor + "\x00" + r.IdempotencyKey },
				func(to, from operation) { to.Actor, to.IdempotencyKey = from.Actor, from.IdempotencyKey },
			},
		}),
	of(inventory.Rules, inventory.Tx.Rules,
		map[string]func(rule) string{
			"metric":  func(r rule) string { return r.Metric },
			"enabled": func(r rule) string { return strconv.FormatBool(r.Enabled) },
		}, map[string]unique[rule]{
			"name": {func(r rule) string { return r.Name }, func(to, from rule) { to.Name = from.Name }},
		}),
	of(inventory.Contacts, inventory.Tx.Contacts, nil,
		map[string]unique[contact]{
			"phone": {func(r contact) string { return r.Phone }, func(to, from contact) { to.Phone = from.Phone }},
		}),
	of(inventory.Alerts, inventory.Tx.Alerts,
		map[string]func(alert) string{
			"state":    func(r alert) string { return string(r.State) },
			"server":   func(r alert) string { return string(r.Server) },
			"rule":     func(r alert) string { return string(r.Rule) },
			"severity": func(r alert) string { return string(r.Severity) },
		}, nil),
	of(inventory.SMSes, inventory.Tx.SMS,
		map[string]func(sms) string{
			"state": func(r sms) string { return string(r.State) },
			"alert": func(r sms) string { return string(r.Alert) },
			"to":    func(r sms) string { return r.To },
		}, map[string]unique[sms]{
			"key": {func(r sms) string { return r.Key }, func(to, from sms) { to.Key = from.Key }},
		}),
	of(inventory.People, inventory.Tx.People, nil,
		map[string]unique[person]{
			"name":     {func(r person) string { return r.Name }, func(to, from person) { to.Name = from.Name }},
			"email":    {func(r person) string { return r.Email }, func(to, from person) { to.Email = from.Email }},
			"external": {func(r person) string { return r.External }, func(to, from person) { to.External = from.External }},
		}),
	of(inventory.Sessions, inventory.Tx.Sessions,
		map[string]func(session) string{
			"person": func(r session) string { return string(r.Person) },
		}, map[string]unique[session]{
			"hash": {func(r session) string { return r.Hash }, func(to, from session) { to.Hash = from.Hash }},
		}),
	of(inventory.Tokens, inventory.Tx.Tokens, nil,
		map[string]unique[token]{
			"name": {func(r token) string { return r.Name }, func(to, from token) { to.Name = from.Name }},
			"hash": {func(r token) string { return r.Hash }, func(to, from token) { to.Hash = from.Hash }},
		}),
	of(inventory.Settings, inventory.Tx.Settings, nil,
		map[string]unique[setting]{
			"name": {func(r setting) string { return r.Name }, func(to, from setting) { to.Name = from.Name }},
		}),
	of(inventory.Tenants, inventory.Tx.Tenants,
		map[string]func(tenant) string{
			"parent": func(r tenant) string { return string(r.Parent) },
			"plan":   func(r tenant) string { return string(r.Plan) },
		}, map[string]unique[tenant]{
			"name": {func(r tenant) string { return r.Name }, func(to, from tenant) { to.Name = from.Name }},
		}),
	of(inventory.Plans, inventory.Tx.Plans,
		map[string]func(plan) string{
			"tenant": func(r plan) string { return string(r.Tenant) },
		}, map[string]unique[plan]{
			"name": {func(r plan) string { return r.Name }, func(to, from plan) { to.Name = from.Name }},
		}),
	of(inventory.Powers, inventory.Tx.Powers, nil,
		map[string]unique[power]{
			"server": {func(r power) string { return string(r.Server) }, func(to, from power) { to.Server = from.Server }},
		}),
	of(inventory.Pools, inventory.Tx.Pools,
		map[string]func(pool) string{
			"service": func(r pool) string { return r.Service },
		}, map[string]unique[pool]{
			"name": {func(r pool) string { return r.Name }, func(to, from pool) { to.Name = from.Name }},
		}),
	of(inventory.Windows, inventory.Tx.Windows,
		map[string]func(window) string{
			"operation": func(r window) string { return string(r.Operation) },
		}, nil),
	of(inventory.Preflights, inventory.Tx.Preflights, nil,
		map[string]unique[preflight]{
			"server": {func(r preflight) string { return string(r.Server) }, func(to, from preflight) { to.Server = from.Server }},
		}),
	of(inventory.Releases, inventory.Tx.Releases,
		map[string]func(release) string{
			"program": func(r release) string { return r.Program },
		}, map[string]unique[release]{
			"sha256": {func(r release) string { return r.SHA256 }, func(to, from release) { to.SHA256 = from.SHA256 }},
		}),
	of(inventory.Groups, inventory.Tx.Groups,
		map[string]func(group) string{
			"domain": func(r group) string { return r.Domain },
			"member": func(r group) string { return r.Members[1] },
		}, map[string]unique[group]{
			"address": {func(r group) string { return r.Address }, func(to, from group) { to.Address = from.Address }},
		}),
	of(inventory.DKIMKeys, inventory.Tx.DKIMKeys,
		map[string]func(dkimKey) string{
			"domain": func(r dkimKey) string { return r.Domain },
			"state":  func(r dkimKey) string { return r.State },
		}, map[string]unique[dkimKey]{
			"domain/selector": {
				func(r dkimKey) string { return r.Domain + "/" + r.Selector },
				func(to, from dkimKey) { to.Domain, to.Selector = from.Domain, from.Selector },
			},
		}),
}
