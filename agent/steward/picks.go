package steward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// pick is what program a service runs: a build, a command, or a build with a
// command's arguments.
type pick struct {
	Release inventory.ID `json:"release,omitempty"`
	Command []string     `json:"command,omitempty"`
}

func pickOf(v api.DesiredService) pick { return pick{v.Release, v.Command} }

func (p pick) equal(o pick) bool { return p.Release == o.Release && slices.Equal(p.Command, o.Command) }

// change is an upgrade that was made and that the desired state does not say yet.
type change struct {
	From pick `json:"from"` // what the desired state said
	To   pick `json:"to"`
}

// picks are the upgrades that the desired state does not say yet: it is changed
// by the controller when that hears that one was made. Until then the service
// must stay upgraded, over a restart of the agent too. One on trial is in memory
// only, so that every start of the agent or the machine is on what was proven.
type picks struct {
	file string

	mu    sync.Mutex
	made  map[string]change
	trial map[string]pick
}

func openPicks(file string) (*picks, error) {
	p := &picks{file: file, made: make(map[string]change), trial: make(map[string]pick)}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.made)
	}
	if err != nil {
		return nil, fmt.Errorf("read which services were upgraded: %w", err)
	}
	return p, nil
}

// of is what a service is to run.
func (p *picks) of(v api.DesiredService) pick {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on, ok := p.trial[v.Name]; ok {
		return on
	}
	if c, ok := p.made[v.Name]; ok && c.From.equal(pickOf(v)) {
		return c.To
	}
	return pickOf(v)
}

// try puts a pick on trial.
func (p *picks) try(name string, to pick) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trial[name] = to
}

// drop ends a trial that failed.
func (p *picks) drop(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.trial, name)
}

// keep makes a pick what the service runs until the desired state says another.
func (p *picks) keep(v api.DesiredService, to pick) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, had := p.made[v.Name]
	p.made[v.Name] = change{pickOf(v), to}
	text, err := json.Marshal(p.made)
	if err == nil {
		err = durable.WriteFile(p.file, text)
	}
	if err != nil {
		if delete(p.made, v.Name); had {
			p.made[v.Name] = before
		}
		return fmt.Errorf("write down that %s was upgraded: %w", v.Name, err)
	}
	delete(p.trial, v.Name)
	return nil
}

// releases are the builds that services may be to run.
func (p *picks) releases() (ids []inventory.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.made {
		ids = append(ids, c.From.Release, c.To.Release)
	}
	return ids
}
