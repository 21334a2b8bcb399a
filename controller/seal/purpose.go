package seal

// The purposes of secrets that one room seals and another opens.

// RoutePassword is the purpose of the password for a domain's smart host.
func RoutePassword[ID ~string](domain ID) string { return "route/" + string(domain) }

// HookSecret is the purpose of what events for a hook are signed with.
func HookSecret[ID ~string](hook ID) string { return "hook/" + string(hook) }

// DKIMKey is the purpose of the private key of a domain's selector.
func DKIMKey(domain, selector string) string { return "dkim/" + domain + "/" + selector }
