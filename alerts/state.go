package alerts

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"mailfleet/inventory"
)

// stateVersion is of the JSON below. A change that older agents cannot read raises it.
const stateVersion = 1

type watchState struct {
	Version   int        `json:"version"`
	Evaluated time.Time  `json:"evaluated"`
	Alerts    []*episode `json:"alerts"`
}

// MarshalJSON writes the alerts that are pending or firing, always in the same order.
func (w *Watch) MarshalJSON() ([]byte, error) {
	s := watchState{Version: stateVersion, Evaluated: w.evaluated, Alerts: []*episode{}}
	for _, key := range slices.SortedFunc(maps.Keys(w.episodes), series.compare) {
		s.Alerts = append(s.Alerts, w.episodes[key])
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote. A version it does not know, or a
// document that is not one of ours, is an error, and w is left as it was.
func (w *Watch) UnmarshalJSON(b []byte) error {
	var s watchState
	if err := json.Unmarshal(b, &s); err != nil {
		return inventory.Wrap(inventory.Invalid, err, "the saved alerts cannot be read")
	}
	if s.Version != stateVersion {
		return inventory.Errorf(inventory.Invalid, "the saved alerts have version %d; this program reads version %d", s.Version, stateVersion)
	}
	episodes := make(map[series]*episode, len(s.Alerts))
	for i, e := range s.Alerts {
		if e == nil || e.ID == "" || e.Rule == "" || (e.State != inventory.AlertPending && e.State != inventory.AlertFiring) {
			return inventory.Errorf(inventory.Invalid, "saved alert %d has no id, no rule or a state that is neither pending nor firing", i)
		}
		episodes[series{e.Rule, e.Metric, tagKey(e.Tags)}] = e
	}
	w.evaluated, w.episodes = s.Evaluated, episodes
	return nil
}
