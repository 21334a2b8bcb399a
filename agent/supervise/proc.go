package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// maxEnviron is how much of a process's environment is looked at, in bytes.
const maxEnviron = 1 << 20

// stat is what /proc/<pid>/stat tells of a process.
type stat struct {
	pid     int
	session int
	start   uint64 // in clock ticks since boot: with pid and boot id it names the process for ever
	ended   bool   // a zombie without any thread left, waiting for its parent
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads proc_pid_stat(5). The command's name, the second field, may
// hold spaces and parentheses.
func parseStat(b []byte) (s stat, err error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return s, errors.New("no command name in it")
	}
	fields := bytes.Fields(b[end+1:]) // the first of them is field 3
	if len(fields) < 20 {
		return s, fmt.Errorf("%d fields after the command name", len(fields))
	}
	state, session, threads, start := fields[0][0], fields[3], string(fields[17]), fields[19]
	if s.pid, err = strconv.Atoi(string(bytes.TrimSpace(b[:open]))); err != nil {
		return stat{}, err
	}
	if s.session, err = strconv.Atoi(string(session)); err != nil {
		return stat{}, err
	}
	if s.start, err = strconv.ParseUint(string(start), 10, 64); err != nil {
		return stat{}, err
	}
	switch state {
	case 'Z', 'X', 'x': // of the main thread: others may go on
		s.ended = threads == "0" || threads == "1"
	}
	return s, nil
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// processes returns all processes that have not ended, but for this one.
func processes() []stat {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []stat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if s, err := readStat(pid); err == nil && !s.ended {
			all = append(all, s)
		}
	}
	return all
}

// marked reports whether the environment a process was started with has a
// variable that begins with prefix.
func marked(pid int, prefix string) bool {
	f, err := os.Open(procFile(pid, "environ"))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return false
	}
	for variable := range bytes.SplitSeq(b, []byte{0}) {
		if bytes.HasPrefix(variable, []byte(prefix)) {
			return true
		}
	}
	return false
}
