package preflight

import (
	"context"
	"strings"
	"time"

	"mailfleet/inventory"
)

// clockOffset compares our clock with the controller's. Mail carries times, and
// certificates and join tokens are only valid for a while.
func clockOffset(_ context.Context, _ System, f Facts) result {
	if f.Offset == nil {
		return result{state: inventory.CheckSkipped, found: say("the controller was not asked")}
	}
	r := result{wanted: say("within 2s of the controller's"), advice: say("set the clock and have it kept right, with chrony for instance")}
	off := max(0, f.Offset.Abs()-f.OffsetBy)
	apart := f.Offset.Abs().Round(100 * time.Millisecond)
	r.found = say("%v ahead of the controller", apart)
	if *f.Offset < 0 {
		r.found = say("%v behind the controller", apart)
	}
	switch {
	case off <= 2*time.Second:
		r.state = inventory.CheckOK
	case off <= 30*time.Second:
		r.state = inventory.CheckWarning
	default:
		r.state = inventory.CheckFailed
	}
	return r
}

func clockSync(_ context.Context, s System, _ Facts) result {
	synchronised, err := s.Synchronised()
	if err != nil {
		return skipped(err)
	}
	if synchronised {
		return result{state: inventory.CheckOK, found: say("synchronised"), wanted: say("synchronised")}
	}
	return result{
		state: inventory.CheckWarning, found: say("nobody keeps the clock right"), wanted: say("synchronised"),
		advice: say("run chrony, ntpd or systemd-timesyncd: clocks drift by seconds a day"),
	}
}

// timeZone looks whether local times can be told: logs and reports have them.
func timeZone(_ context.Context, s System, _ Facts) result {
	zone := "UTC"
	if link, err := s.ReadLink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(link, "zoneinfo/"); ok {
			zone = name
		}
		if _, err := s.ReadFile("/usr/share/zoneinfo/" + zone); err != nil && zone != "UTC" {
			return result{
				state: inventory.CheckWarning, found: say("%s, which is not installed", zone), wanted: say("an installed time zone"),
				advice: say("install the time zones (Debian: tzdata), or times in logs are UTC and say something else"),
			}
		}
	} else if text, err := s.ReadFile("/etc/timezone"); err == nil {
		zone = strings.TrimSpace(string(text))
	}
	return result{state: inventory.CheckOK, found: say("%s", zone), wanted: say("an installed time zone")}
}
