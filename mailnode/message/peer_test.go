package message

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailfleet/controller/e2e/peers"
)

const dovecotIMAP = "/usr/lib/dovecot/imap"

// dovecot is Debian's IMAP server over a maildir of messages, talked to over a pipe.
type dovecot struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	tag int
}

func startDovecot(t *testing.T, messages []sample) *dovecot {
	t.Helper()
	peers.Find(t, "dovecot-imapd", dovecotIMAP)
	dir := t.TempDir()
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534 // Dovecot reads no mail as root
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("conf", fmt.Sprintf(`protocols = imap
base_dir = %[1]s/run
log_path = %[1]s/mail/log
mail_location = maildir:%[1]s/mail/Maildir
mail_home = %[1]s/mail
mail_uid = %[2]d
mail_gid = %[2]d
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = root
default_login_user = root
ssl = no
stats_writer_socket_path =
`, dir, uid))
	for i, m := range messages {
		write(fmt.Sprintf("mail/Maildir/cur/%d.M%d.host:2,", i+1, i+1), m.text)
	}
	for _, d := range []string{"new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, "mail/Maildir", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The directories above are the test's own: Dovecot has to pass through them.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		if err := filepath.Walk(filepath.Join(dir, "mail"), func(p string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(p, uid, uid)
		}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), dovecotIMAP, "-c", filepath.Join(dir, "conf"))
	cmd.Env = append(os.Environ(), "USER=u", "HOME="+filepath.Join(dir, "mail"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	d := &dovecot{t: t, in: in, out: bufio.NewReader(out)}
	if _, ok := d.run("SELECT INBOX"); !ok {
		t.Fatal("Dovecot does not open the mailbox")
	}
	return d
}

// run sends a command and returns its untagged answers, literals included, and
// whether it was carried out.
func (d *dovecot) run(command string) (answers [][]byte, ok bool) {
	d.t.Helper()
	d.tag++
	tag := fmt.Sprintf("t%d ", d.tag)
	if _, err := io.WriteString(d.in, tag+command+"\r\n"); err != nil {
		d.t.Fatal(err)
	}
	for {
		answer := d.answer()
		if rest, ok := bytes.CutPrefix(answer, []byte(tag)); ok {
			return answers, bytes.HasPrefix(rest, []byte("OK"))
		}
		answers = append(answers, answer)
	}
}

func (d *dovecot) answer() []byte {
	var answer []byte
	for {
		line, err := d.out.ReadBytes('\n')
		if err != nil {
			d.t.Fatal(err)
		}
		answer = append(answer, line...)
		line = bytes.TrimRight(line, "\r\n")
		i := bytes.LastIndexByte(line, '{')
		if i < 0 || line[len(line)-1] != '}' {
			return bytes.TrimRight(answer, "\r\n")
		}
		n, err := strconv.Atoi(string(line[i+1 : len(line)-1]))
		if err != nil {
			return bytes.TrimRight(answer, "\r\n")
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(d.out, literal); err != nil {
			d.t.Fatal(err)
		}
		answer = append(answer, literal...)
	}
}

// fetch is a FETCH item of a message, in canon's form; empty when Dovecot refuses it.
func (d *dovecot) fetch(n int, item string) string {
	d.t.Helper()
	prefix := fmt.Sprintf("* %d FETCH (", n)
	answers, ok := d.run(fmt.Sprintf("FETCH %d (%s)", n, item))
	if !ok {
		return ""
	}
	for _, a := range answers {
		if rest, ok := bytes.CutPrefix(a, []byte(prefix)); ok {
			end := " "
			if strings.Contains(item, "[") {
				end = "] "
			}
			_, value, _ := bytes.Cut(rest, []byte(end))
			out, _ := canon(value)
			return out
		}
	}
	d.t.Fatalf("FETCH %d %s: no answer", n, item)
	return ""
}

// canon reads one value of IMAP's syntax and writes it so that equal values are
// equal: strings in Go's quotes, one space between values.
func canon(b []byte) (out string, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	switch {
	case len(b) == 0:
		return "", nil
	case b[0] == '(':
		var items []string
		b = b[1:]
		for len(b) > 0 && b[0] != ')' {
			var item string
			item, b = canon(b)
			items = append(items, item)
			b = bytes.TrimLeft(b, " ")
		}
		return "(" + strings.Join(items, " ") + ")", b[min(1, len(b)):]
	case b[0] == '"':
		var s []byte
		i := 1
		for ; i < len(b) && b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
			s = append(s, b[i])
		}
		return strconv.Quote(string(s)), b[min(i+1, len(b)):]
	case b[0] == '{' || b[0] == '~':
		b = bytes.TrimPrefix(b, []byte("~"))
		i := bytes.IndexByte(b, '\n')
		n, _ := strconv.Atoi(strings.Trim(string(b[:i]), "{}\r"))
		return strconv.Quote(string(b[i+1 : i+1+n])), b[i+1+n:]
	}
	i := bytes.IndexAny(b, " ()")
	if i < 0 {
		i = len(b)
	}
	return string(b[:i]), b[i:]
}

// The same forms of a digest.

func nstring(b []byte) string {
	if b == nil {
		return "NIL"
	}
	return strconv.Quote(string(b))
}

func addressList(list []Address) string {
	if len(list) == 0 {
		return "NIL"
	}
	var items []string
	for _, a := range list {
		items = append(items, fmt.Sprintf("(%s %s %s %s)", nstring(a.Name), nstring(a.Route), nstring(a.Mailbox), nstring(a.Host)))
	}
	return "(" + strings.Join(items, " ") + ")"
}

func envelopeForm(e *Envelope) string {
	items := []string{nstring(e.Date), nstring(e.Subject)}
	for _, l := range [][]Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		items = append(items, addressList(l))
	}
	return "(" + strings.Join(append(items, nstring(e.InReplyTo), nstring(e.MessageID)), " ") + ")"
}

func paramForm(params []Param) string {
	if len(params) == 0 {
		return "NIL"
	}
	var items []string
	for _, q := range params {
		items = append(items, strconv.Quote(q.Name), strconv.Quote(q.Value))
	}
	return "(" + strings.Join(items, " ") + ")"
}

func structureForm(p *Part) string {
	disposition := "NIL"
	if p.Disposition != "" {
		disposition = fmt.Sprintf("(%q %s)", p.Disposition, paramForm(p.DispositionParams))
	}
	language := "NIL"
	if len(p.Language) > 0 {
		var tags []string
		for _, l := range p.Language {
			tags = append(tags, strconv.Quote(l))
		}
		language = "(" + strings.Join(tags, " ") + ")"
	}
	tail := fmt.Sprintf("%s %s %s)", disposition, language, nstring(p.Location))
	if p.Multipart() {
		var parts []string
		for _, q := range p.Parts {
			parts = append(parts, structureForm(q))
		}
		return fmt.Sprintf("(%s %q %s %s", strings.Join(parts, " "), p.Subtype, paramForm(p.Params), tail)
	}
	s := fmt.Sprintf("(%q %q %s %s %s %q %d", p.Type, p.Subtype, paramForm(p.Params), nstring(p.ID), nstring(p.Description), p.Encoding, p.Size())
	switch {
	case p.Message != nil:
		s += fmt.Sprintf(" %s %s %d", envelopeForm(p.Envelope), structureForm(p.Message), p.Lines)
	case p.is("text"):
		s += fmt.Sprintf(" %d", p.Lines)
	}
	return s + " " + nstring(p.MD5) + " " + tail
}

// explained are the samples that Dovecot 2.3 sees otherwise, and why ours stands.
var explained = map[string]string{
	"header 4":   "white space in a folded line is kept as it stands; Dovecot joins it",
	"header 5":   "white space at the end of Date is not part of it",
	"header 11":  "of a field that may be there once the first counts",
	"To twice":   "of a field that may be there once the first counts, also of From",
	"address 18": "commas without an address between them are nothing",
	"address 20": "<> is no address",
	"address 21": "what is missing is empty; Dovecot writes MISSING_DOMAIN",
	"address 22": "what is missing is empty",
	"address 23": "what is missing is empty",
	"address 24": "a bracket that does not end ends with the address",
	"address 25": "the last word has the address, those before it are the name",
	"address 26": "a quote that does not end is left out",
	"address 27": "a semicolon between addresses separates, as programs write it",
	"address 28": "the domain begins after the last @",
	"address 29": "what is missing is empty",
	"address 30": "what is missing is empty",
	"address 31": "blanks around dots are allowed (RFC 5322 §4.4)",
	"address 33": "a comment that does not end is text",
	"address 37": "a missing comma loses no address",
	"address 38": "what is missing is empty",
	"type 6":     "a name with blanks is meant whole",
	"type 10":    "a content type that is none is text/plain (RFC 2045 §5.2)",
	"type 11":    "a content type that is none is text/plain",
	"type 12":    "a content type that is none is text/plain",
	"type 13":    "a content type that is none is text/plain",
	"type 20":    "parameters stay in their order",
	"type 28":    "an encoding in quotes is meant",
	"type 33":    "a comment ends the type",
	"type 34":    "a quote that does not end is left out",
	"type 36":    "a missing semicolon does not lose the type",
	"type 37":    "a parameter without a name is none",
	"type 38":    "a type in quotes is meant",

	"no delimiter":                      "the text of a multipart without parts can be read",
	"only the end":                      "the text of a multipart without parts can be read",
	"no boundary":                       "the text of a multipart without parts can be read",
	"empty boundary":                    "the text of a multipart without parts can be read",
	"text that begins like a delimiter": "a delimiter is a line of its own: a boundary that only begins like another does not end it",
	"bare line feeds":                   "Dovecot counts the line ends it serves, which are CRLF; here bytes are served as they are",
	"attached message in base64":        "a part ends before its delimiter's line end",
	"empty message":                     "HEADER.FIELDS ends with an empty line",
	"empty part":                        "the empty line that ends a header belongs to it",
	"part of header only":               "the line end before a delimiter ends the header's last line",
}

// TestDovecotSeesTheSame compares envelopes, structures and sections of the corpus
// with Dovecot's.
func TestDovecotSeesTheSame(t *testing.T) {
	messages := corpus()
	d := startDovecot(t, messages)
	for i, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			digest := parse(t, m.text)
			differs := false
			check := func(item, got, want string) {
				if got == want {
					return
				}
				if differs = true; explained[m.name] == "" {
					t.Errorf("%s of %q\n ours    %s\n dovecot %s", item, m.text, got, want)
				}
			}
			check("ENVELOPE", envelopeForm(&digest.Envelope), d.fetch(i+1, "ENVELOPE"))
			check("BODYSTRUCTURE", structureForm(digest.Structure), d.fetch(i+1, "BODYSTRUCTURE"))
			sections(t, d, i+1, m.text, digest.Structure, check)
			if !differs && explained[m.name] != "" {
				t.Errorf("there is no difference to explain: %s", explained[m.name])
			}
		})
	}
}

// sections has the bytes of the sections of message n compared.
func sections(t *testing.T, d *dovecot, n int, text string, structure *Part, same func(item, got, want string)) {
	m := Open(strings.NewReader(text), structure)
	check := func(item string, s Section) {
		want := d.fetch(n, "BODY.PEEK["+item+"]")
		x, err := m.Section(s)
		if err != nil {
			if want != "NIL" {
				same(item, err.Error(), want)
			}
			return
		}
		b, err := io.ReadAll(x.Reader())
		if err != nil {
			t.Fatal(err)
		}
		same(item, strconv.Quote(string(b)), want)
	}
	fields := []string{"subject", "Content-Type", "x-none"}
	check("", Section{})
	check("HEADER", Section{Specifier: Header})
	check("TEXT", Section{Specifier: Text})
	check("HEADER.FIELDS (Subject Content-Type X-None)", Section{Specifier: HeaderFields, Fields: fields})
	check("HEADER.FIELDS.NOT (Subject Content-Type X-None)", Section{Specifier: HeaderFieldsNot, Fields: fields})
	var walk func(path []int, p *Part)
	walk = func(path []int, p *Part) {
		for i := range max(1, len(p.Parts)) {
			path := append(path[:len(path):len(path)], i+1)
			name := strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
			check(name, Section{Path: path})
			check(name+".MIME", Section{Path: path, Specifier: MIME})
			q := structure.At(path)
			if c := q.encoding(); c != unknownCoding && !q.Multipart() && q.Message == nil {
				if want := d.fetch(n, "BINARY.SIZE["+name+"]"); want != "" { // it refuses malformed base64
					same("BINARY.SIZE "+name, fmt.Sprint(q.Decoded), want)
				}
			}
			if q.Message != nil {
				check(name+".HEADER", Section{Path: path, Specifier: Header})
				check(name+".TEXT", Section{Path: path, Specifier: Text})
				check(name+".HEADER.FIELDS (Subject)", Section{Path: path, Specifier: HeaderFields, Fields: fields[:1]})
				walk(path, q.Message)
			} else if q.Multipart() {
				walk(path, q)
			}
		}
	}
	walk(nil, structure)
}
