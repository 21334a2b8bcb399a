package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"mailfleet/mailnode/api"
)

// Killed again and again in the middle of deliveries, the mailnode loses nothing it
// has answered 250, doubles nothing, and gives no UIDL to two messages.
func TestAcknowledgedMailSurvivesKill(t *testing.T) {
	f := newFixture(t)
	var acknowledged sync.Map // message id → true
	var tried atomic.Int64
	seen := map[string]string{} // UIDL → message id
	for round := range 4 {
		f.start()
		deliverUntilKilled(f, &acknowledged, &tried, int64(10+rand.IntN(60)))
		f.start()
		copies := map[string]int{}
		for _, m := range fetch(t, f.address(api.POP3), "user1@example.test", false) {
			id := messageID(m.text)
			copies[id]++
			if other, ok := seen[m.uidl]; ok && other != id {
				t.Fatalf("UIDL %s is %s and was %s", m.uidl, id, other)
			}
			seen[m.uidl] = id
		}
		count := 0
		acknowledged.Range(func(id, _ any) bool {
			count++
			if copies[id.(string)] != 1 {
				t.Errorf("round %d: %s was acknowledged and is there %d times", round, id, copies[id.(string)])
			}
			return true
		})
		t.Logf("round %d: %d tried, %d acknowledged, %d there", round, tried.Load(), count, len(copies))
		f.kill()
	}
}

var idLine = regexp.MustCompile(`(?m)^Message-ID: (\S+)\r$`)

func messageID(text string) string {
	if m := idLine.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// deliverUntilKilled delivers over several connections and kills the program when n
// messages were acknowledged.
func deliverUntilKilled(f *fixture, acknowledged *sync.Map, tried *atomic.Int64, n int64) {
	f.t.Helper()
	address := f.address(api.SMTP)
	var done atomic.Int64
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				f.t.Error(err)
				return
			}
			c, err := smtp.NewClient(conn, "mx.example.test")
			if err != nil {
				f.t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			for {
				id := fmt.Sprintf("<%d@outside.test>", tried.Add(1))
				text := "Message-ID: " + id + "\r\n\r\n" + strings.Repeat("text of a message\r\n", rand.IntN(3000))
				if sendOn(c, "user1@example.test", text) != nil {
					return
				}
				acknowledged.Store(id, true)
				if done.Add(1) == n {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := f.end(syscall.SIGKILL); err == nil {
		f.t.Error("it was not killed")
	}
	wg.Wait()
}
