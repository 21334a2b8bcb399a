package imapd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A script is a conversation with a server, as a file in testdata. Of each line the
// part before the colon says what it is; a number before that is the connection, 1 when
// there is none:
//
//	C: text      is sent, with CRLF behind it
//	U: pattern   an untagged response among those before the next S or +
//	N: pattern   no untagged response before the next S or + is so
//	S: pattern   the next response that is not untagged; + a continuation request
//	W: pattern   wait until an untagged response is so
//
// In a pattern <*> stands for anything and <name> for a word that is remembered; ${name}
// is what was remembered. Literals in responses are compared as quoted strings.
// ${literal:name} is a message, defined as "MESSAGE name", its lines, and "." alone, sent
// without waiting for leave. Lines that begin with [m] or [d] are for Mailfleet or
// Dovecot only. "#not dovecot: reason" says that Dovecot is not asked, "#user2" that
// somebody else is needed.
type script struct {
	name      string
	lines     []string
	messages  map[string]string
	notOn     map[string]string // server → reason
	variables map[string]string
}

func scripts(t testing.TB) (all []*script) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseScript(strings.TrimSuffix(filepath.Base(f), ".txt"), string(text)))
	}
	return all
}

func parseScript(name, text string) *script {
	s := &script{name: name, messages: map[string]string{}, notOn: map[string]string{}, variables: map[string]string{}}
	message := ""
	for line := range strings.SplitSeq(text, "\n") {
		if message != "" {
			s.lines = append(s.lines, "") // so that lines count as in the file
			if line == "." {
				message = ""
				continue
			}
			s.messages[message] += line + "\r\n"
			continue
		}
		if rest, ok := strings.CutPrefix(line, "#not "); ok {
			server, reason, _ := strings.Cut(rest, ": ")
			s.notOn[server] = reason
		}
		if rest, ok := strings.CutPrefix(line, "MESSAGE "); ok {
			message, line = rest, ""
		}
		s.lines = append(s.lines, line)
	}
	return s
}

// talker is a connection of a script.
type talker struct {
	net.Conn
	r        *bufio.Reader
	untagged []string
}

// conversation runs a script on a server.
type conversation struct {
	t      testing.TB
	s      *script
	server string // m or d
	addr   string
	conns  map[int]*talker
	line   int
}

// run runs a script on the server at addr.
func (s *script) run(t testing.TB, server, addr string, variables map[string]string) {
	t.Helper()
	for k, v := range variables {
		s.variables[k] = v
	}
	c := &conversation{t: t, s: s, server: server, addr: addr, conns: map[int]*talker{}}
	defer func() {
		for _, one := range c.conns {
			_ = one.Close()
		}
	}()
	for i, line := range s.lines {
		c.line = i + 1
		c.step(line)
	}
}

func (c *conversation) fatal(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s line %d: %s\n\t%s", c.s.name, c.line, c.s.lines[c.line-1], fmt.Sprintf(format, args...))
}

func (c *conversation) step(line string) {
	c.t.Helper()
	if rest, ok := strings.CutPrefix(line, "["); ok {
		who, rest, _ := strings.Cut(rest, "] ")
		if who != c.server {
			return
		}
		line = rest
	}
	if line == "" || line[0] == '#' {
		return
	}
	n := 1
	if line[0] >= '0' && line[0] <= '9' {
		n, line = int(line[0]-'0'), line[1:]
	}
	kind, text, ok := strings.Cut(line, ":")
	if !ok {
		c.fatal("what is that?")
	}
	text = strings.TrimPrefix(text, " ")
	conn := c.conn(n)
	switch kind {
	case "C":
		conn.untagged = nil
		c.send(conn, text)
	case "S", "+":
		c.await(conn, kind, text)
	case "U", "N":
		// looked at by the S that follows
	case "W":
		c.wait(conn, text)
	default:
		c.fatal("what is that?")
	}
}

func (c *conversation) conn(n int) *talker {
	if c.conns[n] == nil {
		raw, err := net.Dial("tcp", c.addr)
		if err != nil {
			c.fatal("%v", err)
		}
		if err := raw.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			c.fatal("%v", err)
		}
		c.conns[n] = &talker{Conn: raw, r: bufio.NewReader(raw)}
		if greeting := c.response(c.conns[n]); !strings.HasPrefix(greeting, "* OK ") {
			c.fatal("greeted with %q", greeting)
		}
	}
	return c.conns[n]
}

var variable = regexp.MustCompile(`\$\{[^}]+\}`)

func (c *conversation) send(conn *talker, text string) {
	c.t.Helper()
	text = variable.ReplaceAllStringFunc(text, func(v string) string {
		v = v[2 : len(v)-1]
		if name, ok := strings.CutPrefix(v, "literal:"); ok {
			m, found := c.s.messages[name]
			if !found {
				c.fatal("no message %q", name)
			}
			return fmt.Sprintf("{%d+}\r\n%s", len(m), m)
		}
		if name, ok := strings.CutPrefix(v, "size:"); ok {
			return strconv.Itoa(len(c.s.messages[name]))
		}
		return c.value(v)
	})
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		c.fatal("%v", err)
	}
}

func (c *conversation) value(name string) string {
	v, ok := c.s.variables[name]
	if !ok {
		c.fatal("%q is not known", name)
	}
	return v
}

var literalEnd = regexp.MustCompile(`~?\{(\d+)\}$`)

// response reads a response, with its literals as quoted strings.
func (c *conversation) response(conn *talker) string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := conn.r.ReadString('\n')
		if err != nil {
			c.fatal("the server says %q, then %v; untagged %q", b.String()+line, err, conn.untagged)
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		m := literalEnd.FindStringSubmatchIndex(line)
		if m == nil {
			return b.String() + line
		}
		n, _ := strconv.Atoi(line[m[2]:m[3]])
		data := make([]byte, n)
		if _, err := io.ReadFull(conn.r, data); err != nil {
			c.fatal("%v", err)
		}
		b.WriteString(line[:m[0]])
		quoted := strings.NewReplacer("\\", `\\`, `"`, `\"`, "\r\n", `\n`, "\x00", `\0`).Replace(string(data))
		b.WriteString(`"` + quoted + `"`)
	}
}

// await reads up to a tagged response, or a continuation request, and compares.
func (c *conversation) await(conn *talker, kind, text string) {
	c.t.Helper()
	got := c.response(conn)
	for strings.HasPrefix(got, "* ") && !(kind == "S" && strings.HasPrefix(text, "* ")) {
		conn.untagged = append(conn.untagged, got)
		got = c.response(conn)
	}
	if kind == "+" {
		text = "+" + strings.TrimSuffix(" "+text, " ")
		if text == "+" {
			text = "+<*>"
		}
	}
	if !c.match(text, got) {
		c.fatal("got %q after %q", got, conn.untagged)
	}
	c.judge(conn)
}

// judge looks at the untagged responses: the lines U and N before this one say of which kind.
func (c *conversation) judge(conn *talker) {
	c.t.Helper()
	this := c.line
	first := this - 1
	for first > 0 && !regexp.MustCompile(`^(\[.\] )?\d?[CSW+]:`).MatchString(c.s.lines[first-1]) {
		first--
	}
	for i := first; i < this-1; i++ {
		line := c.s.lines[i]
		if rest, ok := strings.CutPrefix(line, "["); ok {
			if rest[:1] != c.server {
				continue
			}
			line = rest[3:]
		}
		line = strings.TrimLeft(line, "0123456789")
		kind, text, _ := strings.Cut(line, ": ")
		if kind != "U" && kind != "N" {
			continue
		}
		found := false
		for _, u := range conn.untagged {
			if c.match(text, u) {
				found = true
				break
			}
		}
		if found != (kind == "U") {
			c.line = i + 1
			c.fatal("untagged %q", conn.untagged)
		}
	}
	conn.untagged = nil
}

func (c *conversation) wait(conn *talker, text string) {
	c.t.Helper()
	for {
		got := c.response(conn)
		if c.match(text, got) {
			return
		}
		if !strings.HasPrefix(got, "* ") {
			c.fatal("got %q", got)
		}
		conn.untagged = append(conn.untagged, got)
	}
}

var hole = regexp.MustCompile(`<[a-z*][a-zA-Z0-9]*>|<\*>`)

// match compares a response with a pattern. Case does not matter.
func (c *conversation) match(pattern, got string) bool {
	pattern = variable.ReplaceAllStringFunc(pattern, func(v string) string {
		v = v[2 : len(v)-1]
		if m, ok := c.s.messages[strings.TrimPrefix(v, "text:")]; ok {
			return strings.NewReplacer("\\", `\\`, `"`, `\"`, "\r\n", `\n`).Replace(m)
		}
		if name, ok := strings.CutPrefix(v, "size:"); ok {
			return strconv.Itoa(len(c.s.messages[name]))
		}
		return c.value(v)
	})
	var expr strings.Builder
	var names []string
	expr.WriteString(`(?is)^`)
	at := 0
	for _, m := range hole.FindAllStringIndex(pattern, -1) {
		expr.WriteString(regexp.QuoteMeta(pattern[at:m[0]]))
		if name := pattern[m[0]+1 : m[1]-1]; name == "*" {
			expr.WriteString(`.*`)
		} else {
			names = append(names, name)
			expr.WriteString(`([^ ()\[\]"]+)`)
		}
		at = m[1]
	}
	expr.WriteString(regexp.QuoteMeta(pattern[at:]) + `$`)
	found := regexp.MustCompile(expr.String()).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		c.s.variables[name] = found[i+1]
	}
	return true
}
