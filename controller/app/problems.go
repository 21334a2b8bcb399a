package app

import (
	"golang.org/x/sys/unix"

	"mailfleet/inventory"
)

// scarce is the share of the disk that should stay free.
const scarce = 0.05

// problems says what ails the controller itself, a sentence each.
func (a *App) problems() []inventory.Sentence {
	var fs unix.Statfs_t
	if err := unix.Statfs(a.config.Dir, &fs); err != nil {
		return []inventory.Sentence{inventory.Say("The controller's directory cannot be looked at: %v", err)}
	}
	if share := float64(fs.Bavail) / float64(max(fs.Blocks, 1)); share < scarce {
		return []inventory.Sentence{inventory.Say("The controller's disk is nearly full: %.1f %% of it is free (%s)", 100*share, a.config.Dir)}
	}
	return nil
}
