package auth

import (
	"context"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
)

// MailKeys returns the SCRAM keys of a mail password, with the salt and cost of like, keys
// the account has already, or fresh ones when that is empty. It waits its turn as Hash does.
func (g *Gate) MailKeys(ctx context.Context, password, like string) (string, error) {
	free, err := g.hasher.place(ctx)
	if err != nil {
		return "", err
	}
	defer free()
	if like == "" {
		keys, err := credential.NewSCRAM(password)
		if err != nil {
			return "", inventory.Wrap(inventory.Internal, err, "the password's keys could not be made")
		}
		return keys.String(), nil
	}
	old, err := credential.ParseSCRAM(like)
	if err != nil {
		return "", inventory.Wrap(inventory.Internal, err, "the account's SCRAM keys are not readable")
	}
	keys, err := old.Derive(password)
	if err != nil {
		return "", inventory.Wrap(inventory.Internal, err, "the password's keys could not be made")
	}
	return keys.String(), nil
}
