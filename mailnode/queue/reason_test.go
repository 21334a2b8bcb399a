package queue

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"mailfleet/mailnode/outbound"
)

// A report says in both languages why, and quotes what a remote said as it said it.
func TestReasons(t *testing.T) {
	unreachable := outbound.Outcome{State: outbound.Permanent, Code: 550, Enhanced: "5.1.2", Text: "there is no domain far.test: it does not exist"}
	unsafe := outbound.Outcome{State: outbound.Permanent, Code: 550, Enhanced: "5.7.30", Host: "mx.far.test [192.0.2.1]", Text: "mx.far.test [192.0.2.1] does not promise TLS"}
	const head, tail = "\r\n\r\n    <x@far.test>\r\n", "\r\n\r\n"
	for _, x := range []struct {
		outcome          outbound.Outcome
		chinese, english string
	}{
		{never, "        收件地址不存在。请检查地址是否有误。\r\n        对方服务器 mx.far.test [192.0.2.1] 的答复：\r\n            550 5.1.1 no such user",
			"        The address does not exist. Please check its spelling.\r\n        The server mx.far.test [192.0.2.1] said:\r\n            550 5.1.1 no such user"},
		{unreachable, "        收件地址中的域名不存在，或者不接收邮件。请检查域名是否有误。",
			"        The domain of the address does not exist or takes no mail. Please check its spelling.\r\n        (there is no domain far.test: it does not exist)"},
		{unsafe, "        您要求全程加密传送（REQUIRETLS），而收件人的邮件服务器不能保证。\r\n        对方服务器：mx.far.test [192.0.2.1]",
			"        You want the message encrypted on its whole way (REQUIRETLS), and the recipient's mail server does not promise that.\r\n        The server is mx.far.test [192.0.2.1].\r\n        (mx.far.test [192.0.2.1] does not promise TLS)"},
	} {
		for language, want := range map[string]string{
			"zh-CN": "这是邮件服务器 mx.here.test 自动发出的通知。\r\n\r\n您的邮件未能送达以下收件人，系统不会再次尝试：" + head + x.chinese + tail + "以下附有供程序读取的详细信息，以及您的邮件或其信头。\r\n",
			"en":    "This is an automatic notice of the mail server mx.here.test.\r\n\r\nYour mail could not be delivered to these recipients, and will not be tried again:" + head + x.english + tail + "Details for programs, and your mail or its header, are attached.\r\n",
		} {
			w := newWorld(t)
			w.language = language
			w.answer = always(x.outcome)
			w.put(from("alice@here.test"), rcpt("x@far.test"))
			w.empty()
			if _, human, _, _ := readReport(t, w.inbox()[0]); human != want {
				t.Errorf("in %s it is\n%s\nwant\n%s", language, human, want)
			}
		}
	}
}

// Every code that a server can answer, and every one of our own, has a reason in each of the
// languages.
func TestEveryReason(t *testing.T) {
	check := func(o outbound.Outcome) {
		r := explain(&o)
		if !strings.HasSuffix(r.chinese, "。") || !strings.ContainsFunc(r.chinese, func(c rune) bool { return unicode.Is(unicode.Han, c) }) ||
			!strings.HasSuffix(r.english, ".") || strings.ContainsFunc(r.english, func(c rune) bool { return c >= 0x80 }) {
			t.Errorf("%+v has the reason %+v", o, r)
		}
	}
	for _, reply := range []string{"", "x"} {
		for class := range 2 {
			for subject := range 10 {
				for detail := range 40 {
					check(outbound.Outcome{Enhanced: fmt.Sprintf("%d.%d.%d", 4+class, subject, detail), Reply: reply})
				}
			}
		}
		for code := 400; code < 600; code++ {
			check(outbound.Outcome{Code: code, Reply: reply})
			check(outbound.Outcome{Code: code, Enhanced: fmt.Sprintf("%d.0.0", code/100), Reply: reply})
		}
	}
	for want, o := range map[string]outbound.Outcome{
		"收件人的邮箱空间不足，或者邮件太大。":          {Code: 552, Enhanced: "5.0.0", Reply: "552 too much", State: outbound.Permanent},
		"收件人的邮箱已满。":                   {Code: 552, Enhanced: "5.2.2", Reply: "552 5.2.2 full", State: outbound.Permanent},
		"收件人的邮箱已满，暂时无法接收邮件。":          refusedFull(),
		refusedReason.chinese:         {Code: 554, Enhanced: "5.0.0", Reply: "554 no", State: outbound.Permanent},
		laterReason.chinese:           {Code: 451, Enhanced: "4.0.0", Reply: "451 no"},
		"收件人的邮件系统出于安全策略没有接收这封邮件。":     {Code: 550, Enhanced: "5.7.99", Reply: "550 5.7.99 x", State: outbound.Permanent},
		"本邮件服务器的管理员已将这封邮件从待发队列中删除。":   {Code: 554, Enhanced: "5.7.1", Text: "the operator"},
		ourReasons["4.3.1"].chinese:   {Code: 452, Enhanced: "4.3.1", Text: "the disk of this server is full"},
		reasons["3.1"].chinese:        {Code: 452, Enhanced: "4.3.1", Reply: "452 4.3.1 disk full"},
		"收件地址的写法不正确。":                 {Code: 501, Enhanced: "5.1.3", Reply: "501 5.1.3 bad"},
		"收件人的邮件服务器暂时不提供服务。":           {Code: 421, Reply: "421 closing"},
		"收件人的邮件系统出于安全策略暂时没有接收这封邮件。":   {Code: 451, Enhanced: "4.7.0", Reply: "451 4.7.0 x"},
		"转发这封邮件的服务器不支持加密连接，因此没有向它登录。": {Code: 451, Enhanced: "4.7.0"},
	} {
		if got := explain(&o).chinese; got != want {
			t.Errorf("%+v has the reason %s, want %s", o, got, want)
		}
	}
}

func refusedFull() outbound.Outcome {
	return outbound.Outcome{Code: 452, Enhanced: "4.2.2", Text: "the mailbox is full"}
}
