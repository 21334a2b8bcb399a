package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

func content() Content {
	forward := func(keep bool, to ...string) inventory.Forward { return inventory.Forward{To: to, Keep: keep} }
	return Content{
		Domains: []api.Domain{
			{Name: "a.test", Postmaster: "one@a.test", MessageBytes: 500, Mail: inventory.DomainMail{Abuse: "two@a.test"}},
			{Name: "B.test", Mail: inventory.DomainMail{Delimiter: "-", CatchAll: "One@a.test"}},
			{Name: "c.test", Mail: inventory.DomainMail{Delimiter: "none", CatchAll: "nobody@c.test"}, Postmaster: "gone@a.test"},
		},
		Accounts: []Account{
			{ID: "1", Address: "one@a.test", Aliases: []string{"First@a.test", "uno@b.test"}, MessageBytes: 100},
			{ID: "2", Address: "Two@a.test"},
			{ID: "3", Address: "three@a.test", Suspended: true},
			{ID: "4", Address: "away@b.test", Forward: forward(false, "x@Elsewhere.test", "two@a.test")},
			{ID: "5", Address: "both@b.test", Forward: forward(true, "x@elsewhere.test")},
			{ID: "6", Address: "ping@a.test", Forward: forward(false, "pong@a.test")},
			{ID: "7", Address: "pong@a.test", Forward: forward(false, "ping@a.test")},
			{ID: "8", Address: "dead@a.test", Forward: forward(false, "nobody@a.test", "three@a.test")},
			{ID: "9", Address: "off@a.test", Forward: forward(false, "x@elsewhere.test"), Off: []inventory.Feature{inventory.FeatureForward}},
			{ID: "10", Address: "c+d@c.test"},
		},
		Groups: []api.Group{
			{Address: "Team@a.test", Members: []string{"one@a.test", "first@a.test", "two+list@a.test", "gone@a.test", "three@a.test", "X@elsewhere.test"}, Writers: inventory.WritersAnyone},
			{Address: "all@a.test", Members: []string{"team@a.test", "circle@a.test", "nine@a.test"}, Writers: inventory.WritersDomain},
			{Address: "circle@a.test", Members: []string{"all@a.test", "circle2@a.test"}, Writers: inventory.WritersAnyone},
			{Address: "circle2@a.test", Members: []string{"circle@a.test"}, Writers: inventory.WritersAnyone},
			{Address: "void@a.test", Members: []string{"void2@a.test"}, Writers: inventory.WritersAnyone},
			{Address: "void2@a.test", Members: []string{"void@a.test"}, Writers: inventory.WritersAnyone},
			{Address: "shut@a.test", Members: []string{"three@a.test"}, Writers: inventory.WritersAnyone},
			{Address: "inner@b.test", Members: []string{"First@a.test", "Guest@elsewhere.test"}, Writers: inventory.WritersMembers},
		},
		Away: []api.Away{
			{Address: "Nine@a.test", Aliases: []string{"neuf@a.test"}, Server: "s2"},
			{Address: "lost@a.test", Server: "s2", Suspended: true},
		},
		Postmaster: "TWO@a.test",
	}
}

// shown writes targets down: "1" is a mailbox here, "s2:address" one elsewhere in the
// fleet, "address<via" somebody outside.
func shown(r Route) string {
	var out []string
	for _, t := range r.Targets {
		switch {
		case t.Account != nil:
			out = append(out, strings.TrimSuffix(t.Account.ID+"+"+t.Detail, "+"))
		case t.Server != "":
			out = append(out, t.Server+":"+t.Address)
		default:
			out = append(out, t.Address+"<"+t.Via)
		}
	}
	return strings.Join(out, " ")
}

func TestResolve(t *testing.T) {
	d := New(TableOf(content()))
	for address, want := range map[string]any{
		"one@a.test":             "1",
		"FIRST@A.test":           "1",
		"first+x@a.test":         "1+x",
		"uno@b.test":             "1",
		"uno-x-y@b.test":         "1+x-y",
		"uno+x@b.test":           "1", // + parts nothing there: the catch-all's
		"whoever@b.test":         "1",
		"away@b.test":            "x@elsewhere.test<away@b.test 2",
		"away-x@b.test":          "x@elsewhere.test<away@b.test 2",
		"both@b.test":            "x@elsewhere.test<both@b.test 5",
		"ping@a.test":            "7", // back where it came from: nothing is lost
		"dead@a.test":            "8",
		"off@a.test":             "9",
		"c+d@c.test":             "10",
		"c+e@c.test":             ErrUnknown,
		"team@a.test":            "1 2+list x@elsewhere.test<team@a.test",
		"team+x@a.test":          ErrUnknown, // groups have no sub-addresses
		"void@a.test":            ErrUnknown,
		"shut@a.test":            ErrSuspended,
		"all@a.test":             ErrNotAllowed,
		"circle@a.test":          "1 2+list x@elsewhere.test<team@a.test s2:nine@a.test",
		"nine@a.test":            "s2:nine@a.test",
		"NEUF@a.test":            "s2:nine@a.test",
		"neuf+x@a.test":          "s2:nine+x@a.test",
		"lost@a.test":            ErrSuspended,
		"nobody@a.test":          ErrUnknown,
		"nobody@c.test":          ErrUnknown, // its own catch-all
		"x@elsewhere.test":       ErrNotLocal,
		"postmaster@a.test":      "1",
		"postmaster+x@a.test":    "1",
		"abuse@a.test":           "2",
		"postmaster@b.test":      "2", // the server's
		"abuse@b.test":           "2",
		"postmaster@c.test":      "2", // the domain's has gone
		"abuse@c.test":           "2",
		"postmaster":             "2",
		"abuse":                  ErrUnknown,
		"":                       ErrUnknown,
		"@a.test":                ErrUnknown,
		"+@a.test":               ErrUnknown,
		"a@":                     ErrNotLocal,
		"inner@b.test":           ErrNotAllowed,
		strings.Repeat("x", 500): ErrUnknown,
	} {
		r, err := d.Resolve(address, Sender{})
		if wantErr, ok := want.(error); ok && !errors.Is(err, wantErr) || !ok && (err != nil || shown(r) != want) {
			t.Errorf("%s: got %q, %v, want %v", address, shown(r), err, want)
		}
	}
	for address, want := range map[string]int64{"one@a.test": 100, "two@a.test": 0, "team@a.test": 500, "first+x@a.test": 100, "postmaster@a.test": 100} {
		if r, err := d.Resolve(address, Sender{}); err != nil || r.MessageBytes != want || r.Domain.Name != "a.test" {
			t.Errorf("%s: got %d, %v", address, r.MessageBytes, err)
		}
	}
}

func TestWhoWritesToGroups(t *testing.T) {
	d := New(TableOf(content()))
	for _, test := range []struct {
		group   string
		from    Sender
		allowed bool
	}{
		{"all@a.test", Sender{Address: "two@a.test", Account: "2"}, true},
		{"all@a.test", Sender{Address: "two@a.test"}, false}, // only said so
		{"all@a.test", Sender{Address: "away@b.test", Account: "4"}, false},
		{"inner@b.test", Sender{Account: "1"}, true}, // by an alias
		{"inner@b.test", Sender{Account: "2"}, false},
		{"inner@b.test", Sender{Address: "one@a.test"}, false},
		{"inner@b.test", Sender{Address: "guest@Elsewhere.test"}, true},
		{"inner@b.test", Sender{}, false},
	} {
		if _, err := d.Resolve(test.group, test.from); errors.Is(err, ErrNotAllowed) == test.allowed || err != nil && test.allowed {
			t.Errorf("%+v to %s: %v", test.from, test.group, err)
		}
	}
}

func TestOwns(t *testing.T) {
	d := New(TableOf(content()))
	for address, want := range map[string]bool{
		"ONE@a.test": true, "first@a.test": true, "one+x@a.test": true, "uno-x@b.test": true,
		"uno+x@b.test": false, "two@a.test": false, "team@a.test": false, "x@elsewhere.test": false, "one": false, "": false, "one@b.test": false,
	} {
		if d.Owns("1", address) != want {
			t.Errorf("%q: not %v", address, want)
		}
	}
}

// Nobody signs in by an alias, and who is away is unknown only when all are known.
func TestAccountsAndThoseAway(t *testing.T) {
	c := content()
	c.Partial = true
	d := New(TableOf(c))
	if _, ok := d.Account("first@a.test"); ok {
		t.Error("an alias is an account")
	}
	if _, err := d.Resolve("nobody@a.test", Sender{}); !errors.Is(err, ErrNotKnown) {
		t.Errorf("got %v", err)
	}
	if r, err := d.Resolve("whoever@b.test", Sender{}); err != nil || shown(r) != "1" {
		t.Errorf("got %q, %v", shown(r), err)
	}
	if _, err := d.Resolve("team@a.test", Sender{}); !errors.Is(err, ErrNotKnown) {
		t.Errorf("a member whom another server may have is passed over: %v", err)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	c := Content{Domains: []api.Domain{{Name: "a.test"}}}
	name := func(kind string, n int) string { return fmt.Sprintf("%s%d@a.test", kind, n) }
	for n := range 30 { // each level doubles, and everybody is in reach of everybody
		c.Groups = append(c.Groups, api.Group{Address: name("deep", n), Members: []string{name("deep", n+1)}, Writers: inventory.WritersAnyone})
	}
	var wide []string
	for n := range 4 {
		var members []string
		for m := range 2000 {
			members = append(members, fmt.Sprintf("u%d@out%d.test", m, n))
		}
		c.Groups = append(c.Groups, api.Group{Address: name("wide", n), Members: members, Writers: inventory.WritersAnyone})
		wide = append(wide, name("wide", n))
	}
	c.Groups = append(c.Groups, api.Group{Address: "wide@a.test", Members: wide, Writers: inventory.WritersAnyone})
	d := New(TableOf(c))
	for _, address := range []string{"deep0@a.test", "wide@a.test"} {
		if _, err := d.Resolve(address, Sender{}); !errors.Is(err, ErrTooMany) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if r, err := d.Resolve("wide1@a.test", Sender{}); err != nil || len(r.Targets) != 2000 {
		t.Errorf("got %d, %v", len(r.Targets), err)
	}
}

// Whatever the groups, forwards and addresses: it ends, no mailbox is there twice, and
// no answer is without a target.
func FuzzResolve(f *testing.F) {
	f.Add("a", []byte{1, 2, 3, 0x12, 0x23, 0x31, 7})
	f.Add("p", []byte{0xff, 0x01, 0x10})
	f.Fuzz(func(t *testing.T, local string, links []byte) {
		c := Content{Domains: []api.Domain{{Name: "a.test", Mail: inventory.DomainMail{CatchAll: "n0@a.test"}, Postmaster: "n1@a.test"}}}
		name := func(n byte) string { return fmt.Sprintf("n%d@a.test", n%16) }
		to := map[byte][]string{}
		for _, l := range links[:min(len(links), 200)] {
			to[l>>4] = append(to[l>>4], name(l))
		}
		for n := range byte(16) {
			switch n % 3 {
			case 0:
				c.Groups = append(c.Groups, api.Group{Address: name(n), Members: to[n], Writers: inventory.WritersAnyone})
			case 1:
				c.Accounts = append(c.Accounts, Account{ID: name(n), Address: name(n), Forward: inventory.Forward{To: to[n], Keep: n > 8}})
			}
		}
		d := New(TableOf(c))
		for _, address := range []string{local + "@a.test", local, "n0@a.test", "n4+x@a.test", "abuse@a.test"} {
			r, err := d.Resolve(address, Sender{})
			if err == nil && len(r.Targets) == 0 {
				t.Fatalf("%q leads nowhere, without an error", address)
			}
			var ids []string
			for _, to := range r.Targets {
				if to.Account != nil {
					ids = append(ids, to.Account.ID)
				}
			}
			slices.Sort(ids)
			if len(slices.Compact(slices.Clone(ids))) != len(ids) {
				t.Fatalf("%q leads to %v", address, ids)
			}
		}
	})
}
