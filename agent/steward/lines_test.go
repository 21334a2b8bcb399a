package steward

import "testing"

func TestOnlyOrdersThatWouldDisturbEachOtherWait(t *testing.T) {
	server, web, mail := reach{}, reach{service: "web"}, reach{service: "mail"}
	other, look := reach{target: "mail2"}, reach{nothing: true}
	for _, c := range []struct {
		a, b reach
		want bool
	}{
		{web, web, true},
		{web, mail, false},
		{server, web, true},
		{server, server, true},
		{other, server, false},
		{other, other, true},
		{other, reach{target: "mail3"}, false},
		{look, server, false},
		{look, look, false},
	} {
		if c.a.meets(c.b) != c.want || c.b.meets(c.a) != c.want {
			t.Errorf("%+v and %+v: want %v", c.a, c.b, c.want)
		}
	}
	var l lines
	_, endWeb := l.join(web)
	_, endMail := l.join(mail)
	before, end := l.join(server)
	if len(before) != 2 {
		t.Fatalf("an order on the server waits for %d orders, want those on its services", len(before))
	}
	endMail()
	endWeb()
	for _, b := range before {
		<-b
	}
	end()
	if before, _ := l.join(web); len(before) != 0 || len(l.in) != 1 {
		t.Errorf("ended orders are still in line: %d", len(l.in))
	}
}
