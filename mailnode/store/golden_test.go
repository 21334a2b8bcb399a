package store

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var writeGolden = flag.Bool("golden", false, "write the golden store of the current format anew")

// goldenPath is the file with a golden store of a format.
func goldenPath(format int) string { return fmt.Sprintf("testdata/format%d.tar.gz", format) }

// unpack puts a golden store into a new directory.
func unpack(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := tar.NewReader(z)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.Clean(h.Name))
		if h.Typeflag == tar.TypeDir {
			continue
		}
		data, err := io.ReadAll(files)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func pack(t testing.TB, dir, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	files := tar.NewWriter(z)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "LOCK" {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = files.Write(data)
		return err
	})
	if err := errors.Join(err, files.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// The store of format 1 was written by the program that knew no other.
func TestStoreOfFormat1IsBroughtUpToDate(t *testing.T) {
	dir := unpack(t, goldenPath(1))
	s := open(t, dir, Options{Digest: digestOf})
	for range 2 {
		m, messages := snapshot(t, s, alice)
		if m.UIDValidity != 1795568271 || m.UIDNext != 7 || m.HighestModSeq != 7 || m.Messages != 5 || m.Bytes != 80648 || m.Unseen != 5 {
			t.Errorf("the mailbox is %+v", m)
		}
		var got []string
		for _, m := range messages {
			got = append(got, fmt.Sprint(m.UID, m.ID, m.Size, m.ModSeq, m.Internal.Unix()))
		}
		if want := []string{
			"1 01a2103580b7771bafc055ce08ea777d 22 1 1795568271", "3 01a2103580c67202ba452a8cfd5079c9 142 3 1795568271",
			"4 01a2103580c67cd9b681a357c3c84799 202 4 1795568271", "5 01a2103580c77503a83724e2d106241c 262 5 1795568271",
			"6 01a2103580c97076be008e20c8e0fe42 80020 6 1795568271",
		}; strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the messages are %v", got)
		}
		if text := body(t, s, messages[1]); text != "Subject: message 2\r\n\r\n"+strings.Repeat("text\r\n", 20) {
			t.Errorf("message 3 is %q", text)
		}
		for m, err := range s.Messages(t.Context(), Place{alice, Inbox}, []uint32{6}, true) {
			if err != nil || string(m.Digest) != "1 Subject: to both" {
				t.Errorf("a digest made afterwards is %q, %v", m.Digest, err)
			}
		}
		if _, complete, err := s.Vanished(t.Context(), Place{alice, Inbox}, 6); err != nil || complete {
			t.Errorf("what vanished before is said to be known: %v", err)
		}
		sound(t, s)
		shut(t, s)
		s = open(t, dir, Options{Digest: digestOf})
	}
	if r := deliver(t, s, "new", alice); r[0].UID != 7 || r[0].ModSeq != 8 {
		t.Errorf("a new message got %+v", r)
	}
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{6}); err != nil {
		t.Fatal(err)
	}
	_, messages := snapshot(t, s, bob)
	if text := body(t, s, messages[0]); len(text) != 80020 || !strings.HasSuffix(text, "0123456789abcde\n") {
		t.Error("what bob shared with alice is spoilt")
	}
	sound(t, s)
	shut(t, s)
}

// A crash between the steps of a migration leaves what the next opening completes.
func TestMigrationThatWasCutShortGoesOn(t *testing.T) {
	files := vfs.NewCrashableMem()
	if _, err := vfs.Clone(vfs.Default, files, unpack(t, goldenPath(1)), "/s", vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	s := &Store{log: slog.New(slog.DiscardHandler)}
	db, err := pebble.Open("/s/db", &pebble.Options{FS: files, FormatMajorVersion: pebble.FormatValueSeparation, Logger: (*pebbleLogger)(s)})
	if err != nil {
		t.Fatal(err)
	}
	// All is in the new form, but for one message and the format number.
	s.db = db
	old, err := s.get(uidKey(Place{alice, Inbox}, 'm', 3))
	if err != nil {
		t.Fatal(err)
	}
	oldBox, err := s.get(mailboxKey(alice, Inbox))
	if err := errors.Join(err, s.migrateBodies(), s.migrateAccounts(),
		db.Set(uidKey(Place{alice, Inbox}, 'm', 3), old, nil), db.Set(mailboxKey(alice, Inbox), oldBox, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, "/s", Options{FS: files})
	defer shut(t, s)
	if m, messages := snapshot(t, s, alice); len(messages) != 5 || m.Messages != 5 {
		t.Errorf("%+v %v", m, messages)
	}
	sound(t, s)
}

// goldenStore makes a store with something of everything.
func goldenStore(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	m, err := s.CreateMailbox(ctx, alice, "档案/2024", `\Archive`)
	if err != nil {
		t.Fatal(err)
	}
	p, inbox := Place{alice, m.ID}, Place{alice, Inbox}
	zone := time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 8*3600))
	for i := range 6 {
		text := fmt.Sprintf("Subject: message %d\r\n\r\n%s", i, strings.Repeat("text\r\n", i*2000))
		if _, err := s.Append(ctx, Delivery{
			Accounts: []string{alice, bob}, Prefix: []byte("Return-Path: <>\r\n"), Body: strings.NewReader(text), Size: int64(len(text)),
			Flags: Flags(i), Keywords: []string{"$Label1"}, Internal: zone, Counts: []Count{{"20240506/in", 1}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	queue := s.Table("queue")
	body, err := s.Stage(ctx, strings.NewReader("queued"), 6)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	_, copyErr := s.Copy(ctx, inbox, []uint32{1, 2}, p)
	_, moveErr := s.Move(ctx, inbox, []uint32{3}, p)
	_, expungeErr := s.Expunge(ctx, inbox, []uint32{4})
	_, flagErr := s.StoreFlags(ctx, p, FlagChange{UIDs: []uint32{1}, Op: AddFlags, Flags: Deleted, Keywords: []string{"later"}})
	if err := errors.Join(copyErr, moveErr, expungeErr, flagErr,
		s.Update(ctx, body, func(tx *Tx) error {
			_, err := tx.Hold(queue, []byte("1"), body)
			return errors.Join(err, tx.Set(queue, []byte("entry"), []byte("value")))
		}),
		s.Subscribe(ctx, alice, "档案/2024", true),
		s.SetGrant(ctx, p, Grant{bob, "lr"}),
		s.Annotate(ctx, Annotations{Place: p}, map[string][]byte{"/shared/comment": []byte("kept")}),
	); err != nil {
		t.Fatal(err)
	}
}

func TestStoreOfThisFormatIsOpened(t *testing.T) {
	if *writeGolden {
		dir := t.TempDir()
		s := open(t, dir, Options{Digest: digestOf})
		goldenStore(t, s)
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		shut(t, s)
		pack(t, dir, goldenPath(formatVersion))
	}
	s := open(t, unpack(t, goldenPath(formatVersion)), Options{Digest: digestOf})
	defer shut(t, s)
	sound(t, s)
	sameReplayed(t, s)
	m, err := s.Find(t.Context(), alice, "档案/2024")
	if err != nil || m.Use != `\Archive` || m.Messages != 3 || m.Deleted != 1 || fmt.Sprint(m.Keywords) != "[$Label1 later]" {
		t.Errorf("%+v, %v", m, err)
	}
	p := Place{alice, m.ID}
	for m, err := range s.Messages(t.Context(), p, []uint32{3}, true) {
		if err != nil || m.Internal.Format(time.RFC3339) != "2024-05-06T07:08:09+08:00" || !m.Flags.Has(Flags(2)) || string(m.Digest) != "1 Subject: message" {
			t.Errorf("%+v, %v", m, err)
		}
		if text := body(t, s, m); !strings.HasPrefix(text, "Return-Path: <>\r\nSubject: message 2\r\n") || len(text) != 17+22+12000*2 {
			t.Errorf("it has %d bytes: %.60q", len(text), text)
		}
	}
	if gone, complete, err := s.Vanished(t.Context(), Place{alice, Inbox}, 0); err != nil || !complete || fmt.Sprint(gone) != "[3 4]" {
		t.Errorf("vanished %v, complete %t, %v", gone, complete, err)
	}
	h, err := s.Table("queue").Held([]byte("1"))
	if err != nil || text(t, s.HeldSection(h, 0, 100)) != "queued" {
		t.Errorf("held %+v, %v", h, err)
	}
	names, err := s.Subscriptions(t.Context(), alice)
	entries, err2 := s.Annotations(t.Context(), Annotations{Place: p})
	if fmt.Sprint(names) != "[档案/2024]" || string(entries["/shared/comment"]) != "kept" || err != nil || err2 != nil {
		t.Errorf("subscriptions %v, annotations %v, %v, %v", names, entries, err, err2)
	}
}
