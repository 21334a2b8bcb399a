package fleet

import (
	"encoding/json"
	"net/http"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// releaseKeys are the keys agents are shown; none when none are trusted here.
func (f *Fleet) releaseKeys() (release.Chain, error) {
	if f.opts.Releases == nil {
		return nil, nil
	}
	return f.opts.Releases.Keys()
}

// release finds the release an agent asks for.
func (f *Fleet) release(r *http.Request) (found *inventory.Release, err error) {
	err = f.store.View(r.Context(), func(tx inventory.Tx) (err error) {
		found, err = tx.Releases().Get(inventory.ID(r.PathValue("id")))
		return err
	})
	if inventory.Is(err, inventory.NotFound) {
		return nil, inventory.Errorf(inventory.NotFound, "the controller has no such release any more")
	}
	return found, err
}

// showRelease answers with what a release says of itself.
func (f *Fleet) showRelease(w http.ResponseWriter, r *http.Request, _ caller) error {
	found, err := f.release(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(found)
}

// sendRelease answers with a release's file, or the part of it that is asked for.
func (f *Fleet) sendRelease(w http.ResponseWriter, r *http.Request, _ caller) error {
	found, err := f.release(r)
	if err != nil {
		return err
	}
	if f.opts.Releases == nil {
		return inventory.Errorf(inventory.NotFound, "this controller has no releases")
	}
	content, err := f.opts.Releases.Content(found.SHA256)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// showKeys answers with all lists of trusted keys.
func (f *Fleet) showKeys(w http.ResponseWriter, _ *http.Request, _ caller) error {
	keys, err := f.releaseKeys()
	if err != nil {
		return err
	}
	if keys == nil {
		keys = release.Chain{}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(keys)
}
