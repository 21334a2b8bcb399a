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

// victim delivers and expunges until it is killed and prints a line for
// each message when it is durable.
func victim(dir string) int {
	s, err := Open(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				text := strings.Repeat(fmt.Sprint(rand.Uint64()), 1+rand.IntN(1<<rand.IntN(13)))
				r, err := s.Deliver(context.Background(), Delivery{Accounts: []string{alice, bob}, Body: strings.NewReader(text), Size: int64(len(text))})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Printf("%d %s %x\n", r[0].UID, r[0].ID, sha256.Sum256([]byte(text)))
				out.Unlock()
				if r[1].UID%3 == 0 {
					_, _ = s.Expunge(context.Background(), Place{Account: bob, Mailbox: Inbox}, []uint32{r[1].UID})
				}
			}
		})
	}
	wg.Wait()
	return 1
}

func TestAcknowledgedMessagesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]string{} // UID → id and hash
	for round := range 4 {
		for line := range killAfter(t, dir, 20+rand.IntN(80)) {
			uid, rest, _ := strings.Cut(line, " ")
			if other, used := acknowledged[uid]; used {
				t.Fatalf("UID %s was given to %s and to %s", uid, other, rest)
			}
			acknowledged[uid] = rest
		}
		s := open(t, dir, Options{})
		_, messages := snapshot(t, s, alice)
		found := map[string]string{}
		for _, m := range messages {
			found[fmt.Sprint(m.UID)] = fmt.Sprintf("%s %x", m.ID, sha256.Sum256([]byte(body(t, s, m))))
		}
		for uid, want := range acknowledged {
			if found[uid] != want {
				t.Fatalf("round %d: UID %s was acknowledged as %s and is %q", round, uid, want, found[uid])
			}
		}
		shut(t, s)
	}
	t.Logf("%d acknowledged messages", len(acknowledged))
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
				r := deliver(t, s, strings.Repeat("p", 200+i*700), alice)
				learn(r[0].UID, r[0].ID)
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
