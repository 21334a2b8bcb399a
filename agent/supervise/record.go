package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailfleet/inventory"
)

// record is what the next agent must know of a service that is not stopped.
type record struct {
	Boot   string                  `json:"boot"`            // it holds for this boot only
	Nonce  string                  `json:"nonce"`           // of the last start
	Start  uint64                  `json:"start,omitempty"` // of the process Status.PID
	Spec   string                  `json:"spec"`            // hash of what it was started from
	Group  string                  `json:"group,omitempty"` // directory of the cgroup its processes are in
	Status inventory.ServiceStatus `json:"status"`

	held bool // nothing was started yet: it waits for other services
}

// readRecord returns the record at path. ok is false when there is none of
// this boot.
func readRecord(path, boot string) (r record, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, false, fmt.Errorf("the record %s is damaged: %w", path, err)
	}
	return r, r.Boot == boot, nil
}

// write makes r the record at path; a service of
// which nothing was started has none. It is there
// whenever the agent is killed from now on. A power cut may take it back, but
// that ends the boot, and with it what the record is good for: so nothing waits
// for the disk, which a service that must be restarted may well have kept busy.
func (r record) write(path string) error {
	if r.Status.State == inventory.ServiceStopped || r.held {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
