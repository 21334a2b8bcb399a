package preflight

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// setting is a kernel setting, and what is wrong with a value of it.
type setting struct {
	name   string
	keys   []string // below /proc/sys, dotted
	wanted inventory.Sentence
	advice inventory.Sentence
	judge  func(values []int64) inventory.CheckState // of the numbers of all keys, in order
	set    []string                                  // what would be right, for each key
	raise  bool                                      // and more is right too: a fix lowers nothing
}

func atLeast(want, fail int64) func([]int64) inventory.CheckState {
	return func(v []int64) inventory.CheckState { return grade(v[0], want, fail) }
}

func warnUnless(good func(v []int64) bool) func([]int64) inventory.CheckState {
	return func(v []int64) inventory.CheckState {
		if good(v) {
			return inventory.CheckOK
		}
		return inventory.CheckWarning
	}
}

// kernel are the settings that matter for a mail server.
var kernel = []setting{
	{
		"file_max", []string{"fs.file-max"}, say("at least %d", 500000),
		say("raise the number of files that all processes may have open together"),
		atLeast(500_000, 65_536), []string{"2097152"}, true,
	},
	{
		"somaxconn", []string{"net.core.somaxconn"}, say("at least %d", 4096),
		say("raise the queue of accepted connections: in a rush of senders a short one drops them"),
		atLeast(4096, 128), []string{"4096"}, true,
	},
	{
		"syn_backlog", []string{"net.ipv4.tcp_max_syn_backlog"}, say("at least %d", 2048),
		say("raise the queue of connections that are being opened, or turn-away begins before the server is busy"),
		atLeast(2048, 128), []string{"4096"}, true,
	},
	{
		"port_range", []string{"net.ipv4.ip_local_port_range"}, say("at least 28000 ports"),
		say("widen the range of local ports: each connection to another mail server takes one"),
		func(v []int64) inventory.CheckState {
			if len(v) < 2 {
				return inventory.CheckSkipped
			}
			return grade(v[1]-v[0]+1, 28_000, 4_000)
		}, []string{"16384 60999"}, false,
	},
	{
		"inotify", []string{"fs.inotify.max_user_watches", "fs.inotify.max_user_instances"}, say("at least 65536 watches and 128 instances"),
		say("raise what one user may watch of files: programs that look for changed files fail without it"),
		warnUnless(func(v []int64) bool { return v[0] >= 65_536 && v[1] >= 128 }), []string{"524288", "512"}, true,
	},
	{
		"swappiness", []string{"vm.swappiness"}, say("at most 10"),
		say("have the kernel swap only in need: mail services answer late when their memory is on the disk"),
		warnUnless(func(v []int64) bool { return v[0] <= 10 }), []string{"10"}, false,
	},
	{
		"overcommit", []string{"vm.overcommit_memory"}, say("0 or 1"),
		say("let the kernel promise more memory than there is: programs reserve what they never use"),
		warnUnless(func(v []int64) bool { return v[0] != 2 }), []string{"0"}, false,
	},
}

func (k setting) look(_ context.Context, s System, _ Facts) result {
	var values []int64
	var texts []string
	for _, key := range k.keys {
		text, err := s.ReadFile(sysctl(key))
		if err != nil {
			return skipped(err)
		}
		fields := strings.Fields(string(text))
		for _, f := range fields {
			n, err := strconv.ParseInt(f, 10, 64)
			if errors.Is(err, strconv.ErrRange) { // fs.file-max may be 2^63 and more
				n, err = 1<<62, nil
			}
			if err != nil {
				return skipped(fmt.Errorf("%s is %q", key, text))
			}
			values = append(values, n)
		}
		if len(fields) == 0 {
			return skipped(fmt.Errorf("%s is empty", key))
		}
		texts = append(texts, strings.Join(fields, " "))
	}
	f := &fix{sysctl: map[string]string{}}
	for i, key := range k.keys {
		if right, err := strconv.ParseInt(k.set[i], 10, 64); k.raise && err == nil && values[i] >= right {
			continue
		}
		f.sysctl[key] = k.set[i]
	}
	return result{state: k.judge(values), found: say("%s", strings.Join(texts, ", ")), wanted: k.wanted, advice: k.advice, fix: f}
}

// sysctl is the file of a setting.
func sysctl(key string) string { return "/proc/sys/" + strings.ReplaceAll(key, ".", "/") }

const hugePageFile = "/sys/kernel/mm/transparent_hugepage/enabled"

// hugePages looks at transparent huge pages, which make databases stall when
// they are for everybody.
func hugePages(_ context.Context, s System, _ Facts) result {
	text, err := s.ReadFile(hugePageFile)
	if err != nil {
		return skipped(err)
	}
	now := chosen(string(text))
	r := result{
		state: inventory.CheckOK, found: say("%s", now), wanted: say("madvise or never"),
		advice: say("have huge pages only where programs ask for them: the store stalls while the kernel makes them"),
		fix:    &fix{file: hugePageFile, text: "madvise"},
	}
	if now == "always" {
		r.state = inventory.CheckWarning
	}
	return r
}

// chosen is the word in brackets of a sysfs file.
func chosen(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}
