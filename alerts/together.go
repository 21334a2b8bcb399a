package alerts

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/inventory"
)

// Together is what happened to several servers of a region at once.
type Together struct {
	Severity inventory.Severity
	Region   string   // empty: they have none
	Servers  []string // names, at least one
	Up       bool     // they are up again; else they are down
	At       time.Time
}

// TogetherText words the one text message a person gets about several servers: where,
// how many, and as many of their names as fit one message, the first of them at least.
// What it is made of is that of Text.
func TogetherText(t Together, language string) string {
	if language == English {
		return english.together(t)
	}
	return chinese.together(t)
}

func (w *wording) together(t Together) string {
	form := w.manyDown
	if t.Up {
		form = w.manyUp
	}
	names := slices.Sorted(slices.Values(t.Servers))
	for i, name := range names {
		names[i] = strings.Map(w.clean, name)
	}
	sentence := strings.NewReplacer(
		"{severity}", cmp.Or(w.severity[t.Severity], w.severity[inventory.Warning]),
		"{count}", strconv.Itoa(len(names)),
		"{time}", t.At.Local().Format("15:04"),
	).Replace(form)
	region := strings.Map(w.clean, t.Region)
	if region == "" {
		region = w.nowhere
	}
	region = w.head(region, 24)
	with := func(list string) string {
		return strings.NewReplacer("{region}", region, "{servers}", list).Replace(sentence)
	}
	for n := len(names); n > 1; n-- {
		list := strings.Join(names[:n], w.comma)
		if n < len(names) {
			list += w.comma + w.ellipsis
		}
		if text := with(list); w.units(text) <= w.room {
			return text
		}
	}
	list := names[0]
	if over := w.units(with(list)) - w.room; over > 0 {
		list = w.head(list, max(w.units(list)-over, w.units(w.ellipsis)+1))
	}
	return with(list)
}
