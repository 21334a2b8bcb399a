package preflight

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// serviceVariable begins the variable that marks processes of services (package supervise).
const serviceVariable = "MAILFLEET_SERVICE="

// expected are programs that may listen besides services: the fleet's own, what
// administers a machine, and what gives it time and names. As the kernel cuts
// them: 15 octets.
var expected = []string{
	"mailfleet-agent", "mailfleet-contr", "sshd", "systemd", "systemd-resolve", "systemd-network", "systemd-timesyn",
	"chronyd", "ntpd", "unbound", "named", "dnsmasq", "dhclient", "node_exporter",
}

// socket is a listening TCP socket.
type socket struct {
	at    netip.AddrPort
	inode string
}

// holder is a process that has a socket.
type holder struct {
	pid     int
	name    string // of the program
	service bool   // it is one of a service
}

// listening is a socket and who has it, if that can be seen.
type listening struct {
	socket
	holder *holder
}

// sockets finds all listening sockets and their processes.
func sockets(s System, f Facts) ([]listening, error) {
	var all []listening
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := s.ReadFile(file)
		if err != nil {
			if file == "/proc/net/tcp" {
				return nil, err
			}
			continue // IPv6 is off
		}
		for _, found := range parseSockets(text) {
			all = append(all, listening{socket: found})
		}
	}
	by := holders(s, f)
	for i := range all {
		all[i].holder = by[all[i].inode]
	}
	slices.SortFunc(all, func(a, b listening) int { return a.at.Compare(b.at) })
	return all, nil
}

// parseSockets reads the listening sockets of /proc/net/tcp or tcp6.
func parseSockets(text []byte) []socket {
	var found []socket
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
			continue
		}
		if at, ok := parseAddress(f[1]); ok {
			found = append(found, socket{at, f[9]})
		}
	}
	return found
}

// parseAddress reads 0100007F:0019: words of the machine's byte order, and a port.
func parseAddress(text string) (netip.AddrPort, bool) {
	words, port, ok := strings.Cut(text, ":")
	b, err := hex.DecodeString(words)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// holders finds the process of each socket, by inode.
func holders(s System, f Facts) map[string]*holder {
	names, err := s.ReadDir("/proc")
	if err != nil {
		return nil
	}
	by := map[string]*holder{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		fds, err := s.ReadDir("/proc/" + name + "/fd")
		if err != nil {
			continue // it has ended, or is none of our business
		}
		var h *holder
		for _, fd := range fds {
			link, err := s.ReadLink("/proc/" + name + "/fd/" + fd)
			inode, ok := strings.CutPrefix(link, "socket:[")
			if err != nil || !ok {
				continue
			}
			if h == nil {
				h = describe(s, f, pid)
			}
			inode = strings.TrimSuffix(inode, "]")
			if by[inode] == nil || h.service {
				by[inode] = h
			}
		}
	}
	return by
}

func describe(s System, f Facts, pid int) *holder {
	dir := fmt.Sprintf("/proc/%d/", pid)
	h := &holder{pid: pid, name: "a process without a name"}
	if text, err := s.ReadFile(dir + "comm"); err == nil {
		h.name = strings.TrimSpace(string(text))
	}
	if slices.ContainsFunc(f.Services, func(p Process) bool { return p.PID == pid }) {
		h.service = true
	}
	if text, err := s.ReadFile(dir + "environ"); err == nil {
		for variable := range bytes.SplitSeq(text, []byte{0}) {
			h.service = h.service || bytes.HasPrefix(variable, []byte(serviceVariable))
		}
	}
	if text, err := s.ReadFile(dir + "cgroup"); err == nil {
		for _, unit := range f.Units {
			h.service = h.service || bytes.Contains(text, []byte("/"+unit))
		}
	}
	return h
}

// openPorts names what can be reached from outside and is no service's: each is
// one more way in.
func openPorts(_ context.Context, s System, f Facts) result {
	all, err := sockets(s, f)
	if err != nil {
		return skipped(err)
	}
	var needless []string
	for _, l := range all {
		if l.at.Addr().IsLoopback() || l.holder != nil && (l.holder.service || l.holder.pid == f.Agent || slices.Contains(expected, l.holder.name)) {
			continue
		}
		who := "somebody unseen"
		if l.holder != nil {
			who = l.holder.name
		}
		if text := fmt.Sprintf("%s (%s)", l.at, who); !slices.Contains(needless, text) {
			needless = append(needless, text)
		}
	}
	r := result{state: inventory.CheckOK, found: say("none"), wanted: say("none that no service of the fleet needs")}
	if len(needless) > 0 {
		r.state, r.found = inventory.CheckWarning, say("%s", listed(needless))
		r.advice = say("stop these programs, bind them to loopback, or add them to the server as services")
	}
	return r
}

// listed names the first of many.
func listed(texts []string) string {
	const most = 20
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
}

// portConflicts looks for programs that hold a port a service is to have:
// another mail server left running, most often.
func portConflicts(_ context.Context, s System, f Facts) result {
	if len(f.Ports) == 0 {
		return result{state: inventory.CheckSkipped, found: say("no ports are wanted yet")}
	}
	all, err := sockets(s, f)
	if err != nil {
		return skipped(err)
	}
	own, err := netip.ParseAddr(f.Address)
	if err != nil {
		own = netip.IPv4Unspecified()
	}
	var taken []string
	for _, l := range all {
		service, wanted := f.Ports[int(l.at.Port())]
		clash := own.IsUnspecified() || l.at.Addr().IsUnspecified() || l.at.Addr() == own
		if !wanted || !clash || l.holder == nil || l.holder.service {
			continue
		}
		taken = append(taken, fmt.Sprintf("%s of %s is held by %s", l.at, service, l.holder.name))
	}
	r := result{state: inventory.CheckOK, found: say("none"), wanted: say("none")}
	if len(taken) > 0 {
		r.state, r.found = inventory.CheckFailed, say("%s", listed(taken))
		r.advice = say("stop the program that holds the port and keep it from starting again")
	}
	return r
}
