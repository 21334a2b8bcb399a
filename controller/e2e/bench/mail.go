package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// corpus is what a mailbox is filled with: message i is always the same.
type corpus struct {
	name   string
	count  int
	text   func(i int) []byte
	closed bool // nobody looks into its messages
}

var (
	// letters are messages of 10 KB that do not compress well.
	letters = corpus{name: "letters", count: 10_000, text: func(i int) []byte { return letter(uint64(i), 10<<10) }}
	// talk is Chinese and English mail as people write it, half of it in GBK.
	talk = corpus{name: "talk", count: 100_000, text: chat}
	// archive is as many messages as a mailbox will ever have, small ones.
	archive = corpus{name: "archive", count: 500_000, text: func(i int) []byte { return letter(uint64(i), 0) }, closed: true}
)

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// noise is text that does not compress well, in lines as an attachment has them.
var noise = sync.OnceValue(func() []byte {
	rnd := rand.NewPCG(1, 1)
	text := make([]byte, 0, 4<<20)
	for cap(text)-len(text) >= noiseLine {
		for range 7 {
			for x, i := rnd.Uint64(), 0; i < 10; i++ {
				text = append(text, base64Alphabet[x&63])
				x >>= 6
			}
		}
		text = append(text, "\r\n"...)
	}
	return text
})

const noiseLine = 72

// letter is message n: size bytes of an attachment behind a header. It is like no other.
func letter(n uint64, size int) []byte {
	head, body := letterParts(n, size)
	return append(head, body...)
}

// letterParts are a letter's header, with the empty line, and its body, which is not to
// be changed.
func letterParts(n uint64, size int) (head, body []byte) {
	x := n*0x9e3779b97f4a7c15 + 1
	head = fmt.Appendf(make([]byte, 0, 512), "Return-Path: <sender%d@outside.test>\r\nReceived: from mx.outside.test (192.0.2.1) by mx.example.test with ESMTPS; Mon, 5 Jan 2026 10:%02d:%02d +0800\r\n"+
		"Message-ID: <%d.%016x@outside.test>\r\nDate: Mon, 5 Jan 2026 10:%02d:%02d +0800\r\nFrom: Sender %d <sender%d@outside.test>\r\nTo: user1@example.test\r\nSubject: letter %d\r\n\r\n",
		n%50, n/60%60, n%60, n, x, n/60%60, n%60, n%50, n%50, n)
	if size == 0 {
		return head, nil
	}
	lines := (size + noiseLine - 1) / noiseLine
	from := int(x>>20) % (len(noise())/noiseLine - lines) * noiseLine
	return head, noise()[from : from+lines*noiseLine]
}

// Words that are in some of the messages of talk: one in 100 (both), 50 and 500.
const (
	invoiceWord = "发票"
	longWord    = "增值税发票"
	rareSign    = "鑫"
	latinWord   = "quarterly"
)

// chat is message i of talk, about 1.5 KB.
func chat(i int) []byte {
	rnd := rand.New(rand.NewPCG(uint64(i), 2))
	zipf := rand.NewZipf(rnd, 1.2, 8, 2999)
	var body strings.Builder
	for line := range 6 + rnd.IntN(6) {
		for range 20 + rnd.IntN(20) {
			body.WriteRune(rune('一' + zipf.Uint64()*5))
		}
		switch {
		case line == 2 && i%100 == 9:
			body.WriteString(longWord)
		case line == 3 && i%50 == 11:
			body.WriteString(rareSign)
		case line == 4 && i%500 == 13:
			body.WriteString(", the " + latinWord + " report")
		}
		body.WriteString("。\r\n")
	}
	subject := fmt.Sprintf("会议 %d", i)
	text := fmt.Sprintf("Return-Path: <sender%d@outside.test>\r\nReceived: from mx.outside.test (192.0.2.1) by mx.example.test with ESMTPS; Tue, 6 Jan 2026 10:%02d:%02d +0800\r\n"+
		"Message-ID: <%d.chat@outside.test>\r\nIn-Reply-To: <%d.chat@outside.test>\r\nDate: Tue, 6 Jan 2026 10:%02d:%02d +0800\r\nFrom: =?UTF-8?B?%s?= <sender%d@outside.test>\r\n"+
		"To: user1@example.test, user2@example.test\r\nSubject: =?UTF-8?B?%s?=\r\nMIME-Version: 1.0\r\n",
		i%500, i/60%60, i%60, i, i-i%7, i/60%60, i%60, base64.StdEncoding.EncodeToString([]byte("张三")), i%500, base64.StdEncoding.EncodeToString([]byte(subject)))
	if i%2 == 0 {
		return []byte(text + "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(body.String()))
	}
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String(body.String())
	if err != nil {
		panic(err) // GB18030 has every character
	}
	return []byte(text + "Content-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + gbk)
}

// wrapped is base64 in lines (RFC 2045 §6.8).
func wrapped(text string) string {
	all := base64.StdEncoding.EncodeToString([]byte(text))
	var b strings.Builder
	for len(all) > 76 {
		b.WriteString(all[:76] + "\r\n")
		all = all[76:]
	}
	return b.String() + all + "\r\n"
}
