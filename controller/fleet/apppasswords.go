package fleet

import (
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// appPasswords are those of an account as its server needs them.
func appPasswords(a *inventory.Account) (list []api.DesiredAppPassword) {
	for _, p := range a.AppPasswords {
		list = append(list, api.DesiredAppPassword{AppPassword: p, AppSecret: a.AppSecrets[p.ID]})
	}
	return list
}
