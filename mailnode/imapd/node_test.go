package imapd

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/store"
)

// nodePeers is the directory of npm's clients, which make peers installs.
const nodePeers = "../testdata/node"

// An npm client that most webmails and mail APIs of today are built on.
func TestImapflow(t *testing.T) {
	t.Parallel()
	program := peers.Node(t, nodePeers, "imapflow")
	n := start(t, withMixed(t))
	count := mixedCount(manyMixed)
	whole := sha256.New()
	for i := range count {
		whole.Write([]byte(mixed(i)))
	}
	got := run(t, nodePeers, program, "imap.mjs", "127.0.0.1", n.port(), address(1), secret, fmt.Sprint(count))
	if want := fmt.Sprintf("%x\n", whole.Sum(nil)); got != want {
		t.Errorf("imapflow read %s, want %s", got, want)
	}
	after := n.contents(t, 1, inbox)
	if len(after) != count-1 { // one added, one moved, one deleted
		t.Errorf("%d messages are left", len(after))
	}
	for i := range count {
		flags, there := after[mixed(i)]
		switch want := (map[int]store.Flags{0: store.Flagged, 1: store.Seen})[i]; {
		case there != (i != 2 && i != 3):
			t.Errorf("message %d is there: %v", i, there)
		case there && flags&(store.Flagged|store.Seen|store.Deleted) != want:
			t.Errorf("message %d has the flags %b", i, flags)
		}
	}
	if archived := n.contents(t, 1, "存档"); len(archived) != 1 {
		t.Errorf("the archive has %d messages", len(archived))
	} else if _, ok := archived[mixed(2)]; !ok {
		t.Error("another message was archived")
	}
	added := "Subject: 天气\r\nMessage-ID: <added@example.test>\r\n\r\nadded\r\n"
	if flags, ok := after[added]; !ok || !flags.Has(store.Seen) {
		t.Errorf("what was added has come as %v, flags %b", ok, flags)
	}
}
