package imapd

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"mailfleet/mailnode/store"
)

// atOnce is how many messages the store moves or copies in one change.
const atOnce = 1000

// interrupted is a server on which something happens while many messages are moved or
// copied.
type interrupted struct {
	*fixture
	at   atomic.Pointer[func(account string) store.Quota] // is called in each change
	free atomic.Uint64                                    // bytes on the disk
	fail atomic.Bool                                      // nothing can be written
	mem  *vfs.MemFS
}

// room is a file system with as much room as the test wants.
type room struct {
	vfs.FS
	free *atomic.Uint64
}

func (d room) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

const reserve = 1 << 20

func startInterrupted(t *testing.T) *interrupted {
	x := &interrupted{mem: vfs.NewCrashableMem()}
	x.free.Store(reserve + reserve/2) // so little that it is looked at every time
	x.start(t)
	return x
}

// start starts the server on the disk.
func (x *interrupted) start(t *testing.T) {
	disk := room{errorfs.Wrap(x.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if x.fail.Load() && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	})), &x.free}
	x.fixture = start(t, func(c *config) {
		c.dir, c.store.FS, c.store.FreeBytes = "/s", disk, reserve
		c.store.Quota = func(account string) store.Quota {
			if at := x.at.Load(); at != nil {
				return (*at)(account)
			}
			return store.Quota{}
		}
	})
}

// when has something happen in the n-th change from now on, and what it returns be the quota
// of an account from then on.
func (x *interrupted) when(n int, whose string, happens func() store.Quota) {
	calls, quota := 0, store.Quota{}
	at := func(account string) store.Quota { // changes are made one after the other
		if account != whose {
			return store.Quota{}
		}
		if calls++; calls == n {
			quota = happens()
		}
		return quota
	}
	x.at.Store(&at)
}

// texts counts the messages of a mailbox by their subjects.
func (p *peer) texts(mailbox string) map[string]int {
	p.t.Helper()
	counts := map[string]int{}
	p.do("e EXAMINE "+mailbox, "e OK")
	for _, line := range p.do("f UID FETCH 1:* (ENVELOPE)", "f OK") {
		m := regexp.MustCompile(`ENVELOPE \(NIL "(\d+)"`).FindStringSubmatch(line)
		if m == nil {
			p.t.Fatalf("no envelope: %q", line)
		}
		counts[m[1]]++
	}
	return counts
}

// once fails the test unless mailboxes together have each of the messages once.
func once(t *testing.T, count int, mailboxes ...map[string]int) {
	t.Helper()
	all := map[string]int{}
	for _, m := range mailboxes {
		for text, n := range m {
			all[text] += n
		}
	}
	if len(all) != count || slices.Max(slices.Collect(maps.Values(all))) > 1 {
		t.Errorf("%d different messages are there of %d, one of them %d times", len(all), count, slices.Max(slices.Collect(maps.Values(all))))
	}
}

// answer sends a command and reads all of its answer.
func (p *peer) answer(command string) (untagged []string, tagged string) {
	p.t.Helper()
	lines := p.all("a " + command)
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// moved is how many messages a MOVE says it has moved.
func moved(t *testing.T, untagged []string) int {
	t.Helper()
	for _, line := range untagged {
		if m := regexp.MustCompile(`^\* OK \[COPYUID \d+ \d+:(\d+) \d+:\d+\]`).FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// sees fails the test unless a peer knows that the selected mailbox has the messages with
// UIDs from first to last, and nothing else is told.
func (p *peer) sees(first, last int) {
	p.t.Helper()
	var want []string
	for uid := first; uid <= last; uid++ {
		want = append(want, fmt.Sprintf("* %d FETCH (UID %d)", uid-first+1, uid))
	}
	if got := p.do("v FETCH 1:* UID", "v OK"); !slices.Equal(got, want) {
		p.t.Errorf("the peer sees %d messages, not those from %d to %d: %.200q", len(got), first, last, got)
	}
	if got := p.do("n NOOP", "n OK"); len(got) > 0 {
		p.t.Errorf("then it is told %.200q", got)
	}
}

// expunged are the numbers a peer is told to be gone.
func expunged(untagged []string) (numbers []string) {
	for _, line := range untagged {
		if rest, ok := strings.CutSuffix(line, " EXPUNGE"); ok {
			numbers = append(numbers, rest)
		}
	}
	return numbers
}

// share gives the first user a mailbox of the second.
func (x *interrupted) share(t *testing.T) (name string) {
	t.Helper()
	p := x.signedIn(t, 2)
	p.do("a CREATE Shared", "a OK")
	p.do("b SETACL Shared "+address(1)+" lrswipkxtea", "b OK")
	return `"Other Users/` + address(2) + `/Shared"`
}

// What of a MOVE is beyond the quota of whose mailbox it goes to stays where it was.
func TestMoveBeyondTheQuota(t *testing.T) {
	const many = 2*atOnce + 500
	x := startInterrupted(t)
	x.fill(t, 1, many, small)
	shared := x.share(t)
	p, other := x.signedIn(t, 1), x.signedIn(t, 1)
	p.do("s SELECT INBOX", "s OK")
	other.do("s SELECT INBOX", "s OK")
	x.when(1, account(2), func() store.Quota { return store.Quota{Messages: atOnce + 500} })
	untagged, tagged := p.answer("MOVE 1:* " + shared)
	if want := "a NO [OVERQUOTA] the quota is reached; 1000 of the 2500 messages were moved"; tagged != want || moved(t, untagged) != atOnce || len(expunged(untagged)) != atOnce {
		t.Errorf("it is answered %q; %d are told to have moved, %d to be gone", tagged, moved(t, untagged), len(expunged(untagged)))
	}
	p.sees(atOnce+1, many)
	if gone := expunged(other.do("n NOOP", "n OK")); len(gone) != atOnce {
		t.Errorf("another is told that %d are gone", len(gone))
	}
	other.sees(atOnce+1, many)
	if untagged, tagged := p.answer("MOVE 1:* " + shared); tagged != "a NO [OVERQUOTA] the quota is reached" || len(untagged) > 0 {
		t.Errorf("with no room at all it is answered %.200q, %q", untagged, tagged)
	}
	if untagged, tagged := p.answer("COPY 1:* " + shared); tagged != "a NO [OVERQUOTA] the quota is reached" || len(untagged) > 0 {
		t.Errorf("COPY is answered %.200q, %q", untagged, tagged)
	}
	p.sees(atOnce+1, many)
	once(t, many, p.texts("INBOX"), p.texts(shared))
}

// A COPY that ends beyond the quota leaves nothing, also when there seemed to be room.
func TestCopyBeyondTheQuota(t *testing.T) {
	const many = 2*atOnce + 500
	x := startInterrupted(t)
	x.fill(t, 1, many, small)
	shared := x.share(t)
	p, other := x.signedIn(t, 1), x.signedIn(t, 2)
	p.do("s SELECT INBOX", "s OK")
	other.do("s SELECT Shared", "s OK")
	x.when(3, account(2), func() store.Quota { return store.Quota{Messages: 1} }) // after it was asked for all, and in one step
	untagged, tagged := p.answer("COPY 1:* " + shared)
	if tagged != "a NO [OVERQUOTA] the quota is reached" || len(untagged) > 0 {
		t.Errorf("it is answered %.200q, %q", untagged, tagged)
	}
	p.sees(1, many)
	other.do("n NOOP", "n OK") // which tells what came and went
	if got := other.do("m NOOP", "m OK"); len(got) > 0 {
		t.Errorf("then it is told %.200q", got)
	}
	if got := other.texts("Shared"); len(got) > 0 {
		t.Errorf("%d messages are left", len(got))
	}
	once(t, many, p.texts("INBOX"))
}

// On a disk that gets full a long MOVE stops between two steps, a COPY leaves nothing, and
// both go on when there is room.
func TestMoveAndCopyOnAFullDisk(t *testing.T) {
	const many = 2*atOnce + 500
	x := startInterrupted(t)
	x.fill(t, 1, many, small)
	p := x.signedIn(t, 1)
	p.do("c CREATE Away", "c OK")
	p.do("d CREATE Copies", "d OK")
	p.do("s SELECT INBOX", "s OK")
	fills := func() store.Quota { x.free.Store(reserve - 1); return store.Quota{} }
	const full = "a NO [UNAVAILABLE] there is not enough disk space now, try again later"

	x.when(3, account(1), fills)
	if untagged, tagged := p.answer("COPY 1:* Copies"); tagged != full || len(untagged) > 0 {
		t.Errorf("COPY is answered %.200q, %q", untagged, tagged)
	}
	p.sees(1, many)
	x.free.Store(reserve + reserve/2)
	x.when(1, account(1), fills)
	untagged, tagged := p.answer("MOVE 1:* Away")
	if tagged != full+"; 1000 of the 2500 messages were moved" || moved(t, untagged) != atOnce || len(expunged(untagged)) != atOnce {
		t.Errorf("MOVE is answered %q; %d are told to have moved, %d to be gone", tagged, moved(t, untagged), len(expunged(untagged)))
	}
	p.sees(atOnce+1, many)
	if got, tagged := p.answer("FETCH 1 BODY.PEEK[TEXT]"); tagged != "a OK done" || !slices.Equal(got, []string{"* 1 FETCH (BODY[TEXT] {3}", "x", ")"}) {
		t.Errorf("reading gives %q, %q", got, tagged)
	}
	x.free.Store(reserve + reserve/2)
	if untagged, tagged := p.answer("MOVE 1:* Away"); tagged != "a OK done" || len(expunged(untagged)) != many-atOnce {
		t.Errorf("with room again it is answered %q", tagged)
	}
	if got := p.texts("Copies"); len(got) > 0 {
		t.Errorf("%d copies are left", len(got))
	}
	once(t, many, p.texts("INBOX"), p.texts("Away"))
}

// When nothing can be written any more the client is told so, and when the store is opened
// again, after the power was cut, each message is in one of the mailboxes.
func TestMoveAndCopyWhenTheDiskFails(t *testing.T) {
	const many = 2*atOnce + 500
	for _, command := range []string{"MOVE", "COPY"} {
		x := startInterrupted(t)
		x.fill(t, 1, many, small)
		p := x.signedIn(t, 1)
		p.do("c CREATE Away", "c OK")
		p.do("s SELECT INBOX", "s OK")
		changes := map[string]int{"MOVE": 2, "COPY": 4}[command]
		x.when(changes, account(1), func() store.Quota { x.fail.Store(true); return store.Quota{} })
		untagged, tagged := p.answer(command + " 1:* Away")
		if !strings.HasPrefix(tagged, "a NO [SERVERBUG] the server has a problem, try again later") {
			t.Errorf("%s is answered %q", command, tagged)
		}
		if command == "MOVE" && moved(t, untagged) != atOnce {
			t.Errorf("%d are told to have moved", moved(t, untagged))
		}
		x.stop()
		x.mem = x.mem.CrashClone(vfs.CrashCloneCfg{})
		x.fail.Store(false)
		x.at.Store(nil)
		x.start(t)
		p = x.signedIn(t, 1)
		here, away := p.texts("INBOX"), p.texts("Away")
		if command == "COPY" && len(away) > 0 {
			t.Errorf("%d copies are left", len(away))
		}
		if command == "MOVE" && len(away) < atOnce {
			t.Errorf("only %d of those that were told are there", len(away))
		}
		once(t, many, here, away)
	}
}

// A mailbox that is deleted while messages are moved or copied to it takes those with it
// that had come, and no others.
func TestMoveAndCopyToAMailboxThatIsDeleted(t *testing.T) {
	const many = 12 * atOnce
	for _, command := range []string{"COPY", "MOVE"} {
		x := startInterrupted(t)
		x.fill(t, 1, many, small)
		p, other := x.signedIn(t, 1), x.signedIn(t, 1)
		first := 1
		for between := false; !between; { // unless it was deleted after the last step
			if first > many/2 {
				t.Fatal("the mailbox is never deleted in time")
			}
			p.do("c CREATE Away", "c OK")
			p.do("s SELECT INBOX", "s OK")
			begun, deleted := make(chan struct{}), make(chan error, 1)
			x.when(2, account(1), func() store.Quota { close(begun); return store.Quota{} })
			go func() {
				<-begun
				if lines := other.all("a DELETE Away"); lines[len(lines)-1] != "a OK done" {
					deleted <- errors.New(lines[len(lines)-1])
				}
				close(deleted)
			}()
			untagged, tagged := p.answer(fmt.Sprintf("UID %s %d:%d Away", command, first, first+6*atOnce-1))
			if err := <-deleted; err != nil {
				t.Fatal(err)
			}
			between = strings.HasPrefix(tagged, "a NO ")
			last := moved(t, untagged)
			if between && !strings.HasPrefix(tagged, "a NO [NONEXISTENT] there is no such mailbox") {
				t.Errorf("%s is answered %q", command, tagged)
			}
			if command == "COPY" {
				if between && len(untagged) > 0 {
					t.Errorf("COPY is answered %.200q", untagged)
				}
				p.sees(1, many)
				continue
			}
			if n := last - first + 1; len(expunged(untagged)) != n || between && tagged != fmt.Sprintf("a NO [NONEXISTENT] there is no such mailbox; %d of the %d messages were moved", n, 6*atOnce) {
				t.Errorf("MOVE is answered %q; %d are told to have moved, %d to be gone", tagged, n, len(expunged(untagged)))
			}
			first = last + 1
			p.sees(first, many)
		}
		once(t, many-first+1, p.texts("INBOX"))
		p.do("e EXAMINE Away", "e NO [NONEXISTENT]")
	}
}
