package imapd

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// A client library of others, which reads what it gets by its own grammar.
func TestImapclient(t *testing.T) {
	n := start(t, nil)
	n.fill(t, 1, 12, mixed)
	c, err := imapclient.DialInsecure(n.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(c.Login(address(1), secret).Wait())
	check(c.Create("box", nil).Wait())
	check(c.Subscribe("box").Wait())
	list, err := c.List("", "*", &imap.ListOptions{ReturnSubscribed: true, ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	check(err)
	if len(list) != 2 || list[0].Status == nil || *list[0].Status.NumMessages != 12 || !slices.Contains(list[1].Attrs, imap.MailboxAttrSubscribed) {
		t.Errorf("LIST: %+v", list)
	}
	selected, err := c.Select("INBOX", &imap.SelectOptions{CondStore: true}).Wait()
	check(err)
	if selected.NumMessages != 12 || selected.HighestModSeq == 0 || selected.UIDNext != 13 {
		t.Errorf("SELECT: %+v", selected)
	}
	all := imap.SeqSet{{Start: 1, Stop: 0}}
	messages, err := c.Fetch(all, &imap.FetchOptions{
		Envelope: true, Flags: true, UID: true, RFC822Size: true, InternalDate: true, ModSeq: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{{Peek: true}},
	}).Collect()
	check(err)
	for i, m := range messages {
		if got := string(m.BodySection[0].Bytes); got != mixed(i) || m.RFC822Size != int64(len(got)) || m.BodyStructure == nil || m.Envelope == nil {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	if len(messages) != 12 || messages[10].Envelope.Subject != "天气" || messages[4].BodyStructure.MediaType() != "multipart/mixed" {
		t.Errorf("%d messages, %+v", len(messages), messages[10].Envelope)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Body: []string{"天气"}}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	check(err)
	if found.Count != 3 {
		t.Errorf("SEARCH: %+v", found)
	}
	if sorted, err := c.Sort(&imapclient.SortOptions{
		SearchCriteria: &imap.SearchCriteria{}, SortCriteria: []imapclient.SortCriterion{{Key: imapclient.SortKeyArrival, Reverse: true}},
	}).Wait(); err != nil || len(sorted) != 12 {
		t.Errorf("SORT: %v, %v", sorted, err)
	}
	if threads, err := c.Thread(&imapclient.ThreadOptions{Algorithm: imap.ThreadReferences, SearchCriteria: &imap.SearchCriteria{}}).Wait(); err != nil || len(threads) == 0 {
		t.Errorf("THREAD: %v, %v", threads, err)
	}
	check(c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close())
	moved, err := c.Move(imap.SeqSetNum(1, 2), "box").Wait()
	check(err)
	if moved.DestUIDs == nil || moved.DestUIDs.String() != "1:2" {
		t.Errorf("MOVE: %+v", moved)
	}
	text := "Subject: x\r\n\r\nx\r\n"
	up := c.Append("box", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagDraft}, Time: time.Unix(1700000000, 0)})
	_, err = io.WriteString(up, text)
	check(err)
	check(up.Close())
	if put, err := up.Wait(); err != nil || put.UID != 3 {
		t.Errorf("APPEND: %+v, %v", put, err)
	}
	idle, err := c.Idle()
	check(err)
	check(idle.Close())
	check(idle.Wait())
	if names, err := c.Namespace().Wait(); err != nil || len(names.Other) != 1 {
		t.Errorf("NAMESPACE: %+v, %v", names, err)
	}
	check(c.Logout().Wait())
}
