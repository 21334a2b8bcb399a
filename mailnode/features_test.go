package main

import (
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// faceless are the features that nothing here has a use for: they are kept, and README
// names them.
var faceless = []inventory.Feature{
	inventory.FeatureWebmail, inventory.FeatureSMS, inventory.FeatureAntispam, inventory.FeatureAntivirus,
	inventory.FeatureCollect, inventory.FeatureDisk, inventory.FeatureCalendar,
}

func TestFeaturesWithoutAFaceAreNamed(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(string(readme), "are enforced.")
	said, _, _ = strings.Cut(said, "nothing uses them yet")
	for _, feature := range inventory.Features {
		if named := strings.Contains(said, "`"+string(feature)+"`"); named != slices.Contains(faceless, feature) {
			t.Errorf("README names %s as one that nothing uses: %t", feature, named)
		}
	}
}

// Each feature that has a face is refused to an account that has it switched off, on the
// spot and to whoever was using it, and is given back.
func TestFeaturesThatAreSwitchedOff(t *testing.T) {
	f := withIMAP(t)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0", Local: true})
	f.config.Accounts[0].Forward = inventory.Forward{To: []string{"user2@example.test"}}
	f.write()
	f.start()
	const user = "user1@example.test"
	plain := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))
	signIn := map[inventory.Feature]func(on bool) *talk{
		inventory.FeatureIMAP: func(on bool) *talk {
			k := f.talk(api.IMAP)
			k.do("a LOGIN "+user+` "`+password+`"`, map[bool]string{true: "a OK", false: "a NO [CONTACTADMIN]"}[on])
			return k
		},
		inventory.FeaturePOP3: func(on bool) *talk {
			k := f.talk(api.POP3)
			k.do("USER "+user, "+OK")
			k.do("PASS "+password, map[bool]string{true: "+OK", false: "-ERR [AUTH]"}[on])
			return k
		},
		inventory.FeatureSMTP: func(on bool) *talk {
			k := f.talk(api.Submission)
			k.do("EHLO client.test", "250-")
			for !strings.HasPrefix(k.line(), "250 ") {
			}
			k.do(plain, map[bool]string{true: "235 ", false: "525 5.7.13 "}[on])
			return k
		},
	}
	use := func(feature inventory.Feature) {
		t.Helper()
		k := signIn[feature](true)
		leave := map[inventory.Feature][2]string{
			inventory.FeatureIMAP: {"z LOGOUT", "z OK"}, inventory.FeaturePOP3: {"QUIT", "+OK"}, inventory.FeatureSMTP: {"QUIT", "221 "},
		}[feature]
		k.do(leave[0], leave[1])
	}
	got := map[string]int{}
	forward := func(on bool) {
		t.Helper()
		if err := send(f.address(api.SMTP), user, "forwarded"); err != nil {
			t.Fatal(err)
		}
		to := map[bool]string{true: "user2@example.test", false: user}[on]
		got[to]++
		f.eventually("the message is in the mailbox of "+to, func() bool {
			for i, a := range f.config.Accounts {
				boxes, err := f.client.Mailboxes(t.Context(), inventory.ID(f.config.Accounts[i].ID))
				if err != nil || boxes.Messages != int64(got[a.Address]) {
					return false
				}
			}
			return true
		})
	}
	for _, feature := range inventory.Features {
		open, signs := signIn[feature]
		switch {
		case slices.Contains(faceless, feature):
			continue
		case !signs && feature != inventory.FeatureForward:
			t.Errorf("nothing here enforces %s, and it is not among those without a face", feature)
			continue
		case !signs:
			forward(true)
			f.reload(func(c *api.Config) { c.Accounts[0].Off = []inventory.Feature{feature} })
			forward(false)
			f.reload(func(c *api.Config) { c.Accounts[0].Off = nil })
			forward(true)
			continue
		}
		k := open(true)
		f.reload(func(c *api.Config) { c.Accounts[0].Off = []inventory.Feature{feature} })
		if farewell := k.line(); !strings.Contains(farewell, "administrator") {
			t.Errorf("%s: the session that was open is told %q", feature, farewell)
		}
		open(false)
		for other := range signIn {
			if other != feature {
				use(other)
			}
		}
		f.reload(func(c *api.Config) { c.Accounts[0].Off = nil })
		use(feature)
	}
}
