package pop3d

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/store"
)

const (
	benchMessages = 10_000
	benchSize     = 10 << 10
)

// filled is a server whose user1 has many messages.
func filled(t testing.TB, messages, size int) *node {
	t.Helper()
	n := start(t, nil)
	for done := 0; done < messages; {
		var batch []store.Delivery
		for ; len(batch) < 100 && done < messages; done++ {
			text := fmt.Sprintf("Subject: message %d\r\nFrom: somebody@example.test\r\n\r\n", done) +
				strings.Repeat(strings.Repeat("x", 70)+"\r\n", size/72)
			batch = append(batch, store.Delivery{Accounts: []string{user1}, Body: strings.NewReader(text), Size: int64(len(text))})
		}
		if _, err := n.store.Append(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// BenchmarkDownload fetches a maildrop of 10,000 × 10 KB as a client that pipelines
// does, 50 commands ahead, and as one that waits for each message.
func BenchmarkDownload(b *testing.B) {
	n := filled(b, benchMessages, benchSize)
	for _, ahead := range []int{50, 1} {
		b.Run(fmt.Sprintf("ahead=%d", ahead), func(b *testing.B) {
			for b.Loop() {
				p := n.signedIn(b)
				if err := p.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(download(b, p, benchMessages, ahead))
				p.do("QUIT", "+OK")
			}
			b.ReportMetric(float64(b.N*benchMessages)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// download fetches messages 1 to count and returns how many bytes they took.
func download(t testing.TB, p *peer, count, ahead int) (total int64) {
	t.Helper()
	asked, got := 0, 0
	buf := make([]byte, 256<<10)
	var tail []byte
	for got < count {
		if asked-got <= ahead/2 {
			var b strings.Builder
			for ; asked < count && asked-got < ahead; asked++ {
				fmt.Fprintf(&b, "RETR %d\r\n", asked+1)
			}
			p.Send(b.String())
		}
		n, err := p.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		total += int64(n)
		part := append(tail, buf[:n]...)
		got += bytes.Count(part, []byte("\r\n.\r\n"))
		if end := bytes.LastIndex(part, []byte("\r\n.\r\n")); end >= 0 {
			part = part[end+5:]
		}
		tail = append([]byte{}, part[max(0, len(part)-4):]...)
	}
	return total
}
