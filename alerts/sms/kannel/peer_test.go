package kannel

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"mailfleet/alerts/sms"
	"mailfleet/controller/e2e/peers"
)

// What the real Kannel knows us by.
const (
	user     = "mailfleet"
	password = "p&ss wörd%d+1"
	sender   = "95500"
	denied   = "999" // numbers with this prefix no network takes
)

// peerKannel is a real Kannel: bearerbox, smsbox and, as the phone network, fakesmsc.
type peerKannel struct {
	sendsms  string // URL
	smsbox   *exec.Cmd
	fakesmsc *exec.Cmd
	network  *network
}

// startKannel starts a Kannel on free loopback ports and stops it when the test ends.
func startKannel(t *testing.T) *peerKannel {
	t.Helper()
	bearerbox, smsbox := peers.Find(t, "kannel", "bearerbox"), peers.Find(t, "kannel", "smsbox")
	fakesmsc := peers.Find(t, "kannel-extras", "/usr/lib/kannel/test/fakesmsc")
	ports := freePorts(t, 4)
	config := filepath.Join(t.TempDir(), "kannel.conf")
	if err := os.WriteFile(config, []byte(configuration(ports)), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &peerKannel{sendsms: fmt.Sprintf("http://127.0.0.1:%d/cgi-bin/sendsms", ports[3])}
	connected := make(chan struct{})
	announce := sync.OnceFunc(func() { close(connected) })
	start(t, "Start-up done", func(line string) {
		if strings.Contains(line, "Fakesmsc client connected") {
			announce()
		}
	}, bearerbox, config)
	k.network = &network{arrived: make(chan struct{}, 1)}
	k.fakesmsc = start(t, "fakesmsc starting", k.network.line, fakesmsc, "-H", "127.0.0.1", "-r", strconv.Itoa(ports[2]), "-m", "0", "1 2 text unused")
	waitForListener(t, ports[1])
	// smsbox crashes on a request that comes before this, which it says last.
	k.smsbox = start(t, "heartbeat_thread", func(string) {}, smsbox, config)
	select {
	case <-connected:
	case <-time.After(time.Minute):
		t.Fatal("fakesmsc did not connect in time")
	}
	return k
}

func configuration(ports []int) string {
	return fmt.Sprintf(`group = core
admin-port = %d
admin-interface = 127.0.0.1
admin-password = %q
smsbox-port = %d
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = fake
host = 127.0.0.1
port = %d
connect-allow-ip = 127.0.0.1
denied-prefix = %s

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %d
sendsms-port = %d
sendsms-interface = 127.0.0.1

group = sendsms-user
username = %s
password = %q
concatenation = true
max-messages = 10

group = sms-service
keyword = default
text = ""
max-messages = 0
`, ports[0], password, ports[1], ports[2], denied, ports[1], ports[3], user, password)
}

// freePorts returns n loopback ports nobody listens on, below those the kernel
// gives to others who ask for any.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := 15000 + rand.IntN(15000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries > 100 {
				t.Fatal(err)
			}
			continue
		}
		defer func() { _ = l.Close() }() // only at the end: they must differ
		ports = append(ports, port)
	}
	return ports
}

// waitForListener returns once something listens on a loopback port.
func waitForListener(t *testing.T, port int) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-poll.C {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// start runs a program until the test ends and returns once it has printed
// ready. Each line it prints goes to each.
func start(t *testing.T, ready string, each func(string), name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	isReady := make(chan struct{})
	ended := make(chan struct{})
	var output bytes.Buffer
	go func() {
		defer close(ended)
		announce := sync.OnceFunc(func() { close(isReady) })
		for lines := bufio.NewScanner(read); lines.Scan(); {
			output.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), ready) {
				announce()
			}
			each(lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-ended
		_ = read.Close()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, output.String())
		}
	})
	select {
	case <-isReady:
	case <-ended:
		t.Fatalf("%s ended before it was ready", name)
	case <-time.After(time.Minute):
		t.Fatalf("%s was not ready in time", name)
	}
	return cmd
}

// network is what fakesmsc saw: the phone network's end.
type network struct {
	mu       sync.Mutex
	messages []wireMessage
	arrived  chan struct{}
}

// wireMessage is one part of a message as it reached the network.
type wireMessage struct {
	from, to, kind string
	header         string // user data header
	data           string // octets; kind text: UTF-8
}

var gotMessage = regexp.MustCompile(`Got message \d+: <(\S+) (\S+) (\S+) (.*)>$`)

// line reads one line of fakesmsc's log.
func (n *network) line(s string) {
	m := gotMessage.FindStringSubmatch(s)
	if m == nil {
		return
	}
	w := wireMessage{from: m[1], to: m[2], kind: m[3], data: m[4]}
	if w.kind == "udh" {
		var kind string
		w.header, w.data, _ = strings.Cut(w.data, " ")
		kind, w.data, _ = strings.Cut(w.data, " ")
		w.kind = "udh " + kind
		w.header = octets(w.header)
	}
	if w.kind != "text" {
		w.data = octets(w.data)
	}
	n.mu.Lock()
	n.messages = append(n.messages, w)
	n.mu.Unlock()
	select {
	case n.arrived <- struct{}{}:
	default:
	}
}

// octets undoes fakesmsc's URL encoding.
func octets(s string) string {
	b, err := url.QueryUnescape(s)
	if err != nil {
		return "not URL encoded: " + s
	}
	return b
}

// next waits for the next n parts to reach the network.
func (n *network) next(t *testing.T, count int) []wireMessage {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		n.mu.Lock()
		if len(n.messages) >= count {
			got := n.messages[:count:count]
			n.messages = n.messages[count:]
			n.mu.Unlock()
			return got
		}
		n.mu.Unlock()
		select {
		case <-n.arrived:
		case <-deadline:
			t.Fatalf("the network did not get %d parts in time", count)
		}
	}
}

// ucs2 is text in UTF-16, big endian.
func ucs2(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit>>8), byte(unit))
	}
	return string(b)
}

// stop ends one of Kannel's programs before the test does.
func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func message(to, text string) sms.Message {
	encoding, parts := sms.Encode(text)
	return sms.Message{ID: "0198c0de-0000-7000-8000-000000000001", To: to, Text: text, Encoding: encoding, Parts: parts, Attempt: 1}
}
