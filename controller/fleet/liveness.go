package fleet

import (
	"context"
	"slices"
	"time"

	"mailfleet/inventory"
)

const (
	// judgeEvery is how often servers are judged.
	judgeEvery = time.Second
	// A verdict must hold for this many judgements in a row before it counts,
	// so that a flapping link does not make a flapping server.
	riseAfter = 2
	fallAfter = 3
	// grace is how long after its start a controller waits for links before
	// it takes their absence for a sign.
	grace = 20 * time.Second
)

// health is the damped judgement of one server.
type health struct {
	witnesses []string // who misses it now
	verdict   inventory.ServerState
	held      int // judgements in a row with this verdict
}

// judgement is what the witnesses say: one missing it is a suspicion, two are a
// verdict. An agent with a link is up whatever gossip says of it, unless gossip
// finds it dead from two sides.
func judgement(witnesses []string) inventory.ServerState {
	switch len(witnesses) {
	case 0:
		return inventory.ServerUp
	case 1:
		return inventory.ServerSuspect
	default:
		return inventory.ServerDown
	}
}

// step takes one more judgement and tells whether the state should become it.
func (h *health) step(current inventory.ServerState, witnesses []string) (next inventory.ServerState, moved bool) {
	verdict := judgement(witnesses)
	if verdict != h.verdict {
		h.verdict, h.held = verdict, 0
	}
	h.witnesses = witnesses
	h.held++
	if verdict == current || current == inventory.ServerRemoved {
		return current, false
	}
	if current == inventory.ServerJoining { // never seen yet: nothing to lose
		linked := !slices.Contains(witnesses, "link")
		return verdict, verdict == inventory.ServerUp || linked && h.held >= fallAfter
	}
	need := fallAfter
	if verdict == inventory.ServerUp {
		need = riseAfter
	}
	return verdict, h.held >= need
}

// judge gives every server its state, until ctx ends.
func (f *Fleet) judge(ctx context.Context) error {
	started := time.Now()
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := f.judgeAll(ctx, time.Since(started) < grace); err != nil && ctx.Err() == nil {
				f.log.Error("judge who is up", "err", err)
			}
			if err := f.watchAbsence(ctx, time.Now()); err != nil && ctx.Err() == nil {
				f.log.Error("watch for servers that are down", "err", err)
			}
			if err := f.speak(ctx, time.Now()); err != nil && ctx.Err() == nil {
				f.log.Error("tell of alerts after maintenance", "err", err)
			}
			if err := f.gatherTexts(ctx, time.Now()); err != nil && ctx.Err() == nil {
				f.log.Error("gather the texts about servers", "err", err)
			}
		}
	}
}

func (f *Fleet) judgeAll(ctx context.Context, young bool) error {
	var servers []*inventory.Server
	err := f.store.View(ctx, func(tx inventory.Tx) (err error) {
		servers, _, err = tx.Servers().List(inventory.Query{})
		return err
	})
	if err != nil {
		return err
	}
	var alive map[string]bool
	if f.opts.Gossip != nil {
		alive = f.opts.Gossip.Alive()
	}
	type change struct {
		id inventory.ID
		to inventory.ServerState
	}
	var changes []change
	f.mu.Lock()
	missed := f.missed()
	for _, s := range servers {
		p := f.presence(s.ID)
		if young && p.link == nil {
			continue
		}
		if to, moved := p.health.step(s.State, f.witnesses(s, p, alive, missed)); moved {
			changes = append(changes, change{s.ID, to})
		}
	}
	f.mu.Unlock()
	for some := range slices.Chunk(changes, becomeAtOnce) {
		to := make(map[inventory.ID]inventory.ServerState, len(some))
		for _, c := range some {
			to[c.id] = c.to
		}
		if err := f.become(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// missed are the connected servers whose own gossip finds one dead, by its
// name. f.mu is held.
func (f *Fleet) missed() map[string][]inventory.ID {
	out := make(map[string][]inventory.ID)
	for id, p := range f.servers {
		if p.link == nil {
			continue
		}
		for name := range p.missing {
			out[name] = append(out[name], id)
		}
	}
	return out
}

// witnesses are those who miss a server: its link, this controller's gossip,
// and every connected server whose own gossip finds it dead. f.mu is held.
func (f *Fleet) witnesses(s *inventory.Server, p *presence, alive map[string]bool, missed map[string][]inventory.ID) []string {
	var out []string
	if p.link == nil {
		out = append(out, "link")
	}
	if alive != nil && !alive[s.Name] {
		out = append(out, "gossip")
	}
	for _, id := range missed[s.Name] {
		if id != s.ID {
			out = append(out, string(id))
		}
	}
	slices.Sort(out)
	return out
}

// becomeAtOnce is how many servers get their new state in one transaction.
const becomeAtOnce = 500

// become writes servers' new states. Of a server that is down nothing is known
// of its services.
func (f *Fleet) become(ctx context.Context, states map[inventory.ID]inventory.ServerState) error {
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		for id, to := range states {
			s, err := tx.Servers().Get(id)
			if err != nil {
				return err
			}
			if s.State == to || s.State == inventory.ServerRemoved {
				continue
			}
			f.log.Info("server state", "server", s.Name, "from", s.State, "to", to)
			s.State, s.Since = to, time.Now().UTC()
			s.Off = s.Off && to != inventory.ServerUp
			if err := tx.Servers().Update(s); err != nil {
				return err
			}
			if to == inventory.ServerDown {
				if err := takeStatuses(tx, id, nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, to := range states {
		if to == inventory.ServerDown {
			f.presence(id).reported = [32]byte{} // its next report must be stored
		}
	}
	return nil
}
