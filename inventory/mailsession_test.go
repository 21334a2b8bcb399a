package inventory

import (
	"net/url"
	"reflect"
	"testing"
)

func TestAMailSessionQueryTravelsAndChooses(t *testing.T) {
	q := MailSessionQuery{ID: "i", Account: "a", Protocols: []string{"pop3", "imap"}, Who: "u", Within: []string{"a@b.test", "c.test"}, After: "x", Limit: 9}
	read, err := ParseMailSessionQuery(q.Values())
	if err != nil || !reflect.DeepEqual(read, q) {
		t.Errorf("sent %+v, read %+v, %v", q, read, err)
	}
	if _, err := ParseMailSessionQuery(url.Values{"limit": {"1001"}}); !Is(err, Invalid) {
		t.Errorf("got %v", err)
	}
	s := MailSession{ID: "1", Protocol: "imap", Account: "a", User: "joe@c.test"}
	nobody := MailSession{ID: "2", Protocol: "imap"}
	for _, c := range []struct {
		q             MailSessionQuery
		joe, stranger bool
	}{
		{MailSessionQuery{}, true, true},
		{MailSessionQuery{Protocols: []string{"imap", "smtp"}}, true, true},
		{MailSessionQuery{Protocols: []string{"smtp"}}, false, false},
		{MailSessionQuery{Account: "a"}, true, false},
		{MailSessionQuery{Account: "b"}, false, false},
		{MailSessionQuery{ID: "2"}, false, true},
		{MailSessionQuery{Who: "JOE"}, true, false},
		{MailSessionQuery{Within: []string{"c.test"}}, true, false},
		{MailSessionQuery{Within: []string{"joe@c.test"}}, true, false},
		{MailSessionQuery{Within: []string{"", "oe@c.test", "test"}}, false, false},
	} {
		if got, none := c.q.Chooses(&s), c.q.Chooses(&nobody); got != c.joe || none != c.stranger {
			t.Errorf("%+v chooses joe %v and nobody %v", c.q, got, none)
		}
	}
}
