// Package backup writes everything a controller keeps into one file while the
// controller runs, and lays such a file out again as a new controller's
// directory.
//
// A backup is a gzipped tar: the database as it was at one moment, the samples
// (their write-ahead log and every finished block), the certificate authority,
// keys and releases, and last a manifest with the digest of each file. Whoever
// reads it can speak for the fleet: it is written for its owner only.
//
// Only the controller's main imports it.
package backup

import "time"

// Names within the controller's directory.
const (
	database = "inventory.db"
	samples  = "samples"
	manifest = "MANIFEST.json"
)

// format is the newest form of a backup that this program knows.
const format = 1

// Manifest says what a backup holds.
type Manifest struct {
	Format  int               `json:"format"`
	Version string            `json:"version"` // of the program that made it
	Made    time.Time         `json:"made"`
	Files   map[string]string `json:"files"` // path → SHA-256, hexadecimal
}

// Result is what a backup or a restore did.
type Result struct {
	Manifest
	Bytes int64 // of the files, before they were packed
}
