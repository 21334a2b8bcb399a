package storectl

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailfleet/mailnode/store"
)

// arrival is a message that is imported.
type arrival struct {
	Account  string      `json:"account"`
	Mailbox  string      `json:"mailbox"` // made when it is not there
	Flags    store.Flags `json:"flags"`
	Keywords []string    `json:"keywords,omitempty"`
	Date     time.Time   `json:"date"`
	Key      string      `json:"key"` // a message with a key that came before is not taken again
	Size     int64       `json:"size"`
}

// outcome says what became of an arrival.
type outcome struct {
	Taken bool `json:"taken"` // false: it was there already
}

// importTable remembers what was imported, so that an import can be begun again.
const importTable = "import"

// take puts a message into its mailbox, once.
func take(ctx context.Context, s *store.Store, m arrival, body io.Reader) (done outcome, err error) {
	box, err := s.Find(ctx, m.Account, m.Mailbox)
	if errors.Is(err, store.ErrNoMailbox) || err == nil && box.NoSelect {
		if err := s.CreateAccount(ctx, m.Account); err != nil {
			return outcome{}, err
		}
		if box, err = s.CreateMailbox(ctx, m.Account, m.Mailbox, ""); errors.Is(err, store.ErrExists) {
			box, err = s.Find(ctx, m.Account, m.Mailbox)
		}
	}
	if err != nil {
		return outcome{}, err
	}
	staged, err := s.Stage(ctx, body, m.Size)
	if err != nil {
		return outcome{}, err
	}
	defer staged.Close()
	table, key := s.Table(importTable), []byte(m.Account+"\x00"+m.Key)
	err = s.Update(ctx, staged, func(tx *store.Tx) error {
		if v, err := tx.Get(table, key); err != nil || v != nil {
			return err
		}
		done.Taken = true
		_, err := tx.File(store.Delivery{
			Places: []store.Place{{Account: m.Account, Mailbox: box.ID}},
			Flags:  m.Flags, Keywords: m.Keywords, Internal: m.Date,
		}, staged)
		return errors.Join(err, tx.Set(table, key, []byte{}))
	})
	return done, err
}

// importer imports into a running mailnode or a store.
type importer struct {
	ctx      context.Context
	account  string
	node     *node        // nil: use store
	store    *store.Store // nil: use node
	progress *meter
	taken    int
	there    int // messages that had been imported before
}

// one imports a message; its lines may end in LF.
func (im *importer) one(m arrival, text []byte) error {
	text = withCRLF(text)
	m.Account, m.Size = im.account, int64(len(text))
	var done outcome
	var err error
	if im.node != nil {
		var q []byte
		if q, err = json.Marshal(m); err == nil {
			err = im.node.post(im.ctx, "message", url.Values{"message": {string(q)}}, bytes.NewReader(text), m.Size, &done)
		}
	} else {
		done, err = take(im.ctx, im.store, m, bytes.NewReader(text))
	}
	if err != nil {
		return fmt.Errorf("message %s: %w", m.Key, err)
	}
	if done.Taken {
		im.taken++
	} else {
		im.there++
	}
	im.progress.show("messages", uint64(im.taken+im.there), 0)
	return im.ctx.Err()
}

// withCRLF ends lines in CRLF (RFC 5322 §2.3).
func withCRLF(text []byte) []byte {
	if bytes.Count(text, []byte("\n")) == bytes.Count(text, []byte("\r\n")) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/32)
	for i, c := range text {
		if c == '\n' && (i == 0 || text[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// letters are the flags in the names of a Maildir's files.
var letters = map[byte]store.Flags{'D': store.Draft, 'F': store.Flagged, 'R': store.Answered, 'S': store.Seen, 'T': store.Deleted}

// maildirs imports a Maildir with all those below it: in directories, as "a/b", or, as
// Maildir++ has it, in ".a.b".
func (im *importer) maildirs(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		switch e.Name() {
		case "cur", "new":
		case "tmp":
			return fs.SkipDir
		default:
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if err := im.maildir(path, mailboxOf(rel)); err != nil {
			return err
		}
		return fs.SkipDir
	})
}

// mailboxOf is the mailbox for a Maildir's path below the root.
func mailboxOf(rel string) string {
	rel = filepath.ToSlash(rel)
	if rel == "." {
		return "INBOX"
	}
	levels := strings.Split(rel, "/")
	for i, level := range levels {
		if rest, ok := strings.CutPrefix(level, "."); ok {
			levels[i] = strings.ReplaceAll(rest, ".", "/")
		}
	}
	return strings.Join(levels, "/")
}

func (im *importer) maildir(dir, mailbox string) error {
	keywords, err := readKeywords(filepath.Join(filepath.Dir(dir), keywordsName))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		unique, flags, _ := strings.Cut(e.Name(), ":2,")
		m := arrival{Mailbox: mailbox, Date: info.ModTime(), Key: "maildir/" + mailbox + "/" + unique}
		for i := range len(flags) {
			m.Flags |= letters[flags[i]]
			if n := int(flags[i]) - 'a'; n >= 0 && n < len(keywords) && keywords[n] != "" {
				m.Keywords = append(m.Keywords, keywords[n])
			}
		}
		if err := im.one(m, text); err != nil {
			return err
		}
	}
	return nil
}

// keywordsName is the file in a Maildir that says what its keyword letters mean, as
// Dovecot has it: lines of a number and a keyword.
const keywordsName = "dovecot-keywords"

func readKeywords(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	words := make([]string, 26)
	for line := range strings.Lines(string(data)) {
		number, word, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.Atoi(number); ok && err == nil && n >= 0 && n < len(words) {
			words[n] = word
		}
	}
	return words, nil
}

// mboxes imports an mbox file, or all those in a directory, each into a mailbox of its
// name; mailbox, when not "", is the one for a single file.
func (im *importer) mboxes(root, mailbox string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		name := mailbox
		if name == "" {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if rel == "." {
				rel = filepath.Base(path)
			}
			name = strings.TrimSuffix(filepath.ToSlash(rel), ".mbox")
		}
		return im.mbox(path, name)
	})
}

// maxMessage is the longest message an import reads.
const maxMessage = 256 << 20

func (im *importer) mbox(path, mailbox string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(f, 1<<16)
	var text []byte
	var from string
	blank, begun := true, false
	flush := func() error {
		if !begun {
			return nil
		}
		m := arrival{Mailbox: mailbox, Date: fromDate(from)}
		body := bytes.TrimSuffix(text, []byte("\n")) // the empty line before the next
		m.Flags, m.Keywords, body = statusOf(body)
		sum := sha256.Sum256(append([]byte(from), body...))
		m.Key = "mbox/" + mailbox + "/" + hex.EncodeToString(sum[:])
		text = text[:0]
		return im.one(m, body)
	}
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := err != nil
		if blank && bytes.HasPrefix(line, []byte("From ")) {
			if err := flush(); err != nil {
				return err
			}
			from, begun = strings.TrimSpace(string(line)), true
		} else if begun {
			if rest := bytes.TrimLeft(line, ">"); len(rest) < len(line) && bytes.HasPrefix(rest, []byte("From ")) {
				line = line[1:] // mboxrd
			}
			text = append(text, line...)
		} else if len(bytes.TrimSpace(line)) > 0 {
			return fmt.Errorf("%s is no mbox: it does not begin with a From line", path)
		}
		if len(text) > maxMessage {
			return fmt.Errorf("%s: a message has more than %d bytes", path, maxMessage)
		}
		blank = len(bytes.TrimRight(line, "\r\n")) == 0
		if end {
			return flush()
		}
	}
}

// fromDate is the date of a From line; the zero time, which stands for now, when it
// cannot be read.
func fromDate(line string) time.Time {
	if fields := strings.Fields(line); len(fields) >= 7 {
		if t, err := time.Parse(time.ANSIC, strings.Join(fields[len(fields)-5:], " ")); err == nil {
			return t
		}
	}
	return time.Time{}
}

// statusOf takes the lines that tell flags off a message's header.
func statusOf(text []byte) (flags store.Flags, keywords []string, rest []byte) {
	rest = make([]byte, 0, len(text))
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line = text[:i+1]
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		text = text[len(line):]
		name, value, _ := strings.Cut(string(line), ":")
		switch strings.ToLower(name) {
		case "status":
			if strings.Contains(value, "R") {
				flags |= store.Seen
			}
		case "x-status":
			for letter, flag := range map[string]store.Flags{"A": store.Answered, "F": store.Flagged, "T": store.Draft, "D": store.Deleted} {
				if strings.Contains(value, letter) {
					flags |= flag
				}
			}
		case "x-keywords":
			keywords = strings.Fields(value)
		default:
			rest = append(rest, line...)
		}
	}
	return flags, keywords, append(rest, text...)
}
