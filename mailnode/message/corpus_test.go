package message

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// sample is a message of the corpus.
type sample struct{ name, text string }

// plainText is a message with a header of its own and a short text.
func plainText(header string) string { return crlf(header + "\n\nbody\n") }

// withType is a message of a content type.
func withType(header, body string) string {
	return crlf("From: a@example.test\nSubject: x\nMIME-Version: 1.0\n" + header + "\n\n" + body)
}

// corpus is what mail looks like, well made and not.
func corpus() []sample {
	return append(append(append(append([]sample{
		{name: "mixed", text: crlf(mixed)},
		{name: "empty", text: ""},
		{name: "no header", text: "\r\nbody\r\n"},
		{name: "header only", text: "Subject: x\r\n"},
		{name: "header without line end", text: "Subject: x"},
		{name: "no empty line", text: "Subject: x\r\nthis is text\r\nand more\r\n"},
	}, headerSamples()...), addressSamples()...), typeSamples()...), structureSamples()...)
}

func headerSamples() (list []sample) {
	for i, h := range []string{
		"Subject: =?gb2312?B?xOO6ww==?=\nDate: Mon, 2 Jan 2006 15:04:05 +0800",
		"Subject: =?big5?Q?=A7A=A6n?=",
		"Subject: folded\n subject\n\twith a tab",
		"Subject: folded\n   by \t three",
		"Subject: trailing   \nDate:   Mon, 2 Jan 2006 15:04:05 GMT  ",
		"Subject:\nMessage-ID: <a@b>",
		"Subject:  \nIn-Reply-To: <a@b> <c@d>",
		"subject : blank before the colon",
		"Subject: \xc4\xe3\xba\xc3",
		"Subject: 你好",
		"Subject: one\nSubject: two",
		"SUBJECT: \"quotes\" and \\backslashes\\",
		"Message-ID: <no@bracket\nDate: yesterday",
		"garbage line\nSubject: after garbage",
		"From x@y Mon Jan  2 15:04:05 2006\nSubject: mbox",
		": no name\nSubject: x",
	} {
		list = append(list, sample{name: fmt.Sprint("header ", i+1), text: plainText(h)})
	}
	return list
}

func addressSamples() (list []sample) {
	for i, v := range []string{
		"user@example.test",
		"<user@example.test>",
		"User <user@example.test>",
		`"User, Great" <user@example.test>`,
		`"a \"quoted\" \\ name" <user@example.test>`,
		"user@example.test (User Name)",
		"(comment) user (x) @ (y) example.test",
		"First Q. Last <user@example.test>",
		"=?gb2312?B?1cXI/Q==?= <zhang@example.test>, =?utf-8?q?Li?= <li@example.test>",
		"\xd5\xc5\xc8\xfd <zhang@example.test>",
		"张三 <zhang@例子.测试>",
		"Friends: a@example.test, B <b@example.test>;",
		"undisclosed-recipients:;",
		"Group: a@x.test;, c@y.test",
		"<@a.test,@b.test:user@example.test>",
		`"quoted local"@example.test`,
		"user@[192.0.2.1]",
		"a@x.test, , b@y.test,",
		"a@x.test,\n b@y.test,\n\tc@z.test",
		"<>",
		"user",
		"User <user>",
		"User Name",
		"User <user@example.test",
		"User user@example.test",
		`"User <user@example.test>`,
		"a@x.test; b@y.test",
		"a@b@c.test",
		"user@",
		"@example.test",
		"user . name @ example . test",
		"User <user@example.test> trailing",
		"User (unclosed <user@example.test>",
		"'User' <user@example.test>",
		"User<user@example.test>",
		"=?utf-8?Q?A=2C_B?= <ab@example.test>",
		"A <a@x.test> B <b@y.test>",
		"MAILER-DAEMON",
		"",
	} {
		list = append(list, sample{name: "address " + fmt.Sprint(i+1), text: plainText("From: " + v + "\nTo: " + v)})
	}
	return append(list, sample{name: "all fields", text: plainText("From: a@a.test\nSender: b@b.test\nReply-To: c@c.test\nTo: d@d.test\nCc: e@e.test\nBcc: f@f.test")},
		sample{name: "To twice", text: plainText("To: a@a.test\nTo: b@b.test\nFrom: c@c.test\nFrom: d@d.test")})
}

func typeSamples() (list []sample) {
	b64 := base64.StdEncoding.EncodeToString([]byte("some text\r\nof two lines\r\n"))
	for i, v := range []string{
		"Content-Type: text/plain",
		"Content-Type: TEXT/HTML; CHARSET=GB2312",
		"Content-Type: text/plain; charset=\"gb18030\"; format=flowed",
		"Content-Type: text/plain; charset=us-ascii (Plain text)",
		"Content-Type: text/plain;\n\tcharset=gbk;\n\tname=\"a;b.txt\"",
		"Content-Type: text/plain; name=my file.txt",
		"Content-Type: text/plain; charset",
		"Content-Type: text/plain; charset=",
		"Content-Type: text/plain;",
		"Content-Type: text",
		"Content-Type: text/",
		"Content-Type: /plain",
		"Content-Type:",
		"Content-Type: image/png; name=x.png\nContent-Transfer-Encoding: base64\nContent-ID: <cid@x>\nContent-Description: a picture",
		"Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"a \\\"b\\\".pdf\"; size=12",
		"Content-Disposition: inline",
		"Content-Disposition: ATTACHMENT; filename*=utf-8''%E4%BD%A0%E5%A5%BD.txt",
		"Content-Disposition: attachment; filename*0=\"part one \"; filename*1=\"and two.txt\"",
		"Content-Disposition: attachment; filename*0*=gb2312''%C4%E3; filename*1*=%BA%C3; filename*2=\".txt\"",
		"Content-Disposition: attachment; filename*1=b; filename*0=a; x=y",
		"Content-Disposition: attachment; filename=\"=?gb2312?B?xOO6ww==?=.txt\"",
		"Content-Disposition: attachment; filename=\xc4\xe3\xba\xc3.txt",
		"Content-Language: en, zh-CN",
		"Content-Language: de",
		"Content-Location: http://example.test/x y",
		"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
		"Content-Transfer-Encoding: QUOTED-PRINTABLE",
		"Content-Transfer-Encoding: \"base64\"",
		"Content-Transfer-Encoding: 8bit (comment)",
		"Content-Transfer-Encoding: x-uuencode",
		"Content-Transfer-Encoding:",
		"Content-Type: text/plain\nContent-Type: text/html",
		"Content-Type: text/x-(c)y; a=b",
		"Content-Type: text/plain; a=\"unclosed; b=c",
		"Content-Type: text / plain ; charset = utf-8",
		"Content-Type: text/plain charset=utf-8",
		"Content-Type: text/plain; =novalue; a=b",
		"Content-Type: \"text/plain\"",
		"Content-ID: <a@b> (comment)",
	} {
		list = append(list, sample{name: "type " + fmt.Sprint(i+1), text: withType(v, b64+"\n")})
	}
	return list
}

func structureSamples() []sample {
	multipart := func(body string) string { return withType("Content-Type: multipart/mixed; boundary=b", body) }
	nested := "Content-Type: multipart/alternative; boundary=\"b2\"\n\n--b2\n\nplain\n--b2\nContent-Type: text/html\n\n<p>\n--b2--\n"
	rfc822 := "Content-Type: message/rfc822\n\nSubject: =?gbk?B?xOO6ww==?=\nFrom: x@y.test\nTo: G: a@b.test;\nContent-Type: multipart/mixed; boundary=b3\n\n--b3\n\none\n--b3\n\ntwo\n--b3--\n"
	return []sample{
		{name: "one part", text: multipart("--b\n\ntext\n--b--\n")},
		{name: "two parts", text: multipart("--b\n\ntext\n--b\nContent-Type: text/html\n\n<p>\n\n--b--\n")},
		{name: "nested", text: multipart("pre\n--b\n" + nested + "\n--b\n\nlast\n--b--\nepilogue\n")},
		{name: "nested without end", text: multipart("--b\n" + nested[:len(nested)-7] + "\n--b\n\nlast\n--b--\n")},
		{name: "message", text: multipart("--b\n\ntext\n--b\n" + rfc822 + "--b--\n")},
		{name: "message in a message", text: withType("Content-Type: message/rfc822", rfc822)},
		{name: "message that is text", text: withType("Content-Type: message/rfc822", "Subject: y\n\ntext\nof two\n")},
		{name: "empty message", text: withType("Content-Type: message/rfc822", "")},
		{name: "digest", text: withType("Content-Type: multipart/digest; boundary=b", "--b\n\nSubject: one\n\ntext\n--b\nContent-Type: text/plain\n\ntext\n--b--\n")},
		{name: "delivery status", text: withType("Content-Type: multipart/report; report-type=delivery-status; boundary=b", "--b\n\nsorry\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; y\n--b\nContent-Type: text/rfc822-headers\n\nSubject: z\n--b--\n")},
		{name: "no end", text: multipart("--b\n\ntext\n--b\n\nmore\n")},
		{name: "no end, no line end", text: multipart("--b\n\ntext\n--b\n\nmore")},
		{name: "end without line end", text: multipart("--b\n\ntext\n--b--")},
		{name: "empty part", text: multipart("--b\n\n--b\n\n\n--b--\n")},
		{name: "part of header only", text: multipart("--b\nContent-Type: text/html\n--b\n\ntext\n--b--\n")},
		{name: "blanks after delimiters", text: multipart("--b  \n\ntext\n--b--\t\nepilogue\n")},
		{name: "no parts", text: multipart("")},
		{name: "no delimiter", text: multipart("just text\nof two lines\n")},
		{name: "only the end", text: multipart("--b--\n")},
		{name: "no boundary", text: withType("Content-Type: multipart/mixed", "--b\n\ntext\n--b--\n")},
		{name: "empty boundary", text: withType("Content-Type: multipart/mixed; boundary=\"\"", "--\n\ntext\n----\n")},
		{name: "boundary with blanks", text: withType("Content-Type: multipart/mixed; boundary=\"a b c\"", "--a b c\n\ntext\n--a b c--\n")},
		{name: "boundary that begins like another", text: withType("Content-Type: multipart/mixed; boundary=b", "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\n--b\n\ntwo\n--b--\n")},
		{name: "same boundary within", text: withType("Content-Type: multipart/mixed; boundary=b", "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n")},
		{name: "text that begins like a delimiter", text: multipart("--b\n\n--bx\n-- \n--\n- b\n--b--\n")},
		{name: "bare line feeds", text: strings.ReplaceAll(multipart("--b\n\ntext\n\n--b\n\nx\n--b--\n"), "\r\n", "\n")},
		{name: "encoded multipart", text: withType("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64", "--b\n\ntext\n--b--\n")},
		{name: "attached message in base64", text: multipart("--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp0ZXh0\n--b--\n")},
		{name: "related", text: withType("Content-Type: multipart/related; boundary=b; type=\"text/html\"; start=\"<a@b>\"", "--b\nContent-Type: text/html\nContent-ID: <a@b>\n\n<img>\n--b\nContent-Type: image/gif\nContent-ID: <i@b>\nContent-Transfer-Encoding: base64\nContent-Disposition: inline; filename=i.gif\n\nR0lGODlhAQABAAAAACw=\n--b--\n")},
	}
}
