package message

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// letter is a small message as people write them: two alternatives, in Chinese.
func letter(n int) string {
	return crlf(fmt.Sprintf(`Received: from mx.example.test (mx.example.test [192.0.2.1])
	by mail.example.test with ESMTPS id 1234567890
	for <li@example.test>; Mon, 2 Jan 2006 15:04:05 +0800
From: =?gb2312?B?1cXI/Q==?= <zhang@example.test>
To: Li <li@example.test>, wang@example.test
Subject: =?utf-8?B?5Zue5aSNOiDkvJrorq7orrDlvZU=?=
Date: Mon, 2 Jan 2006 15:04:05 +0800
Message-ID: <%d@example.test>
References: <1@example.test> <2@example.test>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="----=_Part_%[1]d"

------=_Part_%[1]d
Content-Type: text/plain; charset=utf-8

%[2]s
------=_Part_%[1]d
Content-Type: text/html; charset=utf-8

<html><body><p>%[2]s</p></body></html>
------=_Part_%[1]d--
`, n, strings.Repeat("会议记录：明天上午九点开会，请准时参加。\n", 10)))
}

func BenchmarkParseSmall(b *testing.B) {
	msg := letter(1)
	perCPU(b, len(msg), func() { parse(b, msg).Encode() })
	b.ReportMetric(float64(len(parse(b, msg).Encode())), "digest-B")
}

func BenchmarkParseAttachment(b *testing.B) {
	for _, tc := range []struct{ name, encoding, line string }{
		{"base64", "base64", strings.Repeat("QUJD", 19) + "\r\n"},
		{"8bit", "8bit", strings.Repeat("text ", 14) + "\r\n"},
		{"quoted-printable", "quoted-printable", strings.Repeat("some=20text, ", 5) + "=\r\n"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			msg := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: " +
				tc.encoding + "\r\n\r\n" + strings.Repeat(tc.line, 10<<20/len(tc.line)) + "\r\n--b--\r\n"
			perCPU(b, len(msg), func() { parse(b, msg) })
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	stored := parse(b, letter(1)).Encode()
	b.Run("envelope", func(b *testing.B) {
		perCPU(b, 0, func() {
			if _, err := stored.Envelope(); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("keys", func(b *testing.B) {
		perCPU(b, 0, func() {
			if _, err := stored.Keys(); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("structure", func(b *testing.B) {
		perCPU(b, 0, func() {
			if _, err := stored.Structure(); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkSearch(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 100_000 {
		text.WriteRune(rune(0x4e00 + random.IntN(5000)))
	}
	for _, tc := range []struct{ name, header, body string }{
		{"small", "", letter(1)},
		{"ASCII", "Content-Type: text/plain", strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", 5000)},
		{"Chinese", "Content-Type: text/plain; charset=utf-8", text.String()},
		{"HTML", "Content-Type: text/html; charset=utf-8", strings.Repeat("<tr><td class=\"x\">text</td><td>&nbsp;more</td></tr>\r\n", 5000)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			msg := tc.body
			if tc.header != "" {
				msg = tc.header + "\r\n\r\n" + tc.body
			}
			d := parse(b, msg)
			perCPU(b, len(msg), func() {
				if _, err := Open(strings.NewReader(msg), d.Structure).Contains(BodyScope, "不存在"); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
