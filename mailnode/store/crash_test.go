package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashDir, in the environment, makes this test binary the victim of the kill test.
const crashDir = "MAILFLEET_STORE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		os.Exit(victim(dir))
	}
	os.Exit(m.Run())
}

// victim delivers, flags, moves and expunges until it is killed, and prints a line for
// each change when it is durable: what was done, to which UID, of which message.
func victim(dir string) int {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	made, err := s.CreateMailbox(ctx, alice, "moved", "")
	if errors.Is(err, ErrExists) {
		made, err = s.Find(ctx, alice, "moved")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	inbox, moved := Place{alice, Inbox}, Place{alice, made.ID}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	step := func() error {
		text := strings.Repeat(fmt.Sprint(rand.Uint64()), 1+rand.IntN(1<<rand.IntN(13)))
		r, err := s.Deliver(ctx, Delivery{Accounts: []string{alice, bob}, Body: strings.NewReader(text), Size: int64(len(text))})
		if err != nil {
			return err
		}
		uid, sum := r[0].UID, sha256.Sum256([]byte(text))
		say("delivered %d %s %x", uid, r[0].ID, sum)
		switch uid % 4 {
		case 0:
			if _, err := s.StoreFlags(ctx, inbox, FlagChange{UIDs: []uint32{uid}, Op: AddFlags, Flags: Flagged}); err != nil {
				return err
			}
			say("flagged %d %s %x", uid, r[0].ID, sum)
		case 1:
			done, err := s.Move(ctx, inbox, []uint32{uid}, moved)
			if err != nil {
				return err
			}
			say("moved %d %s %x %d", uid, r[0].ID, sum, done.To[0])
		case 2:
			if _, err := s.Expunge(ctx, inbox, []uint32{uid}); err != nil {
				return err
			}
			say("expunged %d %s %x", uid, r[0].ID, sum)
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				if err := step(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

// Killed again and again during deliveries, flag changes, moves and expunges, the store
// keeps all that was acknowledged, gives no UID twice, and is whole.
func TestAcknowledgedChangesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]map[string]string{} // UID → what was done → id, hash and more
	for range 4 {
		for line := range killAfter(t, dir, 30+rand.IntN(100)) {
			what, rest, _ := strings.Cut(line, " ")
			uid, rest, _ := strings.Cut(rest, " ")
			if acknowledged[uid] == nil {
				acknowledged[uid] = map[string]string{}
			}
			if other, used := acknowledged[uid][what]; used {
				t.Fatalf("UID %s was %s as %s and as %s", uid, what, other, rest)
			}
			acknowledged[uid][what] = rest
		}
		s := open(t, dir, Options{})
		sound(t, s)
		moved, err := s.Find(t.Context(), alice, "moved")
		if err != nil {
			t.Fatal(err)
		}
		is := map[string]string{}
		flags := map[string]Flags{}
		for name, p := range map[string]Place{"": {alice, Inbox}, "moved ": {alice, moved.ID}} {
			_, messages, err := s.Snapshot(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				key := name + fmt.Sprint(m.UID)
				is[key], flags[key] = fmt.Sprintf("%s %x", m.ID, sha256.Sum256([]byte(body(t, s, m)))), m.Flags
			}
		}
		for uid, done := range acknowledged {
			checkAcknowledged(t, uid, done, is, flags)
		}
		shut(t, s)
	}
	t.Logf("%d acknowledged messages", len(acknowledged))
}

func checkAcknowledged(t *testing.T, uid string, done, is map[string]string, flags map[string]Flags) {
	t.Helper()
	want := done["delivered"]
	switch n, _ := strconv.Atoi(uid); {
	case done["expunged"] != "":
		if is[uid] != "" {
			t.Errorf("UID %s was expunged and is there", uid)
		}
	case done["moved"] != "":
		fields := strings.Fields(done["moved"])
		if got := is["moved "+fields[2]]; is[uid] != "" || got != want {
			t.Errorf("UID %s was moved to %s; there it is %q, want %q", uid, fields[2], got, want)
		}
	case n%4 == 1 && is[uid] == "": // moved and not acknowledged
	case n%4 == 2 && is[uid] == "": // expunged and not acknowledged
	case is[uid] != want:
		t.Errorf("UID %s was acknowledged as %s and is %q", uid, want, is[uid])
	case done["flagged"] != "" && !flags[uid].Has(Flagged):
		t.Errorf("UID %s lost its flag", uid)
	}
}

// killAfter runs a victim, kills it after it has printed n lines, and returns all
// whole lines it printed.
func killAfter(t *testing.T, dir string, n int) map[string]bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil { // what is cut off was not acknowledged
			break
		}
		lines[strings.TrimSuffix(line, "\n")] = true
		if len(lines) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(lines) < n {
		t.Fatalf("the victim ended by itself after %d lines: %v", len(lines), err)
	}
	return lines
}

// What was acknowledged, and what a reader saw, is there after the power went,
// however much of the unsynced data reached the disk.
func TestAcknowledgedMessagesSurvivePowerLoss(t *testing.T) {
	for _, unsynced := range []int{0, 30, 70, 100} {
		t.Run(fmt.Sprintf("%d%% of unsynced data kept", unsynced), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			rng := rand.New(rand.NewPCG(1, uint64(unsynced)))
			known := map[uint32]ObjectID{}
			for range 4 {
				fs = powerCut(t, fs, unsynced, rng, known)
			}
			if len(known) < 24 {
				t.Errorf("only %d messages were seen", len(known))
			}
		})
	}
}

// powerCut opens the store, checks what is known of it, delivers from several
// goroutines, and cuts the power in the middle. It adds to known what a crash must
// not take back.
func powerCut(t *testing.T, fs *vfs.MemFS, unsynced int, rng *rand.Rand, known map[uint32]ObjectID) *vfs.MemFS {
	s := open(t, "/s", Options{FS: fs})
	sound(t, s)
	_, messages := snapshot(t, s, alice)
	found := map[uint32]ObjectID{}
	for _, m := range messages {
		found[m.UID] = m.ID
		body(t, s, m)
	}
	for uid, id := range known {
		if found[uid] != id {
			t.Fatalf("UID %d was message %s and is %s", uid, id, found[uid])
		}
	}

	var mu sync.Mutex
	var wg sync.WaitGroup
	learn := func(uid uint32, id ObjectID) {
		mu.Lock()
		defer mu.Unlock()
		if known[uid] != id && known[uid] != (ObjectID{}) {
			t.Errorf("UID %d is both %s and %s", uid, known[uid], id)
		}
		known[uid] = id
	}
	stop, halfway := make(chan struct{}), make(chan struct{})
	var once sync.Once
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				r := deliver(t, s, strings.Repeat("p", 200+i*700), alice, bob)
				learn(r[0].UID, r[0].ID)
				bobs := Place{bob, Inbox}
				_, flagErr := s.StoreFlags(t.Context(), bobs, FlagChange{UIDs: []uint32{r[1].UID}, Op: AddFlags, Flags: Flagged})
				_, moveErr := s.Move(t.Context(), bobs, []uint32{r[1].UID}, bobs)
				_, expungeErr := s.Expunge(t.Context(), bobs, []uint32{r[1].UID - 3})
				if err := errors.Join(flagErr, moveErr, expungeErr); err != nil {
					t.Error(err)
				}
				if i == 5 {
					once.Do(func() { close(halfway) })
				}
			}
		})
	}
	wg.Go(func() { // a reader, who may see messages before their writer is told
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, messages := snapshot(t, s, alice)
			for _, m := range messages {
				learn(m.UID, m.ID)
			}
		}
	})
	<-halfway
	mu.Lock() // nobody learns anything between the look at known and the cut
	after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
	promised := make(map[uint32]ObjectID, len(known))
	for uid, id := range known {
		promised[uid] = id
	}
	mu.Unlock()
	close(stop)
	wg.Wait()
	shut(t, s)
	clear(known)
	for uid, id := range promised {
		known[uid] = id
	}
	return after
}

// A damaged write-ahead file must not be taken for one that merely ends early.
func TestDamagedWriteAheadFileIsRefused(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, "/s", Options{FS: fs})
	for i := range 50 {
		deliver(t, s, fmt.Sprint(i)+strings.Repeat("w", 20_000), alice)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	shut(t, s)

	names, err := crashed.List("/s/db")
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && flipByte(t, crashed, "/s/db/"+name) {
			damaged++
		}
	}
	if damaged == 0 {
		t.Fatalf("no write-ahead file among %v", names)
	}
	s, err = Open("/s", Options{FS: crashed})
	if err == nil {
		_, messages := snapshot(t, s, alice)
		shut(t, s)
		t.Fatalf("opened with %d of 50 acknowledged messages", len(messages))
	}
	t.Log(err)
}

func flipByte(t *testing.T, fs vfs.FS, path string) bool {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Error(err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < 100_000 {
		return false
	}
	var b [1]byte
	at := info.Size() / 2
	if _, err := f.ReadAt(b[:], at); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	return true
}
