package resolve

import (
	"testing"

	"github.com/miekg/dns"
)

// Whatever a server answers, something comes of it.
func FuzzDigest(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("example.test.", dns.TypeMX)
	for _, text := range []string{"example.test. 300 IN MX 10 mx.example.test.", "example.test. 5 IN CNAME example.test.", `example.test. 5 IN TXT "\200a"`} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, dns.TypeMX)
	f.Fuzz(func(t *testing.T, b []byte, kind uint16) {
		msg := new(dns.Msg)
		if msg.Unpack(b) != nil {
			return
		}
		d := digest(msg, question{"example.test.", kind})
		if (d.failure == nil) != (len(d.records) > 0) {
			t.Fatalf("%d records and the failure %v", len(d.records), d.failure)
		}
		if d.ttl < 0 || d.ttl > longest {
			t.Fatalf("it is good for %s", d.ttl)
		}
		for _, rr := range d.records {
			if text, ok := rr.(*dns.TXT); ok {
				for _, s := range text.Txt {
					_ = unescape(s)
				}
			}
		}
	})
}
