// Package releases gets builds of programs from the controller and keeps them on
// the server: none is kept, let alone run, that was not signed with a key this
// agent trusts for what it is taken for. Why the keys are trusted is told by
// package inventory/release; this agent's chain of them is in its own directory.
//
// What was accepted once stays runnable: later lists of keys decide what is
// fetched, not what runs.
//
// uplink, steward, app and main import it.
package releases

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

const (
	keysFile = "release.keys" // in the agent's directory
	folder   = "releases"
	part     = ".part"
	manifest = ".json"
	// retryPause lies between two attempts to go on fetching.
	retryPause = time.Second
)

// Platform is what builds must be for.
const Platform = runtime.GOOS + "/" + runtime.GOARCH

// Source is the controller, as api.Client speaks to it.
type Source interface {
	OrderedRelease(ctx context.Context, id inventory.ID) (inventory.Release, error)
	ReleaseContent(ctx context.Context, id inventory.ID, from int64) (io.ReadCloser, error)
	KeyChain(ctx context.Context) ([]inventory.ReleaseKeys, error)
}

// Build is a release whose file is here.
type Build struct {
	inventory.Release
	Path string
}

// Shelf keeps builds. It is safe for concurrent use.
type Shelf struct {
	dir    string // the agent's
	source Source
	log    *slog.Logger
	pause  time.Duration

	fetching sync.Mutex // one at a time

	mu    sync.Mutex
	whole map[string]bool // by SHA-256: files that were read and found as signed
}

// New opens the shelf in the agent's directory.
func New(dir string, source Source, log *slog.Logger) (*Shelf, error) {
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of releases: %w", err)
	}
	return &Shelf{dir: dir, source: source, log: log.With("component", "releases"), pause: retryPause, whole: make(map[string]bool)}, nil
}

// Pin makes a chain of keys the one that is trusted in an agent's directory,
// whatever was trusted there before: it must come from a person, or with a join
// token. An empty chain changes nothing.
func Pin(dir string, chain release.Chain) error {
	if len(chain) == 0 {
		return nil
	}
	text, err := chain.Text()
	if err != nil {
		return err
	}
	if _, err := release.Parse(text); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, keysFile), text)
}

// Trusted is the chain that is trusted in an agent's directory; empty when none is.
func Trusted(dir string) (release.Chain, error) {
	text, err := os.ReadFile(filepath.Join(dir, keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the trusted release keys: %w", err)
	}
	return release.Parse(text)
}

// trusted is what is trusted here after the lists were followed that the
// controller has. Nothing of the controller's is believed but what a trusted
// key signed.
func (s *Shelf) trusted(ctx context.Context) (release.Chain, error) {
	mine, err := Trusted(s.dir)
	if err != nil {
		return nil, err
	}
	if len(mine) == 0 {
		return nil, inventory.Errorf(inventory.Forbidden, "this agent trusts no release key: run mailfleet-agent trust with a key list on the server")
	}
	theirs, err := s.source.KeyChain(ctx)
	if err != nil {
		return nil, inventory.Fail("ask for the release keys: %v", err)
	}
	longer := mine.Follow(theirs)
	if len(longer) == len(mine) {
		return mine, nil
	}
	s.log.Info("a further list of release keys is trusted", "serial", longer[len(longer)-1].Serial)
	return longer, Pin(s.dir, longer)
}

// Fetch gets a release from the controller and checks it, before and after: that
// it is of the program, for this platform, signed, and what arrived is what was
// signed. What is here already is not sent again. say is told how it goes.
func (s *Shelf) Fetch(ctx context.Context, id inventory.ID, program string, say func(inventory.Sentence)) (Build, error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	keys, err := s.trusted(ctx)
	if err != nil {
		return Build{}, err
	}
	r, err := s.source.OrderedRelease(ctx, id)
	if err != nil {
		return Build{}, inventory.Fail("ask for the release: %v", err)
	}
	if err := keys.Verify(&r); err != nil {
		return Build{}, err
	}
	switch {
	case r.ID != id:
		return Build{}, inventory.Errorf(inventory.Invalid, "the controller answered with another release than %s", id)
	case r.Program != program:
		return Build{}, inventory.Errorf(inventory.Invalid, "%s was signed as %s, not as %s", r.Number, r.Program, program)
	case r.Platform != Platform:
		return Build{}, inventory.Errorf(inventory.Invalid, "%s %s is for %s and this server is %s", r.Program, r.Number, r.Platform, Platform)
	}
	if b, ok := s.build(r); ok {
		return b, s.remember(r)
	}
	say(inventory.Say("fetching %s, %d octets", r.Title(), r.Size))
	if err := s.receive(ctx, r); err != nil {
		return Build{}, err
	}
	say(inventory.Say("signature and SHA-256 hold"))
	b, ok := s.build(r)
	if !ok {
		return Build{}, inventory.Fail("the file of %s is gone again", r.Title())
	}
	return b, s.remember(r)
}

func (s *Shelf) file(name string) string { return filepath.Join(s.dir, folder, name) }

// remember keeps what a release says of itself beside its file.
func (s *Shelf) remember(r inventory.Release) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.file(string(r.ID)+manifest), text)
}

// Have returns a release that was fetched before, without asking anybody.
func (s *Shelf) Have(id inventory.ID) (Build, bool) {
	if _, err := inventory.ParseID(string(id)); err != nil {
		return Build{}, false
	}
	text, err := os.ReadFile(s.file(string(id) + manifest))
	if err != nil {
		return Build{}, false
	}
	var r inventory.Release
	if err := json.Unmarshal(text, &r); err != nil || r.Check() != nil {
		return Build{}, false
	}
	return s.build(r)
}

// build finds a release's file and makes sure that it is as it was signed. It
// is read whole once.
func (s *Shelf) build(r inventory.Release) (Build, bool) {
	b := Build{Release: r, Path: s.file(r.SHA256)}
	info, err := os.Stat(b.Path)
	if err != nil || info.Size() != r.Size {
		return b, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.whole[r.SHA256] {
		sum, err := digest(b.Path)
		if err != nil || sum != r.SHA256 {
			s.log.Warn("a release's file is not as it was signed and is not used", "file", b.Path, "err", err)
			return b, false
		}
		s.whole[r.SHA256] = true
	}
	return b, true
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// receive fetches a release's file, going on where it broke off, until it is
// whole, the controller refuses or ctx ends.
func (s *Shelf) receive(ctx context.Context, r inventory.Release) error {
	arriving := s.file(r.SHA256 + part)
	f, err := os.OpenFile(arriving, os.O_RDWR|os.O_CREATE, 0o700)
	if err != nil {
		return inventory.Fail("keep a release: %v", err)
	}
	err = s.fill(ctx, f, r)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Chmod(0o755)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	sum, err := digest(arriving)
	if err != nil {
		return inventory.Fail("keep a release: %v", err)
	}
	if sum != r.SHA256 {
		_ = os.Remove(arriving)
		return inventory.Errorf(inventory.Invalid, "what arrived of %s is not what was signed: its SHA-256 is another", r.Title())
	}
	return durable.Place(arriving, s.file(r.SHA256))
}

func (s *Shelf) fill(ctx context.Context, f *os.File, r inventory.Release) error {
	for {
		have, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return inventory.Fail("keep a release: %v", err)
		}
		if have > r.Size { // of an earlier attempt; it begins anew
			if err := f.Truncate(0); err != nil {
				return inventory.Fail("keep a release: %v", err)
			}
			continue
		}
		if have == r.Size {
			return nil
		}
		err = s.more(ctx, f, r, have)
		if err == nil {
			continue
		}
		if p, refused := errors.AsType[*api.Problem](err); refused && p.Status < 500 {
			return inventory.Fail("fetch %s: %v", r.Title(), err)
		}
		if _, disk := errors.AsType[*fs.PathError](err); disk {
			return inventory.Fail("keep a release: %v", err)
		}
		t := time.NewTimer(s.pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return inventory.Fail("%s did not arrive in time: %v", r.Title(), err)
		}
	}
}

// more appends what follows octet have. Nothing beyond what was signed is read.
func (s *Shelf) more(ctx context.Context, f *os.File, r inventory.Release, have int64) error {
	body, err := s.source.ReleaseContent(ctx, r.ID, have)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	n, err := io.Copy(f, io.LimitReader(body, r.Size-have))
	if err == nil && n < r.Size-have {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Share lets other users of the machine run the builds: the directory they lie
// in is the agent's own, whose other contents stay closed to them.
func (s *Shelf) Share() error {
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	return os.Chmod(s.dir, info.Mode().Perm()|0o011)
}

// Prune drops the builds that keep does not name by their SHA-256. No Fetch may
// go on.
func (s *Shelf) Prune(keep map[string]bool) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		sum := e.Name()
		if strings.HasSuffix(sum, manifest) {
			b, ok := s.Have(inventory.ID(strings.TrimSuffix(sum, manifest)))
			if sum = b.SHA256; !ok {
				sum = ""
			}
		}
		if !keep[sum] {
			errs = append(errs, os.Remove(s.file(e.Name())))
		}
	}
	return errors.Join(errs...)
}
