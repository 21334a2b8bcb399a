package origin

import (
	"io"
	"strings"
	"testing"
	"time"
)

// A message of 10 KB with two signatures; the DNS answers from resolve's memory.
func BenchmarkJudge(b *testing.B) {
	j, z, _ := judging(b)
	publish(b, z, "example.org", keys(b))
	message := sign(b, "example.org", keys(b), plain+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 140))
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if v, err := j.Judge(b.Context(), Message{Peer: peer, From: "a@example.org"}, strings.NewReader(message)); err != nil || v.DKIM[0].Result != Pass {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	message := plain + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 140)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewSigner("example.org", keys(b), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.WriteString(s, message)
		if _, err := s.Fields(); err != nil {
			b.Fatal(err)
		}
	}
}

// What of it is hashing 100 MB.
func BenchmarkBody(b *testing.B) {
	text := []byte(strings.Repeat("some words of a line, as mail has them, and more\r\n", 1000))
	for name, relaxed := range map[string]bool{"simple": false, "relaxed": true} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			h := newBodyHash(relaxed)
			for b.Loop() {
				_, _ = h.Write(text)
			}
		})
	}
}
