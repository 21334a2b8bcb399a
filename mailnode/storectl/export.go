package storectl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/store"
)

// exporter writes mailboxes as files, below a directory for each account.
type exporter struct {
	ctx      context.Context
	src      *store.Store
	format   string // maildir, mbox or eml
	to       string
	progress *meter
	written  uint64
	there    uint64 // written before
	damaged  int    // messages that could not be read
	warn     func(string)
}

// account exports all mailboxes of an account.
func (ex *exporter) account(id string) error {
	boxes, err := ex.src.Mailboxes(ex.ctx, id)
	if err != nil {
		return err
	}
	for _, m := range boxes {
		if m.NoSelect {
			continue
		}
		if err := ex.mailbox(store.Place{Account: id, Mailbox: m.ID}, m); err != nil {
			return fmt.Errorf("account %s, mailbox %q: %w", id, m.Name, err)
		}
	}
	return nil
}

// dirOf is the directory of a mailbox, whose levels can have no name a directory
// cannot have.
func (ex *exporter) dirOf(p store.Place, name string) string {
	levels := strings.Split(name, "/")
	for i, level := range levels {
		switch level {
		case ".", "..", "cur", "new", "tmp":
			levels[i] = "_" + level
		}
	}
	return filepath.Join(append([]string{ex.to, filepath.Base(p.Account)}, levels...)...)
}

// writer writes the messages of one mailbox.
type writer interface {
	// has tells whether a message was written before.
	has(m store.Message) bool
	write(m store.Message, r io.Reader) error
	close() error
}

func (ex *exporter) mailbox(p store.Place, m store.Mailbox) (err error) {
	b, err := ex.src.Select(ex.ctx, p)
	if err != nil {
		return err
	}
	defer b.Close()
	v := b.View()
	var w writer
	switch ex.format {
	case "maildir":
		w, err = newMaildir(ex.dirOf(p, m.Name), v.Mailbox)
	case "mbox":
		w, err = newMbox(ex.dirOf(p, m.Name)+".mbox", v.Mailbox)
	case "eml":
		w, err = newEML(ex.dirOf(p, m.Name), v.Mailbox)
	default:
		return fmt.Errorf("%q is no format: there are maildir, mbox and eml", ex.format)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	uids := make([]uint32, 0, v.Len())
	for _, i := range v.All() {
		uids = append(uids, i.UID)
	}
	for msg, err := range ex.src.Messages(ex.ctx, p, uids, false) {
		if err != nil {
			return err
		}
		if w.has(msg) {
			ex.there++
			continue
		}
		if err := ex.one(w, p, m, msg); err != nil {
			return err
		}
		ex.progress.show("messages", ex.written+ex.there, 0)
	}
	return nil
}

// one writes a message; one that is damaged is told of and left out.
func (ex *exporter) one(w writer, p store.Place, m store.Mailbox, msg store.Message) error {
	var text bytes.Buffer
	if _, err := io.Copy(&text, ex.src.Body(msg)); err != nil {
		ex.damaged++
		ex.warn(fmt.Sprintf("account %s, mailbox %q, UID %d is left out: %v", p.Account, m.Name, msg.UID, err))
		return nil
	}
	if err := w.write(msg, &text); err != nil {
		return err
	}
	ex.written++
	return nil
}

// publish writes a file so that it is there whole or not at all.
func publish(temp, path string, date time.Time, write func(w io.Writer) error) error {
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if !date.IsZero() {
		if err := os.Chtimes(temp, date, date); err != nil {
			return err
		}
	}
	return os.Rename(temp, path)
}

// maildir writes a Maildir.
type maildir struct {
	dir  string
	box  store.Mailbox
	have map[string]bool // names without flags
}

func newMaildir(dir string, m store.Mailbox) (*maildir, error) {
	w := &maildir{dir: dir, box: m, have: map[string]bool{}}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	var words strings.Builder
	for i, word := range m.Keywords[:min(len(m.Keywords), 26)] {
		if word != "" {
			fmt.Fprintf(&words, "%d %s\n", i, word)
		}
	}
	if words.Len() > 0 {
		if err := os.WriteFile(filepath.Join(dir, keywordsName), []byte(words.String()), 0o600); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "cur"))
	for _, e := range entries {
		unique, _, _ := strings.Cut(e.Name(), ":")
		w.have[unique] = true
	}
	return w, err
}

func (w *maildir) unique(m store.Message) string {
	return fmt.Sprintf("%d.V%dU%d.%s,S=%d", m.Internal.Unix(), w.box.UIDValidity, m.UID, m.ID, m.Size)
}

func (w *maildir) has(m store.Message) bool { return w.have[w.unique(m)] }

func (w *maildir) write(m store.Message, r io.Reader) error {
	var flags []byte
	for letter, flag := range letters {
		if m.Flags.Has(flag) {
			flags = append(flags, letter)
		}
	}
	for i := range min(len(w.box.Keywords), 26) {
		if w.box.Keywords[i] != "" && m.Flags.Has(store.KeywordFlag(w.box.Keywords, w.box.Keywords[i])) {
			flags = append(flags, byte('a'+i))
		}
	}
	slices.Sort(flags)
	name := w.unique(m)
	return publish(filepath.Join(w.dir, "tmp", name), filepath.Join(w.dir, "cur", name+":2,"+string(flags)), m.Internal,
		func(f io.Writer) error { _, err := io.Copy(f, r); return err })
}

func (w *maildir) close() error { return nil }

// mbox writes a file in the mboxrd form. It is whole when it has its final name.
type mbox struct {
	path string
	box  store.Mailbox
	done bool // it was written before
	file *os.File
	out  *bufio.Writer
}

func newMbox(path string, m store.Mailbox) (*mbox, error) {
	w := &mbox{path: path, box: m}
	if _, err := os.Stat(path); err == nil {
		w.done = true
		return w, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(path + ".part")
	w.file, w.out = f, bufio.NewWriterSize(f, 1<<16)
	return w, err
}

func (w *mbox) has(store.Message) bool { return w.done }

func (w *mbox) write(m store.Message, r io.Reader) error {
	// Errors of the buffer stay in it and come back at the flush.
	_, _ = fmt.Fprintf(w.out, "From MAILER-DAEMON %s\n", m.Internal.UTC().Format(time.ANSIC))
	status, more := "O", ""
	if m.Flags.Has(store.Seen) {
		status = "RO"
	}
	for _, f := range []struct {
		flag   store.Flags
		letter string
	}{{store.Answered, "A"}, {store.Flagged, "F"}, {store.Draft, "T"}, {store.Deleted, "D"}} {
		if m.Flags.Has(f.flag) {
			more += f.letter
		}
	}
	_, _ = fmt.Fprintf(w.out, "Status: %s\n", status)
	if more != "" {
		_, _ = fmt.Fprintf(w.out, "X-Status: %s\n", more)
	}
	if words := m.Flags.Keywords(w.box.Keywords); len(words) > 0 {
		_, _ = fmt.Fprintf(w.out, "X-Keywords: %s\n", strings.Join(words, " "))
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			_ = w.out.WriteByte('>')
		}
		_, _ = w.out.Write(line)
		_ = w.out.WriteByte('\n')
	}
	return w.out.WriteByte('\n')
}

func (w *mbox) close() error {
	if w.done {
		return nil
	}
	if err := errors.Join(w.out.Flush(), w.file.Close()); err != nil {
		return err
	}
	return os.Rename(w.path+".part", w.path)
}

// eml writes a file for each message, and one beside it with what is known of it.
type eml struct {
	dir string
	box store.Mailbox
}

func newEML(dir string, m store.Mailbox) (*eml, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(map[string]any{
		"name": m.Name, "mailbox_id": m.Object.String(), "use": m.Use, "uid_validity": m.UIDValidity,
		"uid_next": m.UIDNext, "highest_modseq": m.HighestModSeq, "messages": m.Messages, "bytes": m.Bytes,
	}, "", "  ")
	return &eml{dir, m}, errors.Join(err, os.WriteFile(filepath.Join(dir, "mailbox.json"), append(data, '\n'), 0o600))
}

func (w *eml) path(m store.Message) string { return filepath.Join(w.dir, fmt.Sprintf("%d", m.UID)) }

func (w *eml) has(m store.Message) bool {
	_, err := os.Stat(w.path(m) + ".json") // written last
	return err == nil
}

func (w *eml) write(m store.Message, r io.Reader) error {
	path := w.path(m)
	if err := publish(path+".eml.part", path+".eml", m.Internal, func(f io.Writer) error { _, err := io.Copy(f, r); return err }); err != nil {
		return err
	}
	flags := []string{}
	for name, flag := range map[string]store.Flags{`\Seen`: store.Seen, `\Answered`: store.Answered, `\Flagged`: store.Flagged, `\Deleted`: store.Deleted, `\Draft`: store.Draft} {
		if m.Flags.Has(flag) {
			flags = append(flags, name)
		}
	}
	slices.Sort(flags)
	return publish(path+".json.part", path+".json", time.Time{}, func(f io.Writer) error {
		e := json.NewEncoder(f)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{
			"uid": m.UID, "modseq": m.ModSeq, "email_id": m.ID.String(), "thread_id": m.Thread.String(), "size": m.Size,
			"flags": append(flags, m.Flags.Keywords(w.box.Keywords)...), "internal_date": m.Internal, "saved": m.Saved, "received": m.Received,
		})
	})
}

func (w *eml) close() error { return nil }
