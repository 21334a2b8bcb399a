package alerts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailfleet/inventory"
)

// wording is how texts read in one language.
type wording struct {
	room       int            // units in one message (3GPP TS 23.040 §9.2.3.24)
	cost       func(rune) int // units a character takes (3GPP TS 23.038 §6.2)
	clean      func(rune) rune
	ellipsis   string
	metric     func(Metric) string
	severity   map[inventory.Severity]string
	comparison map[inventory.Comparison]string
	// What is said of an alert that fires, that is over, and that is over
	// although nobody saw the value recover.
	firing, resolved, closed string
	down, up                 string // the same of a server that is down, and up again
	held, released           string // and of an account whose mail is held, and that was let go
	manyDown, manyUp         string // of several servers of a region
	nowhere, comma           string // a region without name; between names
}

var chinese = wording{
	room: 70,
	cost: func(r rune) int {
		if r > 0xffff {
			return 2 // a surrogate pair
		}
		return 1
	},
	clean: func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	},
	ellipsis: "…",
	metric:   func(m Metric) string { return m.Chinese },
	severity: map[inventory.Severity]string{inventory.Info: "提示", inventory.Warning: "警告", inventory.Critical: "严重"},
	comparison: map[inventory.Comparison]string{
		inventory.Above: "高于", inventory.AtLeast: "不低于", inventory.Below: "低于", inventory.AtMost: "不高于",
	},
	// Not 【】: Chinese carriers take what stands in those for the sender's signature.
	firing:   "[{severity}] {server} {what} {value}，{comparison} {threshold}，{time}",
	resolved: "[{severity}已恢复] {server} {what} {value}，阈值 {threshold}，{time}",
	closed:   "[{severity}已关闭] {server} {what} 最后 {value}，规则或设备已变更，{time}",
	down:     "[{severity}] {server} 服务器失联，{time}",
	up:       "[{severity}已恢复] {server} 服务器已恢复在线，{time}",
	held:     "[{severity}] {what} 发信异常，{value} 个收件人，已暂停，{server}，{time}",
	released: "[{severity}已恢复] {what} 的发信已放行，{server}，{time}",
	manyDown: "[{severity}] {region} 有 {count} 台服务器失联：{servers}，{time}",
	manyUp:   "[{severity}已恢复] {region} 有 {count} 台服务器恢复在线：{servers}，{time}",
	nowhere:  "未分区",
	comma:    "、",
}

var english = wording{
	room: 160,
	cost: func(r rune) int {
		if strings.ContainsRune(`^{}\[~]|`, r) {
			return 2 // escape and character
		}
		return 1
	},
	clean: func(r rune) rune {
		if r < ' ' || r > '~' || r == '`' { // what ASCII has and the GSM alphabet has not
			return '?'
		}
		return r
	},
	ellipsis: "...",
	metric:   func(m Metric) string { return m.English },
	severity: map[inventory.Severity]string{inventory.Info: "INFO", inventory.Warning: "WARNING", inventory.Critical: "CRITICAL"},
	comparison: map[inventory.Comparison]string{
		inventory.Above: ">", inventory.AtLeast: ">=", inventory.Below: "<", inventory.AtMost: "<=",
	},
	firing:   "{severity} {server}: {what} is {value}, {comparison} {threshold}, at {time}",
	resolved: "RESOLVED ({severity}) {server}: {what} is {value}, limit {threshold}, at {time}",
	closed:   "CLOSED ({severity}) {server}: {what} was {value}, rule or device changed, at {time}",
	down:     "{severity} {server}: the server is down, at {time}",
	up:       "RESOLVED ({severity}) {server}: the server is up again, at {time}",
	held:     "{severity} {what} wrote to {value} recipients and is held, on {server}, at {time}",
	released: "RESOLVED ({severity}) {what} may send again, on {server}, at {time}",
	manyDown: "{severity} {region}: {count} servers are down: {servers}, at {time}",
	manyUp:   "RESOLVED ({severity}) {region}: {count} servers are up again: {servers}, at {time}",
	nowhere:  "no region",
	comma:    ", ",
}

// Text words the one text message a person gets about an alert: that it fires
// when its state is pending or firing, else that it is over. It says how severe
// it is, where, what, how much, the threshold and the local time, and fits one
// message: 70 UCS-2 units in Chinese, 160 septets in English, which uses no
// character outside the GSM 7-bit alphabet. To fit, the names of the series, of
// the server and, last, of the metric are shortened. A language other
// than en is zh.
//
// An alert that is over while its last value still satisfies the condition is
// called closed, not resolved: its rule was removed or changed, or its series
// has gone, and nobody has seen the value recover.
func Text(alert inventory.Alert, language string) string {
	if language == English {
		return english.text(alert)
	}
	return chinese.text(alert)
}

func (w *wording) text(a inventory.Alert) string {
	form, at := w.form(a), a.Fired
	if a.State == inventory.AlertResolved {
		at = a.Resolved
	}
	if at.IsZero() {
		at = a.Since
	}
	metric := Describe(a.Metric)
	value, threshold := formatPair(metric.Unit, a.Value, a.Threshold)
	sentence := strings.NewReplacer(
		"{severity}", cmp.Or(w.severity[a.Severity], w.severity[inventory.Warning]),
		"{value}", value,
		"{comparison}", cmp.Or(w.comparison[a.Comparison], "/"),
		"{threshold}", threshold,
		"{time}", at.Local().Format("15:04"),
	).Replace(form)
	if form == w.held || form == w.released { // it says what, and of whom
		return w.fitAccount(sentence, a.ServerName, a.Tags[AccountTag])
	}
	return w.fit(sentence, a.ServerName, w.metric(metric), seriesName(a.Tags))
}

// form is the sentence that an alert is told in, before anything is put into it.
func (w *wording) form(a inventory.Alert) string {
	absence, hold := a.Metric == ServerUp, a.Metric == AccountBurst && a.Tags[AccountTag] != ""
	over := a.State == inventory.AlertResolved
	switch {
	case over && compare(a.Comparison, a.Value, a.Threshold):
		return w.closed
	case absence && over && a.Value == 1:
		return w.up
	case absence && !over && a.Value < 1:
		return w.down
	case hold && over && a.Value == 0:
		return w.released
	case hold && !over:
		return w.held
	case over:
		return w.resolved
	}
	return w.firing
}

// fitAccount puts an account and its server into the sentence, the server shortened
// first where it would not fit one message: the account is what somebody must act on.
func (w *wording) fitAccount(sentence, server, account string) string {
	server, account = strings.Map(w.clean, server), strings.Map(w.clean, account)
	for _, s := range []struct {
		name    *string
		keep    int // units; the last of each fit together
		shorten func(string, int) string
	}{{&server, 8, w.head}, {&account, 16, w.middle}} {
		if over := w.units(compose(sentence, server, account, "")) - w.room; over > 0 {
			*s.name = s.shorten(*s.name, max(w.units(*s.name)-over, s.keep))
		}
	}
	return compose(sentence, server, account, "")
}

// fit puts the names into the sentence, shortened where it would not fit one message.
func (w *wording) fit(sentence, server, metric, series string) string {
	server, metric, series = strings.Map(w.clean, server), strings.Map(w.clean, metric), strings.Map(w.clean, series)
	for _, s := range []struct {
		name    *string
		keep    int // units; the last of each fit together
		shorten func(string, int) string
	}{{&series, 16, w.tail}, {&server, 20, w.head}, {&series, 6, w.tail}, {&server, 10, w.head}, {&metric, 6, w.head}} {
		over := w.units(compose(sentence, server, metric, series)) - w.room
		if over <= 0 {
			break
		}
		*s.name = s.shorten(*s.name, max(w.units(*s.name)-over, s.keep))
	}
	return compose(sentence, server, metric, series)
}

func compose(sentence, server, metric, series string) string {
	what := strings.TrimSpace(metric + " " + series)
	return strings.NewReplacer("{server}", server, "{what}", what).Replace(sentence)
}

// units is the room s takes in a message.
func (w *wording) units(s string) int {
	n := 0
	for _, r := range s {
		n += w.cost(r)
	}
	return n
}

// head shortens a name to limit units, keeping its beginning: the telling part of a host name.
func (w *wording) head(name string, limit int) string {
	if w.units(name) <= limit {
		return name
	}
	room := limit - w.units(w.ellipsis)
	for i, r := range name {
		if room -= w.cost(r); room < 0 {
			return name[:i] + w.ellipsis
		}
	}
	return name
}

// tail shortens a name to limit units, keeping its end: the telling part of a path.
func (w *wording) tail(name string, limit int) string {
	if w.units(name) <= limit {
		return name
	}
	room, start := limit-w.units(w.ellipsis), len(name)
	for start > 0 {
		r, size := utf8.DecodeLastRuneInString(name[:start])
		if room -= w.cost(r); room < 0 {
			break
		}
		start -= size
	}
	return w.ellipsis + name[start:]
}

// middle shortens an address to limit units, keeping its beginning, which names the
// user, and its end, which names the domain.
func (w *wording) middle(address string, limit int) string {
	if w.units(address) <= limit {
		return address
	}
	begin := w.head(address, limit/2+w.units(w.ellipsis))
	return strings.TrimSuffix(begin, w.ellipsis) + w.tail(address, limit-limit/2)
}

// seriesName is what people call a series: a disk by its mount, anything else
// by all of its tags but the server.
func seriesName(tags map[string]string) string {
	if mount := tags["mount"]; mount != "" {
		return mount
	}
	var names []string
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if tag != "server" {
			names = append(names, tags[tag])
		}
	}
	return strings.Join(names, " ")
}

// formatPair formats a value and its threshold, with as many decimals as it
// takes to tell them apart: 90.04% above 90%, not 90% above 90%.
func formatPair(u Unit, value, threshold float64) (string, string) {
	for digits := 1; ; digits++ {
		v, t := u.Format(value, digits), u.Format(threshold, digits)
		if v != t || value == threshold || digits == 4 {
			return v, t
		}
	}
}
