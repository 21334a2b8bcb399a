package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailfleet/agent/durable"
	"mailfleet/inventory"
)

// fix is what mends a check. One of its parts is set.
type fix struct {
	sysctl     map[string]string // setting → value
	limit      string            // open_files, stack or processes
	value      int64             // of the limit
	file, text string            // a file of the kernel and what to write into it
}

// The files that keep fixes over a restart of the machine. They hold what was
// fixed and nothing else, so that each can be read, or removed.
const (
	sysctlFile   = "/etc/sysctl.d/90-mailfleet.conf"
	limitsFile   = "/etc/security/limits.d/90-mailfleet.conf"
	unitFile     = "/etc/systemd/system/mailfleet-agent.service.d/90-mailfleet.conf"
	tmpfilesFile = "/etc/tmpfiles.d/90-mailfleet.conf"
	systemdDir   = "/etc/systemd/system"
)

const madeBy = "# Written by mailfleet-agent, which changes it when a fix is asked for (server.tune, doctor --fix).\n"

// limitNames are a limit's names in limits.conf(5) and systemd.exec(5).
var limitNames = map[string][2]string{
	"open_files": {"nofile", "LimitNOFILE"}, "stack": {"stack", "LimitSTACK"}, "processes": {"nproc", "LimitNPROC"},
}

// Tuner applies fixes.
type Tuner struct {
	Machine
	// Limit raises a limit of this very process, and of the services it starts
	// from now on; nil: that waits for the agent's next start.
	Limit func(name string, value int64) error
}

// Change is one thing a fix has changed.
type Change struct {
	Check  string `json:"check"`
	What   string `json:"what"` // a setting, or a file
	Before string `json:"before"`
	After  string `json:"after"`
}

func (c Change) String() string { return c.Said().String() }

// Said tells of the change.
func (c Change) Said() inventory.Sentence {
	if c.Before == "" {
		return inventory.Say("%s: %s: is set to %s", c.Check, c.What, c.After)
	}
	return inventory.Say("%s: %s: %s → %s", c.Check, c.What, c.Before, c.After)
}

// Tune mends the checks named, and tells what it changed: nothing, where all is
// well. Names that are unknown or cannot be mended are refused before anything
// is done.
func (t Tuner) Tune(ctx context.Context, f Facts, names []string) ([]Change, error) {
	if len(names) == 0 {
		return nil, inventory.FieldErrorf("fixes", "name the checks to mend")
	}
	var todo []check
	for _, name := range names {
		i := slices.IndexFunc(checks(), func(c check) bool { return c.name == name })
		if i < 0 {
			return nil, inventory.FieldErrorf("fixes", "there is no check %q", name)
		}
		if !Fixable(name) {
			return nil, inventory.FieldErrorf("fixes", "the agent cannot mend %s: it takes a person", name)
		}
		todo = append(todo, checks()[i])
	}
	var changes []Change
	for _, c := range todo {
		r := c.look(ctx, t, f)
		if r.state == inventory.CheckOK || r.fix == nil {
			continue
		}
		made, err := t.apply(r.fix)
		for i := range made {
			made[i].Check = c.name
		}
		changes = append(changes, made...)
		if err != nil {
			return changes, inventory.Fail("mend %s: %v", c.name, err)
		}
	}
	return changes, nil
}

// Fixable reports whether the agent can mend a check.
func Fixable(name string) bool {
	return limitNames[name] != [2]string{} || name == "huge_pages" || slices.ContainsFunc(kernel, func(k setting) bool { return k.name == name })
}

func (t Tuner) apply(f *fix) ([]Change, error) {
	switch {
	case f.sysctl != nil:
		return t.setKernel(f.sysctl)
	case f.limit != "":
		return t.setLimit(f.limit, f.value)
	default:
		return t.setFile(f.file, f.text)
	}
}

// setKernel keeps the settings and puts them in force.
func (t Tuner) setKernel(set map[string]string) (changes []Change, err error) {
	kept := map[string]string{}
	for key, value := range set {
		kept[key] = key + " = " + value
	}
	if changes, err = t.keep(sysctlFile, kept, func(line string) string { k, _, _ := strings.Cut(line, "="); return strings.TrimSpace(k) }); err != nil {
		return changes, err
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		made, err := t.write(key, sysctl(key), set[key])
		changes = append(changes, made...)
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}

// setFile puts a file of the kernel's right, now and at each boot (tmpfiles.d(5)).
func (t Tuner) setFile(file, text string) (changes []Change, err error) {
	changes, err = t.keep(tmpfilesFile, map[string]string{file: "w " + file + " - - - - " + text}, func(line string) string {
		if f := strings.Fields(line); len(f) > 1 {
			return f[1]
		}
		return ""
	})
	if err != nil {
		return changes, err
	}
	made, err := t.write(file, file, text)
	return append(changes, made...), err
}

// setLimit raises a limit for those who sign in, for the agent's unit, and for
// the agent that runs now.
func (t Tuner) setLimit(name string, value int64) (changes []Change, err error) {
	names := limitNames[name]
	lines := map[string]string{}
	number := strconv.FormatInt(value, 10)
	inFile := number
	if name == "stack" { // limits.conf counts it in kilobytes
		inFile = strconv.FormatInt(value>>10, 10)
	}
	for _, who := range []string{"*", "root"} { // * is not root
		lines[who+" "+names[0]] = fmt.Sprintf("%s - %s %s", who, names[0], inFile)
	}
	changes, err = t.keep(limitsFile, lines, func(line string) string {
		if f := strings.Fields(line); len(f) == 4 {
			return f[0] + " " + f[2]
		}
		return ""
	})
	if err != nil {
		return changes, err
	}
	if _, err := os.Stat(t.path(systemdDir)); err == nil {
		made, err := t.keep(unitFile, map[string]string{"": "[Service]", names[1]: names[1] + "=" + number}, func(line string) string {
			key, _, _ := strings.Cut(line, "=")
			if key == "[Service]" {
				return ""
			}
			return key
		})
		if changes = append(changes, made...); err != nil {
			return changes, err
		}
	}
	if t.Limit == nil {
		return changes, nil
	}
	if err := t.Limit(name, value); err != nil {
		return changes, inventory.Fail("the limit of the running agent: %v", err)
	}
	return append(changes, Change{What: "limit of the running agent, and of services from their next start", Before: "lower", After: number}), nil
}

// keep puts lines into a file of ours, in place of those with the same key, and
// tells what that changed.
func (t Tuner) keep(file string, set map[string]string, key func(line string) string) ([]Change, error) {
	path := t.path(file)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lines := map[string]string{}
	for line := range bytes.Lines(old) {
		text := strings.TrimSpace(string(line))
		if text != "" && !strings.HasPrefix(text, "#") {
			lines[key(text)] = text
		}
	}
	var changes []Change
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if lines[k] != set[k] {
			if k != "" {
				changes = append(changes, Change{What: file, Before: lines[k], After: set[k]})
			}
			lines[k] = set[k]
		}
	}
	text := madeBy
	for _, k := range slices.Sorted(maps.Keys(lines)) {
		text += lines[k] + "\n"
	}
	if text == string(old) {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, []byte(text)); err != nil {
		return nil, err
	}
	return changes, os.Chmod(path, 0o644)
}

// write sets a file of the kernel's.
func (t Tuner) write(what, file, text string) ([]Change, error) {
	before, err := t.ReadFile(file)
	if err != nil {
		return nil, err
	}
	now := strings.Join(strings.Fields(string(before)), " ")
	if strings.Contains(now, "[") {
		now = chosen(now)
	}
	if now == text {
		return nil, nil
	}
	f, err := os.OpenFile(t.path(file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return []Change{{What: what, Before: now, After: text}}, nil
}
