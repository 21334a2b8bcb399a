package releases

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// source is a controller that may break off, or lie.
type source struct {
	chain   release.Chain
	release inventory.Release
	content []byte
	breaks  int // answers that break off half way
	sent    int64
	asked   []int64
	refuse  error
}

func (s *source) OrderedRelease(context.Context, inventory.ID) (inventory.Release, error) {
	return s.release, nil
}

func (s *source) KeyChain(context.Context) ([]inventory.ReleaseKeys, error) { return s.chain, nil }

func (s *source) ReleaseContent(_ context.Context, _ inventory.ID, from int64) (io.ReadCloser, error) {
	s.asked = append(s.asked, from)
	if s.refuse != nil {
		return nil, s.refuse
	}
	rest := s.content[min(int(from), len(s.content)):]
	var r io.Reader = bytes.NewReader(rest)
	if s.breaks > 0 {
		s.breaks--
		r = io.MultiReader(bytes.NewReader(rest[:len(rest)/2]), broken{})
	}
	return io.NopCloser(&counting{r, &s.sent}), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the link broke") }

type counting struct {
	io.Reader
	n *int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

type bench struct {
	*source
	t     *testing.T
	dir   string
	key   ed25519.PrivateKey
	shelf *Shelf
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), source: &source{content: bytes.Repeat([]byte("program "), 50_000)}}
	var err error
	if b.key, err = release.NewKey(); err == nil {
		b.chain, err = release.NewChain(b.key)
	}
	if err == nil {
		err = Pin(b.dir, b.chain)
	}
	if err == nil {
		b.shelf, err = New(b.dir, b.source, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		t.Fatal(err)
	}
	b.shelf.pause = time.Millisecond
	sum := sha256.Sum256(b.content)
	b.release = inventory.Release{Meta: inventory.Meta{ID: inventory.NewID()}, Program: "billing", Number: "2", Platform: Platform,
		Size: int64(len(b.content)), SHA256: hex.EncodeToString(sum[:])}
	b.sign(b.key)
	return b
}

func (b *bench) sign(key ed25519.PrivateKey) {
	b.t.Helper()
	if err := release.Sign(&b.release, key); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) fetch() (Build, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	return b.shelf.Fetch(ctx, b.release.ID, "billing", func(inventory.Sentence) {})
}

// here are the names on the shelf.
func (b *bench) here() (names []string) {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, folder))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWhatIsNotTrustedIsNotEvenFetched(t *testing.T) {
	stranger, err := release.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*bench)
		want  string
	}{
		"a stranger's signature": {func(b *bench) { b.sign(stranger) }, "a key that is not trusted"},
		"a stranger's keys": {func(b *bench) {
			b.chain, _ = release.NewChain(stranger)
			b.chain, _ = b.chain.Append(stranger, release.Public(stranger))
			b.sign(stranger)
		}, "a key that is not trusted"},
		"a forged signature": {func(b *bench) { b.release.Signature[3] ^= 1 }, "does not hold"},
		"another version":    {func(b *bench) { b.release.Number = "3" }, "does not hold"},
		"another program":    {func(b *bench) { b.release.Program = "mailfleet-agent"; b.sign(b.key) }, "signed as mailfleet-agent, not as billing"},
		"another platform":   {func(b *bench) { b.release.Platform = "plan9/mips"; b.sign(b.key) }, "for plan9/mips"},
		"too big":            {func(b *bench) { b.release.Size = inventory.MaxRelease + 1 }, "octets"},
		"no keys":            {func(b *bench) { _ = os.Remove(filepath.Join(b.dir, keysFile)) }, "trusts no release key"},
	} {
		b := newBench(t)
		c.spoil(b)
		if _, err := b.fetch(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(b.asked) != 0 || len(b.here()) != 0 {
			t.Errorf("%s: it was fetched %d times, and here is %v", name, len(b.asked), b.here())
		}
		if _, ok := b.shelf.Have(b.release.ID); ok {
			t.Errorf("%s: it is had", name)
		}
	}
}

func TestWhatArrivesIsWhatWasSigned(t *testing.T) {
	for name, spoil := range map[string]func(*bench){
		"changed":    func(b *bench) { b.content = bytes.Repeat([]byte("prognam "), 50_000) },
		"and longer": func(b *bench) { b.content = bytes.Repeat([]byte("prognam "), 90_000) },
	} {
		b := newBench(t)
		spoil(b)
		if _, err := b.fetch(); err == nil || !strings.Contains(err.Error(), "SHA-256 is another") {
			t.Errorf("%s: %v", name, err)
		}
		if len(b.here()) != 0 || b.sent > b.release.Size+32<<10 {
			t.Errorf("%s: here is %v after %d octets of %d", name, b.here(), b.sent, b.release.Size)
		}
	}
	b := newBench(t)
	b.refuse = &api.Problem{Status: 404, Detail: "publish it again"}
	if _, err := b.fetch(); err == nil || !strings.Contains(err.Error(), "publish it again") {
		t.Errorf("refused: %v", err)
	}
}

func TestItGoesOnWhereItBrokeOff(t *testing.T) {
	b := newBench(t)
	b.breaks = 3
	got, err := b.fetch()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(got.Path)
	if err != nil || !bytes.Equal(file, b.content) {
		t.Fatalf("here are %d octets, %v", len(file), err)
	}
	if b.sent != b.release.Size || len(b.asked) != 4 {
		t.Errorf("%d octets of %d were sent, from %v on", b.sent, b.release.Size, b.asked)
	}
	if info, err := os.Stat(got.Path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := b.fetch(); err != nil || len(b.asked) != 4 {
		t.Errorf("what is here is fetched again: %v", err)
	}
	next, err := New(b.dir, b.source, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if had, ok := next.Have(b.release.ID); !ok || had.Number != "2" {
		t.Errorf("the next agent has %+v, %v", had, ok)
	}
	if err := next.Prune(map[string]bool{b.release.SHA256: true}); err != nil || len(b.here()) != 2 {
		t.Errorf("what is to be kept was dropped: %v, %v", b.here(), err)
	}
	if err := os.WriteFile(got.Path, bytes.Repeat([]byte("prognam "), 50_000), 0o700); err != nil {
		t.Fatal(err)
	}
	if next, err = New(b.dir, b.source, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if _, ok := next.Have(b.release.ID); ok {
		t.Error("a file that was changed since is had")
	}
	if err := next.Prune(nil); err != nil || len(b.here()) != 0 {
		t.Errorf("left: %v, %v", b.here(), err)
	}
}

func TestFurtherKeysAreFollowed(t *testing.T) {
	b := newBench(t)
	second, err := release.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if b.chain, err = b.chain.Append(b.key, release.Public(second)); err != nil {
		t.Fatal(err)
	}
	b.sign(second)
	if _, err := b.fetch(); err != nil {
		t.Fatal(err)
	}
	if c, err := Trusted(b.dir); err != nil || len(c) != 2 {
		t.Errorf("it trusts %v, %v", c, err)
	}
	b.sign(b.key)
	if _, err := b.fetch(); err == nil {
		t.Error("a key that was left out is still trusted")
	}
}
