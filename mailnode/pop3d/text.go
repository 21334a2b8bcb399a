package pop3d

import (
	"fmt"
	"strings"
)

// language is one that answers are given in (RFC 6856 §3).
type language int

const (
	english language = iota
	chinese
)

// languages are those of LANG: tag and own name.
var languages = [...]struct{ tag, name string }{english: {"en", "English"}, chinese: {"zh", "中文"}}

// text is an answer in every language, after its response code (RFC 2449 §8).
type text struct{ code, en, zh string }

func (t text) in(l language, args []any) string {
	format := t.en
	if l == chinese {
		format = t.zh
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

const (
	temporary  = "[SYS/TEMP] "
	credential = "[AUTH] "
)

// What is answered.
var (
	greeting         = text{"", "%s POP3 Mailfleet", "%s POP3 Mailfleet"}
	capabilities     = text{"", "what this server can do", "本服务器支持的功能"}
	mechanismsFollow = text{"", "the mechanisms there are", "可用的认证机制"}
	languagesFollow  = text{"", "the languages there are", "可用的语言"}
	utf8Done         = text{"", "UTF-8 it is", "已启用 UTF-8"}
	nowPassword      = text{"", "now the password", "请输入密码"}
	beginTLS         = text{"", "begin TLS", "开始 TLS"}
	maildropHas      = text{"", "%d messages (%d octets)", "%d 封邮件（%d 字节）"}
	octetsFollow     = text{"", "%d octets", "%d 字节"}
	topFollows       = text{"", "the top of %d octets", "%d 字节邮件的开头"}
	deletedAtQuit    = text{"", "message %d is deleted at QUIT", "邮件 %d 将在 QUIT 时删除"}
	done             = text{"", "done", "完成"}
	goodBye          = text{"", "good-bye", "再见"}
	messagesLeft     = text{"", "%d messages left", "还剩 %d 封邮件"}

	noCommand        = text{"", "there is no such command here", "此处没有这个命令"}
	noArgument       = text{"", "this command takes no argument", "该命令不带参数"}
	noMessage        = text{"", "there is no such message", "没有这封邮件"}
	goneMeanwhile    = text{"", "the message has been removed meanwhile", "邮件已被移除"}
	topNeeds         = text{"", "TOP needs a message and a number of lines", "TOP 需要邮件编号和行数"}
	noLanguage       = text{"", "this language is not spoken here", "不支持这种语言"}
	lineTooLong      = text{"", "the line is longer than %d bytes", "命令行超过 %d 字节"}
	nothingHeard     = text{"", "nothing heard for %v", "%v 内没有收到命令"}
	userNeedsAddress = text{"", "USER needs an address", "USER 需要邮箱地址"}
	userFirst        = text{"", "USER comes first", "请先使用 USER 命令"}
	clear            = text{"", "nobody signs in here before TLS: use STLS", "必须先启用 TLS 才能登录：请使用 STLS"}
	noTLS            = text{"", "there is no TLS here", "此处不支持 TLS"}
	tlsAlready       = text{"", "TLS is on already", "TLS 已启用"}
	nothingMayFollow = text{"", "nothing may follow STLS before TLS begins", "STLS 之后、TLS 开始之前不得发送任何内容"}
	noMechanism      = text{"", "there is no such mechanism here", "没有这种认证机制"}
	notBase64        = text{"", "this is not base64", "不是有效的 base64"}
	cancelled        = text{"", "the exchange is cancelled", "认证已取消"}
	malformed        = text{"", "the response is not one of the mechanism", "响应不符合该认证机制"}

	wrong           = text{credential, "wrong address or password", "地址或密码错误"}
	suspended       = text{credential, "the account is suspended", "账户已停用"}
	switchedOff     = text{credential, "POP3 is switched off for this account, ask your administrator", "该账户未开通 POP3，请联系管理员"}
	tooManyFailures = text{temporary, "too many failed sign-ins, try again in %s", "登录失败次数过多，请在 %s 后重试"}
	inUse           = text{"[IN-USE] ", "another session has the maildrop", "邮箱正被另一会话使用"}
	trouble         = text{temporary, "the server has a problem, try again later", "服务器暂时出现问题，请稍后重试"}
	stopping        = text{temporary, "the server is stopping, try again later", "服务器正在停止，请稍后重试"}
	ended           = text{temporary, "the session was ended by an administrator", "会话已被管理员结束"}
	notDeleted      = text{temporary, "some deleted messages are not removed", "部分已删除的邮件未能移除"}
)

// chooseLanguage is RFC 6856 §3: without an argument it lists the languages, "*" is
// the one the server would choose.
func (s *session) chooseLanguage(tag string) {
	if tag == "" {
		s.say(languagesFollow)
		for _, l := range languages {
			s.line(l.tag + " " + l.name)
		}
		s.line(".")
		return
	}
	if tag == "*" {
		tag = languages[english].tag
	}
	for i, l := range languages {
		primary, _, _ := strings.Cut(tag, "-") // zh-CN is looked up as zh (RFC 4647 §3.4)
		if strings.EqualFold(primary, l.tag) {
			s.lang = language(i)
			s.line("+OK " + l.tag + " " + l.name)
			return
		}
	}
	s.refuse(noLanguage)
}
