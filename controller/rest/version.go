package rest

import (
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// etag is a version as an entity tag (RFC 9110 §8.8.3).
func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// version is the one the change is meant for; 0 when any will do.
func (c Conditional) version() (uint64, error) {
	text := strings.TrimSpace(c.IfMatch)
	if text == "" || text == "*" {
		return 0, nil
	}
	v, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 64)
	if err != nil || v == 0 {
		return 0, inventory.FieldErrorf("header.If-Match", "If-Match %.40q is not an ETag of this API, such as %q", text, etag(42))
	}
	return v, nil
}

// current refuses a change meant for another version than the thing's own.
func current(wanted uint64, thing *inventory.Meta) error {
	if wanted != 0 && wanted != thing.Version {
		return errStale(thing.Version)
	}
	return nil
}
