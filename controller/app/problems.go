package app

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// scarce is the share of the disk that should stay free.
const scarce = 0.05

// problems says what ails the controller itself, a sentence each.
func (a *App) problems() []string {
	var fs unix.Statfs_t
	if err := unix.Statfs(a.config.Dir, &fs); err != nil {
		return []string{"The controller's directory cannot be looked at: " + err.Error()}
	}
	if share := float64(fs.Bavail) / float64(max(fs.Blocks, 1)); share < scarce {
		return []string{fmt.Sprintf("The controller's disk is nearly full: %.1f %% of it is free (%s)", 100*share, a.config.Dir)}
	}
	return nil
}
