package queue

import (
	"fmt"
	"strings"

	"mailfleet/mailnode/outbound"
)

// reason is why a recipient has not got the message, in words of both languages.
type reason struct{ chinese, english string }

// explain is the reason of an outcome. What this server itself has found is told from what
// a remote says, which may be about that remote.
func explain(o *outbound.Outcome) reason {
	class, detail, _ := strings.Cut(o.Enhanced, ".")
	if o.Reply == "" {
		if r, ok := ourReasons[o.Enhanced]; ok {
			return r
		}
	}
	if r, ok := reasons[o.Enhanced]; ok {
		return r
	}
	if r, ok := reasons[detail]; ok {
		return r
	}
	if r, ok := replyReasons[o.Code]; ok && (o.Enhanced == "" || detail == "0.0") {
		return r
	}
	subject, _, _ := strings.Cut(detail, ".")
	if r, ok := reasons[subject]; ok {
		return r
	}
	if class == "5" || o.State == outbound.Permanent && class != "4" {
		return refusedReason
	}
	return laterReason
}

var (
	refusedReason = reason{"收件人的邮件服务器拒收了这封邮件。", "The recipient's mail server refused the message."}
	laterReason   = reason{"收件人的邮件服务器暂时没有接收这封邮件。", "The recipient's mail server did not take the message for now."}
)

// ourReasons are, by enhanced status code, those that this server finds itself.
var ourReasons = map[string]reason{
	"4.2.2": {"收件人的邮箱已满，暂时无法接收邮件。", "The recipient's mailbox is full."},
	"4.3.0": {"本邮件服务器暂时出现故障，未能处理这封邮件。", "This mail server had a problem and could not handle the message for now."},
	"4.3.1": {"本邮件服务器的磁盘空间暂时不足。", "This mail server is short of disk space for now."},
	"4.3.2": {"本邮件服务器正在重新启动。", "This mail server was being restarted."},
	"4.4.2": {"与收件人邮件服务器的连接中途断开。", "The connection with the recipient's mail server broke off."},
	"4.7.0": {"转发这封邮件的服务器不支持加密连接，因此没有向它登录。", "The server through which the mail is routed offers no encryption, so this server did not sign in there."},
	"4.7.5": {"无法与收件人的邮件服务器建立符合要求的加密连接（TLS），因此没有发送邮件。", "No encrypted connection (TLS) as it is required could be made with the recipient's mail server, so nothing was sent."},
	"5.1.1": {"没有这个收件地址。请检查地址是否有误。", "There is no such address. Please check its spelling."},
	"5.2.1": {"收件人的帐户已被停用。", "The recipient's account is suspended."},
	"5.7.1": {"本邮件服务器的管理员已将这封邮件从待发队列中删除。", "The administrator of this mail server has taken the message out of the queue."},
	"5.7.2": {"该群组不接收您发来的邮件。", "The group does not take mail from you."},
}

// replyReasons are, by the code of the reply, those of servers without enhanced codes
// (RFC 5321 §4.2.3).
var replyReasons = map[int]reason{
	421: {"收件人的邮件服务器暂时不提供服务。", "The recipient's mail server is not available for now."},
	450: {"收件人的邮箱暂时不能接收邮件。", "The recipient's mailbox cannot be used for now."},
	452: {"收件人的邮件服务器空间暂时不足。", "The recipient's mail server is short of space for now."},
	550: {"收件人的邮件服务器拒收：地址可能不存在，或者不接收您的邮件。", "The recipient's mail server refused: the address may not exist, or does not take your mail."},
	551: {"收件人不在该邮件服务器上。", "The recipient is not at that mail server."},
	552: {"收件人的邮箱空间不足，或者邮件太大。", "The recipient's mailbox has no room, or the message is too large."},
	553: {"收件人的邮件服务器不接受这个地址。", "The recipient's mail server does not accept the address."},
}

// reasons are by the whole enhanced status code, by its subject and detail, or by its subject
// (RFC 3463 and its registry).
var reasons = map[string]reason{
	"4.1.1": {"收件人的邮件服务器暂时无法确认这个地址。", "The recipient's mail server cannot tell for now whether the address exists."},
	"4.2.0": {"收件人的邮箱暂时不能接收邮件。", "The recipient's mailbox cannot take mail for now."},
	"4.2.1": {"收件人的邮箱暂时不能接收邮件。", "The recipient's mailbox cannot take mail for now."},
	"4.7.0": {"收件人的邮件系统出于安全策略暂时没有接收这封邮件。", "The recipient's mail system did not take the message for now, for reasons of its security policy."},
	"4.7.1": {"收件人的邮件系统出于安全策略暂时没有接收这封邮件，例如首次来信需要稍后再试。", "The recipient's mail system did not take the message for now, for reasons of its security policy: it may want senders it does not know to try again."},

	"1":    {"收件人的邮件服务器不接受其中的地址。", "The recipient's mail server does not accept an address of the message."},
	"1.1":  {"收件地址不存在。请检查地址是否有误。", "The address does not exist. Please check its spelling."},
	"1.2":  {"收件地址中的域名不存在，或者不接收邮件。请检查域名是否有误。", "The domain of the address does not exist or takes no mail. Please check its spelling."},
	"1.3":  {"收件地址的写法不正确。", "The address is not written as an address can be."},
	"1.4":  {"收件地址对应不止一个收件人。", "The address is ambiguous."},
	"1.6":  {"收件人的邮箱已迁走，没有留下新地址。", "The mailbox has moved, and nobody knows where to."},
	"1.7":  {"收件人的邮件服务器不接受发件人地址的写法。", "The recipient's mail server does not accept how your address is written."},
	"1.8":  {"收件人的邮件服务器不接受发件人地址的域名。", "The recipient's mail server does not accept the domain of your address."},
	"1.10": {"收件地址中的域名声明不接收任何邮件。", "The domain of the address says that it takes no mail at all."},

	"2":   {"收件人的邮箱不能接收邮件。", "The recipient's mailbox cannot take mail."},
	"2.1": {"收件人的邮箱已停用或暂时关闭。", "The recipient's mailbox is disabled."},
	"2.2": {"收件人的邮箱已满。", "The recipient's mailbox is full."},
	"2.3": {"邮件超过了收件人邮箱允许的大小。", "The message is larger than the recipient's mailbox allows."},
	"2.4": {"邮件列表无法展开。", "The mailing list could not be expanded."},

	"3":   {"收件人的邮件系统出现故障。", "The recipient's mail system has a problem."},
	"3.1": {"收件人的邮件系统空间不足。", "The recipient's mail system is short of space."},
	"3.2": {"收件人的邮件系统暂时不接收邮件。", "The recipient's mail system takes no mail for now."},
	"3.4": {"邮件太大，收件人的邮件系统不接收。", "The message is too large for the recipient's mail system."},
	"3.5": {"收件人的邮件系统配置有误。", "The recipient's mail system is not set up as it should be."},

	"4":   {"邮件无法传送到收件人的邮件服务器。", "The message could not be carried to the recipient's mail server."},
	"4.1": {"无法连接到收件人的邮件服务器。", "The recipient's mail server cannot be reached."},
	"4.2": {"与收件人邮件服务器的连接出现问题。", "There is a problem with the connection to the recipient's mail server."},
	"4.3": {"暂时无法查询到收件人域名的邮件服务器（DNS 故障）。", "The mail server of the recipient's domain could not be looked up (DNS)."},
	"4.4": {"找不到通往收件人邮件服务器的路径。", "No way to the recipient's mail server was found."},
	"4.5": {"收件人的邮件系统过于繁忙。", "The recipient's mail system is too busy."},
	"4.6": {"邮件的转发形成了循环，或者地址指向了过多的其他地址。", "The mail would go in a circle, or the address leads to too many others."},
	"4.7": {"邮件在规定的时间内未能送达。", "The message could not be delivered in the time allowed."},

	"5":   {"收件人的邮件服务器没有按邮件协议应答。", "The recipient's mail server did not follow the mail protocol."},
	"5.3": {"邮件的收件人过多。", "The message has too many recipients."},

	"6":   {"收件人的邮件系统不支持这封邮件的内容。", "The recipient's mail system does not support the content of the message."},
	"6.3": {"收件人的邮件服务器不支持这封邮件的编码，而邮件又无法转换。", "The recipient's mail server does not support the encoding of the message, and it could not be converted."},
	"6.7": {"收件人的邮件服务器不支持含有非英文字母的邮件地址或信头（SMTPUTF8）。", "The recipient's mail server does not support addresses or headers with other letters than ASCII (SMTPUTF8)."},

	"7":    {"收件人的邮件系统出于安全策略没有接收这封邮件。", "The recipient's mail system did not take the message for reasons of its security policy."},
	"7.1":  {"收件人的邮件系统不允许这封邮件：可能是您无权发送到该地址，或者邮件被当作垃圾邮件。", "The recipient's mail system does not allow the message: you may have no right to send there, or it was taken for spam."},
	"7.2":  {"您没有向该邮件列表发送邮件的权限。", "You may not send to this mailing list."},
	"7.5":  {"与收件人邮件服务器的加密出现问题。", "There is a problem with encryption at the recipient's mail server."},
	"7.10": {"收件人的邮件服务器要求加密连接。", "The recipient's mail server wants an encrypted connection."},
	"7.20": {"邮件的 DKIM 签名未通过收件方的验证。", "The DKIM signature of the message was not good for the recipient's mail system."},
	"7.21": {"邮件的 DKIM 签名不被收件方接受。", "The DKIM signature of the message was not acceptable to the recipient's mail system."},
	"7.22": {"邮件的 DKIM 签名与发件人不符。", "The DKIM signature of the message is not of its author's domain."},
	"7.23": {"发件域名的 SPF 记录不允许从本服务器发信。", "The SPF record of your domain does not allow mail from this server."},
	"7.24": {"发件域名的 SPF 记录有误，收件方无法验证。", "The SPF record of your domain could not be checked."},
	"7.25": {"本邮件服务器的地址没有正确的反向解析，收件方因此拒收。", "This mail server's address has no proper reverse name, and the recipient's mail system refuses it."},
	"7.26": {"邮件未通过收件方的发件人身份验证（SPF、DKIM、DMARC）。", "The message failed the recipient's checks of who it is from (SPF, DKIM, DMARC)."},
	"7.27": {"发件域名声明不接收邮件，收件方因此拒收。", "Your domain says that it takes no mail, and the recipient's mail system therefore refuses its mail."},
	"7.28": {"短时间内发往收件方的邮件过多。", "Too much mail came to the recipient's mail system in a short time."},
	"7.30": {"您要求全程加密传送（REQUIRETLS），而收件人的邮件服务器不能保证。", "You want the message encrypted on its whole way (REQUIRETLS), and the recipient's mail server does not promise that."},
}

// because is the reason of a recipient's line as paragraphs of a report: what happened in
// the report's language, and then what the remote said, as it said it.
func (w *words) because(l *line) (lines []string) {
	r := explain(&l.Outcome)
	lines = append(lines, w.choose(r))
	switch {
	case l.Reply != "" && l.Host != "":
		lines = append(lines, fmt.Sprintf(w.said, l.Host), "    "+l.Reply)
	case l.Reply != "":
		lines = append(lines, w.saidBy, "    "+l.Reply)
	case l.Host != "":
		lines = append(lines, fmt.Sprintf(w.server, l.Host))
	}
	if l.Reply == "" && w.details && l.Text != "" {
		lines = append(lines, "("+l.Text+")")
	}
	return lines
}
