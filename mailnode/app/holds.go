package app

import (
	"context"
	"math"
	"slices"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/guard"
	"mailfleet/mailnode/queue"
)

// holds are the accounts whose mail the brake holds, as operators see them.
type holds struct {
	queue     *queue.Queue
	brake     *guard.Brake
	directory *directory.Directory
}

func (a *App) holds() holds { return holds{a.flow.queue, a.flow.brake, a.directory} }

// known are those that are at home here. Of one that has gone, or moved away, the mail
// stays in the queue until somebody looks there.
func (h holds) known() (list []inventory.MailHold) {
	for _, one := range h.brake.AllHeld() {
		account, here := h.directory.ByID(one.Account)
		if !here {
			continue
		}
		list = append(list, inventory.MailHold{
			Account: inventory.ID(account.ID), Address: account.Address, Since: one.Since,
			Sent: one.Sent, Over: inventory.Duration(one.Over), Usual: int(math.Round(one.Usual)),
		})
	}
	return list
}

// status is known for a status: the latest of very many.
func (h holds) status() (list []inventory.MailHold, released []string) {
	list = h.known()
	if len(list) > api.MaxHolds {
		slices.SortFunc(list, func(a, b inventory.MailHold) int { return b.Since.Compare(a.Since) })
		list = list[:api.MaxHolds]
	}
	for _, id := range h.brake.Released() {
		if account, here := h.directory.ByID(id); here {
			released = append(released, account.Address)
		}
	}
	return list, released
}

// List implements control.Holds.
func (h holds) List(ctx context.Context) ([]inventory.MailHold, error) {
	list := append([]inventory.MailHold{}, h.known()...)
	byID := make(map[inventory.ID]*inventory.MailHold, len(list))
	for i := range list {
		byID[list[i].Account] = &list[i]
	}
	if len(list) == 0 {
		return list, nil
	}
	const page = 1000
	message := ""
	for after := ""; ; {
		entries, next, err := h.queue.List(ctx, queue.Filter{State: queue.StateHeld, Braked: true}, after, page)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			one := byID[inventory.ID(e.Account)]
			if one == nil {
				continue
			}
			one.Recipients += len(e.Recipients)
			if e.Message != message { // its entries follow each other
				message = e.Message
				one.Messages++
				one.Bytes += e.Size
			}
		}
		if after = next; next == "" {
			return list, nil
		}
	}
}

// held is what the brake holds of an account, which must be held.
func (h holds) held(ctx context.Context, account inventory.ID) (queue.Filter, error) {
	braked, err := h.brake.Held(ctx, string(account))
	if err == nil && !braked {
		err = inventory.Errorf(inventory.NotFound, "the mail of the account %s is not held", account)
	}
	return queue.Filter{Sender: string(account), State: queue.StateHeld, Braked: true}, err
}

// Release implements control.Holds.
func (h holds) Release(ctx context.Context, account inventory.ID) (int, error) {
	mail, err := h.held(ctx, account)
	if err != nil {
		return 0, err
	}
	if err := h.brake.Release(ctx, string(account)); err != nil {
		return 0, err
	}
	return h.queue.Release(ctx, mail)
}

// Delete implements control.Holds. Nobody is told: who sent it was, most likely, not the
// account's owner.
func (h holds) Delete(ctx context.Context, account inventory.ID) (int, error) {
	mail, err := h.held(ctx, account)
	if err != nil {
		return 0, err
	}
	return h.queue.Delete(ctx, mail, false)
}
