// Package state is what the agent remembers on disk: the last desired state it
// was given, and the journal that makes it act at most once on an order.
//
// The agent's steward and app import it.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
)

// SaveDesired makes d the copy that LoadDesired finds at path. Orders are left
// out: they may be carried out only fresh from the controller.
func SaveDesired(path string, d api.Desired) error {
	d.Orders = nil
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, b)
}

// LoadDesired returns the copy at path; ok is false when none was ever saved.
func LoadDesired(path string) (d api.Desired, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return api.Desired{}, false, fmt.Errorf("the desired state in %s is damaged: %w", path, err)
	}
	d.Orders = nil
	return d, true, nil
}
